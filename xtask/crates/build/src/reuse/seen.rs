//! The inputs of fingerprints. If they change during a build, the fingerprint does not describe the image.

use std::collections::BTreeMap;
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

/// A context. Two lists are equal if no file was written in between.
#[derive(Debug)]
enum Listed {
    Files(ContextFiles),
    /// In the state folder, such as a bootstrapped root file system.
    Own(ContextFiles),
    Toolchain(String),
}

impl PartialEq for Listed {
    fn eq(&self, other: &Listed) -> bool {
        match (self, other) {
            (Listed::Files(one), Listed::Files(other)) => one == other,
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

    /// The fingerprints of a plan's images. Reads only files that have changed since an earlier run.
    ///
    /// # Errors
    /// When the cache of digests cannot be written.
    pub fn fingerprints(
        &self,
        plan: &BuildPlan,
        digests: &mut FileDigests,
    ) -> Result<BTreeMap<String, Fingerprint>> {
        let mut done: BTreeMap<Place, String> = BTreeMap::new();
        let prints =
            fingerprint::of_plan(plan, &self.starts, &mut |folder: &Path, dockerfile: Option<&Path>| {
                let place = (folder.to_owned(), dockerfile.map(Path::to_owned));
                if let Some(hash) = done.get(&place) {
                    return Ok(hash.clone());
                }
                let listed = self.contexts.get(&place).and_then(Option::as_ref).context("not listed")?;
                let hash = match listed {
                    Listed::Files(files) | Listed::Own(files) => files.hash(digests)?.hash,
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
    // This program's own files change with every run.
    if let Some(own) = repository.state_folder().strip_prefix(folder).ok().and_then(Path::to_str) {
        ignore = ignore.ignoring(own)?;
    }
    let files = ContextFiles::filtered(folder, &ignore)?;
    Ok(match folder.starts_with(repository.state_folder()) {
        true => Listed::Own(files),
        false => Listed::Files(files),
    })
}
