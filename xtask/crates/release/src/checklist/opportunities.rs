//! Opportunities to shrink optimized images that the manifest does not declare.

use std::cmp::Reverse;

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::listing::images;
use crate::checklist::report::{ItemAnswer, ItemFault};
use check::report::Subject;
use contents::opportunity::Opportunity;
use model::allowlist::{AllowedOpportunity, Standing};

/// An opportunity, once for all images that share it through a base.
struct UndeclaredOpportunity<'c> {
    opportunity: &'c Opportunity,
    /// The declaration that it has outgrown.
    grown: Option<&'c AllowedOpportunity>,
    images: Vec<Subject>,
}

pub(super) fn opportunities(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let (built, mut faults) = (checks.built_images()?, checks.missing_images(&checks.request.editions)?);
    let contents = checks.contents(&built)?;
    let (allowlist, step) = (&checks.manifest.allowlist, &checks.manifest.step_limit);
    let (mut found, mut matched): (Vec<UndeclaredOpportunity<'_>>, Vec<&AllowedOpportunity>) =
        (Vec::new(), Vec::new());
    let mut declared_count = 0;
    for (one, contents) in built.iter().zip(&contents) {
        for opportunity in &contents.opportunities {
            let (kind, bytes) = (opportunity.kind, opportunity.bytes);
            let grown = match allowlist.judge(&one.service.name, one.edition, kind, bytes, step) {
                Standing::Small => continue,
                Standing::Allowed(declared) => {
                    declared_count += 1;
                    matched.push(declared);
                    continue;
                }
                Standing::Grown(declared) => Some(declared),
                Standing::New => None,
            };
            matched.extend(grown);
            let same = |other: &&mut UndeclaredOpportunity<'_>| {
                (other.opportunity.kind, other.opportunity.bytes, other.grown) == (kind, bytes, grown)
            };
            match found.iter_mut().find(same) {
                Some(other) => other.images.push(one.subject()),
                None => found.push(UndeclaredOpportunity { opportunity, grown, images: vec![one.subject()] }),
            }
        }
    }
    found.sort_by_key(|found| Reverse(found.opportunity.bytes));
    faults.extend(found.iter().map(fault));
    let mut evidence = vec![format!(
        "{}: {declared_count} declared opportunities of at least {}, {} undeclared",
        images(built.len()),
        allowlist.min_size,
        found.len()
    )];
    let is_checked = |known: &&AllowedOpportunity| {
        built.iter().any(|one| known.applies_to(&one.service.name, one.edition))
    };
    let gone = allowlist.entries.iter().filter(is_checked).filter(|one| !matched.contains(one));
    evidence.extend(gone.map(|known| {
        let (services, kind) = (known.services.join(", "), known.kind.words());
        format!("no longer found: {kind} of {services} ({}); remove its entry from images.toml", known.bytes)
    }));
    Ok(ItemAnswer::now(faults, evidence))
}

fn fault(found: &UndeclaredOpportunity<'_>) -> ItemFault {
    let Opportunity { kind, bytes, files, remedy, largest, .. } = found.opportunity;
    let example = largest.first().map(|file| format!(", such as {}", file.path)).unwrap_or_default();
    let declared = found.grown.map(|known| format!("; {} declared", known.bytes)).unwrap_or_default();
    let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let about = Subject::list(&found.images);
    ItemFault::new(
        format!("{about}: {}, {bytes} in {files}{example}{declared}", kind.words()),
        format!("{remedy}; or declare it in images.toml under [[opportunities.known]]"),
    )
}
