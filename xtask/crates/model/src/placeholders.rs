//! Placeholders in texts and JSON: `${NAME}` stands for a value that is known later.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The names that a text uses.
pub fn names(text: &str) -> BTreeSet<String> {
    pieces(text).filter_map(|piece| piece.ok().map(str::to_owned)).collect()
}

/// The names that any text within a value uses.
pub fn names_in(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => names(text),
        Value::Array(items) => items.iter().flat_map(names_in).collect(),
        Value::Object(fields) => fields.values().flat_map(names_in).collect(),
        _ => BTreeSet::new(),
    }
}

/// A text with the values of known names in it; an unknown name stays as it stands.
pub fn fill(text: &str, known: &BTreeMap<String, Value>) -> String {
    pieces(text)
        .map(|piece| match piece {
            Err(plain) => plain.to_owned(),
            Ok(name) => match known.get(name) {
                Some(Value::String(value)) => value.clone(),
                Some(value) => value.to_string(),
                None => format!("${{{name}}}"),
            },
        })
        .collect()
}

/// A value with the values of known names in it. A text that is one placeholder and nothing else becomes the value itself.
pub fn fill_in(value: &Value, known: &BTreeMap<String, Value>) -> Value {
    match value {
        Value::String(text) => {
            let mut all = pieces(text);
            match (all.next(), all.next()) {
                (Some(Ok(name)), None) if known.contains_key(name) => known[name].clone(),
                _ => Value::String(fill(text, known)),
            }
        }
        Value::Array(items) => items.iter().map(|item| fill_in(item, known)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), fill_in(value, known))).collect())
        }
        other => other.clone(),
    }
}

/// A text in pieces: `Ok` is a name, `Err` stands for itself.
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
        // What only looks like the start of a name stands for itself.
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
