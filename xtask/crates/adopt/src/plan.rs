//! Finds every image of a repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::choose::{ComposeChoice, choose};
use crate::development::{development, is_development_file};
use crate::existing::Declared;
use crate::find::{BuildFiles, find, main_compose};
use crate::plain_compose::PlainService;
use crate::skaffold::{Artifact, artifacts};
use crate::{
    AdoptedService, Adoption, AdoptionProblem, Guess, HealthOrigin, Origin, dockerfile, plain_compose,
};
use engine::builds::{self, BuildOrigin, NamedBuild, RefusedFiles, free_name, has_default_files};
use engine::docker::Docker;
use host::git::Git;
use model::image_ref::name_of;
use model::manifest::Build;

/// Finds the images that the manifest, if there is one, does not declare. `docker` reads Compose and bake files; without it, only the main
/// Compose files are read. Files that Docker rejects are reported and left out.
///
/// # Errors
/// When `.env` or a Compose file cannot be read, or Compose or Buildx is not installed.
pub fn adopt(root: &Path, git: &Git, docker: Option<&Docker>, declared: &Declared) -> Result<Adoption> {
    let found = find(root, git);
    let plain = found.compose.iter().filter_map(|file| {
        let services = plain_compose::services(root, file).ok()?;
        (!services.is_empty()).then(|| (file.clone(), services))
    });
    let plain = plain.collect();
    let adoption = Adoption::default();
    let (taken, ignored) = (BTreeSet::new(), BTreeSet::new());
    let mut plan = Plan { root, git, adoption, taken, ignored, files: &found, plain, declared };
    plan.take_declared();
    let choice = plan.choose_files()?;
    plan.choose_nested_bake(docker);
    match docker {
        Some(docker) => plan.read_builds(docker)?,
        None => plan.read_without_docker()?,
    }
    plan.report_unread_compose(&choice);
    plan.read_skaffold();
    plan.read_dockerfiles();
    for folder in &found.empty_submodules {
        plan.problem(folder, "the git submodule is empty", SUBMODULES);
    }
    let mut adoption = plan.adoption;
    adoption.services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(adoption)
}

/// The remedy for submodules that were not fetched.
const SUBMODULES: &str = "run `git submodule update --init`";

pub(crate) struct Plan<'r> {
    pub(crate) root: &'r Path,
    pub(crate) git: &'r Git,
    pub(crate) adoption: Adoption,
    /// The services' names so far.
    pub(crate) taken: BTreeSet<String>,
    /// Dockerfiles of builds that the manifest ignores.
    pub(crate) ignored: BTreeSet<String>,
    pub(crate) files: &'r BuildFiles,
    /// The builds of all Compose files, by file, as found by our limited parser.
    pub(crate) plain: BTreeMap<String, Vec<PlainService>>,
    pub(crate) declared: &'r Declared,
}

impl Plan<'_> {
    pub(crate) fn guess(&mut self, about: &str, choice: impl Into<String>, reason: impl Into<String>) {
        self.adoption.guesses.push(Guess {
            about: about.to_owned(),
            choice: choice.into(),
            reason: reason.into(),
        });
    }

    pub(crate) fn problem(&mut self, about: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = AdoptionProblem { about: about.to_owned(), what: what.into(), remedy: remedy.into() };
        self.adoption.problems.push(problem);
    }

    /// The services of the manifest that declare a build of their own.
    fn take_declared(&mut self) {
        self.taken.extend(self.declared.services.iter().map(|service| service.name.clone()));
        for service in &self.declared.services {
            let Some(build) = service.original.clone() else { continue };
            let facts = self.facts(&build);
            self.adoption.services.push(AdoptedService {
                name: service.name.clone(),
                origin: Origin::Manifest,
                build,
                image: Some(service.image.clone()),
                ports: service.port.map_or(facts.ports, |port| vec![port]),
                health: facts.health.then_some(HealthOrigin::Image),
            });
        }
    }

    /// Chooses the Compose and bake files: the manifest's, or Docker's defaults.
    fn choose_files(&mut self) -> Result<ComposeChoice> {
        self.adoption.bake = self.declared.bake.clone().unwrap_or_else(|| self.files.bake.clone());
        self.adoption.compose.clone_from(&self.declared.compose);
        if self.declared.compose.is_some() || has_default_files(self.root)? {
            return Ok(ComposeChoice::Default);
        }
        let choice = choose(&self.plain);
        if let ComposeChoice::One { file, reason } = &choice {
            self.adoption.compose = Some(vec![file.clone()]);
            let reason = format!("Compose finds no file of its own at the root, and {reason}");
            self.guess(file, "the Compose file to read", reason);
        }
        Ok(choice)
    }

    /// Chooses a bake file in another folder if it is the only one whose builds all exist as seen from the root: the contexts of a bake
    /// file depend on the folder that it is called in.
    fn choose_nested_bake(&mut self, docker: Option<&Docker>) {
        let nested: Vec<&String> =
            self.files.nested_bake.iter().filter(|file| !is_development_file(file)).collect();
        let mut usable = Vec::new();
        if let Some(docker) = docker.filter(|_| self.adoption.bake.is_empty() && self.declared.bake.is_none())
        {
            usable.extend(nested.iter().copied().filter(|file| is_usable_from(self.root, file, docker)));
        }
        if let [only] = usable[..] {
            self.guess(
                only,
                "the bake file to read",
                "the contexts of all its targets exist as seen from the root",
            );
            self.adoption.bake = vec![only.clone()];
        }
        for file in nested {
            if !self.adoption.bake.contains(file) && self.declared.bake.is_none() {
                self.problem(
                    file,
                    "not read: a bake file's contexts depend on the folder it is called in",
                    "name it under `bake` if that is the root",
                );
            }
        }
    }

    /// Reports Compose files with builds that no chosen file contains.
    fn report_unread_compose(&mut self, choice: &ComposeChoice) {
        let main = main_compose(self.root);
        let chosen = |file: &str| match &self.adoption.compose {
            None => Some(file) == main,
            // The main file is reported as refused.
            Some(files) if files.is_empty() => Some(file) == main,
            Some(files) => files.iter().any(|one| one == file),
        };
        let is_known =
            |build: &Build| self.adoption.services.iter().any(|one| one.build.dockerfile == build.dockerfile);
        let brings = |one: &PlainService| {
            one.build.inline.is_none()
                && !is_known(&one.build)
                && development(&one.build.dockerfile).is_none()
        };
        let unread = self.plain.iter().filter(|(file, all)| !chosen(file) && all.iter().any(brings));
        let unread: Vec<String> = unread.map(|(file, _)| file.clone()).collect();
        let equal = match choice {
            ComposeChoice::Open(equal) => equal.as_slice(),
            _ => &[],
        };
        let (equal, other) = (
            equal.iter().filter(|(file, _)| unread.contains(file)).collect::<Vec<_>>(),
            unread.iter().filter(|file| equal.iter().all(|(one, _)| one != *file)),
        );
        if let Some((first, _)) = equal.first() {
            let listed: Vec<String> =
                equal.iter().map(|(file, builds)| format!("{file} ({builds})")).collect();
            let what = format!(
                "none is read, because none has more builds than all others together: {}",
                listed.join(", ")
            );
            let remedy = format!("to read one, add `compose = [\"{first}\"]` to the manifest");
            self.problem("Compose files", what, remedy);
        }
        for file in other {
            let reason = "Compose does not read it by default; its Dockerfiles are adopted without it";
            self.guess(file, "not read", reason);
        }
    }

    /// Builds of Compose and bake files, through Docker.
    fn read_builds(&mut self, docker: &Docker) -> Result<()> {
        let (compose, bake) = (self.adoption.compose.clone(), self.adoption.bake.clone());
        let (mut found, refused) = builds::accepted(self.root, compose.as_deref(), &bake, docker)?;
        // A rejected file may define the ignored builds.
        if refused.is_empty() {
            let ignored = builds::remove_ignored(&self.declared.ignore, &mut found, &self.declared.file)?;
            self.ignored.extend(ignored.into_values().map(|build| build.dockerfile));
        }
        for one in refused {
            self.leave_out(one);
        }
        for problem in found.problems {
            self.problem(&problem.name, problem.what, problem.remedy);
        }
        for build in found.builds {
            self.take_build(build);
        }
        Ok(())
    }

    /// Reports files that Docker rejects and leaves them out of the manifest.
    fn leave_out(&mut self, refused: RefusedFiles) {
        let is_declared = match refused.origin {
            BuildOrigin::Compose => self.declared.compose.is_some(),
            BuildOrigin::Bake => self.declared.bake.is_some(),
        };
        let list = |files: &[String]| {
            let files: Vec<String> = files.iter().map(|file| format!("\"{file}\"")).collect();
            format!("[{}]", files.join(", "))
        };
        let (about, then) = match refused.origin {
            BuildOrigin::Bake => {
                let files = std::mem::take(&mut self.adoption.bake);
                ("bake files", format!("then add `bake = {}` to the manifest", list(&files)))
            }
            BuildOrigin::Compose => {
                let then = match self.adoption.compose.replace(Vec::new()) {
                    None => "then remove `compose = []` from the manifest".to_owned(),
                    Some(files) => format!("then set `compose = {}` in the manifest", list(&files)),
                };
                ("Compose files", then)
            }
        };
        let failure = refused.failure;
        let remedy = if is_declared { failure.remedy } else { format!("{}; {then}", failure.remedy) };
        self.problem(about, format!("left out: {}", failure.what), remedy);
    }

    fn take_build(&mut self, found: NamedBuild) {
        let declared = self.declared.services.iter().find(|service| builds::is_of(&found, service));
        if declared.is_some_and(|service| service.original.is_some()) {
            return;
        }
        let name = declared
            .map_or_else(|| free_name(&found.service, &mut self.taken), |service| service.name.clone());
        if found.sharing.len() > 1 {
            let others: Vec<&str> =
                found.sharing.iter().map(String::as_str).filter(|one| *one != found.name).collect();
            self.guess(&name, format!("also the image of {}", others.join(", ")), "their builds are equal");
        }
        let left_out = &found.build.settings.left_out;
        if !left_out.is_empty() {
            let what = format!("these parts of its build are ignored: {}", left_out.join(", "));
            self.problem(&found.name, what, "build it with Compose or bake if it needs them");
        }
        let facts = self.facts(&found.build);
        self.adoption.services.push(AdoptedService {
            name,
            origin: match found.origin {
                BuildOrigin::Compose => Origin::Compose,
                BuildOrigin::Bake => Origin::Bake,
            },
            image: found.image,
            ports: if found.ports.is_empty() { facts.ports } else { found.ports },
            health: match (found.health, facts.health) {
                (true, _) => Some(HealthOrigin::Compose),
                (false, true) => Some(HealthOrigin::Image),
                (false, false) => None,
            },
            build: found.build,
        });
    }

    /// Builds of Compose files, by our own reader.
    fn read_without_docker(&mut self) -> Result<()> {
        let main = main_compose(self.root).map(|name| vec![name.to_owned()]);
        for file in self.adoption.compose.clone().or(main).unwrap_or_default() {
            let unread = format!("{file}: profiles, include, extends and overrides were not resolved");
            self.adoption.unverified.push(unread);
            for service in plain_compose::services(self.root, &file)? {
                if self.declared.ignore.iter().any(|name| builds::is_called(&service.name, name)) {
                    self.ignored.insert(service.build.dockerfile);
                    continue;
                }
                if service.build.inline.is_none() && !self.root.join(&service.build.dockerfile).is_file() {
                    let what = format!("its Dockerfile does not exist: {}", service.build.dockerfile);
                    self.problem(
                        &service.name,
                        what,
                        "create it, fix its path, or run `git submodule update --init`",
                    );
                    continue;
                }
                let (build, image) = (service.build, service.image);
                let one = NamedBuild {
                    service: service.name.clone(),
                    name: service.name,
                    build,
                    image,
                    ..NamedBuild::default()
                };
                self.take_build(one);
            }
        }
        for file in &self.adoption.bake {
            self.adoption
                .unverified
                .push(format!("{file}: only Buildx reads bake files; its targets are unknown"));
        }
        Ok(())
    }

    fn read_skaffold(&mut self) {
        for file in self.files.skaffold.iter().filter(|file| development(file).is_none()) {
            let found = match artifacts(self.root, file) {
                Ok(found) => found,
                Err(error) => {
                    self.problem(file, format!("{error:#}"), "fix the YAML");
                    continue;
                }
            };
            for artifact in found {
                self.take_artifact(file, artifact);
            }
        }
    }

    fn take_artifact(&mut self, file: &str, artifact: Artifact) {
        let image = artifact.image.clone();
        if let Some(builder) = &artifact.builder {
            let reason = format!("{file} builds it with {builder}, without a Dockerfile");
            return self.guess(&image, "left out", reason);
        }
        if artifact.context.starts_with("..") || artifact.dockerfile.starts_with("..") {
            let what = format!("its build is outside of the repository: {}", artifact.context);
            return self.problem(&image, what, "move it into the repository");
        }
        if !self.root.join(&artifact.dockerfile).is_file() {
            let what = format!("its Dockerfile does not exist: {}", artifact.dockerfile);
            return self.problem(&image, what, format!("create it, or fix its path in {file}"));
        }
        let is_declared = self.is_left_out(&artifact.dockerfile);
        if is_declared || self.is_built(&artifact.dockerfile, artifact.target.as_deref()) {
            return;
        }
        if !artifact.templates.is_empty() {
            let what =
                format!("only Skaffold can fill in its build arguments: {}", artifact.templates.join(", "));
            self.problem(&image, what, "add their values under `args` in the manifest");
        }
        let build = Build {
            context: artifact.context,
            dockerfile: artifact.dockerfile,
            target: artifact.target,
            args: artifact.args,
            ..Build::default()
        };
        self.add(name_of(&image), Origin::Skaffold, build, Some(image.clone()));
    }

    /// Whether the manifest declares or ignores a build of this Dockerfile.
    pub(crate) fn is_left_out(&self, dockerfile: &str) -> bool {
        self.ignored.contains(dockerfile) || self.declared.mentions(dockerfile)
    }

    /// Whether a build of this Dockerfile and stage is known.
    fn is_built(&self, dockerfile: &str, target: Option<&str>) -> bool {
        let same = |build: &Build| build.dockerfile == dockerfile && build.target.as_deref() == target;
        self.adoption.services.iter().any(|service| same(&service.build))
    }

    pub(crate) fn add(&mut self, name: &str, origin: Origin, build: Build, image: Option<String>) -> String {
        let facts = self.facts(&build);
        let name = free_name(name, &mut self.taken);
        let health = facts.health.then_some(HealthOrigin::Image);
        let service = AdoptedService { name: name.clone(), origin, build, image, ports: facts.ports, health };
        self.adoption.services.push(service);
        name
    }

    fn facts(&self, build: &Build) -> dockerfile::DockerfileFacts {
        let read = || std::fs::read_to_string(self.root.join(&build.dockerfile)).unwrap_or_default();
        let text = build.inline.clone().unwrap_or_else(read);
        dockerfile::read(&text, build.target.as_deref(), &build.args)
    }
}

/// Whether Docker can read a bake file from the root and all its targets can be built.
fn is_usable_from(root: &Path, file: &str, docker: &Docker) -> bool {
    let found = builds::bake(root, &[file.to_owned()], docker);
    found.is_ok_and(|found| !found.builds.is_empty() && found.problems.is_empty())
}
