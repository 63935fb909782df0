//! Targets of a bake definition: a Dockerfile's own, and those of the bases and stand-ins that it starts from.

use std::collections::BTreeMap;

use crate::bases::{ROOT_FS, Source, context_key};
use crate::plan::{BuildPlan, PlannedImage, Request, World, references};
use crate::sources;
use engine::bake::{Definition, Group, Target};
use engine::labels;
use host::paths::Repository;
use model::edition::Edition;
use model::image_ref::ImageRef;
use model::manifest::{Manifest, Service, StandIn};
use model::variant::Variant;

/// Makes targets, each with what it stands on.
pub(super) struct Planner<'a> {
    manifest: &'a Manifest,
    world: &'a World,
    repository: &'a Repository,
    targets: BTreeMap<String, Target>,
    dockerfiles: BTreeMap<String, String>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(manifest: &'a Manifest, world: &'a World, repository: &'a Repository) -> Self {
        Planner { manifest, world, repository, targets: BTreeMap::new(), dockerfiles: BTreeMap::new() }
    }

    pub(super) fn image(
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
        let run_tag =
            ImageRef::new(&service.image, format!("{}-{edition}{}", self.world.run, variant.suffix()));
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
            tags: ImageRef::all_of(&service.image, &request.tag, edition, variant, request.default_edition),
        }
    }

    pub(super) fn build_args(&self, edition: Edition, version: &str) -> BTreeMap<String, String> {
        let epoch = self.manifest.source_date_epoch.to_string();
        [("EDITION", edition.name()), ("VERSION", version), ("SOURCE_DATE_EPOCH", epoch.as_str())]
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
        let mut labels = BTreeMap::from([
            (labels::TITLE.to_owned(), service.image.clone()),
            (labels::VERSION.to_owned(), version.to_owned()),
            (labels::REVISION.to_owned(), self.world.revision.clone()),
            (labels::edition(project), edition.to_string()),
            (labels::variant(project), variant.to_string()),
            (labels::bases(project), self.world.bases.name().to_owned()),
        ]);
        // So that a record of an original's answers can tell what was asked. A context whose files cannot be told is no
        // reason to build nothing.
        if variant == Variant::Original
            && let Ok(hash) = sources::hash(&service.original, self.repository)
        {
            labels.insert(labels::sources(project), hash);
        }
        labels
    }

    /// A target of a Dockerfile, with the contexts that its FROM lines need.
    pub(super) fn target(&mut self, dockerfile: &str) -> Target {
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
    pub(super) fn provider(&mut self, reference: &str) -> Option<String> {
        if let Some(base) = self.manifest.bases.iter().find(|base| base.reference == reference) {
            let name = format!("base-{}", base.name);
            if !self.targets.contains_key(&name) {
                let mut target = self.target(&base.dockerfile);
                target.args.insert("SOURCE_DATE_EPOCH".into(), self.manifest.source_date_epoch.to_string());
                target.output = vec!["type=cacheonly".into()];
                self.add(name.clone(), target, &base.dockerfile);
            }
            return Some(name);
        }
        if self.world.bases == Source::Upstream {
            return None;
        }
        let upstream = self.manifest.upstreams.iter().find(|upstream| upstream.reference == reference)?;
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

    /// Adds a target that has no Dockerfile of its own.
    pub(super) fn insert(&mut self, name: String, target: Target) {
        self.targets.insert(name, target);
    }

    pub(super) fn add(&mut self, name: String, target: Target, dockerfile: &str) {
        self.dockerfiles.insert(name.clone(), dockerfile.to_owned());
        self.targets.insert(name, target);
    }

    pub(super) fn finish(self, images: Vec<PlannedImage>) -> BuildPlan {
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
