//! Runs commands. Children share neither this process's streams nor its process group, so that their output is always read
//! and they receive the terminal's signals only through this process.

use std::io::{self, PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

use crate::failure::class::FailureClass;
use crate::failure::is_disk_full;
use crate::process::background::Background;
use crate::process::command::Cmd;
use crate::process::error::ProcessError;
use crate::process::expression::lead_group;
use crate::process::stream::Stream;
use crate::process::watched::{OnInterrupt, Watched};
use crate::terminal::Terminal;

const BUFFER: usize = 64 * 1024;

/// The most that Linux allows everyone (`/proc/sys/fs/pipe-max-size`).
const LARGE_PIPE: usize = 1 << 20;

/// Index of standard output in a command's pipes.
const STDOUT: usize = 0;

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

/// The result of a command whose output was forwarded.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// The exit code; `None` for a child that a signal ended.
    pub code: Option<i32>,
    /// The end of stdout and stderr, at most 8 KiB, in the order of arrival.
    pub end: String,
}

/// How much of forwarded output is kept, in bytes: enough for the names of failed tests.
const FORWARDED_END: usize = 8 * 1024;

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
    /// Runs to the end and returns the output, whatever the exit code. After an interrupt, it may finish within the grace
    /// period, unless it is [`Cmd::long`].
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn capture(&self) -> Result<Output, ProcessError> {
        let mut output = [Vec::new(), Vec::new()];
        let on_interrupt = if self.long { OnInterrupt::End } else { OnInterrupt::Finish };
        let status = self
            .pump(on_interrupt, |pipe, chunk, _| output[pipe].extend_from_slice(chunk))
            .map_err(|error| self.start_error(&error))?;
        let [stdout, stderr] = output.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Output { code: status.code(), stdout, stderr })
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

    /// Forwards the output to stdout and stderr, and keeps running if they are closed.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn forward(&self, terminal: &Terminal) -> Result<Forwarded, ProcessError> {
        let mut end = Vec::new();
        let status = self.pump(OnInterrupt::EndGently, |pipe, chunk, _| {
            end.extend_from_slice(chunk);
            end.drain(..end.len().saturating_sub(FORWARDED_END));
            match pipe {
                STDOUT => terminal.print(chunk),
                _ => terminal.pass_on(chunk),
            }
        });
        let code = status.map_err(|error| self.start_error(&error))?.code();
        Ok(Forwarded { code, end: String::from_utf8_lossy(&end).into_owned() })
    }

    /// Hands over stdout and stderr, as one stream, while the command runs. Ends it when the user interrupts.
    ///
    /// # Errors
    /// When the program cannot be started or its output cannot be read.
    pub fn stream(&self, mut chunk: impl FnMut(&[u8])) -> Result<ExitStatus, ProcessError> {
        let started = Instant::now();
        let mut run = || -> io::Result<ExitStatus> {
            let (reader, writer) = io::pipe()?;
            let expression = self.bound()?.stderr_to_stdout().stdout_file(writer).unchecked();
            let mut child = self.watch(expression, OnInterrupt::End)?;
            let (mut pipes, mut buffer) = ([Some(reader)], vec![0; BUFFER]);
            while let Some((_, count)) = child.next(&mut pipes, &mut buffer)? {
                chunk(&buffer[..count]);
            }
            child.wait()
        };
        let status = run().map_err(|e| self.start_error(&e))?;
        self.log(started);
        Ok(status)
    }

    /// Passes stdout and stderr to `chunk` while the command runs.
    fn pump(
        &self,
        on_interrupt: OnInterrupt,
        mut chunk: impl FnMut(usize, &[u8], &mut Watched),
    ) -> io::Result<ExitStatus> {
        let started = Instant::now();
        let (mut child, mut pipes) = self.start_with_pipes(on_interrupt)?;
        let mut buffer = vec![0; BUFFER];
        while let Some((pipe, count)) = child.next(&mut pipes, &mut buffer)? {
            chunk(pipe, &buffer[..count], &mut child);
        }
        let status = child.wait()?;
        self.log(started);
        Ok(status)
    }

    /// Starts the command. Returns it with its stdout and stderr.
    fn start_with_pipes(&self, on_interrupt: OnInterrupt) -> io::Result<(Watched, [Option<PipeReader>; 2])> {
        let ((stdout, out), (stderr, err)) = (io::pipe()?, io::pipe()?);
        let expression = self.bound()?.stdout_file(out).stderr_file(err).unchecked();
        Ok((self.watch(expression, on_interrupt)?, [Some(stdout), Some(stderr)]))
    }

    /// Consumes the expression, because our copies of the write ends must be closed.
    pub(super) fn watch(
        &self,
        expression: duct::Expression,
        on_interrupt: OnInterrupt,
    ) -> io::Result<Watched> {
        let expression = lead_group(expression);
        let on_interrupt = if self.apart { OnInterrupt::Ignore } else { on_interrupt };
        Watched::start(&expression, &self.runner.interrupt, on_interrupt)
    }

    /// Standard output as a reader, for what is too large for memory. The end of the output is an error where the command
    /// failed.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn reader(&self) -> Result<impl Read + Send + use<>, ProcessError> {
        let started = self.start_with_pipes(OnInterrupt::End).map_err(|e| self.start_error(&e))?;
        let (child, pipes) = started;
        // Fewer switches between the two processes. The kernel may allow less, which only takes longer.
        if let Some(stdout) = &pipes[STDOUT] {
            rustix::pipe::fcntl_setpipe_size(stdout, LARGE_PIPE).ok();
        }
        Ok(Stream::new(self.clone(), child, pipes))
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
        let expression = cmd.expression().stderr_to_stdout().stdout_file(file);
        expression.run().map(drop).map_err(|e| self.start_error(&e))
    }

    /// Starts a process in a session of its own, so that Ctrl-C does not reach it, with its output in `log`. It ends with the
    /// value, and with the thread that started it: even SIGKILL leaves nothing running (setpriv(1), `--pdeathsig`).
    ///
    /// # Errors
    /// When it cannot be started or the log cannot be written.
    pub fn background(&self, log: &Path) -> Result<Background, ProcessError> {
        let file = std::fs::File::create(log).map_err(|e| self.start_error(&e))?;
        let inner = self.until_death("KILL");
        let args = std::iter::once(inner.program.clone()).chain(inner.args.iter().cloned()).collect();
        let cmd = Cmd { program: "setsid".to_owned(), args, ..inner };
        let expression = cmd.expression().stderr_to_stdout().stdout_file(file).unchecked();
        expression.start().map(Background).map_err(|e| self.start_error(&e))
    }

    /// The error of a command that failed with this output.
    pub(super) fn exit_error(&self, code: Option<i32>, output: &str) -> ProcessError {
        let class = match self.classify {
            Some(classify) => classify(output),
            None if reports_full_disk(output) => FailureClass::Disk,
            None => FailureClass::Failed,
        };
        ProcessError::exit(self.quoted(), code, &self.runner.secrets.mask(output), class)
    }

    pub(super) fn start_error(&self, error: &io::Error) -> ProcessError {
        let class = match error.kind() {
            io::ErrorKind::NotFound => FailureClass::Machine,
            _ if is_disk_full(error) => FailureClass::Disk,
            _ => FailureClass::Failed,
        };
        ProcessError::start(self.quoted(), error, class)
    }

    fn log(&self, started: Instant) {
        if let Some(terminal) = &self.runner.log {
            terminal.say(format!("+ {} ({:.2} s)", self.quoted(), started.elapsed().as_secs_f64()));
        }
    }
}

/// Whether the output reports a full disk: a line ends with the system's message, as perror(3) prints it.
fn reports_full_disk(output: &str) -> bool {
    let messages = ["No space left on device", "Disk quota exceeded"];
    let is_message = |line: &str| messages.iter().any(|message| line.ends_with(message));
    output.lines().map(|line| line.trim_end().split(" (os error").next().unwrap_or_default()).any(is_message)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;

    use super::*;
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
    fn an_error_holds_no_secret() {
        let runner = Runner::default();
        runner.secrets.add("first half\nsecond half");
        let error = runner.cmd("sh").args(["-c", "echo 'first half\nsecond half'; exit 1"]).read();
        assert_eq!(
            error.unwrap_err().to_string(),
            "`sh -c 'echo '\\''***'\\''; exit 1'` failed with exit code 1\n    ***"
        );
    }

    #[test]
    fn a_full_disk_is_not_the_programs_failure() {
        let class = |text: &str| {
            let cmd = Runner::default().cmd("sh").args(["-c", &format!("echo '{text}' >&2; exit 1")]);
            cmd.read().unwrap_err().class
        };
        for text in [
            "error: unable to write file x: No space left on device",
            "cannot write x: Disk quota exceeded (os error 122)",
        ] {
            assert_eq!(class(text), FailureClass::Disk, "{text}");
        }
        assert_eq!(class("no test of `No space left on device` passed"), FailureClass::Failed);
        // Every write to /dev/full fails.
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = std::io::Write::write(&mut &full, b"x").unwrap_err();
        assert_eq!(Runner::default().cmd("x").start_error(&error).class, FailureClass::Disk);
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

    /// Prints when it is ready, and when it gets SIGTERM.
    const TRAP: &str = "trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.01; done";

    #[test]
    fn children_lead_a_group_and_have_no_input() {
        // The fifth field of `stat` is the process group.
        let script = "cut -d ' ' -f 1,5 /proc/$$/stat; cat";
        let text = Runner::default().cmd("sh").args(["-c", script]).read().unwrap();
        let (process, group) = text.split_once(' ').unwrap();
        assert_eq!(process, group);
    }

    #[test]
    fn an_interrupt_reaches_a_long_command_once() {
        let runner = Runner::default();
        let interrupt = runner.interrupt.clone();
        let mut output = Vec::new();
        let status = runner.cmd("sh").args(["-c", TRAP]).stream(|chunk| {
            output.extend_from_slice(chunk);
            interrupt.set();
        });
        let output = String::from_utf8(output).unwrap();
        // The shell may also report that `sleep` was terminated.
        assert_eq!((status.unwrap().code(), output.matches("TERM\n").count()), (Some(5), 1), "{output}");
    }

    #[test]
    fn an_interrupt_ends_children_of_the_child() {
        let runner = Runner::default();
        let interrupt = runner.interrupt.clone();
        // The shell exits by itself; its child keeps the pipe open.
        let cmd = runner.cmd("sh").args(["-c", "sleep 1000 & echo ready"]);
        cmd.stream(|_| interrupt.set()).unwrap();
    }

    #[test]
    fn an_interrupt_ends_a_reader() {
        let runner = Runner::default();
        let mut reader = runner.cmd("sh").args(["-c", "echo ready; exec sleep 1000"]).reader().unwrap();
        assert_eq!(reader.read(&mut [0; 64]).unwrap(), 6);
        runner.interrupt.set();
        reader.read(&mut [0; 64]).unwrap_err();
    }

    #[test]
    fn an_interrupt_lets_a_short_command_finish() {
        let runner = Runner::default();
        let interrupt = runner.interrupt.clone();
        std::thread::scope(|scope| {
            let (mut reader, writer) = io::pipe().unwrap();
            let path = format!("/proc/{}/fd/{}", std::process::id(), writer.as_raw_fd());
            // The script reports its start, then waits for a line sent after the interrupt.
            let (answer, mut answers) = io::pipe().unwrap();
            let input = format!("/proc/{}/fd/{}", std::process::id(), answer.as_raw_fd());
            let script = format!("echo started > {path}; read line < {input}; echo finished");
            let short = scope.spawn(move || runner.cmd("sh").args(["-c", &script]).read().unwrap());
            reader.read_exact(&mut [0; 8]).unwrap();
            interrupt.set();
            answers.write_all(b"go on\n").unwrap();
            assert_eq!(short.join().unwrap(), "finished");
        });
    }

    #[test]
    fn a_panic_in_the_middle_of_output_ends_the_child() {
        let cmd = Runner::default().cmd("sh").args(["-c", "while :; do echo more; done"]);
        let caught = std::panic::catch_unwind(|| cmd.stream(|_| panic!("as the test wants")));
        assert!(caught.is_err());
    }

    #[test]
    fn more_than_a_pipe_holds_on_both_outputs() {
        let script = "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero";
        let output = Runner::default().cmd("sh").args(["-c", script]).capture().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (600_000, 300_000));
    }
}
