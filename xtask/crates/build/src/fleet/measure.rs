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
use model::image_ref::{ImageRef, Tag};
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
    let reference = |service: &Service, tag: &Tag, variant| {
        ImageRef::of(&service.image, tag, edition, variant).to_string()
    };
    let mut names: BTreeSet<String> = BTreeSet::new();
    for service in services {
        names.extend(Variant::ALL.map(|variant| reference(service, tag, variant)));
        names.extend(since.map(|since| reference(service, since, Variant::Optimized)));
    }
    let found = context.docker.inspect(&names.into_iter().collect::<Vec<_>>())?;
    let present = |tag: &Tag, variant| -> Vec<ImageToAnalyze> {
        let present =
            services.iter().filter_map(|service| found.get_key_value(&reference(service, tag, variant)));
        present
            .map(|(name, image)| ImageToAnalyze { reference: name.clone(), image: image.clone() })
            .collect()
    };
    let missing = |tag: &Tag| -> Vec<String> {
        let missing = services
            .iter()
            .filter(|service| !found.contains_key(&reference(service, tag, Variant::Optimized)));
        missing.map(|service| service.name.clone()).collect()
    };
    let (optimized, originals) = (present(tag, Variant::Optimized), present(tag, Variant::Original));
    let packed = packed_sizes(&optimized, context)?;
    let distinct = |images: &[ImageToAnalyze]| layers(images.iter().map(|asked| &asked.image));
    let needed = distinct(&optimized);
    let since = since.map(|since| {
        let present = distinct(&present(since, Variant::Optimized));
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
        original: surface(service, Variant::Original),
        optimized: surface(service, Variant::Optimized),
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
