//! Sizes that an unfinished search measured: after a failure or Ctrl-C, the next run does not build these commits again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use host::files;
use model::bytes::Bytes;

/// What the sizes belong to. Sizes of another image, or with packages of another date, are dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MeasuredImage {
    pub(super) service: String,
    pub(super) edition: String,
    pub(super) platform: String,
    /// The build argument that decides when Debian packages are fetched again.
    pub(super) packages_as_of: String,
}

/// The contents of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    image: MeasuredImage,
    /// Unpacked bytes by commit.
    sizes: BTreeMap<String, Bytes>,
}

/// Sizes by commit, written to the state folder as they are measured. Failed builds are not kept: they may succeed next time.
#[derive(Debug)]
pub(super) struct MeasuredSizes {
    file: PathBuf,
    kept: Kept,
}

impl MeasuredSizes {
    /// The sizes of an unfinished search; none if the file is missing, damaged or about another image.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn load(file: PathBuf, image: MeasuredImage) -> Result<MeasuredSizes> {
        let text = files::read_if_there(&file)?.unwrap_or_default();
        let kept = serde_json::from_str(&text).ok().filter(|kept: &Kept| kept.image == image);
        Ok(MeasuredSizes { file, kept: kept.unwrap_or(Kept { image, sizes: BTreeMap::new() }) })
    }

    pub(super) fn of(&self, commit: &str) -> Option<Bytes> {
        self.kept.sizes.get(commit).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.sizes.len()
    }

    /// Keeps a size.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn keep(&mut self, commit: &str, bytes: Bytes) -> Result<()> {
        self.kept.sizes.insert(commit.to_owned(), bytes);
        files::write_atomically(&self.file, &serde_json::to_vec(&self.kept)?)
    }

    /// Removes the file: the search is done.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn finish(self) -> Result<()> {
        files::remove(&self.file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn image(packages_as_of: &str) -> MeasuredImage {
        let [service, edition, platform] = ["api", "", "linux/amd64"].map(str::to_owned);
        MeasuredImage { service, edition, platform, packages_as_of: packages_as_of.to_owned() }
    }

    #[test]
    fn sizes_outlive_a_run_until_the_search_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sizes.json");
        let load = |date| MeasuredSizes::load(file.clone(), image(date)).unwrap();
        let mut sizes = load("2026-11-30");
        assert_eq!((sizes.of("a"), sizes.len()), (None, 0));
        sizes.keep("a", Bytes(5)).unwrap();
        sizes.keep("b", Bytes(7)).unwrap();
        let again = load("2026-11-30");
        assert_eq!((again.of("a"), again.of("b"), again.len()), (Some(Bytes(5)), Some(Bytes(7)), 2));
        assert_eq!(load("2026-12-07").len(), 0);
        again.finish().unwrap();
        assert!(!file.exists());
        assert_eq!(load("2026-11-30").len(), 0);
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sizes.json");
        fs::write(&file, "{\"image\":").unwrap();
        assert_eq!(MeasuredSizes::load(file, image("2026-11-30")).unwrap().len(), 0);
    }
}
