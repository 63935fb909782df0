//! The output of a command that is still running.

use std::io::{self, PipeReader, Read};

use crate::process::command::Cmd;
use crate::process::watched::Watched;

/// Standard output as a reader. Its end is an error where the command failed.
pub(super) struct Stream {
    command: Cmd,
    child: Watched,
    /// Standard output and standard error.
    pipes: [Option<PipeReader>; 2],
    stderr: Vec<u8>,
}

impl Stream {
    pub(super) fn new(command: Cmd, child: Watched, pipes: [Option<PipeReader>; 2]) -> Stream {
        Stream { command, child, pipes, stderr: Vec::new() }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.child.next(&mut self.pipes, buffer)? {
                Some((0, count)) => return Ok(count),
                Some((_, count)) => self.stderr.extend_from_slice(&buffer[..count]),
                None => break,
            }
        }
        let status = self.child.wait()?;
        if status.success() {
            return Ok(0);
        }
        let stderr = String::from_utf8_lossy(&self.stderr);
        Err(io::Error::other(self.command.exit_error(status.code(), &stderr)))
    }
}
