//! What was deployed, for services that show it: they have no engine to ask (DESIGN: "Services", control).

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::capabilities::comparison::bytes_of;
use crate::capabilities::context::Context;
use crate::docker::compose::Configured;
use crate::docker::images::Image;
use crate::domain::bytes::Bytes;
use crate::domain::manifest::Manifest;
use crate::system::files;

/// The record, in the form that control reads.
#[derive(Debug, Serialize)]
struct Deployed<'a> {
    schema: u32,
    images: Vec<DeployedImage<'a>>,
}

#[derive(Debug, Serialize)]
struct DeployedImage<'a> {
    service: &'a str,
    image: &'a str,
    bytes: Bytes,
    edition: &'a str,
    variant: &'a str,
}

/// Writes down the images that the stack's services are about to run, with their unpacked bytes. One that is not here yet is
/// left out.
///
/// # Errors
/// When docker cannot be asked, or the record not be written.
pub fn write(
    manifest: &Manifest,
    configured: &BTreeMap<String, Configured>,
    context: &Context,
) -> Result<()> {
    let of = |compose: &str| configured.get(compose).map(|service| service.image.clone());
    let references: Vec<String> =
        manifest.services.iter().filter_map(|service| of(&service.compose)).collect();
    let there = context.docker.inspect(&references)?;
    let found: Vec<(&str, &str, &Image)> = manifest
        .services
        .iter()
        .filter_map(|service| {
            let (reference, image) = there.get_key_value(&of(&service.compose)?)?;
            Some((service.name.as_str(), reference.as_str(), image))
        })
        .collect();
    let sizes = bytes_of(&found.iter().map(|(.., image)| *image).collect::<Vec<_>>(), context)?;
    let label = |image: &'_ Image, name: &str| {
        image.label(&format!("{}.images.{name}", manifest.project)).unwrap_or("unknown").to_owned()
    };
    let labels: Vec<(String, String)> =
        found.iter().map(|(.., image)| (label(image, "edition"), label(image, "variant"))).collect();
    let images =
        found.iter().zip(sizes).zip(&labels).map(|(((service, image, _), bytes), (edition, variant))| {
            DeployedImage { service, image, bytes, edition, variant }
        });
    let record = Deployed { schema: 1, images: images.collect() };
    let json = serde_json::to_vec_pretty(&record).context("the record of images")?;
    files::write_atomically(&context.repository.deployed_images(), &json)
}
