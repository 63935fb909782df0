//! As many texts as go to hybrid in one call.

use std::io::{self, Read, Seek};

use crate::input::Position;
use crate::job::BadLines;
use crate::limits::Limits;
use crate::records::{Content, Records};

/// Records in one batch, good or bad: progress is saved even where no text is found for long.
const MAX_RECORDS: usize = 10_000;

/// A text with the line that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The text as a JSON string, ready to be sent.
    pub json: String,
}

/// A stretch of an upload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// What is to be taught.
    pub lines: Vec<Line>,
    /// What cannot be.
    pub bad: BadLines,
    /// Where it ends.
    pub end: Position,
    /// Nothing comes after it.
    pub is_last: bool,
    /// Why nothing after it can be read, if that is so.
    pub cut: Option<String>,
}

/// Cuts records into batches.
pub(crate) struct Batches<R> {
    records: Records<R>,
    limits: Limits,
    /// A text that did not fit into the batch before, with the place after it.
    next: Option<(Line, Position)>,
}

impl<R: Read + Seek> Batches<R> {
    /// Batches within these limits.
    pub(crate) fn new(records: Records<R>, limits: Limits) -> Self {
        Self { records, limits, next: None }
    }

    /// The next batch. After the one that says that it is the last, there is none to ask for.
    pub(crate) fn next(&mut self) -> io::Result<Batch> {
        let mut batch = Batch { end: self.records.position(), ..Batch::default() };
        let mut bytes = 0;
        if let Some((line, end)) = self.next.take() {
            bytes = line.json.len();
            batch.end = end;
            batch.lines.push(line);
        }
        for _ in 0..MAX_RECORDS {
            if batch.lines.len() >= self.limits.batch_texts {
                return Ok(batch);
            }
            let Some(record) = self.records.next()? else {
                batch.is_last = true;
                break;
            };
            match record.content {
                Content::Blank => {}
                Content::Bad(reason) => batch.bad.add(record.line, reason),
                Content::Cut(reason) => {
                    batch.cut = Some(format!("line {}: {reason}", record.line));
                    batch.bad.add(record.line, reason);
                }
                Content::Text(text) => {
                    let json = serde_json::Value::String(text).to_string();
                    let line = Line { number: record.line, json };
                    bytes += line.json.len() + 1;
                    if bytes > self.limits.batch_bytes && !batch.lines.is_empty() {
                        self.next = Some((line, self.records.position()));
                        return Ok(batch);
                    }
                    batch.lines.push(line);
                }
            }
            batch.end = self.records.position();
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Format;
    use std::io::Cursor;
    use tokio::sync::watch;

    fn batches(text: &str, limits: &Limits, from: Position) -> Batches<Cursor<Vec<u8>>> {
        let inner = Cursor::new(text.as_bytes().to_vec());
        let mut records =
            Records::open(inner, &Format::JsonL, limits, watch::channel(false).1).expect("open");
        records.forward(from).expect("forward");
        Batches::new(records, limits.clone())
    }

    fn cut(text: &str, limits: &Limits) -> Vec<Vec<String>> {
        let mut cutter = batches(text, limits, Position::default());
        let mut found = Vec::new();
        loop {
            let batch = cutter.next().expect("a batch");
            // Whoever goes on from the end of a batch finds what comes after it.
            if !batch.is_last {
                let again = batches(text, limits, batch.end).next().expect("again");
                found.push((again, batch));
                continue;
            }
            found.push((Batch::default(), batch));
            break;
        }
        for pair in found.windows(2) {
            assert_eq!(pair[0].0, pair[1].1);
        }
        found.into_iter().map(|(_, batch)| batch.lines.into_iter().map(|line| line.json).collect()).collect()
    }

    #[test]
    fn a_batch_is_bounded_by_count_and_by_bytes() {
        let limits = Limits { batch_texts: 3, batch_bytes: 20, ..Limits::of("simple") };
        assert_eq!(
            cut("\"a\"\n\"b\"\n\"c\"\n\"d\"\n", &limits),
            [vec!["\"a\"", "\"b\"", "\"c\""], vec!["\"d\""]]
        );
        assert_eq!(
            cut("\"1234567\"\n\"1234567\"\n\"12345678901234567890\"\n\"c\"\n", &limits),
            [vec!["\"1234567\"", "\"1234567\""], vec!["\"12345678901234567890\""], vec!["\"c\""]]
        );
        assert_eq!(cut("\"a\"\n\"b\"\n\"c\"\n", &limits), [vec!["\"a\"", "\"b\"", "\"c\""], vec![]]);
        assert_eq!(cut("", &limits), [Vec::<String>::new()]);
    }

    #[test]
    fn bad_lines_are_counted_and_long_stretches_of_them_are_cut() {
        let limits = Limits::of("simple");
        let mut cutter = batches(&"nonsense\n".repeat(MAX_RECORDS + 5), &limits, Position::default());
        let first = cutter.next().expect("a batch");
        assert_eq!((first.bad.count, first.end.lines, first.is_last), (10_000, 10_000, false));
        assert_eq!(first.bad.listed.len(), crate::limits::MAX_LISTED_BAD_LINES);
        let second = cutter.next().expect("a batch");
        assert_eq!((second.bad.count, second.bad.listed[0].line, second.is_last), (5, 10_001, true));
    }
}
