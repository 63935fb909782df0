//! Makes the tables that are derived from others, if the version that wrote the store did not know them.

use std::ops::Bound;

use redb::{Database, Error, ReadableTable as _, WriteTransaction};

use crate::codes::{self, CODES};
use crate::records::{
    Body, CODE_ROWS, CONCEPTS, DERIVED, NUMBERS, SEQUENCE, VECTORS, decode_vector, number, parse,
};
use crate::sources::{COUNTS, SOURCES, Sources, source};
use crate::vectors::VectorChange;

/// Concepts that are read at once.
const PORTION: usize = 2_000;

/// Makes the derived tables again unless they are up to date.
pub(crate) fn update(database: &Database) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    let sequence = {
        let numbers = transaction.open_table(NUMBERS)?;
        let sequence = number(&numbers, SEQUENCE)?.unwrap_or_default();
        (number(&numbers, DERIVED)? != Some(sequence)).then_some(sequence)
    };
    let Some(sequence) = sequence else { return Ok(transaction.abort()?) };
    if sequence > 0 {
        log::info!("preparing the store for this version");
    }
    clear(&transaction)?;
    transaction.commit()?;
    // In portions, each on disk before the next, because a transaction holds what it changes.
    let mut after = None;
    while let Some(last) = portion(database, after.as_deref())? {
        after = Some(last);
    }
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.open_table(NUMBERS)?.insert(DERIVED, sequence)?;
    Ok(transaction.commit()?)
}

fn clear(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.delete_table(CODES)?;
    transaction.delete_table(SOURCES)?;
    transaction.delete_table(COUNTS)?;
    transaction.open_table(CODES)?;
    transaction.open_table(SOURCES)?;
    transaction.open_table(COUNTS)?;
    transaction.open_table(NUMBERS)?.insert(CODE_ROWS, 0)?;
    Ok(())
}

/// Adds the next concepts; returns the id of the last one.
fn portion(database: &Database, after: Option<&str>) -> Result<Option<String>, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let (mut changes, mut last) = (Vec::new(), None);
    {
        let (concepts, vectors) = (transaction.open_table(CONCEPTS)?, transaction.open_table(VECTORS)?);
        let mut sources =
            Sources { members: transaction.open_table(SOURCES)?, counts: transaction.open_table(COUNTS)? };
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for row in concepts.range::<&str>((start, Bound::Unbounded))?.take(PORTION) {
            let (id, body) = row?;
            let body: Body = parse(body.value())?;
            sources.change(id.value(), None, source(body.metadata.as_ref()))?;
            if let Some(bytes) = vectors.get(id.value())? {
                changes.push(VectorChange::new(id.value(), Some(&decode_vector(bytes.value()))));
            }
            last = Some(id.value().to_owned());
        }
        let mut numbers = transaction.open_table(NUMBERS)?;
        let rows = number(&numbers, CODE_ROWS)?.unwrap_or_default();
        let mut table = transaction.open_table(CODES)?;
        // All rows are current.
        let rows = codes::append(&mut table, &changes, (rows, rows), |_, _, _| true)?;
        numbers.insert(CODE_ROWS, rows)?;
    }
    transaction.commit()?;
    Ok(last)
}
