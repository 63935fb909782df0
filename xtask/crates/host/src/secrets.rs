//! Masks values that must not be printed.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is printed instead of a secret.
const MASK: &str = "***";

/// Shorter values are not masked: they occur in ordinary text.
const SHORTEST: usize = 4;

/// RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The known secrets, in every encoding in which programs print them. Clones share them.
///
/// Mask a text before cutting it: part of a secret is not recognized.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl Secrets {
    /// Adds a value. The lines of a multi-line value are also masked one by one, since logs are split into lines.
    pub fn add(&self, value: &str) {
        let lines = value.lines().map(str::trim);
        let all = std::iter::once(value.trim()).chain(lines).filter(|text| text.len() >= SHORTEST);
        let new: BTreeSet<String> = all.flat_map(encodings).filter(|form| form.len() >= SHORTEST).collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.extend(new);
        // Longest first: a secret may contain another one.
        known.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        known.dedup();
    }

    /// The text with every known secret replaced.
    pub fn mask(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().fold(text.to_owned(), |text, secret| match text.contains(secret.as_str()) {
            true => text.replace(secret.as_str(), MASK),
            false => text,
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

/// A value as it is, and as encoded in JSON (also nested), URLs, HTML, shell commands, Compose files, base64 and hexadecimal.
pub fn encodings(value: &str) -> Vec<String> {
    let url = utf8_percent_encode(value, RESERVED).to_string();
    let in_json = json(value);
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut forms = vec![
        value.to_owned(),
        json(&in_json),
        ascii_json(&in_json),
        ascii_json(&in_json).to_lowercase(),
        in_json.replace('/', "\\/"),
        in_json,
        url.replace("%20", "+"),
        lower_case_escapes(&url),
        url,
        html.replace('"', "&quot;").replace('\'', "&#x27;"),
        html.replace('"', "&quot;").replace('\'', "&#39;"),
        html.replace('"', "&#34;").replace('\'', "&#39;"),
        html,
        value.replace('\'', "'\\''"),
        value.replace('$', "$$"),
        value.bytes().map(|byte| format!("{byte:02x}")).collect(),
        value.bytes().map(|byte| format!("{byte:02X}")).collect(),
    ];
    for before in 0..3 {
        forms.extend(base64(value, before));
    }
    forms
}

/// The content of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// JSON with non-ASCII characters escaped, as Python writes it.
fn ascii_json(json: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json.chars().map(one).collect()
}

fn lower_case_escapes(url: &str) -> String {
    let mut parts = url.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| {
        let (digits, rest) = part.split_at(2);
        format!("{out}%{}{rest}", digits.to_lowercase())
    })
}

/// The base64 characters that depend only on this value, if it starts `before` bytes after a multiple of three. Other bytes may
/// surround it, as in `Basic` credentials.
fn base64(value: &str, before: usize) -> [String; 2] {
    let bytes = [&[0; 2][..before], value.as_bytes()].concat();
    let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|text| text[start..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secret: &str, text: &str) -> String {
        let secrets = Secrets::default();
        secrets.add(secret);
        secrets.mask(text)
    }

    #[test]
    fn a_secret_is_masked_in_every_form() {
        let secret = "pa\"ss wörd/<1>&'x'$";
        let python = "pa\\\"ss w\\u00f6rd/<1>&'x'$";
        for text in [
            secret.to_owned(),
            serde_json::json!({ "key": secret }).to_string(),
            serde_json::json!(serde_json::json!([secret]).to_string()).to_string(),
            format!("{{\"key\": \"{python}\"}}"),
            "?key=pa%22ss%20w%C3%B6rd%2F%3C1%3E%26%27x%27%24".to_owned(),
            "?key=pa%22ss+w%C3%B6rd%2F%3C1%3E%26%27x%27%24".to_owned(),
            "?key=pa%22ss%20w%c3%b6rd%2f%3c1%3e%26%27x%27%24".to_owned(),
            "<p>pa&quot;ss wörd/&lt;1&gt;&amp;&#x27;x&#x27;$</p>".to_owned(),
            "sh -c 'pa\"ss wörd/<1>&'\\''x'\\''$'".to_owned(),
            "pa\"ss wörd/<1>&'x'$$".to_owned(),
        ] {
            let shown = masked(secret, &text);
            assert!(shown.contains(MASK) && !shown.contains("rd"), "{text}: {shown}");
        }
    }

    #[test]
    fn a_secret_is_masked_in_base64_wherever_it_starts() {
        for user in ["", "a", "me", "you"] {
            let text = STANDARD_NO_PAD.encode(format!("{user}:open-sesame:end"));
            let shown = masked("open-sesame", &text);
            assert!(shown.contains(MASK) && shown.len() < text.len() - 8, "{text}: {shown}");
        }
    }

    #[test]
    fn a_secret_of_several_lines_is_masked_line_by_line() {
        let secret = "-----BEGIN KEY-----\nfirst half\nsecond half\n";
        assert_eq!(masked(secret, "x | first half\ny | second half"), "x | ***\ny | ***");
        assert_eq!(masked(secret, &format!("key: {secret}!")), "key: ***\n!");
        assert_eq!(
            masked(secret, "{\"key\":\"-----BEGIN KEY-----\\nfirst half\\nsecond half\\n\"}"),
            "{\"key\":\"***\\n\"}"
        );
    }

    #[test]
    fn longest_secrets_first_and_short_values_are_ignored() {
        let secrets = Secrets::default();
        for value in ["open", "open-sesame", "a", ""] {
            secrets.add(value);
        }
        assert_eq!(secrets.clone().mask("an open-sesame, open"), "an ***, ***");
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }
}
