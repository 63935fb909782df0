//! When two answers are the same: exactly, but for what rules declare.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expectation::{equal, short};
use crate::probe::Answer;

/// How far two embeddings of the same text may point apart (DESIGN: "Images").
pub const LEAST_COSINE: f64 = 0.999;

/// Where two answers may differ, and by how much. Places are JSON pointers in which `*` stands for any one part.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What is different at every run: names of jobs, times. It must be there on both sides all the same.
    pub ignore: Vec<String>,
    /// Vectors that must point the same way, cosine of at least [`LEAST_COSINE`], and be as long to within a hundredth.
    pub cosine: Vec<String>,
    /// Numbers that may differ by so much, absolutely.
    pub tolerance: Option<Tolerance>,
    /// Texts of which the words must be equal, whatever stands between them.
    pub tokens: Vec<String>,
}

/// Numbers that may differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Tolerance {
    /// Where they stand.
    pub at: Vec<String>,
    /// By how much at most.
    pub by: f64,
}

impl Rules {
    /// Every place that a rule names.
    pub fn places(&self) -> impl Iterator<Item = &String> {
        let tolerated = self.tolerance.iter().flat_map(|tolerance| &tolerance.at);
        self.ignore.iter().chain(&self.cosine).chain(&self.tokens).chain(tolerated)
    }
}

/// An answer as it is kept for comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparableAnswer {
    /// The status.
    pub status: u16,
    /// The media type without its parameters.
    pub content_type: String,
    /// The body: JSON where it is, else a text.
    pub body: Value,
}

impl From<&Answer> for ComparableAnswer {
    fn from(answer: &Answer) -> ComparableAnswer {
        ComparableAnswer {
            status: answer.status,
            content_type: answer.content_type.clone(),
            body: answer.json().unwrap_or_else(|| Value::from(answer.body.clone())),
        }
    }
}

/// Every difference that no rule allows, each as one line; empty when the answers are the same.
pub fn differences(original: &ComparableAnswer, optimized: &ComparableAnswer, rules: &Rules) -> Vec<String> {
    let mut found = Vec::new();
    if original.status != optimized.status {
        found.push(format!("status {} became {}", original.status, optimized.status));
    }
    if original.content_type != optimized.content_type {
        found.push(format!("type {} became {}", original.content_type, optimized.content_type));
    }
    compare(&original.body, &optimized.body, &mut Vec::new(), rules, &mut found);
    // A rule for what is not there was meant for something else, which is then compared or hidden otherwise than thought.
    let dead = rules.places().filter(|place| !is_there(place, &original.body));
    found.extend(dead.map(|place| format!("the rule for {place} fits nothing: mend or remove it")));
    found
}

/// Whether a place with its `*` stands anywhere in a value.
fn is_there(place: &str, value: &Value) -> bool {
    let Some(rest) = place.strip_prefix('/') else { return true };
    let (part, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(key, value)| (part == "*" || part == key) && is_there(rest, value))
        }
        // A list that happens to be empty has no element to look at.
        Value::Array(items) if part == "*" => {
            items.is_empty() || items.iter().any(|item| is_there(rest, item))
        }
        Value::Array(items) => {
            part.parse().ok().and_then(|at: usize| items.get(at)).is_some_and(|item| is_there(rest, item))
        }
        _ => false,
    }
}

fn compare(a: &Value, b: &Value, path: &mut Vec<String>, rules: &Rules, found: &mut Vec<String>) {
    let is_in = |places: &[String]| places.iter().any(|place| fits(place, path));
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
            found.push(format!("{}, more than {} apart", changed(a, b, path), tolerance.by));
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
                    (Some(_), None) => found.push(format!("{} is gone", pointer(path))),
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
        return Some("is no vector in both".to_owned());
    };
    if a.len() != b.len() {
        return Some(format!("had {} dimensions, has {}", a.len(), b.len()));
    }
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let (long, short) = (dot(&a, &a).sqrt(), dot(&b, &b).sqrt());
    let cosine = dot(&a, &b) / (long * short);
    // A vector of zeros has no direction: not a number, and so not at least anything.
    if cosine.is_nan() || cosine < LEAST_COSINE {
        return Some(format!("points elsewhere: cosine {cosine:.6}, least {LEAST_COSINE}"));
    }
    ((short / long - 1.0).abs() > 0.01).then(|| format!("was {long:.4} long, is {short:.4}"))
}

fn fits(place: &str, path: &[String]) -> bool {
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

    fn kept(body: Value) -> ComparableAnswer {
        ComparableAnswer { status: 200, content_type: "application/json".into(), body }
    }

    fn told(a: Value, b: Value, rules: &Rules) -> Vec<String> {
        differences(&kept(a), &kept(b), rules)
    }

    #[test]
    fn without_rules_everything_counts_but_how_a_number_is_written() {
        let original = json!({ "a": [1, 2.0], "b": { "c": "x" } });
        assert_eq!(
            told(original.clone(), json!({ "a": [1.0, 2], "b": { "c": "x" } }), &Rules::default()),
            [""; 0]
        );
        assert_eq!(
            told(original, json!({ "a": [1, 2.5], "b": {}, "d": null }), &Rules::default()),
            ["/a/1 was 2.0, is 2.5", "/b/c is gone", "/d is new"]
        );
        let mut other = kept(json!("page"));
        (other.status, other.content_type) = (404, "text/html".into());
        assert_eq!(
            differences(&kept(json!("page")), &other, &Rules::default()),
            ["status 200 became 404", "type application/json became text/html"]
        );
    }

    #[test]
    fn rules_hold_at_their_places_alone() {
        let rules = Rules {
            ignore: vec!["/id".into()],
            cosine: vec!["/v/*".into()],
            tolerance: Some(Tolerance { at: vec!["/s/*".into()], by: 0.01 }),
            tokens: vec!["/t".into()],
        };
        let original = json!({ "id": 1, "v": [[1.0, 0.0]], "s": { "x": 0.5 }, "t": "a b", "u": "a b" });
        let same =
            json!({ "id": 2, "v": [[0.9999, 0.0001]], "s": { "x": 0.509 }, "t": " a\n b", "u": "a b" });
        assert_eq!(told(original.clone(), same, &rules), [""; 0]);
        let other = json!({ "id": 2, "v": [[0.9, 0.4]], "s": { "x": 0.52 }, "t": "a c", "u": "a  b" });
        let found = told(original.clone(), other, &rules);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("/s/x was 0.5, is 0.52, more than 0.01 apart"), "{found:?}");
        assert!(found.iter().any(|line| line.contains("/v/0 points elsewhere: cosine 0.91")), "{found:?}");
        let shorter = json!({ "id": 2, "v": [[1.0]], "s": { "x": "0.5" }, "t": 5, "u": "a b" });
        assert_eq!(told(original.clone(), shorter, &rules).len(), 3);
        // What may differ must still be there.
        let without = json!({ "v": [[2.0, 0.0]], "s": { "x": 0.5 }, "t": "a b", "u": "a b" });
        assert_eq!(told(original, without, &rules), ["/id is gone", "/v/0 was 1.0000 long, is 2.0000"]);
    }

    #[test]
    fn a_rule_that_fits_nothing_is_a_fault() {
        let rules = Rules { ignore: vec!["/jobs/*/id".into(), "/nobody".into()], ..Rules::default() };
        let body = json!({ "jobs": [] });
        assert_eq!(
            told(body.clone(), body, &rules),
            ["the rule for /nobody fits nothing: mend or remove it"]
        );
        let body = json!({ "jobs": [{ "name": 1 }], "nobody": 0 });
        assert_eq!(
            told(body.clone(), body, &rules),
            ["the rule for /jobs/*/id fits nothing: mend or remove it"]
        );
    }

    #[test]
    fn a_vector_of_zeros_points_nowhere() {
        let rules = Rules { cosine: vec!["/*".into()], ..Rules::default() };
        assert!(told(json!([[0.0, 0.0]]), json!([[0.0, 0.0]]), &rules)[0].contains("cosine NaN"));
    }
}
