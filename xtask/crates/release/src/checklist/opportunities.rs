//! What optimized images could do without, and nobody has said that it is meant.

use std::cmp::Reverse;

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Fault};
use check::report::Subject;
use contents::opportunity::Opportunity;
use model::allowlist::{AllowedOpportunity, Standing};

/// Equal opportunities of several images: a base's is one and not eight.
struct Found<'c> {
    opportunity: &'c Opportunity,
    grown: Option<&'c AllowedOpportunity>,
    images: Vec<Subject>,
}

pub(super) fn opportunities(asked: &Asked<'_>) -> Result<Answer> {
    let (images, mut faults) = (asked.present()?, asked.missing(&asked.wanted.editions)?);
    let contents = asked.contents(&images)?;
    let (allowlist, limit) = (&asked.manifest.allowlist, &asked.manifest.step_limit);
    let (mut found, mut known): (Vec<Found<'_>>, Vec<&AllowedOpportunity>) = (Vec::new(), Vec::new());
    let mut known_images = 0;
    for (one, contents) in images.iter().zip(&contents) {
        for opportunity in &contents.opportunities {
            let grown = match allowlist.judge(
                &one.service.name,
                one.edition,
                opportunity.kind,
                opportunity.bytes,
                limit,
            ) {
                Standing::Small => continue,
                Standing::Allowed(declared) => {
                    known_images += 1;
                    known.push(declared);
                    continue;
                }
                Standing::Grown(declared) => Some(declared),
                Standing::New => None,
            };
            known.extend(grown);
            let same = |other: &&mut Found<'_>| {
                (other.opportunity.kind, other.opportunity.bytes, other.grown)
                    == (opportunity.kind, opportunity.bytes, grown)
            };
            match found.iter_mut().find(same) {
                Some(other) => other.images.push(one.subject()),
                None => found.push(Found { opportunity, grown, images: vec![one.subject()] }),
            }
        }
    }
    found.sort_by_key(|found| Reverse(found.opportunity.bytes));
    faults.extend(found.iter().map(fault));
    let mut evidence = vec![format!(
        "{} read; {known_images} opportunities of at least {} are known and meant, {} are new",
        crate::checklist::images(images.len()),
        allowlist.min_size,
        found.len()
    )];
    let is_asked = |known: &&AllowedOpportunity| {
        images.iter().any(|one| known.applies_to(&one.service.name, one.edition))
    };
    let gone = allowlist.entries.iter().filter(is_asked).filter(|one| !known.contains(one));
    evidence.extend(gone.map(gone_line));
    Ok(Answer::now(faults, evidence))
}

fn fault(found: &Found<'_>) -> Fault {
    let Opportunity { kind, bytes, files, remedy, largest, .. } = found.opportunity;
    let first = largest.first().map(|file| format!(", such as {}", file.path)).unwrap_or_default();
    let was = found.grown.map(|known| format!("; {} were known", known.bytes)).unwrap_or_default();
    let files = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let what = format!("{}: {}, {bytes} in {files}{first}{was}", Subject::list(&found.images), kind.words());
    Fault::new(what, format!("{remedy}; or, where it is meant, [[opportunities.known]] in images.toml"))
}

fn gone_line(known: &AllowedOpportunity) -> String {
    let (services, kind) = (known.services.join(", "), known.kind.words());
    format!("gone: {kind} of {services} ({}): its row in images.toml can go", known.bytes)
}
