//! RPM's database: a header for each package, in SQLite (since rpm 4.16), in rpm's own NDB (SUSE), or in Berkeley DB (before).

mod berkeley;
mod header;
mod ndb;
mod sqlite;

use crate::facts::Installed;
use crate::packages::Refused;
use crate::paths::PathBudget;

/// Where rpm keeps its database.
const FOLDERS: [&str; 4] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm", "usr/lib/rpm-db"];

/// Most packages of a database.
const MAX_PACKAGES: usize = 50_000;

/// Whether rpm keeps its database in a folder.
pub fn is_folder(folder: &str) -> bool {
    FOLDERS.contains(&folder)
}

/// The installed packages.
pub fn read(bytes: &[u8], budget: &mut PathBudget) -> Result<Vec<Installed>, Refused> {
    let mut found = Vec::new();
    // Headers do not overlap: a hostile database could reference the same bytes a million times.
    let mut room = bytes.len();
    let mut each = |blob: &[u8]| {
        let Some(rest) = room.checked_sub(blob.len()) else { return false };
        room = rest;
        found.extend(header::read(blob, budget));
        found.len() < MAX_PACKAGES
    };
    if bytes.starts_with(sqlite::MAGIC) {
        sqlite::rows(bytes, "Packages", &mut each)?;
    } else if bytes.starts_with(ndb::MAGIC) {
        ndb::blobs(bytes, &mut each);
    } else if berkeley::is_hash(bytes) {
        berkeley::values(bytes, &mut each);
    } else {
        return Err("not a SQLite, NDB or Berkeley DB hash database".to_owned());
    }
    Ok(found)
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}
