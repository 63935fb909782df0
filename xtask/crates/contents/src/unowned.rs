//! Bytes without an owner, by folder.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attribution::Attribution;
use crate::owner::OwnerKind;
use crate::paths::folder;
use model::bytes::Bytes;

/// A folder with less than 1/N of all unowned bytes counts with its parent.
const LEAST_SHARE: u64 = 100;

/// A folder with unowned bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnownedFolder {
    /// From the image's root, without a leading slash; empty for the root.
    pub path: String,
    /// The bytes of unowned files in it and below, without those of folders that are listed themselves.
    pub bytes: Bytes,
    /// The number of those files.
    pub files: u64,
}

/// Folders with unowned files, largest first. Together they contain all of them.
pub fn by_folder(attribution: &Attribution<'_>) -> Vec<UnownedFolder> {
    let Attribution { files, owner_of, owners, .. } = attribution;
    let is_unowned = |owner: usize| owners[owner].kind == OwnerKind::Unowned;
    let unowned = files.iter().zip(owner_of).filter(|(_, owner)| is_unowned(**owner));
    rolled_up(unowned.map(|(file, _)| (file.path, file.bytes)))
}

fn rolled_up<'f>(files: impl Iterator<Item = (&'f str, u64)>) -> Vec<UnownedFolder> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (path, bytes) in files {
        let sum = sums.entry(folder(path)).or_default();
        *sum = (sum.0 + bytes, sum.1 + 1);
    }
    let least = sums.values().map(|(bytes, _)| bytes).sum::<u64>() / LEAST_SHARE;
    let mut found = Vec::new();
    // Innermost first: a folder comes before the one around it in reverse order of paths.
    while let Some((path, (bytes, count))) = sums.pop_last() {
        if bytes < least && !path.is_empty() {
            let around = sums.entry(folder(path)).or_default();
            *around = (around.0 + bytes, around.1 + count);
        } else {
            found.push(UnownedFolder { path: path.to_owned(), bytes: Bytes(bytes), files: count });
        }
    }
    found.sort_by(|a, b| (Reverse(a.bytes), &a.path).cmp(&(Reverse(b.bytes), &b.path)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_folders_count_with_the_folder_around_them() {
        let files =
            [("big/a/x", 500), ("big/b/c/y", 3), ("big/b/z", 4), ("srv/d/w", 600), ("root", 1), ("e/f", 0)];
        let found = rolled_up(files.into_iter());
        let found: Vec<(&str, u64, u64)> =
            found.iter().map(|folder| (folder.path.as_str(), folder.bytes.0, folder.files)).collect();
        // `big` itself has too little, so it counts with the root.
        assert_eq!(found, [("srv/d", 600, 1), ("big/a", 500, 1), ("", 8, 4)]);
    }
}
