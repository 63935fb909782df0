//! Editions: Dockerfiles use their build arguments, and images differ as the manifest declares. What only a running service
//! shows (`/capabilities`, limits in `/health`) is covered by the contract tests; here the images must at least differ.

use host::program::PROGRAM;
use std::collections::BTreeSet;

use anyhow::Result;

use crate::report::{Finding, FindingKind, Place, Subject};
use contents::analysis::Inside;
use contents::owner::OwnerKind;
use engine::images::Image;
use host::files;
use host::paths::Repository;
use model::build_args::{ArgUsage, usage};
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Build arguments that Dockerfiles must use; BuildKit itself uses SOURCE_DATE_EPOCH.
const ARGUMENTS: [&str; 2] = [EDITION, "VERSION"];
const EDITION: &str = "EDITION";

/// Build arguments that Dockerfiles declare and do not use.
///
/// # Errors
/// When a Dockerfile cannot be read.
pub fn dockerfiles(
    manifest: &Manifest,
    services: &[&Service],
    repository: &Repository,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let passed: Vec<&str> = ARGUMENTS.into_iter().filter(|argument| is_passed(argument, manifest)).collect();
    for service in services {
        for name in service.dockerfiles() {
            let Some(path) = repository.file(name) else { continue };
            let text = files::read(&path)?;
            for argument in passed.iter().copied() {
                found.extend(check_argument(service, name, argument, &usage(&text, argument)));
            }
        }
    }
    found.extend(unused_arguments(manifest, repository)?);
    Ok(found)
}

/// Whether builds pass this argument: only then is it this project's own.
fn is_passed(argument: &str, manifest: &Manifest) -> bool {
    match argument {
        EDITION => manifest.has_editions(),
        _ => !manifest.version.is_empty(),
    }
}

fn check_argument(service: &Service, file: &str, argument: &str, usage: &ArgUsage) -> Vec<Finding> {
    let finding = |line: usize, what: String, remedy: String| Finding {
        place: Some(Place { file: file.to_owned(), line }),
        ..Finding::new(FindingKind::Edition, Vec::new(), what, remedy)
    };
    let unused = |line: &usize| {
        let what = format!("ARG {argument} is not used in its stage");
        finding(*line, what, format!("use ${argument} in the stage, or delete the line"))
    };
    let mut found: Vec<Finding> = usage.unused.iter().map(unused).collect();
    if argument == EDITION && !service.editions.is_empty() && !usage.is_used() && usage.unused.is_empty() {
        let what = "the manifest declares different editions, but this Dockerfile does not use EDITION";
        let remedy =
            "declare `ARG EDITION` and use it where the editions differ, or delete [service.NAME.editions]";
        found.push(finding(1, what.to_owned(), remedy.to_owned()));
    }
    found
}

/// Arguments that every build passes and no optimized Dockerfile uses.
fn unused_arguments(manifest: &Manifest, repository: &Repository) -> Result<Vec<Finding>> {
    let mut texts = Vec::new();
    for service in &manifest.services {
        let optimized = service.dockerfile(Variant::Optimized);
        if let Some(path) = optimized.and_then(|dockerfile| repository.file(dockerfile)) {
            texts.push(files::read(&path)?);
        }
    }
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let is_used = |argument: &&str| texts.iter().any(|text| usage(text, argument).is_used());
    // Without declared editions, EDITION may be unused.
    let matters = |argument: &&&str| {
        let has_differences = || manifest.services.iter().any(|service| !service.editions.is_empty());
        is_passed(argument, manifest) && (**argument != EDITION || has_differences())
    };
    let finding = |argument: &&str| {
        let what = format!("no optimized Dockerfile uses the build argument {argument}");
        Finding::new(
            FindingKind::Edition,
            Vec::new(),
            what,
            format!("use ${argument} where the image depends on it"),
        )
    };
    Ok(ARGUMENTS.iter().filter(matters).filter(|argument| !is_used(argument)).map(finding).collect())
}

/// The Python and npm packages of an image, by normalized names.
pub fn packages(inside: &Inside<'_>) -> BTreeSet<String> {
    let owners = inside.contents.owners.iter();
    owners
        .filter(|owner| matches!(owner.kind, OwnerKind::Python | OwnerKind::Npm))
        .map(|owner| normalized(&owner.name))
        .collect()
}

/// Python treats several spellings of a name as equal (PyPA, "Names and normalization").
fn normalized(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// Differences between an edition's declared and actual packages. `packages`: of the smallest edition, and of this one.
pub fn undeclared(
    service: &Service,
    edition: Edition,
    smallest: Edition,
    (smaller, packages): (&BTreeSet<String>, &BTreeSet<String>),
) -> Vec<Finding> {
    let declared: BTreeSet<String> = service.editions.packages(edition).into_iter().map(normalized).collect();
    let added: BTreeSet<String> = packages.difference(smaller).cloned().collect();
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut found = Vec::new();
    let mut report = |names: Vec<&String>, what: &str, remedy: &str| {
        if !names.is_empty() {
            found.push(finding(service, edition, format!("{what}: {}", list(names)), remedy));
        }
    };
    report(
        declared.difference(&added).collect(),
        "declared packages missing",
        "install them for this EDITION, or remove them from [service.NAME.editions]",
    );
    report(
        added.difference(&declared).collect(),
        "undeclared packages",
        "declare them in [service.NAME.editions], or do not install them",
    );
    report(
        smaller.difference(packages).collect(),
        &format!("packages of {smallest} missing"),
        "install them: a larger edition contains everything of a smaller one",
    );
    found
}

/// A note that an edition could not be compared because the smallest is not built.
pub fn not_compared(service: &Service, edition: Edition, smallest: Edition, tag: &Tag) -> Finding {
    let what = format!("packages were not compared: the {smallest} edition is not built");
    let remedy = format!("{PROGRAM} build-images NAME --edition {smallest} --tag {tag}, then check again");
    finding(service, edition, what, &remedy)
}

/// Editions that are declared to differ from a smaller one and whose images differ in labels only. `images` are in the
/// order of editions.
pub fn identical(service: &Service, images: &[(Edition, &Image)], editions: &[Edition]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, (smaller, one)) in images.iter().enumerate() {
        let above = images.iter().skip(index + 1).filter(|(larger, _)| editions.contains(larger));
        for (larger, other) in above {
            let of = &service.editions;
            let differ = of.packages(*smaller) != of.packages(*larger)
                || of.capabilities(*smaller) != of.capabilities(*larger)
                || of.limits(*smaller) != of.limits(*larger);
            if differ && is_same(one, other) {
                let what = format!("the image differs from {smaller} in labels only");
                let remedy = "use EDITION in the Dockerfile where the editions differ, and rebuild";
                found.push(finding(service, *larger, what, remedy));
            }
        }
    }
    found
}

fn is_same(one: &Image, other: &Image) -> bool {
    let settings = |image: &Image| {
        let config = image.config.clone().unwrap_or_default();
        (config.env, config.working_dir, config.entrypoint, config.cmd)
    };
    one.layers() == other.layers() && settings(one) == settings(other)
}

fn finding(service: &Service, edition: Edition, what: String, remedy: &str) -> Finding {
    let images = vec![Subject::new(&service.name, edition)];
    Finding::new(FindingKind::Edition, images, what, remedy.replace("NAME", &service.name))
}
