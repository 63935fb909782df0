//! The bytes of an upload, read from any place on, never more in memory than one record.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What is read from the disk at one time.
const BUFFER: usize = 64 << 10;

/// A place in an upload, between two records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Bytes before it.
    pub bytes: u64,
    /// Lines before it; the last line of all may lack its line feed.
    pub lines: u64,
}

/// An upload that is being read.
pub(crate) struct Input<R> {
    reader: BufReader<Stoppable<R>>,
    /// How far it was read.
    pub position: Position,
}

/// Fails once the service is stopping, so that even a line of gigabytes does not hold up the end.
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
    /// Begins at the beginning; a byte order mark there is passed over.
    pub(crate) fn open(inner: R, stop: watch::Receiver<bool>) -> io::Result<Self> {
        let reader = BufReader::with_capacity(BUFFER, Stoppable { inner, stop });
        let mut input = Self { reader, position: Position::default() };
        if input.fill()?.starts_with("\u{feff}".as_bytes()) {
            input.take("\u{feff}".len());
        }
        Ok(input)
    }

    /// Goes on from a place that was reached before; never back, so that what was passed over stays so.
    pub(crate) fn forward(&mut self, position: Position) -> io::Result<()> {
        if position.bytes > self.position.bytes {
            self.reader.seek(SeekFrom::Start(position.bytes))?;
            self.position = position;
        }
        Ok(())
    }

    /// The next bytes; empty only at the end.
    pub(crate) fn fill(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    /// Takes bytes that [`Input::fill`] showed and that hold no line feed, or one as their last.
    pub(crate) fn take(&mut self, count: usize) {
        if count > 0 && self.reader.buffer().get(count - 1) == Some(&b'\n') {
            self.position.lines += 1;
        }
        self.reader.consume(count);
        self.position.bytes += count as u64;
    }

    /// Counts the last line of an input that does not end in a line feed.
    pub(crate) fn end_line(&mut self) {
        self.position.lines += 1;
    }

    /// The next line without its end, in `line`. None at the end of the input; false if the line has more than `most`
    /// bytes, in which case it was passed over.
    pub(crate) fn line(&mut self, line: &mut Vec<u8>, most: usize) -> io::Result<Option<bool>> {
        line.clear();
        // Room for the line's end, which does not count.
        let mut count = (&mut self.reader).take(most as u64 + 2).read_until(b'\n', line)?;
        if count == 0 {
            return Ok(None);
        }
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        line.pop_if(|last| *last == b'\r');
        let fits = line.len() <= most;
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

    /// An upload that consists of these bytes.
    pub(crate) fn input(bytes: &[u8]) -> Input<Cursor<Vec<u8>>> {
        // A receiver whose sender is gone keeps its last value.
        Input::open(Cursor::new(bytes.to_vec()), watch::channel(false).1).expect("open")
    }

    fn lines(bytes: &[u8], most: usize) -> Vec<(String, bool, u64)> {
        let (mut input, mut line, mut found) = (input(bytes), Vec::new(), Vec::new());
        while let Some(fits) = input.line(&mut line, most).expect("read") {
            let text = if fits { String::from_utf8(line.clone()).expect("UTF-8") } else { String::new() };
            found.push((text, fits, input.position.bytes));
        }
        assert_eq!(input.position, Position { bytes: bytes.len() as u64, lines: found.len() as u64 });
        found
    }

    #[test]
    fn lines_end_as_they_like() {
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
    fn a_line_is_too_long_by_its_own_bytes_only() {
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
    fn reading_goes_on_from_a_place() {
        let mut input = input("\u{feff}a\nb\nc\n".as_bytes());
        let mut line = Vec::new();
        // The very beginning lies before the mark that was passed over.
        input.forward(Position::default()).expect("stay");
        input.line(&mut line, 9).expect("read");
        assert_eq!(line, b"a");
        input.forward(Position { bytes: 7, lines: 2 }).expect("forward");
        input.line(&mut line, 9).expect("read");
        assert_eq!((line.as_slice(), input.position.lines), (&b"c"[..], 3));
    }

    #[test]
    fn a_stop_ends_reading() {
        let (sender, stop) = watch::channel(false);
        let mut input = Input::open(Cursor::new(vec![b'x'; 10 * BUFFER]), stop).expect("open");
        sender.send_replace(true);
        assert!(input.line(&mut Vec::new(), 9).is_err());
    }
}
