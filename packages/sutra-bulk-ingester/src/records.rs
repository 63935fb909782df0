//! The texts of an upload, one by one, or what is wrong with them.

use std::fmt;
use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::csv::{self, Fault, Row};
use crate::input::{Input, Position};
use crate::limits::Limits;

/// The longest header of a CSV file.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// How an upload is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub(crate) enum Format {
    /// One JSON value a line: an object with a `text`, or a string.
    JsonL,
    /// RFC 4180 with a header, one column of which holds the texts.
    Csv {
        /// The column's name in the header.
        column: String,
    },
}

/// One line of JSON or one row of CSV.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line that it begins in, counted from 1.
    pub line: u64,
    /// What it holds.
    pub content: Content,
}

/// What a record holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text within the limits.
    Text(String),
    /// Nothing, which is no fault.
    Blank,
    /// No usable text; says why.
    Bad(String),
    /// No usable text, and nothing after it can be read either.
    Cut(String),
}

/// Why an upload cannot be read at all.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The disk's fault.
    Disk(io::Error),
    /// The header's fault, in words.
    Header(String),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => write!(formatter, "the upload cannot be read: {error}"),
            Self::Header(what) => formatter.write_str(what),
        }
    }
}

/// Reads records; never holds more than one.
pub(crate) struct Records<R> {
    input: Input<R>,
    parser: Parser,
    line_bytes: usize,
    text_characters: usize,
    line: Vec<u8>,
}

enum Parser {
    JsonL,
    Csv { index: usize, count: usize },
}

impl<R: Read + Seek> Records<R> {
    /// Begins with the first record; reads the header of CSV.
    pub(crate) fn open(
        inner: R,
        format: &Format,
        limits: &Limits,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Unreadable> {
        let mut input = Input::open(inner, stop)?;
        let parser = match format {
            Format::JsonL => Parser::JsonL,
            Format::Csv { column } => {
                let (index, count) = header(&mut input, column)?;
                Parser::Csv { index, count }
            }
        };
        let (line_bytes, text_characters) = (limits.line_bytes, limits.text_characters);
        Ok(Self { input, parser, line_bytes, text_characters, line: Vec::new() })
    }

    /// Goes on from a place between two records.
    pub(crate) fn forward(&mut self, position: Position) -> io::Result<()> {
        self.input.forward(position)
    }

    /// How far it was read.
    pub(crate) fn position(&self) -> Position {
        self.input.position
    }

    /// The next record; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        let line = self.input.position.lines + 1;
        let content = match self.parser {
            Parser::JsonL => match self.input.line(&mut self.line, self.line_bytes)? {
                None => return Ok(None),
                Some(true) => from_json(&self.line),
                Some(false) => Content::Bad(self.too_long()),
            },
            Parser::Csv { index, count } => match csv::row(&mut self.input, Some(index), self.line_bytes)? {
                None => return Ok(None),
                Some(row) => self.content_of(row, count),
            },
        };
        let content = match content {
            Content::Text(text) => self.checked(text),
            other => other,
        };
        Ok(Some(Record { line, content }))
    }

    fn content_of(&self, row: Row, count: usize) -> Content {
        if row.blank {
            return Content::Blank;
        }
        match row.fault {
            None => {}
            Some(Fault::Unclosed) => {
                return Content::Cut(
                    "a quote that is opened here is never closed, so nothing from here on was taught"
                        .to_owned(),
                );
            }
            Some(Fault::TooLong) => return Content::Bad(self.too_long()),
            Some(Fault::StrayQuote) => {
                return Content::Bad(
                    "a quote stands inside a field; put the field in quotes and double it".to_owned(),
                );
            }
            Some(Fault::AfterQuote) => {
                return Content::Bad(
                    "something follows the quote that ends a field; double quotes inside of a field"
                        .to_owned(),
                );
            }
        }
        if row.count != count {
            let found = row.count;
            return Content::Bad(format!(
                "it has {found} fields and the header has {count}; put fields with commas in quotes"
            ));
        }
        match row.kept.into_iter().next().map(String::from_utf8) {
            Some(Ok(text)) => Content::Text(text),
            _ => Content::Bad("the text is not UTF-8".to_owned()),
        }
    }

    fn too_long(&self) -> String {
        format!("it has more than {} bytes, which is the most (MAX_LINE_BYTES)", self.line_bytes)
    }

    fn checked(&self, text: String) -> Content {
        if text.trim().is_empty() {
            return Content::Bad("the text is empty".to_owned());
        }
        let most = self.text_characters;
        // Counting characters is only needed where bytes do not decide.
        let count = if text.len() > most { text.chars().count() } else { 0 };
        if count > most {
            return Content::Bad(format!(
                "the text has {count} characters; at most {most} are allowed (MAX_TEXT_CHARACTERS)"
            ));
        }
        Content::Text(text)
    }
}

/// The place of the column in the header, and how many columns there are.
fn header<R: Read + Seek>(input: &mut Input<R>, column: &str) -> Result<(usize, usize), Unreadable> {
    let refused = |what: String| Err(Unreadable::Header(what));
    let Some(row) = csv::row(input, None, MAX_HEADER_BYTES)? else {
        return refused("the file has no header; its first line must name the columns".to_owned());
    };
    match row.fault {
        None => {}
        Some(Fault::TooLong) => {
            return refused(format!(
                "the header has more than {MAX_HEADER_BYTES} bytes; its first line must name the columns"
            ));
        }
        Some(_) => {
            return refused(
                "the header has a quote in the wrong place, or one that is not closed".to_owned(),
            );
        }
    }
    let names: Vec<_> = row.kept.iter().map(|name| String::from_utf8_lossy(name)).collect();
    let mut places = (0..names.len()).filter(|&place| names[place] == column);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok((place, names.len())),
        (Some(_), Some(_)) => refused(format!("the header has the column {column:?} more than once")),
        (None, _) => refused(format!(
            "the header has no column {column:?} but {}; name the column of the texts with ?column=NAME",
            brief(&names.join(", "))
        )),
    }
}

fn from_json(line: &[u8]) -> Content {
    #[derive(Deserialize)]
    struct Object {
        text: String,
    }
    let parsed = match line.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => return Content::Blank,
        Some(b'"') => serde_json::from_slice(line),
        // Further fields are no fault: exports have them.
        Some(b'{') => serde_json::from_slice(line).map(|object: Object| object.text),
        Some(_) => {
            return Content::Bad("it is neither a JSON object with a \"text\" nor a JSON string".to_owned());
        }
    };
    match parsed {
        Ok(text) => Content::Text(text),
        // The parser counts lines too, but it sees one at a time.
        Err(error) => Content::Bad(brief(&error.to_string().replace(" at line 1 column ", " at column "))),
    }
}

/// A text short enough to be shown: at most 200 characters.
pub(crate) fn brief(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn read(bytes: &[u8], format: &Format) -> Result<Vec<(u64, String)>, String> {
        let limits = Limits { line_bytes: 60, text_characters: 10, ..Limits::of("simple") };
        let mut records =
            Records::open(Cursor::new(bytes.to_vec()), format, &limits, watch::channel(false).1)
                .map_err(|error| error.to_string())?;
        let mut found = Vec::new();
        while let Some(Record { line, content }) = records.next().expect("read") {
            found.push(match content {
                Content::Text(text) => (line, text),
                Content::Blank => continue,
                Content::Bad(reason) => (line, format!("bad: {reason}")),
                Content::Cut(reason) => (line, format!("cut: {reason}")),
            });
        }
        assert_eq!(records.position().bytes, bytes.len() as u64);
        Ok(found)
    }

    fn check(bytes: &[u8], format: &Format, expected: &[(u64, &str)]) {
        let found = read(bytes, format).expect("readable");
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, text), (expected_line, said)) in found.iter().zip(expected) {
            assert_eq!(line, expected_line);
            let fits = if text.contains(": ") { text.contains(said) } else { text == said };
            assert!(fits, "line {line}: {text} against {said}");
        }
    }

    fn csv(column: &str) -> Format {
        Format::Csv { column: column.to_owned() }
    }

    #[test]
    fn lines_of_json() {
        let mut bytes = "\u{feff}{\"text\": \"a\"}\r\n\n  \n\"b\"\n{\"id\":[[{}]],\"text\":\"\\u00fc\\n\"}\n"
            .as_bytes()
            .to_vec();
        bytes.extend_from_slice(
            b"nonsense\n{\"text\":1}\n{\"tekst\":\"a\"}\n{\"text\":\"a\",\"text\":\"b\"}\n[\"a\"]\n",
        );
        bytes.extend_from_slice(
            b"{\"text\":\" \\n \"}\n\"12345678901\"\n{\"text\":\"a\"\n{\"text\":\"\xff\"}\n\"\\ud800\"\n",
        );
        bytes.extend_from_slice(format!("{{\"x\":\"{}\"}}\n", "y".repeat(60)).as_bytes());
        bytes.extend_from_slice("\"ääääääääää\"\n{\"text\":\"a\"} {}\nnull\n\"last\"".as_bytes());
        check(
            &bytes,
            &Format::JsonL,
            &[
                (1, "a"),
                (4, "b"),
                (5, "ü\n"),
                (6, "bad: it is neither"),
                (7, "expected a string at column"),
                (8, "missing field `text`"),
                (9, "duplicate field `text`"),
                (10, "neither"),
                (11, "bad: the text is empty"),
                (12, "11 characters; at most 10"),
                (13, "EOF"),
                (14, "unicode"),
                (15, "column"),
                (16, "more than 60 bytes"),
                (17, "ääääääääää"),
                (18, "trailing characters"),
                (19, "neither"),
                (20, "last"),
            ],
        );
    }

    #[test]
    fn rows_of_csv() {
        let mut bytes =
            "\u{feff}id,text\r\n1,a\r\n\r\n2,\"b\nc\"\r\n3,\"d, \"\"e\"\"\"\r\n4,f,g\r\n5\r\n6,\r\n"
                .as_bytes()
                .to_vec();
        bytes.extend_from_slice(b"7,\xff\n\xff,h\n8,i\"j\n9,\"k\"l\n10,12345678901\n");
        bytes.extend_from_slice(format!("11,\"{}\n\"\n", "y".repeat(60)).as_bytes());
        bytes.extend_from_slice(b"12,m\n13,\"n\n14,o\n");
        check(
            &bytes,
            &csv("text"),
            &[
                (2, "a"),
                (4, "b\nc"),
                (6, "d, \"e\""),
                (7, "3 fields and the header has 2"),
                (8, "1 fields"),
                (9, "the text is empty"),
                (10, "not UTF-8"),
                (11, "h"),
                (12, "inside a field"),
                (13, "follows the quote"),
                (14, "11 characters"),
                (15, "more than 60 bytes"),
                (17, "m"),
                (18, "cut: a quote"),
            ],
        );
        check(b"\"the \"\"text\"\"\",x\n\"a\",\n", &csv("the \"text\""), &[(2, "a")]);
        check(b"text", &csv("text"), &[]);
    }

    #[test]
    fn a_header_that_cannot_be_used_is_explained() {
        let long = format!("text,{}\na,b", "x".repeat(MAX_HEADER_BYTES));
        for (bytes, says) in [
            ("", "no header"),
            ("\n1,a\n", "no column \"text\""),
            ("id;text\n", "but id;text; name the column of the texts with ?column"),
            ("Text\n", "no column \"text\" but Text"),
            ("text,id,text\n", "more than once"),
            ("te\"xt,id\n", "quote"),
            ("\"text\n", "quote"),
            (&long, "more than 65536 bytes"),
        ] {
            let what = read(bytes.as_bytes(), &csv("text")).expect_err(bytes);
            assert!(what.contains(says), "{what}");
        }
    }

    #[test]
    fn what_is_shown_is_short() {
        assert_eq!(brief(&"ä".repeat(200)), "ä".repeat(200));
        assert_eq!(brief(&"ä".repeat(201)), format!("{}…", "ä".repeat(200)));
    }
}
