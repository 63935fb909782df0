//! Finds every image of a repository.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use crate::candidates::context_of;
use crate::development::development;
use crate::find::{BuildFiles, find, main_compose};
use crate::skaffold::{Artifact, artifacts};
use crate::{
    AdoptedService, Adoption, AdoptionProblem, Guess, HealthOrigin, Origin, dockerfile, plain_compose,
};
use engine::builds::{self, BuildOrigin, NamedBuild, free_name, has_default_files, plain_name};
use engine::docker::Docker;
use host::files;
use host::git::Git;
use model::image_ref::name_of;
use model::manifest::Build;

/// Finds the images. `docker` reads Compose and bake files; without it, only the main Compose files are read.
///
/// # Errors
/// When Docker refuses the repository's own Compose or bake files.
pub fn adopt(root: &Path, git: &Git, docker: Option<&Docker>) -> Result<Adoption> {
    let found = find(root, git);
    let mut plan = Plan { root, adoption: Adoption::default(), taken: BTreeSet::new(), files: &found };
    plan.choose_files()?;
    match docker {
        Some(docker) => plan.read_builds(docker)?,
        None => plan.read_without_docker()?,
    }
    plan.report_unread_compose();
    plan.read_skaffold();
    plan.read_dockerfiles();
    for folder in &found.empty_submodules {
        plan.problem(folder, "the git submodule is empty", "run `git submodule update --init`");
    }
    for file in &found.nested_bake {
        plan.problem(
            file,
            "not read: a bake file's contexts depend on the folder it is called in",
            "name it under `bake` if that is the root",
        );
    }
    let mut adoption = plan.adoption;
    adoption.services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(adoption)
}

struct Plan<'r> {
    root: &'r Path,
    adoption: Adoption,
    /// The services' names so far.
    taken: BTreeSet<String>,
    files: &'r BuildFiles,
}

impl Plan<'_> {
    fn guess(&mut self, about: &str, choice: impl Into<String>, reason: impl Into<String>) {
        self.adoption.guesses.push(Guess {
            about: about.to_owned(),
            choice: choice.into(),
            reason: reason.into(),
        });
    }

    fn problem(&mut self, about: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let problem = AdoptionProblem { about: about.to_owned(), what: what.into(), remedy: remedy.into() };
        self.adoption.problems.push(problem);
    }

    /// Chooses the Compose and bake files.
    fn choose_files(&mut self) -> Result<()> {
        self.adoption.bake.clone_from(&self.files.bake);
        if has_default_files(self.root)? {
            return Ok(());
        }
        let rank = |file: &&String| {
            let builds = plain_compose::services(self.root, file).map_or(0, |all| all.len());
            (file.matches('/').count(), std::cmp::Reverse(builds))
        };
        let built = self.files.compose.iter().filter(|file| self.has_build(file));
        if let Some(first) = built.min_by_key(rank) {
            let reason = "the root has no Compose file that Compose finds itself, and this one has builds";
            self.guess(first, "Compose file", reason);
            self.adoption.compose = Some(vec![first.clone()]);
        }
        Ok(())
    }

    fn has_build(&self, file: &str) -> bool {
        plain_compose::services(self.root, file).is_ok_and(|all| !all.is_empty())
    }

    /// Reports Compose files with builds that no chosen file has brought in.
    fn report_unread_compose(&mut self) {
        let main = main_compose(self.root);
        let chosen = |file: &str| {
            Some(file) == main
                || self.adoption.compose.as_ref().is_some_and(|files| files.iter().any(|one| one == file))
        };
        let is_known =
            |build: &Build| self.adoption.services.iter().any(|one| one.build.dockerfile == build.dockerfile);
        let mut unread = Vec::new();
        for file in self.files.compose.iter().filter(|file| !chosen(file)) {
            let services = plain_compose::services(self.root, file).unwrap_or_default();
            if services.iter().any(|service| service.build.inline.is_none() && !is_known(&service.build)) {
                unread.push(file.clone());
            }
        }
        for file in unread {
            let reason = "it is another Compose project; its Dockerfiles are found without it";
            self.guess(&file, "not read", reason);
        }
    }

    /// Builds of Compose and bake files, through Docker.
    fn read_builds(&mut self, docker: &Docker) -> Result<()> {
        let found = builds::all(self.root, self.adoption.compose.as_deref(), &self.adoption.bake, docker)?;
        for problem in found.problems {
            self.problem(&problem.name, problem.what, problem.remedy);
        }
        for build in found.builds {
            self.take_build(build);
        }
        Ok(())
    }

    fn take_build(&mut self, found: NamedBuild) {
        let name = free_name(&found.service, &mut self.taken);
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
        for file in &self.files.skaffold {
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
        if self.is_built(&artifact.dockerfile, artifact.target.as_deref()) {
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

    /// Whether a build of this Dockerfile and stage is known.
    fn is_built(&self, dockerfile: &str, target: Option<&str>) -> bool {
        let same = |build: &Build| build.dockerfile == dockerfile && build.target.as_deref() == target;
        self.adoption.services.iter().any(|service| same(&service.build))
    }

    fn add(&mut self, name: &str, origin: Origin, build: Build, image: Option<String>) -> String {
        let facts = self.facts(&build);
        let name = free_name(name, &mut self.taken);
        let health = facts.health.then_some(HealthOrigin::Image);
        let service = AdoptedService { name: name.clone(), origin, build, image, ports: facts.ports, health };
        self.adoption.services.push(service);
        name
    }

    /// Dockerfiles that no other file names.
    fn read_dockerfiles(&mut self) {
        let mut shared = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for dockerfile in &self.files.dockerfiles {
            let name = plain_name(&service_names(dockerfile, self.root).0[0]);
            if !seen.insert(name.clone()) {
                shared.insert(name);
            }
        }
        for dockerfile in &self.files.dockerfiles {
            if self.adoption.services.iter().any(|service| service.build.dockerfile == *dockerfile) {
                continue;
            }
            if let Some(reason) = development(dockerfile) {
                self.guess(dockerfile, "left out", reason);
                continue;
            }
            let text = match files::read(&self.root.join(dockerfile)) {
                Ok(text) => text,
                Err(error) => {
                    self.problem(dockerfile, format!("{error:#}"), "save it as UTF-8, or remove it");
                    continue;
                }
            };
            let guess = context_of(self.root, dockerfile, &text);
            let (names, why) = service_names(dockerfile, self.root);
            let is_free = |name: &&String| {
                let name = plain_name(name);
                !shared.contains(&name) && !self.taken.contains(&name)
            };
            let name = names.iter().find(is_free).unwrap_or(&names[0]).clone();
            let build = Build { context: guess.context, dockerfile: dockerfile.clone(), ..Build::default() };
            let context = build.context.clone();
            let name = self.add(&name, Origin::Dockerfile, build, None);
            self.guess(
                dockerfile,
                format!("image {name}, context {context}"),
                format!("{why}, and {}", guess.reason),
            );
        }
    }

    fn facts(&self, build: &Build) -> dockerfile::DockerfileFacts {
        let read = || std::fs::read_to_string(self.root.join(&build.dockerfile)).unwrap_or_default();
        let text = build.inline.clone().unwrap_or_else(read);
        dockerfile::read(&text, build.target.as_deref(), &build.args)
    }
}

/// The names that a Dockerfile suggests, and why the first: its own, then longer ones with the folders around it.
fn service_names(dockerfile: &str, root: &Path) -> (Vec<String>, String) {
    const GENERIC: [&str; 7] = ["docker", "build", "src", "deploy", "deployment", "container", "image"];
    let (folder, file) = dockerfile.rsplit_once('/').unwrap_or(("", dockerfile));
    let lower = file.to_lowercase();
    let named = match lower.strip_suffix(".dockerfile") {
        Some(stem) => Some(&file[..stem.len()]),
        None => lower.strip_prefix("dockerfile.").map(|rest| &file[file.len() - rest.len()..]),
    };
    let mut folders = folder.rsplit('/').filter(|name| !name.is_empty() && !GENERIC.contains(name));
    let (first, why) = match named.or_else(|| folders.next()) {
        Some(name) if named.is_some() => (name.to_owned(), "its file has this name"),
        Some(name) => (name.to_owned(), "its folder has this name"),
        None => {
            let root = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (root, "the repository's folder has this name")
        }
    };
    let mut names = vec![first];
    for folder in folders {
        names.push(format!("{folder}-{}", names[names.len() - 1]));
    }
    (names, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_file_or_its_folder() {
        let names = |path: &str| service_names(path, Path::new("/x/shop")).0;
        let name = |path: &str| names(path).remove(0);
        assert_eq!(names("src/checkout/genproto/Dockerfile"), ["genproto", "checkout-genproto"]);
        assert_eq!(name("svc/api/Dockerfile"), "api");
        assert_eq!(name("svc/api/docker/Dockerfile"), "api");
        assert_eq!(name("docker/worker.Dockerfile"), "worker");
        assert_eq!(name("Dockerfile.Web"), "Web");
        assert_eq!(name("docker/Dockerfile"), "shop");
        assert_eq!(name("Dockerfile"), "shop");
    }
}
