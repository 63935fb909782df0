//! Files of made-up images, for tests.

use contents::facts::{Entry, Kind};

pub fn file(path: &str, mode: u32) -> Entry {
    Entry { path: path.into(), mode, kind: Kind::File { bytes: 1, hash: None, elf: None } }
}

pub fn link(path: &str, target: &str) -> Entry {
    Entry { path: path.into(), mode: 0o777, kind: Kind::Symlink(target.into()) }
}
