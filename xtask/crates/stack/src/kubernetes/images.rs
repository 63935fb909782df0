//! The images a cluster pulls, pinned by digest so that all pods of a release run the same image.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::kubernetes::names;
use crate::kubernetes::tree::{Pin, PinnedImage};
use build::push::digests::Digests;
use engine::compose::cluster::ClusterProject;
use engine::docker::Docker;
use engine::images::Image;
use engine::registry::RegistryReader;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use model::image_ref::{ImageRef, Registry, is_reference, path_of, repository_of};
use model::manifest::{Manifest, Service};

/// Sources of digests.
pub struct ImageSource<'a> {
    /// The Compose project.
    pub project: &'a ClusterProject,
    /// The manifest; `registry` applies to its images.
    pub manifest: &'a Manifest,
    /// The images on this engine, by their references in the Compose file.
    pub images: &'a BTreeMap<String, Image>,
    /// The record of images pushed from this checkout.
    pub pushed: &'a Digests,
    /// The registry for the manifest's images whose reference has none.
    pub registry: Option<&'a Registry>,
    /// The docker client.
    pub docker: &'a Docker,
    /// Whether to pin by tag instead of digest.
    pub by_tag: bool,
}

impl ImageSource<'_> {
    /// The image of every workload, by the workload's name.
    ///
    /// # Errors
    /// Lists all images without a digest, with the remedy.
    pub fn pin(&self) -> Result<BTreeMap<String, PinnedImage>> {
        let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
        for (service, settings) in &self.project.services {
            match self.image(&settings.image) {
                Ok(image) => drop(found.insert(names::label(service), image)),
                Err(reason) => missing.push(format!("{service}: {reason}")),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let what = format!("images without a digest; nothing was written:\n  {}", missing.join("\n  "));
        let variable = self.manifest.variable("REGISTRY");
        let remedy = format!(
            "push them with `{PROGRAM} push --registry HOST[:PORT][/PATH]`, then pass the same registry with --registry or {variable}; or use --by-tag"
        );
        Err(Failure::new(FailureClass::Failed, what, remedy).into())
    }

    fn image(&self, reference: &str) -> Result<PinnedImage, String> {
        if !is_reference(reference) {
            return Err(format!("`{reference}` is not a valid image reference"));
        }
        if let Some((name, digest)) = reference.split_once('@') {
            let repository = ImageRef::of_text(name).repository().to_owned();
            return Ok(PinnedImage { repository, pin: Pin::Digest(digest.to_owned()) });
        }
        let own = ImageRef::of_text(reference);
        let has_host = path_of(own.repository()) != own.repository();
        let is_named = |service: &Service| service.pulled.is_none() && service.image == own.repository();
        let is_own = self.manifest.services.iter().any(is_named);
        let remote = match self.registry {
            Some(registry) if is_own && !has_host => own.at(registry),
            None if is_own && !has_host && !self.by_tag => {
                return Err(format!("no registry given for {reference}"));
            }
            _ => own,
        };
        let repository = remote.repository().to_owned();
        let text = remote.to_string();
        let pin = if self.by_tag {
            let tag = text[repository.len()..].trim_start_matches(':');
            Pin::Tag(if tag.is_empty() { "latest" } else { tag }.to_owned())
        } else {
            Pin::Digest(self.digest(reference, &text)?)
        };
        Ok(PinnedImage { repository, pin })
    }

    /// Whether the manifest builds `reference`, in any registry.
    fn is_own(&self, reference: &str) -> bool {
        let path = path_of(repository_of(reference));
        let is_own = |image: &str| path.strip_suffix(image).is_some_and(|r| r.is_empty() || r.ends_with('/'));
        let built = self.manifest.services.iter().filter(|service| service.pulled.is_none());
        built.map(|service| &service.image).any(|image| is_own(image))
    }

    /// The digest of `remote` if it is the local image. The plan takes user, ports, volumes and health check from the local image.
    fn digest_of(&self, local: &Image, remote: &str) -> Result<String, String> {
        match RegistryReader::new(self.docker).look(remote) {
            Ok(Some(found)) if found.is(local) => Ok(found.digest),
            Ok(Some(_)) => {
                Err(format!("the local image was not pushed: the registry has a different image at {remote}"))
            }
            Ok(None) => Err(format!("{remote} is not in the registry")),
            Err(error) => Err(format!("{remote}: {error}")),
        }
    }

    /// The digest of `remote`, the registry's reference for the local image `reference`.
    fn digest(&self, reference: &str, remote: &str) -> Result<String, String> {
        let local = self.images.get(reference);
        if let Some(digest) = self.pushed.digest_of(remote, local) {
            return Ok(digest.to_owned());
        }
        if self.pushed.digest_of(remote, None).is_some() {
            return Err(format!("{reference} was rebuilt after {remote} was pushed"));
        }
        if let Some(local) = local.filter(|_| self.is_own(reference)) {
            return self.digest_of(local, remote);
        }
        match self.docker.digest_in_registry(remote) {
            Ok(Ok(digest)) => Ok(digest),
            Ok(Err(message)) => {
                let line = message.lines().last().unwrap_or_default();
                Err(format!("cannot resolve {remote}: {}", line.trim_start_matches("ERROR: ")))
            }
            Err(error) => Err(format!("{remote}: {error:#}")),
        }
    }
}
