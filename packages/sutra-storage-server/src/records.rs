//! The source of truth: an embedded ACID store (redb). Changes are on disk before they are acknowledged.
//!
//! Tables: `concepts` (id → text and metadata as JSON), `vectors` (id → 32-bit floats, little endian), `changes`
//! (sequence number → changed ids, kept until they are indexed), `numbers` (format, identity, dimension, sequence number).

use std::collections::BTreeMap;
use std::path::Path;

use redb::{
    Database, DatabaseError, Error, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    ReadableTableMetadata as _, Table, TableDefinition,
};
use serde::{Deserialize, Serialize};

use crate::concept::{Concept, Metadata};

const CONCEPTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("concepts");
const VECTORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vectors");
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

const SEQUENCE: &str = "sequence";
const DIMENSION: &str = "dimension";
const IDENTITY: &str = "identity";
const FORMAT: &str = "format";

/// The format version; incremented when older versions cannot read the store.
const FORMAT_VERSION: u64 = 1;

/// Memory for cached pages. Small, because vectors are held elsewhere and the kernel caches the file.
const CACHE_BYTES: usize = 4 << 20;

/// A change, applied completely or not at all.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Create or replace concepts with distinct ids.
    Put(Vec<Concept>),
    /// Remove the concept with this id.
    Delete(String),
}

/// The result of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OperationOutcome {
    /// All concepts are stored.
    Put {
        /// Number of new ids.
        created: usize,
        /// Number of replaced concepts.
        updated: usize,
    },
    /// The concept is gone; false if it did not exist.
    Delete(bool),
    /// Nothing changed, for this reason.
    Refused(String),
}

/// The result of a group of operations.
#[derive(Debug)]
pub(crate) struct AppliedGroup<'a> {
    /// One per operation, in order.
    pub outcomes: Vec<OperationOutcome>,
    /// The final state of every changed id; `None` if removed.
    pub changes: BTreeMap<&'a str, Option<&'a Concept>>,
    /// The sequence number of the group; the previous one if nothing changed.
    pub sequence: u64,
}

/// Statistics of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct StoreStats {
    /// Number of concepts.
    pub concepts: u64,
    /// Number of concepts with a vector.
    pub vectors: u64,
    /// Numbers per vector; `None` until it is configured or the first vector is stored.
    pub dimension: Option<u64>,
    /// Number of change groups since the store was created.
    pub sequence: u64,
}

#[derive(Serialize, Deserialize)]
struct Body {
    text: String,
    metadata: Option<Metadata>,
}

/// The store of all concepts.
#[derive(Debug)]
pub(crate) struct Records {
    database: Database,
}

impl Records {
    /// Opens or creates the store; repairs it after a crash.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        Ok(Self { database })
    }

    /// Creates the tables and checks the format version and the configured `dimension`. The inner error is a
    /// configuration error.
    pub(crate) fn prepare(&self, dimension: Option<u64>) -> Result<Result<(), String>, Error> {
        let transaction = self.database.begin_write()?;
        {
            transaction.open_table(CONCEPTS)?;
            transaction.open_table(VECTORS)?;
            transaction.open_table(CHANGES)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            let format = number(&numbers, FORMAT)?;
            if let Some(format) = format.filter(|&format| format != FORMAT_VERSION) {
                return Ok(Err(format!(
                    "unsupported store format: {format} (this version reads {FORMAT_VERSION}); use the version that wrote it"
                )));
            }
            if let (Some(configured), Some(stored)) = (dimension, number(&numbers, DIMENSION)?)
                && configured != stored
            {
                return Ok(Err(format!(
                    "DIMENSION={configured} does not match the store, which has vectors of {stored} numbers; set DIMENSION={stored} or use an empty DATA_DIR"
                )));
            }
            if format.is_none() {
                numbers.insert(FORMAT, FORMAT_VERSION)?;
                numbers.insert(IDENTITY, uuid::Uuid::new_v4().as_u64_pair().0)?;
            }
            if let Some(dimension) = dimension {
                numbers.insert(DIMENSION, dimension)?;
            }
        }
        transaction.commit()?;
        Ok(Ok(()))
    }

    /// A random number that identifies this store.
    pub(crate) fn identity(&self) -> Result<u64, Error> {
        Ok(number(&self.database.begin_read()?.open_table(NUMBERS)?, IDENTITY)?.unwrap_or_default())
    }

    /// A consistent snapshot of the statistics.
    pub(crate) fn stats(&self) -> Result<StoreStats, Error> {
        let transaction = self.database.begin_read()?;
        let numbers = transaction.open_table(NUMBERS)?;
        Ok(StoreStats {
            concepts: transaction.open_table(CONCEPTS)?.len()?,
            vectors: transaction.open_table(VECTORS)?.len()?,
            dimension: number(&numbers, DIMENSION)?,
            sequence: number(&numbers, SEQUENCE)?.unwrap_or_default(),
        })
    }

    /// Applies all operations in one transaction and syncs it to disk. Log entries up to `indexed` are removed.
    pub(crate) fn apply<'a>(
        &self,
        operations: &'a [Operation],
        indexed: u64,
    ) -> Result<AppliedGroup<'a>, Error> {
        let transaction = self.database.begin_write()?;
        let mut edit = Edit {
            concepts: transaction.open_table(CONCEPTS)?,
            vectors: transaction.open_table(VECTORS)?,
            numbers: transaction.open_table(NUMBERS)?,
            changes: BTreeMap::new(),
        };
        let outcomes = operations.iter().map(|operation| edit.apply(operation)).collect::<Result<_, _>>()?;
        let changes = std::mem::take(&mut edit.changes);
        let mut sequence = number(&edit.numbers, SEQUENCE)?.unwrap_or_default();
        if changes.is_empty() {
            drop(edit);
            transaction.abort()?;
            return Ok(AppliedGroup { outcomes, changes, sequence });
        }
        sequence += 1;
        edit.numbers.insert(SEQUENCE, sequence)?;
        drop(edit);
        {
            let mut log = transaction.open_table(CHANGES)?;
            log.retain(|logged, _| logged > indexed)?;
            let ids: Vec<&str> = changes.keys().copied().collect();
            log.insert(sequence, json(&ids)?.as_slice())?;
        }
        transaction.commit()?;
        Ok(AppliedGroup { outcomes, changes, sequence })
    }

    /// A snapshot that later writes do not affect.
    pub(crate) fn view(&self) -> Result<View, Error> {
        Ok(View { transaction: self.database.begin_read()? })
    }
}

struct Edit<'txn, 'a> {
    concepts: Table<'txn, &'static str, &'static [u8]>,
    vectors: Table<'txn, &'static str, &'static [u8]>,
    numbers: Table<'txn, &'static str, u64>,
    changes: BTreeMap<&'a str, Option<&'a Concept>>,
}

impl<'a> Edit<'_, 'a> {
    fn apply(&mut self, operation: &'a Operation) -> Result<OperationOutcome, Error> {
        match operation {
            Operation::Put(concepts) => self.put(concepts),
            Operation::Delete(id) => {
                let existed = self.concepts.remove(id.as_str())?.is_some();
                if existed {
                    self.vectors.remove(id.as_str())?;
                    self.changes.insert(id, None);
                }
                Ok(OperationOutcome::Delete(existed))
            }
        }
    }

    fn put(&mut self, concepts: &'a [Concept]) -> Result<OperationOutcome, Error> {
        if let Err(reason) = self.check_dimension(concepts)? {
            return Ok(OperationOutcome::Refused(reason));
        }
        let mut created = 0;
        for concept in concepts {
            let body = json(&Body { text: concept.text.clone(), metadata: concept.metadata.clone() })?;
            let before = self.concepts.insert(concept.id.as_str(), body.as_slice())?;
            created += usize::from(before.is_none());
            drop(before);
            match &concept.vector {
                Some(vector) => {
                    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                    self.vectors.insert(concept.id.as_str(), bytes.as_slice())?;
                }
                None => {
                    self.vectors.remove(concept.id.as_str())?;
                }
            }
            self.changes.insert(&concept.id, Some(concept));
        }
        Ok(OperationOutcome::Put { created, updated: concepts.len() - created })
    }

    /// Checks that all vectors of the batch have the store's dimension. The first vector sets it.
    fn check_dimension(&mut self, concepts: &[Concept]) -> Result<Result<(), String>, Error> {
        let stored = number(&self.numbers, DIMENSION)?;
        let mut dimension = stored;
        for (index, concept) in concepts.iter().enumerate() {
            let Some(count) = concept.vector.as_ref().map(|vector| vector.len() as u64) else {
                continue;
            };
            match dimension {
                Some(dimension) if dimension != count => {
                    let owner =
                        if stored.is_some() { "this store" } else { "the first vector of this batch" };
                    return Ok(Err(format!(
                        "concepts[{index}].vector has {count} numbers; the dimension of {owner} is {dimension}"
                    )));
                }
                _ => dimension = Some(count),
            }
        }
        if let (None, Some(first)) = (stored, dimension) {
            self.numbers.insert(DIMENSION, first)?;
        }
        Ok(Ok(()))
    }
}

/// A snapshot of the store.
pub(crate) struct View {
    transaction: ReadTransaction,
}

impl View {
    /// A concept; `None` if the id is unknown.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, Error> {
        let Some(body) = self.transaction.open_table(CONCEPTS)?.get(id)? else {
            return Ok(None);
        };
        let Body { text, metadata } = parse(body.value())?;
        let vector = self.transaction.open_table(VECTORS)?.get(id)?.map(|bytes| decode_vector(bytes.value()));
        Ok(Some(Concept { id: id.to_owned(), text, vector, metadata }))
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

fn number(table: &impl redb::ReadableTable<&'static str, u64>, name: &str) -> Result<Option<u64>, Error> {
    Ok(table.get(name)?.map(|value| value.value()))
}

fn decode_vector(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Io(error.into()))
}

fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupted(error.to_string()))
}
