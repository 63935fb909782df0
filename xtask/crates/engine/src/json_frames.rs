//! A byte stream of JSON objects with plain text between them.

use serde::de::DeserializeOwned;

/// Splits a byte stream into objects and text.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    json: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    line: Vec<u8>,
    text: String,
}

impl Frames {
    /// The objects of type `T` that end in `bytes`.
    pub(crate) fn push<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Vec<T> {
        let mut messages = Vec::new();
        for &byte in bytes {
            if self.depth == 0 && !(byte == b'{' && self.line.iter().all(u8::is_ascii_whitespace)) {
                self.line.push(byte);
                if byte == b'\n' {
                    let line = std::mem::take(&mut self.line);
                    self.text.push_str(&String::from_utf8_lossy(&line));
                }
                continue;
            }
            self.line.clear();
            self.json.push(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                let json = std::mem::take(&mut self.json);
                match serde_json::from_slice(&json) {
                    Ok(message) => messages.push(message),
                    // Something else: show it to the user.
                    Err(_) => self.text.push_str(&String::from_utf8_lossy(&json)),
                }
            }
        }
        messages
    }

    /// The text so far, including objects of other types.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.text, String::from_utf8_lossy(&self.line))
    }
}
