//! The folder of a throwaway stack and the lock in it, whose holder owns the stack. A second lock over all folders is held
//! while one is created, removed or taken over, so that no run sees a half-made folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use host::files::{self, Lock};
use host::paths::Repository;

/// Owned by this process as long as this value lives.
#[derive(Debug)]
pub(super) struct StackFolder {
    path: PathBuf,
    gate: PathBuf,
    #[allow(dead_code, reason = "held for its lifetime")]
    lock: Lock,
}

impl StackFolder {
    pub(super) fn create(name: &str, repository: &Repository) -> Result<StackFolder> {
        let gate = repository.throwaway_lock();
        let _gate = Lock::wait(&gate)?;
        let path = repository.throwaway_stacks().join(name);
        files::create_dir(&path)?;
        let lock = Lock::take(&path.join("lock"))?;
        Ok(StackFolder { path, gate, lock })
    }

    /// Takes over the folders whose owners are gone.
    pub(super) fn abandoned(repository: &Repository) -> Result<Vec<StackFolder>> {
        let gate = repository.throwaway_lock();
        let _gate = Lock::wait(&gate)?;
        let Ok(entries) = fs::read_dir(repository.throwaway_stacks()) else { return Ok(Vec::new()) };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
        // A locked folder has a living owner.
        let take = |path: PathBuf| {
            Some(StackFolder { lock: Lock::take(&path.join("lock")).ok()?, gate: gate.clone(), path })
        };
        Ok(paths.filter_map(take).collect())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The stack's name.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Removes the folder. The stack must be gone.
    pub(super) fn remove(&self) -> Result<()> {
        let _gate = Lock::wait(&self.gate)?;
        files::remove_dir(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_never_taken_over() {
        let root = std::env::temp_dir().join(format!("xtask-folders-{}", std::process::id()));
        files::write_atomically(&root.join("xtask/images.toml"), b"").unwrap();
        let repository = Repository::locate(Some(&root)).unwrap();
        std::thread::scope(|scope| {
            for owner in 0..4 {
                let repository = &repository;
                scope.spawn(move || {
                    for count in 0..200 {
                        let stolen = StackFolder::abandoned(repository).unwrap();
                        assert!(stolen.is_empty(), "{:?}", stolen[0].path());
                        let mine = StackFolder::create(&format!("s-{owner}-{count}"), repository).unwrap();
                        files::write_atomically(&mine.path().join("override.yml"), b"").unwrap();
                        mine.remove().unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(repository.throwaway_stacks()).unwrap().count(), 0);
        let left = StackFolder::create("left", &repository).unwrap();
        assert!(StackFolder::abandoned(&repository).unwrap().is_empty());
        drop(left);
        let found = StackFolder::abandoned(&repository).unwrap();
        assert_eq!(found.iter().map(StackFolder::name).collect::<Vec<_>>(), ["left"]);
        fs::remove_dir_all(&root).unwrap();
    }
}
