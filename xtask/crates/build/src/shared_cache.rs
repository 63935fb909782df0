//! The build cache that machines share through a registry: where each target of a plan reads and writes it.

use anyhow::Result;
use host::failure::Failure;

use crate::plan::BuildPlan;
use engine::context::Context;
use model::image_ref::Registry;

/// A registry that holds build caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryCache {
    /// Where.
    pub registry: Registry,
    /// Whether this run writes it, too.
    pub write: bool,
}

/// Gives every target its own cache: `REGISTRY/PROJECT-buildcache:TARGET`. One name for several would hold what was built last
/// alone. Written are the layers of every stage (`mode=max`): what optimized images end with is a copy out of the others.
pub fn attach(plan: &mut BuildPlan, cache: &RegistryCache, project: &str) {
    for (name, target) in &mut plan.definition.target {
        let place = format!("type=registry,ref={}/{project}-buildcache:{name}", cache.registry);
        if cache.write {
            target.cache_to = vec![format!("{place},mode=max")];
        }
        target.cache_from = vec![place];
    }
}

/// Makes sure that the builder can do what is asked of it.
///
/// # Errors
/// [`Failure`], when the cache is to be written and this builder cannot.
pub fn require_writer(cache: Option<&RegistryCache>, builder: Option<&str>, context: &Context) -> Result<()> {
    if !cache.is_some_and(|cache| cache.write) || context.docker.writes_registry_cache(builder)? {
        return Ok(());
    }
    let what = "this builder cannot write its cache to a registry: its driver is `docker`, on the classic image store";
    let remedy = "name another with --builder (`docker buildx create --driver docker-container --name NAME` makes one), turn \
                  on the engine's containerd image store, or leave --write-cache out: the cache is then only read";
    Err(Failure::machine(what, remedy).into())
}
