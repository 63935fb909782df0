//! Files with equal content.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::tree::VisibleFile;
use model::bytes::Bytes;

/// How many groups are listed.
const GROUPS: usize = 50;
/// How many paths of a group are listed.
const PATHS: usize = 20;

/// Equal files that a container sees. Hard links are one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Bytes that one copy of each would save.
    pub bytes: Bytes,
    /// Superfluous files.
    pub files: u64,
    /// The groups that cost most.
    pub largest: Vec<DuplicateGroup>,
}

/// Files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateGroup {
    /// Bytes of one of them.
    pub each: Bytes,
    /// Bytes that one copy would save.
    pub extra: Bytes,
    /// Where they are.
    pub paths: Vec<String>,
}

impl Duplicates {
    /// The equal ones among these files.
    pub fn of(files: &[VisibleFile<'_>]) -> Duplicates {
        let mut found = Duplicates::default();
        for group in groups(files) {
            let (each, copies) = (group[0].bytes, group.len() as u64 - 1);
            let extra = Bytes(each * copies);
            found.bytes = found.bytes + extra;
            found.files += copies;
            let paths = group.iter().take(PATHS).map(|file| file.path.to_owned()).collect();
            found.largest.push(DuplicateGroup { each: Bytes(each), extra, paths });
        }
        found.largest.sort_by(|a, b| b.extra.cmp(&a.extra).then_with(|| a.paths.cmp(&b.paths)));
        found.largest.truncate(GROUPS);
        found
    }
}

/// Groups of two or more equal files, sorted by their first paths.
pub fn groups<'s, 'f>(files: &'s [VisibleFile<'f>]) -> Vec<Vec<&'s VisibleFile<'f>>> {
    let mut by_content: HashMap<(u128, u64), Vec<&VisibleFile<'_>>> = HashMap::new();
    for file in files {
        if let Some(hash) = file.hash {
            by_content.entry((hash, file.bytes)).or_default().push(file);
        }
    }
    let mut groups: Vec<_> = by_content.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_by_key(|group| group[0].path);
    groups
}
