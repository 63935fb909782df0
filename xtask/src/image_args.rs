//! Resolves command-line arguments to images in the engine: a service's image, or any reference.

use anyhow::{Result, bail};
use clap::ValueEnum;
use host::failure::Failure;
use host::program::PROGRAM;

use crate::args;
use contents::image::ImageToAnalyze;
use engine::context::Context;
use engine::environment::require_engine;
use model::manifest::Manifest;
use model::names::Unknown;
use model::variant::Variant;

/// Which image of a service; invalid for a reference, which is complete in itself.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServiceImageArgs {
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    pub edition: Option<String>,
    /// Tag of the image [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    pub tag: Option<String>,
}

/// One of a service's two images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OneVariant {
    /// Dockerfile.optimized
    Optimized,
    /// Dockerfile
    Original,
}

impl OneVariant {
    /// As a variant.
    pub fn resolve(self) -> Variant {
        match self {
            OneVariant::Optimized => Variant::Optimized,
            OneVariant::Original => Variant::Original,
        }
    }
}

/// Finds an image in the engine by a service's name or a reference.
///
/// # Errors
/// Unknown names, options that do not apply, a missing image, no engine.
pub fn find(
    manifest: &Manifest,
    name: &str,
    variant: Option<Variant>,
    args: &ServiceImageArgs,
    context: &Context,
) -> Result<ImageToAnalyze> {
    if context.with_engine {
        require_engine(context)?;
    }
    let names = || manifest.services.iter().map(|service| &service.name);
    let Some(service) = manifest.services.iter().find(|service| service.name == name) else {
        if variant.is_some() || args.edition.is_some() || args.tag.is_some() {
            let unknown = Unknown::new("service", name, names());
            bail!(Failure::usage(format!(
                "{unknown}; options that select a service's image do not apply to image references"
            )));
        }
        return match inspect(name, context)? {
            Some(image) => Ok(image),
            None if name.contains([':', '/', '@']) => {
                bail!("image `{name}` is not in the engine\nhelp: docker pull {name}")
            }
            None => bail!(Failure::from(Unknown::new("service or image", name, names()))),
        };
    };
    let (edition, tag) =
        (args::edition(manifest, args.edition.as_deref())?, args::tag(manifest, args.tag.as_deref())?);
    let variant = variant.unwrap_or(service.shipped());
    if !service.has(variant) {
        let what = format!("`{name}` has no {variant} image, only one: omit --variant");
        bail!(Failure::usage(what));
    }
    if !service.exists_in(edition) {
        let names: Vec<&str> = service.editions_in.iter().map(|edition| edition.name()).collect();
        bail!(Failure::usage(format!("`{name}` is not in edition {edition}, only in {}", names.join(", "))));
    }
    let reference = service.reference(&tag, edition, variant).to_string();
    match inspect(&reference, context)? {
        Some(image) => Ok(image),
        None if service.pulled.is_some() => {
            bail!("image {reference} is not in the engine\nhelp: docker pull {reference}")
        }
        None => {
            let option = if service.has_twin() { format!(" --variant {variant}") } else { String::new() };
            bail!(
                "image {reference} is not in the engine\nhelp: {PROGRAM} build-images {name}{}{option} --tag {tag}",
                edition.option()
            )
        }
    }
}

fn inspect(reference: &str, context: &Context) -> Result<Option<ImageToAnalyze>> {
    let found = context.docker.look(reference).or_else(|error| {
        // Checking the engine first would slow down every run, so it is checked only to explain a failure.
        require_engine(context)?;
        Err(error)
    })?;
    Ok(found.map(|image| ImageToAnalyze { reference: reference.to_owned(), image }))
}
