//! Responses as compared and recorded by the parity test.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize};

use crate::json::Json;
use crate::parity::{ParityRules, is_in};
use crate::response::{HttpResponse, is_json};
use host::secrets::Secrets;

/// A response recorded for comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct RecordedResponse {
    /// The status.
    pub status: u16,
    /// The media type without parameters.
    pub content_type: String,
    /// The body.
    pub body: RecordedBody,
}

/// A body, by how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordedBody {
    /// JSON: valid JSON with a JSON media type, or an object or array with any type. A byte order mark is skipped.
    Json(Json),
    /// Other UTF-8 text.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl RecordedResponse {
    /// The response with the stack's secrets masked, since each stack has different ones.
    pub fn of(response: &HttpResponse, secrets: &Secrets) -> RecordedResponse {
        let HttpResponse { status, content_type, body, .. } = response;
        let mask = |text: &str| secrets.mask(text);
        let body = match std::str::from_utf8(body) {
            Ok(text) => match json(text, response.is_json()) {
                Some(json) => RecordedBody::Json(json.map(&mask)),
                None => RecordedBody::Text(mask(text)),
            },
            Err(_) => RecordedBody::Bytes(body.clone()),
        };
        RecordedResponse { status: *status, content_type: content_type.clone(), body }
    }

    /// The response for a recording: ignored values, which may be times or tokens, become `null`, and an ignored text empty.
    #[must_use]
    pub fn without_ignored(self, rules: &ParityRules) -> RecordedResponse {
        let body = match self.body {
            RecordedBody::Json(json) => RecordedBody::Json(without_ignored(&json, &mut Vec::new(), rules)),
            _ if is_in(&rules.ignore, &[]) => RecordedBody::Text(String::new()),
            other => other,
        };
        RecordedResponse { body, ..self }
    }
}

fn json(text: &str, says_so: bool) -> Option<Json> {
    let json = Json::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).ok()?;
    (says_so || matches!(json, Json::Object(_) | Json::Array(_))).then_some(json)
}

fn without_ignored(value: &Json, path: &mut Vec<String>, rules: &ParityRules) -> Json {
    if is_in(&rules.ignore, path) {
        return Json::Null;
    }
    let mut inside = |part: String, value: &Json| {
        path.push(part);
        let value = without_ignored(value, path, rules);
        path.pop();
        value
    };
    match value {
        Json::Array(items) => {
            let items = items.iter().enumerate();
            Json::Array(items.map(|(index, item)| inside(index.to_string(), item)).collect())
        }
        Json::Object(fields) => {
            let mut field = |(key, values): (&String, &Vec<Json>)| {
                (key.clone(), values.iter().map(|value| inside(key.clone(), value)).collect())
            };
            Json::Object(fields.iter().map(&mut field).collect())
        }
        other => other.clone(),
    }
}

impl RecordedBody {
    /// Its kind, for messages.
    pub(crate) fn form(&self) -> &'static str {
        match self {
            RecordedBody::Json(_) => "JSON",
            RecordedBody::Text(_) => "text",
            RecordedBody::Bytes(_) => "neither JSON nor UTF-8",
        }
    }
}

/// A response in a file, with exactly one of the three bodies.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    content_type: String,
    /// JSON. In files older than the field `text`, a string is usually text.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    body: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

/// Distinguishes a `null` body from a missing one.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl TryFrom<Written> for RecordedResponse {
    type Error = String;

    fn try_from(written: Written) -> Result<RecordedResponse, String> {
        let Written { status, content_type, body, text, base64 } = written;
        let body = match (body, text, base64) {
            (Some(Json::String(text)), None, None) if text.is_empty() || !is_json(&content_type) => {
                RecordedBody::Text(text)
            }
            (Some(json), None, None) => RecordedBody::Json(json),
            (None, Some(text), None) => match json(&text, is_json(&content_type)) {
                Some(json) => RecordedBody::Json(json),
                None => RecordedBody::Text(text),
            },
            (None, None, Some(base64)) => {
                RecordedBody::Bytes(STANDARD.decode(base64).map_err(|error| format!("`base64`: {error}"))?)
            }
            _ => return Err("must have exactly one of `body`, `text` and `base64`".to_owned()),
        };
        Ok(RecordedResponse { status, content_type, body })
    }
}

impl From<RecordedResponse> for Written {
    fn from(response: RecordedResponse) -> Written {
        let RecordedResponse { status, content_type, body } = response;
        let (mut json, mut text, mut base64) = (None, None, None);
        match body {
            RecordedBody::Json(string @ Json::String(_)) => text = Some(string.to_string()),
            RecordedBody::Json(value) => json = Some(value),
            RecordedBody::Text(value) => text = Some(value),
            RecordedBody::Bytes(value) => base64 = Some(STANDARD.encode(value)),
        }
        Written { status, content_type, body: json, text, base64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(content_type: &str, body: &[u8]) -> RecordedResponse {
        let response = HttpResponse {
            status: 200,
            content_type: content_type.into(),
            body: body.to_owned(),
            ..HttpResponse::default()
        };
        RecordedResponse::of(&response, &Secrets::default())
    }

    #[test]
    fn every_body_survives_its_record() {
        for (content_type, body, written) in [
            ("application/json", b"{\"n\": 1.00}".as_slice(), r#""body":{"n":1.00}"#),
            ("application/json", b"null", r#""body":null"#),
            ("application/json", b"\"x\"", r#""text":"\"x\"""#),
            ("application/json", b"", r#""text":"""#),
            ("application/json", b"x", r#""text":"x""#),
            ("text/plain", b"[1]", r#""body":[1]"#),
            ("text/plain", b"1 ", r#""text":"1 ""#),
            ("text/plain", "\u{feff}é".as_bytes(), "\"text\":\"\u{feff}é\""),
            ("text/plain", b"", r#""text":"""#),
            ("image/png", b"caf\xe9", r#""base64":"Y2Fm6Q==""#),
        ] {
            let response = recorded(content_type, body);
            let text = serde_json::to_string(&response).unwrap();
            assert_eq!(text, format!(r#"{{"status":200,"content_type":"{content_type}",{written}}}"#));
            assert_eq!(serde_json::from_str::<RecordedResponse>(&text).unwrap(), response);
        }
    }

    #[test]
    fn a_string_in_an_old_record_is_text_unless_its_type_is_json() {
        let body = |content_type: &str, body: &str| {
            let text = format!(r#"{{"status":200,"content_type":"{content_type}","body":"{body}"}}"#);
            serde_json::from_str::<RecordedResponse>(&text).unwrap().body
        };
        assert_eq!(body("text/html", "<p>"), RecordedBody::Text("<p>".into()));
        assert_eq!(body("application/json", "<p>"), RecordedBody::Json(Json::String("<p>".into())));
        // Answers without a body may have a media type.
        assert_eq!(body("application/json", ""), RecordedBody::Text(String::new()));
        assert!(serde_json::from_str::<RecordedResponse>(r#"{"status":200,"content_type":""}"#).is_err());
    }

    #[test]
    fn a_byte_order_mark_counts_in_text_alone() {
        let mark = |content_type: &str, body: &str| {
            recorded(content_type, format!("\u{feff}{body}").as_bytes())
                == recorded(content_type, body.as_bytes())
        };
        assert_eq!((mark("application/json", "[1]"), mark("text/plain", "a")), (true, false));
    }

    #[test]
    fn secrets_are_masked() {
        let secrets = Secrets::default();
        secrets.add("open-sesame");
        for body in ["{\"open-sesame\":[\"my open-sesame\"]}", "my open-sesame"] {
            let response = HttpResponse { body: body.into(), ..HttpResponse::default() };
            let text = serde_json::to_string(&RecordedResponse::of(&response, &secrets)).unwrap();
            assert!(text.contains("my ***") && !text.contains("sesame"), "{text}");
        }
    }

    #[test]
    fn a_record_keeps_no_ignored_value() {
        let rules = |place: &str| ParityRules { ignore: vec![place.into()], ..ParityRules::default() };
        let json = |text: &str| recorded("application/json", text.as_bytes());
        let kept = json("{\"jobs\":[{\"id\":\"t-1\",\"n\":1.0}]}").without_ignored(&rules("/jobs/*/id"));
        assert_eq!(kept, json("{\"jobs\":[{\"id\":null,\"n\":1.0}]}"));
        for body in [b"token 1".as_slice(), b"\xe9"] {
            assert_eq!(recorded("a/b", body).without_ignored(&rules("")), recorded("a/b", b""));
        }
    }
}
