//! Copies of files and folders on the engine's host. Docker itself reads and writes them, through containers that are never
//! started: that keeps owners and modes, and works with an engine on another machine.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tar::EntryType;

use crate::docker::Docker;
use crate::empty_image;
use crate::signs::{failed, unexpected_error};

/// The name of what is copied, in an archive and in a volume that holds a file.
pub const COPY: &str = "data";

/// Where the container has the path, and where it has the volume.
const SOURCE: &str = "/source";
const TARGET: &str = "/target";

/// How much may be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyLimit {
    /// Bytes, including headers of 512 bytes or more for each file.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

/// What was found at a path of the engine's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPath {
    /// Nothing.
    Missing,
    /// A folder, which was copied without the sockets in it.
    Folder,
    /// A file, which was copied.
    File,
    /// A socket.
    Socket,
    /// A pipe.
    Pipe,
    /// A device, or a folder with a device in it.
    Device,
    /// More than the limit allows.
    TooLarge,
}

impl Docker {
    /// Copies a path of the engine's host into an archive on this machine. The container that reads it gets these labels; it is
    /// removed again, unless this process is killed. What is copied is subtracted from `limit`.
    ///
    /// # Errors
    /// When docker fails or the archive cannot be written.
    pub fn pack_host_path(
        &self,
        path: &str,
        labels: &[(String, String)],
        limit: &mut CopyLimit,
        archive: &Path,
    ) -> Result<HostPath> {
        let source = format!("source={path}").replace('"', "\"\"");
        let mount = format!("type=bind,\"{source}\",target={SOURCE}/{COPY},readonly");
        let Some(container) = self.create_idle(&mount, labels)? else { return Ok(HostPath::Missing) };
        let packed = self.pack(&format!("{container}:{SOURCE}/{COPY}"), limit, archive);
        self.remove_containers(&[container])?;
        packed
    }

    fn pack(&self, path: &str, limit: &mut CopyLimit, archive: &Path) -> Result<HostPath> {
        let open = File::options().write(true).create(true).truncate(true).mode(0o600).open(archive);
        let file = open.with_context(|| format!("cannot write {}", archive.display()))?;
        let stream = self.cmd(["cp", path, "-"]).reader()?;
        pack(stream, limit, file)
    }

    /// Creates a volume with these labels.
    ///
    /// # Errors
    /// When docker fails.
    pub fn create_volume(&self, name: &str, labels: &[(String, String)]) -> Result<()> {
        self.cmd(["volume", "create"]).args(options(labels)).arg(name).read()?;
        Ok(())
    }

    /// Unpacks an archive of [`Docker::pack_host_path`] into an empty volume: the content of a folder, with the folder's own
    /// owner and mode, or a file named [`COPY`].
    ///
    /// # Errors
    /// When docker fails.
    pub fn unpack_into_volume(
        &self,
        archive: &Path,
        is_folder: bool,
        volume: &str,
        labels: &[(String, String)],
    ) -> Result<()> {
        let target = if is_folder { format!("{TARGET}/{COPY}") } else { TARGET.to_owned() };
        let mount = format!("type=volume,source={volume},target={target},volume-nocopy");
        let container = self.create_idle(&mount, labels)?.context("the volume is gone")?;
        let cp = self.cmd(["cp", "-", &format!("{container}:{TARGET}")]).stdin_file(archive).long();
        let copied = cp.read();
        self.remove_containers(&[container])?;
        copied?;
        Ok(())
    }

    /// The ID of a new container with a mount, which is not started; `None` if the mount's source does not exist.
    fn create_idle(&self, mount: &str, labels: &[(String, String)]) -> Result<Option<String>> {
        // Docker requires a command even though the container never starts.
        let create = self.cmd(["create", "--pull=never", "--network=none"]).args(options(labels));
        let create = create.args(["--mount", mount, empty_image::NAME, "copy"]);
        let output = self.with_empty_image(|| create.capture())?;
        if output.success() {
            return Ok(Some(output.stdout.trim().to_owned()));
        }
        if output.stderr.contains("source path does not exist") {
            return Ok(None);
        }
        let line = unexpected_error(&output).unwrap_or("docker printed no error");
        bail!(failed("docker cannot create a container", line))
    }
}

fn options(labels: &[(String, String)]) -> impl Iterator<Item = String> {
    labels.iter().map(|(name, value)| format!("--label={name}={value}"))
}

/// Copies a tar to a file, up to the limit.
fn pack(stream: impl Read, limit: &mut CopyLimit, to: impl Write) -> Result<HostPath> {
    let mut tee = Tee { inner: stream, to, left: limit.bytes, is_full: false };
    let found = scan(&mut tee, limit.bytes, &mut limit.entries);
    if tee.is_full {
        return Ok(HostPath::TooLarge);
    }
    limit.bytes = tee.left;
    found
}

fn scan(tee: &mut impl Read, mut bytes: u64, entries: &mut u64) -> Result<HostPath> {
    let mut found = None;
    let mut archive = tar::Archive::new(&mut *tee);
    for entry in archive.entries()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::Char | EntryType::Block) {
            return Ok(HostPath::Device);
        }
        if found.is_none() {
            found = Some(match kind {
                EntryType::Directory => HostPath::Folder,
                EntryType::Fifo => return Ok(HostPath::Pipe),
                _ if entry.path_bytes().as_ref() == COPY.as_bytes() => HostPath::File,
                _ => bail!("unexpected output of `docker cp`"),
            });
        }
        // Before the content of a large file is read.
        let left = (bytes.checked_sub(entry.size()), entries.checked_sub(1));
        let (Some(bytes_left), Some(entries_left)) = left else { return Ok(HostPath::TooLarge) };
        (bytes, *entries) = (bytes_left, entries_left);
    }
    // The padding at the end, and the exit code.
    io::copy(tee, &mut io::sink())?;
    // Docker leaves sockets out.
    Ok(found.unwrap_or(HostPath::Socket))
}

/// A stream that is written to a file as it is read.
struct Tee<R, W> {
    inner: R,
    to: W,
    /// Bytes that may still be read.
    left: u64,
    is_full: bool,
}

impl<R: Read, W: Write> Read for Tee<R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_full = true;
                return Err(io::Error::other("too large"));
            }
        }
        self.to.write_all(&buffer[..count])?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tar of entries without content, as `docker cp` prints it.
    fn archive(entries: &[(&str, EntryType)]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(0);
            archive.append_data(&mut header, path, io::empty()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn packed(entries: &[(&str, EntryType)], limit: CopyLimit) -> (HostPath, CopyLimit) {
        let (tar, mut left, mut copy) = (archive(entries), limit, Vec::new());
        let found = pack(tar.as_slice(), &mut left, &mut copy).unwrap();
        if matches!(found, HostPath::Folder | HostPath::File) {
            assert_eq!(copy, tar);
        }
        (found, left)
    }

    #[test]
    fn what_is_at_a_path_shows_in_its_archive() {
        use EntryType::{Char, Directory, Fifo, Regular, Symlink};
        let limit = CopyLimit { bytes: 100_000, entries: 10 };
        for (entries, expected) in [
            (&[("data", Directory), ("data/a", Regular), ("data/pipe", Fifo)][..], HostPath::Folder),
            (&[("data", Regular)], HostPath::File),
            (&[("data", Fifo)], HostPath::Pipe),
            (&[("data", Char)], HostPath::Device),
            (&[("data", Directory), ("data/null", Char)], HostPath::Device),
            (&[], HostPath::Socket),
        ] {
            assert_eq!(packed(entries, limit).0, expected, "{entries:?}");
        }
        let foreign = archive(&[("other", Symlink)]);
        assert!(pack(foreign.as_slice(), &mut limit.clone(), io::sink()).is_err());
    }

    #[test]
    fn a_copy_ends_at_its_limit() {
        let entries = [("data", EntryType::Directory), ("data/a", EntryType::Regular)];
        let size = archive(&entries).len() as u64;
        let limit = CopyLimit { bytes: size, entries: 2 };
        assert_eq!(packed(&entries, limit), (HostPath::Folder, CopyLimit { bytes: 0, entries: 0 }));
        for limit in [CopyLimit { bytes: size - 1, ..limit }, CopyLimit { entries: 1, ..limit }] {
            assert_eq!(packed(&entries, limit).0, HostPath::TooLarge);
        }
    }
}
