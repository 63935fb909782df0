//! Which upstream images Dockerfiles start from, directly or through the project's own bases.

use std::collections::BTreeSet;

use host::files;
use host::paths::Repository;
use model::dockerfile;
use model::manifest::{Manifest, Upstream};

/// The upstream images that these Dockerfiles need.
pub fn of_dockerfiles<'m>(
    manifest: &'m Manifest,
    dockerfiles: &[&str],
    repository: &Repository,
) -> Vec<&'m Upstream> {
    let mut queue: Vec<&str> = dockerfiles.to_vec();
    let mut found = BTreeSet::new();
    while let Some(path) = queue.pop() {
        for reference in references(repository, path) {
            if !found.contains(&reference) {
                let own = manifest.bases.iter().filter(|base| base.reference == reference);
                queue.extend(own.map(|base| base.dockerfile.as_str()));
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
