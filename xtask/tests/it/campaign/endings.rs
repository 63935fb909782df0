//! Ways in which a run can end at a call to docker, or at a rename.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Folder, wait};

/// What ends the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL before docker gets the call.
    KillBefore,
    /// SIGKILL while docker is at work.
    KillDuring,
    /// SIGKILL once docker is done.
    KillAfter,
    /// SIGTERM to the run alone.
    Terminate,
    /// Ctrl-C: SIGINT to the run and its children.
    Interrupt,
    /// SIGHUP to the run alone.
    HangUp,
    /// The terminal is gone: SIGHUP, and every write to it fails.
    ClosedTerminal,
    /// The daemon is killed before it gets the call.
    DaemonBefore,
    /// The daemon is killed while it is at work.
    DaemonDuring,
    /// The daemon is killed once the call is answered.
    DaemonAfter,
}

/// How a run ended that was told to.
#[derive(Debug)]
pub struct Ended {
    /// `None` after SIGKILL, and where the terminal was closed.
    pub code: Option<i32>,
    /// What it printed.
    pub text: String,
}

impl Ended {
    pub fn of(output: &Output) -> Ended {
        Ended { code: output.status.code(), text: text(output) }
    }
}

/// A docker that logs every call, and ends its parent at one of them.
pub struct DeadlyDocker {
    folder: Folder,
}

/// Calls are told apart by their words without what varies: names of the site, digests, numbers.
const SCRIPT: &str = r#"#!/bin/sh
here=HERE
echo "$*" >> $here/calls
run() { REAL "$@"; }
pattern=$(cat $here/pattern 2>/dev/null)
[ -n "$pattern" ] || exec REAL "$@"
case "$*" in $pattern) ;; *) exec REAL "$@" ;; esac
echo >> $here/matches
[ $(wc -l < $here/matches) -ge $(cat $here/number) ] || exec REAL "$@"
# Only the first run that comes here ends.
mkdir $here/reached 2>/dev/null || exec REAL "$@"
case $(cat $here/ending) in
KillBefore) kill -KILL $PPID; exit 1 ;;
KillDuring) echo $$ >$here/client; (sleep 0.05; kill -KILL $PPID) & exec REAL "$@" ;;
KillAfter) REAL "$@"; kill -KILL $PPID; exit 1 ;;
Terminate) kill -TERM $PPID ;;
Interrupt) trap '' INT; kill -INT 0; trap - INT ;;
HangUp) kill -HUP $PPID ;;
ClosedTerminal) kill -KILL $(cat $here/terminal) ;;
DaemonBefore) kill -KILL $(cat $(cat $here/daemon)) ;;
DaemonDuring) REAL "$@" <&0 & kill -KILL $(cat $(cat $here/daemon)); wait $!; exit $? ;;
DaemonAfter) REAL "$@"; code=$?; kill -KILL $(cat $(cat $here/daemon)); exit $code ;;
esac
exec REAL "$@"
"#;

impl DeadlyDocker {
    pub fn new() -> DeadlyDocker {
        let folder = Folder::new();
        let real = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap().stdout;
        let real = String::from_utf8(real).unwrap();
        let script = SCRIPT.replace("HERE", &folder.0.display().to_string()).replace("REAL", real.trim());
        folder.write("bin/docker", &script);
        fs::set_permissions(folder.0.join("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        DeadlyDocker { folder }
    }

    /// Names the PID file of the daemon that [`Ending::DaemonBefore`] and its like kill.
    pub fn kills(&self, pid_file: &Path) {
        self.folder.write("daemon", &pid_file.display().to_string());
    }

    fn path(&self) -> String {
        format!("{}:{}", self.folder.0.join("bin").display(), std::env::var("PATH").unwrap())
    }

    fn forget(&self) {
        for name in ["calls", "pattern", "number", "matches", "ending", "client", "terminal"] {
            fs::remove_file(self.folder.0.join(name)).ok();
        }
        fs::remove_dir(self.folder.0.join("reached")).ok();
    }

    /// Runs to the end; the calls it made.
    pub fn calls(&self, command: &mut Command) -> (Output, Vec<String>) {
        self.forget();
        let output = command.env("PATH", self.path()).output().unwrap();
        (output, self.folder.read("calls").lines().map(str::to_owned).collect())
    }

    /// Runs until calls fit `kind` for the `number`th time, and ends it there.
    pub fn end_at(&self, kind: &str, number: usize, ending: Ending, command: &mut Command) -> Ended {
        self.forget();
        self.folder.write("pattern", kind);
        self.folder.write("number", &number.to_string());
        self.folder.write("ending", &format!("{ending:?}"));
        command.env("PATH", self.path());
        let (code, text) = match ending {
            Ending::ClosedTerminal => self.in_terminal(command),
            // A group of its own, as a shell gives it: Ctrl-C reaches nobody else.
            _ => {
                let output = command.process_group(0).stdin(Stdio::null()).output().unwrap();
                (output.status.code(), text(&output))
            }
        };
        let client = self.folder.read("client");
        if !client.is_empty() {
            let process = Path::new("/proc").join(client.trim());
            wait::until("docker's client ends too", || !process.exists());
        }
        Ended { code, text }
    }

    /// Runs in a terminal (script(1)) that is gone when `script` is killed; waits for the run itself.
    fn in_terminal(&self, command: &mut Command) -> (Option<i32>, String) {
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let code_file = self.folder.0.join("code");
        // The shell outlives its terminal to record the exit code; a trap, unlike `nohup`, is not inherited.
        let inner = format!("trap : HUP; {}; echo $? >{}", words.join(" "), code_file.display());
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &inner, "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        fs::remove_file(&code_file).ok();
        let mut child =
            script.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.folder.write("terminal", &child.id().to_string());
        let status = child.wait().unwrap();
        let code = || self.folder.read("code").trim().parse().ok();
        let code = match status.signal() {
            None => code(),
            Some(_) => Some(wait::until_some("the run ends after its terminal", code)),
        };
        (code, String::new())
    }
}

/// The renames that a run makes by itself, as strace(1) counts them.
pub fn renames(command: &Command, folder: &Folder) -> usize {
    let log = folder.0.join("renames");
    let status = traced(command, &["-o", log.to_str().unwrap(), "-e", "trace=rename,renameat,renameat2"]);
    assert!(status.status.success(), "{}", text(&status));
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains("rename") && line.ends_with("= 0")).count()
}

/// Ends a run at the entry of a rename or `fsync`, counted from 1.
pub fn end_at_rename(command: &Command, call: &str, number: usize, signal: &str) -> Ended {
    let calls = if call == "rename" { "rename,renameat,renameat2" } else { call };
    let inject = format!("inject={calls}:signal={signal}:when={number}");
    let output = traced(command, &["-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
    Ended::of(&output)
}

fn traced(command: &Command, options: &[&str]) -> Output {
    let mut strace = Command::new("strace");
    // The main thread alone: files are written there, and docker's own renames do not count.
    strace.args(options).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace.stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// A call as a shell pattern that fits it in every run: what varies becomes `*`.
pub fn pattern(call: &str, varying: &[&str]) -> String {
    let varies = |word: &str| {
        varying.iter().any(|part| word.contains(part))
            || word.contains("sha256:")
            || word.bytes().filter(u8::is_ascii_digit).count() > 2
    };
    let mut words: Vec<&str> =
        call.split_whitespace().map(|word| if varies(word) { "*" } else { word }).collect();
    words.dedup_by(|next, last| *next == "*" && *last == "*");
    words.iter().map(|word| word.replace(['[', ']'], "?")).collect::<Vec<_>>().join(" ")
}
