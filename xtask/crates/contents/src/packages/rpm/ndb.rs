//! Rpm's own database (`Packages.db`, rpm's `lib/backend/ndb/rpmpkg.c`): pages of slots at the start, each with the place of a
//! header, counted in blocks of 16 bytes. Numbers are little-endian.

use crate::packages::rpm::u32_le;

/// The first bytes of a database.
pub const MAGIC: &[u8] = b"RpmP";

/// A page of slots.
const PAGE: usize = 4096;
/// The size of a slot, of a block, and of what stands before a header.
const UNIT: usize = 16;

/// Calls `each` with each header, until it returns false.
pub fn blobs(bytes: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) {
    let pages = u32_le(bytes, 12).unwrap_or_default() as usize;
    let slots = bytes.get(..pages.saturating_mul(PAGE)).unwrap_or(bytes);
    // The first two units are the database's header.
    for slot in slots.chunks_exact(UNIT).skip(2).filter(|slot| slot.starts_with(b"Slot")) {
        if let Some(blob) = blob(bytes, slot)
            && !each(blob)
        {
            return;
        }
    }
}

fn blob<'b>(bytes: &'b [u8], slot: &[u8]) -> Option<&'b [u8]> {
    let (package, block) = (u32_le(slot, 4)?, u32_le(slot, 8)? as usize);
    let at = block.checked_mul(UNIT)?;
    let head = bytes.get(at..at.checked_add(UNIT)?)?;
    let is_its = package != 0 && head.starts_with(b"BlbS") && u32_le(head, 4)? == package;
    is_its.then_some(())?;
    let start = at + UNIT;
    bytes.get(start..start.checked_add(u32_le(head, 12)? as usize)?)
}

#[cfg(test)]
mod tests {
    use crate::packages::rpm::header::tests::bash;
    use crate::packages::rpm::read;
    use crate::paths::PathBudget;

    #[test]
    fn headers_are_found_by_their_slots() {
        let header = bash();
        let mut database = [b"RpmP".as_slice(), &[0; 8], &1_u32.to_le_bytes(), &[0; 16]].concat();
        // An empty slot, a slot that points outside, and one with a package.
        for (package, block) in [(0_u32, 0_u32), (8, u32::MAX), (7, 256)] {
            database.extend(b"Slot");
            database.extend([package, block, 1].map(u32::to_le_bytes).concat());
        }
        database.resize(4096, 0);
        database.extend(
            [b"BlbS".as_slice(), &[7, 0, 0, 0, 0, 0, 0, 0], &(header.len() as u32).to_le_bytes()].concat(),
        );
        database.extend(&header);
        let found = read(&database, &mut PathBudget::default()).unwrap();
        assert_eq!(found.iter().map(|found| found.package.name.as_str()).collect::<Vec<_>>(), ["bash"]);
        for end in 0..database.len() {
            drop(read(&database[..end], &mut PathBudget::default()));
        }
    }
}
