//! Why a build failed, in the few classes that a person can act on.

use serde::Serialize;

/// The class of cause of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// No space is left where the engine keeps its data.
    Disk,
    /// A host did not answer, or not in time.
    Network,
    /// A certificate was not trusted.
    Certificate,
    /// A registry or mirror asks to be called less often.
    RateLimit,
    /// A step was killed for want of memory.
    Memory,
    /// The engine itself went away.
    Engine,
    /// The step's own command failed.
    Build,
}

impl FailureClass {
    /// A word for tables and summaries.
    pub fn name(self) -> &'static str {
        match self {
            FailureClass::Disk => "disk",
            FailureClass::Network => "network",
            FailureClass::Certificate => "certificate",
            FailureClass::RateLimit => "rate limit",
            FailureClass::Memory => "memory",
            FailureClass::Engine => "engine",
            FailureClass::Build => "the build itself",
        }
    }

    /// What to do about it, as one sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            FailureClass::Disk => {
                "free space where the engine keeps its data (`docker system df` says what holds it, \
                 `docker buildx prune` frees the build cache), then run again"
            }
            FailureClass::Network => {
                "check the network of the engine (`cargo xtask doctor` tries one networked step) and the proxy, then run again"
            }
            FailureClass::Certificate => {
                "add your private CA to the system's bundle or point SSL_CERT_FILE at it: builds get it as a secret \
                 (`cargo xtask doctor` shows which bundle is used)"
            }
            FailureClass::RateLimit => {
                "wait, sign in with `docker login`, or configure a registry mirror, then run again"
            }
            FailureClass::Memory => {
                "give the engine more memory, or build fewer images at once with `--jobs 1`"
            }
            FailureClass::Engine => {
                "start the engine again (`cargo xtask doctor --with-engine`), then run again"
            }
            FailureClass::Build => "mend what the error names, then run again",
        }
    }

    /// Whether the cause lies in the environment, so that the exit code is 3 rather than 1.
    pub fn is_environment(self) -> bool {
        !matches!(self, FailureClass::Build)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_builds_own_failure_is_the_builds_fault() {
        assert!(!FailureClass::Build.is_environment());
        assert!(FailureClass::Disk.is_environment() && FailureClass::Network.is_environment());
    }
}
