//! Concepts: the request format, its validation and the stored form.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::limits::{Limits, MAX_ID_BYTES};

/// Free-form fields of a concept.
pub(crate) type Metadata = Map<String, Value>;

/// A concept as stored and returned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Concept {
    /// Unique id of at most 256 bytes, without control characters.
    pub id: String,
    /// Searched by full-text search; not blank.
    pub text: String,
    /// Compared by vector search: finite 32-bit floats, not all zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<Vec<f32>>,
    /// Stored and returned unchanged; not searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// The request body of `POST /v1/concepts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    model: Option<String>,
    concepts: Vec<NewConcept>,
}

/// A concept as clients send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConcept {
    id: Option<String>,
    text: String,
    vector: Option<Vec<f32>>,
    metadata: Option<Metadata>,
}

impl Batch {
    /// Validates every item. A concept without an id gets a random one (UUID version 4). The error has the path of the
    /// first invalid item, the problem and the limit.
    pub(crate) fn validate(self, limits: &Limits) -> Result<(Option<String>, Vec<Concept>), String> {
        if let Some(model) = &self.model {
            check_model(model).map_err(|problem| format!("model {problem}"))?;
        }
        let count = self.concepts.len();
        if count == 0 {
            return Err("concepts is empty; send at least one concept".into());
        }
        if count > limits.batch {
            return Err(format!("concepts has {count} items; the maximum is {} (MAX_BATCH)", limits.batch));
        }
        let concepts: Vec<Concept> = self
            .concepts
            .into_iter()
            .enumerate()
            .map(|(index, new)| {
                new.validate(limits).map_err(|problem| format!("concepts[{index}].{problem}"))
            })
            .collect::<Result<_, _>>()?;
        reject_duplicates(&concepts)?;
        Ok((self.model, concepts))
    }
}

impl NewConcept {
    /// The concept. The error has the field, the problem and the limit.
    pub(crate) fn validate(self, limits: &Limits) -> Result<Concept, String> {
        let id = self.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        check_id(&id).map_err(|problem| format!("id {problem}"))?;
        check_text(&self.text, limits).map_err(|problem| format!("text {problem}"))?;
        if let Some(vector) = &self.vector {
            check_vector(vector, limits).map_err(|problem| format!("vector {problem}"))?;
        }
        if let Some(metadata) = &self.metadata {
            let bytes = serde_json::to_vec(metadata).map_err(|error| format!("metadata: {error}"))?.len();
            if bytes > limits.metadata_bytes {
                let max = limits.metadata_bytes;
                return Err(format!(
                    "metadata has {bytes} bytes as JSON; the maximum is {max} (MAX_METADATA_BYTES)"
                ));
            }
        }
        Ok(Concept { id, text: self.text, vector: self.vector, metadata: self.metadata })
    }
}

impl Concept {
    /// Size of its parts in bytes.
    pub(crate) fn size(&self) -> usize {
        let metadata = self.metadata.as_ref().and_then(|metadata| serde_json::to_vec(metadata).ok());
        let vector = self.vector.as_ref().map_or(0, |vector| size_of_val(vector.as_slice()));
        self.id.len() + self.text.len() + vector + metadata.map_or(0, |bytes| bytes.len())
    }
}

/// Checks the ids of a request. The error has the path of the first invalid one, the problem and the limit.
pub(crate) fn check_ids(ids: &[String], limits: &Limits) -> Result<(), String> {
    if ids.is_empty() {
        return Err("ids is empty; send at least one id".into());
    }
    if ids.len() > limits.batch {
        return Err(format!("ids has {} items; the maximum is {} (MAX_BATCH)", ids.len(), limits.batch));
    }
    for (index, id) in ids.iter().enumerate() {
        check_id(id).map_err(|problem| format!("ids[{index}] {problem}"))?;
    }
    Ok(())
}

/// Checks that an id is not empty, not too long and printable.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    check_name(id).map_err(|problem| problem.replace("is empty", "is empty; omit it to get a generated id"))
}

/// Checks that a model's name is not empty, not too long and printable.
pub(crate) fn check_model(model: &str) -> Result<(), String> {
    check_name(model)
}

fn check_name(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("is empty".into()),
        bytes if bytes > MAX_ID_BYTES => Err(format!("has {bytes} bytes; the maximum is {MAX_ID_BYTES}")),
        _ if name.chars().any(char::is_control) => Err("contains a control character; remove it".into()),
        _ => Ok(()),
    }
}

/// Checks that a text is not blank and not too long.
pub(crate) fn check_text(text: &str, limits: &Limits) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("is empty; it needs at least one character other than white space".into());
    }
    if text.len() > limits.text_bytes {
        let (bytes, max) = (text.len(), limits.text_bytes);
        return Err(format!("has {bytes} bytes; the maximum is {max} (MAX_TEXT_BYTES)"));
    }
    Ok(())
}

/// Checks that a vector has finite numbers, not all of them zero, and not too many.
pub(crate) fn check_vector(vector: &[f32], limits: &Limits) -> Result<(), String> {
    let count = vector.len();
    if count == 0 {
        return Err("is empty; omit it if there is no vector".into());
    }
    if count > limits.dimension {
        let max = limits.dimension;
        return Err(format!("has {count} numbers; the maximum is {max} (MAX_DIMENSION)"));
    }
    if let Some(index) = vector.iter().position(|number| !number.is_finite()) {
        return Err(format!("has a number at [{index}] that is too large for a 32-bit float"));
    }
    if vector.iter().all(|&number| number == 0.0) {
        return Err("is all zero (as 32-bit floats) and has no direction; omit it".into());
    }
    Ok(())
}

fn reject_duplicates(concepts: &[Concept]) -> Result<(), String> {
    let mut seen = HashMap::with_capacity(concepts.len());
    for (index, concept) in concepts.iter().enumerate() {
        if let Some(first) = seen.insert(concept.id.as_str(), index) {
            return Err(format!(
                "concepts[{index}].id {:?} is also the id of concepts[{first}]; ids must be unique within a batch",
                concept.id
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(json: &str) -> Result<Vec<Concept>, String> {
        let batch = serde_json::from_str::<Batch>(json).map_err(|error| error.to_string())?;
        batch.validate(&Limits::small()).map(|(_, concepts)| concepts)
    }

    #[test]
    fn a_valid_batch_is_accepted_unchanged() {
        let concepts = validate(
            r#"{"concepts":[{"id":"a","text":"A","vector":[1,0.5],"metadata":{"k":[1]}},{"text":"B","vector":null}]}"#,
        )
        .expect("valid");
        assert_eq!(concepts[0].vector.as_deref(), Some(&[1.0, 0.5][..]));
        assert_eq!(concepts[0].metadata.as_ref().map(|metadata| metadata["k"][0].clone()), Some(1.into()));
        assert_eq!((concepts[1].id.len(), &concepts[1].vector), (36, &None));
    }

    #[test]
    fn errors_name_the_invalid_item() {
        for (items, expected) in [
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
            let message = validate(&format!("{{\"concepts\":[{items}]}}")).expect_err(items);
            assert!(message.contains(expected), "{items}: {message}");
        }
    }

    #[test]
    fn an_id_that_is_too_long_is_rejected() {
        assert!(check_id(&"x".repeat(256)).is_ok());
        assert!(check_id(&"x".repeat(257)).is_err_and(|message| message.contains("257 bytes")));
    }
}
