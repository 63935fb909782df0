//! Which images a command is about: services in editions and variants, under a tag.

use std::fmt;

use serde::Serialize;

use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Build, Service};
use model::variant::Variant;

/// What the user asked for, resolved.
#[derive(Debug, Clone)]
pub struct BuildRequest<'m> {
    /// The services, in the manifest's order.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The variants; for a service with one build, always that one.
    pub variants: Vec<Variant>,
    /// The tag, without edition and variant.
    pub tag: Tag,
    /// The edition that the plain tag follows.
    pub default_edition: Edition,
}

/// One image of a service, as in `api simple optimized`.
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

impl fmt::Display for ServiceImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.edition.is_none() { "" } else { " " };
        write!(f, "{}{space}{} {}", self.service, self.edition, self.variant)
    }
}

impl TaggedImage {
    /// Keeps only the edition's tag and drops the plain tag, which follows the default edition.
    #[must_use]
    pub fn with_fixed_tag(mut self) -> TaggedImage {
        // `Service::references` puts the edition's tag first.
        self.tags.truncate(1);
        self
    }
}

impl<'m> BuildRequest<'m> {
    /// Every requested image that is built here, with every tag that building it sets.
    pub fn images(&self) -> impl Iterator<Item = (&'m Service, TaggedImage)> {
        let built = self.services.iter().copied().filter(|service| service.pulled.is_none());
        let editions = |service: &'m Service| {
            let there = self.editions.iter().copied().filter(|edition| service.exists_in(*edition));
            there.map(move |edition| (service, edition))
        };
        let forms = built.flat_map(editions).flat_map(|(service, edition)| {
            self.variants_of(service).into_iter().map(move |variant| (service, edition, variant))
        });
        forms.map(|(service, edition, variant)| {
            let image = ServiceImage { service: service.name.clone(), edition, variant };
            let tags = service.references(&self.tag, edition, variant, self.default_edition);
            (service, TaggedImage { image, tags })
        })
    }

    /// The requested variants of a service.
    pub fn variants_of(&self, service: &Service) -> Vec<Variant> {
        match service.variants() {
            [only] => vec![*only],
            _ => self.variants.clone(),
        }
    }

    /// The same without the services' declarations.
    pub fn tagged_images(&self) -> Vec<TaggedImage> {
        self.images().map(|(_, image)| image).collect()
    }

    /// The builds of the requested images, each once.
    pub fn builds(&self) -> Vec<&'m Build> {
        let mut builds: Vec<&Build> = Vec::new();
        for (service, tagged) in self.images() {
            let build = service.build(tagged.image.variant);
            builds.extend(build.filter(|build| !builds.contains(build)));
        }
        builds
    }
}
