//! Rows of CSV as RFC 4180 has them: commas, quotes doubled inside of quotes, line feeds inside of quotes. Rows may
//! end in LF as well as CRLF.

use std::io::{self, Read, Seek};

use crate::input::Input;

/// One row.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// How many fields it has.
    pub count: usize,
    /// The fields that were asked for, as far as the row has them.
    pub kept: Vec<Vec<u8>>,
    /// Nothing stands in it.
    pub blank: bool,
    /// What is wrong with it; then the fields mean nothing.
    pub fault: Option<Fault>,
}

/// Why a row is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has more bytes than allowed.
    TooLong,
    /// A quote stands inside of a field that does not begin with one.
    StrayQuote,
    /// Something follows the quote that ends a field.
    AfterQuote,
    /// A quote is open at the end of the input, so the row has swallowed all that came after it.
    Unclosed,
}

enum State {
    /// Nothing of the field was read.
    Start,
    Plain,
    Quoted,
    /// After a quote within quotes: the end of the field, or the first half of a doubled quote.
    Quote,
    /// After a carriage return behind the quote that ended the field.
    Return,
}

/// Reads one row; keeps all of its fields, or the one that `wanted` names. None at the end of the input. A row with
/// more than `most` bytes is passed over.
pub(crate) fn row<R: Read + Seek>(
    input: &mut Input<R>,
    wanted: Option<usize>,
    most: usize,
) -> io::Result<Option<Row>> {
    let mut machine = Machine::new(wanted, most);
    loop {
        let bytes = input.fill()?;
        if bytes.is_empty() {
            if machine.bytes == 0 {
                return Ok(None);
            }
            input.end_line();
            return Ok(Some(machine.end()));
        }
        // One line at most: that is as much as can be taken at once, and no more than one row ends in it.
        let line = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |place| place + 1);
        let mut ended = false;
        for &byte in &bytes[..line] {
            ended = machine.step(byte);
        }
        input.take(line);
        if ended {
            return Ok(Some(machine.end()));
        }
    }
}

struct Machine {
    state: State,
    row: Row,
    field: Vec<u8>,
    wanted: Option<usize>,
    bytes: usize,
    most: usize,
}

impl Machine {
    fn new(wanted: Option<usize>, most: usize) -> Self {
        Self { state: State::Start, row: Row::default(), field: Vec::new(), wanted, bytes: 0, most }
    }

    /// Takes one byte; true if it ended the row.
    fn step(&mut self, byte: u8) -> bool {
        self.bytes += 1;
        // Two more for the row's end, which does not count; what came without one is counted at the end.
        if self.bytes > self.most + 2 {
            self.fault(Fault::TooLong);
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
                    self.fault(Fault::StrayQuote);
                }
                self.keep(byte);
                self.state = State::Plain;
            }
            (State::Quote | State::Return, _) => {
                self.fault(Fault::AfterQuote);
                self.state = State::Plain;
            }
        }
        false
    }

    /// The row, when its end was read or that of the input.
    fn end(mut self) -> Row {
        if matches!(self.state, State::Quoted) {
            self.row.fault = Some(Fault::Unclosed);
        }
        self.strip_return();
        if self.bytes > self.most {
            self.fault(Fault::TooLong);
        }
        self.row.blank = self.row.count == 0 && matches!(self.state, State::Start);
        self.finish_field();
        self.row
    }

    /// A carriage return before the row's end belongs to it, unless it is quoted.
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
        if self.row.fault.is_none() && self.wanted.is_none_or(|wanted| wanted == self.row.count) {
            self.row.kept.push(field);
        }
        self.row.count += 1;
        self.state = State::Start;
    }

    /// The first fault is the one to tell.
    fn fault(&mut self, fault: Fault) {
        self.row.fault.get_or_insert(fault);
        self.field = Vec::new();
        self.row.kept = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::tests::input;

    fn rows(bytes: &[u8], most: usize) -> Vec<Row> {
        let mut input = input(bytes);
        let rows = std::iter::from_fn(|| row(&mut input, None, most).expect("read")).collect();
        assert_eq!(input.position.bytes, bytes.len() as u64);
        let ends = bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let is_open = bytes.last().is_some_and(|&byte| byte != b'\n');
        assert_eq!(input.position.lines, ends + u64::from(is_open));
        rows
    }

    fn fields(bytes: &str) -> Vec<Vec<String>> {
        let text = |field: &Vec<u8>| String::from_utf8(field.clone()).expect("UTF-8");
        rows(bytes.as_bytes(), 100)
            .iter()
            .map(|row| {
                assert_eq!((row.fault, row.count), (None, row.kept.len()), "{bytes:?}");
                row.kept.iter().map(text).collect()
            })
            .collect()
    }

    #[test]
    fn rows_and_fields_end_as_the_standard_says() {
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
    fn a_blank_row_is_told_from_an_empty_field() {
        let blank = |bytes: &[u8]| rows(bytes, 9).iter().map(|row| row.blank).collect::<Vec<_>>();
        assert_eq!(blank(b"\n\r\n\"\"\n,\n \n\r"), [true, true, false, false, false, true]);
    }

    #[test]
    fn a_fault_ends_with_its_row() {
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
            assert!(rows[0].kept.is_empty(), "{bytes:?}");
            assert!(rows[1..].iter().all(|row| row.kept == [b"d"]), "{bytes:?}");
        }
        for fits in ["1234567890\r\nd", "1234567890", "1234567890\r", "\"2345678\"\r\n"] {
            assert_eq!(rows(fits.as_bytes(), 10)[0].fault, None, "{fits:?}");
        }
    }

    #[test]
    fn only_the_wanted_field_is_kept() {
        let mut input = input(b"a,b,c\nd\n");
        let first = row(&mut input, Some(1), 9).expect("read").expect("a row");
        assert_eq!((first.count, first.kept), (3, vec![b"b".to_vec()]));
        let second = row(&mut input, Some(1), 9).expect("read").expect("a row");
        assert_eq!((second.count, second.kept.len()), (1, 0));
    }
}
