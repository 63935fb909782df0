//! A common cause of services that do not become healthy: a volume that their user cannot write to.

use check::overrides;
use engine::context::Context;
use model::check_rules::FindingKind;
use model::manifest::Manifest;
use stack::deploy::not_healthy::NotHealthy;

/// If services did not become healthy, warns about volumes that they cannot write to. Errors are ignored: the caller reports why
/// the services failed.
pub(crate) fn warn(error: &anyhow::Error, manifest: &Manifest, context: &Context) {
    let Some(not_healthy) = error.downcast_ref::<NotHealthy>() else { return };
    for found in overrides::findings(&not_healthy.failed(), manifest, context).unwrap_or_default() {
        if found.kind == FindingKind::Volume {
            let (service, what, remedy) = (found.service, found.what, found.remedy);
            context.terminal.warn(format!("service {service}: {what}\nhelp: {remedy}"));
        }
    }
}
