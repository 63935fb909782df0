//! The expected response to a probe, and the comparison with the actual one.

use serde_json::Value;

use crate::placeholders::{self, Values};
use crate::response::HttpResponse;
use host::secrets::Secrets;

/// The expected response.
#[derive(Debug, Clone)]
pub struct Expectation {
    /// The HTTP status.
    pub status: u16,
    /// Conditions on the body; all must hold.
    pub checks: Vec<BodyCheck>,
}

/// A condition on one place of the body.
#[derive(Debug, Clone)]
pub struct BodyCheck {
    /// A JSON pointer (RFC 6901); `None` means the body as text.
    pub at: Option<String>,
    /// The condition.
    pub test: BodyTest,
}

/// A condition on one value, which may contain placeholders.
#[derive(Debug, Clone)]
pub enum BodyTest {
    /// Equal, numbers by value.
    Is(Value),
    /// A string that contains this one, or an array with this element.
    Contains(Value),
    /// An array of this many elements, or a string of this many characters.
    Length(usize),
    /// A number of at least this.
    Min(f64),
}

impl BodyCheck {
    /// Describes how a response fails the expectation, with secrets masked. `json` is the body, or why it is not JSON.
    pub(super) fn judge(
        &self,
        response: &HttpResponse,
        json: &Result<Value, String>,
        values: &Values,
        secrets: &Secrets,
    ) -> Option<String> {
        let (place, found) = match (&self.at, json) {
            (None, _) => match response.text() {
                Ok(text) => ("the body".to_owned(), Value::from(text)),
                Err(reason) => return Some(format!("expected text, got {reason}")),
            },
            (Some(_), Err(reason)) => return Some(format!("expected JSON, got {reason}")),
            (Some(at), Ok(json)) => match json.pointer(at) {
                Some(value) => (at.clone(), value.clone()),
                None => return Some(format!("no value at {at}")),
            },
        };
        self.test.judge(&found, values, secrets).map(|fault| format!("{place} {fault}"))
    }
}

impl BodyTest {
    fn judge(&self, found: &Value, values: &Values, secrets: &Secrets) -> Option<String> {
        let short = |value: &Value| short(value, secrets);
        match self {
            BodyTest::Is(expected) => {
                let expected = placeholders::fill_in(expected, values);
                (!equal(found, &expected))
                    .then(|| format!("is {}, expected {}", short(found), short(&expected)))
            }
            BodyTest::Contains(expected) => {
                let expected = placeholders::fill_in(expected, values);
                let holds = match (found, &expected) {
                    (Value::String(text), Value::String(part)) => text.contains(part.as_str()),
                    (Value::Array(items), _) => items.iter().any(|item| equal(item, &expected)),
                    _ => false,
                };
                (!holds).then(|| format!("is {}, which does not contain {}", short(found), short(&expected)))
            }
            BodyTest::Length(expected) => {
                let length = match found {
                    Value::Array(items) => Some(items.len()),
                    Value::String(text) => Some(text.chars().count()),
                    Value::Object(fields) => Some(fields.len()),
                    _ => None,
                };
                match length {
                    Some(length) if length == *expected => None,
                    Some(length) => Some(format!("has length {length}, expected {expected}")),
                    None => Some(format!(
                        "is {}, expected an array, object or string of length {expected}",
                        short(found)
                    )),
                }
            }
            BodyTest::Min(least) => {
                let holds = found.as_f64().is_some_and(|number| number >= *least);
                (!holds).then(|| format!("is {}, expected at least {least}", short(found)))
            }
        }
    }
}

/// Equality of values, where 1 and 1.0 are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        // As floating-point numbers, integers beyond 53 bits would equal their neighbours.
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

/// A value, cut to 120 characters, with secrets masked.
fn short(value: &Value, secrets: &Secrets) -> String {
    shortened(&secrets.mask(&value.to_string()), 120)
}

/// A text in at most `limit` characters.
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
    fn numbers_are_compared_by_value_and_exactly() {
        assert!(equal(&json!(1), &json!(1.0)) && !equal(&json!(1), &json!(1.5)));
        assert!(!equal(&json!(9_007_199_254_740_993_u64), &json!(9_007_199_254_740_992_u64)));
    }
}
