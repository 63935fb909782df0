//! Resolves command-line arguments to images: a service's image in the engine, else an image from anywhere.

use anyhow::{Result, bail};
use clap::ValueEnum;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;

use crate::{args, image_sources};
use contents::image::{ImageSource, ImageToAnalyze};
use engine::context::Context;
use engine::environment::require_engine;
use engine::oci::Platform;
use model::manifest::{Manifest, Service};
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

/// Finds an image by a service's name, or anywhere.
///
/// # Errors
/// Unknown names, options that do not apply, a missing image, no engine.
pub fn find(
    manifest: Option<&Manifest>,
    name: &str,
    variant: Option<Variant>,
    args: &ServiceImageArgs,
    platform: Option<&Platform>,
    context: &Context,
) -> Result<ImageSource> {
    let services = manifest.map(|manifest| manifest.services.as_slice()).unwrap_or_default();
    if let Some((manifest, service)) = manifest.zip(services.iter().find(|service| service.name == name)) {
        let chosen = platform.map_or_else(|| service.clone(), |platform| service.on(platform));
        let image = of_service(manifest, &chosen, variant, args, context)?;
        return Ok(ImageSource::Engine(Box::new(image)));
    }
    let unknown = || Unknown::new("service", name, services.iter().map(|service| &service.name));
    let not_a_service = || match manifest {
        Some(_) => unknown().to_string(),
        None => format!("`{name}` is not a service: no manifest was found"),
    };
    if variant.is_some() || args.edition.is_some() || args.tag.is_some() {
        let what = not_a_service();
        bail!(Failure::usage(format!(
            "{what}; options that select a service's image do not apply to other images"
        )));
    }
    if context.docker.registry.is_some() {
        let what = format!("{}; --registry applies only to services", not_a_service());
        let help = "omit --registry; an image in a registry has a name such as registry:HOST/NAME:TAG";
        bail!(Failure::new(FailureClass::Usage, what, help));
    }
    // A name that looks like a reference or a path was not meant as a service.
    let is_word = !name.contains([':', '/', '@', '.']);
    let not_a_service = manifest.filter(|_| is_word).map(|_| unknown().to_string());
    image_sources::resolve(name, platform, not_a_service, context)
}

fn of_service(
    manifest: &Manifest,
    service: &Service,
    variant: Option<Variant>,
    args: &ServiceImageArgs,
    context: &Context,
) -> Result<ImageToAnalyze> {
    let is_in_engine = context.docker.registry.is_none();
    if is_in_engine && context.with_engine {
        require_engine(context)?;
    }
    let name = &service.name;
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
    let found = context.docker.look(&reference).or_else(|error| {
        // Checking the engine first would slow down every run, so it is checked only to explain a failure.
        if is_in_engine {
            require_engine(context)?;
        }
        Err(error)
    })?;
    match found {
        Some(image) => Ok(ImageToAnalyze { reference, image }),
        None if !is_in_engine => bail!("image {reference} is not in the registry"),
        None if service.pulled.is_some() => {
            bail!("image {reference} is not in the engine\nhelp: docker pull {reference}")
        }
        None => {
            let option = if service.has_twin() { format!(" --variant {variant}") } else { String::new() };
            let platform =
                service.chosen.as_ref().map(|one| format!(" --platform {one}")).unwrap_or_default();
            bail!(
                "image {reference} is not in the engine\nhelp: {PROGRAM} build-images {name}{}{option} --tag {tag}{platform}",
                edition.option()
            )
        }
    }
}
