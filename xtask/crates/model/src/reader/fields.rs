//! Reads typed fields from a TOML table; reading continues after a fault.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::bytes::Bytes;
use crate::names::Unknown;
use crate::reader::faults::Faults;
use crate::reader::json;

/// A table whose fields are taken one by one; fields left at the end are unknown.
#[derive(Debug)]
pub(super) struct Fields<'a, 'i> {
    faults: &'a Faults<'a>,
    /// The table's name in messages, such as `service.api`.
    name: String,
    span: Range<usize>,
    entries: BTreeMap<&'a str, &'a Spanned<DeValue<'i>>>,
    /// The span of each key, also after its value was taken.
    spans: BTreeMap<&'a str, Range<usize>>,
    taken: Vec<&'static str>,
}

impl<'a, 'i> Fields<'a, 'i> {
    pub fn new(
        faults: &'a Faults<'a>,
        name: impl Into<String>,
        table: &'a DeTable<'i>,
        span: Range<usize>,
    ) -> Self {
        let spans = table.iter().map(|(key, _)| (key.get_ref().as_ref(), key.span())).collect();
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), value)).collect();
        Fields { faults, name: name.into(), span, entries, spans, taken: Vec::new() }
    }

    fn key_span(&self, key: &str) -> Range<usize> {
        self.spans.get(key).unwrap_or(&self.span).clone()
    }

    /// Adds a fault of a field.
    pub fn fault(&self, key: &str, text: impl fmt::Display) {
        self.faults.add(self.key_span(key), format!("{}: {text}", self.child(key)));
    }

    /// Whether the file has any fault so far.
    pub fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    fn optional(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.taken.push(key);
        self.entries.remove(key)
    }

    fn required(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        let value = self.optional(key);
        if value.is_none() {
            let name = if self.name.is_empty() { "the manifest" } else { &self.name };
            self.faults.add(self.span.clone(), format!("{name} has no `{key}`: add it"));
        }
        value
    }

    fn text_of(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Option<&'a str> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.fault(key, "must be a non-empty string");
        }
        text
    }

    /// Takes a required string.
    pub fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.required(key)?;
        self.text_of(key, value)
    }

    /// Takes an optional string.
    pub fn optional_text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.optional(key)?;
        self.text_of(key, value)
    }

    /// Takes an optional size.
    pub fn size(&mut self, key: &'static str) -> Option<Bytes> {
        let text = self.optional_text(key)?;
        text.parse().map_err(|error| self.fault(key, error)).ok()
    }

    /// Takes a required whole number in a range.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let value = self.required(key)?;
        let number = whole(value).filter(|number| range.contains(number));
        if number.is_none() {
            let (first, last) = (range.start(), range.end());
            let form = if first == last {
                format!("{first}")
            } else {
                format!("a whole number from {first} to {last}")
            };
            self.fault(key, format!("must be {form}"));
        }
        number
    }

    /// Takes an optional whole number in a range.
    pub fn optional_number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        self.entries.contains_key(key).then(|| self.number(key, range)).flatten()
    }

    /// Takes an optional number.
    pub fn optional_real(&mut self, key: &'static str) -> Option<f64> {
        let value = self.optional(key)?;
        let number = json::of(value).and_then(|value| value.as_f64());
        if number.is_none() {
            self.fault(key, "must be a number");
        }
        number
    }

    /// Takes an optional boolean, by default `false`.
    pub fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.optional(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.fault(key, "must be true or false");
            false
        })
    }

    /// Takes an optional value of any type as JSON.
    pub fn optional_json(&mut self, key: &'static str) -> Option<serde_json::Value> {
        let value = self.optional(key)?;
        let json = json::of(value);
        if json.is_none() {
            self.fault(
                key,
                "must be valid in JSON: no dates, no infinite numbers, no integers beyond 64 bits",
            );
        }
        json
    }

    /// Takes an optional array of tables.
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
                Some(Fields::new(self.faults, self.child(key), item.get_ref().as_table()?, item.span()))
            };
            items.iter().map(one).collect()
        });
        tables.unwrap_or_else(|| {
            self.fault(key, "must be an array of tables");
            Vec::new()
        })
    }

    /// Takes all remaining fields as arrays of tables, in the file's order.
    pub fn named_lists_of_tables(mut self) -> Vec<(String, Vec<Fields<'a, 'i>>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut lists: Vec<_> =
            entries.into_iter().map(|(key, value)| (key.to_owned(), self.as_tables(key, value))).collect();
        lists.sort_by_key(|(_, tables)| tables.first().map(|table| table.span.start));
        lists
    }

    /// Whether a field exists and was not taken yet.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Adds a fault of the table itself.
    pub fn fault_here(&self, text: impl fmt::Display) {
        self.faults.add(self.span.clone(), format!("{}: {text}", self.name));
    }

    /// Takes an optional table.
    pub fn table(&mut self, key: &'static str) -> Option<Fields<'a, 'i>> {
        let value = self.optional(key)?;
        self.as_table(key, value)
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Option<Fields<'a, 'i>> {
        match value.get_ref().as_table() {
            Some(table) => Some(Fields::new(self.faults, self.child(key), table, self.key_span(key))),
            None => {
                self.fault(key, "must be a table");
                None
            }
        }
    }

    fn child(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    /// Takes an optional array of strings.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.optional(key) else {
            return Vec::new();
        };
        let list = value.get_ref().as_array();
        let texts: Option<Vec<String>> = list
            .and_then(|items| items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect());
        texts.unwrap_or_else(|| {
            self.fault(key, "must be an array of strings, such as [\"a\", \"b\"]");
            Vec::new()
        })
    }

    /// Takes all remaining fields as tables, in the file's order.
    pub fn named_tables(mut self) -> Vec<(String, Fields<'a, 'i>)> {
        let entries = std::mem::take(&mut self.entries);
        let mut tables: Vec<_> = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), self.as_table(key, value)?)))
            .collect();
        tables.sort_by_key(|(_, table)| table.span.start);
        tables
    }

    /// Takes all remaining fields as strings.
    pub fn named_texts(mut self) -> Vec<(String, String)> {
        let entries = std::mem::take(&mut self.entries);
        let texts = entries.into_iter();
        texts
            .filter_map(|(key, value)| Some((key.to_owned(), self.text_of(key, value)?.to_owned())))
            .collect()
    }

    /// Takes all remaining fields as whole numbers.
    pub fn named_numbers(mut self) -> Vec<(String, u64)> {
        let entries = std::mem::take(&mut self.entries);
        let mut numbers = Vec::new();
        for (key, value) in entries {
            match whole(value) {
                Some(number) => numbers.push((key.to_owned(), number)),
                None => self.fault(key, "must be a whole number of at least 0"),
            }
        }
        numbers
    }

    /// Ends reading: fields that were not taken are faults.
    pub fn finish(self) {
        for key in self.entries.keys() {
            let unknown = Unknown::new("key", key, self.taken.iter().copied());
            let inside = if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) };
            self.faults.add(self.key_span(key), format!("{inside}{unknown}"));
        }
    }
}

fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}
