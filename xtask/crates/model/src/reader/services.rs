//! Services, `[service.NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use crate::additions::{Addition, Additions};
use crate::dockerfile;
use crate::edition::Edition;
use crate::file::{self, Limit, Size, SizeText};
use crate::manifest::{RunNeeds, Secret, Service, Sizes};
use crate::names::Unknown;
use crate::placeholders::RUN;
use crate::reader::images::Images;
use crate::reader::load::{is_plain, refuse_odd_name};
use crate::reader::place::Place;
use crate::reader::probes;

/// The stage that runs tests, unless the manifest names another.
const TEST_STAGE: &str = "test";

/// Reads services.
pub(super) struct Services<'a> {
    pub file: &'a file::Manifest,
    pub schema: u64,
    pub project: &'a str,
    pub editions: &'a [Edition],
    pub images: &'a Images<'a>,
}

/// Values that must be unique, with their owners.
type Claims = BTreeMap<(&'static str, String), String>;

impl Services<'_> {
    pub fn all(&self, root: &Place<'_>) -> Vec<Service> {
        let (table, mut claims) = (root.key("service"), Claims::new());
        let services = self.file.service.iter();
        services.filter_map(|(name, file)| self.service(name, file, &table.key(name), &mut claims)).collect()
    }

    fn service(
        &self,
        name: &str,
        file: &file::Service,
        place: &Place<'_>,
        claims: &mut Claims,
    ) -> Option<Service> {
        refuse_odd_name(name, place);
        let image = self.image(name, file, place, claims);
        let compose = file.compose.clone().unwrap_or_else(|| name.to_owned());
        claim(claims, "compose name", &compose, name, &place.key("compose"));
        let original = self.original(name, file, &image, place);
        let optimized = self.optimized(file, original.as_deref(), place);
        let test_stage = self.test_stage(file, optimized.as_deref(), place);
        let port = self.port(file, original.as_deref(), place);
        let secrets: Vec<Secret> =
            file.secret.iter().map(|file| secret(file, &place.key("secret"))).collect();
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available.extend(secrets.iter().map(|secret| secret.plain.clone()));
        let probes = probes::of_service(&file.probe, &place.key("probe"), name, &mut available);
        let (sizes, editions) = (self.sizes(file, place), self.additions(file, place));
        let run = run_needs(&file.run, &place.key("run"));
        Some(Service {
            name: name.to_owned(),
            image,
            compose,
            port: port?,
            original: original?,
            optimized: optimized?,
            test_stage,
            large_original: file.large_original,
            sizes,
            editions,
            run,
            secrets,
            probes,
        })
    }

    /// The repository of the image, which no other image may have.
    fn image(&self, name: &str, file: &file::Service, place: &Place<'_>, claims: &mut Claims) -> String {
        let place = place.key("image");
        let image = file.image.clone().unwrap_or_else(|| format!("{}-{name}", self.project));
        if !is_plain(&image) {
            place.fault(format!("invalid image name `{image}`: use lower-case letters, digits and `-`"));
        }
        match self.images.owner_of(&image) {
            Some(owner) => {
                place.fault(format!("`{image}` is already the image of `{owner}`: choose another"))
            }
            None => claim(claims, "image", &image, name, &place),
        }
        image
    }

    /// The Dockerfile of the only or the original build.
    fn original(&self, name: &str, file: &file::Service, image: &str, place: &Place<'_>) -> Option<String> {
        let key = if place.has("original") { "original" } else { "dockerfile" };
        if key == "original" && self.schema > 1 {
            place.key(key).fault("schema 2 names it `dockerfile`: rename the key");
        }
        let default = || match &file.context {
            Some(context) => Some(format!("{}/Dockerfile", context.trim_end_matches('/'))),
            None => {
                let path = self.file.defaults.dockerfile.as_ref()?;
                Some(path.replace("{name}", name).replace("{image}", image))
            }
        };
        let path = file.dockerfile.clone().or_else(default);
        if path.is_none() {
            place.fault("has no Dockerfile: add dockerfile = \"PATH\"");
        }
        self.images.dockerfile(&path?, &place.key(key), &[])
    }

    /// The Dockerfile of the optimized build.
    fn optimized(&self, file: &file::Service, original: Option<&str>, place: &Place<'_>) -> Option<String> {
        let beside = || original.map(|path| format!("{path}.optimized")).filter(|path| self.images.has(path));
        let path = file.optimized.clone().or_else(beside)?;
        self.images.dockerfile(&path, &place.key("optimized"), &[])
    }

    fn test_stage(&self, file: &file::Service, optimized: Option<&str>, place: &Place<'_>) -> Option<String> {
        let text = self.images.text(optimized?, place)?;
        let has = |stage: &str| dockerfile::stages(&text).contains(&stage.to_lowercase());
        let Some(stage) = &file.test_stage else {
            return (self.schema > 1 && has(TEST_STAGE)).then(|| TEST_STAGE.to_owned());
        };
        if !has(stage) {
            let text =
                format!("{} has no stage `{stage}`: add `FROM … AS {stage}` or correct the name", optimized?);
            place.key("test-stage").fault(text);
        }
        Some(stage.clone())
    }

    fn port(&self, file: &file::Service, original: Option<&str>, place: &Place<'_>) -> Option<u16> {
        let exposed = || dockerfile::exposed_port(&self.images.text(original?, place)?);
        file.port.map(NonZeroU16::get).or_else(exposed)
    }

    /// An edition by its name.
    fn edition(&self, name: &str, place: &Place<'_>) -> Option<Edition> {
        let edition = self.editions.iter().copied().find(|edition| edition.name() == name);
        if edition.is_none() {
            place.fault(Unknown::new("edition", name, self.editions.iter().map(|edition| edition.name())));
        }
        edition
    }

    fn sizes(&self, file: &file::Service, place: &Place<'_>) -> BTreeMap<Edition, Sizes> {
        let (table, mut sizes) = (place.key("sizes"), BTreeMap::new());
        if let Some(size) = &file.size {
            let limits = size_limits(size, &place.key("size"));
            sizes.extend(self.editions.iter().map(|edition| (*edition, limits)));
        }
        for (name, size) in file.sizes.iter() {
            let limits = size_limits(size, &table.key(name));
            sizes.extend(self.edition(name, &table).map(|edition| (edition, limits)));
        }
        sizes
    }

    /// What editions add. The table names all editions or does not exist.
    fn additions(&self, file: &file::Service, place: &Place<'_>) -> Additions {
        let table = place.key("editions");
        let mut found = BTreeMap::new();
        for (name, addition) in file.editions.iter() {
            let addition = Addition {
                packages: addition.packages.iter().cloned().collect(),
                capabilities: addition.capabilities.iter().cloned().collect(),
                limits: addition.limits.clone(),
            };
            found.extend(self.edition(name, &table).map(|edition| (edition, addition)));
        }
        if place.has("editions") {
            for edition in self.editions.iter().filter(|edition| !found.contains_key(*edition)) {
                table.fault(format!("`{edition}` is missing: add what it adds, or `{{}}`"));
            }
        }
        self.add_limits(&file.limits, &place.key("limits"), &mut found);
        self.refuse_contradictions(&table, &found);
        Additions::new(found)
    }

    /// Adds the limits that are written by name.
    fn add_limits(
        &self,
        limits: &BTreeMap<String, Limit>,
        place: &Place<'_>,
        found: &mut BTreeMap<Edition, Addition>,
    ) {
        for (name, limit) in limits {
            let values = match limit {
                Limit::Same(value) => vec![*value; self.editions.len()],
                Limit::ByEdition(values) => values.clone(),
            };
            if values.len() != self.editions.len() {
                let text = format!("must be one number, or {}: one for each edition", self.editions.len());
                place.key(name).fault(text);
            }
            for (edition, value) in self.editions.iter().zip(values) {
                if found.entry(*edition).or_default().limits.insert(name.clone(), value).is_some() {
                    place.key(name).fault(format!("{edition} states this limit already: remove one"));
                }
            }
        }
    }

    /// Nothing is added twice, and every edition has every limit.
    fn refuse_contradictions(&self, place: &Place<'_>, found: &BTreeMap<Edition, Addition>) {
        let mut seen = BTreeMap::new();
        let all: BTreeSet<&String> = found.values().flat_map(|addition| addition.limits.keys()).collect();
        for edition in self.editions {
            let Some(addition) = found.get(edition) else { continue };
            for name in addition.packages.iter().chain(&addition.capabilities) {
                if let Some(first) = seen.insert(name, edition) {
                    place.fault(format!("{edition} adds `{name}`, which {first} already adds: remove it"));
                }
            }
            for name in all.iter().filter(|name| !addition.limits.contains_key(**name)) {
                place.fault(format!("{edition} lacks the limit `{name}` of another edition: add it"));
            }
        }
    }
}

/// Refuses a value that another service has.
fn claim(claims: &mut Claims, what: &'static str, value: &str, owner: &str, place: &Place<'_>) {
    if let Some(other) = claims.insert((what, value.to_owned()), owner.to_owned()) {
        place.fault(format!("`{value}` is already the {what} of `{other}`: choose another"));
    }
}

fn size_limits(Size(file): &Size, place: &Place<'_>) -> Sizes {
    let bytes = |size: Option<SizeText>| size.map(|SizeText(bytes)| bytes);
    let sizes =
        Sizes { guide_original: bytes(file.original), target: bytes(file.target), goal: bytes(file.goal) };
    if let (Some(goal), Some(target)) = (sizes.goal, sizes.target)
        && goal > target
    {
        let text = format!("{goal} is above the target of {target}: a goal is the smaller size");
        place.key("goal").fault(text);
    }
    sizes
}

fn secret(file: &file::Secret, place: &Place<'_>) -> Secret {
    place.require(&["variable", "plain", "command"]);
    if file.command.is_empty() && place.has("command") {
        let text = "must name the command in the service's image that generates the secret";
        place.key("command").fault(text);
    }
    Secret { variable: file.variable.clone(), plain: file.plain.clone(), command: file.command.clone() }
}

fn run_needs(file: &file::Run, place: &Place<'_>) -> RunNeeds {
    let tmpfs = place.key("tmpfs");
    let unique: BTreeSet<&String> = file.tmpfs.iter().chain(&file.volumes).collect();
    if unique.len() < file.tmpfs.len() + file.volumes.len() {
        tmpfs.fault("a folder is listed twice");
    }
    for path in unique.iter().filter(|path| !path.starts_with('/')) {
        tmpfs.fault(format!("invalid folder `{path}`: start it with `/`"));
    }
    RunNeeds { env: file.env.clone(), tmpfs: file.tmpfs.clone(), volumes: file.volumes.clone() }
}
