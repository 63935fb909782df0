//! Two commands connected by a pipe.

use std::io;
use std::panic::resume_unwind;
use std::process::ExitStatus;
use std::thread;

use crate::process::command::Cmd;
use crate::process::error::ProcessError;
use crate::process::watched::OnInterrupt;

/// A command's exit status and what it printed.
struct Ended {
    status: ExitStatus,
    printed: String,
}

impl Ended {
    /// Whether SIGPIPE may have ended it: it has no exit code, or a shell's.
    fn lost_its_reader(&self) -> bool {
        self.status.code().is_none_or(|code| code == 128 + 13)
    }
}

impl Cmd {
    /// Runs this command and `sink`, which reads its standard output, until both have ended. An interrupt ends both.
    ///
    /// # Errors
    /// When one of the commands cannot be started or fails.
    pub fn pipe_into(&self, sink: &Cmd) -> Result<(), ProcessError> {
        let (reader, writer) = io::pipe().map_err(|error| self.start_error(&error))?;
        let (source, sunk) = thread::scope(|scope| {
            let source = scope.spawn(|| self.bound().and_then(|own| self.end_of(own.stdout_file(writer))));
            let sunk = sink.end_of(sink.until_death("TERM").without_stdin().stdin_file(reader));
            (source.join().unwrap_or_else(|panic| resume_unwind(panic)), sunk)
        });
        let source = source.map_err(|error| self.start_error(&error))?;
        let sunk = sunk.map_err(|error| sink.start_error(&error))?;
        let ends = [(self, &source), (sink, &sunk)];
        let failed = ends.iter().filter(|(_, end)| !end.status.success());
        // If both failed, the source is the cause, unless it only lost its reader. `min_by_key` returns the first of equals.
        match failed.min_by_key(|(_, end)| end.lost_its_reader()) {
            Some((cmd, end)) => Err(cmd.exit_error(end.status.code(), &end.printed)),
            None => Ok(()),
        }
    }

    /// Runs an expression of this command to its end and captures its output, except for a standard output that is already redirected.
    fn end_of(&self, expression: duct::Expression) -> io::Result<Ended> {
        let ((stdout, out), (stderr, err)) = (io::pipe()?, io::pipe()?);
        // The innermost redirection wins: an output that is already redirected stays redirected.
        let expression = expression.stdout_file(out).stderr_file(err).unchecked();
        let mut child = self.watch(expression, OnInterrupt::End)?;
        let (mut pipes, mut buffer, mut printed) = ([Some(stdout), Some(stderr)], vec![0; 4096], Vec::new());
        while let Some((_, count)) = child.next(&mut pipes, &mut buffer)? {
            printed.extend_from_slice(&buffer[..count]);
        }
        Ok(Ended { status: child.wait()?, printed: String::from_utf8_lossy(&printed).into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use crate::process::Runner;

    #[test]
    fn the_first_command_feeds_the_second() {
        let sh = |script: &str| Runner::default().cmd("sh").args(["-c", script]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sum").display().to_string();
        // More than a pipe's buffer holds.
        sh("head -c 3000000 /dev/zero").pipe_into(&sh(&format!("wc -c > {file}"))).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), "3000000");
    }

    #[test]
    fn the_failure_of_either_command_is_reported() {
        let sh = |script: &str| Runner::default().cmd("sh").args(["-c", script]);
        let error = |source: &str, sink: &str| sh(source).pipe_into(&sh(sink)).unwrap_err().to_string();
        let text = error("echo no disk >&2; exit 3", "cat > /dev/null");
        assert!(text.contains("failed with exit code 3") && text.contains("no disk"), "{text}");
        let text = error("cat /dev/zero", "echo refused; exit 4");
        assert!(text.contains("failed with exit code 4") && text.contains("refused"), "{text}");
        let text = error("echo cause >&2; exit 3", "cat > /dev/null; exit 4");
        assert!(text.contains("failed with exit code 3") && text.contains("cause"), "{text}");
    }
}
