//! Which images a command is about: services in editions and variants, under a tag.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use host::failure::{Failure, FailureClass};
use model::edition::Edition;
use model::image_ref::{ImageRef, MAX_TAG, Tag};
use model::manifest::{Build, Service};
use model::platform::Platform;
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
    /// The platforms; if empty, those that each service declares.
    pub platforms: Vec<Platform>,
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
    /// The platform, if the image has a tag per platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// An image of a service with its local tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedImage {
    /// Which image it is.
    pub image: ServiceImage,
    /// Its tags, without a registry.
    pub tags: Vec<ImageRef>,
    /// The same tags without the platform; empty if the image has no tag per platform. In a registry, they name an index of all platforms;
    /// in the engine, the image for the engine's own platform.
    pub plain: Vec<ImageRef>,
    /// The platforms of that index.
    pub index_platforms: Vec<Platform>,
}

impl fmt::Display for ServiceImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.edition.is_none() { "" } else { " " };
        write!(f, "{}{space}{} {}", self.service, self.edition, self.variant)?;
        self.platform.iter().try_for_each(|platform| write!(f, " {platform}"))
    }
}

impl TaggedImage {
    /// Keeps only the edition's tag and drops the plain tag, which follows the default edition.
    #[must_use]
    pub fn with_fixed_tag(mut self) -> TaggedImage {
        // `Service::references` puts the edition's tag first.
        self.tags.truncate(1);
        self.plain.truncate(1);
        self
    }

    /// The tags that are not shared with images for other platforms.
    pub fn own_tags(&self) -> impl Iterator<Item = &ImageRef> {
        self.tags.iter().filter(|tag| !self.plain.contains(tag))
    }

    /// Adds the plain tags if the image is for the engine's own platform.
    pub(crate) fn add_plain_tags(&mut self, engine: &Platform) {
        if self.image.platform.as_ref().is_some_and(|own| engine.is_wanted(own)) {
            self.tags.extend(self.plain.iter().cloned());
        }
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
        let by_platform = forms.flat_map(|(service, edition, variant)| {
            let platforms = service.images_by_platform(&self.platforms).into_iter();
            platforms.map(move |platform| (service, edition, variant, platform))
        });
        by_platform.map(|(service, edition, variant, platform)| {
            let plain = service.references(&self.tag, edition, variant, self.default_edition);
            let tags = plain.iter().map(|tag| tag.on(platform.as_ref())).collect();
            let (plain, index_platforms) = match &platform {
                Some(_) => (plain, service.index_platforms(&self.platforms)),
                None => (Vec::new(), Vec::new()),
            };
            let image = ServiceImage { service: service.name.clone(), edition, variant, platform };
            (service, TaggedImage { image, tags, plain, index_platforms })
        })
    }

    /// Checks that the services are built for the requested platforms, and that each tag is valid and names only one image.
    ///
    /// # Errors
    /// The first service or tag that is invalid.
    pub fn check_platforms(&self) -> Result<(), Failure> {
        self.services.iter().try_for_each(|service| service.require_platforms(&self.platforms))?;
        let mut known = BTreeSet::new();
        for (_, TaggedImage { tags, plain, .. }) in self.images().filter(|(_, image)| !image.plain.is_empty())
        {
            if let Some(tag) = tags.iter().find(|tag| tag.tag().len() > MAX_TAG) {
                let what = format!("image tag longer than {MAX_TAG} characters: {tag}");
                return Err(Failure::new(FailureClass::Usage, what, "use a shorter --tag"));
            }
            known.extend(plain);
        }
        let images = self.images().flat_map(|(_, image)| image.tags);
        let mut all = BTreeSet::new();
        for tag in images {
            if known.contains(&tag) || !all.insert(tag.clone()) {
                let what = format!("tag conflict: {tag} names both a platform's and an edition's image");
                return Err(Failure::new(FailureClass::Usage, what, "rename the edition"));
            }
        }
        Ok(())
    }

    /// The platforms to build for; `None` is the engine's own.
    pub fn built_platforms(&self) -> Vec<Option<Platform>> {
        let only =
            |service: &Service, platform: Option<Platform>| platform.or_else(|| service.only_platform());
        let all = self.images().map(|(service, image)| only(service, image.image.platform));
        all.collect::<BTreeSet<_>>().into_iter().collect()
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
