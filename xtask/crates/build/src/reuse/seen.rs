//! The inputs of fingerprints. If they change during a build, the fingerprint does not describe the image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context_files::{ContextFiles, FileDigests};
use crate::environment::BuildEnvironment;
use crate::fingerprint::{self, Fingerprint, StartImage};
use crate::plan::BuildPlan;
use engine::dockerignore::IgnoreFile;
use host::files;
use host::paths::Repository;

/// What rustup records of a toolchain: the hashes of its release's components, and which are installed. They stand for 50,000 files.
const TOOLCHAIN: [&str; 2] = ["lib/rustlib/multirust-channel-manifest.toml", "lib/rustlib/components"];

/// A context and the Dockerfile that may have an ignore file beside it.
type Place = (PathBuf, Option<PathBuf>);

/// The Dockerfiles, contexts and images that the builds of a plan start from, as they were at one time.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    dockerfiles: BTreeMap<String, Option<String>>,
    contexts: BTreeMap<Place, Option<Listed>>,
    starts: BTreeMap<String, StartImage>,
}

/// A context without an ignore file.
#[derive(Debug)]
pub(crate) struct WholeContext<'s> {
    pub folder: &'s Path,
    pub files: &'s ContextFiles,
}

/// A context. Two lists are equal if no file was written in between.
#[derive(Debug)]
enum Listed {
    Files(ContextFiles),
    /// Without an ignore file.
    Whole(ContextFiles),
    /// In the state folder, such as a bootstrapped root file system.
    Own(ContextFiles),
    Toolchain(String),
}

impl PartialEq for Listed {
    fn eq(&self, other: &Listed) -> bool {
        match (self, other) {
            (Listed::Files(one), Listed::Files(other)) | (Listed::Whole(one), Listed::Whole(other)) => {
                one == other
            }
            // This run holds the checkout's lock, so only it writes there. A new hard link changes a file's ctime but not its content.
            (Listed::Own(_), Listed::Own(_)) => true,
            (Listed::Toolchain(one), Listed::Toolchain(other)) => one == other,
            _ => false,
        }
    }
}

impl Seen {
    /// Lists the contexts of a plan. Images with an unreadable context get no fingerprint. `starts`: see [`fingerprint::images`].
    pub fn look(
        plan: &BuildPlan,
        starts: BTreeMap<String, StartImage>,
        environment: &BuildEnvironment,
        repository: &Repository,
    ) -> Seen {
        let (mut dockerfiles, mut contexts) = (BTreeMap::new(), BTreeMap::new());
        for (name, target) in &plan.definition.target {
            dockerfiles.insert(name.clone(), fingerprint::text(target).ok());
            for (folder, dockerfile) in fingerprint::folders(target) {
                let place = (folder.to_owned(), dockerfile);
                contexts.entry(place).or_insert_with_key(|(folder, dockerfile)| {
                    list(folder, dockerfile.as_deref(), environment, repository).ok()
                });
            }
        }
        Seen { dockerfiles, contexts, starts }
    }

    /// The contexts without an ignore file that a plan's requested targets need, each once.
    pub fn whole_contexts(&self, plan: &BuildPlan) -> Vec<WholeContext<'_>> {
        let needed = plan.with_dependencies(plan.requested());
        let targets = needed.iter().filter_map(|name| plan.definition.target.get(name));
        let places: BTreeSet<Place> = targets
            .flat_map(fingerprint::folders)
            .map(|(folder, dockerfile)| (folder.to_owned(), dockerfile))
            .collect();
        let mut found: BTreeMap<&Path, &ContextFiles> = BTreeMap::new();
        for (place, listed) in self.contexts.iter().filter(|(place, _)| places.contains(*place)) {
            if let Some(Listed::Whole(files)) = listed {
                found.insert(&place.0, files);
            }
        }
        found.into_iter().map(|(folder, files)| WholeContext { folder, files }).collect()
    }

    /// The fingerprints of a plan's images. Reads only files that have changed since an earlier run.
    ///
    /// # Errors
    /// When the cache of digests cannot be written.
    pub fn fingerprints(
        &self,
        plan: &BuildPlan,
        uses_engine: bool,
        digests: &mut FileDigests,
    ) -> Result<BTreeMap<String, Fingerprint>> {
        let mut done: BTreeMap<Place, String> = BTreeMap::new();
        let prints = fingerprint::of_plan(plan, &self.starts, uses_engine, &mut |folder: &Path,
                                                                                 dockerfile: Option<
            &Path,
        >| {
            let place = (folder.to_owned(), dockerfile.map(Path::to_owned));
            if let Some(hash) = done.get(&place) {
                return Ok(hash.clone());
            }
            let listed = self.contexts.get(&place).and_then(Option::as_ref).context("not listed")?;
            let hash = match listed {
                Listed::Files(files) | Listed::Whole(files) | Listed::Own(files) => files.hash(digests)?.hash,
                Listed::Toolchain(text) => text.clone(),
            };
            done.insert(place, hash.clone());
            Ok(hash)
        });
        digests.save()?;
        Ok(prints)
    }
}

fn list(
    folder: &Path,
    dockerfile: Option<&Path>,
    environment: &BuildEnvironment,
    repository: &Repository,
) -> Result<Listed> {
    if environment.host_contexts.values().any(|host| Path::new(host) == folder)
        && let [Some(release), Some(installed)] = TOOLCHAIN.map(|name| files::read(&folder.join(name)).ok())
    {
        return Ok(Listed::Toolchain(release + &installed));
    }
    let mut ignore = IgnoreFile::of(folder, dockerfile)?;
    let is_whole = ignore.is_empty();
    // This program's own files change with every run.
    if let Some(own) = repository.state_folder().strip_prefix(folder).ok().and_then(Path::to_str) {
        ignore = ignore.ignoring(own)?;
    }
    let files = ContextFiles::filtered(folder, &ignore)?;
    Ok(match folder.starts_with(repository.state_folder()) {
        true => Listed::Own(files),
        false if is_whole => Listed::Whole(files),
        false => Listed::Files(files),
    })
}
