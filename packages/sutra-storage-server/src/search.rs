//! Searches: by text, by vector, or by both fused.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::concept::{Metadata, check_text, check_vector};
use crate::limits::{Limits, MAX_RESULTS};

/// Results of a search that names no limit.
const DEFAULT_RESULTS: usize = 10;

/// A search as clients ask for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    text: Option<String>,
    vector: Option<Vec<f32>>,
    limit: Option<usize>,
}

/// A search that makes sense, except that the vector's dimension is for the store to judge.
#[derive(Debug, PartialEq)]
pub(crate) struct Search {
    /// Words to find.
    pub text: Option<String>,
    /// A direction to be near to.
    pub vector: Option<Vec<f32>>,
    /// Results at most.
    pub limit: usize,
}

/// One result.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Hit {
    /// The concept's id.
    pub id: String,
    /// Its text.
    pub text: String,
    /// Its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What the results are ordered by: BM25, cosine, or the fused score.
    pub score: f32,
    /// BM25, where the text search found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_score: Option<f32>,
    /// Cosine, where the vector search found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector_score: Option<f32>,
}

/// The answer to a search, best first.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    /// At most as many as were asked for.
    pub results: Vec<Hit>,
}

/// Scores by id.
pub(crate) type Scores = HashMap<String, f32>;

impl Question {
    /// Checks what was asked; the error names the field and what is allowed.
    pub(crate) fn check(self, limits: &Limits) -> Result<Search, String> {
        let limit = self.limit.unwrap_or(DEFAULT_RESULTS);
        if !(1..=MAX_RESULTS).contains(&limit) {
            return Err(format!("limit is {limit}; it must be from 1 to {MAX_RESULTS}"));
        }
        if self.text.is_none() && self.vector.is_none() {
            return Err("neither text nor vector is given; give one or both".into());
        }
        if let Some(text) = &self.text {
            check_text(text, limits).map_err(|what| format!("text {what}"))?;
        }
        if let Some(vector) = &self.vector {
            check_vector(vector, limits).map_err(|what| format!("vector {what}"))?;
        }
        Ok(Search { text: self.text, vector: self.vector, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Search, String> {
        serde_json::from_str::<Question>(json).map_err(|error| error.to_string())?.check(&Limits::small())
    }

    #[test]
    fn a_limit_has_a_default() {
        assert_eq!(check(r#"{"text":"a"}"#).map(|search| search.limit), Ok(10));
        assert_eq!(check(r#"{"vector":[1],"limit":100}"#).map(|search| search.limit), Ok(100));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (json, named) in [
            ("{}", "neither text nor vector"),
            (r#"{"text":" "}"#, "text is empty"),
            (r#"{"text":"a","limit":0}"#, "limit is 0"),
            (r#"{"text":"a","limit":101}"#, "limit is 101"),
            (r#"{"text":"a","limit":-1}"#, "invalid value"),
            (r#"{"vector":[0]}"#, "vector is all zero"),
            (r#"{"text":"a","top":1}"#, "unknown field `top`"),
        ] {
            let message = check(json).expect_err(json);
            assert!(message.contains(named), "{json}: {message}");
        }
    }
}
