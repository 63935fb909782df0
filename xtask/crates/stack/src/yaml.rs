//! YAML values and their serialization in block style.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use libyaml_safer::{Emitter, Encoding, Event, MappingStyle, ScalarStyle, SequenceStyle};
use serde_json::Number;

/// A value. Maps keep their insertion order.
#[derive(Debug, Clone, PartialEq)]
pub enum Yaml {
    /// Keys and values.
    Map(Vec<(String, Yaml)>),
    /// Items.
    List(Vec<Yaml>),
    /// A string; quoted if it would otherwise be read as another type.
    Text(String),
    /// A number.
    Number(Number),
    /// A boolean.
    Bool(bool),
    /// A value that [`map`] leaves out.
    Absent,
}

/// A map of all entries except [`Yaml::Absent`].
pub(crate) fn map<'k>(entries: impl IntoIterator<Item = (&'k str, Yaml)>) -> Yaml {
    let set = entries.into_iter().filter(|(_, value)| *value != Yaml::Absent);
    Yaml::Map(set.map(|(key, value)| (key.to_owned(), value)).collect())
}

/// A value in nested maps; `path` holds their keys, separated by dots.
pub(crate) fn nested(path: &str, value: Yaml) -> Yaml {
    path.rsplit('.').fold(value, |value, key| map([(key, value)]))
}

/// A list, or [`Yaml::Absent`] if it is empty.
pub(crate) fn list(items: impl IntoIterator<Item = impl Into<Yaml>>) -> Yaml {
    let items: Vec<Yaml> = items.into_iter().map(Into::into).collect();
    if items.is_empty() { Yaml::Absent } else { Yaml::List(items) }
}

/// An empty map.
pub(crate) fn empty() -> Yaml {
    Yaml::Map(Vec::new())
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Yaml {
        Yaml::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Yaml {
        Yaml::Text(text)
    }
}

impl From<&String> for Yaml {
    fn from(text: &String) -> Yaml {
        Yaml::Text(text.clone())
    }
}

impl From<bool> for Yaml {
    fn from(value: bool) -> Yaml {
        Yaml::Bool(value)
    }
}

impl From<i64> for Yaml {
    fn from(number: i64) -> Yaml {
        Yaml::Number(number.into())
    }
}

impl From<u32> for Yaml {
    fn from(number: u32) -> Yaml {
        Yaml::Number(number.into())
    }
}

impl From<u16> for Yaml {
    fn from(number: u16) -> Yaml {
        Yaml::Number(number.into())
    }
}

impl<T: Into<Yaml>> From<Option<T>> for Yaml {
    fn from(value: Option<T>) -> Yaml {
        value.map_or(Yaml::Absent, Into::into)
    }
}

impl From<&BTreeMap<String, String>> for Yaml {
    fn from(entries: &BTreeMap<String, String>) -> Yaml {
        if entries.is_empty() {
            return Yaml::Absent;
        }
        map(entries.iter().map(|(key, value)| (key.as_str(), value.into())))
    }
}

impl Yaml {
    /// Serializes one document.
    ///
    /// # Errors
    /// When the emitter rejects a value.
    pub(crate) fn text(&self) -> Result<String> {
        let mut bytes = Vec::new();
        let mut emitter = Emitter::new();
        emitter.set_output_string(&mut bytes);
        emitter.set_unicode(true);
        // Never fold lines.
        emitter.set_width(-1);
        let start = Event::document_start(None, &[], true);
        for event in [Event::stream_start(Encoding::Utf8), start] {
            emitter.emit(event).map_err(|error| anyhow!("{error}"))?;
        }
        self.emit(&mut emitter)?;
        for event in [Event::document_end(true), Event::stream_end()] {
            emitter.emit(event).map_err(|error| anyhow!("{error}"))?;
        }
        emitter.flush().map_err(|error| anyhow!("{error}"))?;
        drop(emitter);
        Ok(String::from_utf8(bytes)?)
    }

    fn emit(&self, emitter: &mut Emitter<'_>) -> Result<()> {
        let mut emit = |event| emitter.emit(event).map_err(|error| anyhow!("{error}"));
        match self {
            Yaml::Map(entries) => {
                emit(Event::mapping_start(None, None, true, MappingStyle::Block))?;
                for (key, value) in entries {
                    Yaml::Text(key.clone()).emit(emitter)?;
                    value.emit(emitter)?;
                }
                emitter.emit(Event::mapping_end()).map_err(|error| anyhow!("{error}"))
            }
            Yaml::List(items) => {
                emit(Event::sequence_start(None, None, true, SequenceStyle::Block))?;
                for item in items {
                    item.emit(emitter)?;
                }
                emitter.emit(Event::sequence_end()).map_err(|error| anyhow!("{error}"))
            }
            Yaml::Text(text) => {
                let style = if is_ambiguous(text) { ScalarStyle::DoubleQuoted } else { ScalarStyle::Plain };
                emit(Event::scalar(None, None, text, true, true, style))
            }
            Yaml::Number(number) => {
                emit(Event::scalar(None, None, &number.to_string(), true, true, ScalarStyle::Plain))
            }
            Yaml::Bool(value) => {
                emit(Event::scalar(None, None, &value.to_string(), true, true, ScalarStyle::Plain))
            }
            Yaml::Absent => emit(Event::scalar(None, None, "null", true, true, ScalarStyle::Plain)),
        }
    }
}

/// Words that YAML 1.1 (the parser of kubectl and docker) does not read as strings.
const WORDS: [&str; 12] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", "<<", "="];

/// Whether YAML 1.1 might read the plain scalar as a number, boolean, date or null, or whether it has line breaks or tabs.
fn is_ambiguous(text: &str) -> bool {
    let looks_like_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_hexdigit() || "+-._: ,TtZzxXoOnNiIfFaA".contains(c));
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    text.is_empty() || looks_like_number || is_word || text.contains(['\n', '\r', '\t'])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use libyaml_safer::{EventData, Parser};
    use proptest::prelude::*;
    use serde_json::Value;

    impl Yaml {
        /// The value as JSON.
        pub(crate) fn json(&self) -> Value {
            match self {
                Yaml::Map(entries) => {
                    Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.json())).collect())
                }
                Yaml::List(items) => Value::Array(items.iter().map(Yaml::json).collect()),
                Yaml::Text(text) => Value::from(text.as_str()),
                Yaml::Number(number) => Value::Number(number.clone()),
                Yaml::Bool(value) => Value::from(*value),
                Yaml::Absent => Value::Null,
            }
        }
    }

    /// Reads a document written by [`Yaml::text`].
    pub(crate) fn read(text: &str) -> Yaml {
        let mut bytes = text.as_bytes();
        let mut parser = Parser::new();
        parser.set_input_string(&mut bytes);
        let mut open: Vec<(bool, Vec<Yaml>)> = vec![(false, Vec::new())];
        loop {
            let event = parser.parse().unwrap().data;
            match event {
                EventData::StreamEnd => return open.pop().unwrap().1.pop().unwrap(),
                EventData::MappingStart { .. } => open.push((true, Vec::new())),
                EventData::SequenceStart { .. } => open.push((false, Vec::new())),
                EventData::MappingEnd => {
                    let mut items = open.pop().unwrap().1.into_iter();
                    let mut entries = Vec::new();
                    while let (Some(Yaml::Text(key)), Some(value)) = (items.next(), items.next()) {
                        entries.push((key, value));
                    }
                    open.last_mut().unwrap().1.push(Yaml::Map(entries));
                }
                EventData::SequenceEnd => {
                    let items = open.pop().unwrap().1;
                    open.last_mut().unwrap().1.push(Yaml::List(items));
                }
                EventData::Scalar { value, style, .. } => {
                    let plain = style == ScalarStyle::Plain;
                    let scalar = match (value.as_str(), value.parse::<i64>()) {
                        ("true", _) if plain => Yaml::Bool(true),
                        ("false", _) if plain => Yaml::Bool(false),
                        (_, Ok(number)) if plain => number.into(),
                        _ => Yaml::Text(value),
                    };
                    open.last_mut().unwrap().1.push(scalar);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn texts_stay_texts() {
        for text in
            ["yes", "Null", "", "1", "-1.5", "0x1f", "2026-01-01", "12:30", "1e3", ".inf", "a\nb", "~"]
        {
            assert_eq!(map([("k", text.into())]).text().unwrap(), format!("k: {text:?}\n"));
        }
        for text in ["1Gi", "500m", "sutra-api", "sha256:0a", "/data", "nonsense"] {
            assert_eq!(map([("k", text.into())]).text().unwrap(), format!("k: {text}\n"));
        }
    }

    #[test]
    fn absent_values_are_left_out_and_order_is_kept() {
        let value = map([
            ("z", 1_i64.into()),
            ("gone", None::<&str>.into()),
            ("none", list(Vec::<Yaml>::new())),
            ("a", list([map([("b", true.into()), ("c", empty())])])),
        ]);
        assert_eq!(value.text().unwrap(), "z: 1\na:\n- b: true\n  c: {}\n");
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was(text in "\\PC{0,40}|[-+.0-9a-z: #&*!|>'\"%@`\\n\\t]{0,12}") {
            let value = map([("key", text.as_str().into()), ("list", list([text.as_str()]))]);
            prop_assert_eq!(read(&value.text().unwrap()), value);
        }
    }
}
