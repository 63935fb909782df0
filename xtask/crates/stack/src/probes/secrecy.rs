//! Collects the values of probes that must not be printed: plain secrets, cookies and captured values.

use serde_json::Value;

use host::secrets::Secrets;
use model::placeholders::{RUN, Values};
use model::probe::Probe;
use model::response::HttpResponse;

/// Minimum length of cookies and captured values to mask, in bytes. Shorter values are not tokens and also occur in other text.
const SHORTEST: usize = 8;

/// Adds the values that every probe of a stack can use, except `${run}`.
pub(crate) fn hide_values(values: &Values, secrets: &Secrets) {
    let known = values.iter().filter(|(name, _)| *name != RUN);
    known.for_each(|(_, value)| hide(value, 0, secrets));
}

/// Adds the cookies and the captured value of an answer, which may be tokens. Call this before the answer is judged; otherwise
/// the probe's own failure could print them.
pub fn hide_values_of(probe: &Probe, answer: &HttpResponse, secrets: &Secrets) {
    answer.cookies.values().for_each(|cookie| hide(&Value::from(cookie.as_str()), SHORTEST, secrets));
    if let Some((_, value)) = probe.captured(answer) {
        hide(&value, SHORTEST, secrets);
    }
}

/// Adds every string and number in a value that has at least `shortest` bytes. Skips numbers in lists: those are vectors.
fn hide(value: &Value, shortest: usize, secrets: &Secrets) {
    match value {
        Value::String(text) if text.len() >= shortest => secrets.add(text),
        Value::Number(number) => hide(&Value::from(number.to_string()), shortest, secrets),
        Value::Array(items) => {
            items.iter().filter(|item| !item.is_number()).for_each(|item| hide(item, shortest, secrets));
        }
        Value::Object(fields) => fields.values().for_each(|item| hide(item, shortest, secrets)),
        Value::String(_) | Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::plan::fixtures;
    use model::probe::{Capture, CaptureSource};
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn tokens_are_hidden_and_short_or_public_values_are_not() {
        let masked = |captured: Value, text: &str| {
            let capture = Some(Capture { from: CaptureSource::At("/x".into()), name: "x".into() });
            let body = json!({ "x": captured }).to_string().into();
            let cookies = BTreeMap::from([("s".to_owned(), "c00kie-1".to_owned())]);
            let secrets = Secrets::default();
            let answer = HttpResponse { body, cookies, ..HttpResponse::default() };
            hide_values_of(&Probe { capture, ..fixtures::probe() }, &answer, &secrets);
            secrets.mask(text)
        };
        assert_eq!(masked(json!("t0ken-123"), "t0ken-123 c00kie-1"), "*** ***");
        assert_eq!(masked(json!(12_345_678), "/x/12345678"), "/x/***");
        assert_eq!(masked(json!({ "a": ["t0ken-123"] }), "t0ken-123"), "***");
        assert_eq!(masked(json!("t7"), "/things/t7"), "/things/t7");
        assert_eq!(masked(json!([0.123_456_789]), "0.123456789"), "0.123456789");
        let secrets = Secrets::default();
        hide_values(
            &Values::from([(RUN.to_owned(), json!("run-word")), ("KEY".to_owned(), json!("k3yz"))]),
            &secrets,
        );
        assert_eq!(secrets.mask("run-word k3yz"), "run-word ***");
    }
}
