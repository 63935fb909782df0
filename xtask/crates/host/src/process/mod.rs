//! The only spawner of processes. One-shot commands run through xshell, streamed ones through duct.

pub mod background;
pub mod error;
pub mod quote;
pub mod stream;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use duct::unix::HandleExt;
use signal_hook::consts::SIGINT;

use crate::interrupt::Interrupt;
pub use crate::process::background::Background;
pub use crate::process::error::ProcessError;
pub use crate::process::quote::tail;
use crate::process::quote::{describe, quote};
use crate::process::stream::Stream;

/// How long a child may take to end after SIGINT before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Starts commands; says each with its duration when asked to.
#[derive(Debug, Clone, Default)]
pub struct Runner {
    /// Print each command and how long it took to stderr.
    pub verbose: bool,
    /// Ends what is streamed.
    pub interrupt: Interrupt,
}

/// A command that is about to run.
#[derive(Debug, Clone)]
pub struct Cmd {
    runner: Runner,
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    apart: bool,
}

/// What a finished command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; `None` for a child that a signal ended.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Whether the exit code was 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Runner {
    /// A command that inherits this process's environment and folder.
    pub fn cmd(&self, program: impl Into<String>) -> Cmd {
        Cmd {
            runner: self.clone(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: None,
            apart: false,
        }
    }
}

/// Where `program` stands on PATH; `None` when it is not there.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

impl Cmd {
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Cmd {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for this command alone. Values are never printed.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Cmd {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs in this folder.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Cmd {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Gives it this on standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.stdin = Some(bytes.into());
        self
    }

    /// In a process group of its own: the terminal's Ctrl-C and hang-up, which go to all of this process's group, do not
    /// end it. For what must be done to its end, such as removing things.
    #[must_use]
    pub fn apart(mut self) -> Cmd {
        self.apart = true;
        self
    }

    /// The command line as a shell would take it.
    pub fn quoted(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        words.map(|word| quote(word)).collect::<Vec<_>>().join(" ")
    }

    /// Runs to the end and keeps what it said, whatever its exit code.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn capture(&self) -> Result<Output, ProcessError> {
        if !self.program.contains('/') && find(&self.program).is_none() {
            return Err(self.error(
                format!("cannot start: there is no `{}` on PATH", self.program),
                "",
                true,
            ));
        }
        let started = Instant::now();
        let output = if self.apart || self.stdin.is_some() { self.output_by_duct() } else { self.output() }?;
        self.log(started);
        Ok(Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn output(&self) -> Result<std::process::Output, ProcessError> {
        let shell = xshell::Shell::new().map_err(|e| self.error(format!("cannot start: {e}"), "", false))?;
        if let Some(dir) = &self.dir {
            shell.change_dir(dir);
        }
        let mut command = shell.cmd(&self.program).args(&self.args).quiet().ignore_status();
        for (name, value) in &self.env {
            command = command.env(name, value);
        }
        command.output().map_err(|e| self.error(format!("cannot start: {e}"), "", false))
    }

    /// xshell knows no process groups, and calls it a failure when a command ends before it has read its input.
    fn output_by_duct(&self) -> Result<std::process::Output, ProcessError> {
        let expression = self.expression().stdout_capture().stderr_capture().unchecked();
        // Who is in no foreground group must not read from the terminal.
        let expression = if self.stdin.is_none() { expression.stdin_null() } else { expression };
        expression.run().map_err(|e| self.start_error(&e))
    }

    /// Standard output of a command that must succeed, without the final line end.
    ///
    /// # Errors
    /// When it cannot be started or ends with another exit code than 0.
    pub fn read(&self) -> Result<String, ProcessError> {
        let output = self.capture()?;
        if output.success() {
            return Ok(output.stdout.trim_end().to_owned());
        }
        let said = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        Err(self.error(describe(output.code), said, false))
    }

    /// Runs with this process's own standard streams. True when the exit code was 0.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn inherit(&self) -> Result<bool, ProcessError> {
        let started = Instant::now();
        let output = self.expression().unchecked().run().map_err(|e| self.start_error(&e))?;
        self.log(started);
        Ok(output.status.success())
    }

    /// Hands over stdout and stderr, as one stream, while the command runs. Ends it when the person interrupts.
    ///
    /// # Errors
    /// When the program cannot be started or its output cannot be read.
    pub fn stream(&self, mut chunk: impl FnMut(&[u8])) -> Result<ExitStatus, ProcessError> {
        let started = Instant::now();
        let (mut reader, writer) = io::pipe().map_err(|e| self.start_error(&e))?;
        let handle = {
            let expression = self.expression().stderr_to_stdout().stdout_file(writer).unchecked();
            expression.start().map_err(|e| self.start_error(&e))?
        };
        let read = std::thread::scope(|scope| {
            let watch = scope.spawn(|| end_when_interrupted(&handle, &self.runner.interrupt));
            let mut buffer = vec![0; 64 * 1024];
            let read = loop {
                match reader.read(&mut buffer) {
                    Ok(0) => break Ok(()),
                    Ok(n) => chunk(&buffer[..n]),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => break Err(self.start_error(&e)),
                }
            };
            drop(watch.join());
            read
        });
        read?;
        let output = handle.wait().map_err(|e| self.start_error(&e))?;
        self.log(started);
        Ok(output.status)
    }

    /// Standard output as a reader, for what is too large to keep. Reading past the end of a failed command is an error
    /// that says what the command said.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn reader(&self) -> Result<impl Read + use<>, ProcessError> {
        let expression = self.expression().stderr_capture().unchecked();
        let handle = expression.reader().map_err(|e| self.start_error(&e))?;
        Ok(Stream::new(self.clone(), handle))
    }

    /// Starts a process that outlives this one, in a session of its own, with its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started or the log cannot be written.
    pub fn detach(&self, log: &Path) -> Result<(), ProcessError> {
        let file = std::fs::File::create(log).map_err(|e| self.start_error(&e))?;
        let mut args = vec!["--fork".to_owned(), self.program.clone()];
        args.extend(self.args.clone());
        // The outermost redirection is taken first: stderr follows stdout only where it stands inside.
        let expression = duct::cmd("setsid", args).stdin_null().stderr_to_stdout().stdout_file(file);
        expression.run().map(drop).map_err(|e| self.start_error(&e))
    }

    /// Starts a process in a session of its own, so that Ctrl-C does not reach it, with its output in `log`. It ends with the
    /// value, and when the thread that started it does: even SIGKILL leaves nothing running (setpriv(1), `--pdeathsig`).
    ///
    /// # Errors
    /// When it cannot be started or the log cannot be written.
    pub fn background(&self, log: &Path) -> Result<Background, ProcessError> {
        let file = std::fs::File::create(log).map_err(|e| self.start_error(&e))?;
        let wrapped = ["setpriv", "--pdeathsig", "KILL", &self.program].map(str::to_owned);
        let args = wrapped.into_iter().chain(self.args.iter().cloned()).collect();
        let cmd = Cmd { program: "setsid".to_owned(), args, ..self.clone() };
        let expression = cmd.expression().stdin_null().stderr_to_stdout().stdout_file(file).unchecked();
        expression.start().map(Background).map_err(|e| self.start_error(&e))
    }

    fn expression(&self) -> duct::Expression {
        let mut expression = duct::cmd(&self.program, self.args.iter().map(OsStr::new));
        for (name, value) in &self.env {
            expression = expression.env(name, value);
        }
        if let Some(dir) = &self.dir {
            expression = expression.dir(dir);
        }
        if self.apart {
            expression = expression.before_spawn(|command| {
                command.process_group(0);
                Ok(())
            });
        }
        match &self.stdin {
            Some(bytes) => expression.stdin_bytes(bytes.clone()),
            None => expression,
        }
    }

    fn start_error(&self, error: &io::Error) -> ProcessError {
        let missing = error.kind() == io::ErrorKind::NotFound;
        self.error(format!("cannot run: {error}"), "", missing)
    }

    pub(super) fn error(&self, outcome: String, said: &str, not_found: bool) -> ProcessError {
        ProcessError { command: self.quoted(), outcome, tail: tail(said, 12), not_found }
    }

    fn log(&self, started: Instant) {
        if self.runner.verbose {
            eprintln!("+ {} ({:.2} s)", self.quoted(), started.elapsed().as_secs_f64());
        }
    }
}

/// Passes an interrupt on to the child (it may have come to this process alone), and insists after the grace period.
fn end_when_interrupted(handle: &duct::Handle, interrupt: &Interrupt) {
    let mut asked: Option<Instant> = None;
    while matches!(handle.try_wait(), Ok(None)) {
        match asked {
            None if interrupt.is_set() => {
                // A child that has just ended cannot be signalled, which is what was wanted.
                handle.send_signal(SIGINT).ok();
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => {
                handle.kill().ok();
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_holds_command_status_and_last_words() {
        let error = Runner::default().cmd("sh").args(["-c", "echo one; echo 'it broke' >&2; exit 7"]).read();
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "`sh -c 'echo one; echo '\\''it broke'\\'' >&2; exit 7'` failed with exit code 7\n    it broke"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Runner::default().cmd("no-such-program").capture().unwrap_err();
        assert!(error.not_found);
        assert!(error.to_string().contains("no `no-such-program` on PATH"));
    }

    #[test]
    fn streams_both_outputs_and_reports_the_status() {
        let mut seen = Vec::new();
        let cmd = Runner::default().cmd("sh").args(["-c", "echo a; echo b >&2; exit 3"]);
        let status = cmd.stream(|chunk| seen.extend_from_slice(chunk)).unwrap();
        assert_eq!((status.code(), seen.as_slice()), (Some(3), b"a\nb\n".as_slice()));
    }

    #[test]
    fn what_is_detached_writes_to_its_log_alone() {
        let log = std::env::temp_dir().join(format!("xtask-detach-{}", std::process::id()));
        let script = "echo out; echo err >&2; echo end";
        Runner::default().cmd("sh").args(["-c", script]).detach(&log).unwrap();
        let read = || std::fs::read_to_string(&log).unwrap();
        // It is nobody's child, so its end is seen only in what it wrote.
        while !read().ends_with("end\n") {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(read(), "out\nerr\nend\n");
        std::fs::remove_file(&log).unwrap();
    }

    #[test]
    fn what_runs_apart_is_in_no_group_of_this_process() {
        // The fifth field of `stat` is the process group.
        let group = Runner::default().cmd("sh").args(["-c", "cut -d ' ' -f 1,5 /proc/$$/stat"]);
        let told = |cmd: &Cmd| {
            let text = cmd.read().unwrap();
            let (process, group) = text.split_once(' ').unwrap();
            process == group
        };
        assert_eq!((told(&group), told(&group.clone().apart())), (false, true));
    }

    #[test]
    fn an_interrupt_ends_what_is_streamed() {
        let runner = Runner::default();
        let interrupt = runner.interrupt.clone();
        let cmd = runner.cmd("sh").args(["-c", "echo ready; exec sleep 1000"]);
        let status = cmd.stream(|_| interrupt.set()).unwrap();
        assert_eq!(status.code(), None);
    }
}
