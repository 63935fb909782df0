//! A CSV parser for RFC 4180, which also accepts rows that end in LF.

use std::io::{self, Read, Seek};

use crate::input::Input;

/// A row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Number of fields.
    pub count: usize,
    /// The requested fields that the row has, with their indexes.
    pub fields: Vec<(usize, Vec<u8>)>,
    /// Whether the row is empty.
    pub blank: bool,
    /// Why the row is invalid; if set, the fields are empty.
    pub fault: Option<Fault>,
}

/// Why a row is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// More bytes than allowed.
    TooLong,
    /// A quote inside an unquoted field.
    StrayQuote,
    /// Text after a closing quote.
    AfterQuote,
    /// A quote still open at the end of the input, so the row contains the rest of the file.
    Unclosed,
}

enum State {
    /// At the start of a field.
    Start,
    Plain,
    Quoted,
    /// After a quote inside a quoted field: the closing quote or the first half of a doubled quote.
    Quote,
    /// After a closing quote and a carriage return.
    Return,
}

impl Row {
    /// Takes a field; `None` if the row does not have it, or it was not requested.
    pub(crate) fn take(&mut self, index: usize) -> Option<Vec<u8>> {
        let place = self.fields.iter().position(|(found, _)| *found == index)?;
        Some(self.fields.swap_remove(place).1)
    }
}

/// Reads a row; returns all of its fields, or only those with the indexes `wanted`. `None` at the end of the input. Skips
/// the contents of a row with more than `max` bytes.
pub(crate) fn row<R: Read + Seek>(
    input: &mut Input<R>,
    wanted: Option<&[usize]>,
    max: usize,
) -> io::Result<Option<Row>> {
    let mut parser = Parser::new(wanted, max);
    loop {
        let bytes = input.fill()?;
        if bytes.is_empty() {
            if parser.bytes == 0 {
                return Ok(None);
            }
            input.end_line();
            return Ok(Some(parser.finish()));
        }
        // One line at most, because no more than one row can end in it.
        let line = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |index| index + 1);
        let mut ended = false;
        for &byte in &bytes[..line] {
            ended = parser.step(byte);
        }
        input.consume(line);
        if ended {
            return Ok(Some(parser.finish()));
        }
    }
}

struct Parser<'a> {
    state: State,
    row: Row,
    field: Vec<u8>,
    wanted: Option<&'a [usize]>,
    bytes: usize,
    max: usize,
}

impl<'a> Parser<'a> {
    fn new(wanted: Option<&'a [usize]>, max: usize) -> Self {
        Self { state: State::Start, row: Row::default(), field: Vec::new(), wanted, bytes: 0, max }
    }

    /// Processes a byte; true if it ended the row.
    fn step(&mut self, byte: u8) -> bool {
        self.bytes += 1;
        // Allows two bytes for the line ending, which does not count. `finish` checks the exact length.
        if self.bytes > self.max + 2 {
            self.fail(Fault::TooLong);
        }
        match (&self.state, byte) {
            (State::Quoted, b'"') => self.state = State::Quote,
            (State::Quoted, _) => self.keep(byte),
            (State::Start, b'"') => self.state = State::Quoted,
            (State::Quote, b'"') => {
                self.keep(byte);
                self.state = State::Quoted;
            }
            (State::Start | State::Plain | State::Quote, b',') => self.finish_field(),
            (_, b'\n') => {
                self.bytes -= 1;
                return true;
            }
            (State::Quote, b'\r') => self.state = State::Return,
            (State::Start | State::Plain, _) => {
                if byte == b'"' {
                    self.fail(Fault::StrayQuote);
                }
                self.keep(byte);
                self.state = State::Plain;
            }
            (State::Quote | State::Return, _) => {
                self.fail(Fault::AfterQuote);
                self.state = State::Plain;
            }
        }
        false
    }

    /// The complete row.
    fn finish(mut self) -> Row {
        if matches!(self.state, State::Quoted) {
            self.row.fault = Some(Fault::Unclosed);
        }
        self.strip_return();
        if self.bytes > self.max {
            self.fail(Fault::TooLong);
        }
        self.row.blank = self.row.count == 0 && matches!(self.state, State::Start);
        self.finish_field();
        self.row
    }

    /// Removes an unquoted carriage return at the end, which is part of the line ending.
    fn strip_return(&mut self) {
        match self.state {
            State::Return => self.bytes -= 1,
            State::Plain if self.field.pop_if(|last| *last == b'\r').is_some() => {
                self.bytes -= 1;
                if self.field.is_empty() {
                    self.state = State::Start;
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.row.fault.is_none() {
            self.field.push(byte);
        }
    }

    fn finish_field(&mut self) {
        let field = std::mem::take(&mut self.field);
        if self.row.fault.is_none() && self.wanted.is_none_or(|wanted| wanted.contains(&self.row.count)) {
            self.row.fields.push((self.row.count, field));
        }
        self.row.count += 1;
        self.state = State::Start;
    }

    /// Records the first fault.
    fn fail(&mut self, fault: Fault) {
        self.row.fault.get_or_insert(fault);
        self.field = Vec::new();
        self.row.fields = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::tests::input;

    fn rows(bytes: &[u8], max: usize) -> Vec<Row> {
        let mut input = input(bytes);
        let rows = std::iter::from_fn(|| row(&mut input, None, max).expect("read")).collect();
        assert_eq!(input.position.bytes, bytes.len() as u64);
        let ends = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let is_open = bytes.last().is_some_and(|&byte| byte != b'\n');
        assert_eq!(input.position.lines, ends + u64::from(is_open));
        rows
    }

    fn fields(bytes: &str) -> Vec<Vec<String>> {
        let text = |(_, field): &(usize, Vec<u8>)| String::from_utf8(field.clone()).expect("UTF-8");
        rows(bytes.as_bytes(), 100)
            .iter()
            .map(|row| {
                assert_eq!((row.fault, row.count), (None, row.fields.len()), "{bytes:?}");
                row.fields.iter().map(text).collect()
            })
            .collect()
    }

    #[test]
    fn rows_and_fields_are_split() {
        for (bytes, expected) in [
            ("", &[][..]),
            ("a,b\nc,d", &[&["a", "b"][..], &["c", "d"]]),
            ("a,b\r\nc,d\r\n", &[&["a", "b"], &["c", "d"]]),
            ("a,\n,b\n,", &[&["a", ""], &["", "b"], &["", ""]]),
            ("\"a,b\",\"c\"\"d\"\r\n", &[&["a,b", "c\"d"]]),
            ("\"a\nb\r\nc\",d\n", &[&["a\nb\r\nc", "d"]]),
            ("\"\",\"\"\"\"\n", &[&["", "\""]]),
            ("\"a\"\r\n\"b\"", &[&["a"], &["b"]]),
            ("\"a\"\r", &[&["a"]]),
            ("\"a\r\"\n", &[&["a\r"]]),
            ("a\rb,c\r", &[&["a\rb", "c"]]),
            ("\u{feff}ä,ö\n", &[&["ä", "ö"]]),
        ] {
            assert_eq!(fields(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_blank_row_differs_from_an_empty_field() {
        let blank = |bytes: &[u8]| rows(bytes, 9).iter().map(|row| row.blank).collect::<Vec<_>>();
        assert_eq!(blank(b"\n\r\n\"\"\n,\n \n\r"), [true, true, false, false, false, true]);
    }

    #[test]
    fn a_fault_affects_only_its_row() {
        for (bytes, fault, good) in [
            ("a\"b,c\nd", Fault::StrayQuote, 1),
            ("a\"b\"\nd", Fault::StrayQuote, 1),
            ("\"a\"b\nd", Fault::AfterQuote, 1),
            ("\"a\" ,b\nd", Fault::AfterQuote, 1),
            ("\"a\"\rb\nd", Fault::AfterQuote, 1),
            ("\"a\nb\nc", Fault::Unclosed, 0),
            ("12345678901\nd", Fault::TooLong, 1),
            ("\"2345\n7890\"\r\nd", Fault::TooLong, 1),
            (",,,,,,,,,,,,,,,,\nd", Fault::TooLong, 1),
        ] {
            let rows = rows(bytes.as_bytes(), 10);
            assert_eq!((rows[0].fault, rows.len() - 1), (Some(fault), good), "{bytes:?}");
            assert!(rows[0].fields.is_empty(), "{bytes:?}");
            assert!(rows[1..].iter().all(|row| row.fields == [(0, b"d".to_vec())]), "{bytes:?}");
        }
        for fits in ["1234567890\r\nd", "1234567890", "1234567890\r", "\"2345678\"\r\n"] {
            assert_eq!(rows(fits.as_bytes(), 10)[0].fault, None, "{fits:?}");
        }
    }

    #[test]
    fn only_the_requested_fields_are_returned() {
        let mut input = input(b"a,b,c,d\ne\n");
        let mut first = row(&mut input, Some(&[3, 1]), 9).expect("read").expect("a row");
        assert_eq!((first.count, first.fields.len()), (4, 2));
        let taken: Vec<_> = [3, 1, 0, 1].map(|index| first.take(index)).into();
        assert_eq!(taken, [Some(b"d".to_vec()), Some(b"b".to_vec()), None, None]);
        let second = row(&mut input, Some(&[3, 1]), 9).expect("read").expect("a row");
        assert_eq!((second.count, second.fields.len()), (1, 0));
    }
}
