//! A folder outside the checkout that goes with its value.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

/// An empty folder below the system's own for temporary files.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Makes one that nobody else has; the purpose stands in its name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(purpose: &str) -> Result<Temporary> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir().join(format!("xtask-{purpose}-{}-{count}", std::process::id()));
            match std::fs::create_dir(&path) {
                // What stands there is another's: of a process of this number that was killed, or a link to somewhere.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    return made
                        .map(|()| Temporary(path.clone()))
                        .with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What is left is in a folder that the system itself empties.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_its_own_and_goes_with_its_value() {
        let (one, other) = (Temporary::new("test").unwrap(), Temporary::new("test").unwrap());
        assert_ne!(one.path(), other.path());
        std::fs::write(one.path().join("file"), "").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().is_dir());
    }
}
