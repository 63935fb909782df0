//! The source of truth: an embedded ACID store (redb). Changes are on disk before they are acknowledged.
//!
//! Tables: `concepts` (id → text and metadata as JSON), `vectors` (id → 32-bit floats, little endian), `changes`
//! (sequence number → changed ids, kept until they are indexed), `numbers` (format, identity, dimension, sequence number),
//! `names` (the model of the vectors).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError, Error, ReadableDatabase as _, Table, TableDefinition};
use serde::{Deserialize, Serialize};
use sutra_service::ApiError;

use crate::concept::{Concept, Metadata};
use crate::refusal;
use crate::view::View;

pub(crate) const CONCEPTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("concepts");
pub(crate) const VECTORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vectors");
pub(crate) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
pub(crate) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
pub(crate) const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");

pub(crate) const SEQUENCE: &str = "sequence";
pub(crate) const DIMENSION: &str = "dimension";
pub(crate) const MODEL: &str = "model";
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
    Put {
        /// The model that made the vectors, if the client names it.
        model: Option<String>,
        /// The concepts.
        concepts: Vec<Concept>,
    },
    /// Remove the concept with this id.
    Delete(String),
    /// Remove all vectors and expect those of another model.
    Reembed {
        /// The model.
        model: String,
        /// Numbers per vector; the first vector sets it if it is `None`.
        dimension: Option<u64>,
    },
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
    /// All vectors are gone.
    Reembed,
    /// Nothing changed, for this reason.
    Refused(ApiError),
}

/// The result of a group of operations.
#[derive(Debug)]
pub(crate) struct AppliedGroup<'a> {
    /// One per operation, in order.
    pub outcomes: Vec<OperationOutcome>,
    /// The final state of every changed id; `None` if removed.
    pub changes: BTreeMap<&'a str, Option<&'a Concept>>,
    /// Whether vectors were removed other than those in `changes`.
    pub reset_vectors: bool,
    /// The sequence number of the group; the previous one if nothing changed.
    pub sequence: u64,
}

/// A concept's row.
#[derive(Serialize, Deserialize)]
pub(crate) struct Body {
    pub text: String,
    pub metadata: Option<Metadata>,
}

/// The store of all concepts.
#[derive(Debug)]
pub(crate) struct Records {
    path: PathBuf,
    /// `None` while it cannot be opened again after an I/O error.
    database: RwLock<Option<Database>>,
}

impl Records {
    /// Opens or creates the store; repairs it after a crash.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(open(path)?)) })
    }

    /// Opens the store again: after an I/O error it refuses everything. Fails while a [`View`] is left.
    pub(crate) fn reopen(&self) -> Result<(), DatabaseError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // First, because the file is locked while it is open.
        drop(database.take());
        *database = Some(open(&self.path)?);
        Ok(())
    }

    /// Creates the tables and checks the format version and the configured `dimension`. The inner error is a
    /// configuration error.
    pub(crate) fn prepare(&self, dimension: Option<u64>) -> Result<Result<(), String>, Error> {
        self.with(|database| prepare(database, dimension))
    }

    /// A random number that identifies this store.
    pub(crate) fn identity(&self) -> Result<u64, Error> {
        self.with(|database| {
            Ok(number(&database.begin_read()?.open_table(NUMBERS)?, IDENTITY)?.unwrap_or_default())
        })
    }

    /// Applies all operations in one transaction and syncs it to disk. Log entries up to `indexed` are removed.
    pub(crate) fn apply<'a>(
        &self,
        operations: &'a [Operation],
        indexed: u64,
    ) -> Result<AppliedGroup<'a>, Error> {
        self.with(|database| apply(database, operations, indexed))
    }

    /// A snapshot that later writes do not affect.
    pub(crate) fn view(&self) -> Result<View, Error> {
        self.with(|database| Ok(View::new(database.begin_read()?)))
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(Error::PreviousIo)?)
    }
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

fn prepare(database: &Database, dimension: Option<u64>) -> Result<Result<(), String>, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        transaction.open_table(CONCEPTS)?;
        transaction.open_table(VECTORS)?;
        transaction.open_table(CHANGES)?;
        transaction.open_table(NAMES)?;
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

fn apply<'a>(
    database: &Database,
    operations: &'a [Operation],
    indexed: u64,
) -> Result<AppliedGroup<'a>, Error> {
    let mut transaction = database.begin_write()?;
    // Otherwise, the first start after a crash reads the whole file.
    transaction.set_quick_repair(true);
    let mut edit = Edit {
        concepts: transaction.open_table(CONCEPTS)?,
        vectors: transaction.open_table(VECTORS)?,
        numbers: transaction.open_table(NUMBERS)?,
        names: transaction.open_table(NAMES)?,
        changes: BTreeMap::new(),
        reset_vectors: false,
    };
    let outcomes = operations.iter().map(|operation| edit.apply(operation)).collect::<Result<_, _>>()?;
    let (changes, reset_vectors) = (std::mem::take(&mut edit.changes), edit.reset_vectors);
    let mut sequence = number(&edit.numbers, SEQUENCE)?.unwrap_or_default();
    if changes.is_empty() && !reset_vectors {
        drop(edit);
        transaction.abort()?;
        return Ok(AppliedGroup { outcomes, changes, reset_vectors, sequence });
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
    Ok(AppliedGroup { outcomes, changes, reset_vectors, sequence })
}

struct Edit<'txn, 'a> {
    concepts: Table<'txn, &'static str, &'static [u8]>,
    vectors: Table<'txn, &'static str, &'static [u8]>,
    numbers: Table<'txn, &'static str, u64>,
    names: Table<'txn, &'static str, &'static str>,
    changes: BTreeMap<&'a str, Option<&'a Concept>>,
    reset_vectors: bool,
}

impl<'a> Edit<'_, 'a> {
    fn apply(&mut self, operation: &'a Operation) -> Result<OperationOutcome, Error> {
        match operation {
            Operation::Put { model, concepts } => self.put(model.as_deref(), concepts),
            Operation::Delete(id) => {
                let existed = self.concepts.remove(id.as_str())?.is_some();
                if existed {
                    self.vectors.remove(id.as_str())?;
                    self.changes.insert(id, None);
                }
                Ok(OperationOutcome::Delete(existed))
            }
            Operation::Reembed { model, dimension } => {
                self.vectors.retain(|_, _| false)?;
                self.names.insert(MODEL, model.as_str())?;
                match dimension {
                    Some(dimension) => self.numbers.insert(DIMENSION, dimension)?.map(drop),
                    None => self.numbers.remove(DIMENSION)?.map(drop),
                };
                self.reset_vectors = true;
                Ok(OperationOutcome::Reembed)
            }
        }
    }

    fn put(&mut self, model: Option<&str>, concepts: &'a [Concept]) -> Result<OperationOutcome, Error> {
        let has_vectors = concepts.iter().any(|concept| concept.vector.is_some());
        let model = model.filter(|_| has_vectors);
        let stored = name(&self.names, MODEL)?;
        if let Some(refused) = refusal::of_model(model, stored.as_deref()) {
            return Ok(OperationOutcome::Refused(refused));
        }
        if let Err(reason) = self.check_dimension(concepts)? {
            return Ok(OperationOutcome::Refused(ApiError::invalid(reason)));
        }
        if let (Some(model), None) = (model, stored) {
            self.names.insert(MODEL, model)?;
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

/// A number of the store.
pub(crate) fn number(
    table: &impl redb::ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<Option<u64>, Error> {
    Ok(table.get(name)?.map(|value| value.value()))
}

/// A name of the store.
pub(crate) fn name(
    table: &impl redb::ReadableTable<&'static str, &'static str>,
    name: &str,
) -> Result<Option<String>, Error> {
    Ok(table.get(name)?.map(|value| value.value().to_owned()))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Io(error.into()))
}

/// Reads a row.
pub(crate) fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupted(error.to_string()))
}
