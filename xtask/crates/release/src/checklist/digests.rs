//! Whether the local images are the ones that were pushed.

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::listing::{first_of, images};
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::push::digests::Digests;

/// How many images evidence and faults name.
const NAMED: usize = 3;

pub(super) fn digests(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let (built, mut faults) = (checks.built_images()?, checks.missing_images(&checks.request.editions)?);
    let pushed = Digests::read(&checks.context.repository)?;
    let push = format!(
        "cargo xtask push --registry HOST/PATH --edition {} --tag {}",
        checks.edition_argument(),
        checks.request.tag
    );
    let (mut known, mut unpushed) = (Vec::new(), Vec::new());
    for one in &built {
        let local = checks.reference(one.service, one.edition);
        let references: Vec<&str> = pushed.tags_of(&local).collect();
        let digest = references.iter().find_map(|at| Some((at, pushed.digest_of(at, Some(one.image))?)));
        match digest {
            Some((at, digest)) => known.push(format!("{at}@{digest}")),
            None if references.is_empty() => unpushed.push(local),
            None => {
                let what = format!("{} differs from the local {local}", references.join(", "));
                faults.push(ItemFault::new(what, push.clone()));
            }
        }
    }
    if !unpushed.is_empty() {
        let what = format!("not pushed: {}", first_of(&unpushed, NAMED));
        faults.push(ItemFault::new(what, format!("{push}, or --skip digests --reason \"no registry\"")));
    }
    let mut evidence = vec![format!("{} of {} pushed", known.len(), images(built.len()))];
    evidence.extend(known.into_iter().take(NAMED));
    Ok(ItemAnswer::now(faults, evidence))
}
