//! Search requests and results.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::concept::{Metadata, check_model, check_text, check_vector};
use crate::limits::{Limits, MAX_RESULTS};

/// Default number of results.
const DEFAULT_RESULTS: usize = 10;

/// The request body of `POST /v1/search`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchRequest {
    text: Option<String>,
    vector: Option<Vec<f32>>,
    model: Option<String>,
    limit: Option<usize>,
}

/// A validated search; the store checks the vector's dimension.
#[derive(Debug, PartialEq)]
pub(crate) struct Search {
    /// Full-text query.
    pub text: Option<String>,
    /// Query vector.
    pub vector: Option<Vec<f32>>,
    /// The model that made the vector, if the client names it.
    pub model: Option<String>,
    /// Maximum number of results.
    pub limit: usize,
}

/// A search result.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Hit {
    /// Id of the concept.
    pub id: String,
    /// Text of the concept.
    pub text: String,
    /// Metadata of the concept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The score that orders the results: BM25, cosine similarity or the fused score.
    pub score: f32,
    /// BM25 score, if the text search found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_score: Option<f32>,
    /// Cosine similarity, if the vector search found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_score: Option<f32>,
}

/// The response body of `POST /v1/search`.
#[derive(Debug, Serialize)]
pub(crate) struct SearchResponse {
    /// Best first.
    pub results: Vec<Hit>,
}

/// Scores by id.
pub(crate) type Scores = HashMap<String, f32>;

impl SearchRequest {
    /// Validates the request. The error has the field, the problem and the limit.
    pub(crate) fn validate(self, limits: &Limits) -> Result<Search, String> {
        let limit = self.limit.unwrap_or(DEFAULT_RESULTS);
        if !(1..=MAX_RESULTS).contains(&limit) {
            return Err(format!("limit is {limit}; it must be between 1 and {MAX_RESULTS}"));
        }
        if self.text.is_none() && self.vector.is_none() {
            return Err("text and vector are both missing; send at least one".into());
        }
        if let Some(text) = &self.text {
            check_text(text, limits).map_err(|problem| format!("text {problem}"))?;
        }
        if let Some(vector) = &self.vector {
            check_vector(vector, limits).map_err(|problem| format!("vector {problem}"))?;
        }
        if let Some(model) = &self.model {
            check_model(model).map_err(|problem| format!("model {problem}"))?;
        }
        Ok(Search { text: self.text, vector: self.vector, model: self.model, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(json: &str) -> Result<Search, String> {
        serde_json::from_str::<SearchRequest>(json)
            .map_err(|error| error.to_string())?
            .validate(&Limits::small())
    }

    #[test]
    fn the_limit_defaults_to_10() {
        assert_eq!(validate(r#"{"text":"a"}"#).map(|search| search.limit), Ok(10));
        assert_eq!(validate(r#"{"vector":[1],"limit":100}"#).map(|search| search.limit), Ok(100));
    }

    #[test]
    fn errors_name_the_invalid_field() {
        for (json, expected) in [
            ("{}", "text and vector are both missing"),
            (r#"{"text":" "}"#, "text is empty"),
            (r#"{"text":"a","limit":0}"#, "limit is 0"),
            (r#"{"text":"a","limit":101}"#, "limit is 101"),
            (r#"{"text":"a","limit":-1}"#, "invalid value"),
            (r#"{"vector":[0]}"#, "vector is all zero"),
            (r#"{"text":"a","top":1}"#, "unknown field `top`"),
        ] {
            let message = validate(json).expect_err(json);
            assert!(message.contains(expected), "{json}: {message}");
        }
    }
}
