//! The images of a throwaway stack.

use anyhow::{Result, bail};
use host::program::PROGRAM;

use engine::docker::Docker;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Selects the images of a stack.
#[derive(Debug, Clone)]
pub struct StackImages {
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
    /// The tag, without edition and variant.
    pub tag: Tag,
    /// A service and the reference of the image that replaces its own.
    pub replaced: Option<(String, String)>,
}

impl StackImages {
    /// The image of a service.
    pub(super) fn of(&self, service: &Service) -> String {
        if let Some((_, image)) = self.replaced.iter().find(|(name, _)| *name == service.name) {
            return image.clone();
        }
        service.reference(&self.tag, self.edition, service.nearest(self.variant)).to_string()
    }

    /// Fails if the engine lacks the image of a started service; `started` are names in the Compose file.
    pub(super) fn require(&self, manifest: &Manifest, started: &[String], docker: &Docker) -> Result<()> {
        let services =
            manifest.services.iter().filter(|service| started.iter().any(|name| service.is_compose(name)));
        let (names, references): (Vec<&str>, Vec<String>) =
            services.map(|service| (service.name.as_str(), self.of(service))).unzip();
        let found = docker.inspect(&references)?;
        let missing = names.into_iter().zip(&references).filter(|(_, image)| !found.contains_key(*image));
        let (names, references): (Vec<&str>, Vec<&str>) =
            missing.map(|(name, image)| (name, image.as_str())).unzip();
        if names.is_empty() {
            return Ok(());
        }
        let variant =
            if manifest.has_twins() { format!(" --variant {}", self.variant) } else { String::new() };
        bail!(
            "images not found: {}\nhelp: {PROGRAM} build-images {}{}{variant} --tag {}",
            references.join(", "),
            names.join(" "),
            self.edition.option(),
            self.tag
        )
    }
}
