//! Placeholders in texts and JSON: `${NAME}` stands for a value known only at run time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Values of placeholders: captures, plain secrets, the run's ID.
pub type Values = BTreeMap<String, Value>;

/// The placeholder for the run's ID, which keeps the data of different runs apart.
pub const RUN: &str = "run";

/// The placeholders in a text.
pub fn names(text: &str) -> BTreeSet<String> {
    pieces(text).filter_map(|piece| piece.ok().map(str::to_owned)).collect()
}

/// The placeholders in all texts of a value.
pub fn names_in(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => names(text),
        Value::Array(items) => items.iter().flat_map(names_in).collect(),
        Value::Object(fields) => fields.values().flat_map(names_in).collect(),
        _ => BTreeSet::new(),
    }
}

/// A text with placeholders filled in; unknown ones stay.
pub fn fill(text: &str, values: &Values) -> String {
    pieces(text)
        .map(|piece| match piece {
            Err(plain) => plain.to_owned(),
            Ok(name) => match values.get(name) {
                Some(Value::String(value)) => value.clone(),
                Some(value) => value.to_string(),
                None => format!("${{{name}}}"),
            },
        })
        .collect()
}

/// A value with placeholders filled in. A text that is exactly one placeholder becomes the value itself.
pub fn fill_in(value: &Value, values: &Values) -> Value {
    match value {
        Value::String(text) => {
            let mut all = pieces(text);
            match (all.next(), all.next()) {
                (Some(Ok(name)), None) if values.contains_key(name) => values[name].clone(),
                _ => Value::String(fill(text, values)),
            }
        }
        Value::Array(items) => items.iter().map(|item| fill_in(item, values)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), fill_in(value, values))).collect())
        }
        other => other.clone(),
    }
}

/// A text in pieces: `Ok` is a placeholder's name, `Err` plain text.
fn pieces(text: &str) -> impl Iterator<Item = Result<&str, &str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, behind)) = leading_name(rest) {
            rest = behind;
            return Some(Ok(name));
        }
        let next = rest.match_indices("${").map(|(at, _)| at).find(|at| leading_name(&rest[*at..]).is_some());
        let (plain, behind) = rest.split_at(next.unwrap_or(rest.len()));
        rest = behind;
        Some(Err(plain))
    })
}

fn leading_name(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix("${")?.split_once('}')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some((name, behind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_whole_placeholders_are_names() {
        let found: Vec<String> = names("a ${b} ${} ${c d} ${ e${f}$g}").into_iter().collect();
        assert_eq!(found, ["b", "f"]);
        let known = BTreeMap::from([("b".to_owned(), json!("B")), ("f".to_owned(), json!([1]))]);
        assert_eq!(fill("a ${b} ${} ${c d} ${ e${f}$g}${h}", &known), "a B ${} ${c d} ${ e[1]$g}${h}");
    }

    #[test]
    fn a_lone_placeholder_keeps_its_type() {
        let known = BTreeMap::from([("n".to_owned(), json!({ "x": 1 }))]);
        assert_eq!(
            fill_in(&json!(["${n}", { "k": "${n}!" }, 3]), &known),
            json!([{ "x": 1 }, { "k": "{\"x\":1}!" }, 3])
        );
    }
}
