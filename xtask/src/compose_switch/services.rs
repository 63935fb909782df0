//! Checks that services fit the images they would run: the programs they start, and how Compose would build them.

use host::program::PROGRAM;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use check::overrides;
use engine::compose::ComposeService;
use engine::context::Context;
use host::files::lexical;
use model::check_rules::FindingKind;
use model::manifest::{Manifest, Service};
use model::variant::Variant;
use stack::switch::files::PlannedFile;
use stack::switch::own_images::OwnImages;
use stack::switch::proof::Proof;

/// The programs that services run and their images do not have, each with its place.
pub(super) fn missing_programs(
    proof: &Proof,
    files: &[PlannedFile],
    own: &OwnImages<'_>,
    manifest: &Manifest,
    context: &Context,
) -> Result<Vec<String>> {
    let services = proof.services.iter().filter(|(_, service)| own.owns(&service.image));
    let services: BTreeMap<String, ComposeService> =
        services.map(|(name, service)| (name.clone(), service.clone())).collect();
    let found = overrides::findings(&services, manifest, context)?.into_iter();
    let found = found.filter(|found| found.kind == FindingKind::Pruned);
    let line = |found: overrides::OverrideFinding| {
        let place = place(files, &found.service, found.key);
        format!("{place}: {} ({})", found.what, services[&found.service].image)
    };
    Ok(found.map(line).collect())
}

/// The services that `docker compose build` would build from another variant's Dockerfile, each with its place.
pub(super) fn wrong_builds(
    proof: &Proof,
    files: &[PlannedFile],
    own: &OwnImages<'_>,
    manifest: &Manifest,
    variant: Variant,
) -> Vec<String> {
    let mut found = Vec::new();
    for (name, service) in &proof.services {
        let Some(build) = service.build.as_ref().filter(|build| build.dockerfile_inline.is_none()) else {
            continue;
        };
        let Some(ours) = service_of(&service.image, own, manifest) else { continue };
        let dockerfile = lexical(&build.context.join(&build.dockerfile));
        // Without an optimized build, the Compose file's own is the only one.
        let Some(wanted) = ours.dockerfile(variant).filter(|_| ours.has_twin()) else { continue };
        if dockerfile != lexical(Path::new(wanted)) {
            found.push(format!(
                "{}: `docker compose build` would build {} and tag it {}\nhelp: remove `build:`; `{PROGRAM} build-images` builds {wanted}",
                place(files, name, "build"),
                dockerfile.display(),
                service.image
            ));
        }
    }
    found
}

fn service_of<'m>(image: &str, own: &OwnImages<'_>, manifest: &'m Manifest) -> Option<&'m Service> {
    manifest.services.iter().find(|service| service.is_in(image) && own.owns(image))
}

/// `FILE:LINE: service NAME`, with the first file that sets the key: files precede those that they include or extend.
fn place(files: &[PlannedFile], service: &str, key: &str) -> String {
    let mut keys =
        files.iter().flat_map(|file| file.plan.service_keys.iter().map(move |found| (file, found)));
    let found = keys.find(|(_, found)| found.service == service && found.key == key);
    let place = found.map_or(String::new(), |(file, found)| format!("{}:{}: ", file.name, found.line));
    format!("{place}service {service}")
}
