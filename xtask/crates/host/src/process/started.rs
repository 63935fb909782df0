//! A background process that may outlive this one.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use duct::unix::HandleExt;
use signal_hook::consts::SIGINT;

use crate::process::command::Cmd;
use crate::process::error::ProcessError;
use crate::process::expression::lead_group;
use crate::secrets::Secrets;

/// Time between SIGINT and SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// A process in its own group, out of reach of Ctrl-C. Its output goes to an unnamed file, since a broken pipe would kill it
/// when this process dies.
#[derive(Debug)]
pub struct Started {
    handle: duct::Handle,
    output: File,
    secrets: Secrets,
    interrupted: Option<Instant>,
}

impl Started {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        !matches!(self.handle.try_wait(), Ok(None))
    }

    /// Whether it ended with exit code 0.
    pub fn success(&self) -> bool {
        matches!(self.handle.try_wait(), Ok(Some(output)) if output.status.success())
    }

    /// Sends SIGINT at the first call, and SIGKILL once 10 seconds have passed. Call it repeatedly until the process has ended.
    pub fn interrupt(&mut self) {
        match self.interrupted {
            None => {
                // It may have just ended.
                self.handle.send_signal(SIGINT).ok();
                self.interrupted = Some(Instant::now());
            }
            Some(since) if since.elapsed() > GRACE => drop(self.handle.kill()),
            Some(_) => {}
        }
    }

    /// Its output so far, stdout and stderr together, secrets masked.
    pub fn output(&self) -> String {
        // `read_at`, since the process shares our file position.
        let (mut text, mut chunk) = (Vec::new(), [0; 8192]);
        while let Ok(n @ 1..) = self.output.read_at(&mut chunk, text.len() as u64) {
            text.extend_from_slice(&chunk[..n]);
        }
        self.secrets.mask(&String::from_utf8_lossy(&text))
    }
}

impl Cmd {
    /// Starts a process in the background. With `held`, it may outlive this one, and keeps that file (such as a lock) open as its
    /// standard input. Otherwise it is killed with this process (setpriv(1), `--pdeathsig`).
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, held: Option<File>) -> Result<Started, ProcessError> {
        let output = tempfile::tempfile().map_err(|e| self.start_error(&e))?;
        let writer = output.try_clone().map_err(|e| self.start_error(&e))?;
        let expression = match held {
            Some(file) => self.without_stdin().stdin_file(file),
            None => self.until_death("KILL").without_stdin().stdin_null(),
        };
        let expression = lead_group(expression).stderr_to_stdout().stdout_file(writer).unchecked();
        let handle = expression.start().map_err(|e| self.start_error(&e))?;
        let secrets = self.runner.secrets.clone();
        Ok(Started { handle, output, secrets, interrupted: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Runner;

    fn until(is_true: impl Fn() -> bool) {
        while !is_true() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A shell that SIGINT ends even if the tests run in a script's background, where it is ignored.
    fn sh(script: &str) -> Cmd {
        Runner::default().cmd("env").args(["--default-signal=INT", "sh", "-c", script])
    }

    #[test]
    fn its_output_can_be_read_while_it_runs_and_an_interrupt_ends_it() {
        let script = "trap 'echo asked >&2; exit 3' INT; echo ready; while :; do sleep 0.01; done";
        let mut process = sh(script).start(None).unwrap();
        until(|| process.output() == "ready\n");
        assert!(!process.is_over());
        process.interrupt();
        until(|| process.is_over());
        assert_eq!((process.output().as_str(), process.success()), ("ready\nasked\n", false));
    }

    #[test]
    fn it_holds_a_file_until_it_is_over() {
        let lock = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(lock.path()).unwrap();
        let held = open();
        held.try_lock().unwrap();
        let mut process = sh("exec sleep 1000").start(Some(held)).unwrap();
        assert!(open().try_lock().is_err());
        process.interrupt();
        until(|| process.is_over());
        // Processes started by other tests briefly inherit the file.
        until(|| open().try_lock().is_ok());
    }
}
