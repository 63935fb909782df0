//! The truth: concepts in an embedded ACID store (redb), on disk before anything is acknowledged.
//!
//! Tables: `concepts` (id → text and metadata as JSON), `vectors` (id → 32-bit floats, little endian), `changes`
//! (sequence → ids, kept until the index has them), `numbers` (what the store knows of itself).

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

/// Grows when an older version could not read what this one writes.
const FORMAT_NOW: u64 = 1;

/// Memory for pages of the store. Small: the vectors have their own place, and the kernel caches the file.
const CACHE_BYTES: usize = 4 << 20;

/// What a request wants changed; each is applied as a whole or not at all.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Create or replace these, whose ids differ.
    Put(Vec<Concept>),
    /// Remove this one.
    Delete(String),
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All concepts are kept; so many are new, so many replaced older ones.
    Put {
        /// Ids that did not exist before.
        created: usize,
        /// Ids that did.
        updated: usize,
    },
    /// The concept is gone; false if there was none.
    Delete(bool),
    /// Nothing changed; the text says why.
    Refused(String),
}

/// What a group of operations did.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    /// One for each operation, in their order.
    pub outcomes: Vec<Outcome>,
    /// The last state of every id that changed; none means that it is gone.
    pub changes: BTreeMap<&'a str, Option<&'a Concept>>,
    /// The sequence number of the group; unchanged if nothing changed.
    pub sequence: u64,
}

/// Counts and numbers of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Numbers {
    /// Concepts kept.
    pub concepts: u64,
    /// Those of them that have a vector.
    pub vectors: u64,
    /// Numbers in every vector; none until the first vector comes, unless it was configured.
    pub dimension: Option<u64>,
    /// Groups of changes since the store was made.
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
    /// Opens the store, or makes it. A store that was not closed is repaired.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        Ok(Self { database })
    }

    /// Makes the tables, and checks that this version can read them and that `dimension` (configured) fits. The inner
    /// error is for the operator.
    pub(crate) fn prepare(&self, dimension: Option<u64>) -> Result<Result<(), String>, Error> {
        let transaction = self.database.begin_write()?;
        {
            transaction.open_table(CONCEPTS)?;
            transaction.open_table(VECTORS)?;
            transaction.open_table(CHANGES)?;
            let mut numbers = transaction.open_table(NUMBERS)?;
            let format = number(&numbers, FORMAT)?;
            if let Some(format) = format.filter(|&format| format != FORMAT_NOW) {
                return Ok(Err(format!(
                    "the store has format {format}, this version reads {FORMAT_NOW}; use the version that wrote it"
                )));
            }
            if let (Some(wanted), Some(kept)) = (dimension, number(&numbers, DIMENSION)?)
                && wanted != kept
            {
                return Ok(Err(format!(
                    "DIMENSION={wanted}, but the store keeps vectors of {kept} numbers; set DIMENSION={kept} or use an empty DATA_DIR"
                )));
            }
            if format.is_none() {
                numbers.insert(FORMAT, FORMAT_NOW)?;
                numbers.insert(IDENTITY, uuid::Uuid::new_v4().as_u64_pair().0)?;
            }
            if let Some(dimension) = dimension {
                numbers.insert(DIMENSION, dimension)?;
            }
        }
        transaction.commit()?;
        Ok(Ok(()))
    }

    /// A random number that tells this store from any other.
    pub(crate) fn identity(&self) -> Result<u64, Error> {
        Ok(number(&self.database.begin_read()?.open_table(NUMBERS)?, IDENTITY)?.unwrap_or_default())
    }

    /// Counts and numbers, all of one moment.
    pub(crate) fn numbers(&self) -> Result<Numbers, Error> {
        let transaction = self.database.begin_read()?;
        let numbers = transaction.open_table(NUMBERS)?;
        Ok(Numbers {
            concepts: transaction.open_table(CONCEPTS)?.len()?,
            vectors: transaction.open_table(VECTORS)?.len()?,
            dimension: number(&numbers, DIMENSION)?,
            sequence: number(&numbers, SEQUENCE)?.unwrap_or_default(),
        })
    }

    /// Applies all operations in one transaction; what returns is on disk. Changes up to `indexed` are forgotten.
    pub(crate) fn apply<'a>(&self, operations: &'a [Operation], indexed: u64) -> Result<Applied<'a>, Error> {
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
            return Ok(Applied { outcomes, changes, sequence });
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
        Ok(Applied { outcomes, changes, sequence })
    }

    /// A view of one moment, which writes do not change.
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
    fn apply(&mut self, operation: &'a Operation) -> Result<Outcome, Error> {
        match operation {
            Operation::Put(concepts) => self.put(concepts),
            Operation::Delete(id) => {
                let existed = self.concepts.remove(id.as_str())?.is_some();
                if existed {
                    self.vectors.remove(id.as_str())?;
                    self.changes.insert(id, None);
                }
                Ok(Outcome::Delete(existed))
            }
        }
    }

    fn put(&mut self, concepts: &'a [Concept]) -> Result<Outcome, Error> {
        if let Err(refusal) = self.fix_dimension(concepts)? {
            return Ok(Outcome::Refused(refusal));
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
        Ok(Outcome::Put { created, updated: concepts.len() - created })
    }

    /// All vectors of the batch must have the dimension of the store; the first vector ever decides it.
    fn fix_dimension(&mut self, concepts: &[Concept]) -> Result<Result<(), String>, Error> {
        let kept = number(&self.numbers, DIMENSION)?;
        let mut dimension = kept;
        for (index, concept) in concepts.iter().enumerate() {
            let Some(count) = concept.vector.as_ref().map(|vector| vector.len() as u64) else {
                continue;
            };
            match dimension {
                Some(dimension) if dimension != count => {
                    let whose = if kept.is_some() { "this store keeps" } else { "this batch begins with" };
                    return Ok(Err(format!(
                        "concepts[{index}].vector has {count} numbers; {whose} vectors of {dimension}"
                    )));
                }
                _ => dimension = Some(count),
            }
        }
        if let (None, Some(first)) = (kept, dimension) {
            self.numbers.insert(DIMENSION, first)?;
        }
        Ok(Ok(()))
    }
}

/// The store at one moment.
pub(crate) struct View {
    transaction: ReadTransaction,
}

impl View {
    /// One concept; none if the id is unknown.
    pub(crate) fn concept(&self, id: &str) -> Result<Option<Concept>, Error> {
        let Some(body) = self.transaction.open_table(CONCEPTS)?.get(id)? else {
            return Ok(None);
        };
        let Body { text, metadata } = parse(body.value())?;
        let vector = self.transaction.open_table(VECTORS)?.get(id)?.map(|bytes| numbers_of(bytes.value()));
        Ok(Some(Concept { id: id.to_owned(), text, vector, metadata }))
    }

    /// Calls `with` for the id and text of every concept, in the order of ids.
    pub(crate) fn each_text<E: From<Error>>(
        &self,
        mut with: impl FnMut(&str, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        let table = self.transaction.open_table(CONCEPTS).map_err(Error::from)?;
        for row in table.iter().map_err(Error::from)? {
            let (id, body) = row.map_err(Error::from)?;
            let body: Body = parse(body.value())?;
            with(id.value(), &body.text)?;
        }
        Ok(())
    }

    /// Calls `with` for every id that has a vector.
    pub(crate) fn each_vector(&self, mut with: impl FnMut(&str, &[f32])) -> Result<(), Error> {
        for row in self.transaction.open_table(VECTORS)?.iter()? {
            let (id, bytes) = row?;
            with(id.value(), &numbers_of(bytes.value()));
        }
        Ok(())
    }

    /// The ids that changed after `sequence`, or none if that is no longer known.
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

fn numbers_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Io(error.into()))
}

fn parse<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::Corrupted(error.to_string()))
}
