//! The source of truth: an embedded ACID store (redb). Changes are on disk before they are acknowledged.
//!
//! Tables: `concepts` (id → text and metadata as JSON), `vectors` (id → 32-bit floats, little endian), `changes`
//! (sequence number → changed ids, kept until they are indexed), `numbers` (format, identity, dimension, sequence number),
//! `names` (the model of the vectors). Derived from these: the tables of [`crate::codes`] and [`crate::sources`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{Database, DatabaseError, Error, ReadableDatabase as _, TableDefinition};
use serde::{Deserialize, Serialize};
use sutra_service::ApiError;

use crate::concept::{Concept, Metadata};
use crate::vectors::{VectorChange, Vectors};
use crate::view::View;
use crate::{derived, edit};

pub(crate) const CONCEPTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("concepts");
pub(crate) const VECTORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vectors");
pub(crate) const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
pub(crate) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
pub(crate) const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");

pub(crate) const SEQUENCE: &str = "sequence";
pub(crate) const DIMENSION: &str = "dimension";
pub(crate) const MODEL: &str = "model";
/// Number of rows in the table `codes`.
pub(crate) const CODE_ROWS: &str = "code_rows";
/// The sequence number of the change that the derived tables contain. Older versions of this service change only the others.
pub(crate) const DERIVED: &str = "derived";
const IDENTITY: &str = "identity";
const FORMAT: &str = "format";

/// The format version; incremented when older versions cannot read the store.
const FORMAT_VERSION: u64 = 1;

/// Concepts that are removed in one change, so that it does not hold memory and other changes for long.
pub(crate) const DELETED_AT_ONCE: usize = 1000;

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
    /// Remove the concepts with these ids.
    Delete(Vec<String>),
    /// Remove concepts of this source, at most [`DELETED_AT_ONCE`].
    DeleteSource(String),
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
    /// This many concepts are gone.
    Delete(usize),
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
    pub changes: BTreeMap<Cow<'a, str>, Option<&'a Concept>>,
    /// The vectors that changed.
    pub vectors: Vec<VectorChange>,
    /// Whether all vectors were removed before that.
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

    /// Applies all operations in one transaction and syncs it to disk. Log entries up to `indexed` are removed. `vectors`
    /// are those before the change.
    pub(crate) fn apply<'a>(
        &self,
        operations: &'a [Operation],
        indexed: u64,
        vectors: &Vectors,
    ) -> Result<AppliedGroup<'a>, Error> {
        self.with(|database| edit::apply(database, operations, indexed, vectors))
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
    derived::update(database)?;
    Ok(Ok(()))
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

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Io(error.into()))
}

/// The vector of a row.
pub(crate) fn decode_vector(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// Reads a row.
pub(crate) fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupted(error.to_string()))
}
