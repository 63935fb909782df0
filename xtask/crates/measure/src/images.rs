//! The images that are measured, by their IDs: a tag that moves meanwhile changes nothing.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::Wanted;
use crate::plan::Subject;
use build::image_sizes::image_sizes;
use engine::context::Context;
use engine::images::Image;
use host::files;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Of all services of an edition and a tag.
#[derive(Debug)]
pub struct Images {
    found: BTreeMap<(String, Variant), Image>,
    project: String,
}

impl Images {
    /// Those that are built.
    ///
    /// # Errors
    /// When docker cannot be asked.
    pub fn look(manifest: &Manifest, edition: Edition, tag: &Tag, context: &Context) -> Result<Images> {
        let reference =
            |service: &Service, variant| ImageRef::of(&service.image, tag, edition, variant).to_string();
        let all: Vec<(&Service, Variant)> = manifest
            .services
            .iter()
            .flat_map(|service| Variant::ALL.map(|variant| (service, variant)))
            .collect();
        let references: Vec<String> =
            all.iter().map(|(service, variant)| reference(service, *variant)).collect();
        let inspected = context.docker.inspect(&references)?;
        let found = all.iter().zip(&references).filter_map(|((service, variant), reference)| {
            Some(((service.name.clone(), *variant), inspected.get(reference)?.clone()))
        });
        Ok(Images { found: found.collect(), project: manifest.project.clone() })
    }

    fn image(&self, service: &Service, variant: Variant) -> Option<&Image> {
        self.found.get(&(service.name.clone(), variant))
    }

    /// Whether it is built.
    pub fn has(&self, service: &Service, variant: Variant) -> bool {
        self.image(service, variant).is_some()
    }

    /// The ID.
    pub fn id(&self, service: &Service, variant: Variant) -> Option<&str> {
        self.image(service, variant).map(|image| image.id.as_str())
    }

    /// Whether an original stands on stand-ins for upstream images.
    pub fn is_on_stand_in(&self, service: &Service) -> bool {
        let image = self.image(service, Variant::Original);
        image.is_some_and(|image| image.is_on_stand_ins(&self.project))
    }

    /// The variants that are built, the original first.
    pub fn built(&self, service: &Service) -> Vec<Variant> {
        Variant::ALL.into_iter().filter(|variant| self.has(service, *variant)).collect()
    }

    /// All optimized images that are not here, at once.
    ///
    /// # Errors
    /// With what builds them.
    pub fn refuse_missing_optimized(&self, services: &[&Service], edition: Edition, tag: &Tag) -> Result<()> {
        let missing: Vec<&str> = services
            .iter()
            .filter(|service| !self.has(service, Variant::Optimized))
            .map(|service| service.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(" ");
        bail!(
            "the optimized images of these services are not here: {names}\n  build them: cargo xtask build-images {names} --edition {edition} --tag {tag}"
        )
    }

    /// Unpacked bytes of the larger variant of all these services together.
    ///
    /// # Errors
    /// When docker cannot be asked.
    pub fn largest(&self, services: &[&Service], variants: &[Variant], context: &Context) -> Result<Bytes> {
        let mut largest = Bytes(0);
        for variant in variants {
            let images: Vec<&Image> =
                services.iter().filter_map(|service| self.image(service, *variant)).collect();
            largest = largest.max(image_sizes(&images, context)?.into_iter().sum());
        }
        Ok(largest)
    }

    /// The images of a subject, by ID and by the name that a registry holds them under.
    pub fn pushed(&self, subject: &Subject<'_>, wanted: &Wanted<'_>) -> Vec<(String, String)> {
        let of = |(service, variant): (&Service, Variant)| {
            let name = ImageRef::of(&service.image, &wanted.tag, wanted.edition, variant).to_string();
            Some((self.id(service, variant)?.to_owned(), name))
        };
        let services = services(subject, wanted);
        let both = services.iter().flat_map(|service| Variant::ALL.map(|variant| (*service, variant)));
        both.filter_map(of).collect()
    }

    /// The names of one variant alone.
    pub fn names(&self, subject: &Subject<'_>, wanted: &Wanted<'_>, variant: Variant) -> Vec<String> {
        let name = |service: &&Service| {
            ImageRef::of(&service.image, &wanted.tag, wanted.edition, variant).to_string()
        };
        services(subject, wanted).iter().map(name).collect()
    }
}

fn services<'m>(subject: &Subject<'m>, wanted: &Wanted<'m>) -> Vec<&'m Service> {
    match subject {
        Subject::One(service) => vec![service],
        Subject::Whole => wanted.services.clone(),
    }
}

/// Free bytes where the second engine would keep its data; `None` where `df` gives no number.
///
/// # Errors
/// When `df` cannot be run.
pub fn free(context: &Context) -> Result<Option<Bytes>> {
    let folder = context.repository.measurements();
    files::create_dir(&folder)?;
    context.docker.free_at(&folder.display().to_string()).context("cannot tell how much disk is free")
}
