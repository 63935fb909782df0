//! Reading typed fields out of a TOML table, where a fault is noted with its line and reading goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::names::Unknown;
use crate::reader::json;

/// One fault of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line in the file, from 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub text: String,
}

/// Collects faults while a file is read.
#[derive(Debug)]
pub struct Notes<'a> {
    text: &'a str,
    faults: RefCell<Vec<Fault>>,
}

impl<'a> Notes<'a> {
    /// Of this file.
    pub fn new(text: &'a str) -> Self {
        Notes { text, faults: RefCell::default() }
    }

    /// Notes a fault at a byte range.
    pub fn note(&self, span: Range<usize>, text: impl fmt::Display) {
        let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
        self.faults.borrow_mut().push(Fault { line, text: text.to_string() });
    }

    /// All faults, by line.
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults
    }
}

/// A table whose fields are taken one by one; what is left at the end is unknown.
#[derive(Debug)]
pub struct Fields<'a, 'i> {
    notes: &'a Notes<'a>,
    /// How messages call the table: `service.api`.
    name: String,
    span: Range<usize>,
    entries: BTreeMap<&'a str, &'a Spanned<DeValue<'i>>>,
    /// Where each key stands; outlives the taking of its value.
    spans: BTreeMap<&'a str, Range<usize>>,
    taken: Vec<&'static str>,
}

impl<'a, 'i> Fields<'a, 'i> {
    /// The fields of a table.
    pub fn new(
        notes: &'a Notes<'a>,
        name: impl Into<String>,
        table: &'a DeTable<'i>,
        span: Range<usize>,
    ) -> Self {
        let spans = table.iter().map(|(key, _)| (key.get_ref().as_ref(), key.span())).collect();
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect();
        Fields { notes, name: name.into(), span, entries, spans, taken: Vec::new() }
    }

    fn key_span(&self, key: &str) -> Range<usize> {
        self.spans.get(key).unwrap_or(&self.span).clone()
    }

    /// Notes a fault of a field, at its place.
    pub fn fault(&self, key: &str, text: impl fmt::Display) {
        self.notes.note(self.key_span(key), format!("{}: {text}", self.child(key)));
    }

    /// Whether anything was found wrong so far, in the whole file.
    pub fn has_faults(&self) -> bool {
        !self.notes.faults.borrow().is_empty()
    }

    /// Takes a field that may be absent.
    fn optional(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.taken.push(key);
        self.entries.remove(key)
    }

    fn required(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        let value = self.optional(key);
        if value.is_none() {
            let name = if self.name.is_empty() { "the manifest" } else { &self.name };
            self.notes.note(self.span.clone(), format!("{name} has no `{key}`: add it"));
        }
        value
    }

    fn text_of(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Option<&'a str> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.fault(key, "must be a text in quotes, not empty");
        }
        text
    }

    /// Takes a text that must be there.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.required(key)?;
        self.text_of(key, value)
    }

    /// Takes a text that may be absent.
    pub fn optional_text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.optional(key)?;
        self.text_of(key, value)
    }

    /// Takes a whole number within a range.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.required(key)?;
        let number = whole(value).filter(|number| range.contains(number));
        if number.is_none() {
            let (first, last) = (range.start(), range.end());
            let wanted = if first == last {
                format!("{first}")
            } else {
                format!("a whole number from {first} to {last}")
            };
            self.fault(key, format!("must be {wanted}"));
        }
        number
    }

    /// Takes a whole number that may be absent.
    pub fn optional_number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        self.entries.contains_key(key).then(|| self.number(key, range)).flatten()
    }

    /// Takes a number, whole or not, that may be absent.
    pub fn optional_real(&mut self, key: &'static str) -> Option<f64> {
        let value = self.optional(key)?;
        let number = json::of(value).and_then(|value| value.as_f64());
        if number.is_none() {
            self.fault(key, "must be a number");
        }
        number
    }

    /// Takes `true` or `false`; absent means `false`.
    pub fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.optional(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.fault(key, "must be true or false");
            false
        })
    }

    /// Takes any value that may be absent, as JSON.
    pub fn optional_json(&mut self, key: &'static str) -> Option<serde_json::Value> {
        let value = self.optional(key)?;
        let json = json::of(value);
        if json.is_none() {
            self.fault(key, "must be what JSON can say: no dates, no numbers beyond its range");
        }
        json
    }

    /// Takes a list of tables that may be absent.
    pub fn tables(&mut self, key: &'static str) -> Vec<Fields<'a, 'i>> {
        let Some(value) = self.optional(key) else {
            return Vec::new();
        };
        self.as_tables(key, value)
    }

    fn as_tables(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Vec<Fields<'a, 'i>> {
        let items = value.get_ref().as_array().map(|items| items.iter().collect::<Vec<_>>());
        let tables: Option<Vec<_>> = items.and_then(|items| {
            let one = |item: &&'a Spanned<DeValue<'i>>| {
                Some(Fields::new(self.notes, self.child(key), item.get_ref().as_table()?, item.span()))
            };
            items.iter().map(one).collect()
        });
        tables.unwrap_or_else(|| {
            self.fault(key, "must be a list of tables");
            Vec::new()
        })
    }

    /// Takes every remaining field as a list of tables, in the file's order.
    pub fn named_lists_of_tables(mut self) -> Vec<(String, Vec<Fields<'a, 'i>>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut lists: Vec<_> =
            entries.into_iter().map(|(key, value)| (key.to_owned(), self.as_tables(key, value))).collect();
        lists.sort_by_key(|(_, tables)| tables.first().map(|table| table.span.start));
        lists
    }

    /// Whether a field is there and was not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Notes a fault of the table itself.
    pub fn fault_here(&self, text: impl fmt::Display) {
        self.notes.note(self.span.clone(), format!("{}: {text}", self.name));
    }

    /// Takes a table that may be absent.
    pub fn table(&mut self, key: &'static str) -> Option<Fields<'a, 'i>> {
        let value = self.optional(key)?;
        self.as_table(key, value)
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Option<Fields<'a, 'i>> {
        match value.get_ref().as_table() {
            Some(table) => Some(Fields::new(self.notes, self.child(key), table, self.key_span(key))),
            None => {
                self.fault(key, "must be a table");
                None
            }
        }
    }

    fn child(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes a list of texts that may be absent.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.optional(key) else {
            return Vec::new();
        };
        let list = value.get_ref().as_array();
        let texts: Option<Vec<String>> = list
            .and_then(|items| items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.fault(key, "must be a list of texts, such as [\"a\", \"b\"]");
            Vec::new()
        })
    }

    /// Takes every remaining field as a table with a name of its own, in the file's order.
    pub fn named_tables(mut self) -> Vec<(String, Fields<'a, 'i>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut tables: Vec<_> = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), self.as_table(key, value)?)))
            .collect();
        tables.sort_by_key(|(_, table)| table.span.start);
        tables
    }

    /// Takes every remaining field as a text.
    pub fn named_texts(mut self) -> Vec<(String, String)> {
        let entries = std::mem::take(&mut self.entries);
        let texts = entries.into_iter();
        texts
            .filter_map(|(key, value)| Some((key.to_owned(), self.text_of(key, value)?.to_owned())))
            .collect()
    }

    /// Takes every remaining field as a whole number.
    pub fn named_numbers(mut self) -> Vec<(String, u64)> {
        let entries = std::mem::take(&mut self.entries);
        let mut numbers = Vec::new();
        for (key, value) in entries {
            match whole(value) {
                Some(number) => numbers.push((key.to_owned(), number)),
                None => self.fault(key, "must be a whole number, not below 0"),
            }
        }
        numbers
    }

    /// Ends reading: what nobody took is a fault.
    pub fn finish(self) {
        for key in self.entries.keys() {
            let unknown = Unknown::new("key", key, self.taken.iter().copied());
            let inside = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
            self.notes.note(self.key_span(key), format!("{inside}{unknown}"));
        }
    }
}

fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
