//! What optimized images could do without, and nobody has said that it is meant.

use anyhow::Result;

use super::asked::Asked;
use crate::capabilities::contents::{self, Asked as Image};
use crate::domain::bytes::Bytes;
use crate::domain::check::Subject;
use crate::domain::checklist::{Answer, Fault};
use crate::domain::contents::known::{Known, Standing};
use crate::domain::contents::opportunity::Opportunity;

/// Equal opportunities of several images: a base's is one and not eight.
struct Found<'c> {
    opportunity: &'c Opportunity,
    grown: Option<&'c Known>,
    images: Vec<Subject>,
}

pub(super) fn opportunities(asked: &Asked<'_>) -> Result<Answer> {
    let (images, mut faults) = asked.each()?;
    let of = |(service, edition, image): &(
        &crate::domain::manifest::Service,
        _,
        &crate::docker::images::Image,
    )| Image { reference: asked.reference(service, *edition), image: (*image).clone() };
    let wanted: Vec<Image> = images.iter().map(of).collect();
    let contents = contents::analyze(&wanted, asked.manifest, asked.context)?;
    let (meant, step) = (&asked.manifest.meant, &asked.manifest.step);
    let (mut found, mut known): (Vec<Found<'_>>, Vec<&Known>) = (Vec::new(), Vec::new());
    let mut known_images = 0;
    for ((service, edition, _), contents) in images.iter().zip(&contents) {
        for opportunity in &contents.opportunities {
            let grown = match meant.judge(&service.name, *edition, opportunity, step) {
                Standing::Small => continue,
                Standing::Known(one) => {
                    known_images += 1;
                    known.push(one);
                    continue;
                }
                Standing::Grown(one) => Some(one),
                Standing::New => None,
            };
            known.extend(grown);
            let subject = Subject::new(&service.name, edition);
            let same = |other: &&mut Found<'_>| {
                (other.opportunity.kind, other.opportunity.bytes, other.grown)
                    == (opportunity.kind, opportunity.bytes, grown)
            };
            match found.iter_mut().find(same) {
                Some(other) => other.images.push(subject),
                None => found.push(Found { opportunity, grown, images: vec![subject] }),
            }
        }
    }
    found.sort_by(|a, b| b.opportunity.bytes.cmp(&a.opportunity.bytes));
    faults.extend(found.iter().map(fault));
    let mut evidence = vec![format!(
        "{} read; {known_images} opportunities of at least {} are known and meant, {} are new",
        super::images(images.len()),
        meant.least,
        found.len()
    )];
    let is_asked =
        |one: &&Known| images.iter().any(|(service, edition, _)| one.is_of(&service.name, *edition));
    let gone = meant.known.iter().filter(is_asked).filter(|one| !known.contains(one));
    evidence.extend(gone.map(gone_line));
    Ok(Answer::now(faults, evidence))
}

fn fault(found: &Found<'_>) -> Fault {
    let Opportunity { kind, bytes, files, remedy, largest, .. } = found.opportunity;
    let first = largest.first().map(|file| format!(", such as {}", file.path)).unwrap_or_default();
    let was = found.grown.map(|known| format!("; {} were known", known.bytes)).unwrap_or_default();
    let what =
        format!("{}: {}, {bytes} in {files} files{first}{was}", Subject::told(&found.images), kind.words());
    Fault::new(what, format!("{remedy}; or, where it is meant, [[opportunities.known]] in images.toml"))
}

fn gone_line(known: &Known) -> String {
    let (services, kind, Bytes(_)) = (known.services.join(", "), known.kind.words(), known.bytes);
    format!("gone: {kind} of {services} ({}): its row in images.toml can go", known.bytes)
}
