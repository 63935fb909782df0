//! Hands the values of a file to serde, and reports every one that does not fit its type.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::DeValue;

use crate::names::Unknown;
use crate::reader::place::Place;

/// Maximum number of reported faults; each costs a pass over the file.
const MOST_FAULTS: usize = 200;

/// Reads a whole file. serde ends at the first value that does not fit, so that value is reported and the next pass leaves it out.
pub(super) fn read<'a, T: Deserialize<'a>>(root: &Place<'a>) -> Option<T> {
    let left_out = RefCell::default();
    loop {
        let value = Value { place: root.clone(), left_out: &left_out, is_field: false };
        match T::deserialize(value) {
            Ok(file) => return Some(file),
            Err(Unread::Reported) if left_out.borrow().len() < MOST_FAULTS => {}
            Err(Unread::Reported) => {
                root.fault("there may be more faults: fix these first");
                return None;
            }
            Err(Unread::Unfit(text)) => {
                root.fault(text);
                return None;
            }
        }
    }
}

/// Why a value was not read.
#[derive(Debug)]
enum Unread {
    /// It does not fit.
    Unfit(String),
    /// An inner value did not fit and was reported.
    Reported,
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Unread {}

impl de::Error for Unread {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Unread::Unfit(text.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        Unread::Unfit(format!("must be {}", in_words(&expected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        Unread::Unfit(Unknown::new("value", given, known.iter().copied()).to_string())
    }

    fn unknown_field(given: &str, known: &'static [&'static str]) -> Self {
        Unread::Unfit(Unknown::new("key", given, known.iter().copied()).to_string())
    }
}

/// What serde's own types expect.
fn in_words(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number of at least 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        other => other,
    }
}

/// A value of the file.
#[derive(Clone)]
struct Value<'a, 'p> {
    place: Place<'a>,
    /// Values that were reported.
    left_out: &'p RefCell<HashSet<*const DeValue<'a>>>,
    /// Whether it is the value of a key that a type names.
    is_field: bool,
}

impl<'a, 'p> Value<'a, 'p> {
    fn leave_out(&self, value: Option<&'a DeValue<'a>>) {
        self.left_out.borrow_mut().extend(value.map(std::ptr::from_ref));
    }

    /// Reads an inner value, or reports it.
    fn read<S: DeserializeSeed<'a>>(
        &self,
        place: Place<'a>,
        is_field: bool,
        seed: S,
    ) -> Result<S::Value, Unread> {
        let value = Value { place, left_out: self.left_out, is_field };
        seed.deserialize(value.clone()).map_err(|error| {
            if let Unread::Unfit(text) = error {
                value.place.fault(text);
                self.leave_out(value.place.value());
            }
            Unread::Reported
        })
    }

    /// The entries of this table in the file's order, without those already reported.
    fn entries(&self, fields: &'static [&'static str]) -> Result<Entries<'a, 'p>, Unread> {
        let Some(table) = self.place.value().and_then(DeValue::as_table) else {
            return Err(Unread::Unfit("must be a table".to_owned()));
        };
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let is_left = |value: &DeValue<'a>| !self.left_out.borrow().contains(&std::ptr::from_ref(value));
        let mut keys = Vec::new();
        for (key, value) in entries.into_iter().filter(|(_, value)| is_left(value.get_ref())) {
            let key: &'a str = key.get_ref().as_ref();
            if fields.is_empty() || fields.contains(&key) {
                keys.push(key);
            } else {
                let unknown = Unknown::new("key", key, fields.iter().copied());
                self.place.fault_at_key(key, unknown);
                self.leave_out(Some(value.get_ref()));
            }
        }
        Ok(Entries { table: self.clone(), keys: keys.into_iter(), next: None, is_struct: !fields.is_empty() })
    }
}

impl<'a> Deserializer<'a> for Value<'a, '_> {
    type Error = Unread;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        let unfit = |text: &str| Err(Unread::Unfit(text.to_owned()));
        match self.place.value() {
            None => visitor.visit_unit(),
            Some(DeValue::String(text)) => visitor.visit_borrowed_str(text),
            Some(DeValue::Integer(number)) => {
                let (digits, radix) = (number.as_str(), number.radix());
                match (i64::from_str_radix(digits, radix), u64::from_str_radix(digits, radix)) {
                    (Ok(number), _) => visitor.visit_i64(number),
                    (_, Ok(number)) => visitor.visit_u64(number),
                    _ => unfit("must be an integer of at most 64 bits"),
                }
            }
            Some(DeValue::Float(number)) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => visitor.visit_f64(number),
                _ => unfit("must be a finite number"),
            },
            Some(DeValue::Boolean(value)) => visitor.visit_bool(*value),
            Some(DeValue::Datetime(_)) => unfit("must not be a date: write it as a string"),
            Some(DeValue::Array(items)) => {
                let left_out = self.left_out.borrow();
                let is_left = |item: &&Spanned<DeValue<'a>>| {
                    !left_out.contains(&std::ptr::from_ref::<DeValue<'a>>(item.get_ref()))
                };
                let elements: Vec<_> = items.iter().filter(is_left).collect();
                drop(left_out);
                visitor.visit_seq(Elements { array: self, elements: elements.into_iter() })
            }
            Some(DeValue::Table(_)) => visitor.visit_map(self.entries(&[])?),
        }
    }

    fn deserialize_str<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        match self.place.value() {
            Some(DeValue::String(text)) if !(self.is_field && text.trim().is_empty()) => {
                visitor.visit_borrowed_str(text)
            }
            _ if self.is_field => Err(Unread::Unfit("must be a non-empty string".to_owned())),
            _ => Err(Unread::Unfit("must be a string".to_owned())),
        }
    }

    fn deserialize_string<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        match self.place.value() {
            Some(DeValue::Array(_)) => self.deserialize_any(visitor),
            Some(DeValue::String(text)) => Err(Unread::Unfit(format!("must be an array: [\"{text}\"]"))),
            Some(DeValue::Table(_)) => Err(Unread::Unfit("must be an array of tables: [[NAME]]".to_owned())),
            _ => Err(Unread::Unfit("must be an array".to_owned())),
        }
    }

    fn deserialize_map<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unread> {
        visitor.visit_map(self.entries(&[])?)
    }

    fn deserialize_struct<V: Visitor<'a>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        visitor.visit_map(self.entries(fields)?)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unread> {
        match self.place.value() {
            Some(DeValue::String(text)) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            _ => Err(Unread::Unfit("must be a string".to_owned())),
        }
    }

    forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

/// The entries of a table that are still to be read.
struct Entries<'a, 'p> {
    table: Value<'a, 'p>,
    keys: std::vec::IntoIter<&'a str>,
    next: Option<&'a str>,
    is_struct: bool,
}

impl<'a> MapAccess<'a> for Entries<'a, '_> {
    type Error = Unread;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Unread> {
        self.next = self.keys.next();
        self.next.map(|key| seed.deserialize(BorrowedStrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unread> {
        let place = self.table.place.key(self.next.take().unwrap_or_default());
        self.table.read(place, self.is_struct, seed)
    }
}

/// The elements of an array that are still to be read.
struct Elements<'a, 'p> {
    array: Value<'a, 'p>,
    elements: std::vec::IntoIter<&'a Spanned<DeValue<'a>>>,
}

impl<'a> SeqAccess<'a> for Elements<'a, '_> {
    type Error = Unread;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Unread> {
        let next = self.elements.next();
        next.map(|element| self.array.read(self.array.place.element(element), false, seed)).transpose()
    }
}
