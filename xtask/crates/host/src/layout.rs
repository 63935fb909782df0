//! Where the manifest, the files beside it and the state are in a repository.

use std::path::{Path, PathBuf};

/// The state folder of a repository without Cargo's target folder. `files` creates a `.gitignore` in it.
pub const STATE: &str = ".images";

/// Where the files of this program are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// In a repository that holds this program's source: the manifest in `xtask/`, state in `target/xtask/`.
    Xtask,
    /// In any other repository: the manifest in the root, state in `.images/`.
    Plain,
    /// Without a manifest: state in this folder, so that the current folder is not changed.
    Cache(PathBuf),
}

impl Layout {
    /// Without a manifest: state in `$XDG_CACHE_HOME/images`, else in `~/.cache/images` (XDG Base Directory Specification), else
    /// in a folder for temporary files.
    pub fn of_cache() -> Layout {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").map(|home| home.join(".cache"));
        let cache = absolute("XDG_CACHE_HOME").or_else(home).unwrap_or_else(std::env::temp_dir);
        Layout::Cache(cache.join("images"))
    }

    /// The manifest, relative to the root.
    pub fn manifest(&self) -> &'static str {
        self.choose("xtask/images.toml", "images.toml")
    }

    /// Accepted sizes, relative to the root.
    pub fn sizes_lock(&self) -> &'static str {
        self.choose("xtask/sizes.lock.toml", "sizes.lock.toml")
    }

    /// Recorded answers, relative to the root.
    pub fn parity(&self) -> &'static str {
        self.choose("xtask/parity", "parity")
    }

    /// The state folder, which git ignores.
    pub fn state(&self, root: &Path) -> PathBuf {
        match self {
            Layout::Xtask => root.join("target/xtask"),
            Layout::Plain => root.join(STATE),
            Layout::Cache(folder) => folder.clone(),
        }
    }

    fn choose(&self, xtask: &'static str, root: &'static str) -> &'static str {
        if *self == Layout::Xtask { xtask } else { root }
    }
}

/// The root and layout of the checkout at `start`; unless `exact`, of the nearest one at or above it, up to the top of the git work
/// tree.
pub fn find(start: &Path, exact: bool) -> Option<(PathBuf, Layout)> {
    for dir in start.ancestors() {
        let found =
            [Layout::Xtask, Layout::Plain].into_iter().find(|layout| dir.join(layout.manifest()).is_file());
        if let Some(layout) = found {
            return Some((dir.to_owned(), layout));
        }
        if exact || is_work_tree(dir) {
            break;
        }
    }
    None
}

/// Whether the folder is the top of a git work tree. `.git` is a file in a linked work tree and in a submodule.
pub fn is_work_tree(dir: &Path) -> bool {
    dir.join(".git").exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn the_nearest_manifest_up_to_the_top_of_the_work_tree_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let add = |file: &str| files::write_atomically(&at(file), b"").unwrap();
        ["images.toml", "a/.git", "a/b/x", "c/x", "home/xtask/images.toml", "home/images.toml", "home/c/x"]
            .into_iter()
            .for_each(add);
        assert_eq!(find(&at("a/b"), false), None, "above the work tree");
        assert_eq!(find(&at("c"), false), Some((at(""), Layout::Plain)), "without git");
        assert_eq!(find(&at("c"), true), None);
        assert_eq!(find(&at("home/c"), false), Some((at("home"), Layout::Xtask)), "both");
        add("a/images.toml");
        assert_eq!(find(&at("a/b"), false), Some((at("a"), Layout::Plain)), "at the top of the work tree");
    }
}
