//! The images to measure, by ID, so that a tag that moves meanwhile has no effect.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::plan::Subject;
use crate::request::MeasureRequest;
use build::image_sizes::image_sizes;
use engine::context::Context;
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use host::files;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// The images of all services of one edition and tag. The image of a service with one build counts as optimized.
#[derive(Debug)]
pub(crate) struct MeasuredImages {
    found: BTreeMap<(String, Variant), Image>,
    project: String,
}

impl MeasuredImages {
    /// Inspects the images that are built.
    pub fn inspect(manifest: &Manifest, edition: Edition, tag: &Tag, context: &Context) -> Result<Self> {
        let both = |service| variants(service).iter().map(move |variant| (service, *variant));
        let all: Vec<(&Service, Variant)> = manifest.services_in(edition).flat_map(both).collect();
        let references: Vec<String> =
            all.iter().map(|(service, variant)| name(service, tag, edition, *variant)).collect();
        let inspected = context.docker.inspect(&references)?;
        let found = all.iter().zip(&references).filter_map(|((service, variant), reference)| {
            Some(((service.name.clone(), *variant), inspected.get(reference)?.clone()))
        });
        Ok(MeasuredImages { found: found.collect(), project: manifest.project.clone() })
    }

    fn image(&self, service: &Service, variant: Variant) -> Option<&Image> {
        self.found.get(&(service.name.clone(), variant))
    }

    pub fn has(&self, service: &Service, variant: Variant) -> bool {
        self.image(service, variant).is_some()
    }

    pub fn id(&self, service: &Service, variant: Variant) -> Option<&str> {
        self.image(service, variant).map(|image| image.id.as_str())
    }

    /// Whether the original was built on stand-ins for upstream images.
    pub fn is_on_stand_in(&self, service: &Service) -> bool {
        let image = self.image(service, Variant::Original);
        image.is_some_and(|image| image.is_on_stand_ins(&self.project))
    }

    /// The services that have no image of a variant.
    pub fn missing<'s>(&self, services: &[&'s Service], variant: Variant) -> Vec<&'s str> {
        let is_there = |service: &Service| match service.has_twin() {
            true => self.has(service, variant),
            false => self.has(service, Variant::Optimized),
        };
        let missing = services.iter().filter(|service| !is_there(service));
        missing.map(|service| service.name.as_str()).collect()
    }

    /// Built variants, the original first.
    pub fn built(&self, service: &Service) -> Vec<Variant> {
        Variant::ALL.into_iter().filter(|variant| self.has(service, *variant)).collect()
    }

    /// Fails with the command that builds them if optimized images are missing.
    pub fn refuse_missing_optimized(&self, services: &[&Service], edition: Edition, tag: &Tag) -> Result<()> {
        let missing = self.missing(services, Variant::Optimized);
        if missing.is_empty() {
            return Ok(());
        }
        let names = missing.join(" ");
        let remedy = format!("{PROGRAM} build-images {names}{} --tag {tag}", edition.option());
        let optimized = if services.iter().any(|service| service.has_twin()) { "optimized " } else { "" };
        bail!(Failure::new(FailureClass::Failed, format!("{optimized}images are not built: {names}"), remedy))
    }

    /// Unpacked bytes of these services' images together, of the larger variant.
    pub fn largest(&self, services: &[&Service], variants: &[Variant], context: &Context) -> Result<Bytes> {
        let mut largest = Bytes(0);
        for variant in variants {
            let images: Vec<&Image> =
                services.iter().filter_map(|service| self.image(service, *variant)).collect();
            largest = largest.max(image_sizes(&images, context)?.into_iter().sum());
        }
        Ok(largest)
    }

    /// The images of a subject: ID and repository name.
    pub fn pushed<'m>(&self, subject: &Subject<'m>, request: &MeasureRequest<'m>) -> Vec<(String, String)> {
        let of = |(service, variant): (&Service, Variant)| {
            let name = name(service, &request.tag, request.edition, variant);
            Some((self.id(service, variant)?.to_owned(), name))
        };
        let services = request.of(subject).into_iter();
        let both =
            services.flat_map(|service| variants(service).iter().map(move |variant| (service, *variant)));
        both.filter_map(of).collect()
    }

    /// The names of one variant's images.
    pub fn names(
        &self,
        subject: &Subject<'_>,
        request: &MeasureRequest<'_>,
        variant: Variant,
    ) -> Vec<String> {
        let name = |service: &&Service| name(service, &request.tag, request.edition, variant);
        request.of(subject).iter().map(name).collect()
    }
}

/// The variants to measure.
fn variants(service: &Service) -> &'static [Variant] {
    if service.has_twin() { &Variant::ALL } else { &[Variant::Optimized] }
}

/// The reference of a variant; for a service with one build, of its only image.
fn name(service: &Service, tag: &Tag, edition: Edition, variant: Variant) -> String {
    service.reference(tag, edition, service.nearest(variant)).to_string()
}

/// Free disk space where the second engine would keep its data; `None` if `df` gives no number.
pub(crate) fn free_disk(context: &Context) -> Result<Option<Bytes>> {
    let folder = context.repository.measurements();
    files::create_dir(&folder)?;
    context.docker.free_at(&folder.display().to_string()).context("cannot determine the free disk space")
}
