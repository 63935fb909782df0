//! Reads an upload from any position, with at most one record in memory.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Size of the read buffer.
const BUFFER: usize = 64 << 10;

/// A position between two records of an upload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Number of bytes before it.
    pub bytes: u64,
    /// Number of lines before it, including a last line without a line feed.
    pub lines: u64,
}

/// A reader of an upload.
pub(crate) struct Input<R> {
    reader: BufReader<Stoppable<R>>,
    /// Current position.
    pub position: Position,
}

/// Fails once the service is stopping, so that a very long line does not delay shutdown.
struct Stoppable<R> {
    inner: R,
    stop: watch::Receiver<bool>,
}

impl<R: Read> Read for Stoppable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if *self.stop.borrow() {
            return Err(io::Error::other("the service is stopping"));
        }
        self.inner.read(buffer)
    }
}

impl<R: Seek> Seek for Stoppable<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

impl<R: Read + Seek> Input<R> {
    /// Starts at the beginning and skips a byte order mark.
    pub(crate) fn open(inner: R, stop: watch::Receiver<bool>) -> io::Result<Self> {
        let reader = BufReader::with_capacity(BUFFER, Stoppable { inner, stop });
        let mut input = Self { reader, position: Position::default() };
        if input.fill()?.starts_with("\u{feff}".as_bytes()) {
            input.consume("\u{feff}".len());
        }
        Ok(input)
    }

    /// Moves forward to a position; never backward, so that a skipped byte order mark stays skipped.
    pub(crate) fn seek_forward(&mut self, position: Position) -> io::Result<()> {
        if position.bytes > self.position.bytes {
            self.reader.seek(SeekFrom::Start(position.bytes))?;
            self.position = position;
        }
        Ok(())
    }

    /// The buffered bytes; empty only at the end.
    pub(crate) fn fill(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    /// Consumes bytes returned by [`Input::fill`]. Only the last of them may be a line feed.
    pub(crate) fn consume(&mut self, count: usize) {
        if count > 0 && self.reader.buffer().get(count - 1) == Some(&b'\n') {
            self.position.lines += 1;
        }
        self.reader.consume(count);
        self.position.bytes += count as u64;
    }

    /// Counts a last line without a line feed.
    pub(crate) fn end_line(&mut self) {
        self.position.lines += 1;
    }

    /// Reads the next line into `line`, without its line ending. `None` at the end of the input; false if the line has more
    /// than `max` bytes and was skipped.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>, max: usize) -> io::Result<Option<bool>> {
        line.clear();
        // Two more bytes for the line ending, which does not count.
        let mut count = (&mut self.reader).take(max as u64 + 2).read_until(b'\n', line)?;
        if count == 0 {
            return Ok(None);
        }
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        line.pop_if(|last| *last == b'\r');
        let fits = line.len() <= max;
        if !ended {
            count += self.reader.skip_until(b'\n')?;
        }
        self.position.bytes += count as u64;
        self.position.lines += 1;
        Ok(Some(fits))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::Cursor;

    /// An upload with these bytes.
    pub(crate) fn input(bytes: &[u8]) -> Input<Cursor<Vec<u8>>> {
        // The receiver keeps its value after the sender is dropped.
        Input::open(Cursor::new(bytes.to_vec()), watch::channel(false).1).expect("open")
    }

    fn lines(bytes: &[u8], max: usize) -> Vec<(String, bool, u64)> {
        let (mut input, mut line, mut found) = (input(bytes), Vec::new(), Vec::new());
        while let Some(fits) = input.line(&mut line, max).expect("read") {
            let text = if fits { String::from_utf8(line.clone()).expect("UTF-8") } else { String::new() };
            found.push((text, fits, input.position.bytes));
        }
        assert_eq!(input.position, Position { bytes: bytes.len() as u64, lines: found.len() as u64 });
        found
    }

    #[test]
    fn lines_end_in_lf_or_crlf() {
        let expected = |items: &[(&str, bool, u64)]| -> Vec<_> {
            items.iter().map(|(text, fits, end)| ((*text).to_owned(), *fits, *end)).collect()
        };
        assert_eq!(lines(b"", 4), []);
        assert_eq!(
            lines(b"ab\ncd\r\n\nef", 4),
            expected(&[("ab", true, 3), ("cd", true, 7), ("", true, 8), ("ef", true, 10)])
        );
        assert_eq!(lines("\u{feff}a\n".as_bytes(), 4), expected(&[("a", true, 5)]));
        assert_eq!(lines(b"a\rb\r", 4), expected(&[("a\rb", true, 4)]));
    }

    #[test]
    fn the_line_ending_does_not_count_as_length() {
        for end in ["\n", "\r\n", ""] {
            for (length, fits) in [(3, true), (4, true), (5, false), (6, false), (7, false), (200_000, false)]
            {
                let text = format!("{}{end}", "x".repeat(length));
                let found = lines(text.as_bytes(), 4);
                assert_eq!((found.len(), found[0].1), (1, fits), "{length} {end:?}");
            }
        }
        let found = lines(b"123456789\nab\n", 4);
        assert_eq!((found[0].1, found[1].0.as_str(), found.len()), (false, "ab", 2));
    }

    #[test]
    fn reading_continues_from_a_position() {
        let mut input = input("\u{feff}a\nb\nc\n".as_bytes());
        let mut line = Vec::new();
        // Position 0 is before the skipped byte order mark.
        input.seek_forward(Position::default()).expect("stay");
        input.line(&mut line, 9).expect("read");
        assert_eq!(line, b"a");
        input.seek_forward(Position { bytes: 7, lines: 2 }).expect("seek");
        input.line(&mut line, 9).expect("read");
        assert_eq!((line.as_slice(), input.position.lines), (&b"c"[..], 3));
    }

    #[test]
    fn stopping_ends_reading() {
        let (sender, stop) = watch::channel(false);
        let mut input = Input::open(Cursor::new(vec![b'x'; 10 * BUFFER]), stop).expect("open");
        sender.send_replace(true);
        assert!(input.line(&mut Vec::new(), 9).is_err());
    }
}
