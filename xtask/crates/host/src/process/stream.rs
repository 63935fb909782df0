//! What a command says, while it says it.

use std::io::{self, Read};

use crate::process::Cmd;
use crate::process::quote::describe;

/// The output of a command that still runs.
pub(super) struct Stream {
    cmd: Cmd,
    handle: duct::ReaderHandle,
}

impl Stream {
    pub(super) fn new(cmd: Cmd, handle: duct::ReaderHandle) -> Stream {
        Stream { cmd, handle }
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
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(self.cmd.error(describe(output.status.code()), &said, false)));
        }
        Ok(n)
    }
}
