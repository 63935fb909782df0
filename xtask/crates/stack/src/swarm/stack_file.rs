//! The stack file as YAML.

use serde_json::Value;

use crate::yaml::{Yaml, list, map};

/// Converts a stack file. `$` is doubled, because `docker stack` interpolates variables. Nulls, empty mappings and empty lists are omitted.
pub(super) fn yaml(value: &Value) -> Yaml {
    match value {
        Value::Null => Yaml::Absent,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => Yaml::Number(number.clone()),
        Value::String(text) => text.replace('$', "$$").into(),
        Value::Array(items) => list(items.iter().map(yaml)),
        Value::Object(fields) => match map(fields.iter().map(|(key, value)| (key.as_str(), yaml(value)))) {
            Yaml::Map(entries) if entries.is_empty() => Yaml::Absent,
            fields => fields,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_stay_strings_and_empty_values_are_omitted() {
        let value = json!({
            "services": { "a": {
                "command": ["sh", "echo $HOME \"x\"\n"], "environment": { "ON": "no", "N": "1", "E": "" },
                "ports": [{ "target": 80, "mode": "host" }], "tty": true, "networks": { "n": {} }, "labels": [],
            } },
            "version": "3.12", "ratio": 0.5,
        });
        let expected = r#"ratio: 0.5
services:
  a:
    command:
    - sh
    - "echo $$HOME \"x\"\n"
    environment:
      E: ""
      "N": "1"
      "ON": "no"
    ports:
    - mode: host
      target: 80
    tty: true
version: "3.12"
"#;
        assert_eq!(yaml(&value).text().unwrap(), expected);
    }
}
