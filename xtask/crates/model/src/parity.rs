//! Parity: the responses of two variants are equal except for declared differences.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expectation::{equal, short};
use crate::response::HttpResponse;

/// The least cosine similarity between two embeddings of the same text.
pub const LEAST_COSINE: f64 = 0.999;

/// Allowed differences between two responses. Places are JSON pointers in which `*` stands for any one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParityRules {
    /// Values that differ in every run, such as job IDs and times. They must be present on both sides.
    pub ignore: Vec<String>,
    /// Vectors with a cosine similarity of at least [`LEAST_COSINE`] and lengths within 1 %.
    pub cosine: Vec<String>,
    /// Numbers that may differ by an absolute amount.
    pub tolerance: Option<Tolerance>,
    /// Texts whose words must be equal, whatever the white space.
    pub tokens: Vec<String>,
}

/// An allowed difference between numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Tolerance {
    /// The places.
    pub at: Vec<String>,
    /// The largest absolute difference.
    pub by: f64,
}

impl ParityRules {
    /// All places named by the rules.
    pub fn places(&self) -> impl Iterator<Item = &String> {
        let tolerated = self.tolerance.iter().flat_map(|tolerance| &tolerance.at);
        self.ignore.iter().chain(&self.cosine).chain(&self.tokens).chain(tolerated)
    }
}

/// A response recorded for comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordedResponse {
    /// The status.
    pub status: u16,
    /// The media type without parameters.
    pub content_type: String,
    /// The body: JSON if it is JSON, else a string.
    pub body: Value,
}

impl From<&HttpResponse> for RecordedResponse {
    fn from(response: &HttpResponse) -> RecordedResponse {
        RecordedResponse {
            status: response.status,
            content_type: response.content_type.clone(),
            body: response.json().unwrap_or_else(|| Value::from(response.body.clone())),
        }
    }
}

/// All differences that no rule allows, one line each.
pub fn differences(
    original: &RecordedResponse,
    optimized: &RecordedResponse,
    rules: &ParityRules,
) -> Vec<String> {
    let mut found = Vec::new();
    if original.status != optimized.status {
        found.push(format!("status {} became {}", original.status, optimized.status));
    }
    if original.content_type != optimized.content_type {
        found.push(format!("type {} became {}", original.content_type, optimized.content_type));
    }
    compare(&original.body, &optimized.body, &mut Vec::new(), rules, &mut found);
    // A rule without a match is a mistake: what it was written for is compared differently than intended.
    let dead = rules.places().filter(|place| !is_present(place, &original.body));
    found.extend(dead.map(|place| format!("the rule for {place} matches nothing: correct or remove it")));
    found
}

/// Whether a place matches anything in a value.
fn is_present(place: &str, value: &Value) -> bool {
    let Some(rest) = place.strip_prefix('/') else { return true };
    let (part, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| (part == "*" || part == key) && is_present(rest, value))
        }
        // An empty array may have matched with elements.
        Value::Array(items) if part == "*" => {
            items.is_empty() || items.iter().any(|item| is_present(rest, item))
        }
        Value::Array(items) => {
            part.parse().ok().and_then(|at: usize| items.get(at)).is_some_and(|item| is_present(rest, item))
        }
        _ => false,
    }
}

fn compare(a: &Value, b: &Value, path: &mut Vec<String>, rules: &ParityRules, found: &mut Vec<String>) {
    let is_in = |places: &[String]| places.iter().any(|place| matches(place, path));
    if is_in(&rules.ignore) {
        return;
    }
    if is_in(&rules.cosine) {
        found.extend(direction(a, b).map(|fault| format!("{} {fault}", pointer(path))));
        return;
    }
    if let (true, Value::String(a_text), Value::String(b_text)) = (is_in(&rules.tokens), a, b) {
        if !a_text.split_whitespace().eq(b_text.split_whitespace()) {
            found.push(changed(a, b, path));
        }
        return;
    }
    let tolerance = rules.tolerance.as_ref().filter(|tolerance| is_in(&tolerance.at));
    if let (Some(tolerance), Some(x), Some(y)) = (tolerance, a.as_f64(), b.as_f64()) {
        if (x - y).abs() > tolerance.by {
            found.push(format!("{}, which differs by more than {}", changed(a, b, path), tolerance.by));
        }
        return;
    }
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for key in keys {
                path.push(key.clone());
                match (x.get(key), y.get(key)) {
                    (Some(a), Some(b)) => compare(a, b, path, rules, found),
                    (Some(_), None) => found.push(format!("{} is missing", pointer(path))),
                    (None, _) => found.push(format!("{} is new", pointer(path))),
                }
                path.pop();
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (index, (a, b)) in x.iter().zip(y).enumerate() {
                path.push(index.to_string());
                compare(a, b, path, rules, found);
                path.pop();
            }
        }
        _ if equal(a, b) => {}
        _ => found.push(changed(a, b, path)),
    }
}

fn changed(a: &Value, b: &Value, path: &[String]) -> String {
    format!("{} was {}, is {}", pointer(path), short(a), short(b))
}

fn direction(a: &Value, b: &Value) -> Option<String> {
    let numbers = |value: &Value| value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>();
    let (Some(a), Some(b)) = (numbers(a), numbers(b)) else {
        return Some("is not a vector on both sides".to_owned());
    };
    if a.len() != b.len() {
        return Some(format!("had {} dimensions, has {}", a.len(), b.len()));
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let (long, short) = (dot(&a, &a).sqrt(), dot(&b, &b).sqrt());
    let cosine = dot(&a, &b) / (long * short);
    // A zero vector has no direction: its cosine is NaN.
    if cosine.is_nan() || cosine < LEAST_COSINE {
        return Some(format!("has another direction: cosine {cosine:.6}, at least {LEAST_COSINE} expected"));
    }
    ((short / long - 1.0).abs() > 0.01).then(|| format!("had length {long:.4}, has {short:.4}"))
}

fn matches(place: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = place.split('/').skip(1).collect();
    parts.len() == path.len() && parts.iter().zip(path).all(|(part, at)| *part == "*" || part == at)
}

fn pointer(path: &[String]) -> String {
    if path.is_empty() { "the body".to_owned() } else { format!("/{}", path.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recorded(body: Value) -> RecordedResponse {
        RecordedResponse { status: 200, content_type: "application/json".into(), body }
    }

    fn found(a: Value, b: Value, rules: &ParityRules) -> Vec<String> {
        differences(&recorded(a), &recorded(b), rules)
    }

    #[test]
    fn without_rules_every_difference_counts() {
        let original = json!({ "a": [1, 2.0], "b": { "c": "x" } });
        assert_eq!(
            found(original.clone(), json!({ "a": [1.0, 2], "b": { "c": "x" } }), &ParityRules::default()),
            [""; 0]
        );
        assert_eq!(
            found(original, json!({ "a": [1, 2.5], "b": {}, "d": null }), &ParityRules::default()),
            ["/a/1 was 2.0, is 2.5", "/b/c is missing", "/d is new"]
        );
        let mut other = recorded(json!("page"));
        (other.status, other.content_type) = (404, "text/html".into());
        assert_eq!(
            differences(&recorded(json!("page")), &other, &ParityRules::default()),
            ["status 200 became 404", "type application/json became text/html"]
        );
    }

    #[test]
    fn rules_apply_only_at_their_places() {
        let rules = ParityRules {
            ignore: vec!["/id".into()],
            cosine: vec!["/v/*".into()],
            tolerance: Some(Tolerance { at: vec!["/s/*".into()], by: 0.01 }),
            tokens: vec!["/t".into()],
        };
        let original = json!({ "id": 1, "v": [[1.0, 0.0]], "s": { "x": 0.5 }, "t": "a b", "u": "a b" });
        let same =
            json!({ "id": 2, "v": [[0.9999, 0.0001]], "s": { "x": 0.509 }, "t": " a\n b", "u": "a b" });
        assert_eq!(found(original.clone(), same, &rules), [""; 0]);
        let other = json!({ "id": 2, "v": [[0.9, 0.4]], "s": { "x": 0.52 }, "t": "a c", "u": "a  b" });
        let lines = found(original.clone(), other, &rules);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].contains("/s/x was 0.5, is 0.52, which differs by more than 0.01"), "{lines:?}");
        assert!(
            lines.iter().any(|line| line.contains("/v/0 has another direction: cosine 0.91")),
            "{lines:?}"
        );
        let shorter = json!({ "id": 2, "v": [[1.0]], "s": { "x": "0.5" }, "t": 5, "u": "a b" });
        assert_eq!(found(original.clone(), shorter, &rules).len(), 3);
        // An ignored value must be present.
        let without = json!({ "v": [[2.0, 0.0]], "s": { "x": 0.5 }, "t": "a b", "u": "a b" });
        assert_eq!(
            found(original, without, &rules),
            ["/id is missing", "/v/0 had length 1.0000, has 2.0000"]
        );
    }

    #[test]
    fn a_rule_without_a_match_is_a_fault() {
        let rules =
            ParityRules { ignore: vec!["/jobs/*/id".into(), "/nobody".into()], ..ParityRules::default() };
        let body = json!({ "jobs": [] });
        assert_eq!(
            found(body.clone(), body, &rules),
            ["the rule for /nobody matches nothing: correct or remove it"]
        );
        let body = json!({ "jobs": [{ "name": 1 }], "nobody": 0 });
        assert_eq!(
            found(body.clone(), body, &rules),
            ["the rule for /jobs/*/id matches nothing: correct or remove it"]
        );
    }

    #[test]
    fn a_zero_vector_equals_no_vector() {
        let rules = ParityRules { cosine: vec!["/*".into()], ..ParityRules::default() };
        assert!(found(json!([[0.0, 0.0]]), json!([[0.0, 0.0]]), &rules)[0].contains("cosine NaN"));
    }
}
