//! A common cause of services that do not become healthy: a volume that their user cannot write to.

use std::collections::BTreeMap;

use check::overrides;
use engine::compose::ComposeService;
use engine::context::Context;
use model::check_rules::FindingKind;
use model::manifest::Manifest;

/// Reports such volumes of services that failed to start. Their own error is printed anyway, so it does not matter here if their
/// images cannot be read.
pub(crate) fn report(services: &BTreeMap<String, ComposeService>, manifest: &Manifest, context: &Context) {
    if context.docker.runner.interrupt.check().is_err() {
        return;
    }
    for found in overrides::findings(services, manifest, context).unwrap_or_default() {
        if found.kind == FindingKind::Volume {
            let (service, what, remedy) = (found.service, found.what, found.remedy);
            context.terminal.warn(format!("service {service}: {what}\nhelp: {remedy}"));
        }
    }
}
