//! The vectors in 8 bits on disk, in the order of their changes: a start reads them in one go, instead of all vectors.
//!
//! Table `codes`: number → rows of one or more changes. A later row of an id replaces an earlier one. A row is the length
//! of the id (two bytes), the id, the number of codes (four bytes, 0 if the vector was removed), the scale (a 32-bit float)
//! and the codes; all little endian.

use redb::{Error, ReadableTable, Table, TableDefinition};

use crate::vectors::VectorChange;

pub(crate) const CODES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("codes");

/// A change is added to the last entry while that is smaller, in bytes, so that small changes do not make many entries.
const ENTRY_BYTES: usize = 64 << 10;

/// Rows that may be out of date, besides as many as there are vectors.
const SPARE_ROWS: u64 = 10_000;

/// A row: the id, and codes and scale unless the vector was removed.
pub(crate) type Row<'a> = (&'a str, Option<(&'a [u8], f32)>);

/// Adds changes. `rows` is the number of rows in the table, `live` that of vectors. If too many rows are out of date, the
/// oldest entries go, but for the rows that are `current`. Returns the new number of rows.
pub(crate) fn append(
    table: &mut Table<'_, u64, &'static [u8]>,
    changes: &[VectorChange],
    (mut rows, live): (u64, u64),
    current: impl Fn(&str, &[u8], f32) -> bool,
) -> Result<u64, Error> {
    if changes.is_empty() {
        return Ok(rows);
    }
    let (last, mut entry) = match table.last()? {
        Some((last, entry)) if entry.value().len() < ENTRY_BYTES => (last.value(), entry.value().to_vec()),
        Some((last, _)) => (last.value() + 1, Vec::new()),
        None => (0, Vec::new()),
    };
    // Twice as many as are added, so that rows do not become more.
    let mut budget = 2 * changes.len();
    while rows > 2 * live + SPARE_ROWS && budget > 0 {
        // The last entry stays: `entry` begins with it.
        if table.first()?.is_none_or(|(first, _)| first.value() >= last) {
            break;
        }
        let Some((_, oldest)) = table.pop_first()? else { break };
        for row in read(oldest.value()) {
            let (id, codes) = row?;
            budget = budget.saturating_sub(1);
            rows -= 1;
            if let Some((codes, scale)) = codes.filter(|(codes, scale)| current(id, codes, *scale)) {
                write(&mut entry, id, Some((codes, scale)));
                rows += 1;
            }
        }
    }
    for VectorChange { id, row } in changes {
        write(&mut entry, id, row.as_ref().map(|(codes, scale)| (codes.as_slice(), *scale)));
    }
    table.insert(last, entry.as_slice())?;
    Ok(rows + changes.len() as u64)
}

/// Calls `visit` with all rows, newest first.
pub(crate) fn newest_first(
    table: &impl ReadableTable<u64, &'static [u8]>,
    mut visit: impl FnMut(&str, Option<(&[u8], f32)>),
) -> Result<(), Error> {
    for entry in table.iter()?.rev() {
        let (_, entry) = entry?;
        let rows: Vec<_> = read(entry.value()).collect::<Result<_, _>>()?;
        rows.into_iter().rev().for_each(|(id, codes)| visit(id, codes));
    }
    Ok(())
}

fn write(entry: &mut Vec<u8>, id: &str, row: Option<(&[u8], f32)>) {
    let (codes, scale) = row.unwrap_or_default();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "ids have at most 256 bytes, vectors at most 65,535 numbers"
    )]
    let (id_length, count) = (id.len() as u16, codes.len() as u32);
    entry.extend(id_length.to_le_bytes());
    entry.extend(id.as_bytes());
    entry.extend(count.to_le_bytes());
    entry.extend(scale.to_le_bytes());
    entry.extend(codes);
}

/// The rows of an entry. After an error there are no more.
fn read(mut entry: &[u8]) -> impl Iterator<Item = Result<Row<'_>, Error>> {
    std::iter::from_fn(move || {
        if entry.is_empty() {
            return None;
        }
        let row = next(&mut entry);
        if row.is_none() {
            entry = &[];
        }
        Some(row.ok_or_else(|| Error::Corrupted("a row of the table codes is incomplete".to_owned())))
    })
}

fn next<'a>(entry: &mut &'a [u8]) -> Option<Row<'a>> {
    let length = u16::from_le_bytes(*entry.split_off(..2)?.as_array()?);
    let id = std::str::from_utf8(entry.split_off(..usize::from(length))?).ok()?;
    let count = u32::from_le_bytes(*entry.split_off(..4)?.as_array()?) as usize;
    let scale = f32::from_le_bytes(*entry.split_off(..4)?.as_array()?);
    let codes = entry.split_off(..count)?;
    Some((id, (count > 0).then_some((codes, scale))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{Database, ReadableDatabase as _, backends::InMemoryBackend};
    use std::collections::{BTreeMap, BTreeSet};

    fn change(id: u32, code: Option<u8>) -> VectorChange {
        VectorChange { id: id.to_string(), row: code.map(|code| (vec![code; 4], 1.0)) }
    }

    /// Compares with a plain map: after any number of changes the rows give its content, and their number stays bounded.
    #[test]
    fn rows_give_the_current_vectors_and_old_ones_go() {
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).expect("open");
        let (mut plain, mut rows, mut state) = (BTreeMap::new(), 0, 1_u32);
        for _ in 0..2_000 {
            let mut changes = BTreeMap::new();
            for _ in 0..100 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let code = (state >> 24 & 3 > 0).then_some((state >> 16) as u8);
                changes.insert(state >> 8 & 0x3ff, code);
            }
            let list: Vec<_> = changes.iter().map(|(&id, &code)| change(id, code)).collect();
            let transaction = database.begin_write().expect("begin");
            let live = plain.len() as u64;
            let current =
                |id: &str, codes: &[u8], _| plain.get(&id.parse().expect("a number")) == Some(&codes[0]);
            let mut table = transaction.open_table(CODES).expect("a table");
            rows = append(&mut table, &list, (rows, live), current).expect("append");
            drop(table);
            transaction.commit().expect("commit");
            for (id, code) in changes {
                match code {
                    Some(code) => plain.insert(id, code),
                    None => plain.remove(&id),
                };
            }
            assert!(rows <= 2 * live + SPARE_ROWS + 1_000, "{rows} rows, {live} live");
        }
        let (mut found, mut seen, mut count) = (BTreeMap::new(), BTreeSet::new(), 0);
        let table = database.begin_read().expect("begin").open_table(CODES).expect("a table");
        newest_first(&table, |id, row| {
            let id: u32 = id.parse().expect("a number");
            count += 1;
            if let (true, Some((codes, _))) = (seen.insert(id), row) {
                found.insert(id, codes[0]);
            }
        })
        .expect("read");
        assert_eq!((found, count), (plain, rows));
    }

    #[test]
    fn an_incomplete_row_is_an_error() {
        let mut entry = Vec::new();
        write(&mut entry, "a", Some((&[1, 2], 0.5)));
        write(&mut entry, "b", None);
        let whole: Vec<_> = read(&entry).map(Result::unwrap).collect();
        assert_eq!(whole, [("a", Some((&[1, 2][..], 0.5))), ("b", None)]);
        for end in 1..entry.len() {
            let rows: Vec<_> = read(&entry[..end]).collect();
            assert_eq!(rows.iter().any(Result::is_err), end != 13, "{end}");
        }
    }
}
