//! What was deployed, for services that show it: they have no engine to ask (DESIGN: "Services", control).

use anyhow::{Context as _, Result};
use serde::Serialize;

use build::image_sizes::image_sizes;
use engine::compose::Project;
use engine::context::Context;
use engine::images::Image;
use engine::labels;
use host::files;
use host::paths::Repository;
use model::bytes::Bytes;
use model::manifest::Manifest;

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

/// Makes the folder of the record, which the Compose file mounts: were it the engine that made it, it would be root's. What runs
/// in containers reads it, whatever the umask here.
///
/// # Errors
/// When it cannot be made or opened to others.
pub fn prepare(repository: &Repository) -> Result<()> {
    files::create_public_dir(&repository.deployed())
}

/// Writes down the images that the stack's containers run, with their unpacked bytes. To be called once they run, so that
/// the record of a stack that did not rise is that of the one before.
///
/// # Errors
/// When docker cannot be asked, or the record not be written.
pub fn write(manifest: &Manifest, project: &Project, context: &Context) -> Result<()> {
    let running = crate::deploy::containers(project, manifest, &context.docker)?;
    let images: Vec<String> = running.iter().map(|(_, container)| container.image.clone()).collect();
    let there = context.docker.inspect(&images)?;
    // An image that was removed below its container has no size any more.
    let found: Vec<(&str, &str, &Image)> = running
        .iter()
        .filter_map(|(service, container)| {
            Some((*service, container.config.image.as_str(), there.get(&container.image)?))
        })
        .collect();
    let sizes = image_sizes(&found.iter().map(|(.., image)| *image).collect::<Vec<_>>(), context)?;
    let label = |image: &'_ Image, name: &str| image.label(name).unwrap_or("unknown").to_owned();
    let (edition, variant) = (labels::edition(&manifest.project), labels::variant(&manifest.project));
    let labels: Vec<(String, String)> =
        found.iter().map(|(.., image)| (label(image, &edition), label(image, &variant))).collect();
    let images =
        found.iter().zip(sizes).zip(&labels).map(|(((service, image, _), bytes), (edition, variant))| {
            DeployedImage { service, image, bytes, edition, variant }
        });
    let record = Deployed { schema: 1, images: images.collect() };
    let json = serde_json::to_vec_pretty(&record).context("the record of images")?;
    files::write_atomically(&context.repository.deployed_images(), &json)
}
