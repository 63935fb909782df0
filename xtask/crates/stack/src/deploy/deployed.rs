//! The record of deployed images, for services that show it and have no access to the engine, such as a dashboard.

use anyhow::{Context as _, Result};
use serde::Serialize;

use build::image_sizes::image_sizes;
use engine::compose::Project;
use engine::context::Context;
use engine::images::Image;
use host::files;
use host::paths::Repository;
use model::bytes::Bytes;
use model::manifest::Manifest;

use crate::deploy::project::containers;

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

/// Creates the record's folder, which the Compose file mounts, before the engine would create it as root. Unprivileged
/// containers can read it whatever the umask is.
///
/// # Errors
/// When it cannot be created or made readable.
pub fn prepare(repository: &Repository) -> Result<()> {
    files::create_public_dir(&repository.deployed())
}

/// Records the images that the stack's containers run, with their unpacked bytes. Call it once the stack is up: a failed
/// deployment leaves the previous record in place.
///
/// # Errors
/// When docker cannot be asked, or the record cannot be written.
pub fn write(manifest: &Manifest, project: &Project, context: &Context) -> Result<()> {
    let running = containers(project, manifest, &context.docker)?;
    let ids: Vec<String> = running.iter().map(|(_, container)| container.image.clone()).collect();
    let images = context.docker.inspect(&ids)?;
    // An image that was removed under its running container no longer has a size.
    let found: Vec<(&str, &str, &Image)> = running
        .iter()
        .filter_map(|(service, container)| {
            Some((*service, container.config.image.as_str(), images.get(&container.image)?))
        })
        .collect();
    let sizes = image_sizes(&found.iter().map(|(.., image)| *image).collect::<Vec<_>>(), context)?;
    let [edition_label, variant_label] =
        ["edition", "variant"].map(|name| format!("{}.images.{name}", manifest.project));
    let images = found.into_iter().zip(sizes).map(|((service, name, image), bytes)| {
        let label = |label: &str| image.label(label).unwrap_or("unknown");
        let (edition, variant) = (label(&edition_label), label(&variant_label));
        DeployedImage { service, image: name, bytes, edition, variant }
    });
    let record = Deployed { schema: 1, images: images.collect() };
    let json = serde_json::to_vec_pretty(&record).context("the record of deployed images")?;
    files::write_atomically(&context.repository.deployed_images(), &json)
}
