//! Verifies a switch by its effect: Compose reads a copy of the files before and after it, and only the intended images may differ.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result};
use serde::Deserialize as _;
use serde_json::Value;

use crate::switch::edits::{DigestOf, SkippedReference};
use crate::switch::files::PlannedFile;
use crate::switch::mirror::Mirror;
use crate::switch::own_images::OwnImages;
use crate::switch::reference::{ComposeImage, SwitchRequest};
use engine::compose::{ComposeConfig, ComposeInput, ComposeService, folder_of};
use engine::context::Context;
use engine::interpolation::interpolate;
use engine::variables::VERSION;
use host::failure::{Failure, FailureClass};
use host::files;
use host::process::tail;
use model::image_ref::Tag;

/// The second value of variables in image references, and that of required variables that are not set. It is valid as a registry,
/// a name, a tag, a port and a number.
const OTHER: &str = "8";

/// Compose options that select all services.
const ALL_PROFILES: &[&str] = &["--profile", "*"];

/// A switch to prove.
pub struct Switch<'a> {
    /// All files that were read.
    pub files: &'a [PlannedFile],
    /// The files that Compose starts with, and their variables.
    pub input: &'a ComposeInput,
    /// Our images, including those in registries from variables.
    pub own: &'a OwnImages<'a>,
    /// What references are to become.
    pub request: &'a SwitchRequest,
    /// The digests to pin to.
    pub digest_of: Option<DigestOf<'a>>,
}

/// A service that runs one of our images, but not as requested, and whose reference was not found in any file.
#[derive(Debug, PartialEq, Eq)]
pub struct MissedService {
    /// The service's name.
    pub service: String,
    /// Its image, variables replaced.
    pub image: String,
}

/// What Compose reads after the switch, with the user's variables.
#[derive(Debug, Default)]
pub struct Proof {
    /// Services that the switch should have changed.
    pub missed: Vec<MissedService>,
    /// All services. The contexts of their builds are relative to the repository.
    pub services: BTreeMap<String, ComposeService>,
    /// Compose's error if it cannot read services of inactive profiles, which are then not verified.
    pub unread_profiles: Option<String>,
}

/// What Compose reads from a set of files.
struct Model {
    services: BTreeMap<String, ComposeService>,
    /// The image of each service.
    images: BTreeMap<String, String>,
    /// Everything else, without extensions.
    rest: Value,
}

/// Compose's answer: its model, or its error.
type Answer = Result<Model, String>;

/// Compose's answers in one environment.
struct Answers {
    environment: BTreeMap<String, String>,
    before: Answer,
    /// `None` if the switch changes nothing.
    after: Option<Answer>,
}

impl Switch<'_> {
    /// Compares what Compose reads before and after the switch: with the user's variables, and with those in image references
    /// changed. Returns `None` if Compose is not installed.
    ///
    /// # Errors
    /// When Compose rejects the files before or after the switch, or reads a change other than the intended ones.
    pub fn prove(&self, context: &Context) -> Result<Option<Proof>> {
        let root = files::real_path(context.repository.root())?;
        let (mut own, mut changed) = self.read(&root, ALL_PROFILES, context)?;
        let mut unread_profiles = None;
        // A file outside of the repository may be missing in the copy, and services of other profiles may need other files.
        for profiles in [ALL_PROFILES, &[]] {
            if let Some(error) = own.before.as_ref().err().cloned().filter(|_| context.docker.has_compose()) {
                (own, changed) = self.read(Path::new("/"), profiles, context)?;
                unread_profiles = profiles.is_empty().then_some(error);
            }
        }
        let before = match own.before {
            Ok(before) => before,
            Err(_) if !context.docker.has_compose() => return Ok(None),
            Err(error) => return Err(refused("these files", &error).into()),
        };
        let after = own.after.transpose().map_err(|error| refused("the switched files", &error))?;
        let after = after.as_ref().unwrap_or(&before);
        let missed = self.compare(&before, after, &own.environment, true)?;
        // The changed values may not suit what else the variables are used for.
        if let Some(Answers { environment, before: Ok(before), after: Some(after) }) = changed {
            let after = after.map_err(|error| refused("the switched files", &error))?;
            self.compare(&before, &after, &environment, false)?;
        }
        Ok(Some(Proof { missed, services: after.services.clone(), unread_profiles }))
    }

    /// The user's variables, as `deploy` passes them: `latest-optimized` means the tag `latest`. Required ones that are not set
    /// get a value, because Compose rejects the files without.
    fn own_environment(&self) -> BTreeMap<String, String> {
        let variables = &self.input.variables;
        let tag = variables.compose_value(VERSION).and_then(|text| text.parse::<Tag>().ok());
        let tag = tag.map(|tag| (VERSION.to_owned(), tag.to_string()));
        let values = self.files.iter().flat_map(|file| &file.plan.requiring);
        let required = values.flat_map(|value| required(value));
        let unset = required.filter(|(name, may_be_empty)| {
            let value = variables.compose_value(name);
            value.is_none_or(|value| value.is_empty() && !may_be_empty)
        });
        unset.map(|(name, _)| (name.to_owned(), OTHER.to_owned())).chain(tag).collect()
    }

    /// The same, but every variable in a reference to one of our images has another value.
    fn changed_environment(&self, own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let names = RefCell::new(own.clone());
        let note = |name: &str| {
            names.borrow_mut().insert(name.to_owned(), OTHER.to_owned());
            Some(OTHER.to_owned())
        };
        let mut registries = BTreeMap::new();
        for plan in self.files.iter().map(|file| &file.plan) {
            let edits = plan.edits.iter().map(|edit| &edit.before);
            let skipped = plan.skipped.iter().map(|skipped| &skipped.text);
            for text in edits.chain(skipped).chain(&plan.unchanged) {
                // Invalid references are reported elsewhere.
                interpolate(text, &note).ok();
                registries.extend(registry_variables(text));
            }
        }
        names.into_inner().into_iter().chain(registries).collect()
    }

    /// Compose's answers with the user's variables, and with changed ones. The second is `None` if the switch changes nothing or no
    /// reference has a variable. The copies leave out what is outside of `top`.
    fn read(&self, top: &Path, profiles: &[&str], context: &Context) -> Result<(Answers, Option<Answers>)> {
        let switched: Vec<String> = self.files.iter().map(PlannedFile::switched).collect();
        let before: Vec<(&Path, &str)> =
            self.files.iter().map(|file| (file.path.as_path(), file.text.as_str())).collect();
        let after: Vec<(&Path, &str)> = self
            .files
            .iter()
            .zip(&switched)
            .map(|(file, text)| (file.path.as_path(), text.as_str()))
            .collect();
        let folders: Result<Vec<PathBuf>> = self.input.files.iter().map(|path| folder_of(path)).collect();
        let written =
            self.files.iter().flat_map(|file| &file.written).flat_map(|path| path.ancestors().skip(1));
        let written = written.filter_map(|folder| files::real_path(folder).ok());
        let folders: Vec<PathBuf> = folders?.into_iter().chain(written).collect();
        let (input, is_changed) = (self.input, after != before);
        let before = Mirror::new(&before, &folders, top)?;
        let after = is_changed.then(|| Mirror::new(&after, &folders, top)).transpose()?;
        let ask_both = |environment: BTreeMap<String, String>| -> Result<Answers> {
            let ask = |mirror| ask(input, mirror, profiles, &environment, context);
            let (before, after) = both(|| ask(&before), || after.as_ref().map(ask));
            Ok(Answers { before: before?, after: after.transpose()?, environment })
        };
        let own = self.own_environment();
        let changed = self.changed_environment(&own);
        let changed = (is_changed && changed != own).then_some(changed);
        let (own, changed) = both(|| ask_both(own), || changed.map(ask_both));
        Ok((own?, changed.transpose()?))
    }

    /// Compares two models, read in this environment. `is_own`: with the user's variables, for which digests are known.
    fn compare(
        &self,
        before: &Model,
        after: &Model,
        environment: &BTreeMap<String, String>,
        is_own: bool,
    ) -> Result<Vec<MissedService>> {
        let same_services = before.images.keys().eq(after.images.keys());
        if before.rest != after.rest || !same_services {
            let what = "the switch would change more than images; no file was changed";
            let help = "this is a bug; please report it with the Compose files";
            return Err(Failure::new(FailureClass::Failed, what, help).into());
        }
        let edits = self.files.iter().flat_map(|file| &file.plan.edits);
        let fill = |text: &str| self.fill(text, environment);
        let edited: BTreeSet<(String, String)> =
            edits.map(|edit| (fill(&edit.before), fill(&edit.after))).collect();
        let mut missed = Vec::new();
        for ((service, old), new) in before.images.iter().zip(after.images.values()) {
            if old != new {
                if !self.is_intended(old, new, &edited, is_own) {
                    return Err(unintended(service, old, new).into());
                }
            } else if is_own && self.is_missed(old, environment) {
                missed.push(MissedService { service: service.clone(), image: old.clone() });
            }
        }
        Ok(missed)
    }

    fn is_intended(&self, old: &str, new: &str, edited: &BTreeSet<(String, String)>, is_own: bool) -> bool {
        let Some(image) = ComposeImage::parse(old).filter(|image| self.own.has_name(image)) else {
            return false;
        };
        let is_edited = || edited.contains(&(old.to_owned(), new.to_owned()));
        // With other values, a reference may be invalid.
        if !is_own && is_edited() {
            return true;
        }
        let (plain, digest) =
            new.split_once('@').map_or((new, None), |(plain, digest)| (plain, Some(digest)));
        let digest_is_right = match self.digest_of {
            Some(digest_of) if is_own => digest_of(plain).ok().as_deref() == digest,
            Some(_) => digest.is_some(),
            None => digest.is_none(),
        };
        let is_switched = match image.unpinned(&self.own.request_for(&image, self.request)) {
            Ok(wanted) => wanted == plain,
            // A variable that is not set may leave an empty tag.
            Err(_) => is_edited(),
        };
        digest_is_right && is_switched
    }

    fn fill(&self, text: &str, environment: &BTreeMap<String, String>) -> String {
        let value = |name: &str| {
            let value = environment.get(name).map(String::as_str);
            let value = value.or_else(|| self.input.variables.compose_value(name));
            value.map(str::to_owned)
        };
        interpolate(text, &value).unwrap_or_default()
    }

    /// Whether an unchanged image should have changed, and no message says why it did not.
    fn is_missed(&self, image: &str, environment: &BTreeMap<String, String>) -> bool {
        let Some(parsed) = ComposeImage::parse(image).filter(|_| self.own.owns(image)) else {
            return false;
        };
        let is_reported = |skipped: &SkippedReference| {
            skipped.text == image || self.fill(&skipped.text, environment) == image
        };
        let mut plans = self.files.iter().map(|file| &file.plan);
        let is_as_requested = match parsed.switched(&self.own.request_for(&parsed, self.request)) {
            Ok(wanted) => wanted == image,
            // A variable that is not set may leave an empty tag.
            Err(_) => {
                let mut unchanged = plans.clone().flat_map(|plan| &plan.unchanged);
                unchanged.any(|text| self.fill(text, environment) == image)
            }
        };
        !is_as_requested && !plans.any(|plan| plan.skipped.iter().any(is_reported))
    }
}

/// The names of the variables that a value requires, and whether they may be empty: `${NAME:?message}`, `${NAME?message}`.
fn required(value: &str) -> impl Iterator<Item = (&str, bool)> {
    value.split("${").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
        let (name, operator) = rest.split_at(end);
        let may_be_empty = !operator.starts_with(':');
        operator.trim_start_matches(':').starts_with('?').then_some((name, may_be_empty))
    })
}

/// Values for the variables directly before the name in a reference, such that they hold a registry.
fn registry_variables(reference: &str) -> BTreeMap<String, String> {
    let names = RefCell::new(BTreeMap::new());
    let note = |name: &str| {
        names.borrow_mut().insert(name.to_owned(), format!("{OTHER}/"));
        Some(OTHER.to_owned())
    };
    let variable = ComposeImage::parse(reference).map_or("", |image| image.variable());
    match interpolate(variable, &note) {
        Ok(value) if !value.is_empty() && !value.ends_with('/') => names.into_inner(),
        _ => BTreeMap::new(),
    }
}

/// Runs both at once.
fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let second = scope.spawn(second);
        (first(), second.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// What Compose reads from a copy of its input.
fn ask(
    input: &ComposeInput,
    mirror: &Mirror,
    profiles: &[&str],
    environment: &BTreeMap<String, String>,
    context: &Context,
) -> Result<Answer> {
    let root = files::real_path(context.repository.root())?;
    let mut cmd = context.docker.cmd(["compose"]).args(profiles.iter().copied());
    for file in &input.env_files {
        cmd = cmd.arg("--env-file").arg(file.display().to_string());
    }
    for path in &input.files {
        let path = mirror.at(&folder_of(path)?.join(path.file_name().unwrap_or_default()));
        cmd = cmd.arg("--file").arg(path.display().to_string());
    }
    for (name, value) in environment {
        cmd = cmd.env(name, value);
    }
    let output = match cmd.args(["config", "--format", "json"]).dir(mirror.at(&root)).capture() {
        Ok(output) => output,
        Err(error) => {
            context.docker.runner.interrupt.check()?;
            return Ok(Err(error.to_string()));
        }
    };
    if !output.success() {
        return Ok(Err(mirror.original(&tail(&output.stderr, 3))));
    }
    // Compose escapes each `$` of its output, so that it can be read again.
    let all = serde_json::from_str(&output.stdout.replace("$$", "$")).map(|all| mirror.original_value(all));
    Ok(Ok(all.and_then(|all| model(all, &root)).context("unexpected output of `docker compose config`")?))
}

/// Reads Compose's output. Compose ignores extensions, whose anchors may hold an image.
fn model(mut rest: Value, root: &Path) -> serde_json::Result<Model> {
    let mut services = ComposeConfig::deserialize(&rest)?.services;
    for build in services.values_mut().filter_map(|service| service.build.as_mut()) {
        if let Ok(relative) = build.context.strip_prefix(root) {
            build.context = relative.to_owned();
        }
    }
    let mut images = BTreeMap::new();
    if let Some(all) = rest.as_object_mut() {
        all.retain(|key, _| !key.starts_with("x-"));
    }
    for (name, service) in rest["services"].as_object_mut().into_iter().flatten() {
        let Some(service) = service.as_object_mut() else { continue };
        service.retain(|key, _| !key.starts_with("x-"));
        if let Some(Value::String(image)) = service.remove("image") {
            images.insert(name.clone(), image);
        }
    }
    Ok(Model { services, images, rest })
}

fn refused(what: &str, error: &str) -> Failure {
    let what = format!("Compose rejects {what}; no file was changed:\n{error}");
    Failure::new(
        FailureClass::Failed,
        what,
        "fix the Compose files; `docker compose config` shows the same error",
    )
}

fn unintended(service: &str, old: &str, new: &str) -> Failure {
    let what =
        format!("{service} would run {new} instead of {old}, which is not as requested; no file was changed");
    let help = "if a variable's value contains an edition, a variant or a digest, remove it there";
    Failure::new(FailureClass::Failed, what, help)
}
