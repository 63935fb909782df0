//! Reading the store.

use std::ops::Bound;

use redb::{Error, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};
use serde::Serialize;

use crate::concept::Concept;
use crate::quantized::cosine;
use crate::records::{
    Body, CHANGES, CONCEPTS, DIMENSION, MODEL, NAMES, NUMBERS, SEQUENCE, VECTORS, name, number, parse,
};

/// The size at which a page ends.
const PAGE_BYTES: usize = 1 << 20;

/// Statistics of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct StoreStats {
    /// Number of concepts.
    pub concepts: u64,
    /// Number of concepts with a vector.
    pub vectors: u64,
    /// Numbers per vector; `None` until it is configured or the first vector is stored.
    pub dimension: Option<u64>,
    /// The model that made the vectors; `None` until a client names it.
    pub model: Option<String>,
    /// Number of change groups since the store was created.
    pub sequence: u64,
}

/// Some of the concepts.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub concepts: Vec<Concept>,
    /// Whether others follow.
    pub has_more: bool,
}

/// A snapshot of the store, which later writes do not affect.
pub(crate) struct View {
    transaction: ReadTransaction,
}

impl View {
    pub(crate) fn new(transaction: ReadTransaction) -> Self {
        Self { transaction }
    }

    /// Statistics.
    pub(crate) fn stats(&self) -> Result<StoreStats, Error> {
        let numbers = self.transaction.open_table(NUMBERS)?;
        Ok(StoreStats {
            concepts: self.transaction.open_table(CONCEPTS)?.len()?,
            vectors: self.transaction.open_table(VECTORS)?.len()?,
            dimension: number(&numbers, DIMENSION)?,
            model: name(&self.transaction.open_table(NAMES)?, MODEL)?,
            sequence: number(&numbers, SEQUENCE)?.unwrap_or_default(),
        })
    }

    /// A concept; `None` if the id is unknown.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, Error> {
        let Some(body) = self.transaction.open_table(CONCEPTS)?.get(id)? else {
            return Ok(None);
        };
        let Body { text, metadata } = parse(body.value())?;
        let vector = self.transaction.open_table(VECTORS)?.get(id)?.map(|bytes| decode_vector(bytes.value()));
        Ok(Some(Concept { id: id.to_owned(), text, vector, metadata }))
    }

    /// At most `limit` concepts with ids after `after`, ordered by id: fewer if they are large, but at least one.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let (concepts, vectors) =
            (self.transaction.open_table(CONCEPTS)?, self.transaction.open_table(VECTORS)?);
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut page, mut bytes) = (Page::default(), 0);
        for row in concepts.range::<&str>((start, Bound::Unbounded))? {
            let (id, body) = row?;
            if page.concepts.len() == limit || bytes > PAGE_BYTES {
                page.has_more = true;
                break;
            }
            let Body { text, metadata } = parse(body.value())?;
            let vector = vectors.get(id.value())?.map(|bytes| decode_vector(bytes.value()));
            bytes += body.value().len() + vector.as_ref().map_or(0, |vector| size_of_val(vector.as_slice()));
            page.concepts.push(Concept { id: id.value().to_owned(), text, vector, metadata });
        }
        Ok(page)
    }

    /// The cosine similarities of the vectors of these ids, highest first; equal ones are ordered by id. Ids without a
    /// vector of the query's dimension are left out.
    pub(crate) fn similarities(&self, query: &[f32], ids: Vec<String>) -> Result<Vec<(String, f32)>, Error> {
        let vectors = self.transaction.open_table(VECTORS)?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let vector = vectors.get(id.as_str())?.map(|bytes| decode_vector(bytes.value()));
            if let Some(vector) = vector.filter(|vector| vector.len() == query.len()) {
                found.push((id, cosine(query, &vector)));
            }
        }
        found.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(found)
    }

    /// Calls `visit` with the id and text of every concept, ordered by id.
    pub(crate) fn each_text<E: From<Error>>(
        &self,
        mut visit: impl FnMut(&str, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = self.transaction.open_table(CONCEPTS).map_err(Error::from)?;
        for row in table.iter().map_err(Error::from)? {
            let (id, body) = row.map_err(Error::from)?;
            let body: Body = parse(body.value())?;
            visit(id.value(), &body.text)?;
        }
        Ok(())
    }

    /// Calls `visit` with every id that has a vector.
    pub(crate) fn each_vector(&self, mut visit: impl FnMut(&str, &[f32])) -> Result<(), Error> {
        for row in self.transaction.open_table(VECTORS)?.iter()? {
            let (id, bytes) = row?;
            visit(id.value(), &decode_vector(bytes.value()));
        }
        Ok(())
    }

    /// The ids that changed after `sequence`; `None` if the log no longer goes back that far.
    pub(crate) fn changed_since(&self, sequence: u64) -> Result<Option<Vec<String>>, Error> {
        let last = number(&self.transaction.open_table(NUMBERS)?, SEQUENCE)?.unwrap_or_default();
        let (mut ids, mut expected) = (Vec::new(), sequence);
        for row in self.transaction.open_table(CHANGES)?.range(sequence.saturating_add(1)..)? {
            let (logged, changed) = row?;
            expected += 1;
            if logged.value() != expected {
                return Ok(None);
            }
            ids.extend(parse::<Vec<String>>(changed.value())?);
        }
        Ok((expected == last).then_some(ids))
    }
}

fn decode_vector(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
