//! Batches: the texts of one call to hybrid.

use std::io::{self, Read, Seek};

use crate::input::Position;
use crate::job::BadLines;
use crate::limits::Limits;
use crate::records::{Content, Records};

/// Maximum number of records in a batch, valid or not, so that progress is saved during long runs without texts.
const MAX_RECORDS: usize = 10_000;

/// A text and its line number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The text as hybrid takes it, as JSON.
    pub json: String,
}

/// A section of an upload.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Lines to teach.
    pub lines: Vec<Line>,
    /// Lines that cannot be taught.
    pub bad: BadLines,
    /// End position.
    pub end: Position,
    /// Whether this is the last batch.
    pub is_last: bool,
    /// Why the rest of the upload cannot be read, if so.
    pub truncated: Option<String>,
}

/// Groups records into batches.
pub(crate) struct Batches<R> {
    records: Records<R>,
    limits: Limits,
    /// The source of texts without one.
    source: Option<String>,
    /// A text that did not fit into the previous batch, and the position after it.
    next: Option<(Line, Position)>,
}

impl<R: Read + Seek> Batches<R> {
    /// Groups `records` into batches within `limits`. `source` is that of texts without one.
    pub(crate) fn new(records: Records<R>, limits: Limits, source: Option<String>) -> Self {
        Self { records, limits, source, next: None }
    }

    /// Changes the limits of further batches.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.records.text_characters = limits.text_characters;
        self.limits = limits;
    }

    /// The next batch. Must not be called after the last batch.
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
                Content::Truncated(reason) => {
                    batch.truncated = Some(format!("line {}: {reason}", record.line));
                    batch.bad.add(record.line, reason);
                }
                Content::Text(text) => {
                    let line = Line { number: record.line, json: text.to_json(self.source.as_deref()) };
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
        records.seek_forward(from).expect("seek");
        Batches::new(records, limits.clone(), None)
    }

    fn split(text: &str, limits: &Limits) -> Vec<Vec<String>> {
        let mut reader = batches(text, limits, Position::default());
        let mut found = Vec::new();
        loop {
            let batch = reader.next().expect("a batch");
            // Reading from the end of a batch must give the next batch.
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
    fn batches_are_limited_by_count_and_bytes() {
        let limits = Limits { batch_texts: 3, batch_bytes: 20, ..Limits::of("simple") };
        assert_eq!(
            split("\"a\"\n\"b\"\n\"c\"\n\"d\"\n", &limits),
            [vec!["\"a\"", "\"b\"", "\"c\""], vec!["\"d\""]]
        );
        assert_eq!(
            split("\"1234567\"\n\"1234567\"\n\"12345678901234567890\"\n\"c\"\n", &limits),
            [vec!["\"1234567\"", "\"1234567\""], vec!["\"12345678901234567890\""], vec!["\"c\""]]
        );
        assert_eq!(split("\"a\"\n\"b\"\n\"c\"\n", &limits), [vec!["\"a\"", "\"b\"", "\"c\""], vec![]]);
        assert_eq!(split("", &limits), [Vec::<String>::new()]);
    }

    #[test]
    fn limits_may_change_between_batches() {
        let limits = Limits { batch_texts: 2, ..Limits::of("simple") };
        let mut reader = batches("\"a\"\n\"b\"\n\"c\"\n\"dd\"\n\"e\"\n", &limits, Position::default());
        reader.source = Some("s".to_owned());
        let json = |batch: &Batch| batch.lines.iter().map(|line| line.json.clone()).collect::<Vec<_>>();
        let line = |text: &str| format!("{{\"text\":\"{text}\",\"source\":\"s\"}}");
        assert_eq!(json(&reader.next().expect("a batch")), [line("a"), line("b")]);
        reader.set_limits(Limits { batch_texts: 9, text_characters: 1, ..limits });
        let batch = reader.next().expect("a batch");
        assert_eq!((json(&batch), batch.bad.listed[0].line), (vec![line("c"), line("e")], 4));
    }

    #[test]
    fn long_runs_of_bad_lines_are_split() {
        let limits = Limits::of("simple");
        let mut reader = batches(&"nonsense\n".repeat(MAX_RECORDS + 5), &limits, Position::default());
        let first = reader.next().expect("a batch");
        assert_eq!((first.bad.count, first.end.lines, first.is_last), (10_000, 10_000, false));
        assert_eq!(first.bad.listed.len(), crate::limits::MAX_LISTED_BAD_LINES);
        let second = reader.next().expect("a batch");
        assert_eq!((second.bad.count, second.bad.listed[0].line, second.is_last), (5, 10_001, true));
    }
}
