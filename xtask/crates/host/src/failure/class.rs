//! The classes of failures.

use crate::program::PROGRAM;
use serde::Serialize;

/// What kind of failure ended a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The command line was wrong.
    Usage,
    /// The manifest or the lock file is invalid.
    Manifest,
    /// A build, check or test failed.
    #[serde(rename = "build")]
    Failed,
    /// The run left something half-done that the next run must finish.
    Unfinished,
    /// The disk is full, here or where the engine keeps its data.
    Disk,
    /// A host did not answer in time.
    Network,
    /// A certificate was not trusted.
    Certificate,
    /// A registry or mirror asks for fewer requests.
    RateLimit,
    /// A step ran out of memory.
    Memory,
    /// The engine is missing, too old or not answering.
    Engine,
    /// This machine lacks something else: a program, a free lock, a terminal.
    Machine,
    /// The user interrupted the run.
    Interrupted,
}

impl FailureClass {
    /// The class in tables and summaries.
    pub fn name(self) -> &'static str {
        match self {
            FailureClass::Usage => "usage",
            FailureClass::Manifest => "manifest",
            FailureClass::Failed => "the build itself",
            FailureClass::Unfinished => "unfinished",
            FailureClass::Disk => "disk",
            FailureClass::Network => "network",
            FailureClass::Certificate => "certificate",
            FailureClass::RateLimit => "rate limit",
            FailureClass::Memory => "memory",
            FailureClass::Engine => "engine",
            FailureClass::Machine => "machine",
            FailureClass::Interrupted => "interrupted",
        }
    }

    /// What usually fixes a failure of this class.
    pub fn remedy(self) -> String {
        let remedy = match self {
            FailureClass::Usage => return format!("see `{PROGRAM} help COMMAND`"),
            FailureClass::Manifest => "fix the lines above",
            FailureClass::Failed => "fix the error above, then run again",
            FailureClass::Unfinished => "run the same command again to finish or undo it",
            FailureClass::Disk => {
                "free disk space there, then run again (on the engine's disk, `docker system df` shows the usage \
                 and `docker buildx prune` clears the build cache)"
            }
            FailureClass::Network => {
                return format!(
                    "check the engine's network and proxy (`{PROGRAM} doctor` runs one networked build step), then run again"
                );
            }
            FailureClass::Certificate => {
                return format!(
                    "add your private CA to the system's bundle or point SSL_CERT_FILE at it; builds get it as a secret \
                     (`{PROGRAM} doctor` shows which bundle is used)"
                );
            }
            FailureClass::RateLimit => {
                "wait, sign in with `docker login`, or configure a registry mirror, then run again"
            }
            FailureClass::Memory => {
                "give the engine more memory, or build one image at a time with `--jobs 1`"
            }
            FailureClass::Engine => {
                return format!("start the engine (`{PROGRAM} doctor --with-engine`), then run again");
            }
            FailureClass::Machine => return format!("`{PROGRAM} doctor` shows what this machine lacks"),
            FailureClass::Interrupted => "",
        };
        remedy.to_owned()
    }

    /// Whether trying again may help.
    pub fn is_transient(self) -> bool {
        self == FailureClass::Network
    }

    /// Whether the machine is at fault rather than the project: exit code 3.
    pub fn is_environment(self) -> bool {
        use FailureClass::{Certificate, Disk, Engine, Machine, Memory, Network, RateLimit};
        matches!(self, Disk | Network | Certificate | RateLimit | Memory | Engine | Machine)
    }
}
