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
    /// The platforms for which any is needed; `None` is the engine's own.
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

/// Follows these Dockerfiles and those of their bases. The bases of stages pinned to the build platform are needed for that
/// platform only.
fn needed<'m>(
    manifest: &'m Manifest,
    texts: Vec<String>,
    built: Vec<Option<Platform>>,
    repository: &Repository,
) -> NeededUpstreams<'m> {
    let mut queue: Vec<(String, bool)> = texts.into_iter().map(|text| (text, false)).collect();
    let mut found = BTreeSet::new();
    while let Some((dockerfile, on_builder)) = queue.pop() {
        let References { target, native } = References::of(&dockerfile);
        let target = target.into_iter().map(|reference| (reference, on_builder));
        for (reference, on_builder) in target.chain(native.into_iter().map(|reference| (reference, true))) {
            if found.insert((reference.clone(), on_builder)) {
                let base = manifest.bases.iter().find(|base| base.reference == reference);
                let text = base.and_then(|base| text(repository, &base.dockerfile));
                queue.extend(text.map(|text| (text, on_builder)));
            }
        }
    }
    let is_found =
        |upstream: &Upstream, on_builder| found.contains(&(upstream.reference.clone(), on_builder));
    let of = |on_builder| manifest.upstreams.iter().any(|upstream| is_found(upstream, on_builder));
    let images =
        manifest.upstreams.iter().filter(|one| is_found(one, false) || is_found(one, true)).collect();
    let mut platforms = if of(true) && !of(false) { Vec::new() } else { built };
    if of(true) && !platforms.contains(&None) {
        platforms.push(None);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::reader;

    /// Otherwise a root file system of another architecture would be bootstrapped under emulation, which takes minutes.
    #[test]
    fn what_runs_on_the_builder_is_needed_for_its_platform_only() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let manifest = "schema = 2\n[upstream.debian]\nreference = \"debian:12\"\nstand-in = { bootstrap = \"bookworm\" }\n\
                        [base.own]\nimage = \"own\"\ndockerfile = \"own\"\n";
        write("images.toml", manifest);
        write("own", "FROM --platform=$BUILDPLATFORM debian:12\n");
        let repository = Repository::locate(Some(folder.path())).unwrap();
        let manifest = reader::parse_leniently(manifest, &repository).unwrap();
        let arm: Platform = "linux/arm64".parse().unwrap();
        for (dockerfile, platforms) in [
            ("FROM own\n", vec![None]),
            ("FROM debian:12\n", vec![Some(arm.clone())]),
            ("FROM own AS a\nFROM debian:12\n", vec![Some(arm.clone()), None]),
            ("FROM scratch\n", vec![Some(arm.clone())]),
        ] {
            let found = needed(&manifest, vec![dockerfile.into()], vec![Some(arm.clone())], &repository);
            assert_eq!(found.platforms, platforms, "{dockerfile}");
            assert_eq!(found.images.len(), usize::from(!dockerfile.contains("scratch")), "{dockerfile}");
        }
    }
}
