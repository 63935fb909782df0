//! What the store holds, page by page: concepts and their sources.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sutra_service::ApiError;

use crate::limits::{MAX_PAGE, MAX_RESULTS};
use crate::store::Store;

/// The query of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct List {
    /// `next` from the previous page.
    cursor: Option<String>,
    limit: Option<usize>,
    /// Only concepts of this source.
    source: Option<String>,
    /// Only concepts whose ids begin so.
    prefix: Option<String>,
}

/// A validated query.
pub(crate) struct Listing {
    after: Option<String>,
    limit: usize,
    which: Which,
}

/// Which concepts are listed.
pub(crate) enum Which {
    /// All.
    All,
    /// Those of a source.
    Source(String),
    /// Those whose ids begin so.
    Prefix(String),
}

impl List {
    /// Validates the query.
    pub(crate) fn validate(self) -> Result<Listing, ApiError> {
        let limit = self.limit.unwrap_or(MAX_RESULTS);
        if !(1..=MAX_PAGE).contains(&limit) {
            return Err(ApiError::invalid(format!("limit is {limit}; it must be between 1 and {MAX_PAGE}")));
        }
        let after = self.cursor.map(|cursor| from_cursor(&cursor).ok_or_else(invalid_cursor)).transpose()?;
        let which = match (self.source, self.prefix) {
            (None, None) => Which::All,
            (Some(source), None) => Which::Source(source),
            (None, Some(prefix)) => Which::Prefix(prefix),
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid("source and prefix are both given; send one of them"));
            }
        };
        Ok(Listing { after, limit, which })
    }
}

impl Listing {
    /// A page of concepts, without vectors, ordered by id. Blocks.
    pub(crate) fn concepts(&self, store: &Store) -> Result<Value, ApiError> {
        let mut page = store.page(&self.which, self.after.as_deref(), self.limit)?;
        let next = page.concepts.last().filter(|_| page.has_more).map(|concept| to_cursor(&concept.id));
        page.concepts.iter_mut().for_each(|concept| concept.vector = None);
        Ok(json!({"concepts": page.concepts, "next": next}))
    }

    /// A page of sources with the number of their concepts, in order. Blocks.
    pub(crate) fn sources(&self, store: &Store) -> Result<Value, ApiError> {
        if !matches!(self.which, Which::All) {
            return Err(ApiError::invalid("this list has no source or prefix; use GET /v1/concepts"));
        }
        let mut sources = store.sources(self.after.as_deref(), self.limit + 1)?;
        let has_more = sources.len() > self.limit;
        sources.truncate(self.limit);
        let next = sources.last().filter(|_| has_more).map(|(source, _)| to_cursor(source));
        let rows: Vec<_> = sources
            .iter()
            .map(|(source, concepts)| json!({"source": source, "concepts": concepts}))
            .collect();
        Ok(json!({"sources": rows, "next": next}))
    }
}

fn invalid_cursor() -> ApiError {
    let message = "cursor is invalid; use the value of \"next\" from the previous page";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_cursor", message)
}

/// Opaque to clients, and safe in a URL.
fn to_cursor(key: &str) -> String {
    // Not empty even if the key is.
    format!("k{}", key.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn from_cursor(cursor: &str) -> Option<String> {
    let (pairs, []) = cursor.strip_prefix('k')?.as_bytes().as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| {
        // from_str_radix also takes a sign.
        let digits = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok()
    };
    String::from_utf8(pairs.iter().map(byte).collect::<Option<_>>()?).ok()
}
