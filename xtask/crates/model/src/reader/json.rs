//! TOML values as JSON, for requests to services and their expected responses.

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::DeValue;

/// The value in JSON; `None` for dates, infinite numbers and integers beyond 64 bits.
pub(super) fn of(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    Some(match value.get_ref() {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?),
        DeValue::Float(number) => Value::Number(Number::from_f64(number.as_str().parse().ok()?)?),
        DeValue::Boolean(value) => Value::from(*value),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => Value::Array(items.iter().map(of).collect::<Option<_>>()?),
        DeValue::Table(fields) => {
            let fields = fields.iter().map(|(key, value)| Some((key.get_ref().to_string(), of(value)?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
    })
}
