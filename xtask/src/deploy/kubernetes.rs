//! `deploy --kubernetes`.

use anyhow::Result;

use crate::deploy::cluster::ClusterArgs;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use model::manifest::Manifest;
use stack::deploy;

/// # Errors
/// As Compose reports them.
pub(super) fn run(
    args: &ClusterArgs,
    profiles: &[String],
    manifest: &Manifest,
    variables: Variables,
    context: &Context,
) -> Result<()> {
    let version = super::version(args.edition.as_deref(), args.tag.as_deref(), manifest, &variables)?;
    require_engine(context)?;
    let project = deploy::project(&variables, manifest, context).profiles(profiles);
    let project = project.variable(manifest.variable("VERSION"), version).for_cluster()?;
    for key in project.unread() {
        context.terminal.warn(format!("{key:?}"));
    }
    Ok(())
}
