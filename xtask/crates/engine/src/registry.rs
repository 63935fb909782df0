//! Looks up tags in registries.
//!
//! `docker buildx imagetools inspect --raw` runs on the client. It uses the credentials of `docker login`, the client's proxies
//! and the current builder's registry configuration, and allows plain HTTP on loopback. The raw manifest contains the digest of
//! the image's configuration, so it can be compared with an image built anywhere.
//! It does not use the engine's `insecure-registries`, `/etc/docker/certs.d` or network. If it fails, the engine's own BuildKit
//! resolves the tag, which yields only the digest.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::bake_report::error_line;
use crate::blob;
use crate::docker::Docker;
use crate::images::Image;
use crate::oci::Document;
use crate::push::PushError;
use crate::signs::Cause;
use host::process::{Cmd, tail};
use model::image_ref::repository_of;

/// The manifest or index that a tag refers to in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteManifest {
    /// Digest of the manifest or index, `sha256:…`.
    pub digest: String,
    /// Digest of the image's configuration; `None` for an index of several images, or if only `digest` is known.
    pub config: Option<String>,
}

/// What a registry returned.
#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    manifest: RemoteManifest,
    /// Digest of the image manifest, if this is an index of one image and its attestations.
    attested: Option<String>,
}

/// The image of an index that has one image and its attestations.
fn attested(document: &Document) -> Option<String> {
    let manifests = document.manifests.iter().flatten();
    let (attestations, images): (Vec<_>, Vec<_>) = manifests.partition(|manifest| manifest.is_attestation());
    match images[..] {
        [image] if !attestations.is_empty() => Some(image.digest.clone()),
        _ => None,
    }
}

impl Parsed {
    /// Parses the manifest's bytes exactly as the registry stores them.
    fn new(raw: &str) -> Option<Parsed> {
        let manifest: Document = serde_json::from_str(raw).ok()?;
        Some(Parsed {
            attested: attested(&manifest),
            manifest: RemoteManifest {
                digest: blob::sha256(raw.as_bytes()),
                config: manifest.config.map(|config| config.digest),
            },
        })
    }
}

impl RemoteManifest {
    /// Whether it is exactly this image of the engine. An image's ID is the digest of its configuration on the classic store, and
    /// of its manifest or index on the containerd store; its RepoDigests are digests of manifests or indexes that contain it. All
    /// are content digests, so a match cannot be accidental.
    pub fn is(&self, image: &Image) -> bool {
        self.config.as_ref() == Some(&image.id) || image.is_pushed_as(&self.digest)
    }
}

/// Looks up tags for one run.
#[derive(Debug)]
pub struct RegistryReader<'a> {
    docker: &'a Docker,
    /// Whether to skip the client, because it failed and the engine did not.
    only_engine: AtomicBool,
}

impl<'a> RegistryReader<'a> {
    /// A reader that uses this docker client.
    pub fn new(docker: &'a Docker) -> RegistryReader<'a> {
        RegistryReader { docker, only_engine: AtomicBool::new(false) }
    }

    /// Looks up a tag; `None` if the registry does not have it.
    ///
    /// # Errors
    /// When the lookup fails or does not return a manifest. If the client was tried, this is its error.
    pub fn look(&self, tag: &str) -> Result<Option<RemoteManifest>, PushError> {
        if self.only_engine.load(Ordering::SeqCst) {
            return self.ask_engine(tag);
        }
        let error = match self.ask_client(tag) {
            Ok(found) => return Ok(found),
            // The engine would use the same credentials.
            Err(error) if error.is_about_the_account() => return Err(error),
            Err(error) => error,
        };
        let found = self.ask_engine(tag).map_err(|_| error)?;
        self.only_engine.store(true, Ordering::SeqCst);
        Ok(found)
    }

    fn ask_client(&self, tag: &str) -> Result<Option<RemoteManifest>, PushError> {
        let Some(Parsed { mut manifest, attested }) = self.raw(tag)? else { return Ok(None) };
        if let Some(digest) = attested {
            let image = self.raw(&format!("{}@{digest}", repository_of(tag)))?;
            manifest.config = image.and_then(|image| image.manifest.config);
        }
        Ok(Some(manifest))
    }

    fn raw(&self, tag: &str) -> Result<Option<Parsed>, PushError> {
        let cmd = self.docker.cmd(["buildx", "imagetools", "inspect", "--raw"]).arg(tag);
        let Some(output) = answer(&cmd)? else { return Ok(None) };
        // Docker may print warnings before the manifest.
        let start = if output.starts_with('{') { Some(0) } else { output.find("\n{").map(|at| at + 1) };
        let manifest = start.and_then(|start| Parsed::new(&output[start..]));
        manifest
            .map(Some)
            .ok_or_else(|| PushError::new(format!("expected a manifest, got {}", tail(&output, 3))))
    }

    /// Builds only `FROM TAG`, so BuildKit resolves the tag and prints its digest.
    fn ask_engine(&self, tag: &str) -> Result<Option<RemoteManifest>, PushError> {
        let context = self.docker.cmd(["context", "inspect", "--format", "{{.Name}}"]).read();
        // The engine's own builder has the name of docker's context.
        let builder = context.map_err(|error| PushError::new(error.to_string()))?;
        let cmd = self
            .docker
            .cmd([
                "buildx",
                "build",
                "--builder",
                &builder,
                "--pull",
                "--progress=plain",
                "--output=type=cacheonly",
                "-",
            ])
            .env("BUILDX_NO_DEFAULT_LOAD", "1")
            .stdin(format!("FROM {tag}\n"));
        let Some(output) = answer(&cmd)? else { return Ok(None) };
        let digest = digest_of(tag, &output);
        let digest =
            digest.ok_or_else(|| PushError::new(format!("no digest in the output of `{}`", cmd.quoted())))?;
        Ok(Some(RemoteManifest { digest, config: None }))
    }
}

/// The output of a command that looks up a tag; `None` if the registry does not have it.
fn answer(cmd: &Cmd) -> Result<Option<String>, PushError> {
    let mut output = Vec::new();
    let status = cmd.stream(|chunk| output.extend_from_slice(chunk));
    let status = status.map_err(|error| PushError { cause: Cause::Engine, output: error.to_string() })?;
    let output = String::from_utf8_lossy(&output).into_owned();
    if status.success() {
        return Ok(Some(output));
    }
    let error = error_line(&output).unwrap_or_else(|| tail(&output, 3));
    match PushError::new(error) {
        PushError { cause: Cause::NotFound, .. } => Ok(None),
        error => Err(error),
    }
}

/// The digest in `FROM TAG@DIGEST`.
fn digest_of(tag: &str, progress: &str) -> Option<String> {
    let (_, rest) = progress.split_once(&format!("FROM {tag}@"))?;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = r#"{"schemaVersion":2,"config":{"digest":"sha256:config","size":1},"layers":[]}"#;

    fn image(json: &str) -> Image {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_image_is_known_by_digests_of_content_on_both_stores() {
        let remote = Parsed::new(RAW).unwrap().manifest;
        assert!(remote.is(&image(r#"{"Id":"sha256:config"}"#)), "classic store");
        assert!(remote.is(&image(&format!(r#"{{"Id":"{}"}}"#, remote.digest))), "containerd store");
        let pushed = format!(r#"{{"Id":"sha256:x","RepoDigests":["r.example/y@{}"]}}"#, remote.digest);
        assert!(remote.is(&image(&pushed)));
        assert!(!remote.is(&image(r#"{"Id":"sha256:other","RepoDigests":["r.example/y@sha256:config"]}"#)));
    }

    #[test]
    fn an_index_is_not_an_image() {
        let raw = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:a"}]}"#;
        let Parsed { manifest: remote, attested } = Parsed::new(raw).unwrap();
        assert_eq!(attested, None);
        assert!(remote.config.is_none() && !remote.is(&image(r#"{"Id":"sha256:a"}"#)));
    }

    #[test]
    fn the_digest_is_that_of_the_bytes() {
        // `printf %s '{"schemaVersion":2}' | sha256sum`
        let digest = "sha256:bafebd36189ad3688b7b3915ea55d461e0bfcfbdde11e54b0a123999fb6be50f";
        assert_eq!(Parsed::new(r#"{"schemaVersion":2}"#).unwrap().manifest.digest, digest);
    }

    #[test]
    fn builders_show_the_digest_they_resolved() {
        let progress = "#2 [internal] load metadata for r.example:5000/t/x:1\n#2 DONE 0.1s\n\n\
                        #4 [1/1] FROM r.example:5000/t/x:1@sha256:bb\n#4 resolve r.example:5000/t/x:1@sha256:bb 0.1s done\n";
        assert_eq!(digest_of("r.example:5000/t/x:1", progress).as_deref(), Some("sha256:bb"));
        assert_eq!(digest_of("r.example:5000/t/x:2", progress), None);
    }
}
