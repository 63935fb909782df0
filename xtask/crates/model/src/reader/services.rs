//! Services, `[service.NAME]`.

use std::collections::{BTreeMap, BTreeSet};

use crate::additions::{Addition, Additions};
use crate::edition::Edition;
use crate::file::{self, Limit, Size, SizeText};
use crate::image_ref::{self, MAX_GIVEN_TAG, MAX_TAG};
use crate::manifest::{RunNeeds, Secret, Service, Sizes, TAG};
use crate::names::Unknown;
use crate::placeholders::RUN;
use crate::platform::Platform;
use crate::reader::builds::Builds;
use crate::reader::images::Images;
use crate::reader::load::{platforms, refuse_odd_name};
use crate::reader::place::Place;
use crate::reader::{probes, rules};
use crate::variant::OPTIMIZED_SUFFIX;

/// Reads services.
pub(super) struct Services<'a> {
    pub file: &'a file::Manifest,
    pub schema: u32,
    pub project: &'a str,
    pub editions: &'a [Edition],
    pub images: &'a Images<'a>,
    /// The default for `platforms`.
    pub platforms: &'a [Platform],
}

/// Values that must be unique, with their owners.
type Claims = BTreeMap<(&'static str, String), String>;

/// The declared editions that a key `only` names.
pub(super) fn only(names: &[String], editions: &[Edition], place: &Place<'_>) -> Vec<Edition> {
    if names.is_empty() {
        place.fault("must name an edition; otherwise remove the key");
    }
    let found: Vec<Edition> = names.iter().filter_map(|name| edition(name, editions, place)).collect();
    editions.iter().copied().filter(|edition| found.contains(edition)).collect()
}

fn edition(name: &str, editions: &[Edition], place: &Place<'_>) -> Option<Edition> {
    let declared = || editions.iter().copied().filter(|edition| !edition.is_none());
    let edition = declared().find(|edition| edition.name() == name);
    if edition.is_none() {
        place.fault(Unknown::new("edition", name, declared().map(Edition::name)));
    }
    edition
}

impl Services<'_> {
    pub fn all(&self, root: &Place<'_>) -> Vec<Service> {
        let (table, mut claims) = (root.key("service"), Claims::new());
        let services = self.file.service.iter();
        services.map(|(name, file)| self.service(name, file, &table.key(name), &mut claims)).collect()
    }

    fn service(&self, name: &str, file: &file::Service, place: &Place<'_>, claims: &mut Claims) -> Service {
        refuse_odd_name(name, place);
        rules::refuse_odd_test(&file.test, &place.key("test"));
        let image = self.image(name, file, place, claims);
        if let Some(compose) = &file.compose {
            claim(claims, "compose name", compose, name, &place.key("compose"));
        }
        let default = self.file.defaults.dockerfile.as_ref();
        let default = default.map(|path| self.filled(path, name).replace("{image}", &image));
        let builds = Builds { file, place: place.clone(), images: self.images, is_first: self.schema == 1 };
        let (original, optimized) = builds.all(default);
        let shipped = optimized.as_ref().or(original.as_ref());
        let (port, test_stage) = (builds.port([shipped, original.as_ref()]), builds.test_stage(shipped));
        let secrets: Vec<Secret> =
            file.secret.iter().map(|file| secret(file, &place.key("secret"))).collect();
        let mut available = BTreeSet::from([RUN.to_owned()]);
        available.extend(secrets.iter().map(|secret| secret.plain.clone()));
        if let Some(health) = file.health.as_ref().filter(|health| !health.starts_with('/')) {
            place.key("health").fault(format!("invalid path `{health}`: start it with `/`"));
        }
        let probes =
            probes::of_service(&file.probe, &place.key("probe"), name, self.editions, &mut available);
        // Compose may know the port of a service that it has.
        if port.is_none() && original.is_some() && file.compose.is_none() && !probes.is_empty() {
            place.fault("a probe needs the service's `port`: add it");
        }
        Service {
            name: name.to_owned(),
            image,
            tag: file.tag.clone(),
            compose: file.compose.clone(),
            port,
            health: file.health.clone(),
            platforms: self.platforms(file, place),
            chosen: None,
            editions_in: match &file.only {
                Some(names) => only(names, self.editions, &place.key("only")),
                None => self.editions.to_vec(),
            },
            pulled: file.pulled.clone(),
            original,
            optimized,
            test_stage,
            large_original: file.large_original,
            sizes: self.sizes(file, place),
            editions: self.additions(file, place),
            run: run_needs(&file.run, &place.key("run")),
            test: rules::test(&self.file.test, &file.test),
            secrets,
            probes,
            runs_once: false,
        }
    }

    fn platforms(&self, file: &file::Service, place: &Place<'_>) -> Vec<Platform> {
        let own = file.platforms.as_ref();
        let own = own.map(|texts| platforms(texts, self.editions, &place.key("platforms")));
        own.unwrap_or_else(|| self.platforms.to_vec())
    }

    fn filled(&self, template: &str, name: &str) -> String {
        template.replace("{name}", name).replace("{project}", self.project)
    }

    /// The repository of the image. Images of the same repository need different templates for their tags.
    fn image(&self, name: &str, file: &file::Service, place: &Place<'_>, claims: &mut Claims) -> String {
        let here = place.key("image");
        if let Some(pulled) = &file.pulled {
            if !image_ref::is_reference(pulled) {
                let text = format!("invalid reference `{pulled}`: use NAME[:TAG][@DIGEST], such as redis:7");
                place.key("pulled").fault(text);
            }
            return image_ref::repository_of(pulled).to_owned();
        }
        self.refuse_odd_tag(file, &place.key("tag"));
        let template = self.file.defaults.image.as_deref().unwrap_or("{name}");
        let image = file.image.clone().unwrap_or_else(|| self.filled(template, name));
        if !image_ref::is_repository(&image) {
            here.fault(format!(
                "invalid image name `{image}`: use lower-case letters and digits, separated by `.`, `_`, `__`, `-` or `/`"
            ));
        }
        if let Some(owner) = self.images.owner_of(&image) {
            here.fault(format!("`{image}` is already the image of `{owner}`: choose another"));
        }
        let tag = file.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        claim(claims, "image", &format!("{image}{tag}"), name, &here);
        image
    }

    /// With edition and variant, every tag must fit.
    fn refuse_odd_tag(&self, file: &file::Service, place: &Place<'_>) {
        let Some(tag) = &file.tag else { return };
        let longest = self.editions.iter().map(|edition| edition.suffix().len()).max().unwrap_or_default();
        let room = MAX_TAG - MAX_GIVEN_TAG - OPTIMIZED_SUFFIX.len() - longest;
        if tag.matches(TAG).count() != 1 || !image_ref::is_tag(&tag.replace(TAG, "x")) {
            place.fault(format!("invalid template `{tag}`: use {TAG} once, such as \"{TAG}-ad\""));
        } else if tag.len() - TAG.len() > room {
            place.fault(format!("`{tag}` adds more than {room} characters: use a shorter template"));
        }
    }

    /// An edition by its name.
    fn edition(&self, name: &str, place: &Place<'_>) -> Option<Edition> {
        edition(name, self.editions, place)
    }

    fn sizes(&self, file: &file::Service, place: &Place<'_>) -> BTreeMap<Edition, Sizes> {
        let (table, mut sizes) = (place.key("sizes"), BTreeMap::new());
        if self.editions == [Edition::NONE] && place.has("sizes") {
            table.fault("the manifest declares no editions: use `size`");
            return sizes;
        }
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
        if self.editions == [Edition::NONE] && place.has("editions") {
            table.fault("the manifest declares no editions: add `editions` at its top");
            return Additions::default();
        }
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
        Additions::new(self.editions, found)
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
    let file_variable = file.file_variable.clone();
    Secret {
        variable: file.variable.clone(),
        plain: file.plain.clone(),
        file_variable,
        command: file.command.clone(),
    }
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
