//! The corpora in `tests/fuzz/FORMAT/`.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of all corpora.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The files of a format, by name.
pub fn of(format: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder().join(format)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The repository for reading manifests; it has the Dockerfiles that they name.
pub fn repository() -> PathBuf {
    folder().join("manifest/repository")
}
