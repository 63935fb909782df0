//! Whether the registries that images were pushed to still have the local images.

use anyhow::Result;
use host::program::PROGRAM;

use crate::checklist::context::{BuiltImage, CheckContext};
use crate::checklist::listing::{first_of, images};
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::push::digests::Digests;
use engine::registry::RegistryReader;

/// How many images evidence and faults name.
const NAMED: usize = 3;

/// Whether a registry has an image.
enum Place {
    /// `REFERENCE@DIGEST`.
    There(String),
    NotPushed,
    Fault(ItemFault),
}

pub(super) fn digests(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let (mut built, mut faults) = (checks.built_images()?, checks.missing_images(&checks.request.editions)?);
    built.retain(|one| one.service.pulled.is_none());
    // The record is only used to find the registries to query.
    let pushed = Digests::read(&checks.context.repository)?;
    let reader = RegistryReader::new(&checks.context.docker);
    let push = format!(
        "{PROGRAM} push --registry HOST/PATH{} --tag {}",
        checks.edition_option(),
        checks.request.tag
    );
    let (mut there, mut unpushed) = (Vec::new(), Vec::new());
    for one in &built {
        let local = checks.reference(one.service, one.edition);
        match place(one, &local, &pushed, &reader, &push) {
            Place::There(at) => there.push(at),
            Place::NotPushed => unpushed.push(local),
            Place::Fault(fault) => faults.push(fault),
        }
    }
    if !unpushed.is_empty() {
        let what = format!("not pushed: {}", first_of(&unpushed, NAMED));
        faults.push(ItemFault::new(what, format!("{push}, or --skip digests --reason \"no registry\"")));
    }
    let mut evidence = vec![format!("{} of {} in a registry", there.len(), images(built.len()))];
    evidence.extend(there.into_iter().take(NAMED));
    Ok(ItemAnswer::now(faults, evidence))
}

/// Queries each registry that the image was pushed to until one has it.
fn place(
    one: &BuiltImage<'_>,
    local: &str,
    pushed: &Digests,
    reader: &RegistryReader<'_>,
    push: &str,
) -> Place {
    let mut place = Place::NotPushed;
    for at in pushed.tags_of(local) {
        let fault = match reader.look(at) {
            Ok(Some(found)) if found.is(one.image) || pushed.is_of(&found.digest, one.image) => {
                return Place::There(format!("{at}@{}", found.digest));
            }
            Ok(Some(found)) => {
                ItemFault::new(format!("{at} ({}) differs from the local {local}", found.digest), push)
            }
            Ok(None) => ItemFault::new(format!("{at} is missing from the registry"), push),
            Err(error) => {
                let host = at.split('/').next().unwrap_or(at);
                ItemFault::new(format!("cannot query {at}: {error}"), error.remedy(host))
            }
        };
        place = Place::Fault(fault);
    }
    place
}
