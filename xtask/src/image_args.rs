//! From what was typed to images in the engine: a service in some variant, edition and tag, or any reference.

use anyhow::{Result, bail};
use clap::ValueEnum;
use host::failure::Failure;

use crate::args;
use contents::Asked;
use engine::context::Context;
use engine::environment::require_engine;
use model::image_ref::ImageRef;
use model::manifest::Manifest;
use model::names::Unknown;
use model::variant::Variant;

/// Which image of a service; means nothing for a reference, which says it all.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Which {
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    pub edition: Option<String>,
    /// Tag to look at [default: $SUTRA_VERSION, else latest]
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

/// Finds an image in the engine.
///
/// # Errors
/// Unknown names, options that mean nothing, an image that is not there, no engine.
pub fn find(
    manifest: &Manifest,
    name: &str,
    variant: Option<Variant>,
    which: &Which,
    context: &Context,
) -> Result<Asked> {
    if context.with_engine {
        require_engine(context)?;
    }
    let Some(service) = manifest.services.iter().find(|service| service.name == name) else {
        if variant.is_some() || which.edition.is_some() || which.tag.is_some() {
            let unknown =
                Unknown::new("service", name, manifest.services.iter().map(|service| &service.name));
            bail!(Failure::usage(format!(
                "{unknown}; --variant, --edition and --tag mean nothing for an image's reference"
            )));
        }
        return match look(name, context)? {
            Some(asked) => Ok(asked),
            None if name.contains([':', '/', '@']) => {
                bail!("there is no image `{name}` in the engine\nhelp: docker pull it, or build it")
            }
            None => {
                let known = manifest.services.iter().map(|service| &service.name);
                bail!(Failure::from(Unknown::new("service or image", name, known)))
            }
        };
    };
    let (edition, tag) = (args::edition(which.edition.as_deref())?, args::tag(which.tag.as_deref())?);
    let variant = variant.unwrap_or(Variant::Optimized);
    let reference = ImageRef::of(&service.image, &tag, edition, variant).to_string();
    match look(&reference, context)? {
        Some(asked) => Ok(asked),
        None => bail!(
            "there is no image {reference} in the engine\nhelp: cargo xtask build-images {name} --edition {edition} \
             --variant {variant} --tag {tag}"
        ),
    }
}

fn look(reference: &str, context: &Context) -> Result<Option<Asked>> {
    let found = context.docker.look(reference).or_else(|error| {
        // The question is asked straight away; only where it fails, why.
        require_engine(context)?;
        Err(error)
    })?;
    Ok(found.map(|image| Asked { reference: reference.to_owned(), image }))
}
