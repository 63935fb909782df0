//! Streams container logs line by line, with known secrets masked and control characters escaped.

use anyhow::{Result, bail};

use engine::context::Context;
use host::printable::printable;
use host::process::Cmd;

/// Runs `docker compose logs …` and prints its output until it ends, the user interrupts, or stdout is closed.
///
/// # Errors
/// When the command cannot be started or fails, or the user interrupts.
pub fn show(cmd: &Cmd, context: &Context) -> Result<()> {
    let (runner, terminal) = (&context.docker.runner, &context.terminal);
    let mut lines = LineBuffer::default();
    let print = |text: String| {
        terminal.print(printable(&runner.secrets.mask(&text)));
        if !terminal.takes_data() {
            // Stdout is closed: stop following the log.
            runner.interrupt.set();
        }
    };
    let status = cmd.stream(|chunk| print(lines.add(chunk)))?;
    print(lines.rest());
    if !terminal.takes_data() {
        return Ok(());
    }
    runner.interrupt.check()?;
    if status.success() { Ok(()) } else { bail!("`docker compose logs` failed") }
}

/// Splits a stream at line ends, which keeps secrets and multi-byte characters whole.
#[derive(Debug, Default)]
struct LineBuffer(Vec<u8>);

impl LineBuffer {
    /// Adds a chunk and returns the lines that it completes.
    fn add(&mut self, chunk: &[u8]) -> String {
        self.0.extend_from_slice(chunk);
        let end = self.0.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines: Vec<u8> = self.0.drain(..end).collect();
        String::from_utf8_lossy(&lines).into_owned()
    }

    fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_handed_over_whole() {
        let mut lines = LineBuffer::default();
        let chunks: Vec<String> =
            [b"one\ncaf\xc3".as_slice(), b"\xa9 two", b"\n\nthree"].map(|chunk| lines.add(chunk)).to_vec();
        assert_eq!(chunks, ["one\n", "", "café two\n\n"]);
        assert_eq!((lines.rest().as_str(), lines.rest().as_str()), ("three", ""));
    }
}
