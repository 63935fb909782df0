//! Which images a command is about: services in editions and variants, under a tag.

use serde::Serialize;

use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::Service;
use model::variant::Variant;

/// What the user asked for, resolved.
#[derive(Debug, Clone)]
pub struct BuildRequest<'m> {
    /// The services, in the manifest's order.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The variants.
    pub variants: Vec<Variant>,
    /// The tag, without edition and variant.
    pub tag: Tag,
    /// The edition that the plain tag follows.
    pub default_edition: Edition,
}

/// One image of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceImage {
    /// The service's name.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
}

/// An image of a service with its local tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedImage {
    /// Which image it is.
    pub image: ServiceImage,
    /// Its tags, without a registry.
    pub tags: Vec<ImageRef>,
}

impl TaggedImage {
    /// Keeps only the edition's tag and drops the plain tag, which follows the default edition.
    #[must_use]
    pub fn with_fixed_tag(mut self) -> TaggedImage {
        // `ImageRef::all_of` puts the edition's tag first.
        self.tags.truncate(1);
        self
    }
}

impl<'m> BuildRequest<'m> {
    /// Every requested image with every tag that building it sets.
    pub fn images(&self) -> impl Iterator<Item = (&'m Service, TaggedImage)> {
        let editions = |service| self.editions.iter().map(move |&edition| (service, edition));
        let forms = self.services.iter().copied().flat_map(editions).flat_map(|(service, edition)| {
            self.variants.iter().map(move |&variant| (service, edition, variant))
        });
        forms.map(|(service, edition, variant)| {
            let image = ServiceImage { service: service.name.clone(), edition, variant };
            let tags = ImageRef::all_of(&service.image, &self.tag, edition, variant, self.default_edition);
            (service, TaggedImage { image, tags })
        })
    }

    /// The same without the services' declarations.
    pub fn tagged_images(&self) -> Vec<TaggedImage> {
        self.images().map(|(_, image)| image).collect()
    }

    /// The Dockerfiles of the requested images.
    pub fn dockerfiles(&self) -> Vec<&'m str> {
        let variants =
            |service: &&'m Service| self.variants.iter().map(|variant| service.dockerfile(*variant));
        self.services.iter().copied().flat_map(|service| variants(&service).collect::<Vec<_>>()).collect()
    }
}
