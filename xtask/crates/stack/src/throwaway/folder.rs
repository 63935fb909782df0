//! The folder of a throwaway stack, and the lock in it: who holds that owns the stack. A folder comes, goes and is taken over
//! only while one more lock is held, over all of them, so that nobody sees one that is half made or half gone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use host::files;
use host::files::Lock;
use host::paths::Repository;

/// A folder that this process owns, for as long as this value lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    gate: PathBuf,
    #[allow(dead_code, reason = "held for its lifetime")]
    lock: Lock,
}

impl Folder {
    /// Makes the folder of a stack.
    pub(super) fn make(name: &str, repository: &Repository) -> Result<Folder> {
        let gate = repository.trials_lock();
        let _gate = Lock::wait(&gate)?;
        let path = repository.trials().join(name);
        files::create_dir(&path)?;
        let lock = Lock::take(&path.join("lock"))?;
        Ok(Folder { path, gate, lock })
    }

    /// Takes over every folder whose owner is gone.
    pub(super) fn abandoned(repository: &Repository) -> Result<Vec<Folder>> {
        let gate = repository.trials_lock();
        let _gate = Lock::wait(&gate)?;
        let Ok(entries) = fs::read_dir(repository.trials()) else { return Ok(Vec::new()) };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir());
        // One that is held has an owner that is alive.
        let take = |path: PathBuf| {
            Some(Folder { lock: Lock::take(&path.join("lock")).ok()?, gate: gate.clone(), path })
        };
        Ok(paths.filter_map(take).collect())
    }

    /// Its place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The stack's name.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Removes it; the stack must be gone.
    pub(super) fn remove(&self) -> Result<()> {
        let _gate = Lock::wait(&self.gate)?;
        files::remove_dir(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_that_come_and_go_are_never_taken_from_their_owners() {
        let root = std::env::temp_dir().join(format!("xtask-folders-{}", std::process::id()));
        files::write_atomically(&root.join("xtask/images.toml"), b"").unwrap();
        let repository = Repository::locate(Some(&root)).unwrap();
        std::thread::scope(|scope| {
            for owner in 0..4 {
                let repository = &repository;
                scope.spawn(move || {
                    for count in 0..200 {
                        // Whoever looks on while a folder is made or removed takes it over, or makes it anew.
                        let stolen = Folder::abandoned(repository).unwrap();
                        assert!(stolen.is_empty(), "{:?}", stolen[0].path());
                        let mine = Folder::make(&format!("s-{owner}-{count}"), repository).unwrap();
                        files::write_atomically(&mine.path().join("override.yml"), b"").unwrap();
                        mine.remove().unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(repository.trials()).unwrap().count(), 0);
        let left = Folder::make("left", &repository).unwrap();
        assert!(Folder::abandoned(&repository).unwrap().is_empty());
        drop(left);
        let found = Folder::abandoned(&repository).unwrap();
        assert_eq!(found.iter().map(Folder::name).collect::<Vec<_>>(), ["left"]);
        fs::remove_dir_all(&root).unwrap();
    }
}
