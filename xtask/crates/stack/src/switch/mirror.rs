//! A copy of a repository for Compose to read: only edited files are copied, everything else is a symlink.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// The copy; removed on drop.
pub(super) struct Mirror {
    folder: TempDir,
}

impl Mirror {
    /// A copy of `root`, whose symlinks are resolved, with these texts instead of its files. The paths are relative to `root`.
    ///
    /// # Errors
    /// When a folder cannot be read, or the copy cannot be written.
    pub(super) fn new(root: &Path, files: &[(&str, &str)]) -> Result<Mirror> {
        let folder = tempfile::Builder::new().prefix("xtask-compose-").tempdir();
        let mirror = Mirror { folder: folder.context("cannot create a temporary folder")? };
        let mut folders: BTreeMap<&Path, Vec<&str>> = BTreeMap::new();
        folders.entry(Path::new("")).or_default();
        for (name, _) in files {
            for parent in Path::new(name).ancestors().skip(1) {
                folders.entry(parent).or_default();
            }
        }
        let is_copied =
            |path: &Path| folders.contains_key(path) || files.iter().any(|(name, _)| Path::new(name) == path);
        // Sorted, so a folder precedes those in it.
        for relative in folders.keys() {
            let (from, to) = (root.join(relative), mirror.root().join(relative));
            fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
            let entries = fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))?;
            let names =
                entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<OsString>>>();
            for name in names.with_context(|| format!("cannot read {}", from.display()))? {
                if !is_copied(&relative.join(&name)) {
                    link(&from.join(&name), &to.join(&name), root, mirror.root())?;
                }
            }
        }
        mirror.write(files)?;
        Ok(mirror)
    }

    /// Replaces files by these texts.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn write(&self, files: &[(&str, &str)]) -> Result<()> {
        for (name, text) in files {
            let path = self.root().join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }
}

/// Copies a symlink, so that it leads to the copy; links to everything else.
fn link(from: &Path, to: &Path, root: &Path, copy: &Path) -> Result<()> {
    let target: PathBuf = match fs::read_link(from) {
        Ok(target) => target.strip_prefix(root).map(|inside| copy.join(inside)).unwrap_or(target),
        Err(_) => from.to_owned(),
    };
    symlink(target, to).with_context(|| format!("cannot create {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edited_files_are_copied_and_links_lead_to_the_copies() {
        let source = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(source.path()).unwrap();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        write("deploy/stack.yml", "old");
        write("deploy/.env", "V=1");
        write("other/big", "big");
        symlink("deploy/stack.yml", root.join("relative.yml")).unwrap();
        symlink(root.join("deploy/stack.yml"), root.join("absolute.yml")).unwrap();
        let mirror = Mirror::new(&root, &[("deploy/stack.yml", "new")]).unwrap();
        let read = |name: &str| fs::read_to_string(mirror.root().join(name)).unwrap();
        for (name, text) in [
            ("deploy/stack.yml", "new"),
            ("relative.yml", "new"),
            ("absolute.yml", "new"),
            ("deploy/.env", "V=1"),
            ("other/big", "big"),
        ] {
            assert_eq!(read(name), text, "{name}");
        }
        assert!(fs::symlink_metadata(mirror.root().join("other")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(root.join("deploy/stack.yml")).unwrap(), "old");
    }
}
