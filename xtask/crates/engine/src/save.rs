//! `docker save`: the archive of images as a stream, and the disk space that it needs. On the classic store the engine first
//! copies every layer into its `tmp` folder (moby, `daemon/images/tarexport`). If the engine is on this machine, the archive is read
//! straight from its socket, without a process and a pipe in between.

use host::program::PROGRAM;
use std::io::Read;
use std::path::Path;

use anyhow::Result;

use crate::docker::Docker;
use crate::facts::Store;
use crate::images::Image;
use crate::read_ahead::read_ahead;
use crate::signs::Cause;
use host::failure::{Failure, FailureClass};
use model::bytes::Bytes;

impl Docker {
    /// Reads the archive of images; shared layers are in it once.
    ///
    /// # Errors
    /// [`Failure`] of class Disk; when docker cannot be started; errors of `read`.
    pub fn save<T: Send>(
        &self,
        images: &[&Image],
        read: impl FnOnce(&mut dyn Read) -> Result<T> + Send,
    ) -> Result<T> {
        if let Some(registry) = &self.registry {
            return registry.save(images, read);
        }
        let free = self.free_to_save(images);
        let largest = Bytes(images.iter().map(|image| image.size).max().unwrap_or_default());
        // A full disk would also break everything else that writes to it.
        if free.as_ref().is_some_and(|(free, _)| *free < largest) {
            return Err(no_room(largest, free, None).into());
        }
        let read = match self.archive(images) {
            Some(archive) => read_ahead(archive, read),
            None => {
                self.runner.interrupt.check()?;
                read_ahead(self.cmd(["save"]).args(images.iter().map(|image| &image.id)).reader()?, read)
            }
        };
        read.map_err(|error| match Cause::of_step(&format!("{error:#}"), "") {
            Cause::Disk => {
                let message = format!("{error:#}").lines().last().map(|line| line.trim().to_owned());
                let needs = images.iter().map(|image| Bytes(image.size)).sum();
                // The engine has removed its unfinished copy by now.
                no_room(needs, self.free_to_save(images), message).into()
            }
            _ => error,
        })
    }

    /// The archive from the engine's socket; `None` if the engine is elsewhere or refuses. The docker command then explains why.
    fn archive(&self, images: &[&Image]) -> Option<impl Read + Send + use<>> {
        let names: Vec<String> = images.iter().map(|image| format!("names={}", image.id)).collect();
        let path = format!("/images/get?{}", names.join("&"));
        self.socket().ok()?.get(&path, &self.runner.interrupt).ok()
    }

    /// Free bytes in the engine's folder for these copies, and the folder. `None` when it is unknown: the engine is on another
    /// machine or uses `DOCKER_TMPDIR`; or on the containerd store, which makes no copies.
    fn free_to_save(&self, images: &[&Image]) -> Option<(Bytes, String)> {
        // `docker info` takes longer than the rest of the preparation together.
        let known = images.iter().find_map(|image| Some(image.engine_folder()?.display().to_string()));
        let root = known.or_else(|| {
            let facts = self.facts().ok()?;
            facts.data_root.filter(|_| facts.store == Some(Store::Classic))
        });
        let folder = format!("{}/tmp", root?);
        let free = Path::new(&folder).is_dir().then(|| self.free_at(&folder).ok().flatten()).flatten()?;
        Some((free, folder))
    }

    /// Free bytes in a folder; `None` where `df` prints no number.
    ///
    /// # Errors
    /// When `df` cannot be run.
    pub fn free_at(&self, folder: &str) -> Result<Option<Bytes>> {
        let text = self.runner.cmd("df").args(["--output=avail", "--block-size=1", folder]).read()?;
        Ok(text.lines().last().and_then(|line| line.trim().parse().ok()).map(Bytes))
    }
}

/// Too little space for the copy that `docker save` makes. `needs`: the sum of the images' sizes, shared layers counted each time.
/// `free`: bytes and folder, where known. `error`: the engine's message, if any.
fn no_room(needs: Bytes, free: Option<(Bytes, String)>, error: Option<String>) -> Failure {
    let mut what = format!(
        "no space left on the engine's disk: `docker save` first writes a copy of the image there, about {needs}"
    );
    if let Some((free, folder)) = free {
        what.push_str(&format!(", and {folder} has {free} free"));
    }
    if let Some(error) = error {
        what.push_str(&format!("\n    {error}"));
    }
    let remedy = format!(
        "free disk space, then run again: `docker system df` shows what uses it, `{PROGRAM} clean --cache-only` prunes \
         the builder's whole build cache"
    );
    Failure::new(FailureClass::Disk, what, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_folder_is_that_of_its_layers() {
        let folder = |driver: &str| {
            let image: Image = serde_json::from_str(&format!("{{\"GraphDriver\": {driver}}}")).unwrap();
            image.engine_folder().map(|folder| folder.display().to_string())
        };
        let overlay = r#"{"Name": "overlay2", "Data": {"UpperDir": "/data/docker/overlay2/0a1b/diff"}}"#;
        assert_eq!(folder(overlay).as_deref(), Some("/data/docker"));
        for other in [
            r#"{"Name": "overlayfs", "Data": null}"#,
            r#"{"Name": "btrfs", "Data": {}}"#,
            r#"{"Data": {"UpperDir": "/data/other/0a1b/diff"}}"#,
            r#"{"Data": {"UpperDir": "diff"}}"#,
        ] {
            assert_eq!(folder(other), None, "{other}");
        }
    }
}
