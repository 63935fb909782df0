//! Writes a tree, replacing whole folders by renaming. Files that this program did not write, or that were modified since, are never
//! replaced.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::kubernetes::tree::{Tree, TreeFile, TreeFiles};
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;

/// Prefix of the first line of every marked file.
const MARK: &str = "# Written by ";
/// Precedes the hash of the remaining lines of a marked file.
const HASH: &str = " deploy --kubernetes, sha256 ";
/// Lists the unmarked files in its folder, one `HASH NAME` per line. A weak secret can be guessed from its hash, so the list has the same
/// mode as the secrets, and git ignores it with them.
const LIST: &str = ".written";

/// Writes the base and one overlay below `output`, and returns the overlay's folder. Replaces both folders or neither.
///
/// # Errors
/// A file there was not written by this program or was modified since, or writing fails.
pub fn write(tree: &Tree, output: &Path, overlay: &str) -> Result<PathBuf> {
    let folders = [(output.join("base"), &tree.base), (output.join("overlays").join(overlay), &tree.overlay)];
    let foreign: Vec<PathBuf> =
        folders.iter().map(|(folder, _)| foreign_files(folder)).collect::<Result<Vec<_>>>()?.concat();
    if !foreign.is_empty() {
        let names: Vec<String> = foreign.iter().map(|path| path.display().to_string()).collect();
        let what = format!(
            "files not written by {PROGRAM}, or modified since; nothing was written: {}",
            names.join(", ")
        );
        let remedy =
            format!("move them to a separate overlay (resources: [../{overlay}]), or use --output DIR");
        return Err(Failure::new(FailureClass::Failed, what, remedy).into());
    }
    let failed = |path: &Path| format!("cannot write {}", path.display());
    fs::create_dir_all(output.join("overlays")).with_context(|| failed(output))?;
    // On the same file system, so that folders can be renamed.
    let staging =
        tempfile::Builder::new().prefix(".new-").tempdir_in(output).with_context(|| failed(output))?;
    let mut replaced: Vec<(&Path, PathBuf)> = Vec::new();
    for (index, (folder, files)) in folders.iter().enumerate() {
        let new = staging.path().join(format!("new-{index}"));
        write_files(files, &new)?;
        replaced.push((folder, new));
    }
    swap(&replaced, staging.path())?;
    Ok(folders[1].0.clone())
}

/// Moves every new folder into place. On failure, restores the old folders.
fn swap(replaced: &[(&Path, PathBuf)], staging: &Path) -> Result<()> {
    let mut done: Vec<(&Path, Option<PathBuf>)> = Vec::new();
    for (index, (folder, new)) in replaced.iter().enumerate() {
        let old = folder.exists().then(|| staging.join(format!("old-{index}")));
        let moved = old.as_ref().map_or(Ok(()), |old| fs::rename(folder, old));
        if let Err(error) = moved.and_then(|()| fs::rename(new, folder)) {
            if let Some(old) = old.filter(|old| old.exists()) {
                fs::rename(old, folder).ok();
            }
            for (folder, old) in done {
                fs::remove_dir_all(folder).ok();
                if let Some(old) = old {
                    fs::rename(old, folder).ok();
                }
            }
            return Err(error).with_context(|| format!("cannot replace {}", folder.display()));
        }
        done.push((folder, old));
    }
    Ok(())
}

fn write_files(files: &TreeFiles, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot write {}", folder.display()))?;
    for (name, file) in files.iter().chain(&lists(files)) {
        let path = folder.join(name);
        write_file(&path, file).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// A [`LIST`] for each folder with unmarked files.
fn lists(files: &TreeFiles) -> TreeFiles {
    let mut found: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (path, file) in files.iter().filter(|(_, file)| !file.is_marked) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let line = format!("{} {name}\n", hash(&file.content));
        *found.entry(path.with_file_name(LIST)).or_default() += &line;
    }
    let file = |lines: String| TreeFile { content: lines.into_bytes(), is_private: true, is_marked: true };
    found.into_iter().map(|(path, lines)| (path, file(lines))).collect()
}

fn write_file(path: &Path, file: &TreeFile) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if file.is_private { 0o600 } else { 0o644 };
    let mut out = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if file.is_marked {
        writeln!(out, "{MARK}{PROGRAM}{HASH}{}", hash(&file.content))?;
    }
    out.write_all(&file.content)
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Files in a folder that this program did not write, or that were modified since.
fn foreign_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
        };
        let listed = listed(&folder.join(LIST));
        for entry in entries {
            let path = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else if !(is_own(&path) || is_listed(&path, &listed)) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_own(path: &Path) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    let line = String::from_utf8_lossy(&bytes[..end]);
    let recorded = line.strip_prefix(MARK).and_then(|line| line.split_once(HASH)).map(|(_, hash)| hash);
    recorded == Some(hash(bytes.get(end + 1..).unwrap_or_default()).as_str())
}

/// The lines of a [`LIST`]; empty if this program did not write it.
fn listed(path: &Path) -> Vec<String> {
    match fs::read_to_string(path) {
        Ok(text) if is_own(path) => text.lines().skip(1).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn is_listed(path: &Path, listed: &[String]) -> bool {
    let Ok(bytes) = fs::read(path) else { return false };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    listed.contains(&format!("{} {name}", hash(&bytes)))
}
