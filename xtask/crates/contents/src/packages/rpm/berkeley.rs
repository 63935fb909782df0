//! The values of a hash of Berkeley DB (`Packages`, its "db_page.h"). Headers are too long for a page: the hash stores the
//! number of the overflow page where each begins.

use crate::packages::rpm::u32_le;

/// `DB_HASHMAGIC`.
const MAGIC: u32 = 0x0006_1561;
/// What stands before the entries of a page.
const PAGE_HEAD: usize = 26;
// Types of pages.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// The type of an entry that is on pages of its own: type, three unused bytes, page, length.
const OFF_PAGE: u8 = 3;

/// A database in the byte order in which it was written.
struct Database<'b> {
    bytes: &'b [u8],
    page: usize,
    is_swapped: bool,
}

/// Whether it is a hash.
pub fn is_hash(bytes: &[u8]) -> bool {
    u32_le(bytes, 12).is_some_and(|magic| magic == MAGIC || magic.swap_bytes() == MAGIC)
}

/// Calls `each` with each value that has pages of its own, until it returns false.
pub fn values(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) {
    let is_swapped = u32_le(bytes, 12) != Some(MAGIC);
    let database = Database { bytes, page: 0, is_swapped };
    let page = database.number(bytes, 20);
    if !page.is_power_of_two() || !(512..=65_536).contains(&page) {
        return;
    }
    let database = Database { page, ..database };
    // Each page belongs to one value, so a cyclic chain ends.
    let mut room = bytes.len();
    for page in bytes.chunks_exact(page).filter(|page| matches!(page[25], HASH_UNSORTED | HASH)) {
        let count = database.short(page, 20);
        // Keys and values take turns.
        for index in (1..count).step_by(2) {
            let at = database.short(page, PAGE_HEAD + 2 * index);
            let Some(entry) = page.get(at..at + 12).filter(|entry| entry[0] == OFF_PAGE) else { continue };
            let value = database.value(database.number(entry, 4), database.number(entry, 8), &mut room);
            if value.is_some_and(|value| !each(&value)) {
                return;
            }
        }
    }
}

impl Database<'_> {
    fn number(&self, bytes: &[u8], at: usize) -> usize {
        let number = u32_le(bytes, at).unwrap_or_default();
        (if self.is_swapped { number.swap_bytes() } else { number }) as usize
    }

    fn short(&self, bytes: &[u8], at: usize) -> usize {
        let number = bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]));
        usize::from(if self.is_swapped { number.swap_bytes() } else { number })
    }

    /// A value of a length, which begins on a page.
    fn value(&self, mut number: usize, length: usize, room: &mut usize) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        while value.len() < length && number != 0 {
            let start = number.checked_mul(self.page)?;
            let page = self.bytes.get(start..start.checked_add(self.page)?)?;
            (page[25] == OVERFLOW).then_some(())?;
            // On these pages, the field for the offset of free space holds the number of used bytes.
            let part = page.get(PAGE_HEAD..PAGE_HEAD + self.short(page, 22))?;
            *room = room.checked_sub(self.page)?;
            value.extend_from_slice(part);
            number = self.number(page, 16);
        }
        (value.len() >= length).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::packages::rpm::header::tests::bash;
    use crate::packages::rpm::read;
    use crate::paths::PathBudget;

    /// A hash of one key and one value, which takes two pages.
    fn database(order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let short = |number: u16| {
            let [a, b, c, d] = order(number.into());
            if order(1)[0] == 1 { [a, b] } else { [c, d] }
        };
        let header = bash();
        let (first, rest) = header.split_at(200);
        let mut bytes = vec![0; 4 * 512];
        bytes[12..16].copy_from_slice(&order(super::MAGIC));
        bytes[20..24].copy_from_slice(&order(512));
        bytes[512 + 25] = super::HASH;
        bytes[512 + 20..][..2].copy_from_slice(&short(2));
        bytes[512 + 26..][..4].copy_from_slice(&[short(500), short(480)].concat());
        bytes[512 + 480..][..12]
            .copy_from_slice(&[[3, 0, 0, 0], order(2), order(header.len() as u32)].concat());
        for (page, next, part) in [(2, 3, first), (3, 0, rest)] {
            let start = page * 512;
            bytes[start + 16..][..4].copy_from_slice(&order(next));
            bytes[start + 22..][..2].copy_from_slice(&short(part.len() as u16));
            bytes[start + 25] = super::OVERFLOW;
            bytes[start + 26..][..part.len()].copy_from_slice(part);
        }
        bytes
    }

    #[test]
    fn headers_are_put_together_from_their_pages() {
        for order in [u32::to_le_bytes as fn(u32) -> [u8; 4], u32::to_be_bytes] {
            let found = read(&database(order), &mut PathBudget::default()).unwrap();
            assert_eq!(found.iter().map(|found| found.package.name.as_str()).collect::<Vec<_>>(), ["bash"]);
        }
    }

    #[test]
    fn damaged_databases_do_no_harm() {
        let whole = database(u32::to_le_bytes);
        for at in (0..whole.len()).filter(|at| at % 512 < 40 || at % 512 > 470) {
            for value in [0, 2, 3, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                drop(read(&damaged, &mut PathBudget::default()));
            }
        }
    }
}
