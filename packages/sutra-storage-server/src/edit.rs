//! Changes to the records: groups of operations, each applied completely or not at all.

use std::borrow::Cow;
use std::collections::BTreeMap;

use redb::{Database, Error, ReadableTableMetadata as _, Table, WriteTransaction};
use sutra_service::ApiError;

use crate::codes::{self, CODES};
use crate::concept::Concept;
use crate::records::{
    AppliedGroup, Body, CHANGES, CODE_ROWS, CONCEPTS, DELETED_AT_ONCE, DERIVED, DIMENSION, MODEL, NAMES,
    NUMBERS, Operation, OperationOutcome, SEQUENCE, VECTORS, json, name, number, parse,
};
use crate::refusal;
use crate::sources::{COUNTS, SOURCES, Sources, members, source};
use crate::vectors::{VectorChange, Vectors};

/// See [`crate::records::Records::apply`].
pub(crate) fn apply<'a>(
    database: &Database,
    operations: &'a [Operation],
    indexed: u64,
    vectors: &Vectors,
) -> Result<AppliedGroup<'a>, Error> {
    let mut transaction = database.begin_write()?;
    // Otherwise, the first start after a crash reads the whole file.
    transaction.set_quick_repair(true);
    let mut edit = Edit::begin(&transaction)?;
    let outcomes = operations.iter().map(|operation| edit.apply(operation)).collect::<Result<_, _>>()?;
    let is_changed = edit.is_changed();
    let applied = edit.finish(outcomes, indexed, vectors)?;
    match is_changed {
        true => transaction.commit()?,
        false => transaction.abort()?,
    }
    Ok(applied)
}

struct Edit<'txn, 'a> {
    transaction: &'txn WriteTransaction,
    concepts: Table<'txn, &'static str, &'static [u8]>,
    /// Opened when it is needed, because an open table cannot be deleted.
    vectors: Option<Table<'txn, &'static str, &'static [u8]>>,
    numbers: Table<'txn, &'static str, u64>,
    names: Table<'txn, &'static str, &'static str>,
    sources: Sources<'txn>,
    changes: BTreeMap<Cow<'a, str>, Option<&'a Concept>>,
    /// The vectors that are new; `None` for those that are gone.
    vector_changes: BTreeMap<String, Option<&'a [f32]>>,
    /// Whether all vectors went before these changes.
    reset_vectors: bool,
}

impl<'txn, 'a> Edit<'txn, 'a> {
    fn begin(transaction: &'txn WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            transaction,
            concepts: transaction.open_table(CONCEPTS)?,
            vectors: None,
            numbers: transaction.open_table(NUMBERS)?,
            names: transaction.open_table(NAMES)?,
            sources: Sources {
                members: transaction.open_table(SOURCES)?,
                counts: transaction.open_table(COUNTS)?,
            },
            changes: BTreeMap::new(),
            vector_changes: BTreeMap::new(),
            reset_vectors: false,
        })
    }

    fn vectors(&mut self) -> Result<&mut Table<'txn, &'static str, &'static [u8]>, Error> {
        let table = match self.vectors.take() {
            Some(table) => table,
            None => self.transaction.open_table(VECTORS)?,
        };
        Ok(self.vectors.insert(table))
    }

    fn is_changed(&self) -> bool {
        !self.changes.is_empty() || self.reset_vectors
    }

    /// Writes what is derived from the changes.
    fn finish(
        mut self,
        outcomes: Vec<OperationOutcome>,
        indexed: u64,
        vectors: &Vectors,
    ) -> Result<AppliedGroup<'a>, Error> {
        let mut sequence = number(&self.numbers, SEQUENCE)?.unwrap_or_default();
        let (is_changed, reset_vectors) = (self.is_changed(), self.reset_vectors);
        let change = |(id, vector): (String, Option<&[f32]>)| VectorChange::new(&id, vector);
        let vector_changes: Vec<_> =
            std::mem::take(&mut self.vector_changes).into_iter().map(change).collect();
        if is_changed {
            sequence += 1;
            self.numbers.insert(SEQUENCE, sequence)?;
            self.numbers.insert(DERIVED, sequence)?;
            let rows = match reset_vectors {
                true => 0,
                false => number(&self.numbers, CODE_ROWS)?.unwrap_or_default(),
            };
            let live = self.vectors()?.len()?;
            let current = |id: &str, codes: &[u8], scale| vectors.has(id, codes, scale);
            let mut table = self.transaction.open_table(CODES)?;
            let rows = codes::append(&mut table, &vector_changes, (rows, live), current)?;
            self.numbers.insert(CODE_ROWS, rows)?;
            let mut log = self.transaction.open_table(CHANGES)?;
            log.retain(|logged, _| logged > indexed)?;
            let ids: Vec<&str> = self.changes.keys().map(AsRef::as_ref).collect();
            log.insert(sequence, json(&ids)?.as_slice())?;
        }
        Ok(AppliedGroup { outcomes, changes: self.changes, vectors: vector_changes, reset_vectors, sequence })
    }

    fn apply(&mut self, operation: &'a Operation) -> Result<OperationOutcome, Error> {
        match operation {
            Operation::Put { model, concepts } => self.put(model.as_deref(), concepts),
            Operation::Delete(ids) => {
                let mut deleted = 0;
                for id in ids {
                    deleted += usize::from(self.delete(Cow::Borrowed(id))?);
                }
                Ok(OperationOutcome::Delete(deleted))
            }
            Operation::DeleteSource(source) => {
                let ids = members(&self.sources.members, source, None, DELETED_AT_ONCE)?;
                let deleted = ids.len();
                for id in ids {
                    self.delete(Cow::Owned(id))?;
                }
                Ok(OperationOutcome::Delete(deleted))
            }
            Operation::Reembed { model, dimension } => {
                self.remove_vectors()?;
                self.names.insert(MODEL, model.as_str())?;
                match dimension {
                    Some(dimension) => self.numbers.insert(DIMENSION, dimension)?.map(drop),
                    None => self.numbers.remove(DIMENSION)?.map(drop),
                };
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
            created += usize::from(self.put_one(concept)?);
        }
        Ok(OperationOutcome::Put { created, updated: concepts.len() - created })
    }

    /// Whether the concept is new.
    fn put_one(&mut self, concept: &'a Concept) -> Result<bool, Error> {
        let id = concept.id.as_str();
        let body = json(&Body { text: concept.text.clone(), metadata: concept.metadata.clone() })?;
        let before = self.concepts.insert(id, body.as_slice())?;
        let before = before.map(|body| parse::<Body>(body.value())).transpose()?;
        let old = before.as_ref().and_then(|body| source(body.metadata.as_ref()));
        self.sources.change(id, old, source(concept.metadata.as_ref()))?;
        match &concept.vector {
            Some(vector) => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                self.vectors()?.insert(id, bytes.as_slice())?;
                self.vector_changes.insert(id.to_owned(), Some(vector));
            }
            None => self.remove_vector(id)?,
        }
        self.changes.insert(Cow::Borrowed(id), Some(concept));
        Ok(before.is_none())
    }

    /// Whether the concept existed.
    fn delete(&mut self, id: Cow<'a, str>) -> Result<bool, Error> {
        let before = self.concepts.remove(&*id)?.map(|body| parse::<Body>(body.value())).transpose()?;
        let Some(before) = before else { return Ok(false) };
        self.sources.change(&id, source(before.metadata.as_ref()), None)?;
        self.remove_vector(&id)?;
        self.changes.insert(id, None);
        Ok(true)
    }

    fn remove_vector(&mut self, id: &str) -> Result<(), Error> {
        if self.vectors()?.remove(id)?.is_some() {
            self.vector_changes.insert(id.to_owned(), None);
        }
        Ok(())
    }

    fn remove_vectors(&mut self) -> Result<(), Error> {
        self.vectors = None;
        self.transaction.delete_table(VECTORS)?;
        self.transaction.delete_table(CODES)?;
        self.vector_changes.clear();
        self.reset_vectors = true;
        Ok(())
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
