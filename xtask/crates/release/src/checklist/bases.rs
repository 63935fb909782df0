//! Whether upstream images, and Debian's packages in our own, are the newest.

use host::failure::Failure;
use std::collections::BTreeMap;

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::newest;
use crate::checklist::newest::{Registry, State};
use crate::checklist::report::{Answer, Fault};
use build::bases::{self, BaseSource, BasesMode};
use check::report::Subject;
use contents::owner::OwnerKind;
use model::manifest::Upstream;

/// Builds whose layers are all made anew.
const ANEW: &str =
    "cargo xtask build-images --edition all --no-cache --pull, then cargo xtask check --edition all";

pub(super) fn bases(asked: &Asked<'_>) -> Result<Answer> {
    let (images, mut faults) = (asked.present()?, asked.missing(&asked.wanted.editions)?);
    let contents = asked.contents(&images)?;
    // Images of two builds may hold one package in two versions.
    let mut packages: BTreeMap<(&str, &str), Vec<Subject>> = BTreeMap::new();
    let mut unversioned: BTreeMap<&str, Vec<Subject>> = BTreeMap::new();
    for (one, contents) in images.iter().zip(&contents) {
        for owner in contents.owners.iter().filter(|owner| owner.kind == OwnerKind::Dpkg) {
            match &owner.version {
                Some(version) => packages.entry((&owner.name, version)).or_default().push(one.subject()),
                // A licence beside a program that is linked with the package.
                None => unversioned.entry(&owner.name).or_default().push(one.subject()),
            }
        }
    }
    let answers = newest::ask(asked, Registry::Debian, packages.keys().copied())?;
    let mut current = 0;
    for answer in &answers {
        let holders = packages.get(&(answer.name.as_str(), answer.used.as_str()));
        let about = Subject::list(holders.map(Vec::as_slice).unwrap_or_default());
        match &answer.state {
            State::Current => current += 1,
            State::Newer(newest) => {
                faults
                    .push(Fault::new(format!("{} {} → {newest} ({about})", answer.name, answer.used), ANEW));
            }
            State::Gone => {
                let what = format!("{} {}: Debian has none any more ({about})", answer.name, answer.used);
                faults.push(Fault::new(what, "name its successor in the Dockerfile that takes it"));
            }
        }
    }
    let mut evidence = vec![format!(
        "{current} of {} Debian packages in {} are the newest",
        answers.len(),
        crate::checklist::images(images.len())
    )];
    evidence.extend(unversioned.iter().map(|(name, holders)| {
        format!("{name}: no image says in which version ({})", Subject::list(holders))
    }));
    let upstreams: Vec<&Upstream> = asked.manifest.upstreams.iter().collect();
    match bases::choose(BasesMode::Auto, &upstreams, None, asked.context)?.source {
        BaseSource::StandIn => evidence.push(
            "upstream images are stand-ins made from Debian packages here: there is no registry to ask"
                .to_owned(),
        ),
        BaseSource::Upstream => digests(asked, &upstreams, &mut faults, &mut evidence)?,
    }
    Ok(Answer::now(faults, evidence))
}

/// The engine's upstream images beside their registry's.
fn digests(
    asked: &Asked<'_>,
    upstreams: &[&Upstream],
    faults: &mut Vec<Fault>,
    evidence: &mut Vec<String>,
) -> Result<()> {
    let docker = &asked.context.docker;
    let references: Vec<String> = upstreams.iter().map(|upstream| upstream.reference.clone()).collect();
    let here = docker.inspect(&references)?;
    for reference in references {
        let Some(image) = here.get(&reference) else {
            evidence.push(format!("{reference}: not in the engine, so that every build asks its registry"));
            continue;
        };
        let newest = docker.digest_in_registry(&reference)?.map_err(|said| {
            Failure::machine(
                format!("the registry of {reference} does not answer: {said}"),
                "ask again when it does",
            )
        })?;
        match image.digest_at(&reference) {
            Some(digest) if digest == newest => evidence.push(format!("{reference}: {newest}, the newest")),
            Some(digest) => faults.push(Fault::new(
                format!("{reference}: {digest} → {newest}"),
                format!("docker pull {reference}, then {ANEW}"),
            )),
            None => evidence.push(format!("{reference}: loaded or made here, from no registry")),
        }
    }
    Ok(())
}
