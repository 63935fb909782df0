//! The plan of a build as data: one bake definition for all services, bases and stand-ins.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::capabilities::bases::{ROOT_FS, Source, context_key};
use crate::capabilities::trust::Trust;
use crate::docker::bake::{Definition, Group, Target};
use crate::domain::dockerfile;
use crate::domain::edition::Edition;
use crate::domain::image_ref::{ImageRef, Tag};
use crate::domain::manifest::{Manifest, Service, StandIn, Upstream};
use crate::domain::variant::Variant;
use crate::system::files;
use crate::system::paths::Repository;

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

/// Labels of the OCI image specification ("Pre-Defined Annotation Keys") and our own.
const LABEL_TITLE: &str = "org.opencontainers.image.title";
const LABEL_VERSION: &str = "org.opencontainers.image.version";
const LABEL_REVISION: &str = "org.opencontainers.image.revision";

/// The label that says where an image's upstream bases came from.
pub fn bases_label(project: &str) -> String {
    format!("{project}.images.bases")
}

/// The upstream images that a request leads to, through our own bases as well.
pub fn upstreams<'m>(
    manifest: &'m Manifest,
    request: &Request<'_>,
    repository: &Repository,
) -> Vec<&'m Upstream> {
    let mut seen = BTreeSet::new();
    let mut queue: Vec<String> = dockerfiles_of(request).into_iter().map(str::to_owned).collect();
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
    manifest
        .upstreams
        .iter()
        .filter(|upstream| found.contains(&upstream.reference))
        .collect()
}

fn dockerfiles_of<'a>(request: &'a Request<'_>) -> Vec<&'a str> {
    let variants = |service: &'a Service| {
        request
            .variants
            .iter()
            .map(|variant| service.dockerfile(*variant))
    };
    request
        .services
        .iter()
        .flat_map(|service| variants(service))
        .collect()
}

fn references(repository: &Repository, path: &str) -> BTreeSet<String> {
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
    let contexts = planner
        .provider(reference)
        .map(|name| (reference.clone(), format!("target:{name}")));
    let name = "network-probe".to_owned();
    let target = Target {
        context: repository.logs().display().to_string(),
        // The argument differs in every run, so that the cache never answers for the network.
        dockerfile_inline: Some(format!(
            "FROM {reference}\nARG PROBE\nRUN : $PROBE && apt-get -q -o APT::Update::Error-Mode=any update\n"
        )),
        contexts: contexts.into_iter().collect(),
        args: [("PROBE".to_owned(), world.run.clone())]
            .into_iter()
            .chain(world.trust.args())
            .collect(),
        output: vec!["type=cacheonly".into()],
        ..Target::default()
    };
    planner.targets.insert(name.clone(), target);
    let mut plan = planner.finish(Vec::new());
    plan.definition
        .group
        .insert("default".into(), Group { targets: vec![name] });
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

struct Planner<'a> {
    manifest: &'a Manifest,
    world: &'a World,
    repository: &'a Repository,
    targets: BTreeMap<String, Target>,
    dockerfiles: BTreeMap<String, String>,
}

impl<'a> Planner<'a> {
    fn new(manifest: &'a Manifest, world: &'a World, repository: &'a Repository) -> Self {
        Planner {
            manifest,
            world,
            repository,
            targets: BTreeMap::new(),
            dockerfiles: BTreeMap::new(),
        }
    }

    fn image(
        &mut self,
        service: &Service,
        edition: Edition,
        variant: Variant,
        request: &Request<'_>,
    ) -> PlannedImage {
        let name = format!("{}-{edition}-{variant}", service.name);
        let dockerfile = service.dockerfile(variant).to_owned();
        let version = match request.tag.as_str() {
            "latest" => self.manifest.version.as_str(),
            tag => tag,
        };
        let run_tag = ImageRef::new(
            &service.image,
            format!("{}-{edition}{}", self.world.run, variant.suffix()),
        );
        let mut target = self.target(&dockerfile);
        target.args.extend(self.build_args(edition, version));
        target.labels = self.labels(service, edition, variant, version);
        target.tags = vec![run_tag.to_string()];
        // `docker` and not `image`: a builder in a container must hand its result to the engine.
        target.output = vec!["type=docker".into()];
        self.add(name.clone(), target, &dockerfile);
        PlannedImage {
            target: name,
            service: service.name.clone(),
            edition,
            variant,
            dockerfile,
            run_tag,
            tags: ImageRef::all_of(
                &service.image,
                &request.tag,
                edition,
                variant,
                request.default_edition,
            ),
        }
    }

    fn build_args(&self, edition: Edition, version: &str) -> BTreeMap<String, String> {
        let epoch = self.manifest.source_date_epoch.to_string();
        [
            ("EDITION", edition.name()),
            ("VERSION", version),
            ("SOURCE_DATE_EPOCH", epoch.as_str()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    fn labels(
        &self,
        service: &Service,
        edition: Edition,
        variant: Variant,
        version: &str,
    ) -> BTreeMap<String, String> {
        let project = &self.manifest.project;
        BTreeMap::from([
            (LABEL_TITLE.to_owned(), service.image.clone()),
            (LABEL_VERSION.to_owned(), version.to_owned()),
            (LABEL_REVISION.to_owned(), self.world.revision.clone()),
            (format!("{project}.images.edition"), edition.to_string()),
            (format!("{project}.images.variant"), variant.to_string()),
            (bases_label(project), self.world.bases.name().to_owned()),
        ])
    }

    /// A target of a Dockerfile, with the contexts that its FROM lines need.
    fn target(&mut self, dockerfile: &str) -> Target {
        let mut contexts = BTreeMap::new();
        for reference in references(self.repository, dockerfile) {
            if let Some(name) = self.provider(&reference) {
                contexts.insert(reference, format!("target:{name}"));
            }
        }
        Target {
            context: self.repository.root().display().to_string(),
            dockerfile: Some(dockerfile.to_owned()),
            contexts,
            args: self.world.trust.args(),
            secret: self.world.trust.secrets(),
            ..Target::default()
        }
    }

    /// The target that makes a reference, added when it is first needed; `None` where a registry holds it.
    fn provider(&mut self, reference: &str) -> Option<String> {
        if let Some(base) = self
            .manifest
            .bases
            .iter()
            .find(|base| base.reference == reference)
        {
            let name = format!("base-{}", base.name);
            if !self.targets.contains_key(&name) {
                let mut target = self.target(&base.dockerfile);
                target.args.insert(
                    "SOURCE_DATE_EPOCH".into(),
                    self.manifest.source_date_epoch.to_string(),
                );
                target.output = vec!["type=cacheonly".into()];
                self.add(name.clone(), target, &base.dockerfile);
            }
            return Some(name);
        }
        if self.world.bases == Source::Upstream {
            return None;
        }
        let upstream = self
            .manifest
            .upstreams
            .iter()
            .find(|upstream| upstream.reference == reference)?;
        let name = format!("upstream-{}", upstream.name);
        if !self.targets.contains_key(&name) {
            self.stand_in(name.clone(), &upstream.stand_in);
        }
        Some(name)
    }

    fn stand_in(&mut self, name: String, stand_in: &StandIn) {
        match stand_in {
            StandIn::Bootstrap { suite } => {
                let target = Target {
                    context: self.repository.bootstrap(suite).display().to_string(),
                    dockerfile_inline: Some(format!("FROM scratch\nADD {ROOT_FS} /\nCMD [\"bash\"]\n")),
                    output: vec!["type=cacheonly".into()],
                    ..Target::default()
                };
                self.targets.insert(name, target);
            }
            StandIn::Dockerfile { path, contexts } => {
                let mut target = self.target(path);
                for (key, context) in contexts {
                    if let Some(folder) = self.world.host_contexts.get(context_key(*context)) {
                        target.contexts.insert(key.clone(), folder.clone());
                    }
                }
                target.output = vec!["type=cacheonly".into()];
                self.add(name, target, path);
            }
        }
    }

    fn add(&mut self, name: String, target: Target, dockerfile: &str) {
        self.dockerfiles.insert(name.clone(), dockerfile.to_owned());
        self.targets.insert(name, target);
    }

    fn finish(self, images: Vec<PlannedImage>) -> BuildPlan {
        let targets = images.iter().map(|image| image.target.clone()).collect();
        BuildPlan {
            definition: Definition {
                group: BTreeMap::from([("default".to_owned(), Group { targets })]),
                target: self.targets,
                variable: self.world.trust.variables(),
            },
            dockerfiles: self.dockerfiles,
            images,
        }
    }
}

impl BuildPlan {
    /// The targets that are asked for: images or test stages, without what they stand on.
    pub fn requested(&self) -> Vec<String> {
        self.definition
            .group
            .get("default")
            .map(|group| group.targets.clone())
            .unwrap_or_default()
    }

    /// Whether `target` is `other`, or stands on it.
    pub fn stands_on(&self, target: &str, other: &str) -> bool {
        target == other
            || self.definition.target.get(target).is_some_and(|found| {
                let names = found
                    .contexts
                    .values()
                    .filter_map(|context| context.strip_prefix("target:"));
                names.into_iter().any(|name| self.stands_on(name, other))
            })
    }
}
