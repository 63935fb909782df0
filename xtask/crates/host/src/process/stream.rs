//! The output of a command that is still running.

use std::io::{self, Read};

use crate::process::command::Cmd;

/// Standard output as a reader. Its end is an error where the command failed.
pub(super) struct Stream {
    command: Cmd,
    handle: duct::ReaderHandle,
}

impl Stream {
    pub(super) fn new(command: Cmd, handle: duct::ReaderHandle) -> Stream {
        Stream { command, handle }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.handle.read(buffer)?;
        if n == 0
            && !buffer.is_empty()
            && let Some(output) = self.handle.try_wait()?
            && !output.status.success()
        {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let error = self.command.exit_error(output.status.code(), &stderr);
            return Err(io::Error::other(error));
        }
        Ok(n)
    }
}
