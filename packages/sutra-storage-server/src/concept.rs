//! Concepts: what clients hand in, checked, and what is kept.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::{Limits, MAX_ID_BYTES};

/// Free fields of a concept.
pub(crate) type Metadata = Map<String, Value>;

/// A concept as it is kept and handed out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Concept {
    /// Names the concept; at most 256 bytes, no control characters.
    pub id: String,
    /// What full-text search reads; not blank.
    pub text: String,
    /// What vector search compares: finite numbers, not all zero. Kept as 32-bit floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Kept as it came; nothing searches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A batch as clients hand it in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    concepts: Vec<Draft>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    id: Option<String>,
    text: String,
    vector: Option<Vec<f32>>,
    metadata: Option<Metadata>,
}

impl Batch {
    /// Checks every item; a concept without an id gets a random one (UUID version 4). The error names the first item
    /// that is wrong, what is wrong and what is allowed.
    pub(crate) fn check(self, limits: &Limits) -> Result<Vec<Concept>, String> {
        let count = self.concepts.len();
        if count == 0 {
            return Err("concepts is empty; send at least one concept".into());
        }
        if count > limits.batch {
            return Err(format!(
                "concepts has {count} items; at most {} are allowed (MAX_BATCH)",
                limits.batch
            ));
        }
        let concepts: Vec<Concept> = self
            .concepts
            .into_iter()
            .enumerate()
            .map(|(index, draft)| draft.check(limits).map_err(|what| format!("concepts[{index}].{what}")))
            .collect::<Result<_, _>>()?;
        refuse_duplicates(&concepts)?;
        Ok(concepts)
    }
}

impl Draft {
    fn check(self, limits: &Limits) -> Result<Concept, String> {
        let id = self.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        check_id(&id).map_err(|what| format!("id {what}"))?;
        check_text(&self.text, limits).map_err(|what| format!("text {what}"))?;
        if let Some(vector) = &self.vector {
            check_vector(vector, limits).map_err(|what| format!("vector {what}"))?;
        }
        if let Some(metadata) = &self.metadata {
            let bytes = serde_json::to_vec(metadata).map_err(|error| format!("metadata: {error}"))?.len();
            if bytes > limits.metadata_bytes {
                let most = limits.metadata_bytes;
                return Err(format!(
                    "metadata has {bytes} bytes as JSON; at most {most} are allowed (MAX_METADATA_BYTES)"
                ));
            }
        }
        Ok(Concept { id, text: self.text, vector: self.vector, metadata: self.metadata })
    }
}

/// An id is not empty, short and printable.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    match id.len() {
        0 => Err("is empty; leave it out to have one made".into()),
        bytes if bytes > MAX_ID_BYTES => {
            Err(format!("has {bytes} bytes; at most {MAX_ID_BYTES} are allowed"))
        }
        _ if id.chars().any(char::is_control) => Err("holds a control character; remove it".into()),
        _ => Ok(()),
    }
}

/// A text is not blank and not too long.
pub(crate) fn check_text(text: &str, limits: &Limits) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty; it needs at least one character that is not white space".into());
    }
    if text.len() > limits.text_bytes {
        let (bytes, most) = (text.len(), limits.text_bytes);
        return Err(format!("has {bytes} bytes; at most {most} are allowed (MAX_TEXT_BYTES)"));
    }
    Ok(())
}

/// A vector has a direction: finite numbers, not all zero.
pub(crate) fn check_vector(vector: &[f32], limits: &Limits) -> Result<(), String> {
    let count = vector.len();
    if count == 0 {
        return Err("is empty; leave it out where there is none".into());
    }
    if count > limits.dimension {
        let most = limits.dimension;
        return Err(format!("has {count} numbers; at most {most} are allowed (MAX_DIMENSION)"));
    }
    if let Some(index) = vector.iter().position(|number| !number.is_finite()) {
        return Err(format!("holds a number at [{index}] that is too large for a 32-bit float"));
    }
    if vector.iter().all(|&number| number == 0.0) {
        return Err("is all zero (as 32-bit floats) and so has no direction; leave it out".into());
    }
    Ok(())
}

fn refuse_duplicates(concepts: &[Concept]) -> Result<(), String> {
    let mut seen = HashMap::with_capacity(concepts.len());
    for (index, concept) in concepts.iter().enumerate() {
        if let Some(first) = seen.insert(concept.id.as_str(), index) {
            return Err(format!(
                "concepts[{index}].id {:?} is also the id of concepts[{first}]; ids must differ within a batch",
                concept.id
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Vec<Concept>, String> {
        serde_json::from_str::<Batch>(json).map_err(|error| error.to_string())?.check(&Limits::small())
    }

    #[test]
    fn a_batch_is_taken_as_it_is() {
        let concepts = check(
            r#"{"concepts":[{"id":"a","text":"A","vector":[1,0.5],"metadata":{"k":[1]}},{"text":"B","vector":null}]}"#,
        )
        .expect("valid");
        assert_eq!(concepts[0].vector.as_deref(), Some(&[1.0, 0.5][..]));
        assert_eq!(concepts[0].metadata.as_ref().map(|metadata| metadata["k"][0].clone()), Some(1.into()));
        assert_eq!((concepts[1].id.len(), &concepts[1].vector), (36, &None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_item() {
        for (items, named) in [
            ("", "concepts is empty"),
            (r#"{"text":"a"},{"text":"a"},{"text":"a"},{"text":"a"}"#, "has 4 items"),
            (r#"{"text":"a"},{"text":" \n"}"#, "concepts[1].text is empty"),
            (r#"{"text":"123456789012345678901"}"#, "concepts[0].text has 21 bytes"),
            (r#"{"text":"a","id":""}"#, "concepts[0].id is empty"),
            (r#"{"text":"a","id":"a\u0000"}"#, "control character"),
            (r#"{"text":"a","vector":[]}"#, "concepts[0].vector is empty"),
            (r#"{"text":"a","vector":[0,-0.0]}"#, "all zero"),
            (r#"{"text":"a","vector":[1e-60]}"#, "all zero"),
            (r#"{"text":"a","vector":[1,1e39]}"#, "number at [1]"),
            (r#"{"text":"a","vector":[1e999]}"#, "out of range"),
            (r#"{"text":"a","vector":[1,2,3,4,5]}"#, "has 5 numbers"),
            (r#"{"text":"a","metadata":{"k":"1234567890123456789012345"}}"#, "concepts[0].metadata has 33"),
            (r#"{"text":"a","id":"x"},{"text":"b","id":"x"}"#, "concepts[1].id \"x\" is also"),
            (r#"{"text":"a","colour":1}"#, "unknown field `colour`"),
            (r#"{"text":1}"#, "expected a string"),
            (r#"{"id":"a"}"#, "missing field `text`"),
        ] {
            let message = check(&format!("{{\"concepts\":[{items}]}}")).expect_err(items);
            assert!(message.contains(named), "{items}: {message}");
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_refused() {
        assert!(check_id(&"x".repeat(256)).is_ok());
        assert!(check_id(&"x".repeat(257)).is_err_and(|message| message.contains("257 bytes")));
    }
}
