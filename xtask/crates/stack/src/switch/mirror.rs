//! A copy of some files at the same paths below another root, for Compose to read. Everything beside them is a symlink.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tempfile::TempDir;

use host::files;

/// The copy; removed on drop.
pub(super) struct Mirror {
    folder: TempDir,
}

impl Mirror {
    /// Copies files with these texts, and the folders that are named. Leaves out what is outside of `top` and not on the way to
    /// them. All paths are absolute, with symlinks resolved.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub(super) fn new(files: &[(&Path, &str)], named: &[PathBuf], top: &Path) -> Result<Mirror> {
        // Compose prints some paths with symlinks resolved.
        let top_folder = files::real_path(&std::env::temp_dir())?;
        let private = fs::Permissions::from_mode(0o700);
        let folder =
            tempfile::Builder::new().prefix("xtask-compose-").permissions(private).tempdir_in(top_folder);
        let mirror = Mirror { folder: folder.context("cannot create a temporary folder")? };
        let parents = files.iter().flat_map(|(path, _)| path.ancestors().skip(1));
        let folders: BTreeSet<&Path> =
            parents.chain(named.iter().flat_map(|path| path.ancestors())).collect();
        let is_copied = |path: &Path| folders.contains(path) || files.iter().any(|(file, _)| *file == path);
        // Sorted, so a folder precedes those in it.
        for folder in &folders {
            let to = mirror.at(folder);
            fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
            if !folder.starts_with(top) {
                continue;
            }
            // A folder may be searchable without being readable.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if !is_copied(&entry.path()) {
                    link(&entry.path(), &to.join(entry.file_name()), top, &mirror)?;
                }
            }
        }
        for (path, text) in files {
            let path = mirror.at(path);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(mirror)
    }

    /// Where the copy has a path.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.folder.path().join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A text that names paths in the copy, with the paths that they stand for.
    pub(super) fn original(&self, text: &str) -> String {
        let folder = self.folder.path().display().to_string();
        // In Compose's output, dollar signs are doubled.
        text.replace(&folder.replace('$', "$$"), "").replace(&folder, "")
    }

    /// The same for all strings of a value.
    pub(super) fn original_value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.original(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.original_value(item)).collect(),
            Value::Object(fields) => {
                let fields = fields.into_iter();
                fields.map(|(key, value)| (self.original(&key), self.original_value(value))).collect()
            }
            other => other,
        }
    }
}

/// Copies a symlink whose target is below `top`, so that it leads into the copy; links to everything else.
fn link(from: &Path, to: &Path, top: &Path, mirror: &Mirror) -> Result<()> {
    let is_copied = fs::canonicalize(from).is_ok_and(|real| real.starts_with(top));
    let target = match fs::read_link(from) {
        Ok(target) if is_copied && target.is_absolute() => mirror.at(&target),
        Ok(target) if is_copied => target,
        _ => from.to_owned(),
    };
    symlink(target, to).with_context(|| format!("cannot create {}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edited_files_are_copied_and_links_lead_to_the_copies() {
        let source = tempfile::tempdir().unwrap();
        let outer = fs::canonicalize(source.path()).unwrap();
        let root = outer.join("root");
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        write("deploy/stack.yml", "old");
        write("deploy/.env", "V=1");
        write("other/big", "big");
        write("../outside", "outside");
        symlink("deploy/stack.yml", root.join("relative.yml")).unwrap();
        symlink("../deploy/stack.yml", root.join("other/stack.yml")).unwrap();
        symlink("../outside", root.join("outside")).unwrap();
        symlink(root.join("deploy/stack.yml"), root.join("absolute.yml")).unwrap();
        let stack = root.join("deploy/stack.yml");
        let mirror = Mirror::new(&[(&stack, "new")], &[root.join("other")], &outer).unwrap();
        let read = |name: &str| fs::read_to_string(mirror.at(&root.join(name))).unwrap();
        for (name, text) in [
            ("deploy/stack.yml", "new"),
            ("relative.yml", "new"),
            ("absolute.yml", "new"),
            ("other/stack.yml", "new"),
            ("deploy/.env", "V=1"),
            ("other/big", "big"),
            ("outside", "outside"),
            ("../outside", "outside"),
        ] {
            assert_eq!(read(name), text, "{name}");
        }
        assert_eq!(fs::read_to_string(&stack).unwrap(), "old");
    }
}
