//! Reads one table of an SQLite database (sqlite.org, "Database File Format"): the last column of each of its rows. Changes that
//! are still in a write-ahead log beside the database are ignored; rpm writes them back when it ends.

use crate::packages::Refused;

/// The first bytes of a database.
pub const MAGIC: &[u8] = b"SQLite format 3\0";

/// Maximum depth of a tree; real databases stay below it.
const MAX_DEPTH: usize = 20;

/// What may still be read. Every page is visited once and every row has bytes of its own, so a cyclic tree ends.
struct Room {
    pages: usize,
    bytes: usize,
}

struct Database<'b> {
    bytes: &'b [u8],
    page: usize,
    /// The bytes of a page that are used.
    usable: usize,
}

/// Calls `each` with the last column of each row, until it returns false.
///
/// # Errors
/// If it is not a database, or has no such table.
pub fn rows(bytes: &[u8], table: &str, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), Refused> {
    let page = match bytes.get(16..18) {
        Some([0, 1]) => 65_536,
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    };
    let usable = page.saturating_sub(bytes.get(20).copied().unwrap_or_default().into());
    if !page.is_power_of_two() || usable < 480 {
        return Err("an SQLite database with an impossible page size".to_owned());
    }
    let database = Database { bytes, page, usable };
    let mut root = None;
    database.walk(1, 0, &mut database.room(), &mut |payload| {
        root = root.or_else(|| root_of(payload, table));
        root.is_none()
    });
    let root = root.ok_or_else(|| format!("an SQLite database without a table {table}"))?;
    database.walk(root, 0, &mut database.room(), &mut |payload| {
        columns(payload).last().is_none_or(|last| each(last))
    });
    Ok(())
}

/// The first page of a table, from a row of the schema: type, name, table, first page, SQL.
fn root_of(payload: &[u8], table: &str) -> Option<usize> {
    let columns = columns(payload);
    let (kind, name, root) = (columns.first()?, columns.get(1)?, columns.get(3)?);
    let number = root.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
    (*kind == b"table" && *name == table.as_bytes() && root.len() <= 4).then_some(number)
}

impl<'b> Database<'b> {
    fn room(&self) -> Room {
        Room { pages: self.bytes.len() / self.page + 1, bytes: self.bytes.len() }
    }

    fn page(&self, number: usize) -> Option<&'b [u8]> {
        let start = number.checked_sub(1)?.checked_mul(self.page)?;
        self.bytes.get(start..start.checked_add(self.usable)?)
    }

    /// Calls `each` with the payload of each row below a page. Returns whether to go on.
    fn walk(
        &self,
        number: usize,
        depth: usize,
        room: &mut Room,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> bool {
        if depth > MAX_DEPTH || room.pages == 0 {
            return false;
        }
        room.pages -= 1;
        let Some(page) = self.page(number) else { return true };
        // The first page begins with the database's header.
        let head = if number == 1 { 100 } else { 0 };
        let kind = page[head];
        let count = u16_at(page, head + 3);
        let (pointers, is_leaf) = match kind {
            0x0d => (head + 8, true),
            0x05 => (head + 12, false),
            _ => return true,
        };
        for cell in (0..count).map(|index| u16_at(page, pointers + 2 * index)) {
            let goes_on = if is_leaf {
                self.payload(page, cell, room).is_none_or(|payload| each(&payload))
            } else {
                self.walk(u32_at(page, cell), depth + 1, room, each)
            };
            if !goes_on {
                return false;
            }
        }
        is_leaf || self.walk(u32_at(page, head + 8), depth + 1, room, each)
    }

    /// The payload of a cell in a leaf, with the pages that it overflows to.
    fn payload(&self, page: &[u8], cell: usize, room: &mut Room) -> Option<Vec<u8>> {
        let (size, length) = varint(page.get(cell..)?)?;
        let (_, key) = varint(page.get(cell + length..)?)?;
        let (start, size) = (cell + length + key, usize::try_from(size).ok()?);
        room.bytes = room.bytes.checked_sub(size)?;
        let most = self.usable - 35;
        let local = if size <= most {
            size
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let rest = least + (size - least) % (self.usable - 4);
            if rest <= most { rest } else { least }
        };
        let mut payload = page.get(start..start + local)?.to_vec();
        let mut next = if size > local { u32_at(page, start + local) } else { 0 };
        while payload.len() < size {
            let overflow = self.page(next)?;
            let taken = (size - payload.len()).min(self.usable - 4);
            payload.extend_from_slice(&overflow[4..4 + taken]);
            next = u32_at(overflow, 0);
        }
        Some(payload)
    }
}

/// The columns of a record.
fn columns(payload: &[u8]) -> Vec<&[u8]> {
    let Some((size, mut at)) = varint(payload) else { return Vec::new() };
    let mut value = usize::try_from(size).unwrap_or(usize::MAX);
    let end = value.min(payload.len());
    let mut columns = Vec::new();
    // More columns than any table of rpm has.
    while at < end
        && columns.len() < 100
        && let Some((kind, length)) = varint(&payload[at..])
    {
        at += length;
        let size = match kind {
            0 | 8..=11 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            kind => usize::try_from((kind - 12) / 2).unwrap_or(usize::MAX),
        };
        let Some(column) = value.checked_add(size).and_then(|end| payload.get(value..end)) else { break };
        columns.push(column);
        value += size;
    }
    columns
}

/// A number of one to nine bytes, and its length.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((number, index + 1));
        }
    }
    Some(((number << 8) | u64::from(*bytes.get(8)?), 9))
}

/// Zero beyond the end, which no valid page has.
fn u16_at(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..at + 2).map_or(0, |two| usize::from(u16::from_be_bytes([two[0], two[1]])))
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    super::u32_be(bytes, at).map_or(0, |number| number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two packages, and six times as many on pages so small that every row overflows.
    const RECORDED: [(&[u8], usize); 2] = [
        (include_bytes!("../../../../../tests/fuzz/rpm/rpmdb.sqlite"), 2),
        (include_bytes!("../../../../../tests/fuzz/rpm/rpmdb-small-pages.sqlite"), 12),
    ];

    fn lengths(bytes: &[u8]) -> Result<Vec<usize>, Refused> {
        let mut found = Vec::new();
        rows(bytes, "Packages", &mut |row| {
            found.push(row.len());
            true
        })?;
        Ok(found)
    }

    #[test]
    fn rows_are_put_together_from_their_pages() {
        for (bytes, count) in RECORDED {
            let expected: Vec<usize> = [2060, 7016].into_iter().cycle().take(count).collect();
            assert_eq!(lengths(bytes).unwrap(), expected);
            let error = rows(bytes, "Other", &mut |_| true).unwrap_err();
            assert_eq!(error, "an SQLite database without a table Other");
        }
    }

    #[test]
    fn circles_end_and_damage_does_no_harm() {
        let [_, (whole, _)] = RECORDED;
        for page in 1..whole.len() / 512 {
            // Every page leads to every other: as an inner page whose rightmost page is itself or the first.
            for next in [1, page + 1] {
                let mut bytes = whole.to_vec();
                bytes[page * 512] = 0x05;
                bytes[page * 512 + 8..][..4].copy_from_slice(&(next as u32).to_be_bytes());
                let found = lengths(&bytes).unwrap();
                assert!(
                    found.iter().sum::<usize>() <= bytes.len(),
                    "a row was read again and again: {found:?}"
                );
            }
        }
        for at in (16..30).chain(100..512) {
            let mut bytes = whole.to_vec();
            bytes[at] = 0xff;
            drop(lengths(&bytes));
        }
        for end in (0..whole.len()).step_by(100) {
            drop(lengths(&whole[..end]));
        }
    }
}
