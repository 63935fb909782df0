//! Reads a file into a [`Manifest`], or reports all faults in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use toml::de::DeTable;

use crate::dockerfile;
use crate::manifest::{
    Base, DEFAULT_ENV_PREFIX, HostContext, Manifest, SUTRA_ENV_PREFIX, StackTest, StandIn, Upstream,
};
use crate::names::Unknown;
use crate::nesting;
use crate::placeholders::RUN;
use crate::reader::faults::Faults;
use crate::reader::fields::Fields;
use crate::reader::service::ServiceContext;
use crate::reader::{
    baselines, benefits, bounds, check_rules, cycles, editions, loads, opportunities, probes, registries,
};
use host::failure::Failure;
use host::files;
use host::paths::Repository;

/// Reads the repository's manifest.
///
/// # Errors
/// A [`Failure`] of class manifest with all faults and their lines, or an unreadable file.
pub fn load(repository: &Repository) -> Result<Manifest> {
    let text = files::read(&repository.manifest())?;
    Ok(parse(&text, repository)?)
}

/// Parses a manifest; the files it names must exist in the repository.
///
/// # Errors
/// All faults with their lines.
pub fn parse(text: &str, repository: &Repository) -> Result<Manifest, Failure> {
    let faults = Faults::new(text);
    if let Some(at) = nesting::too_deep(text) {
        faults.add(at..at, "nested too deeply");
        return Err(faults.into_failure(repository.manifest_name()));
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(error.span().unwrap_or(0..0), error.message());
    }
    if !errors.is_empty() {
        // Otherwise, fields in the broken part would be reported as missing.
        return Err(faults.into_failure(repository.manifest_name()));
    }
    let schema = root.get_ref().get("schema").and_then(|schema| schema.get_ref().as_integer());
    let is_first = schema.is_none_or(|schema| schema.as_str() != "2");
    let manifest = Reader { faults: &faults, repository, is_first }.manifest(root.get_ref());
    match manifest {
        Some(manifest) if faults.is_empty() => Ok(manifest),
        _ => Err(faults.into_failure(repository.manifest_name())),
    }
}

pub(super) struct Reader<'a> {
    faults: &'a Faults<'a>,
    pub(super) repository: &'a Repository,
    /// Whether the manifest has schema 1, in which most fields are required.
    pub(super) is_first: bool,
}

impl<'a> Reader<'a> {
    fn manifest(&self, tables: &'a DeTable<'_>) -> Option<Manifest> {
        let known = &declared(tables);
        let mut root = Fields::new(self.faults, "", tables, 0..0);
        root.number("schema", 1..=2);
        let is_first = self.is_first;
        let project = match is_first || root.has("project") {
            true => root.text("project").map(str::to_owned),
            false => Some(self.folder_name()),
        };
        let version = match is_first || root.has("version") {
            true => root.text("version").map(str::to_owned),
            false => Some(String::new()),
        };
        let editions = editions::declared(&mut root, self.is_first);
        let compose = (!is_first && root.has("compose")).then(|| root.texts("compose"));
        let bake = if is_first { Vec::new() } else { root.texts("bake") };
        let registries = registries::read(&mut root);
        let source_date_epoch = match is_first || root.has("source-date-epoch") {
            true => root.number("source-date-epoch", 0..=u64::from(u32::MAX)),
            false => Some(0),
        };
        let mut seen = Seen::default();
        let upstreams =
            named(root.table("upstream"), |name, fields| self.upstream(name, fields, known, &mut seen));
        let bases = named(root.table("base"), |name, fields| self.base(name, fields, known, &mut seen));
        cycles::refuse(tables, &upstreams, &bases, |path| self.references(path), self.faults);
        let services = named(root.table("service"), |name, fields| {
            self.service(name, fields, &ServiceContext { known, editions: &editions }, &mut seen)
        });
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available
            .extend(services.iter().flat_map(|service| &service.secrets).map(|secret| secret.plain.clone()));
        let scenarios = probes::scenarios(root.table("scenario"), &services, &available);
        let loads = loads::read(root.table("load"), &services, &available);
        let bounds = bounds::read(root.table("bound"), &services, &loads);
        // With schema 2, Compose and bake files may define them.
        if is_first && services.is_empty() && !root.has_faults() {
            root.fault("service", "declare at least one [service.NAME]");
        }
        let step_limit = baselines::read(&mut root);
        let benefits = named(root.table("benefit"), benefits::read);
        let allowlist = opportunities::read(&mut root, &services, &editions);
        let check = check_rules::read(&mut root, &services);
        let stack_tests =
            named(root.table("stack-test"), |name, fields| self.stack_test(name, fields, known));
        root.finish();
        Some(Manifest {
            project: project?,
            version: version?,
            registries,
            schema: if is_first { 1 } else { 2 },
            source_date_epoch: source_date_epoch?,
            env_prefix: if is_first { SUTRA_ENV_PREFIX } else { DEFAULT_ENV_PREFIX }.to_owned(),
            editions,
            compose,
            bake,
            upstreams,
            bases,
            services,
            scenarios,
            stack_tests,
            step_limit,
            benefits,
            loads,
            bounds,
            allowlist,
            check,
        })
    }

    /// The project's name by default: the folder's, with `-` for what a name cannot have.
    fn folder_name(&self) -> String {
        let name = self.repository.root().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let plain: String = name
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .collect();
        let plain = plain.trim_matches('-');
        if plain.is_empty() { "project".to_owned() } else { plain.to_owned() }
    }

    fn upstream(
        &self,
        name: &str,
        mut fields: Fields<'a, '_>,
        known: &[&str],
        seen: &mut Seen,
    ) -> Option<Upstream> {
        refuse_odd_name(name, &fields);
        let reference = fields.text("reference").map(str::to_owned);
        seen.claim("image", reference.as_deref(), name, &fields, "reference");
        let stand_in = match fields.table("stand-in") {
            Some(mut table) => {
                let stand_in = self.stand_in(&mut table, known);
                table.finish();
                stand_in
            }
            None => {
                fields.fault("stand-in", "missing: add the replacement if no registry is reachable, { bootstrap = \"SUITE\" } or { dockerfile = \"PATH\" }");
                None
            }
        };
        fields.finish();
        Some(Upstream { name: name.to_owned(), reference: reference?, stand_in: stand_in? })
    }

    fn stand_in(&self, table: &mut Fields<'a, '_>, known: &[&str]) -> Option<StandIn> {
        let suite = table.optional_text("bootstrap").map(str::to_owned);
        // The suite becomes a folder's name and an argument of mmdebstrap.
        if let Some(suite) = suite.as_deref().filter(|suite| !probes::is_plain(suite)) {
            table.fault(
                "bootstrap",
                format!("invalid suite `{suite}`: name a Debian suite, such as `trixie`"),
            );
        }
        let contexts = table.table("contexts").map(Fields::named_texts).unwrap_or_default();
        let contexts: BTreeMap<String, HostContext> = contexts
            .into_iter()
            .filter_map(|(key, value)| match value.as_str() {
                "rust-toolchain" => Some((key, HostContext::RustToolchain)),
                other => {
                    table.fault("contexts", Unknown::new("context", other, ["rust-toolchain"]));
                    None
                }
            })
            .collect();
        match suite {
            Some(suite) => Some(StandIn::Bootstrap { suite }),
            None => {
                let known: Vec<&str> =
                    known.iter().copied().chain(contexts.keys().map(String::as_str)).collect();
                Some(StandIn::Dockerfile { path: self.dockerfile(table, "dockerfile", &known)?, contexts })
            }
        }
    }

    fn base(&self, name: &str, mut fields: Fields<'a, '_>, known: &[&str], seen: &mut Seen) -> Option<Base> {
        refuse_odd_name(name, &fields);
        let reference = fields.text("image").map(str::to_owned);
        seen.claim("image", reference.as_deref(), name, &fields, "image");
        let dockerfile = self.dockerfile(&mut fields, "dockerfile", known);
        fields.finish();
        Some(Base { name: name.to_owned(), reference: reference?, dockerfile: dockerfile? })
    }

    fn references(&self, path: &str) -> BTreeSet<String> {
        let text = self.repository.file(path).and_then(|file| files::read(&file).ok()).unwrap_or_default();
        dockerfile::references(&text)
    }

    fn stack_test(&self, name: &str, mut fields: Fields<'a, '_>, known: &[&str]) -> Option<StackTest> {
        let dockerfile = self.dockerfile(&mut fields, "dockerfile", known);
        refuse_odd_name(name, &fields);
        fields.finish();
        Some(StackTest { name: name.to_owned(), dockerfile: dockerfile? })
    }

    /// A file that must exist in the repository.
    pub(super) fn file(&self, fields: &mut Fields<'a, '_>, key: &'static str) -> Option<String> {
        let path = fields.text(key)?;
        match self.repository.file(path) {
            None => fields.fault(key, format!("`{path}` is outside of the repository: name a file in it")),
            Some(file) if !file.is_file() => {
                fields.fault(key, format!("no file `{path}`: create it or correct the path"))
            }
            Some(file) if self.repository.is_link_outside(&file) => fields.fault(
                key,
                format!("`{path}` is a link to a file outside of the repository: name a file in it"),
            ),
            Some(_) => return Some(path.to_owned()),
        }
        None
    }

    /// A Dockerfile. With schema 1, it is based on declared images only: an undeclared one would have no stand-in.
    pub(super) fn dockerfile(
        &self,
        fields: &mut Fields<'a, '_>,
        key: &'static str,
        bases: &[&str],
    ) -> Option<String> {
        let path = self.file(fields, key)?;
        let text = files::read(&self.repository.file(&path)?).ok()?;
        for reference in dockerfile::references(&text) {
            if self.is_first && !bases.contains(&reference.as_str()) {
                let unknown = Unknown::new("image", &reference, bases.iter().copied());
                fields.fault(key, format!("{path}: {unknown}; declare it as [upstream.NAME] or [base.NAME]"));
            }
        }
        Some(path)
    }
}

/// Names become build targets and log file names.
pub(super) fn refuse_odd_name(name: &str, fields: &Fields<'_, '_>) {
    if !probes::is_plain(name) {
        fields.fault_here(format!("invalid name `{name}`: use lower-case letters, digits and `-`"));
    }
}

/// Values that must be unique, with their owners.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<(&'static str, String), String>);

impl Seen {
    pub(super) fn claim(
        &mut self,
        what: &'static str,
        value: Option<&str>,
        owner: &str,
        fields: &Fields<'_, '_>,
        key: &str,
    ) {
        let Some(value) = value else { return };
        if let Some(other) = self.0.insert((what, value.to_owned()), owner.to_owned()) {
            fields.fault(key, format!("`{value}` is already the {what} of `{other}`: choose another"));
        }
    }
}

/// All declared images, collected before Dockerfiles are read.
fn declared<'a>(root: &'a DeTable<'_>) -> Vec<&'a str> {
    let of = |table: &str, key: &'static str| {
        let entries = root
            .get(table)
            .and_then(|table| table.get_ref().as_table())
            .into_iter()
            .flat_map(|table| table.iter());
        entries.filter_map(move |(_, entry)| entry.get_ref().as_table()?.get(key)?.get_ref().as_str())
    };
    of("upstream", "reference").chain(of("base", "image")).collect()
}

fn named<'a, 'i, T>(
    table: Option<Fields<'a, 'i>>,
    mut read: impl FnMut(&str, Fields<'a, 'i>) -> Option<T>,
) -> Vec<T> {
    let tables = table.map(Fields::named_tables).unwrap_or_default();
    tables.into_iter().filter_map(|(name, fields)| read(&name, fields)).collect()
}
