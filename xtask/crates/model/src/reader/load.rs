//! The whole manifest.

use std::collections::BTreeSet;

use anyhow::Result;
use host::failure::Failure;
use host::files;
use host::paths::Repository;
use toml::de::{DeTable, DeValue};

use crate::edition::Edition;
use crate::file;
use crate::image_ref::Registry;
use crate::manifest::{Manifest, Secret};
use crate::names::Unknown;
use crate::nesting;
use crate::placeholders::RUN;
use crate::reader::images::{self, Images};
use crate::reader::place::{Faults, Place};
use crate::reader::services::Services;
use crate::reader::{cycles, probes, rules, values};

/// The newest schema.
const SCHEMA: u64 = 2;

/// 1980-01-01, the earliest time that a zip file can hold, and with it a Python wheel or a jar.
const DEFAULT_EPOCH: u64 = 315_532_800;

/// Reads the repository's manifest.
///
/// # Errors
/// A [`Failure`] of class manifest with all faults and their lines, or an unreadable file.
pub fn load(repository: &Repository) -> Result<Manifest> {
    let text = files::read(&repository.manifest())?;
    Ok(parse(&text, repository)?)
}

/// How to migrate the repository's manifest, if its schema is an older one.
pub fn migration_note(repository: &Repository) -> Option<String> {
    let text = files::read(&repository.manifest()).ok()?;
    if nesting::too_deep(&text).is_some() {
        return None;
    }
    let file = DeTable::parse(&text).ok()?;
    let schema = file.get_ref().get("schema")?.get_ref().as_integer()?.as_str() == "1";
    schema.then(|| {
        format!(
            "{} has schema 1, which is still read; to migrate, set `schema = 2`, rename each service's `original` to \
             `dockerfile`, and add `editions = {:?}` and `env-prefix = \"SUTRA_\"`",
            repository.manifest_name(),
            Edition::ALL.map(Edition::name)
        )
    })
}

/// Parses a manifest; the files it names must exist in the repository.
///
/// # Errors
/// All faults with their lines.
pub fn parse(text: &str, repository: &Repository) -> Result<Manifest, Failure> {
    let faults = Faults::new(text);
    if let Some(at) = nesting::too_deep(text) {
        faults.add(at, "nested too deeply");
        return Err(faults.into_failure(repository.manifest_name()));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(error.span().map_or(0, |span| span.start), error.message());
    }
    if !errors.is_empty() {
        // Otherwise, keys in the broken part would be reported as missing.
        return Err(faults.into_failure(repository.manifest_name()));
    }
    let root = DeValue::Table(root.into_inner());
    let place = Place::root(&root, &faults);
    let manifest = values::read(&place).map(|file| manifest(&file, &place, repository));
    match manifest {
        Some(manifest) if faults.is_empty() => Ok(manifest),
        _ => Err(faults.into_failure(repository.manifest_name())),
    }
}

fn manifest(file: &file::Manifest, root: &Place<'_>, repository: &Repository) -> Manifest {
    let schema = schema(file, root);
    let project = project(file, root, repository);
    let editions = editions(file, schema, root);
    let images = Images::new(file, &project, schema, repository);
    let (upstreams, bases) = (images.upstreams(root), images.bases(root));
    cycles::refuse(root, &upstreams, &bases, |path| images::references(repository, path));
    let reader = Services { file, schema, project: &project, editions: &editions, images: &images };
    let services = reader.all(root);
    if file.service.0.is_empty() && !root.has("service") {
        root.fault("declare at least one [service.NAME]");
    }
    let names: Vec<&str> = file.service.names().collect();
    let secrets: Vec<&Secret> = services.iter().flat_map(|service| &service.secrets).collect();
    let mut available = BTreeSet::from([RUN.to_owned()]);
    available.extend(secrets.iter().map(|secret| secret.plain.clone()));
    let scenarios = probes::scenarios(&file.scenario, &root.key("scenario"), &names, &available);
    let loads = probes::loads(&file.load, &root.key("load"), &names, &available);
    let (stack_tests, bounds) =
        (images.stack_tests(root), rules::bounds(&file.bound, &root.key("bound"), &names, &loads));
    Manifest {
        version: file.version.clone().unwrap_or_else(|| "0.0.0".to_owned()),
        source_date_epoch: epoch(file, root),
        registries: registries(file, root),
        step_limit: rules::step_limit(&file.baselines, &root.key("baselines")),
        benefits: rules::benefits(&file.benefit, &root.key("benefit")),
        allowlist: rules::allowlist(&file.opportunities, &root.key("opportunities"), &names, &editions),
        check: rules::check(&file.check, &root.key("check"), &names),
        project,
        upstreams,
        bases,
        services,
        scenarios,
        stack_tests,
        loads,
        bounds,
    }
}

fn schema(file: &file::Manifest, root: &Place<'_>) -> u64 {
    match file.schema {
        Some(known @ 1..=SCHEMA) => return known,
        Some(_) => root.key("schema").fault(format!("must be {SCHEMA}")),
        None if root.has("schema") => {}
        None => root.fault(format!("the manifest has no `schema`: add schema = {SCHEMA}")),
    }
    SCHEMA
}

/// The project's name, by default the folder's.
fn project(file: &file::Manifest, root: &Place<'_>, repository: &Repository) -> String {
    if let Some(project) = &file.project {
        if !is_plain(project) {
            let text = format!("invalid name `{project}`: use lower-case letters, digits and `-`");
            root.key("project").fault(text);
        }
        return project.clone();
    }
    let folder = repository.root().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = folder.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let plain = plain.trim_matches('-');
    if plain.is_empty() { "project".to_owned() } else { plain.to_owned() }
}

fn epoch(file: &file::Manifest, root: &Place<'_>) -> u64 {
    let epoch = file.source_date_epoch.unwrap_or(DEFAULT_EPOCH);
    if epoch > u64::from(u32::MAX) {
        root.key("source-date-epoch").fault(format!("must be a whole number from 0 to {}", u32::MAX));
    }
    epoch
}

fn registries(file: &file::Manifest, root: &Place<'_>) -> Vec<String> {
    let is_registry = |text: &str| {
        text.parse::<Registry>().is_ok() || format!("docker.io/{text}").parse::<Registry>().is_ok()
    };
    for text in file.registries.iter().filter(|text| !is_registry(text)) {
        let text = format!("invalid registry `{text}`: use HOST[:PORT][/PATH], or a namespace on Docker Hub");
        root.key("registries").fault(text);
    }
    file.registries.clone()
}

/// Whether a name is valid in file names and tags.
pub(super) fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Refuses a name that cannot become a build target or a file's name.
pub(super) fn refuse_odd_name(name: &str, place: &Place<'_>) {
    if !is_plain(name) {
        place.fault(format!("invalid name `{name}`: use lower-case letters, digits and `-`"));
    }
}

/// Refuses names that are not known; `what` is their kind.
pub(super) fn refuse_unknown(what: &'static str, names: &[String], known: &[&str], place: &Place<'_>) {
    for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
        place.fault(Unknown::new(what, name, known.iter().copied()));
    }
}

/// The editions, smallest first. Schema 1 has these three.
fn editions(file: &file::Manifest, schema: u64, root: &Place<'_>) -> Vec<Edition> {
    let names: Vec<&str> = file.editions.iter().map(String::as_str).collect();
    let known = Edition::ALL.map(Edition::name);
    if names != known && !(schema == 1 && names.is_empty()) {
        root.key("editions").fault(format!("must be {known:?}"));
    }
    Edition::ALL.to_vec()
}
