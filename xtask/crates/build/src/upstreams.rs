//! Which upstream images Dockerfiles start from, directly or through the project's own bases, and for which platforms.

use std::collections::BTreeSet;

use crate::request::BuildRequest;
use host::files;
use host::paths::Repository;
use model::dockerfile::{self, References};
use model::manifest::{Manifest, Upstream};
use model::platform::Platform;

/// The declared upstream images that a build needs.
#[derive(Debug)]
pub struct NeededUpstreams<'m> {
    /// The images.
    pub images: Vec<&'m Upstream>,
    /// The platforms for which each is needed; `None` is the engine's own.
    pub platforms: Vec<Option<Platform>>,
}

impl<'m> NeededUpstreams<'m> {
    /// These images for the engine's own platform.
    pub fn here(images: Vec<&'m Upstream>) -> NeededUpstreams<'m> {
        NeededUpstreams { images, platforms: vec![None] }
    }
}

/// The upstream images of a request.
pub fn of_request<'m>(
    manifest: &'m Manifest,
    request: &BuildRequest<'_>,
    repository: &Repository,
) -> NeededUpstreams<'m> {
    let builds = request.builds();
    let inline = builds.iter().filter_map(|build| build.inline.clone());
    let files = builds.iter().filter_map(|build| build.file());
    let texts = inline.chain(files.filter_map(|path| text(repository, path))).collect();
    needed(manifest, texts, request.built_platforms(), repository)
}

/// The upstream images of these Dockerfiles, for the engine's own platform.
pub fn of_dockerfiles<'m>(
    manifest: &'m Manifest,
    dockerfiles: &[&str],
    repository: &Repository,
) -> NeededUpstreams<'m> {
    let texts = dockerfiles.iter().filter_map(|path| text(repository, path)).collect();
    needed(manifest, texts, vec![None], repository)
}

/// Follows these Dockerfiles and those of their bases.
fn needed<'m>(
    manifest: &'m Manifest,
    mut queue: Vec<String>,
    mut platforms: Vec<Option<Platform>>,
    repository: &Repository,
) -> NeededUpstreams<'m> {
    let mut found = BTreeSet::new();
    while let Some(dockerfile) = queue.pop() {
        let References { target, native } = References::of(&dockerfile);
        if !native.is_empty() && !platforms.contains(&None) {
            platforms.push(None);
        }
        for reference in target.into_iter().chain(native) {
            if !found.contains(&reference) {
                let base = manifest.bases.iter().find(|base| base.reference == reference);
                queue.extend(base.and_then(|base| text(repository, &base.dockerfile)));
                found.insert(reference);
            }
        }
    }
    let images = manifest.upstreams.iter().filter(|upstream| found.contains(&upstream.reference)).collect();
    NeededUpstreams { images, platforms }
}

/// The images that a Dockerfile names; empty if the file cannot be read.
pub fn references(repository: &Repository, path: &str) -> BTreeSet<String> {
    text(repository, path).map(|text| dockerfile::references(&text)).unwrap_or_default()
}

/// A Dockerfile. The manifest has been validated: if a file has disappeared since, bake fails and names it.
pub fn text(repository: &Repository, path: &str) -> Option<String> {
    repository.file(path).and_then(|file| files::read(&file).ok())
}
