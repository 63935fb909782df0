//! A build cache shared through a registry: where each target of a plan reads and writes it.

use anyhow::Result;
use host::failure::Failure;

use crate::plan::BuildPlan;
use engine::bake_report::error_line;
use engine::context::Context;
use engine::environment::require_builder;
use model::image_ref::Registry;

/// A registry that holds build caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCache {
    /// The registry.
    pub registry: Registry,
    /// Whether this run also writes to it.
    pub write: bool,
}

/// Gives every target a cache of its own, `REGISTRY/PROJECT-buildcache:TARGET`: under a shared name only the target built
/// last would be cached. `mode=max` caches the layers of every stage, since an optimized image's final stage only copies
/// from the others.
pub fn attach(plan: &mut BuildPlan, cache: &RegistryCache, project: &str) {
    for (name, target) in &mut plan.definition.target {
        let place = format!("type=registry,ref={}/{project}-buildcache:{name}", cache.registry);
        if cache.write {
            target.cache_to = vec![format!("{place},mode=max")];
        }
        target.cache_from.push(place);
    }
}

/// Checks that the builder can write the cache, if this run is to write it.
///
/// # Errors
/// [`Failure`] when it cannot.
pub fn require_writer(cache: Option<&RegistryCache>, context: &Context) -> Result<()> {
    if !cache.is_some_and(|cache| cache.write) {
        return Ok(());
    }
    match context.docker.writes_registry_cache() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => {
            require_builder(&error_line(&error.tail).unwrap_or_default(), context)?;
            return Err(error.into());
        }
    }
    let what = "this builder cannot write its cache to a registry: it uses the `docker` driver on the classic image store";
    let remedy = "use --builder NAME (create one with `docker buildx create --driver docker-container --name NAME`), enable \
                  the engine's containerd image store, or omit --write-cache to only read the cache";
    Err(Failure::machine(what, remedy).into())
}
