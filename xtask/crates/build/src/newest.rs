//! Questions to package registries. A build asks them: builds reach registries wherever images are built, and apt verifies what
//! the archive answers.

use anyhow::{Context as _, Result};

use crate::builds;
use crate::planner::BuildQuery;
use engine::context::Context;
use host::files;
use model::manifest::Manifest;

/// Runs a stage of the Dockerfile that asks registries about packages, and returns its answer.
///
/// # Errors
/// When the build fails: no network, no registry.
pub fn ask(manifest: &Manifest, stage: &str, packages: &[String], context: &Context) -> Result<String> {
    let repository = &context.repository;
    let folder = repository.newest(stage);
    files::create_dir(&folder)?;
    let answer = folder.join("answer");
    files::remove(&answer)?;
    let query = BuildQuery {
        dockerfile: repository.newest_dockerfile(),
        stage,
        args: vec![("PACKAGES", packages.join(" "))],
        output: &folder,
    };
    builds::query(manifest, &query, context)
        .with_context(|| format!("cannot find the newest versions ({stage})"))?;
    files::read(&answer)
}
