//! Measures all images of an edition together.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::fleet::{Fleet, SurfaceRow, Upgrade};
use contents::analysis::{analyze, packed_sizes};
use contents::image::ImageToAnalyze;
use contents::record::Surface;
use engine::context::Context;
use engine::images::Image;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Measures download size and attack surface. Compressing layers and reading originals takes minutes the first time; the
/// results are cached by layer.
///
/// # Errors
/// When docker fails or an image is damaged.
pub fn measure(
    manifest: &Manifest,
    services: &[&Service],
    edition: Edition,
    tag: &Tag,
    since: Option<&Tag>,
    context: &Context,
) -> Result<Fleet> {
    let services: Vec<&Service> =
        services.iter().copied().filter(|service| service.exists_in(edition)).collect();
    let reference =
        |service: &Service, tag: &Tag, variant| service.reference(tag, edition, variant).to_string();
    let shipped = |service: &Service, tag: &Tag| reference(service, tag, service.shipped());
    let mut names: BTreeSet<String> = BTreeSet::new();
    for service in &services {
        names.extend(service.variants().iter().map(|variant| reference(service, tag, *variant)));
        names.extend(since.map(|since| shipped(service, since)));
    }
    let found = context.docker.inspect(&names.into_iter().collect::<Vec<_>>())?;
    let asked = |name: &String| {
        let (name, image) = found.get_key_value(name)?;
        Some(ImageToAnalyze { reference: name.clone(), image: image.clone() })
    };
    let present = |tag: &Tag| -> Vec<ImageToAnalyze> {
        services.iter().filter_map(|service| asked(&shipped(service, tag))).collect()
    };
    let missing = |tag: &Tag| -> Vec<String> {
        let missing = services.iter().filter(|service| !found.contains_key(&shipped(service, tag)));
        missing.map(|service| service.name.clone()).collect()
    };
    let twins = || services.iter().filter(|service| service.has_twin());
    let originals: Vec<ImageToAnalyze> =
        twins().filter_map(|service| asked(&reference(service, tag, Variant::Original))).collect();
    let optimized = present(tag);
    let packed = packed_sizes(&optimized, context)?;
    let distinct = |images: &[ImageToAnalyze]| layers(images.iter().map(|asked| &asked.image));
    let needed = distinct(&optimized);
    let since = since.map(|since| {
        let present = distinct(&present(since));
        let new: BTreeSet<&String> = needed.difference(&present).collect();
        Upgrade {
            from: since.to_string(),
            layers: new.len(),
            moved: sum(&new, &packed),
            missing: missing(since),
        }
    });
    let surfaces = surfaces(&[optimized.as_slice(), &originals].concat(), manifest, context)?;
    let surface = |service: &Service, variant| surfaces.get(&reference(service, tag, variant)).copied();
    let row = |service: &&Service| SurfaceRow {
        service: service.name.clone(),
        original: service.has_twin().then(|| surface(service, Variant::Original)).flatten(),
        optimized: surface(service, service.shipped()),
    };
    Ok(Fleet {
        edition,
        images: optimized.len(),
        missing: missing(tag),
        layers: needed.len(),
        pull: sum(&needed.iter().collect(), &packed),
        since,
        surface: services.iter().map(row).collect(),
    })
}

fn surfaces(
    images: &[ImageToAnalyze],
    manifest: &Manifest,
    context: &Context,
) -> Result<BTreeMap<String, Surface>> {
    let contents = analyze(images, manifest, context)?;
    Ok(contents.into_iter().map(|contents| (contents.image, contents.surface)).collect())
}

fn layers<'i>(images: impl Iterator<Item = &'i Image>) -> BTreeSet<String> {
    images.flat_map(Image::layers).cloned().collect()
}

fn sum(layers: &BTreeSet<&String>, packed: &BTreeMap<String, Bytes>) -> Bytes {
    layers.iter().filter_map(|diff_id| packed.get(*diff_id).copied()).sum()
}
