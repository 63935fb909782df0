//! The edition proof: Dockerfiles read what they are told, and images of several editions differ as the manifest declares.
//! What only a running service shows (`/capabilities`, limits in `/health`) is held against the manifest by the contract
//! tests; here images must at least not be the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::report::{Finding, Kind, Place, Subject};
use contents::analysis::Inside;
use contents::owner::OwnerKind;
use engine::images::Image;
use host::files;
use host::paths::Repository;
use model::build_args::{Use, used};
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Build arguments that Dockerfiles must read themselves; SOURCE_DATE_EPOCH is BuildKit's own.
const ARGUMENTS: [&str; 2] = [EDITION, "VERSION"];
const EDITION: &str = "EDITION";

/// What is wrong with the Dockerfiles of some services.
///
/// # Errors
/// When one cannot be read.
pub fn dockerfiles(
    manifest: &Manifest,
    services: &[&Service],
    repository: &Repository,
) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for service in services {
        for variant in Variant::ALL {
            let name = service.dockerfile(variant);
            let Some(path) = repository.file(name) else { continue };
            let text = files::read(&path)?;
            for argument in ARGUMENTS {
                found.extend(argument_of(service, name, argument, &used(&text, argument)));
            }
        }
    }
    found.extend(unread_anywhere(manifest, repository)?);
    Ok(found)
}

/// What is wrong with one argument in one Dockerfile.
fn argument_of(service: &Service, file: &str, argument: &str, found: &Use) -> Vec<Finding> {
    let finding = |line: usize, what: String, remedy: String| Finding {
        kind: Kind::Edition,
        images: Vec::new(),
        what,
        remedy,
        place: Some(Place { file: file.to_owned(), line }),
    };
    let mut out: Vec<Finding> = found
        .unread
        .iter()
        .map(|line| {
            finding(
                *line,
                format!("ARG {argument} is read by nothing that follows it in its stage"),
                format!("use ${argument} there, or delete the line"),
            )
        })
        .collect();
    if argument == EDITION && !service.editions.is_empty() && !found.is_read() && found.unread.is_empty() {
        let declared =
            "the manifest declares that editions differ, and this Dockerfile does not read EDITION";
        let remedy =
            "declare `ARG EDITION` and use it where the editions differ, or delete [service.NAME.editions]";
        out.push(finding(1, declared.to_owned(), remedy.to_owned()));
    }
    out
}

/// Arguments that every build gets and that no optimized Dockerfile reads.
fn unread_anywhere(manifest: &Manifest, repository: &Repository) -> Result<Vec<Finding>> {
    let mut texts = Vec::new();
    for service in &manifest.services {
        if let Some(path) = repository.file(&service.optimized) {
            texts.push(files::read(&path)?);
        }
    }
    let is_read = |argument: &&str| texts.iter().any(|text| used(text, argument).is_read());
    // A manifest of services without editions may well do without EDITION.
    let matters = |argument: &&&str| {
        **argument != EDITION || manifest.services.iter().any(|service| !service.editions.is_empty())
    };
    let unread = ARGUMENTS.iter().filter(matters).filter(|argument| !is_read(argument));
    Ok(unread
        .map(|argument| Finding {
            kind: Kind::Edition,
            images: Vec::new(),
            what: format!("the build argument {argument} is read by no optimized Dockerfile"),
            remedy: format!("use ${argument} in the images that depend on it"),
            place: None,
        })
        .collect())
}

/// The packages of a service's own ecosystem that an image holds, by names that are compared.
pub fn packages(inside: &Inside<'_>) -> BTreeSet<String> {
    let owners = inside.contents.owners.iter();
    owners
        .filter(|owner| matches!(owner.kind, OwnerKind::Python | OwnerKind::Npm))
        .map(|owner| compared(&owner.name))
        .collect()
}

/// Names of Python distributions are equal in any of their spellings (PyPA, "Names and normalization").
fn compared(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// Whether an edition holds the packages that it is declared to add to simple, no less and no more.
pub fn differ_as_declared(
    service: &Service,
    edition: Edition,
    simple: &BTreeSet<String>,
    packages: &BTreeSet<String>,
) -> Vec<Finding> {
    let declared: BTreeSet<String> = service.editions.packages(edition).into_iter().map(compared).collect();
    let added: BTreeSet<String> = packages.difference(simple).cloned().collect();
    let list = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut found = Vec::new();
    let mut say = |names: Vec<&String>, what: &str, remedy: &str| {
        if !names.is_empty() {
            found.push(finding(service, edition, format!("{what}: {}", list(names)), remedy));
        }
    };
    say(
        declared.difference(&added).collect(),
        "packages that it is declared to add to simple, and does not",
        "install them where EDITION is read, or declare them no more ([service.NAME.editions])",
    );
    say(
        added.difference(&declared).collect(),
        "packages that it adds to simple, undeclared",
        "declare them ([service.NAME.editions]), or leave them out",
    );
    say(
        simple.difference(packages).collect(),
        "packages that simple has and this edition lacks",
        "larger editions hold what smaller ones do",
    );
    found
}

/// That nothing was held against the declaration, since simple is not there to be added to.
pub fn not_proved(service: &Service, edition: Edition, tag: &Tag) -> Option<Finding> {
    let what = "what it adds to simple was not looked at, since simple is not built";
    let remedy = format!("cargo xtask build-images NAME --edition simple --tag {tag}, then check again");
    (!service.editions.is_empty()).then(|| finding(service, edition, what.to_owned(), &remedy))
}

/// Editions of those wanted that are declared to differ from a smaller one, and whose image is the same but for its labels.
pub fn the_same(service: &Service, images: &BTreeMap<Edition, &Image>, wanted: &[Edition]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (index, (smaller, one)) in images.iter().enumerate() {
        let above = images.iter().skip(index + 1).filter(|(larger, _)| wanted.contains(larger));
        for (larger, other) in above {
            let of = &service.editions;
            let differ = of.packages(*smaller) != of.packages(*larger)
                || of.capabilities(*smaller) != of.capabilities(*larger)
                || of.limits(*smaller) != of.limits(*larger);
            if differ && is_same(one, other) {
                let what = format!("its image differs from {smaller}'s in nothing but labels");
                let remedy = "let the Dockerfile read EDITION where the editions differ, and build again";
                found.push(finding(service, *larger, what, remedy));
            }
        }
    }
    found
}

fn is_same(one: &Image, other: &Image) -> bool {
    let told = |image: &Image| {
        let config = image.config.clone().unwrap_or_default();
        (config.env, config.working_dir, config.entrypoint, config.cmd)
    };
    one.layers() == other.layers() && told(one) == told(other)
}

fn finding(service: &Service, edition: Edition, what: String, remedy: &str) -> Finding {
    Finding {
        kind: Kind::Edition,
        images: vec![Subject::new(&service.name, edition)],
        what,
        remedy: remedy.replace("NAME", &service.name),
        place: None,
    }
}
