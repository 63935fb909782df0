//! Whether the images that are here are the ones that a registry has.

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Fault};
use build::push::digests::Digests;
use model::edition::Edition;

pub(super) fn digests(asked: &Asked<'_>) -> Result<Answer> {
    let (images, mut faults) = (asked.present()?, asked.missing(&asked.wanted.editions)?);
    let pushed = Digests::read(&asked.context.repository)?;
    let (mut known, mut unpushed, mut other) = (Vec::new(), Vec::new(), Vec::new());
    for one in &images {
        let local = asked.reference(one.service, one.edition);
        let references: Vec<&str> = pushed.tags_of(&local).collect();
        let digest = references.iter().find_map(|at| Some((at, pushed.digest_of(at, Some(one.image))?)));
        match digest {
            Some((at, digest)) => known.push(format!("{at}@{digest}")),
            None if references.is_empty() => unpushed.push(local),
            None => other.push(format!("{} is another image than {local} here", references.join(", "))),
        }
    }
    let edition = match asked.wanted.editions.as_slice() {
        [one] => one.name(),
        _ => "all",
    };
    let push =
        format!("cargo xtask push --registry HOST/PATH --edition {edition} --tag {}", asked.wanted.tag);
    faults.extend(other.into_iter().map(|what| Fault::new(what, push.clone())));
    if !unpushed.is_empty() {
        let what = match unpushed.as_slice() {
            [one] => format!("{one} was not pushed"),
            [first, ..] if unpushed.len() == images.len() => {
                format!("none of {} was pushed ({first} …)", crate::checklist::images(images.len()))
            }
            [first, ..] => {
                format!(
                    "{} of {} were not pushed ({first} …)",
                    unpushed.len(),
                    crate::checklist::images(images.len())
                )
            }
            [] => String::new(),
        };
        faults.push(Fault::new(what, format!("{push}, or --skip digests --reason \"no registry\"")));
    }
    let evidence = vec![format!(
        "{} of {} have the digest of a push",
        known.len(),
        crate::checklist::images(images.len())
    )];
    Ok(Answer::now(faults, evidence.into_iter().chain(known).take(1 + Edition::ALL.len()).collect()))
}
