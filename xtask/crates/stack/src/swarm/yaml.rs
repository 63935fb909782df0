//! Writes a stack file as YAML.

use serde_json::Value;

/// The indentation of one level.
const INDENT: &str = "  ";

/// A value as block-style YAML. Strings are quoted as in JSON, which YAML 1.2 (section 7.3.1) reads the same way. `$` is doubled, because
/// `docker stack` interpolates variables. Nulls, empty mappings and empty lists are omitted.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// Whether a value is omitted.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(_, value)| !is_empty(value)) {
                out.push_str(&INDENT.repeat(depth));
                out.push_str(&quoted(key));
                out.push(':');
                entry(value, depth, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                out.push_str(&INDENT.repeat(depth));
                out.push('-');
                entry(item, depth, out);
            }
        }
        scalar => out.push_str(&text(scalar)),
    }
}

/// What follows a key or a dash.
fn entry(value: &Value, depth: usize, out: &mut String) {
    if matches!(value, Value::Object(_) | Value::Array(_)) {
        out.push('\n');
        block(value, depth + 1, out);
    } else {
        out.push(' ');
        out.push_str(&text(value));
        out.push('\n');
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(&text.replace('$', "$$")),
        other => other.to_string(),
    }
}

/// Unquoted if every YAML version reads it as this string.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || "_-".contains(c))
        && !matches!(text, "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null");
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_keep_their_meaning_and_empty_values_are_left_out() {
        let value = json!({
            "services": { "a": {
                "command": ["sh", "echo $HOME \"x\"\n"], "environment": { "ON": "no", "N": "1", "E": "" },
                "ports": [{ "target": 80, "mode": "host" }], "tty": true, "networks": { "n": {} }, "labels": [],
            } },
            "version": "3.12",
        });
        let expected = r#"services:
  a:
    command:
      - sh
      - "echo $$HOME \"x\"\n"
    environment:
      "E": ""
      "N": "1"
      "ON": "no"
    ports:
      -
        mode: host
        target: 80
    tty: true
version: "3.12"
"#;
        assert_eq!(yaml(&value), expected);
    }
}
