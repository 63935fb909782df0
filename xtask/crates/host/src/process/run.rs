//! Running commands: one-shot ones through xshell; streamed, piped and killed ones through duct.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use duct::unix::HandleExt;
use signal_hook::consts::SIGINT;
use xshell::{Shell, cmd};

use crate::failure::class::FailureClass;
use crate::interrupt::Interrupt;
use crate::process::background::Background;
use crate::process::command::Cmd;
use crate::process::error::ProcessError;
use crate::process::stream::Stream;

/// How long a child may take to end after SIGINT before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How often a streamed command looks for an interrupt.
const TICK: Duration = Duration::from_millis(10);

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

/// The path of a program on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

impl Cmd {
    /// Runs to the end and returns the output, whatever the exit code.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn capture(&self) -> Result<Output, ProcessError> {
        if !self.program.contains('/') && find(&self.program).is_none() {
            let why = format!("there is no `{}` on PATH", self.program);
            return Err(ProcessError::start(self.quoted(), why, true));
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
        let start_error = |error| ProcessError::start(self.quoted(), error, false);
        // A `Shell` is not `Sync` and runners are shared by threads, so each command has its own.
        let shell = Shell::new().map_err(start_error)?;
        if let Some(dir) = &self.dir {
            shell.change_dir(dir);
        }
        let Cmd { program, args, env, .. } = self;
        let env = env.iter().map(|(name, value)| (name, value));
        cmd!(shell, "{program} {args...}").envs(env).quiet().ignore_status().output().map_err(start_error)
    }

    /// xshell has no process groups, and fails when a command ends before it has read its input.
    fn output_by_duct(&self) -> Result<std::process::Output, ProcessError> {
        let expression = self.expression().stdout_capture().stderr_capture().unchecked();
        // A background process group must not read from the terminal.
        let expression = if self.stdin.is_none() { expression.stdin_null() } else { expression };
        expression.run().map_err(|e| self.start_error(&e))
    }

    /// Standard output of a command that must succeed, without the final line end.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn read(&self) -> Result<String, ProcessError> {
        let output = self.capture()?;
        if output.success() {
            return Ok(output.stdout.trim_end().to_owned());
        }
        let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };
        Err(self.exit_error(output.code, text))
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

    /// Hands over stdout and stderr, as one stream, while the command runs. Ends it when the user interrupts.
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

    /// The output, stdout and stderr together, of a command that may take long and must succeed.
    ///
    /// # Errors
    /// When it cannot be started or fails, or the user interrupts.
    pub fn read_streamed(&self) -> anyhow::Result<String> {
        let mut output = Vec::new();
        let status = self.stream(|chunk| output.extend_from_slice(chunk))?;
        self.runner.interrupt.check()?;
        let output = String::from_utf8_lossy(&output).into_owned();
        if status.success() { Ok(output) } else { Err(self.exit_error(status.code(), &output).into()) }
    }

    /// Standard output as a reader, for what is too large for memory. The end of the output is an error where the command
    /// failed.
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
        let cmd = Cmd { program: "setsid".to_owned(), args, ..self.clone() };
        // duct applies the outermost redirection first: only inside does stderr follow stdout into the file.
        let expression = cmd.expression().stdin_null().stderr_to_stdout().stdout_file(file);
        expression.run().map(drop).map_err(|e| self.start_error(&e))
    }

    /// Starts a process in a session of its own, so that Ctrl-C does not reach it, with its output in `log`. It ends with the
    /// value, and with the thread that started it: even SIGKILL leaves nothing running (setpriv(1), `--pdeathsig`).
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

    pub(super) fn expression(&self) -> duct::Expression {
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

    /// The error of a command that failed with this output.
    pub(super) fn exit_error(&self, code: Option<i32>, output: &str) -> ProcessError {
        let class = self.classify.map_or(FailureClass::Failed, |classify| classify(output));
        ProcessError::exit(self.quoted(), code, output, class)
    }

    pub(super) fn start_error(&self, error: &io::Error) -> ProcessError {
        ProcessError::start(self.quoted(), error, error.kind() == io::ErrorKind::NotFound)
    }

    fn log(&self, started: Instant) {
        if self.runner.verbose {
            eprintln!("+ {} ({:.2} s)", self.quoted(), started.elapsed().as_secs_f64());
        }
    }
}

/// Passes an interrupt on to the child (the signal may have come to this process alone), and kills it after the grace period.
fn end_when_interrupted(handle: &duct::Handle, interrupt: &Interrupt) {
    let mut interrupted: Option<Instant> = None;
    while matches!(handle.wait_timeout(TICK), Ok(None)) {
        match interrupted {
            None if interrupt.is_set() => {
                // It may have just ended.
                handle.send_signal(SIGINT).ok();
                interrupted = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => {
                handle.kill().ok();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::class::FailureClass;
    use crate::process::Runner;

    #[test]
    fn an_error_shows_command_status_and_the_last_lines() {
        let error = Runner::default().cmd("sh").args(["-c", "echo one; echo 'it broke' >&2; exit 7"]).read();
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "`sh -c 'echo one; echo '\\''it broke'\\'' >&2; exit 7'` failed with exit code 7\n    it broke"
        );
    }

    #[test]
    fn an_error_names_a_missing_program() {
        let error = Runner::default().cmd("no-such-program").capture().unwrap_err();
        assert_eq!(error.class, FailureClass::Machine);
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
    fn a_detached_process_writes_only_to_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let script = "echo out; echo err >&2; echo end";
        Runner::default().cmd("sh").args(["-c", script]).detach(&log).unwrap();
        let read = || std::fs::read_to_string(&log).unwrap();
        // It is not a child of this process, which therefore cannot wait for it.
        while !read().ends_with("end\n") {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(read(), "out\nerr\nend\n");
    }

    #[test]
    fn apart_means_a_process_group_of_its_own() {
        // The fifth field of `stat` is the process group.
        let cmd = Runner::default().cmd("sh").args(["-c", "cut -d ' ' -f 1,5 /proc/$$/stat"]);
        let leads_group = |cmd: &Cmd| {
            let text = cmd.read().unwrap();
            let (process, group) = text.split_once(' ').unwrap();
            process == group
        };
        assert_eq!((leads_group(&cmd), leads_group(&cmd.clone().apart())), (false, true));
    }

    #[test]
    fn an_interrupt_ends_a_streamed_command() {
        let runner = Runner::default();
        let interrupt = runner.interrupt.clone();
        let cmd = runner.cmd("sh").args(["-c", "echo ready; exec sleep 1000"]);
        let status = cmd.stream(|_| interrupt.set()).unwrap();
        assert_eq!(status.code(), None);
    }
}
