//! Reading the store.

use std::ops::Bound;

use redb::{Error, ReadTransaction, ReadableTable as _, ReadableTableMetadata as _};
use serde::Serialize;

use crate::codes::{self, CODES};
use crate::concept::Concept;
use crate::quantized::cosine;
use crate::records::{
    Body, CHANGES, CONCEPTS, DIMENSION, MODEL, NAMES, NUMBERS, SEQUENCE, VECTORS, decode_vector, name,
    number, parse,
};
use crate::sources::{COUNTS, SOURCES, members};

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

    /// The concept without its vector; `None` if the id is unknown.
    pub(crate) fn without_vector(&self, id: &str) -> Result<Option<Concept>, Error> {
        let body = self.transaction.open_table(CONCEPTS)?.get(id)?;
        body.map(|body| concept(id, body.value())).transpose()
    }

    /// At most `limit` concepts with ids after `after`, ordered by id: fewer if they are large, but at least one.
    pub(crate) fn page(&self, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let concepts = self.transaction.open_table(CONCEPTS)?;
        let vectors = self.transaction.open_table(VECTORS)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = concepts.range::<&str>((start, Bound::Unbounded))?;
        let with_vector = rows.map(|row| {
            let (id, body) = row?;
            let mut concept = concept(id.value(), body.value())?;
            concept.vector = vectors.get(id.value())?.map(|bytes| decode_vector(bytes.value()));
            Ok(concept)
        });
        page(with_vector, limit)
    }

    /// The same for the concepts of a source, without vectors.
    pub(crate) fn page_of(&self, source: &str, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let ids = members(&self.transaction.open_table(SOURCES)?, source, after, limit + 1)?;
        page(ids.iter().filter_map(|id| self.without_vector(id).transpose()), limit)
    }

    /// The same for the concepts whose ids begin with `prefix`.
    pub(crate) fn page_with(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Error> {
        let concepts = self.transaction.open_table(CONCEPTS)?;
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let rows = concepts.range::<&str>((start, Bound::Unbounded))?;
        let with_prefix =
            rows.take_while(|row| !matches!(row, Ok((id, _)) if !id.value().starts_with(prefix)));
        page(
            with_prefix
                .map(|row| row.map_err(Error::from).and_then(|(id, body)| concept(id.value(), body.value()))),
            limit,
        )
    }

    /// At most `limit` sources after `after` with the number of their concepts, in order.
    pub(crate) fn sources(&self, after: Option<&str>, limit: usize) -> Result<Vec<(String, u64)>, Error> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let counts = self.transaction.open_table(COUNTS)?;
        let rows = counts.range::<&str>((start, Bound::Unbounded))?.take(limit);
        rows.map(|row| row.map(|(source, count)| (source.value().to_owned(), count.value())))
            .map(|row| Ok(row?))
            .collect()
    }

    /// The cosine similarity of the vector with this id; `None` if there is none of the query's dimension.
    pub(crate) fn similarity(&self, query: &[f32], id: &str) -> Result<Option<f32>, Error> {
        let bytes = self.transaction.open_table(VECTORS)?.get(id)?;
        let vector = bytes.map(|bytes| decode_vector(bytes.value()));
        Ok(vector.filter(|vector| vector.len() == query.len()).map(|vector| cosine(query, &vector)))
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

    /// Calls `visit` with the vectors in 8 bits, the newest first: codes and scale, or `None` if the vector was removed.
    /// Later calls with the same id are out of date.
    pub(crate) fn each_code(&self, visit: impl FnMut(&str, Option<(&[u8], f32)>)) -> Result<(), Error> {
        codes::newest_first(&self.transaction.open_table(CODES)?, visit)
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

fn concept(id: &str, body: &[u8]) -> Result<Concept, Error> {
    let Body { text, metadata } = parse(body)?;
    Ok(Concept { id: id.to_owned(), text, vector: None, metadata })
}

/// The first concepts: at most `limit`, and about [`PAGE_BYTES`].
fn page(concepts: impl Iterator<Item = Result<Concept, Error>>, limit: usize) -> Result<Page, Error> {
    let (mut page, mut bytes) = (Page::default(), 0);
    for concept in concepts {
        let concept = concept?;
        if page.concepts.len() == limit || bytes > PAGE_BYTES {
            page.has_more = true;
            break;
        }
        bytes += concept.size();
        page.concepts.push(concept);
    }
    Ok(page)
}
