//! The response of a service.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::json::MAX_DEPTH;

/// The byte order mark in UTF-8. Clients skip it.
const BOM: char = '\u{feff}';

/// An HTTP response with its content encoding decoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The media type without parameters, in lower case; empty if the response has none.
    pub content_type: String,
    /// The media type's `charset`, in lower case; empty if it has none.
    pub charset: String,
    /// The body.
    pub body: Vec<u8>,
    /// The cookies it sets, by name.
    pub cookies: BTreeMap<String, String>,
    /// The target of a redirect, which is not followed.
    pub location: Option<String>,
}

impl HttpResponse {
    /// The body as text, without a byte order mark.
    ///
    /// # Errors
    /// When the charset is unsupported or the body is invalid in it.
    pub fn text(&self) -> Result<Cow<'_, str>, String> {
        match self.charset.as_str() {
            "" | "utf-8" | "utf8" | "us-ascii" | "ascii" => match std::str::from_utf8(&self.body) {
                Ok(text) => Ok(text.strip_prefix(BOM).unwrap_or(text).into()),
                Err(error) => Err(format!("invalid UTF-8 at byte {}", error.valid_up_to() + 1)),
            },
            "iso-8859-1" | "iso8859-1" | "latin1" => Ok(self.body.iter().copied().map(char::from).collect()),
            other => Err(format!("unsupported charset `{other}` (supported: UTF-8, ISO-8859-1)")),
        }
    }

    /// The body as text for reports; invalid bytes are replaced.
    pub fn shown(&self) -> Cow<'_, str> {
        self.text().unwrap_or_else(|_| String::from_utf8_lossy(&self.body))
    }

    /// The body as JSON. The charset is ignored, since JSON is UTF-8 (RFC 8259, section 8.1).
    ///
    /// # Errors
    /// Why the body is not JSON.
    pub fn json(&self) -> Result<Value, String> {
        if self.body.is_empty() {
            return Err("an empty body".to_owned());
        }
        let bytes = self.body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.body);
        serde_json::from_slice(bytes).map_err(|error| {
            let error = error.to_string();
            match self.is_json() {
                _ if error.starts_with("recursion limit") => {
                    format!("JSON that is nested deeper than {MAX_DEPTH} levels")
                }
                true => format!("invalid JSON: {error}"),
                false if self.content_type.is_empty() => "no media type".to_owned(),
                false => self.content_type.clone(),
            }
        })
    }

    /// Whether the response has a JSON media type (RFC 6839, section 3.1).
    pub fn is_json(&self) -> bool {
        is_json(&self.content_type)
    }
}

/// Whether a media type is JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type == "text/json" || content_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn response(content_type: &str, body: &[u8]) -> HttpResponse {
        let (content_type, body) = (content_type.to_owned(), body.to_owned());
        HttpResponse { content_type, body, ..HttpResponse::default() }
    }

    #[test]
    fn json_is_read_or_refused_for_the_real_reason() {
        let json = |content_type: &str, body: &str| response(content_type, body.as_bytes()).json();
        assert_eq!(json("application/json", "\u{feff}{\"a\":1}"), Ok(json!({ "a": 1 })));
        let reason = |content_type: &str, body: &str| json(content_type, body).unwrap_err();
        let deep = "[".repeat(129) + &"]".repeat(129);
        assert_eq!(reason("application/json", &deep), "JSON that is nested deeper than 128 levels");
        assert_eq!(reason("application/json", ""), "an empty body");
        assert!(reason("application/problem+json", "{").starts_with("invalid JSON: EOF while parsing"));
        assert_eq!(reason("text/html", "<p>"), "text/html");
        assert_eq!(reason("", "<p>"), "no media type");
    }

    #[test]
    fn text_is_read_in_its_charset_or_refused() {
        let text = |charset: &str, body: &[u8]| {
            let response = HttpResponse { charset: charset.into(), ..response("text/plain", body) };
            response.text().map(Cow::into_owned)
        };
        assert_eq!(text("", "\u{feff}café".as_bytes()), Ok("café".into()));
        assert_eq!(text("iso-8859-1", b"caf\xe9"), Ok("café".into()));
        assert_eq!(text("utf-8", b"caf\xe9"), Err("invalid UTF-8 at byte 4".into()));
        assert!(text("shift_jis", b"x").unwrap_err().contains("unsupported charset `shift_jis`"));
    }
}
