//! JSON that keeps the digits of numbers and repeated keys. [`serde_json::Value`] rounds long numbers and keeps only the last of
//! several equal keys. (Its feature `arbitrary_precision` keeps digits too, but changes `Value` in every crate and breaks numbers
//! in flattened and tagged types.)

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;

/// Maximum nesting depth, as in serde_json.
pub const MAX_DEPTH: usize = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The digits as written: `1`, `1.0` and `1e0` differ.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// The values of each key; more than one only if the key is repeated.
    Object(BTreeMap<String, Vec<Json>>),
}

impl Json {
    /// Parses a document.
    ///
    /// # Errors
    /// When it is not JSON, or nested deeper than [`MAX_DEPTH`].
    pub fn parse(text: &str) -> serde_json::Result<Json> {
        Json::of(serde_json::from_str(text)?, 0)
    }

    /// The nearest finite number; `None` if this is not a number or it overflows.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Json::Number(digits) => digits.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    /// Applies `change` to every string, key and number.
    #[must_use]
    pub fn map(&self, change: &impl Fn(&str) -> String) -> Json {
        match self {
            Json::Null | Json::Bool(_) => self.clone(),
            Json::Number(digits) => match change(digits) {
                same if same == *digits => self.clone(),
                other => Json::String(other),
            },
            Json::String(text) => Json::String(change(text)),
            Json::Array(items) => Json::Array(items.iter().map(|item| item.map(change)).collect()),
            Json::Object(fields) => {
                let field = |(key, values): (&String, &Vec<Json>)| {
                    (change(key), values.iter().map(|value| value.map(change)).collect())
                };
                Json::Object(fields.iter().map(field).collect())
            }
        }
    }

    fn of(raw: &RawValue, depth: usize) -> serde_json::Result<Json> {
        let text = raw.get();
        if depth == MAX_DEPTH {
            return Err(de::Error::custom("recursion limit exceeded"));
        }
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let Fields(fields) = serde_json::from_str(text)?;
                let mut object: BTreeMap<String, Vec<Json>> = BTreeMap::new();
                for (key, value) in fields {
                    object.entry(key).or_default().push(Json::of(value, depth + 1)?);
                }
                Json::Object(object)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                Json::Array(
                    items.into_iter().map(|item| Json::of(item, depth + 1)).collect::<Result<_, _>>()?,
                )
            }
            Some(b'"') => Json::String(serde_json::from_str(text)?),
            Some(b't' | b'f') => Json::Bool(serde_json::from_str(text)?),
            Some(b'n') => Json::Null,
            _ => Json::Number(text.to_owned()),
        })
    }
}

/// An object's fields in order, with repeated keys.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(digits) => f.write_str(digits),
            Json::String(text) => f.write_str(&quoted(text)),
            Json::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Json::Object(fields) => {
                f.write_str("{")?;
                let fields =
                    fields.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)));
                for (index, (key, value)) in fields.enumerate() {
                    write!(f, "{}{}:{value}", if index == 0 { "" } else { "," }, quoted(key))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Json::of(&raw, 0).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_repeated_keys_stay_as_written() {
        let text =
            "{\"b\":[1.00,1e3,-0,12345678901234567890123],\"a\":{\"k\":1,\"k\":2},\"\\u00e9\":\"\\/\"}";
        let json = Json::parse(text).unwrap();
        let written = "{\"a\":{\"k\":1,\"k\":2},\"b\":[1.00,1e3,-0,12345678901234567890123],\"é\":\"/\"}";
        assert_eq!(json.to_string(), written);
        assert_eq!(serde_json::to_string(&json).unwrap(), written);
        assert_eq!(serde_json::from_str::<Json>(written).unwrap(), json);
        for (a, b) in
            [("1", "1.0"), ("1e3", "1000"), ("0", "-0"), ("12345678901234567890", "12345678901234567891")]
        {
            assert_ne!(Json::parse(a).unwrap(), Json::parse(b).unwrap());
        }
        assert_eq!(
            Json::parse(" {\"a\" : 1, \"b\":\n2}").unwrap(),
            Json::parse("{\"b\":2,\"a\":1}").unwrap()
        );
    }

    #[test]
    fn json_that_serde_json_rejects_is_rejected() {
        for text in ["", "1 2", "[1,]", "01", "nul", "\"\\ud800\"", "{\"a\"}", "{1:2}"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(&nested(127)).is_ok());
        let error = Json::parse(&nested(200_000)).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }
}
