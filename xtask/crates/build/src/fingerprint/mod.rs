//! The fingerprint of an image: a hash of everything its build can read. If it has not changed, the image need not be rebuilt.
//!
//! It covers the Dockerfile, the files that the context sends, arguments, labels, platform, named contexts, the names of secrets,
//! the IDs of the base images and of the frontend, and the same for every target that it depends on. It excludes the commit in a
//! label, which does not affect the image otherwise, and the date of packages, so that an image keeps its digest if its packages have not
//! changed. A build that gets packages expires instead, see [`Fingerprint::unpinned`].

mod asks;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::build_inputs::{BuildInputs, TargetInputs};
use crate::package_date;
use crate::plan::BuildPlan;
use asks::Asks;
use engine::bake::Target;
use engine::labels;
use host::files;
use model::platform::Platform;

/// Raise it when the rules change, so that images built under older rules are not reused.
const RULES: &str = "1";

/// The fingerprint of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// SHA-256, in hexadecimal.
    pub hash: String,
    /// This target and its dependencies, if their packages or other downloads can change from day to day.
    pub unpinned: BTreeSet<String>,
    /// Whether a base image or the frontend comes from a registry by tag. Every build resolves the tag again, so the cache may be used.
    pub has_moving_images: bool,
    /// What the hash was computed from, as far as provenance names it.
    pub inputs: BuildInputs,
}

/// Returns the hash of the files that a folder sends to a build. The second path is the Dockerfile, which may have an ignore file
/// next to it; a named context has no Dockerfile.
pub type HashContext<'a> = dyn FnMut(&Path, Option<&Path>) -> Result<String> + 'a;

/// The images that a plan's builds use and that are not targets of the plan. Their IDs are part of the fingerprints.
pub fn images(plan: &BuildPlan) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for target in plan.definition.target.values() {
        // An unreadable Dockerfile has no fingerprint.
        let asks = Asks::of(&text(target).unwrap_or_default(), &target.args);
        found.extend(asks.images.into_iter().filter(|image| !target.contexts.contains_key(image)));
        found.extend(asks.frontend);
        found.extend(
            target.contexts.values().filter_map(|place| place.strip_prefix(IMAGE)).map(str::to_owned),
        );
    }
    found
}

/// The fingerprints of a plan's images by target. A build whose inputs cannot be determined or read before it runs has none.
///
/// `starts`: the engine's images by the names in [`images`]. `uses_engine`: whether the builder is known to use the engine's images.
pub fn of_plan(
    plan: &BuildPlan,
    starts: &BTreeMap<String, StartImage>,
    uses_engine: bool,
    context: &mut HashContext<'_>,
) -> BTreeMap<String, Fingerprint> {
    let mut prints = Prints { plan, starts, uses_engine, context, done: BTreeMap::new() };
    let names = plan.images.iter().map(|image| &image.target);
    names.filter_map(|name| Some((name.clone(), prints.of(name).ok()??))).collect()
}

/// An image of the engine that builds start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartImage {
    /// Its ID.
    pub id: String,
    /// Its platform.
    pub platform: Platform,
}

impl StartImage {
    /// Whether a target's build starts from it. For another platform, BuildKit asks the registry for the image instead.
    fn serves(&self, target: &Target) -> bool {
        let mut platforms = target.platforms.iter().filter_map(|text| text.parse::<Platform>().ok());
        platforms.all(|wanted| self.platform.is_wanted(&wanted))
    }
}

const IMAGE: &str = "docker-image://";

/// The text of a target's Dockerfile.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn text(target: &Target) -> Result<String> {
    match (&target.dockerfile_inline, dockerfile(target)) {
        (Some(text), _) => Ok(text.clone()),
        (None, Some(path)) => files::read(&path).with_context(|| format!("cannot read {}", path.display())),
        // It is in a context that is not a folder.
        (None, None) => Ok(String::new()),
    }
}

/// The path of a target's Dockerfile, where it is a file of this machine. Bake looks for it in the context.
fn dockerfile(target: &Target) -> Option<PathBuf> {
    let name = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    let is_here = Path::new(&target.context).is_absolute() && target.dockerfile_inline.is_none();
    is_here.then(|| Path::new(&target.context).join(name))
}

/// The local folders that a target's build reads. The main context comes with its Dockerfile, which selects the ignore file.
pub(crate) fn folders(target: &Target) -> Vec<(&Path, Option<PathBuf>)> {
    let named = target.contexts.values().map(|place| (Path::new(place), None));
    let all = [(Path::new(&target.context), dockerfile(target))].into_iter().chain(named);
    all.filter(|(folder, _)| folder.is_absolute()).collect()
}

/// Computes each target's fingerprint once.
struct Prints<'a> {
    plan: &'a BuildPlan,
    starts: &'a BTreeMap<String, StartImage>,
    uses_engine: bool,
    context: &'a mut HashContext<'a>,
    /// `None` if it is unknown, or still being computed because targets depend on each other.
    done: BTreeMap<String, Option<Fingerprint>>,
}

impl Prints<'_> {
    fn of(&mut self, name: &str) -> Result<Option<Fingerprint>> {
        if let Some(done) = self.done.get(name) {
            return Ok(done.clone());
        }
        self.done.insert(name.to_owned(), None);
        let print = match self.plan.definition.target.get(name) {
            Some(target) => self.compute(name, target)?,
            None => None,
        };
        self.done.insert(name.to_owned(), print.clone());
        Ok(print)
    }

    fn compute(&mut self, name: &str, target: &Target) -> Result<Option<Fingerprint>> {
        let text = text(target)?;
        let asks = Asks::of(&text, &target.args);
        let folder = Path::new(&target.context);
        // These settings force a build every time.
        let is_fresh = target.no_cache || target.pull || !target.no_cache_filter.is_empty();
        if asks.unknown_image || is_fresh || !folder.is_absolute() {
            return Ok(None);
        }
        let mut parts = Parts::default();
        if asks.unpinned || target.args.contains_key(package_date::ARGUMENT) {
            parts.unpinned.insert(name.to_owned());
        }
        parts.inputs.own = own_inputs(target, &text);
        parts.add("rules", RULES);
        parts.add("dockerfile", &text);
        parts.add("target", &declared(target)?);
        let files = (self.context)(folder, dockerfile(target).as_deref())?;
        parts.add("context", &files);
        parts.inputs.own.context = files;
        for image in asks.images.iter().filter(|image| !target.contexts.contains_key(*image)) {
            self.image(image, |start| start.serves(target), &mut parts);
        }
        if let Some(image) = &asks.frontend {
            // The frontend runs on the builder's platform.
            self.image(image, |_| true, &mut parts);
            parts.inputs.own.frontend = Some(image.clone());
        }
        for (key, place) in &target.contexts {
            parts.add("named context", key);
            if let Some(other) = place.strip_prefix("target:") {
                let Some(print) = self.of(other)? else { return Ok(None) };
                parts.add("fingerprint", &print.hash);
                parts.unpinned.extend(print.unpinned);
                parts.has_moving_images |= print.has_moving_images;
                parts.inputs.add_base(other, print.inputs);
            } else if let Some(image) = place.strip_prefix(IMAGE) {
                self.image(image, |start| start.serves(target), &mut parts);
            } else if Path::new(place).is_absolute() {
                parts.add("files", &(self.context)(Path::new(place), None)?);
            } else {
                return Ok(None);
            }
        }
        Ok(Some(parts.finish()))
    }

    /// Adds an image from outside the plan by its ID in the engine. BuildKit resolves images that the engine does not have, so their
    /// content may change unless the name has a digest. Other builders may not use the engine's images: for them, the ID is part of the
    /// fingerprint but does not pin the image.
    fn image(&self, image: &str, serves: impl Fn(&StartImage) -> bool, parts: &mut Parts) {
        parts.add("image", image);
        let start = self.starts.get(image).filter(|start| serves(start));
        // Another builder may use a different base image, so its result has a different fingerprint.
        let id = if self.uses_engine { "id" } else { "id in the engine" };
        start.into_iter().for_each(|start| parts.add(id, &start.id));
        let used = start.filter(|_| self.uses_engine).map(|start| start.id.clone());
        parts.inputs.images.insert(image.to_owned(), used);
        parts.has_moving_images |= !image.contains("@sha256:") && (start.is_none() || !self.uses_engine);
    }
}

/// What provenance records about a target, without its context.
fn own_inputs(target: &Target, dockerfile: &str) -> TargetInputs {
    let mut args = target.args.clone();
    args.remove(package_date::ARGUMENT);
    TargetInputs {
        dockerfile: hex(Sha256::new_with_prefix(dockerfile)),
        args,
        target: target.target.clone(),
        secrets: target.secret.iter().filter_map(|secret| secret_id(secret)).map(str::to_owned).collect(),
        ..TargetInputs::default()
    }
}

/// The ID in a secret's declaration.
fn secret_id(secret: &str) -> Option<&str> {
    secret.split(',').find_map(|part| part.strip_prefix("id="))
}

/// What a target declares and what can change its image.
fn declared(target: &Target) -> Result<String> {
    let mut target = target.clone();
    // Content counts, not location.
    target.context.clear();
    target.dockerfile = None;
    target.dockerfile_inline = None;
    target.contexts.clear();
    target.args.remove(package_date::ARGUMENT);
    target.labels.remove(labels::REVISION);
    target.tags.clear();
    target.output.clear();
    target.cache_from.clear();
    target.cache_to.clear();
    for secret in &mut target.secret {
        // Values of secrets do not belong in an image.
        *secret = secret.split(',').find(|part| part.starts_with("id=")).unwrap_or_default().to_owned();
    }
    Ok(serde_json::to_string(&target)?)
}

/// Hashes parts with their lengths, so that different parts never give the same bytes.
#[derive(Default)]
struct Parts {
    hash: Sha256,
    unpinned: BTreeSet<String>,
    has_moving_images: bool,
    inputs: BuildInputs,
}

impl Parts {
    fn add(&mut self, kind: &str, content: &str) {
        for part in [kind, content] {
            self.hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            self.hash.update(part);
        }
    }

    fn finish(self) -> Fingerprint {
        let Parts { hash, unpinned, has_moving_images, inputs } = self;
        Fingerprint { hash: hex(hash), unpinned, has_moving_images, inputs }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
