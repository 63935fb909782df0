//! Measures images and compares them with their originals, targets and goals.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::comparison::{Comparison, ComparisonRow, Measured, Original, Total, Verdict};
use crate::image_sizes::ImageSizes;
use engine::context::Context;
use engine::images::Image;
use engine::known_images::KnownImages;
use engine::records::{self, RecordKind};
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service, Sizes};
use model::platform::Platform;
use model::variant::Variant;

/// The accepted size of an image of a service on a platform, such as `linux/amd64`.
pub type Accepted<'a> = dyn Fn(&Service, &str) -> Option<Bytes> + 'a;

/// The services that exist in an edition.
pub fn in_edition<'m>(services: &[&'m Service], edition: Edition) -> Vec<&'m Service> {
    services.iter().copied().filter(|service| service.exists_in(edition)).collect()
}

/// The images that a comparison of these services covers.
pub fn references(services: &[&Service], edition: Edition, tag: &Tag) -> Vec<String> {
    let reference =
        |service: &Service, variant: &Variant| service.reference(tag, edition, *variant).to_string();
    let of = |service: &Service| {
        service.variants().iter().map(|variant| reference(service, variant)).collect::<Vec<_>>()
    };
    services.iter().flat_map(|service| of(service)).collect()
}

/// Compares the images of some services that the engine has: with their originals, or with their `accepted` size where a
/// service has one build. A comparison of all services is stored as a record. `listed`: the engine's images by [`references`], if
/// known.
///
/// # Errors
/// When docker fails or an image cannot be read.
pub fn compare(
    manifest: &Manifest,
    services: &[&Service],
    edition: Edition,
    tag: &Tag,
    accepted: &Accepted<'_>,
    listed: Option<&BTreeMap<String, Image>>,
    context: &Context,
) -> Result<Comparison> {
    let services = in_edition(services, edition);
    let reference = |service: &Service, variant| service.reference(tag, edition, variant);
    let found = match listed {
        Some(images) => images.clone(),
        None => inspect(&references(&services, edition, tag), context)?,
    };
    let mut sizes = ImageSizes::load(context)?;
    let all_shipped = services.iter().map(|service| reference(service, service.shipped()).to_string());
    sizes.read_ahead(&all_shipped.filter_map(|reference| found.get(&reference)).collect::<Vec<_>>());
    let mut rows = Vec::new();
    let mut shipped_layers = BTreeMap::new();
    for &service in &services {
        let built = |variant| {
            let image_ref = reference(service, variant);
            found.get(&image_ref.to_string()).map(|image| (image_ref, image))
        };
        let shipped = match built(service.shipped()) {
            None => None,
            Some((image_ref, image)) => {
                let layers = sizes.layers(image)?;
                shipped_layers.extend(layers.into_iter().map(|layer| (layer.diff_id, layer.bytes)));
                let platform = image.platform().to_string();
                Some((measured(&image_ref, image, &mut sizes)?, accepted(service, &platform)))
            }
        };
        let original = match service.has_twin().then(|| built(Variant::Original)) {
            None => Original::None,
            Some(Some((image_ref, image))) => Original::Built {
                measured: measured(&image_ref, image, &mut sizes)?,
                stand_in: image.is_on_stand_ins(&manifest.project),
            },
            Some(None) => match service.sizes(edition).guide_original {
                Some(bytes) => Original::Guide { bytes },
                None => Original::Missing,
            },
        };
        rows.push(row(service, original, shipped, service.sizes(edition)));
    }
    sizes.save()?;
    let comparison = Comparison {
        schema: 1,
        edition,
        tag: tag.to_string(),
        platform: services.iter().find_map(|service| service.chosen.as_ref()).map(Platform::to_string),
        total: Total::of(&rows),
        unique_bytes: rows
            .iter()
            .any(|row| row.optimized.is_some())
            .then(|| shipped_layers.values().copied().sum()),
        services: rows,
        fleet: None,
    };
    if records::is_whole(&services, manifest, edition) {
        let of = records::made_of(RecordKind::Comparison, manifest, edition, tag, &found, context)?;
        records::keep(RecordKind::Comparison, of, &comparison, context)?;
    }
    Ok(comparison)
}

/// Inspects images and caches the results, which the next build needs if nothing has changed.
fn inspect(references: &[String], context: &Context) -> Result<BTreeMap<String, Image>> {
    let found = context.docker.inspect(references)?;
    let mut known = KnownImages::load(context.repository.known_images());
    known.add(found.values());
    known.save()?;
    Ok(found)
}

fn measured(reference: &ImageRef, image: &Image, sizes: &mut ImageSizes<'_>) -> Result<Measured> {
    Ok(Measured { image: reference.to_string(), id: image.id.clone(), bytes: sizes.bytes(image)? })
}

fn row(
    service: &Service,
    original: Original,
    shipped: Option<(Measured, Option<Bytes>)>,
    limits: Sizes,
) -> ComparisonRow {
    let (optimized, accepted) = shipped.unzip();
    let bytes = optimized.as_ref().map(|measured| measured.bytes);
    // The guide's figure was measured on another machine, so it is not compared.
    let both = original.built().zip(bytes);
    ComparisonRow {
        service: service.name.clone(),
        saved: both.map(|(original, optimized)| original - optimized),
        saved_percent: both.and_then(|(original, optimized)| optimized.saved_of(original)),
        verdict: Verdict::of(bytes, limits.target, limits.goal),
        accepted: accepted.flatten().filter(|_| original == Original::None),
        original,
        optimized,
        target: limits.target,
        goal: limits.goal,
    }
}
