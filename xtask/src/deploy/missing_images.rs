//! Images that this engine does not have.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use engine::compose::ComposeService;
use engine::context::Context;
use engine::variables::Variables;
use host::program::PROGRAM;

/// Whether images are missing, but only of services with `replicas: 0`.
///
/// # Errors
/// When any other image is missing and may not be pulled.
pub(super) fn refuse_needed(
    configured: &BTreeMap<String, ComposeService>,
    variables: &Variables,
    context: &Context,
) -> Result<bool> {
    let images: Vec<String> = configured.values().map(|service| service.image.clone()).collect();
    let found = context.docker.inspect(&images)?;
    let missing = || configured.values().filter(|service| !found.contains_key(&service.image));
    let needed: BTreeSet<&str> =
        missing().filter(|service| service.replicas() > 0).map(|service| service.image.as_str()).collect();
    if needed.is_empty() {
        return Ok(missing().next().is_some());
    }
    let pull_policy = variables.own_name("PULL_POLICY");
    if variables.get(&pull_policy).is_some_and(|policy| policy != "never") {
        return Ok(false);
    }
    bail!(
        "images not found: {}\nhelp: build them with `{PROGRAM} build-images`; if the Compose file names a registry, set {pull_policy}=missing",
        needed.into_iter().collect::<Vec<_>>().join(", ")
    )
}
