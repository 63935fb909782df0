//! Parity: the responses of two variants are equal except for declared differences. JSON is compared by value, except numbers,
//! which are compared as text (`1`, `1.0` and `1e0` differ) unless a tolerance applies. Other bodies are compared byte by byte.

use std::collections::BTreeSet;

use crate::expectation::shortened;
use crate::json::Json;
pub use crate::parity_rules::{LEAST_COSINE, ParityRules, Tolerance};
use crate::recorded::{RecordedBody, RecordedResponse};
use host::secrets::Secrets;

/// All differences that no rule allows, one line each, with `secrets` masked.
pub fn differences(
    original: &RecordedResponse,
    optimized: &RecordedResponse,
    rules: &ParityRules,
    secrets: &Secrets,
) -> Vec<String> {
    let mut comparison = Comparison { rules, secrets, path: Vec::new(), found: Vec::new() };
    let found = &mut comparison.found;
    if original.status != optimized.status {
        found.push(format!("status {} became {}", original.status, optimized.status));
    }
    if original.content_type != optimized.content_type {
        found.push(format!("type {} became {}", original.content_type, optimized.content_type));
    }
    match (&original.body, &optimized.body) {
        (RecordedBody::Json(a), RecordedBody::Json(b)) => comparison.compare(a, b),
        (RecordedBody::Text(a), RecordedBody::Text(b)) => {
            comparison.compare(&Json::String(a.clone()), &Json::String(b.clone()));
        }
        _ if is_in(&rules.ignore, &[]) => {}
        (a, b) => comparison.found.extend(different_bytes(a, b)),
    }
    // A rule without a match is a mistake: what it was written for is compared differently than intended.
    let dead = rules.places().filter(|place| !is_present(place, &original.body));
    let mut found = comparison.found;
    found.extend(dead.map(|place| format!("the rule for {place} matches nothing: correct or remove it")));
    found
}

/// Whether a place exists in a body.
fn is_present(place: &str, body: &RecordedBody) -> bool {
    match body {
        RecordedBody::Json(json) => is_present_in(place, json),
        RecordedBody::Text(_) | RecordedBody::Bytes(_) => place.is_empty(),
    }
}

fn is_present_in(place: &str, value: &Json) -> bool {
    let Some(rest) = place.strip_prefix('/') else { return true };
    let (part, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
    match value {
        Json::Object(fields) => fields.iter().any(|(key, values)| {
            (part == "*" || part == key) && values.iter().any(|value| is_present_in(rest, value))
        }),
        // An empty array may have matched with elements.
        Json::Array(items) if part == "*" => {
            items.is_empty() || items.iter().any(|item| is_present_in(rest, item))
        }
        Json::Array(items) => part
            .parse()
            .ok()
            .and_then(|at: usize| items.get(at))
            .is_some_and(|item| is_present_in(rest, item)),
        _ => false,
    }
}

struct Comparison<'a> {
    rules: &'a ParityRules,
    secrets: &'a Secrets,
    path: Vec<String>,
    found: Vec<String>,
}

impl Comparison<'_> {
    fn compare(&mut self, a: &Json, b: &Json) {
        let rules = self.rules;
        if is_in(&rules.ignore, &self.path) {
            return;
        }
        if is_in(&rules.cosine, &self.path) {
            let fault = direction(a, b).map(|fault| format!("{} {fault}", self.place()));
            self.found.extend(fault);
            return;
        }
        if let (true, Json::String(a_text), Json::String(b_text)) = (is_in(&rules.tokens, &self.path), a, b) {
            if !a_text.split_whitespace().eq(b_text.split_whitespace()) {
                self.changed(a, b, "");
            }
            return;
        }
        let tolerance = rules.tolerance.as_ref().filter(|tolerance| is_in(&tolerance.at, &self.path));
        if let (Some(tolerance), Some(x), Some(y)) = (tolerance, a.as_f64(), b.as_f64()) {
            if (x - y).abs() > tolerance.by {
                self.changed(a, b, &format!(", which differs by more than {}", tolerance.by));
            }
            return;
        }
        match (a, b) {
            (Json::Object(x), Json::Object(y)) => {
                for key in x.keys().chain(y.keys()).collect::<BTreeSet<_>>() {
                    self.path.push(key.clone());
                    self.field(x.get(key), y.get(key));
                    self.path.pop();
                }
            }
            (Json::Array(x), Json::Array(y)) if x.len() == y.len() => {
                for (index, (a, b)) in x.iter().zip(y).enumerate() {
                    self.path.push(index.to_string());
                    self.compare(a, b);
                    self.path.pop();
                }
            }
            _ if a == b => {}
            _ => self.changed(a, b, ""),
        }
    }

    /// The values of a key on both sides; more than one if the key is repeated.
    fn field(&mut self, a: Option<&Vec<Json>>, b: Option<&Vec<Json>>) {
        let fault = match (a, b) {
            (Some(a), Some(b)) if a.len() == b.len() => {
                return a.iter().zip(b).for_each(|(a, b)| self.compare(a, b));
            }
            (Some(a), Some(b)) => format!("occurred {} ×, occurs {} ×", a.len(), b.len()),
            (Some(_), None) => "is missing".to_owned(),
            (None, _) => "is new".to_owned(),
        };
        self.found.push(format!("{} {fault}", self.place()));
    }

    fn place(&self) -> String {
        self.secrets.mask(&pointer(&self.path))
    }

    fn changed(&mut self, a: &Json, b: &Json, more: &str) {
        let place = self.place();
        let [a, b] = [a, b].map(|value| self.secrets.mask(&value.to_string()));
        self.found.push(match a == b {
            true => format!("{place}: a secret value differs"),
            false => {
                let start = start_of_difference(&a, &b);
                let [a, b] = [a, b].map(|text| excerpt(&text, start));
                format!("{place} was {a}, is {b}{more}")
            }
        });
    }
}

/// Where an excerpt must start to show the first difference: 0 if that is near the start.
fn start_of_difference(a: &str, b: &str) -> usize {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    if same < 80 { 0 } else { same - 20 }
}

/// At most 120 characters of a text.
fn excerpt(text: &str, start: usize) -> String {
    let from: String = text.chars().skip(start).take(121).collect();
    format!("{}{}", if start == 0 { "" } else { "…" }, shortened(&from, 120))
}

/// Describes the difference between two bodies that are not both JSON or both text.
fn different_bytes(a: &RecordedBody, b: &RecordedBody) -> Option<String> {
    let (RecordedBody::Bytes(x), RecordedBody::Bytes(y)) = (a, b) else {
        return Some(format!("the body was {}, is {}", a.form(), b.form()));
    };
    let at = x.iter().zip(y).position(|(x, y)| x != y).unwrap_or(x.len().min(y.len()));
    let different = x.iter().zip(y).filter(|(x, y)| x != y).count();
    match (x == y, x.len() == y.len()) {
        (true, _) => None,
        (_, true) => {
            Some(format!("the body differs in {different} of {} bytes, first at byte {}", x.len(), at + 1))
        }
        _ => Some(format!(
            "the body had {} bytes, has {}; first difference at byte {}",
            x.len(),
            y.len(),
            at + 1
        )),
    }
}

fn direction(a: &Json, b: &Json) -> Option<String> {
    let numbers = |value: &Json| match value {
        Json::Array(items) => items.iter().map(Json::as_f64).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
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

/// Whether one of these places matches this path.
pub(crate) fn is_in(places: &[String], path: &[String]) -> bool {
    places.iter().any(|place| {
        let parts: Vec<&str> = place.split('/').skip(1).collect();
        parts.len() == path.len() && parts.iter().zip(path).all(|(part, at)| *part == "*" || part == at)
    })
}

fn pointer(path: &[String]) -> String {
    if path.is_empty() { "the body".to_owned() } else { format!("/{}", path.join("/")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::HttpResponse;
    use serde_json::{Value, json};

    fn response(content_type: &str, body: impl Into<Vec<u8>>) -> RecordedResponse {
        let (content_type, body) = (content_type.to_owned(), body.into());
        let response = HttpResponse { status: 200, content_type, body, ..HttpResponse::default() };
        RecordedResponse::of(&response, &Secrets::default())
    }

    fn recorded(body: Value) -> RecordedResponse {
        response("application/json", body.to_string())
    }

    fn compared(a: &RecordedResponse, b: &RecordedResponse) -> Vec<String> {
        differences(a, b, &ParityRules::default(), &Secrets::default())
    }

    fn found(a: Value, b: Value, rules: &ParityRules) -> Vec<String> {
        differences(&recorded(a), &recorded(b), rules, &Secrets::default())
    }

    #[test]
    fn bodies_that_are_not_json_are_compared_byte_by_byte() {
        let bytes = |a: &[u8], b: &[u8]| compared(&response("image/png", a), &response("image/png", b));
        assert_eq!(bytes(b"caf\xe9", b"caf\xe9"), [""; 0]);
        assert_eq!(bytes(b"caf\xe9", b"caf\xe8"), ["the body differs in 1 of 4 bytes, first at byte 4"]);
        assert_eq!(bytes(b"\xff\xff", b"\xff"), ["the body had 2 bytes, has 1; first difference at byte 2"]);
        assert_eq!(bytes(b"caf\xe9", b"cafe"), ["the body was neither JSON nor UTF-8, is text"]);
        let picture = |rest: u8| [b"\x89PNG\xff\xff".as_slice(), &[rest; 1024]].concat();
        assert_eq!(
            bytes(&picture(0), &picture(200)),
            ["the body differs in 1024 of 1030 bytes, first at byte 7"]
        );
        let page = |end: &str| response("text/html", format!("{}{end}", "x".repeat(5000)));
        assert_eq!(
            compared(&page("a"), &page("b")),
            [format!("the body was …{0}a\", is …{0}b\"", "x".repeat(20))]
        );
        assert_eq!(compared(&page(""), &page("\n")).len(), 1);
    }

    #[test]
    fn numbers_are_compared_as_written() {
        let numbers = |a: &str, b: &str, by: Option<f64>| {
            let json = |number: &str| response("application/json", format!("{{\"n\":{number}}}"));
            let tolerance = by.map(|by| Tolerance { at: vec!["/n".into()], by });
            let rules = ParityRules { tolerance, ..ParityRules::default() };
            differences(&json(a), &json(b), &rules, &Secrets::default())
        };
        let (a, b) = ("12345678901234567890", "12345678901234567891");
        assert_eq!(numbers(a, b, None), [format!("/n was {a}, is {b}")]);
        for (a, b) in
            [("1", "1.0"), ("1.0", "1.00"), ("1e3", "1000"), ("0", "-0"), ("0.1", "0.10000000000000000001")]
        {
            assert_eq!((numbers(a, a, None).len(), numbers(a, b, None).len()), (0, 1), "{a} {b}");
            assert_eq!(numbers(a, b, Some(0.0)), [""; 0]);
        }
        // No tolerance applies to numbers outside the range of f64.
        assert_eq!(numbers("1e999", "2e999", Some(1.0)).len(), 1);
    }

    #[test]
    fn keys_may_come_in_any_order_but_not_more_often() {
        let json = |text: &str| response("application/json", text);
        assert_eq!(compared(&json("{\"a\":1,\"b\":2}"), &json("{ \"b\":2, \"\\u0061\":1 }")), [""; 0]);
        let twice = json("{\"a\":1,\"a\":2}");
        assert_eq!(compared(&twice, &twice), [""; 0]);
        assert_eq!(compared(&json("{\"a\":2}"), &twice), ["/a occurred 1 ×, occurs 2 ×"]);
        assert_eq!(compared(&json("{\"a\":3,\"a\":2}"), &twice), ["/a was 3, is 1"]);
    }

    #[test]
    fn differences_hold_no_secret() {
        let secrets = Secrets::default();
        let (one, two) = ("x".repeat(110) + "first secret", "x".repeat(110) + "second secret");
        secrets.add(&one);
        secrets.add(&two);
        let json = |text: &str| recorded(json!({ "a": format!("key {text}") }));
        let found = |a: &str, b: &str| differences(&json(a), &json(b), &ParityRules::default(), &secrets);
        assert_eq!(found(&one, &two), ["/a: a secret value differs"]);
        assert_eq!(found(&one, "none"), ["/a was \"key ***\", is \"key none\""]);
    }

    #[test]
    fn without_rules_every_difference_counts() {
        let original = json!({ "a": [1, 2.0], "b": { "c": "x" } });
        assert_eq!(found(original.clone(), original.clone(), &ParityRules::default()), [""; 0]);
        assert_eq!(
            found(original, json!({ "a": [1, 2.5], "b": {}, "d": null }), &ParityRules::default()),
            ["/a/1 was 2.0, is 2.5", "/b/c is missing", "/d is new"]
        );
        let mut other = recorded(json!("page"));
        (other.status, other.content_type) = (404, "text/html".into());
        assert_eq!(
            compared(&recorded(json!("page")), &other),
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
