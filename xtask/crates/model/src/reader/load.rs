//! The whole manifest.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use host::failure::Failure;
use host::files;
use host::paths::Repository;
use toml::de::{DeTable, DeValue};

use crate::edition::Edition;
use crate::file;
use crate::image_ref::Registry;
use crate::manifest::{DEFAULT_ENV_PREFIX, Manifest, SUTRA_ENV_PREFIX, Secret, StackSource};
use crate::names::Unknown;
use crate::nesting;
use crate::placeholders::RUN;
use crate::platform::Platform;
use crate::reader::images::{self, Images};
use crate::reader::place::{Faults, Place};
use crate::reader::services::Services;
use crate::reader::{cycles, probes, rules, values};

/// The newest schema.
const SCHEMA: u32 = 2;

/// What a manifest of schema 1 has without declaring it.
const EDITIONS_OF_SCHEMA_1: [&str; 3] = ["simple", "community", "enterprise"];

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
             `dockerfile`, and add `editions = {:?}` and `env-prefix = {:?}`",
            repository.manifest_name(),
            EDITIONS_OF_SCHEMA_1,
            SUTRA_ENV_PREFIX
        )
    })
}

/// Parses a manifest; the files it names must exist in the repository.
///
/// # Errors
/// All faults with their lines.
pub fn parse(text: &str, repository: &Repository) -> Result<Manifest, Failure> {
    let faults = Faults::new(text);
    match read(text, repository, &faults) {
        Some(manifest) if faults.is_empty() => Ok(manifest),
        _ => Err(faults.into_failure("manifest", repository.manifest_name())),
    }
}

/// The valid parts of a manifest, such as one from an old commit that today's rules reject. `None` if there are none.
pub fn parse_leniently(text: &str, repository: &Repository) -> Option<Manifest> {
    read(text, repository, &Faults::new(text))
}

/// The valid parts of a manifest; the rest is reported.
fn read(text: &str, repository: &Repository, faults: &Faults<'_>) -> Option<Manifest> {
    let root = document(text, faults)?;
    let place = Place::root(&root, faults);
    values::read(&place).map(|file| manifest(&file, &place, repository))
}

/// A TOML document; syntax errors are reported. `None` if there are any: keys in the broken part would be reported as missing.
pub(super) fn document<'t>(text: &'t str, faults: &Faults<'_>) -> Option<DeValue<'t>> {
    if let Some(at) = nesting::too_deep(text) {
        faults.add(at, "nested too deeply");
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(error.span().map_or(0, |span| span.start), error.message());
    }
    errors.is_empty().then(|| DeValue::Table(root.into_inner()))
}

fn manifest(file: &file::Manifest, root: &Place<'_>, repository: &Repository) -> Manifest {
    let schema = schema(file, root);
    let project = project(file, root, repository);
    let editions = editions(file, schema, root);
    rules::refuse_odd_test(&file.test, &root.key("test"));
    let images = Images::new(file, &project, schema, repository);
    let (upstreams, bases) = (images.upstreams(root), images.bases(root));
    cycles::refuse(root, &upstreams, &bases, |path| images::references(repository, path));
    let platforms = platforms(&file.defaults.platforms, &editions, &root.key("defaults").key("platforms"));
    let reader = Services {
        file,
        schema,
        project: &project,
        editions: &editions,
        images: &images,
        platforms: &platforms,
    };
    let services = reader.all(root);
    // Since schema 2, every build of a Compose or bake file is a service.
    if schema == 1 && !root.has("service") {
        root.fault("declare at least one [service.NAME]");
    }
    let names: Vec<&str> = file.service.names().collect();
    let secrets: Vec<&Secret> = services.iter().flat_map(|service| &service.secrets).collect();
    let mut available = BTreeSet::from([RUN.to_owned()]);
    available.extend(secrets.iter().map(|secret| secret.plain.clone()));
    let scenarios = probes::scenarios(&file.scenario, &root.key("scenario"), &names, &editions, &available);
    let loads = probes::loads(&file.load, &root.key("load"), &names, &available);
    let (stack_tests, bounds) =
        (images.stack_tests(root), rules::bounds(&file.bound, &root.key("bound"), &names, &loads));
    Manifest {
        schema,
        version: file.version.clone().unwrap_or_default(),
        env_prefix: env_prefix(file, schema, root),
        compose: file.compose.clone(),
        bake: file.bake.clone(),
        ignore: file.ignore.clone(),
        ignored: BTreeMap::new(),
        unusable: Vec::new(),
        source_date_epoch: epoch(file, root),
        registries: registries(file, root),
        step_limit: rules::step_limit(&file.baselines, &root.key("baselines")),
        benefits: rules::benefits(&file.benefit, &root.key("benefit")),
        allowlist: rules::allowlist(&file.opportunities, &root.key("opportunities"), &names, &editions),
        check: rules::check(&file.check, &root.key("check"), &names),
        test: rules::test(&file.test, &file::Test::default()),
        stack: StackSource::Repository,
        project,
        platforms,
        editions,
        upstreams,
        bases,
        services,
        scenarios,
        stack_tests,
        loads,
        bounds,
    }
}

fn schema(file: &file::Manifest, root: &Place<'_>) -> u32 {
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
    let epoch = file.source_date_epoch.unwrap_or_default();
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

/// Parses a list of platforms. An edition's tag must not end in the suffix of a platform.
pub(super) fn platforms(texts: &[String], editions: &[Edition], place: &Place<'_>) -> Vec<Platform> {
    let mut found: Vec<Platform> = Vec::new();
    for text in texts {
        match text.parse::<Platform>() {
            Err(error) => place.fault(error.what),
            Ok(platform) if found.contains(&platform) => {
                place.fault(format!("`{text}` is listed twice: remove one"));
            }
            Ok(platform) => found.push(platform),
        }
    }
    for platform in &found {
        let suffix = platform.suffix();
        if let Some(edition) = editions.iter().find(|edition| edition.suffix().ends_with(&suffix)) {
            place.fault(format!(
                "tags of edition `{edition}` end in `{suffix}`, like tags of {platform}: rename the edition"
            ));
        }
    }
    found
}

/// The editions, smallest first; [`Edition::NONE`] alone if there are none.
fn editions(file: &file::Manifest, schema: u32, root: &Place<'_>) -> Vec<Edition> {
    let place = root.key("editions");
    for (position, name) in file.editions.iter().enumerate() {
        if !Edition::is_valid(name) || name == "all" {
            place.fault(format!(
                "invalid edition `{name}`: use at most 17 lower-case letters, digits and `-`, and not `all`"
            ));
        }
        if file.editions[..position].contains(name) {
            place.fault(format!("`{name}` is listed twice: remove one"));
        }
    }
    match file.editions.iter().map(|name| Edition::named(name)).collect::<Vec<_>>() {
        declared if !declared.is_empty() => declared,
        _ if schema == 1 && !root.has("editions") => EDITIONS_OF_SCHEMA_1.map(Edition::named).into(),
        _ => vec![Edition::NONE],
    }
}

/// What the names of environment variables start with.
fn env_prefix(file: &file::Manifest, schema: u32, root: &Place<'_>) -> String {
    let default = if schema == 1 { SUTRA_ENV_PREFIX } else { DEFAULT_ENV_PREFIX };
    let prefix = file.env_prefix.as_deref().unwrap_or(default);
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if !prefix.starts_with(|c: char| c.is_ascii_uppercase())
        || !prefix.ends_with('_')
        || !prefix.chars().all(plain)
    {
        let text =
            format!("invalid prefix `{prefix}`: use upper-case letters, digits and `_`, with `_` at the end");
        root.key("env-prefix").fault(text);
    }
    prefix.to_owned()
}
