//! Which upstream images Dockerfiles start from, directly or through the project's own bases.

use std::collections::BTreeSet;

use host::files;
use host::paths::Repository;
use model::dockerfile;
use model::manifest::{Build, Manifest, Upstream};

/// The declared upstream images that these builds need.
pub fn of_builds<'m>(
    manifest: &'m Manifest,
    builds: &[&Build],
    repository: &Repository,
) -> Vec<&'m Upstream> {
    let inline = builds.iter().filter_map(|build| build.inline.as_deref());
    let found = inline.flat_map(dockerfile::references).collect();
    let files: Vec<&str> = builds.iter().filter_map(|build| build.file()).collect();
    needed(manifest, &files, found, repository)
}

/// The declared upstream images that these Dockerfiles need.
pub fn of_dockerfiles<'m>(
    manifest: &'m Manifest,
    dockerfiles: &[&str],
    repository: &Repository,
) -> Vec<&'m Upstream> {
    needed(manifest, dockerfiles, BTreeSet::new(), repository)
}

fn needed<'m>(
    manifest: &'m Manifest,
    dockerfiles: &[&str],
    mut found: BTreeSet<String>,
    repository: &Repository,
) -> Vec<&'m Upstream> {
    let base = |reference: &String| manifest.bases.iter().find(|base| base.reference == *reference);
    let bases = found.iter().filter_map(base).map(|base| base.dockerfile.as_str());
    let mut queue: Vec<&str> = dockerfiles.iter().copied().chain(bases).collect();
    while let Some(path) = queue.pop() {
        for reference in references(repository, path) {
            if !found.contains(&reference) {
                queue.extend(base(&reference).map(|base| base.dockerfile.as_str()));
                found.insert(reference);
            }
        }
    }
    manifest.upstreams.iter().filter(|upstream| found.contains(&upstream.reference)).collect()
}

/// The images that a Dockerfile names; empty if the file cannot be read.
pub fn references(repository: &Repository, path: &str) -> BTreeSet<String> {
    // The manifest has been validated: if a file is gone since then, bake fails with its name.
    let text = repository.file(path).and_then(|file| files::read(&file).ok());
    text.map(|text| dockerfile::references(&text)).unwrap_or_default()
}
