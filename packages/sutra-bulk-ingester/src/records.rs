//! Reads the texts of an upload, one record at a time.

use std::fmt;
use std::io::{self, Read, Seek};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::csv::{self, Fault, Row};
use crate::excerpt::excerpt;
use crate::input::{Input, Position};
use crate::limits::Limits;
use crate::text::{self, Text};

/// Maximum size of a CSV header.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// The format of an upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON lines: one object with a `text`, or one string, per line.
    JsonL,
    /// CSV (RFC 4180) with a header.
    Csv {
        /// Name of the column with the texts.
        column: String,
    },
}

/// A JSON line or a CSV row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Number of its first line, counted from 1.
    pub line: u64,
    /// Its content.
    pub content: Content,
}

/// The content of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A valid text.
    Text(Text),
    /// A blank line; not an error.
    Blank,
    /// Invalid, for this reason.
    Bad(String),
    /// Invalid, for this reason, and so is the rest of the upload.
    Truncated(String),
}

/// Why an upload cannot be read at all.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// A disk error.
    Disk(io::Error),
    /// An invalid CSV header, with the problem.
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
            Self::Disk(error) => write!(formatter, "cannot read the upload: {error}"),
            Self::Header(problem) => formatter.write_str(problem),
        }
    }
}

/// A reader of records; holds one at a time.
pub(crate) struct Records<R> {
    input: Input<R>,
    parser: Parser,
    line_bytes: usize,
    /// Maximum length of a text, in characters.
    pub text_characters: usize,
    line: Vec<u8>,
}

enum Parser {
    JsonL,
    Csv(Columns),
}

/// Where the fields of a row are.
#[derive(Debug)]
struct Columns {
    count: usize,
    text: usize,
    source: Option<usize>,
    title: Option<usize>,
}

impl<R: Read + Seek> Records<R> {
    /// Reads the header of a CSV file and stops before the first record.
    pub(crate) fn open(
        inner: R,
        format: &Format,
        limits: &Limits,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, Unreadable> {
        let mut input = Input::open(inner, stop)?;
        let parser = match format {
            Format::JsonL => Parser::JsonL,
            Format::Csv { column } => Parser::Csv(header(&mut input, column)?),
        };
        let (line_bytes, text_characters) = (limits.line_bytes, limits.text_characters);
        Ok(Self { input, parser, line_bytes, text_characters, line: Vec::new() })
    }

    /// Moves forward to a position between two records.
    pub(crate) fn seek_forward(&mut self, position: Position) -> io::Result<()> {
        self.input.seek_forward(position)
    }

    /// Current position.
    pub(crate) fn position(&self) -> Position {
        self.input.position
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        let line = self.input.position.lines + 1;
        let content = match &self.parser {
            Parser::JsonL => match self.input.line(&mut self.line, self.line_bytes)? {
                None => return Ok(None),
                Some(true) if self.line.iter().all(u8::is_ascii_whitespace) => Content::Blank,
                Some(true) => self.content_of(Text::from_json(&self.line)),
                Some(false) => Content::Bad(self.too_long()),
            },
            Parser::Csv(columns) => {
                let wanted: Vec<usize> =
                    [Some(columns.text), columns.source, columns.title].into_iter().flatten().collect();
                match csv::row(&mut self.input, Some(&wanted), self.line_bytes)? {
                    None => return Ok(None),
                    Some(row) if row.blank => Content::Blank,
                    Some(Row { fault: Some(Fault::Unclosed), .. }) => Content::Truncated(
                        "a quote opened here is never closed; nothing from this line on was taught"
                            .to_owned(),
                    ),
                    Some(row) => self.content_of(self.text_of(row, columns)),
                }
            }
        };
        Ok(Some(Record { line, content }))
    }

    fn text_of(&self, mut row: Row, columns: &Columns) -> Result<Text, String> {
        match row.fault {
            None => {}
            Some(Fault::TooLong) => return Err(self.too_long()),
            Some(Fault::AfterQuote) => {
                return Err("text after a closing quote; double quotes inside a quoted field".to_owned());
            }
            Some(Fault::StrayQuote | Fault::Unclosed) => {
                return Err("quote inside an unquoted field; quote the field and double the quote".to_owned());
            }
        }
        if row.count != columns.count {
            let (found, expected) = (row.count, columns.count);
            let noun = if found == 1 { "field" } else { "fields" };
            return Err(format!(
                "{found} {noun} but the header has {expected}; quote fields that contain commas"
            ));
        }
        let mut field = |name: &str, index: Option<usize>| {
            let bytes = index.and_then(|index| row.take(index)).unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| format!("the {name} is not UTF-8"))
        };
        let text = field("text", Some(columns.text))?;
        let (source, title) = (field("source", columns.source)?, field("title", columns.title)?);
        // An empty field means that there is none.
        let given = |field: &String| !field.trim().is_empty();
        let source = Some(source).filter(given).map(|source| text::source(&source)).transpose()?;
        let title = Some(title).filter(given).map(|title| text::title(&title)).transpose()?;
        Ok(Text { text, source, title, metadata: None })
    }

    fn too_long(&self) -> String {
        format!("longer than the maximum of {} bytes (MAX_LINE_BYTES)", self.line_bytes)
    }

    /// A text or its problem as content.
    fn content_of(&self, text: Result<Text, String>) -> Content {
        let text = match text {
            Ok(text) => text,
            Err(problem) => return Content::Bad(problem),
        };
        if text.text.trim().is_empty() {
            return Content::Bad("the text is empty".to_owned());
        }
        let max = self.text_characters;
        // A text has at most as many characters as bytes.
        let count = if text.text.len() > max { text.text.chars().count() } else { 0 };
        if count > max {
            return Content::Bad(format!(
                "the text has {count} characters; the maximum is {max} (MAX_TEXT_CHARACTERS, or hybrid's own limit)"
            ));
        }
        Content::Text(text)
    }
}

/// Finds the columns in the header: the one with the texts, and `source` and `title` if there are such.
fn header<R: Read + Seek>(input: &mut Input<R>, column: &str) -> Result<Columns, Unreadable> {
    let invalid = |problem: String| Err(Unreadable::Header(problem));
    let Some(row) = csv::row(input, None, MAX_HEADER_BYTES)? else {
        return invalid("missing header; the first line must name the columns".to_owned());
    };
    match row.fault {
        None => {}
        Some(Fault::TooLong) => {
            return invalid(format!(
                "the header has more than {MAX_HEADER_BYTES} bytes; the first line must name the columns"
            ));
        }
        Some(_) => {
            return invalid("misplaced or unclosed quote in the header".to_owned());
        }
    }
    let names: Vec<_> = row.fields.iter().map(|(_, name)| String::from_utf8_lossy(name)).collect();
    let find = |column: &str| {
        let mut indexes = (0..names.len()).filter(|&index| names[index] == column);
        (indexes.next(), indexes.next())
    };
    let text = match find(column) {
        (Some(index), None) => index,
        (None, _) => {
            return invalid(format!(
                "column {column:?} not found in the header; set ?column= to the column with the texts: {}",
                excerpt(&names.join(", "))
            ));
        }
        _ => return invalid(format!("duplicate column in the header: {column:?}")),
    };
    // A column with the texts is not also something else, and of two columns neither is meant.
    let other = |name: &str| match find(name) {
        (index, None) => index.filter(|&index| index != text),
        _ => None,
    };
    Ok(Columns { count: names.len(), text, source: other("source"), title: other("title") })
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
                Content::Text(Text { text, source: None, title: None, metadata: None }) => (line, text),
                Content::Text(text) => (line, text.to_json(None)),
                Content::Blank => continue,
                Content::Bad(reason) => (line, format!("bad: {reason}")),
                Content::Truncated(reason) => (line, format!("truncated: {reason}")),
            });
        }
        assert_eq!(records.position().bytes, bytes.len() as u64);
        Ok(found)
    }

    fn check(bytes: &[u8], format: &Format, expected: &[(u64, &str)]) {
        let found = read(bytes, format).expect("readable");
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((line, text), (expected_line, expected_text)) in found.iter().zip(expected) {
            assert_eq!(line, expected_line);
            let fits = if text.contains(": ") { text.contains(expected_text) } else { text == expected_text };
            assert!(fits, "line {line}: {text}, expected {expected_text}");
        }
    }

    fn csv(column: &str) -> Format {
        Format::Csv { column: column.to_owned() }
    }

    #[test]
    fn json_lines() {
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
                (6, "bad: expected a JSON object"),
                (7, "expected a string at column"),
                (8, "missing field `text`"),
                (9, "duplicate field `text`"),
                (10, "expected a JSON object"),
                (11, "bad: the text is empty"),
                (12, "11 characters; the maximum is 10"),
                (13, "EOF"),
                (14, "unicode"),
                (15, "column"),
                (16, "maximum of 60 bytes"),
                (17, "ääääääääää"),
                (18, "trailing characters"),
                (19, "expected a JSON object"),
                (20, "last"),
            ],
        );
    }

    #[test]
    fn csv_rows() {
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
                (7, "3 fields but the header has 2"),
                (8, "1 field but"),
                (9, "the text is empty"),
                (10, "not UTF-8"),
                (11, "h"),
                (12, "inside an unquoted field"),
                (13, "after a closing quote"),
                (14, "11 characters"),
                (15, "maximum of 60 bytes"),
                (17, "m"),
                (18, "truncated: a quote"),
            ],
        );
        check(b"\"the \"\"text\"\"\",x\n\"a\",\n", &csv("the \"text\""), &[(2, "a")]);
        let body = format!("title,x,text,source\nT,,a,h b.md\n ,,b,\n,,c,{}\n,,d,\u{ff}\n", "s".repeat(501));
        let body: Vec<u8> = body.chars().map(|char| u8::try_from(char).expect("Latin-1")).collect();
        check(
            &body,
            &csv("text"),
            &[
                (2, "{\"text\":\"a\",\"source\":\"h b.md\",\"title\":\"T\"}"),
                (3, "b"),
                (4, "maximum of 60 bytes"),
                (5, "bad: the source is not UTF-8"),
            ],
        );
        // A column with the texts is not a source as well.
        check(b"source,title\na,\n", &csv("source"), &[(2, "a")]);
        // Of two columns neither is.
        let body = b"source,text,title,title,source\ns,a,t,u,v\n";
        check(body, &csv("text"), &[(2, "a")]);
        check(
            b"title,text,source,source\nt,a,s,u\n",
            &csv("text"),
            &[(2, "{\"text\":\"a\",\"title\":\"t\"}")],
        );
        check(b"text", &csv("text"), &[]);
    }

    #[test]
    fn invalid_headers_are_explained() {
        let long = format!("text,{}\na,b", "x".repeat(MAX_HEADER_BYTES));
        for (bytes, expected) in [
            ("", "missing header"),
            ("\n1,a\n", "column \"text\" not found"),
            ("id;text\n", "set ?column= to the column with the texts: id;text"),
            ("Text\n", "with the texts: Text"),
            ("text,id,text\n", "duplicate column"),
            ("te\"xt,id\n", "quote"),
            ("\"text\n", "quote"),
            (&long, "more than 65536 bytes"),
        ] {
            let problem = read(bytes.as_bytes(), &csv("text")).expect_err(bytes);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
