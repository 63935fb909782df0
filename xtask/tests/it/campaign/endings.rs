//! Ways to end a run at a docker call or a rename.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{Folder, wait};

/// How the run is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGKILL before the docker call.
    KillBefore,
    /// SIGKILL during the docker call.
    KillDuring,
    /// SIGKILL after the docker call.
    KillAfter,
    /// SIGTERM to the run alone.
    Terminate,
    /// Ctrl-C: SIGINT to the run and its children.
    Interrupt,
    /// SIGHUP to the run alone.
    HangUp,
    /// The terminal closes: SIGHUP, and every write to it fails.
    ClosedTerminal,
    /// The daemon is killed before the call.
    DaemonBefore,
    /// The daemon is killed during the call.
    DaemonDuring,
    /// The daemon is killed after the call.
    DaemonAfter,
    /// The disk is filled before the call.
    DiskFull,
}

/// Result of a run that was ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` after SIGKILL.
    pub code: Option<i32>,
    /// Standard error, then standard output; empty if it ran in a terminal.
    pub text: String,
}

impl Ended {
    pub fn of(output: &Output) -> Ended {
        Ended { code: output.status.code(), text: text(output) }
    }
}

/// A docker wrapper that logs every call and, at one of them, ends its parent, the terminal or the daemon.
pub struct DeadlyDocker {
    folder: Folder,
}

/// Matches calls against the shell pattern in the file `pattern`; see [`pattern`].
const SCRIPT: &str = r#"#!/bin/sh
here=HERE
echo "$*" >> $here/calls
run() { REAL "$@"; }
pattern=$(cat $here/pattern 2>/dev/null)
[ -n "$pattern" ] || exec REAL "$@"
case "$*" in $pattern) ;; *) exec REAL "$@" ;; esac
echo >> $here/matches
[ $(wc -l < $here/matches) -ge $(cat $here/number) ] || exec REAL "$@"
# End only the first run that gets here.
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
DaemonDuring) REAL "$@" <&0 & sleep $(cat $here/pause); kill -KILL $(cat $(cat $here/daemon)); wait $!; exit $? ;;
DiskFull) cat /dev/zero >$(cat $here/fill) 2>/dev/null ;;
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

    /// Sets the PID file of the daemon to kill with [`Ending::DaemonBefore`] and similar endings.
    pub fn kills(&self, pid_file: &Path) {
        self.folder.write("daemon", &pid_file.display().to_string());
    }

    /// Sets the file that fills the disk with [`Ending::DiskFull`].
    pub fn fills(&self, file: &Path) {
        self.folder.write("fill", &file.display().to_string());
    }

    /// Sets the seconds from the start of a call to its [`Ending::DaemonDuring`].
    pub fn pauses(&self, seconds: &str) {
        self.folder.write("pause", seconds);
    }

    /// Whether the call to disturb has been reached.
    pub fn has_ended_something(&self) -> bool {
        self.folder.0.join("reached").exists()
    }

    fn path(&self) -> String {
        format!("{}:{}", self.folder.0.join("bin").display(), std::env::var("PATH").unwrap())
    }

    /// Forgets the last run.
    pub fn forget(&self) {
        for name in ["calls", "pattern", "number", "matches", "ending", "client", "terminal"] {
            fs::remove_file(self.folder.0.join(name)).ok();
        }
        fs::remove_dir(self.folder.0.join("reached")).ok();
    }

    /// Runs the command to completion and returns its docker calls.
    pub fn calls(&self, command: &mut Command) -> (Output, Vec<String>) {
        self.forget();
        let output = command.env("PATH", self.path()).output().unwrap();
        (output, self.folder.read("calls").lines().map(str::to_owned).collect())
    }

    /// Ends the command at the `number`th docker call that matches `kind`.
    pub fn end_at(&self, kind: &str, number: usize, ending: Ending, command: &mut Command) -> Ended {
        self.forget();
        self.folder.write("pattern", kind);
        self.folder.write("number", &number.to_string());
        self.folder.write("ending", &format!("{ending:?}"));
        command.env("PATH", self.path());
        let (code, text) = match ending {
            Ending::ClosedTerminal => self.in_terminal(command),
            // A new process group, as in a shell: Ctrl-C reaches only this run.
            _ => {
                let output = command.process_group(0).stdin(Stdio::null()).output().unwrap();
                (output.status.code(), text(&output))
            }
        };
        let client = self.folder.read("client");
        if !client.is_empty() {
            let process = Path::new("/proc").join(client.trim());
            wait::until("the docker client ends", || !process.exists());
        }
        Ended { code, text }
    }

    /// Runs in a terminal that disappears when script(1) is killed; waits for the run itself.
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

/// Number of renames by the run's main thread, counted with strace(1).
pub fn renames(command: &Command, folder: &Folder) -> usize {
    let log = folder.0.join("renames");
    let status = traced(command, &["-o", log.to_str().unwrap(), "-e", "trace=rename,renameat,renameat2"]);
    assert!(status.status.success(), "{}", text(&status));
    let text = fs::read_to_string(log).unwrap();
    text.lines().filter(|line| line.contains("rename") && line.ends_with("= 0")).count()
}

/// Sends `signal` at the `number`th entry (from 1) to the system call `call`; `rename` includes its variants.
pub fn end_at_rename(command: &Command, call: &str, number: usize, signal: &str) -> Ended {
    let calls = if call == "rename" { "rename,renameat,renameat2" } else { call };
    let inject = format!("inject={calls}:signal={signal}:when={number}");
    let output = traced(command, &["-o", "/dev/null", "-e", &format!("trace={calls}"), "-e", &inject]);
    Ended::of(&output)
}

fn traced(command: &Command, options: &[&str]) -> Output {
    let mut strace = Command::new("strace");
    // Traces only the main thread: it writes all files, and docker's renames must not count.
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

/// Turns a call into a shell pattern that matches it in every run: site names, digests and numbers become `*`.
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
