//! The response of a service.

use std::collections::BTreeMap;

use serde_json::Value;

/// An HTTP response.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The media type without parameters; empty if the response has none.
    pub content_type: String,
    /// The body as text.
    pub body: String,
    /// The cookies it sets, by name.
    pub cookies: BTreeMap<String, String>,
}

impl HttpResponse {
    /// The body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}
