//! As much of JSON Schema (draft 7) as ours uses. An unknown keyword is an error, so that nothing is left unchecked.

use serde_json::Value;

/// Every place where a value does not fit a schema, with the reason.
pub(super) fn faults(value: &Value, schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema, found: &mut found }.check(value, schema, "");
    found
}

struct Check<'a> {
    root: &'a Value,
    found: &'a mut Vec<String>,
}

impl Check<'_> {
    fn fault(&mut self, at: &str, text: impl std::fmt::Display) {
        self.found.push(format!("{at}: {text}"));
    }

    fn fits(&self, value: &Value, schema: &Value) -> bool {
        let mut found = Vec::new();
        Check { root: self.root, found: &mut found }.check(value, schema, "");
        found.is_empty()
    }

    fn check(&mut self, value: &Value, schema: &Value, at: &str) {
        let Value::Object(keywords) = schema else {
            assert_eq!(schema, &Value::Bool(true), "a schema");
            return;
        };
        for (keyword, rule) in keywords {
            match keyword.as_str() {
                "$schema" | "title" | "description" | "definitions" => {}
                "$ref" => {
                    let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
                    let target = pointer.and_then(|pointer| self.root.pointer(pointer));
                    self.check(value, target.unwrap_or_else(|| panic!("{rule}")), at);
                }
                "type" => self.check_type(value, rule, at),
                "const" if value == rule => {}
                "enum" if list(rule).contains(value) => {}
                "allOf" => list(rule).iter().for_each(|schema| self.check(value, schema, at)),
                "anyOf" | "oneOf" if list(rule).iter().any(|schema| self.fits(value, schema)) => {}
                "const" | "enum" | "anyOf" | "oneOf" => self.fault(at, "fits none"),
                "minimum" => {
                    if value.is_number() && value.as_f64() < rule.as_f64() {
                        self.fault(at, format!("below {rule}"));
                    }
                }
                "maximum" => {
                    if value.is_number() && value.as_f64() > rule.as_f64() {
                        self.fault(at, format!("above {rule}"));
                    }
                }
                "minItems" | "maxItems" => {
                    let length = value.as_array().map(|items| items.len() as u64);
                    let is_short = keyword == "minItems" && length < rule.as_u64();
                    if length.is_some() && (is_short || (keyword == "maxItems" && length > rule.as_u64())) {
                        self.fault(at, "of another length");
                    }
                }
                "items" => {
                    for (position, item) in value.as_array().into_iter().flatten().enumerate() {
                        let schema = if rule.is_array() { &rule[position] } else { rule };
                        self.check(item, schema, &format!("{at}/{position}"));
                    }
                }
                "required" => {
                    for key in list(rule).iter().filter_map(Value::as_str) {
                        if value.is_object() && value.get(key).is_none() {
                            self.fault(at, format!("no {key}"));
                        }
                    }
                }
                // Below, together.
                "properties" | "additionalProperties" => {}
                other => panic!("unknown keyword {other}"),
            }
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            match (schema["properties"].get(key), keywords.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.check(inner, schema, &format!("{at}/{key}"));
                }
                (None, Some(Value::Bool(false))) => self.fault(at, format!("unknown key {key}")),
                _ => {}
            }
        }
    }

    fn check_type(&mut self, value: &Value, rule: &Value, at: &str) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is = |name: &Value| name == found || (name == "number" && found == "integer");
        if !(is(rule) || rule.as_array().is_some_and(|names| names.iter().any(is))) {
            self.fault(at, format!("not of type {rule}"));
        }
    }
}

fn list(rule: &Value) -> &[Value] {
    rule.as_array().map(Vec::as_slice).unwrap_or_default()
}
