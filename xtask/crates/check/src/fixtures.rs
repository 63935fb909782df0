//! Files of made-up images, for tests.

use contents::facts::{EntryKind, LayerEntry};

pub fn file(path: &str, mode: u32) -> LayerEntry {
    LayerEntry {
        path: path.into(),
        mode,
        owner: [0; 2],
        kind: EntryKind::File { bytes: 1, hash: None, elf: None },
    }
}

pub fn link(path: &str, target: &str) -> LayerEntry {
    LayerEntry { path: path.into(), mode: 0o777, owner: [0; 2], kind: EntryKind::Symlink(target.into()) }
}
