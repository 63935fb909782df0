//! The option that reads the images of services from a registry.

use std::sync::Arc;

use anyhow::Result;

use crate::args::parse;
use engine::blob_cache::BlobCache;
use engine::context::Context;
use engine::environment::require_engine;
use engine::registry_images::RegistryImages;
use model::platform::Platform;

/// Where to read the images of services from.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ImagesFrom {
    /// Read the services' images from a registry, HOST[:PORT][/PATH], layer by layer [default: from the engine]
    #[arg(long, value_name = "REGISTRY")]
    registry: Option<String>,
}

impl ImagesFrom {
    /// Makes sure that an engine answers if images are read from it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn require_engine(&self, context: &Context) -> Result<()> {
        if self.registry.is_some() { Ok(()) } else { require_engine(context) }
    }

    /// The context, set to read images from the registry if one was given.
    ///
    /// # Errors
    /// When the registry is invalid.
    pub fn context(&self, platform: Option<&Platform>, context: &Context) -> Result<Context> {
        let mut context = context.clone();
        if let Some(text) = &self.registry {
            let cache = BlobCache::new(context.repository.registry_layers());
            let runner = &context.docker.runner;
            let images = RegistryImages::new(parse(text, "--registry")?, platform.cloned(), cache, runner);
            context.docker.registry = Some(Arc::new(images));
        }
        Ok(context)
    }
}
