//! Computes build plans: the bake targets of images, tests and queries, with the bases and stand-ins they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::bases::{BaseSource, context_key};
use crate::bootstrap::{self, ROOT_FS};
use crate::environment::BuildEnvironment;
use crate::image_labels;
use crate::other_builders;
use crate::package_date;
use crate::plan::{BuildPlan, PlannedImage};
use crate::request::{BuildRequest, ServiceImage, TaggedImage};
use crate::target_settings;
use crate::upstreams;
use engine::bake::{Definition, Group, Target};
use host::paths::Repository;
use model::build_args::usage;
use model::dockerfile::References;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Build, Manifest, Service, StackTest, StandIn, Upstream};
use model::platform::Platform;

/// Collects the targets of one plan, each together with those it depends on.
pub struct Planner<'a> {
    manifest: &'a Manifest,
    environment: &'a BuildEnvironment,
    repository: &'a Repository,
    targets: BTreeMap<String, Target>,
    dockerfiles: BTreeMap<String, String>,
    /// The platform of the targets that are being added; `None` for the engine's own.
    platform: Option<Platform>,
}

/// A query that a build answers: builds may reach registries that this program cannot.
#[derive(Debug, Clone)]
pub struct BuildQuery<'a> {
    /// The Dockerfile, relative to the repository. It takes `ARG ASKED`, which differs in every run.
    pub dockerfile: &'a str,
    /// The stage whose files are the answer.
    pub stage: &'a str,
    /// Build arguments.
    pub args: Vec<(&'static str, String)>,
    /// The folder the answer is written to.
    pub output: &'a Path,
}

/// A context as bake needs it: a folder's absolute path, or a remote context or image as it is.
fn located(context: &str, root: &Path) -> String {
    let is_elsewhere =
        context.contains("://") || context.starts_with("git@") || context.starts_with("target:");
    match context {
        "." => root.display().to_string(),
        _ if is_elsewhere => context.to_owned(),
        folder => root.join(folder).display().to_string(),
    }
}

/// The image of a stack test; it stays on this machine.
pub fn stack_test_image(manifest: &Manifest, test: &StackTest) -> String {
    format!("{}-stack-test-{}:latest", manifest.project, test.name)
}

impl<'a> Planner<'a> {
    /// A planner without targets. One planner computes one plan.
    pub fn new(
        manifest: &'a Manifest,
        environment: &'a BuildEnvironment,
        repository: &'a Repository,
    ) -> Self {
        Planner {
            manifest,
            environment,
            repository,
            targets: BTreeMap::new(),
            dockerfiles: BTreeMap::new(),
            platform: None,
        }
    }

    /// Builds the requested images.
    pub fn images(mut self, request: &BuildRequest<'_>) -> BuildPlan {
        let images: Vec<PlannedImage> = request
            .images()
            .filter_map(|(service, tagged)| self.image(service, tagged, &request.tag))
            .collect();
        let targets = images.iter().map(|image| image.target.clone()).collect();
        BuildPlan { images, ..self.finish(targets) }
    }

    /// Runs the services' test stages, which leave nothing but cache.
    pub fn service_tests(mut self, services: &[&Service], edition: Edition) -> BuildPlan {
        let mut names = Vec::new();
        for service in services {
            let (Some(stage), Some(build)) = (&service.test_stage, service.build(service.shipped())) else {
                continue;
            };
            self.platform = service.only_platform();
            let mut target = self.target_of(build, edition, &self.manifest.version);
            target.target = Some(stage.clone());
            target.output = vec!["type=cacheonly".into()];
            names.push(self.add(format!("{}-test", service.name), target, build.file()));
        }
        self.finish(names)
    }

    /// Builds the images of the stack tests.
    pub fn stack_tests(mut self) -> BuildPlan {
        let mut names = Vec::new();
        for test in &self.manifest.stack_tests {
            let mut target = self.target(&test.dockerfile);
            target.tags = vec![stack_test_image(self.manifest, test)];
            target.output = vec![other_builders::ENGINE.into()];
            names.push(self.add(format!("stack-test-{}", test.name), target, Some(&test.dockerfile)));
        }
        self.finish(names)
    }

    /// Answers a query.
    pub fn query(mut self, query: &BuildQuery<'_>) -> BuildPlan {
        let mut target = self.target(query.dockerfile);
        target.target = Some(query.stage.to_owned());
        target.args.extend(query.args.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        target.args.insert("ASKED".into(), self.environment.run.clone());
        target.output = vec![format!("type=local,dest={}", query.output.display())];
        let name = self.add(format!("ask-{}", query.stage), target, Some(query.dockerfile));
        self.finish(vec![name])
    }

    /// Runs one networked step and leaves nothing behind. `None` if no declared upstream image can run it.
    pub fn network_probe(mut self) -> Option<BuildPlan> {
        let is_debian = |upstream: &&Upstream| matches!(upstream.stand_in, StandIn::Bootstrap { .. });
        let reference = &self.manifest.upstreams.iter().find(is_debian)?.reference;
        let contexts = self.provider(reference).map(|name| (reference.clone(), format!("target:{name}")));
        let probe = ("PROBE".to_owned(), self.environment.run.clone());
        let target = Target {
            context: self.repository.logs().display().to_string(),
            // The argument differs in every run, so the step is never answered from the cache.
            dockerfile_inline: Some(format!(
                "FROM {reference}\nARG PROBE\nRUN : $PROBE && apt-get -q -o APT::Update::Error-Mode=any update\n"
            )),
            contexts: contexts.into_iter().collect(),
            args: [probe].into_iter().chain(self.environment.trust.args()).collect(),
            output: vec!["type=cacheonly".into()],
            ..Target::default()
        };
        let name = "network-probe".to_owned();
        self.targets.insert(name.clone(), target);
        Some(self.finish(vec![name]))
    }

    /// `None` if the service has no build for this variant.
    fn image(&mut self, service: &Service, tagged: TaggedImage, tag: &Tag) -> Option<PlannedImage> {
        let &ServiceImage { edition, variant, .. } = &tagged.image;
        let build = service.build(variant)?;
        let version = match tag.as_str() {
            "latest" => self.manifest.version.as_str(),
            tag => tag,
        };
        // Services that share a repository must not share run tags.
        let shared = service.tag.as_ref().map(|_| format!("-{}", service.name)).unwrap_or_default();
        let platform = tagged.image.platform.as_ref();
        let run_tag = format!("{}{shared}{}{}", self.environment.run, edition.suffix(), variant.suffix());
        let run_tag = ImageRef::new(&service.image, run_tag).on(platform);
        let suffix = platform.map(Platform::suffix).unwrap_or_default();
        self.platform = platform.cloned().or_else(|| service.only_platform());
        let mut target = self.target_of(build, edition, version);
        // Own labels replace declared ones: `clean` finds images by them.
        target.labels.extend(image_labels::of(
            service,
            &tagged.image,
            version,
            self.manifest,
            self.environment,
            self.repository,
        ));
        target.tags = vec![run_tag.to_string()];
        // `docker` rather than `image`: a builder in a container must load its result into the engine.
        target.output = vec![other_builders::ENGINE.into()];
        let variant_name = if service.has_twin() { format!("-{variant}") } else { String::new() };
        let mut name = format!("{}{}{variant_name}{suffix}", service.name, edition.suffix());
        // Another service's name may end like a variant, or start like a base's target.
        while self.targets.contains_key(&name) {
            name.push_str("-image");
        }
        let target = self.add(name, target, build.file());
        Some(PlannedImage { target, dockerfile: build.file().map(str::to_owned), run_tag, tagged })
    }

    /// The target of a service's build. The build's own values override those common to all builds.
    fn target_of(&mut self, build: &Build, edition: Edition, version: &str) -> Target {
        let root = self.repository.root();
        let mut target = match &build.inline {
            Some(text) => {
                let contexts = self.contexts_of(text);
                let declares_date = usage(text, package_date::ARGUMENT).is_declared();
                Target { dockerfile_inline: Some(text.clone()), ..self.bare(contexts, declares_date) }
            }
            None => self.target(&build.dockerfile),
        };
        target.args.extend(self.build_args(edition, version));
        target.args.extend(build.args.clone());
        target.context = located(&build.context, root);
        if target.context != root.display().to_string() {
            // Bake looks for a relative Dockerfile in the context.
            target.dockerfile = target.dockerfile.map(|_| root.join(&build.dockerfile).display().to_string());
        }
        for (name, place) in &build.contexts {
            let place = match place.strip_prefix("target:") {
                Some(service) => format!("target:{}", self.service_context(service, edition, version)),
                None => located(place, root),
            };
            target.contexts.insert(name.clone(), place);
        }
        target.target.clone_from(&build.target);
        target_settings::set(&mut target, &build.settings);
        target
    }

    /// The target of another service's image that a build takes as a context. It is not stored: the service itself may not be built.
    fn service_context(&mut self, service: &str, edition: Edition, version: &str) -> String {
        let name = self.on_platform(&format!("context-{service}"));
        let found = self.manifest.services.iter().find(|one| one.name == service);
        let found = found.and_then(|service| service.build(service.shipped()));
        if let Some(build) = found.or_else(|| self.manifest.ignored.get(service))
            && self.is_new(&name)
        {
            let mut target = self.target_of(build, edition, version);
            target.output = vec!["type=cacheonly".into()];
            self.add(name.clone(), target, build.file());
        }
        name
    }

    /// Arguments of every service's build: those whose values the manifest declares.
    fn build_args(&self, edition: Edition, version: &str) -> BTreeMap<String, String> {
        let epoch = self.manifest.source_date_epoch;
        let mut args = BTreeMap::new();
        let mut add = |key: &str, value: String| drop(args.insert(key.to_owned(), value));
        if !edition.is_none() {
            add("EDITION", edition.to_string());
        }
        if !self.manifest.version.is_empty() {
            add("VERSION", version.to_owned());
        }
        if epoch > 0 {
            add("SOURCE_DATE_EPOCH", epoch.to_string());
        }
        args
    }

    /// The target of a Dockerfile with the root as its context.
    fn target(&mut self, dockerfile: &str) -> Target {
        let text = upstreams::text(self.repository, dockerfile).unwrap_or_default();
        let contexts = self.contexts_of(&text);
        let declares_date = usage(&text, package_date::ARGUMENT).is_declared();
        Target { dockerfile: Some(dockerfile.to_owned()), ..self.bare(contexts, declares_date) }
    }

    /// A context for each image that another target provides. BuildKit looks for `NAME::PLATFORM` first, then for `NAME`: if stages on
    /// the builder's own platform start from an image, `NAME` is the image for that platform.
    fn contexts_of(&mut self, dockerfile: &str) -> BTreeMap<String, String> {
        let References { target, native } = References::of(dockerfile);
        let mut contexts = BTreeMap::new();
        for reference in target {
            let name = self.provider(&reference).map(|name| format!("target:{name}"));
            let key = match &self.platform {
                Some(platform) if native.contains(&reference) => format!("{reference}::{platform}"),
                _ => reference,
            };
            contexts.extend(name.map(|name| (key, name)));
        }
        let platform = self.platform.take();
        for reference in native {
            let name = self.provider(&reference).map(|name| format!("target:{name}"));
            contexts.extend(name.map(|name| (reference, name)));
        }
        self.platform = platform;
        contexts
    }

    /// A target without a Dockerfile.
    fn bare(&self, contexts: BTreeMap<String, String>, declares_date: bool) -> Target {
        let mut args: BTreeMap<String, String> = self.environment.trust.args();
        if declares_date {
            args.insert(package_date::ARGUMENT.into(), self.environment.packages.as_str().into());
        }
        Target {
            context: self.repository.root().display().to_string(),
            contexts,
            args,
            secret: self.environment.trust.secrets(),
            platforms: self.platforms(),
            ..Target::default()
        }
    }

    fn platforms(&self) -> Vec<String> {
        self.platform.iter().map(Platform::to_string).collect()
    }

    /// A target's name for the current platform.
    fn on_platform(&self, name: &str) -> String {
        format!("{name}{}", self.platform.as_ref().map(Platform::suffix).unwrap_or_default())
    }

    /// The target that builds a reference, added on first use; `None` if it comes from a registry.
    fn provider(&mut self, reference: &str) -> Option<String> {
        if let Some(base) = self.manifest.bases.iter().find(|base| base.reference == reference) {
            let name = self.on_platform(&format!("base-{}", base.name));
            if self.is_new(&name) {
                let mut target = self.target(&base.dockerfile);
                target.args.insert("SOURCE_DATE_EPOCH".into(), self.manifest.source_date_epoch.to_string());
                target.output = vec!["type=cacheonly".into()];
                self.add(name.clone(), target, Some(&base.dockerfile));
            }
            return Some(name);
        }
        if self.environment.bases == BaseSource::Upstream {
            return None;
        }
        let upstream = self.manifest.upstreams.iter().find(|upstream| upstream.reference == reference)?;
        let name = self.on_platform(&format!("upstream-{}", upstream.name));
        if self.is_new(&name) {
            self.stand_in(name.clone(), &upstream.stand_in);
        }
        Some(name)
    }

    /// True on the first call for a name. Inserts a placeholder immediately, so a cycle does not recurse forever: Dockerfiles may
    /// have become cyclic since the manifest was read. Bake reports the cycle.
    fn is_new(&mut self, name: &str) -> bool {
        let is_new = !self.targets.contains_key(name);
        if is_new {
            self.targets.insert(name.to_owned(), Target::default());
        }
        is_new
    }

    fn stand_in(&mut self, name: String, stand_in: &StandIn) {
        match stand_in {
            StandIn::Bootstrap { suite } => {
                let target = Target {
                    context: self
                        .repository
                        .bootstrap(&bootstrap::folder(suite, self.platform.as_ref()))
                        .display()
                        .to_string(),
                    dockerfile_inline: Some(format!("FROM scratch\nADD {ROOT_FS} /\nCMD [\"bash\"]\n")),
                    output: vec!["type=cacheonly".into()],
                    platforms: self.platforms(),
                    ..Target::default()
                };
                self.targets.insert(name, target);
            }
            StandIn::Dockerfile { emulated: Some(path), .. } if self.is_emulated() => {
                let output = vec!["type=cacheonly".into()];
                let target = Target { output, ..self.target(path) };
                self.add(name, target, Some(path));
            }
            StandIn::Dockerfile { path, contexts, .. } => {
                let mut target = self.target(path);
                for (key, context) in contexts {
                    if let Some(folder) = self.environment.host_contexts.get(context_key(*context)) {
                        target.contexts.insert(key.clone(), folder.clone());
                    }
                }
                target.output = vec!["type=cacheonly".into()];
                self.add(name, target, Some(path));
            }
        }
    }

    fn is_emulated(&self) -> bool {
        self.platform.as_ref().is_some_and(Platform::is_emulated)
    }

    fn add(&mut self, name: String, target: Target, dockerfile: Option<&str>) -> String {
        self.dockerfiles.extend(dockerfile.map(|dockerfile| (name.clone(), dockerfile.to_owned())));
        self.targets.insert(name.clone(), target);
        name
    }

    fn finish(self, requested: Vec<String>) -> BuildPlan {
        BuildPlan {
            images: Vec::new(),
            definition: Definition {
                group: BTreeMap::from([("default".to_owned(), Group { targets: requested })]),
                target: self.targets,
                variable: self.environment.trust.variables(),
            },
            fresh: BTreeSet::new(),
            dockerfiles: self.dockerfiles,
        }
    }
}
