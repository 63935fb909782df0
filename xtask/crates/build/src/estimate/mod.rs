//! What changed lock files say about sizes before anything is built: packages that are added, removed or updated, and the sizes that
//! are known. A size is known if an image of this project has the same version, or if the lock file states it. Nothing is downloaded.

mod known_sizes;
mod render;
mod report;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Result;

use crate::changes::{self, commit};
use crate::estimate::known_sizes::KnownSizes;
use crate::lock_files::{self, LockFile, Locked, Package, Reader};
use contents::analysis::{analyze, cached_contents};
use contents::image::ImageToAnalyze;
use contents::record::Contents;
use engine::context::Context;
use host::failure::{FailureClass, class_of};
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};

pub use render::EstimateView;
pub use report::{DownloadSize, Estimate, InstalledSize, LockFileChange, PackageChange, PackageVersion};

/// The largest lock file that is read.
const MAX_BYTES: u64 = 50_000_000;

/// What to compare, and the images that sizes are taken from.
#[derive(Debug)]
pub struct EstimateRequest<'r> {
    /// The commit to compare with.
    pub since: &'r str,
    /// The tag of the images.
    pub tag: Tag,
    /// The edition of the images.
    pub edition: Edition,
}

/// Compares the lock files of the working tree with those of a commit.
///
/// # Errors
/// When the commit is unknown or cannot be unpacked, or an image is damaged. Without an engine, sizes are unknown.
pub fn since(request: &EstimateRequest<'_>, manifest: &Manifest, context: &Context) -> Result<Estimate> {
    let commit = commit::resolve("--changed-since", request.since, context)?;
    let root = context.repository.root();
    let changed = context.git().changed_since(&commit)?;
    let mut found = Vec::new();
    for file in changed {
        let Some(reader) = lock_files::reader(&file) else { continue };
        let services = changes::readers(&file, manifest, &context.repository);
        if !services.is_empty() && !has_better_source(&file, root) {
            found.push((file, services, reader));
        }
    }
    let mut estimate =
        Estimate { schema: 1, since: commit.clone(), tag: request.tag.to_string(), files: Vec::new() };
    if found.is_empty() {
        return Ok(estimate);
    }
    let before = context.git().unpack(&commit)?;
    let affected: BTreeSet<&str> =
        found.iter().flat_map(|(_, services, _)| services).map(String::as_str).collect();
    let sizes = known_sizes(&affected, request, manifest, context)?;
    let trees = [before.path(), root];
    let changes = found.into_iter().filter_map(|(file, services, reader)| {
        let packages = packages(&file, reader, trees, &sizes);
        changed_file(file, services, packages)
    });
    estimate.files.extend(changes);
    estimate.sort();
    Ok(estimate)
}

/// The lock files among `files` whose packages differ between two trees of a service, the older one first. Sizes are unknown.
pub fn between(files: &[String], service: &str, trees: [&Path; 2]) -> Vec<LockFileChange> {
    let change = |file: &String| {
        let reader = lock_files::reader(file).filter(|_| !has_better_source(file, trees[1]))?;
        let packages = packages(file, reader, trees, &KnownSizes::default());
        changed_file(file.clone(), vec![service.to_owned()], packages)
    };
    files.iter().filter_map(change).collect()
}

/// The changed packages of a lock file, or why it was not read.
fn packages(
    file: &str,
    reader: Option<Reader>,
    trees: [&Path; 2],
    sizes: &KnownSizes,
) -> Result<Vec<PackageChange>, String> {
    let reader = reader.ok_or_else(|| "this format is not supported".to_owned())?;
    compared(file, reader, trees).map(|[then, now]| changes_of(&then, &now, sizes))
}

/// `None` if nothing changed: most changes of a Dockerfile are about something else.
fn changed_file(
    file: String,
    services: Vec<String>,
    packages: Result<Vec<PackageChange>, String>,
) -> Option<LockFileChange> {
    let not_read = packages.as_ref().err().cloned();
    let packages = packages.unwrap_or_default();
    (not_read.is_some() || !packages.is_empty()).then_some(LockFileChange {
        file,
        services,
        not_read,
        packages,
    })
}

/// Whether another file is more exact: `go.sum` also keeps versions that were not selected.
fn has_better_source(file: &str, root: &Path) -> bool {
    file.strip_suffix("go.sum").is_some_and(|folder| root.join(folder).join("go.mod").is_file())
}

/// A lock file in two trees.
fn compared(file: &str, reader: Reader, trees: [&Path; 2]) -> Result<[LockFile; 2], String> {
    let [then, now] = trees.map(|tree| read(&tree.join(file), reader));
    Ok([then.map_err(|why| format!("before the change: {why}"))?, now?])
}

/// A file that does not exist has no packages.
fn read(path: &Path, reader: Reader) -> Result<LockFile, String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(LockFile::default()),
        Err(error) => return Err(error.to_string()),
        // A link could lead anywhere on this machine.
        Ok(about) if !about.is_file() => return Err("not a regular file".to_owned()),
        Ok(about) if about.len() > MAX_BYTES => return Err(format!("larger than {}", Bytes(MAX_BYTES))),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => "invalid UTF-8".to_owned(),
        _ => error.to_string(),
    })?;
    reader(text.trim_start_matches('\u{feff}')).map_err(|error| {
        match error.downcast_ref::<serde_json::Error>() {
            // Its own message could quote the file.
            Some(error) if error.is_data() => format!("unexpected value on line {}", error.line()),
            Some(error) => format!("invalid JSON on line {}", error.line()),
            None => error.to_string(),
        }
    })
}

/// The sizes in the images of the affected services, and in those of other services that were analyzed before.
fn known_sizes(
    affected: &BTreeSet<&str>,
    request: &EstimateRequest<'_>,
    manifest: &Manifest,
    context: &Context,
) -> Result<KnownSizes> {
    let reference = |service: &Service| service.shipped_reference(&request.tag, request.edition).to_string();
    let of_edition: Vec<&Service> = manifest.services_in(request.edition).collect();
    let (first, rest): (Vec<&Service>, Vec<&Service>) =
        of_edition.into_iter().partition(|service| affected.contains(service.name.as_str()));
    let references: Vec<String> = first.iter().chain(&rest).map(|service| reference(service)).collect();
    let images = match context.docker.inspect(&references) {
        Ok(images) => images,
        Err(error) if class_of(&error) == FailureClass::Interrupted => return Err(error),
        Err(error) => {
            context.terminal.warn(format!("sizes in images are unknown: {error:#}"));
            return Ok(KnownSizes::default());
        }
    };
    let found = |service: &&Service| {
        let reference = reference(service);
        images.get(&reference).map(|image| ImageToAnalyze { reference, image: image.clone() })
    };
    let to_analyze: Vec<ImageToAnalyze> = first.iter().filter_map(found).collect();
    let mut sizes = KnownSizes::default();
    analyze(&to_analyze, manifest, context)?.iter().for_each(|contents| sizes.add(contents));
    for image in rest.iter().filter_map(found) {
        if let Some(contents) = cached_contents(&image.image.id, &context.repository)? {
            sizes.add(&Contents { image: image.reference, ..contents });
        }
    }
    Ok(sizes)
}

/// The differences of two lock files. A removed and an added version of a package are an update.
fn changes_of(then: &LockFile, now: &LockFile, sizes: &KnownSizes) -> Vec<PackageChange> {
    let none = BTreeSet::new();
    let names: BTreeSet<&Package> = then.packages.keys().chain(now.packages.keys()).collect();
    let mut changes = Vec::new();
    for package in names {
        let (old, new) =
            (then.packages.get(package).unwrap_or(&none), now.packages.get(package).unwrap_or(&none));
        let mut gone = old.difference(new).map(|locked| version(package, locked, then, sizes));
        let mut came = new.difference(old).map(|locked| version(package, locked, now, sizes));
        loop {
            let (before, after) = (gone.next(), came.next());
            if before.is_none() && after.is_none() {
                break;
            }
            changes.push(PackageChange { kind: package.kind, name: package.name.clone(), before, after });
        }
    }
    changes
}

fn version(package: &Package, locked: &Locked, lock: &LockFile, sizes: &KnownSizes) -> PackageVersion {
    let Locked { version, is_exact, is_dev } = locked;
    let download = lock.downloads.get(&(package.clone(), version.clone()));
    PackageVersion {
        version: version.clone(),
        exact: *is_exact,
        development: *is_dev,
        published: None,
        installed: is_exact.then(|| sizes.of(package, version)).flatten(),
        download: download.map(|(smallest, largest)| DownloadSize { smallest: *smallest, largest: *largest }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contents::owner::OwnerKind;

    fn lock(text: &str) -> LockFile {
        let Some(Some(reader)) = lock_files::reader("requirements.txt") else { panic!("no reader") };
        reader(text).unwrap()
    }

    fn told(then: &str, now: &str, sizes: &[(&str, &str, u64)]) -> Vec<String> {
        let mut known = KnownSizes::default();
        for (name, version, bytes) in sizes {
            let package = Package { kind: OwnerKind::Python, name: (*name).to_owned() };
            known.note(package, version, Bytes(*bytes), "api:1");
        }
        let packages = changes_of(&lock(then), &lock(now), &known);
        let (file, services) = (String::new(), Vec::new());
        let file = LockFileChange { file, services, not_read: None, packages };
        let (since, tag) = (String::new(), String::new());
        let mut estimate = Estimate { schema: 1, since, tag, files: vec![file] };
        estimate.sort();
        let changes = estimate.files.remove(0).packages;
        let version = |version: &Option<PackageVersion>| {
            version.as_ref().map_or("–".to_owned(), |one| one.version.clone())
        };
        let line = |change: &PackageChange| {
            let (before, after) = (version(&change.before), version(&change.after));
            format!("{} {before} {after} {:?}", change.name, change.bytes())
        };
        changes.iter().map(line).collect()
    }

    #[test]
    fn added_packages_come_first_then_the_largest() {
        let sizes = [("a", "1", 5), ("a", "2", 3), ("b", "1", 9), ("z", "1", 7)];
        assert_eq!(
            told("a==1\nb==1\nsame==1\nc==1\n", "a==2\nz==1\nnew==4\nsame==1\nc==2\n", &sizes),
            ["z – 1 Some(7)", "new – 4 None", "b 1 – Some(-9)", "a 1 2 Some(-2)", "c 1 2 None"]
        );
        assert_eq!(told("a==1\n", "a==1\n", &sizes), Vec::<String>::new());
    }

    #[test]
    fn an_open_requirement_has_no_known_size() {
        assert_eq!(told("", "a>=1\n", &[("a", ">=1", 5)]), ["a – >=1 None"]);
    }

    #[test]
    fn what_cannot_be_read_is_explained_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("package-lock.json");
        let Some(Some(reader)) = lock_files::reader("package-lock.json") else { panic!("no reader") };
        assert_eq!(read(&at, reader), Ok(LockFile::default()));
        for (text, why) in [
            (&b"{\"lockfileVersion\": \"correct-horse\"}"[..], "unexpected value on line 1"),
            (b"{\n<<<<<<< correct-horse", "invalid JSON on line 2"),
            (b"{\"a\xff", "invalid UTF-8"),
            (b"{}", "no lockfileVersion"),
        ] {
            fs::write(&at, text).unwrap();
            assert_eq!(read(&at, reader), Err(why.to_owned()));
        }
        let file = fs::File::create(&at).unwrap();
        file.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(read(&at, reader), Err("larger than 50MB".to_owned()));
        fs::remove_file(&at).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &at).unwrap();
        assert_eq!(read(&at, reader), Err("not a regular file".to_owned()));
    }
}
