//! A text to teach, with what is known about it.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::excerpt::excerpt;
use crate::metadata;

/// Maximum length of a source, in characters.
const MAX_SOURCE: usize = 500;

/// Maximum length of a title, in characters.
const MAX_TITLE: usize = 300;

/// A text to teach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// The text itself.
    pub text: String,
    /// Where it is from, such as the name of a file.
    pub source: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// The client's own data: a compact JSON object.
    pub metadata: Option<String>,
}

impl Text {
    /// Reads a JSON line: a string or an object. Other fields of an object are ignored, because exports have them; `null`
    /// counts as absent. The error is the problem.
    pub(crate) fn from_json(line: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Object<'a> {
            text: String,
            #[serde(borrow)]
            source: Option<&'a RawValue>,
            #[serde(borrow)]
            title: Option<&'a RawValue>,
            #[serde(borrow)]
            metadata: Option<&'a RawValue>,
        }
        // The parser sees one line at a time, so its line number is always 1.
        let problem = |error: serde_json::Error| {
            excerpt(&error.to_string().replace(" at line 1 column ", " at column "))
        };
        match line.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'"') => {
                Ok(Self { text: serde_json::from_slice(line).map_err(problem)?, ..Self::default() })
            }
            Some(b'{') => {
                let object: Object<'_> = serde_json::from_slice(line).map_err(problem)?;
                let metadata = object.metadata.map(|raw| metadata::compact(raw.get())).transpose();
                Ok(Self {
                    text: object.text,
                    source: object.source.map(|raw| source(&string("source", raw)?)).transpose()?,
                    title: object.title.map(|raw| title(&string("title", raw)?)).transpose()?,
                    metadata: metadata.map_err(|problem| format!("metadata: {problem}"))?,
                })
            }
            _ => Err("expected a JSON object with a \"text\" or a JSON string".to_owned()),
        }
    }

    /// The text as hybrid takes it: a string, or an object if more is known about it. `source` is that of texts without one.
    pub(crate) fn to_json(&self, source: Option<&str>) -> String {
        let mut json = Value::from(self.text.as_str()).to_string();
        let fields = [
            ("source", self.source.as_deref().or(source).map(|source| json!(source).to_string())),
            ("title", self.title.as_deref().map(|title| json!(title).to_string())),
            ("metadata", self.metadata.clone()),
        ];
        if fields.iter().any(|(_, value)| value.is_some()) {
            json.insert_str(0, "{\"text\":");
            for (name, value) in fields {
                if let Some(value) = value {
                    json.extend([",\"", name, "\":", &value]);
                }
            }
            json.push('}');
        }
        json
    }
}

/// Checks a source. The error is the problem.
pub(crate) fn source(text: &str) -> Result<String, String> {
    checked("source", text, MAX_SOURCE)
}

/// Checks a title. The error is the problem.
pub(crate) fn title(text: &str) -> Result<String, String> {
    checked("title", text, MAX_TITLE)
}

fn string(name: &str, raw: &RawValue) -> Result<String, String> {
    serde_json::from_str(raw.get())
        .map_err(|_| format!("{name}: expected a string, not {}", excerpt(raw.get())))
}

fn checked(name: &str, text: &str, max: usize) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err(format!("{name}: empty; leave it out"));
    }
    let count = text.chars().count();
    if count > max {
        return Err(format!("{name}: {count} characters; the maximum is {max}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(line: &str) -> Result<String, String> {
        Text::from_json(line.as_bytes()).map(|text| text.to_json(None))
    }

    #[test]
    fn what_is_known_about_a_text_is_passed_on() {
        for (line, expected) in [
            ("\"a\\u00fc\"", "\"aü\""),
            ("{\"text\":\"a\",\"id\":7}", "\"a\""),
            ("{\"text\":\"a\",\"source\":null,\"title\":null,\"metadata\":null}", "\"a\""),
            (
                "{\"metadata\":{\"n\": 1.00000000000000000001}, \"title\":\"T\\n\", \"source\":\" h b.md\", \"text\":\"a\"}",
                "{\"text\":\"a\",\"source\":\" h b.md\",\"title\":\"T\\n\",\"metadata\":{\"n\":1.00000000000000000001}}",
            ),
            ("{\"text\":\"a\",\"metadata\":{}}", "{\"text\":\"a\",\"metadata\":{}}"),
        ] {
            assert_eq!(json(line).as_deref(), Ok(expected));
        }
        let text = Text::from_json(b"{\"text\":\"a\",\"source\":\"own\"}").expect("a text");
        assert_eq!(text.to_json(Some("job's")), "{\"text\":\"a\",\"source\":\"own\"}");
        let text = Text { text: "a".to_owned(), ..Text::default() };
        assert_eq!(text.to_json(Some("job's \"x\"")), "{\"text\":\"a\",\"source\":\"job's \\\"x\\\"\"}");
    }

    #[test]
    fn a_bad_field_is_named() {
        let (source, title) = ("ä".repeat(MAX_SOURCE), "ä".repeat(MAX_TITLE));
        assert!(json(&format!("{{\"text\":\"a\",\"source\":\"{source}\",\"title\":\"{title}\"}}")).is_ok());
        for (fields, expected) in [
            ("\"source\":5", "source: expected a string, not 5"),
            ("\"source\":\"\"", "source: empty; leave it out"),
            ("\"title\":\" \\n\"", "title: empty"),
            ("\"title\":[\"a\"]", "title: expected a string, not [\"a\"]"),
            ("\"title\":\"\\ud800\"", "title: expected a string"),
            ("\"metadata\":\"a\"", "metadata: expected a JSON object"),
            ("\"metadata\":{\"a\":1,\"a\":2}", "metadata: duplicate name: \"a\""),
            ("\"source\":\"a\",\"source\":\"b\"", "duplicate field `source`"),
            (&format!("\"source\":\"{source}x\""), "source: 501 characters; the maximum is 500"),
            (&format!("\"title\":\"{title}x\""), "title: 301 characters; the maximum is 300"),
        ] {
            let problem = json(&format!("{{\"text\":\"a\",{fields}}}")).expect_err(expected);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
