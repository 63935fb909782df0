//! What must come back from a service, and how an answer is judged by it.

use serde_json::Value;

use crate::placeholders;
use crate::probe::{Answer, Known};

/// What must come back.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The status.
    pub status: u16,
    /// What must hold of the body, all of it.
    pub checks: Vec<Check>,
}

/// Something that must hold at one place of the body.
#[derive(Debug, Clone)]
pub struct Check {
    /// A JSON pointer (RFC 6901); `None` means the body as text.
    pub at: Option<String>,
    /// What must hold there.
    pub test: Test,
}

/// A test of one value. Texts and values may hold placeholders.
#[derive(Debug, Clone)]
pub enum Test {
    /// Equal, numbers by value.
    Is(Value),
    /// A text with this in it, or a list with this element.
    Contains(Value),
    /// The number of a list's elements, an object's fields, or a text's characters.
    Length(usize),
    /// A number not below this.
    Min(f64),
}

impl Check {
    /// What is wrong with an answer, of which `json` is the body where it is JSON; `None` when nothing is.
    pub(super) fn judge(&self, answer: &Answer, json: Option<&Value>, known: &Known) -> Option<String> {
        let (place, found) = match (&self.at, json) {
            (None, _) => ("the body".to_owned(), Value::from(answer.body.clone())),
            (Some(_), None) => return Some(format!("no JSON came back, but {}", described(answer))),
            (Some(at), Some(json)) => match json.pointer(at) {
                Some(value) => (at.clone(), value.clone()),
                None => return Some(format!("nothing at {at}")),
            },
        };
        self.test.judge(&found, known).map(|fault| format!("{place} {fault}"))
    }
}

fn described(answer: &Answer) -> String {
    match answer.content_type.as_str() {
        "" => "a body without a type".to_owned(),
        other => other.to_owned(),
    }
}

impl Test {
    fn judge(&self, found: &Value, known: &Known) -> Option<String> {
        match self {
            Test::Is(wanted) => {
                let wanted = placeholders::fill_in(wanted, known);
                (!equal(found, &wanted)).then(|| format!("is {}, expected {}", short(found), short(&wanted)))
            }
            Test::Contains(wanted) => {
                let wanted = placeholders::fill_in(wanted, known);
                let holds = match (found, &wanted) {
                    (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
                    (Value::Array(items), _) => items.iter().any(|item| equal(item, &wanted)),
                    _ => false,
                };
                (!holds).then(|| format!("is {}, expected {} in it", short(found), short(&wanted)))
            }
            Test::Length(wanted) => {
                let length = match found {
                    Value::Array(items) => Some(items.len()),
                    Value::String(text) => Some(text.chars().count()),
                    Value::Object(fields) => Some(fields.len()),
                    _ => None,
                };
                match length {
                    Some(length) if length == *wanted => None,
                    Some(length) => Some(format!("has length {length}, expected {wanted}")),
                    None => Some(format!(
                        "is {}, expected a list, object or text of length {wanted}",
                        short(found)
                    )),
                }
            }
            Test::Min(least) => {
                let holds = found.as_f64().is_some_and(|number| number >= *least);
                (!holds).then(|| format!("is {}, expected at least {least}", short(found)))
            }
        }
    }
}

/// Equal as people mean it: 1 and 1.0 are the same number.
pub fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // Whole numbers beyond 53 bits would be equal to their neighbours as floating-point ones.
        (Value::Number(a), Value::Number(b)) => {
            a == b || ((a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => a == b,
    }
}

/// A value in at most 120 characters.
pub fn short(value: &Value) -> String {
    shortened(&value.to_string(), 120)
}

/// A text in at most `limit` characters, cut at the end.
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_equal_by_value_and_no_bit_is_lost() {
        assert!(equal(&json!(1), &json!(1.0)) && !equal(&json!(1), &json!(1.5)));
        assert!(!equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
    }
}
