//! Packed layers from registries by digest, in the state folder. Each is verified before it is kept. Processes share the folder: layers
//! appear atomically, and a removed layer stays readable to processes that have it open.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use host::files;

use crate::oci::{self, Descriptor};
use crate::stored_image::read_blob;

/// The maximum total size in bytes. The least recently used layers are removed first.
const MOST: u64 = 2_000_000_000;

/// A folder of layers.
#[derive(Debug, Clone)]
pub struct BlobCache {
    folder: PathBuf,
    most: u64,
}

impl BlobCache {
    /// The cache in this folder, which may not exist yet.
    pub fn new(folder: PathBuf) -> BlobCache {
        BlobCache { folder, most: MOST }
    }

    /// A layer in its stored form, positioned at its start. `fetch` opens it in the registry if it is not in the cache. `diff_id`: the
    /// digest of the unpacked layer.
    ///
    /// # Errors
    /// When it cannot be fetched, its size is not stated, a size or digest is wrong, or the folder cannot be written.
    pub(crate) fn layer(
        &self,
        layer: &Descriptor,
        diff_id: &str,
        fetch: &dyn Fn(&Descriptor) -> Result<Box<dyn Read>>,
    ) -> Result<File> {
        // A manifest could pair a layer with the wrong unpacked digest, so both digests are verified together.
        let path = self.folder.join(format!("{}.{}", oci::hex(&layer.digest)?, oci::hex(diff_id)?));
        let size = layer.size.context("the manifest does not state the layer's size")?;
        // A machine that lost power may leave a file without all of its content.
        let is_whole = |file: &File| file.metadata().is_ok_and(|about| about.len() == size);
        if let Some(file) = File::open(&path).ok().filter(is_whole) {
            // Only the order of removal depends on it.
            file.set_modified(SystemTime::now()).ok();
            return Ok(file);
        }
        self.fetch(layer, diff_id, fetch, (size <= self.most).then_some(&path))
    }

    /// Fetches a layer, and keeps it at a path.
    fn fetch(
        &self,
        layer: &Descriptor,
        diff_id: &str,
        fetch: &dyn Fn(&Descriptor) -> Result<Box<dyn Read>>,
        path: Option<&PathBuf>,
    ) -> Result<File> {
        files::create_dir(&self.folder)?;
        let partial =
            tempfile::NamedTempFile::new_in(&self.folder).context("cannot create a file for a layer")?;
        let open = |one: &Descriptor| -> Result<Box<dyn Read>> {
            let copy = partial.as_file().try_clone().context("cannot write a layer")?;
            Ok(Box::new(Copied { from: fetch(one)?, to: copy }))
        };
        let mut drain = |_: &str, tar: &mut dyn Read| {
            io::copy(tar, &mut io::sink())?;
            Ok(())
        };
        read_blob(diff_id, layer, &open, &mut drain)?;
        let file = File::open(partial.path()).context("cannot read a layer")?;
        let Some(path) = path else { return Ok(file) };
        // The name must not reach the disk before the content.
        partial.as_file().sync_all().context("cannot write a layer")?;
        // If another process has removed it, it is read but not kept.
        if partial.persist(path).is_ok() {
            self.shrink();
        }
        Ok(file)
    }

    /// Removes layers until the rest fit. Layers that cannot be removed stay.
    fn shrink(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let about = |entry: fs::DirEntry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((about.modified().ok()?, about.len(), entry.path()))
        };
        let mut all: Vec<_> = entries.filter_map(about).collect();
        all.sort();
        let mut total: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, path) in all {
            if total <= self.most {
                return;
            }
            fs::remove_file(path).ok();
            total -= bytes;
        }
    }
}

/// A reader that copies what it reads to a file.
struct Copied {
    from: Box<dyn Read>,
    to: File,
}

impl Read for Copied {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.to.write_all(&buffer[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob;
    use anyhow::bail;

    /// A layer with one file, packed: its descriptor, the digest of the unpacked layer, and its bytes.
    fn layer(content: &[u8]) -> (Descriptor, String, Vec<u8>) {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, "file", content).unwrap();
        let tar = tar.into_inner().unwrap();
        let packed = blob::tests::gzip(&tar);
        let size = Some(packed.len() as u64);
        let descriptor = Descriptor { digest: blob::sha256(&packed), size, ..Descriptor::default() };
        (descriptor, blob::sha256(&tar), packed)
    }

    fn read(mut file: File) -> Vec<u8> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_layer_is_fetched_once_and_verified() {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(folder.path().join("layers"));
        let (descriptor, diff_id, bytes) = layer(b"one");
        let copy = bytes.clone();
        let fetch =
            move |_: &Descriptor| -> Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(copy.clone()))) };
        assert_eq!(read(cache.layer(&descriptor, &diff_id, &fetch).unwrap()), bytes);
        let never = |_: &Descriptor| -> Result<Box<dyn Read>> { bail!("fetched again") };
        assert_eq!(read(cache.layer(&descriptor, &diff_id, &never).unwrap()), bytes);
        // The digest of a different unpacked layer is rejected.
        let (_, other, _) = layer(b"two");
        assert!(cache.layer(&descriptor, &other, &fetch).unwrap_err().to_string().contains("wrong digest"));
        let wrong =
            |_: &Descriptor| -> Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(layer(b"two").2))) };
        let (third, diff_id, _) = layer(b"six");
        assert!(cache.layer(&third, &diff_id, &wrong).is_err());
        assert_eq!(
            fs::read_dir(folder.path().join("layers")).unwrap().count(),
            1,
            "only the verified layer stays"
        );
    }

    #[test]
    fn a_damaged_layer_is_fetched_again_and_one_that_does_not_fit_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (descriptor, diff_id, bytes) = layer(b"one");
        let path = |entry: io::Result<fs::DirEntry>| entry.unwrap().path();
        let kept = || fs::read_dir(folder.path()).unwrap().map(path).collect::<Vec<_>>();
        let copy = bytes.clone();
        let fetch =
            move |_: &Descriptor| -> Result<Box<dyn Read>> { Ok(Box::new(io::Cursor::new(copy.clone()))) };
        let small = BlobCache { folder: folder.path().to_owned(), most: bytes.len() as u64 - 1 };
        assert_eq!(read(small.layer(&descriptor, &diff_id, &fetch).unwrap()), bytes);
        assert!(kept().is_empty());
        let cache = BlobCache { most: bytes.len() as u64, ..small };
        cache.layer(&descriptor, &diff_id, &fetch).unwrap();
        fs::write(&kept()[0], &bytes[..5]).unwrap();
        assert_eq!(read(cache.layer(&descriptor, &diff_id, &fetch).unwrap()), bytes);
        assert_eq!(fs::read(&kept()[0]).unwrap(), bytes);
    }

    #[test]
    fn no_more_than_the_stated_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(folder.path().to_owned());
        let (descriptor, diff_id, bytes) = layer(b"one");
        let fetch = |_: &Descriptor| -> Result<Box<dyn Read>> {
            Ok(Box::new(io::Cursor::new(bytes.clone()).chain(io::repeat(0))))
        };
        let error = |size| {
            let descriptor = Descriptor { size, ..descriptor.clone() };
            cache.layer(&descriptor, &diff_id, &fetch).unwrap_err().to_string()
        };
        // The first byte too many belongs to the packed stream, which it damages.
        assert!(error(descriptor.size).contains("unexpected end of file"), "{}", error(descriptor.size));
        assert!(error(None).contains("does not state the layer's size"), "{}", error(None));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_layers_not_used_for_longest_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let layers: Vec<_> = [b"one", b"two", b"six"].into_iter().map(|text| layer(text)).collect();
        let size = layers[0].2.len() as u64;
        let cache = BlobCache { folder: folder.path().to_owned(), most: size * 2 + size / 2 };
        for (at, (descriptor, diff_id, bytes)) in layers.iter().enumerate() {
            let bytes = bytes.clone();
            let fetch = move |_: &Descriptor| -> Result<Box<dyn Read>> {
                Ok(Box::new(io::Cursor::new(bytes.clone())))
            };
            let file = cache.layer(descriptor, diff_id, &fetch).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + at as u64);
            file.set_modified(time).unwrap();
        }
        // The third was added before its time was set, so it was the newest.
        let never = |_: &Descriptor| -> Result<Box<dyn Read>> { bail!("removed") };
        let is_there = |at: usize| cache.layer(&layers[at].0, &layers[at].1, &never).is_ok();
        assert_eq!([is_there(0), is_there(1), is_there(2)], [false, true, true]);
    }
}
