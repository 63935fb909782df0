//! Reads a file into a [`Manifest`], or reports all faults in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use toml::de::DeTable;

use crate::dockerfile;
use crate::edition::Edition;
use crate::manifest::{
    Base, HostContext, Manifest, RunNeeds, SUTRA_ENV_PREFIX, Secret, Service, Sizes, StackTest, StandIn,
    Upstream,
};
use crate::names::Unknown;
use crate::nesting;
use crate::placeholders::RUN;
use crate::reader::faults::Faults;
use crate::reader::fields::Fields;
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
    let manifest = Reader { faults: &faults, repository }.manifest(root.get_ref());
    match manifest {
        Some(manifest) if faults.is_empty() => Ok(manifest),
        _ => Err(faults.into_failure(repository.manifest_name())),
    }
}

struct Reader<'a> {
    faults: &'a Faults<'a>,
    repository: &'a Repository,
}

impl<'a> Reader<'a> {
    fn manifest(&self, tables: &'a DeTable<'_>) -> Option<Manifest> {
        let known = &declared(tables);
        let mut root = Fields::new(self.faults, "", tables, 0..0);
        root.number("schema", 1..=1);
        let project = root.text("project").map(str::to_owned);
        let version = root.text("version").map(str::to_owned);
        let registries = registries::read(&mut root);
        let source_date_epoch = root.number("source-date-epoch", 0..=u64::from(u32::MAX));
        let mut seen = Seen::default();
        let upstreams =
            named(root.table("upstream"), |name, fields| self.upstream(name, fields, known, &mut seen));
        let bases = named(root.table("base"), |name, fields| self.base(name, fields, known, &mut seen));
        cycles::refuse(tables, &upstreams, &bases, |path| self.references(path), self.faults);
        let services =
            named(root.table("service"), |name, fields| self.service(name, fields, known, &mut seen));
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available
            .extend(services.iter().flat_map(|service| &service.secrets).map(|secret| secret.plain.clone()));
        let scenarios = probes::scenarios(root.table("scenario"), &services, &available);
        let loads = loads::read(root.table("load"), &services, &available);
        let bounds = bounds::read(root.table("bound"), &services, &loads);
        if services.is_empty() && !root.has_faults() {
            root.fault("service", "declare at least one [service.NAME]");
        }
        let step_limit = baselines::read(&mut root);
        let benefits = named(root.table("benefit"), benefits::read);
        let allowlist = opportunities::read(&mut root, &services);
        let check = check_rules::read(&mut root, &services);
        let stack_tests =
            named(root.table("stack-test"), |name, fields| self.stack_test(name, fields, known));
        root.finish();
        Some(Manifest {
            project: project?,
            version: version?,
            registries,
            source_date_epoch: source_date_epoch?,
            env_prefix: SUTRA_ENV_PREFIX.to_owned(),
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

    fn service(
        &self,
        name: &str,
        mut fields: Fields<'a, '_>,
        bases: &[&str],
        seen: &mut Seen,
    ) -> Option<Service> {
        let image = fields.text("image").map(str::to_owned);
        if let Some(image) = image.as_deref().filter(|image| !probes::is_plain(image)) {
            let text = format!("invalid image name `{image}`: use lower-case letters, digits and `-`");
            fields.fault("image", text);
        }
        seen.claim("image", image.as_deref(), name, &fields, "image");
        refuse_odd_name(name, &fields);
        let compose = fields.text("compose").map(str::to_owned);
        seen.claim("compose name", compose.as_deref(), name, &fields, "compose");
        let port = fields.number("port", 1..=65535).and_then(|port| u16::try_from(port).ok());
        seen.claim("port", port.map(|port| port.to_string()).as_deref(), name, &fields, "port");
        let original = self.dockerfile(&mut fields, "original", bases);
        let optimized = self.dockerfile(&mut fields, "optimized", bases);
        let large_original = fields.flag("large-original");
        let test_stage = fields.optional_text("test-stage").map(str::to_owned);
        if let (Some(stage), Some(path)) = (&test_stage, &optimized)
            && !self.has_stage(path, stage)
        {
            fields.fault(
                "test-stage",
                format!("{path} has no stage `{stage}`: add `FROM … AS {stage}` or correct the name"),
            );
        }
        let sizes = self.sizes(&mut fields);
        let editions = editions::read(&mut fields);
        let run = run_needs(&mut fields);
        let secrets = secrets(&mut fields);
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available.extend(secrets.iter().map(|secret| secret.plain.clone()));
        let probes = probes::of_service(&mut fields, name, &mut available);
        fields.finish();
        Some(Service {
            name: name.to_owned(),
            image: image?,
            compose: compose?,
            port: port?,
            original: original?,
            optimized: optimized?,
            test_stage,
            large_original,
            sizes,
            editions,
            run,
            secrets,
            probes,
        })
    }

    /// A file that must exist in the repository.
    fn file(&self, fields: &mut Fields<'a, '_>, key: &'static str) -> Option<String> {
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

    /// A Dockerfile that is based on declared images only: an undeclared one would have no stand-in.
    fn dockerfile(&self, fields: &mut Fields<'a, '_>, key: &'static str, bases: &[&str]) -> Option<String> {
        let path = self.file(fields, key)?;
        let text = files::read(&self.repository.file(&path)?).ok()?;
        for reference in dockerfile::references(&text) {
            if !bases.contains(&reference.as_str()) {
                let unknown = Unknown::new("image", &reference, bases.iter().copied());
                fields.fault(key, format!("{path}: {unknown}; declare it as [upstream.NAME] or [base.NAME]"));
            }
        }
        Some(path)
    }

    fn has_stage(&self, path: &str, stage: &str) -> bool {
        let text = self.repository.file(path).and_then(|file| files::read(&file).ok()).unwrap_or_default();
        dockerfile::stages(&text).contains(&stage.to_lowercase())
    }

    fn sizes(&self, fields: &mut Fields<'a, '_>) -> BTreeMap<Edition, Sizes> {
        let mut sizes = BTreeMap::new();
        let Some(table) = fields.table("sizes") else {
            return sizes;
        };
        for (key, mut row) in table.named_tables() {
            let entry = Sizes {
                guide_original: row.size("original"),
                target: row.size("target"),
                goal: row.size("goal"),
            };
            if let (Some(goal), Some(target)) = (entry.goal, entry.target)
                && goal > target
            {
                row.fault(
                    "goal",
                    format!("{goal} is above the target of {target}: a goal is the smaller size"),
                );
            }
            row.finish();
            match key.parse::<Edition>() {
                Ok(edition) => drop(sizes.insert(edition, entry)),
                Err(unknown) => fields.fault("sizes", unknown),
            }
        }
        sizes
    }
}

/// Names become build targets and log file names.
fn refuse_odd_name(name: &str, fields: &Fields<'_, '_>) {
    if !probes::is_plain(name) {
        fields.fault_here(format!("invalid name `{name}`: use lower-case letters, digits and `-`"));
    }
}

/// Values that must be unique, with their owners.
#[derive(Default)]
struct Seen(BTreeMap<(&'static str, String), String>);

impl Seen {
    fn claim(
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

/// `secret = { variable, plain, command }`.
fn secrets(fields: &mut Fields<'_, '_>) -> Vec<Secret> {
    let Some(mut table) = fields.table("secret") else {
        return Vec::new();
    };
    let variable = table.text("variable").map(str::to_owned);
    let plain = table.text("plain").map(str::to_owned);
    let command = table.texts("command");
    if command.is_empty() {
        table.fault("command", "must name the command in the service's image that generates the secret");
    }
    table.finish();
    variable.zip(plain).map(|(variable, plain)| Secret { variable, plain, command }).into_iter().collect()
}

fn run_needs(fields: &mut Fields<'_, '_>) -> RunNeeds {
    let Some(mut table) = fields.table("run") else {
        return RunNeeds::default();
    };
    let env = table.table("env").map(Fields::named_texts).unwrap_or_default();
    let needs = RunNeeds {
        env: env.into_iter().collect(),
        tmpfs: table.texts("tmpfs"),
        volumes: table.texts("volumes"),
    };
    let unique: BTreeSet<&String> = needs.tmpfs.iter().chain(&needs.volumes).collect();
    if unique.len() < needs.tmpfs.len() + needs.volumes.len() {
        table.fault("tmpfs", "a folder is listed twice");
    }
    for path in unique {
        if !path.starts_with('/') {
            table.fault("tmpfs", format!("invalid folder `{path}`: start it with `/`"));
        }
    }
    table.finish();
    needs
}
