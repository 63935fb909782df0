//! Whether base images, and the Debian packages in our images, are up to date.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::listing::images;
use crate::checklist::newest::{self, PackageRegistry, VersionState};
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::bases::{self, BaseSource, BasesMode};
use build::upstreams::NeededUpstreams;
use check::report::Subject;
use contents::owner::OwnerKind;
use host::failure::{Failure, FailureClass};
use model::manifest::Upstream;

fn rebuild() -> String {
    format!("{PROGRAM} build-images --edition all --refresh, then {PROGRAM} check --edition all")
}

pub(super) fn bases(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let mut answer = ItemAnswer::now(checks.missing_images(&checks.request.editions)?, Vec::new());
    packages(checks, &mut answer)?;
    let upstreams = NeededUpstreams::here(checks.manifest.upstreams.iter().collect());
    match bases::choose(BasesMode::Auto, &upstreams, checks.context)?.source {
        BaseSource::StandIn => answer.evidence.push(
            "base images are stand-ins made from Debian packages: no registry to compare with".to_owned(),
        ),
        BaseSource::Upstream => upstream_digests(checks, &upstreams.images, &mut answer)?,
    }
    Ok(answer)
}

fn packages(checks: &CheckContext<'_>, answer: &mut ItemAnswer) -> Result<()> {
    let built = checks.built_images()?;
    // Images of different builds may hold different versions of a package.
    let mut packages: BTreeMap<(&str, &str), Vec<Subject>> = BTreeMap::new();
    let mut unversioned: BTreeMap<&str, Vec<Subject>> = BTreeMap::new();
    let contents = checks.contents(&built)?;
    for (one, contents) in built.iter().zip(&contents) {
        for owner in contents.owners.iter().filter(|owner| owner.kind == OwnerKind::Dpkg) {
            match &owner.version {
                Some(version) => packages.entry((&owner.name, version)).or_default().push(one.subject()),
                // A licence next to a program that is linked with the package.
                None => unversioned.entry(&owner.name).or_default().push(one.subject()),
            }
        }
    }
    let versions = newest::ask(checks, PackageRegistry::Debian, packages.keys().copied())?;
    for version in &versions {
        let holders = packages.get(&(version.name.as_str(), version.used.as_str()));
        let about = Subject::list(holders.map(Vec::as_slice).unwrap_or_default());
        let package = format!("{} {}", version.name, version.used);
        match &version.state {
            VersionState::Current => {}
            VersionState::Newer(newest) => {
                answer.faults.push(ItemFault::new(format!("{package} → {newest} ({about})"), rebuild()));
            }
            VersionState::Gone => answer.faults.push(ItemFault::new(
                format!("{package}: no longer in Debian ({about})"),
                "replace it with its successor in the Dockerfile",
            )),
        }
    }
    let current = versions.iter().filter(|version| version.state == VersionState::Current).count();
    answer.evidence.push(format!(
        "{current} of {} Debian packages in {} are up to date",
        versions.len(),
        images(built.len())
    ));
    let unknown = |(name, holders): (&&str, &Vec<Subject>)| {
        format!("{name}: version unknown ({})", Subject::list(holders))
    };
    answer.evidence.extend(unversioned.iter().map(unknown));
    Ok(())
}

/// Compares the engine's base images with their registry.
fn upstream_digests(
    checks: &CheckContext<'_>,
    upstreams: &[&Upstream],
    answer: &mut ItemAnswer,
) -> Result<()> {
    let docker = &checks.context.docker;
    let references: Vec<String> = upstreams.iter().map(|upstream| upstream.reference.clone()).collect();
    let pulled = docker.inspect(&references)?;
    for reference in references {
        let Some(image) = pulled.get(&reference) else {
            answer.evidence.push(format!("{reference}: not in the engine; each build asks its registry"));
            continue;
        };
        let newest = docker.digest_in_registry(&reference)?.map_err(|stderr| {
            let what = format!("cannot read the digest of {reference} from its registry: {stderr}");
            Failure::new(FailureClass::Network, what, FailureClass::Network.remedy())
        })?;
        match image.digest_at(&reference) {
            Some(digest) if digest == newest => {
                answer.evidence.push(format!("{reference}: up to date, {newest}"))
            }
            Some(digest) => answer.faults.push(ItemFault::new(
                format!("{reference}: {digest} → {newest}"),
                format!("docker pull {reference}, then {}", rebuild()),
            )),
            None => answer.evidence.push(format!("{reference}: not pulled from a registry")),
        }
    }
    Ok(())
}
