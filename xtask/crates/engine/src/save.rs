//! `docker save`: the archive of some images as a stream, and the room that it takes on the engine's disk. On the classic
//! store the engine first writes a full copy of every layer into its `tmp` folder (moby, `daemon/images/tarexport`); only
//! then comes the first byte.

use std::fmt;
use std::io::Read;
use std::path::Path;

use anyhow::Result;

use crate::docker::Docker;
use crate::facts::Store;
use crate::images::Image;
use crate::signs::classify;
use host::failure::FailureClass;
use model::bytes::Bytes;

/// The engine's disk cannot take the copy that `docker save` makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    /// What the copy takes: the images' own sizes, so that layers which they share are in it more than once.
    needs: Bytes,
    /// What is free, and in which folder, as far as that can be told from here.
    free: Option<(Bytes, String)>,
    /// The engine's words; none where it was not even asked.
    said: Option<String>,
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no space left on the engine's disk: `docker save` first writes a copy of the image there, about {}",
            self.needs
        )?;
        if let Some((free, folder)) = &self.free {
            write!(f, ", and {free} are free in {folder}")?;
        }
        if let Some(said) = &self.said {
            write!(f, "\n    {said}")?;
        }
        f.write_str(
            "\n  remedy: free some, then run again: `docker system df` says what holds it, `cargo xtask clean --cache-only` \
             removes this project's build cache and no image",
        )
    }
}

impl std::error::Error for NoRoom {}

impl Docker {
    /// Reads the archive of some images, which share layers in it.
    ///
    /// # Errors
    /// [`NoRoom`], when docker cannot be started, and what `read` returns.
    pub fn save<T>(&self, images: &[&Image], read: impl FnOnce(&mut dyn Read) -> Result<T>) -> Result<T> {
        let free = self.free_to_save();
        let largest = Bytes(images.iter().map(|image| image.size).max().unwrap_or_default());
        // Whoever fills a disk up to its last byte fails together with everybody else who writes to it.
        if free.as_ref().is_some_and(|(free, _)| *free < largest) {
            return Err(NoRoom { needs: largest, free, said: None }.into());
        }
        let mut reader = self.cmd(["save"]).args(images.iter().map(|image| &image.id)).reader()?;
        read(&mut reader).map_err(|error| match classify(&format!("{error:#}"), "") {
            FailureClass::Disk => {
                let said = format!("{error:#}").lines().last().map(|line| line.trim().to_owned());
                let needs = images.iter().map(|image| Bytes(image.size)).sum();
                // The engine has taken its unfinished copy away by now.
                NoRoom { needs, free: self.free_to_save(), said }.into()
            }
            _ => error,
        })
    }

    /// What is free where the engine writes such copies, and where that is; `None` where it cannot be told: the engine is on
    /// another machine, keeps its copies elsewhere (`DOCKER_TMPDIR`), or is on the containerd store, which makes none.
    fn free_to_save(&self) -> Option<(Bytes, String)> {
        let facts = self.facts().ok()?;
        let folder = format!("{}/tmp", facts.data_root.filter(|_| facts.store == Some(Store::Classic))?);
        let free = Path::new(&folder).is_dir().then(|| self.free_at(&folder).ok().flatten()).flatten()?;
        Some((free, folder))
    }

    /// Free bytes at a folder of this machine; `None` where `df` gives no number.
    ///
    /// # Errors
    /// When `df` cannot be run.
    pub fn free_at(&self, folder: &str) -> Result<Option<Bytes>> {
        let text = self.runner.cmd("df").args(["--output=avail", "--block-size=1", folder]).read()?;
        Ok(text.lines().last().and_then(|line| line.trim().parse().ok()).map(Bytes))
    }
}
