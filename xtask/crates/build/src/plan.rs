//! The plan of a build as data: one bake definition for all services, bases and stand-ins.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::bases::Source;
use crate::planner::Planner;
use engine::bake::{Definition, Group, Target};
use engine::trust::Trust;
use host::files;
use host::paths::Repository;
use model::dockerfile;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service, StackTest, StandIn, Upstream};
use model::variant::Variant;

/// What is asked for, resolved.
#[derive(Debug, Clone)]
pub struct Request<'m> {
    /// The services, in the manifest's order.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The variants.
    pub variants: Vec<Variant>,
    /// The tag, without edition and variant.
    pub tag: Tag,
    /// The edition that the plain tag follows.
    pub default_edition: Edition,
}

/// What the plan needs to know of the world.
#[derive(Debug, Clone)]
pub struct World {
    /// Private CA and proxies.
    pub trust: Trust,
    /// Where upstream bases come from.
    pub bases: Source,
    /// Folders of this machine, by the names of [`context_key`].
    pub host_contexts: BTreeMap<&'static str, String>,
    /// The commit that is built.
    pub revision: String,
    /// A name that no other run has.
    pub run: String,
}

/// One image to build.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedImage {
    /// Its target in the definition.
    pub target: String,
    /// The service's name.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
    /// Its Dockerfile, relative to the repository.
    pub dockerfile: String,
    /// The tag that it is built under; removed when its own tags have moved.
    pub run_tag: ImageRef,
    /// The tags that move when everything is built.
    pub tags: Vec<ImageRef>,
}

/// What will be built, and how.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The images, in the manifest's order.
    pub images: Vec<PlannedImage>,
    /// Everything that bake is told.
    pub definition: Definition,
    /// The Dockerfile of each target, relative to the repository; none for what has none.
    pub dockerfiles: BTreeMap<String, String>,
}

/// The upstream images that a request leads to, through our own bases as well.
pub fn upstreams<'m>(
    manifest: &'m Manifest,
    request: &Request<'_>,
    repository: &Repository,
) -> Vec<&'m Upstream> {
    upstreams_of(manifest, dockerfiles_of(request), repository)
}

/// The upstream images that Dockerfiles lead to.
pub fn upstreams_of<'m>(
    manifest: &'m Manifest,
    dockerfiles: Vec<&str>,
    repository: &Repository,
) -> Vec<&'m Upstream> {
    let mut seen = BTreeSet::new();
    let mut queue: Vec<String> = dockerfiles.into_iter().map(str::to_owned).collect();
    let mut found = BTreeSet::new();
    while let Some(path) = queue.pop() {
        for reference in references(repository, &path) {
            if !seen.insert(reference.clone()) {
                continue;
            }
            queue.extend(
                manifest
                    .bases
                    .iter()
                    .filter(|base| base.reference == reference)
                    .map(|base| base.dockerfile.clone()),
            );
            found.insert(reference);
        }
    }
    manifest.upstreams.iter().filter(|upstream| found.contains(&upstream.reference)).collect()
}

fn dockerfiles_of<'a>(request: &'a Request<'_>) -> Vec<&'a str> {
    let variants = |service: &'a Service| request.variants.iter().map(|variant| service.dockerfile(*variant));
    request.services.iter().flat_map(|service| variants(service)).collect()
}

/// Every image that a Dockerfile names, or none where it cannot be read.
pub fn references(repository: &Repository, path: &str) -> BTreeSet<String> {
    // The manifest was validated: a file that is gone since then makes bake fail with its name.
    let text = repository.file(path).and_then(|file| files::read(&file).ok());
    text.map(|text| dockerfile::references(&text)).unwrap_or_default()
}

/// Computes the plan of a build.
pub fn plan(manifest: &Manifest, request: &Request<'_>, world: &World, repository: &Repository) -> BuildPlan {
    let mut planner = Planner::new(manifest, world, repository);
    let mut images = Vec::new();
    for service in &request.services {
        for &edition in &request.editions {
            for &variant in &request.variants {
                images.push(planner.image(service, edition, variant, request));
            }
        }
    }
    planner.finish(images)
}

/// Computes a plan that does one networked step and leaves nothing behind. `None` where no upstream image can do one.
pub fn network_probe(manifest: &Manifest, world: &World, repository: &Repository) -> Option<BuildPlan> {
    let is_debian = |upstream: &&Upstream| matches!(upstream.stand_in, StandIn::Bootstrap { .. });
    let reference = &manifest.upstreams.iter().find(is_debian)?.reference;
    let mut planner = Planner::new(manifest, world, repository);
    let contexts = planner.provider(reference).map(|name| (reference.clone(), format!("target:{name}")));
    let name = "network-probe".to_owned();
    let target = Target {
        context: repository.logs().display().to_string(),
        // The argument differs in every run, so that the cache never answers for the network.
        dockerfile_inline: Some(format!(
            "FROM {reference}\nARG PROBE\nRUN : $PROBE && apt-get -q -o APT::Update::Error-Mode=any update\n"
        )),
        contexts: contexts.into_iter().collect(),
        args: [("PROBE".to_owned(), world.run.clone())].into_iter().chain(world.trust.args()).collect(),
        output: vec!["type=cacheonly".into()],
        ..Target::default()
    };
    planner.insert(name.clone(), target);
    let mut plan = planner.finish(Vec::new());
    plan.definition.group.insert("default".into(), Group { targets: vec![name] });
    Some(plan)
}

/// Computes the plan that runs the services' own tests: their test stages, kept in the cache and nowhere else.
pub fn test_plan(
    manifest: &Manifest,
    services: &[&Service],
    edition: Edition,
    world: &World,
    repository: &Repository,
) -> BuildPlan {
    let mut planner = Planner::new(manifest, world, repository);
    let mut targets = Vec::new();
    for service in services {
        let Some(stage) = &service.test_stage else {
            continue;
        };
        let name = format!("{}-test", service.name);
        let mut target = planner.target(&service.optimized);
        target.args.extend(planner.build_args(edition, &manifest.version));
        target.target = Some(stage.clone());
        target.output = vec!["type=cacheonly".into()];
        planner.add(name.clone(), target, &service.optimized);
        targets.push(name);
    }
    let mut plan = planner.finish(Vec::new());
    plan.definition.group.insert("default".into(), Group { targets });
    plan
}

/// The image of a stack test: for this machine alone.
pub fn stack_test_image(manifest: &Manifest, test: &StackTest) -> String {
    format!("{}-stack-test-{}:latest", manifest.project, test.name)
}

/// Computes the plan that builds the images of stack tests.
pub fn stack_test_plan(manifest: &Manifest, world: &World, repository: &Repository) -> BuildPlan {
    let mut planner = Planner::new(manifest, world, repository);
    let mut targets = Vec::new();
    for test in &manifest.stack_tests {
        let name = format!("stack-test-{}", test.name);
        let mut target = planner.target(&test.dockerfile);
        target.tags = vec![stack_test_image(manifest, test)];
        target.output = vec!["type=docker".into()];
        planner.add(name.clone(), target, &test.dockerfile);
        targets.push(name);
    }
    let mut plan = planner.finish(Vec::new());
    plan.definition.group.insert("default".into(), Group { targets });
    plan
}

/// A question that a build answers, where builds get at registries and this program may not.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The Dockerfile, relative to the repository. It takes `ARG ASKED`, which differs in every run.
    pub dockerfile: &'a str,
    /// The stage whose files are the answer.
    pub stage: &'a str,
    /// Build arguments.
    pub args: Vec<(&'static str, String)>,
    /// The folder that the answer goes to.
    pub to: &'a Path,
}

/// Computes the plan of a build that answers a question.
pub fn question_plan(
    manifest: &Manifest,
    question: &Question<'_>,
    world: &World,
    repository: &Repository,
) -> BuildPlan {
    let mut planner = Planner::new(manifest, world, repository);
    let name = format!("ask-{}", question.stage);
    let mut target = planner.target(question.dockerfile);
    target.target = Some(question.stage.to_owned());
    target.args.extend(question.args.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    target.args.insert("ASKED".into(), world.run.clone());
    target.output = vec![format!("type=local,dest={}", question.to.display())];
    planner.add(name.clone(), target, question.dockerfile);
    let mut plan = planner.finish(Vec::new());
    plan.definition.group.insert("default".into(), Group { targets: vec![name] });
    plan
}

impl BuildPlan {
    /// The targets that are asked for: images or test stages, without what they stand on.
    pub fn requested(&self) -> Vec<String> {
        self.definition.group.get("default").map(|group| group.targets.clone()).unwrap_or_default()
    }

    /// Whether `target` is `other`, or stands on it.
    pub fn stands_on(&self, target: &str, other: &str) -> bool {
        target == other
            || self.definition.target.get(target).is_some_and(|found| {
                let names = found.contexts.values().filter_map(|context| context.strip_prefix("target:"));
                names.into_iter().any(|name| self.stands_on(name, other))
            })
    }
}
