//! The validated manifest, `xtask/images.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::allowlist::Allowlist;
use crate::baseline::StepLimit;
use crate::benefit::Benefit;
use crate::bound::Bound;
use crate::check_rules::CheckRules;
use crate::edition::Edition;
use crate::load::Load;
use crate::names::Unknown;
use crate::platform::Platform;
use crate::probe::Scenario;
pub use crate::service::{Build, RunNeeds, Secret, Service, Sizes, TAG};
use crate::test_rules::TestRules;

/// The default prefix of environment variables.
pub const DEFAULT_ENV_PREFIX: &str = "IMAGES_";

/// Their prefix in a manifest of schema 1, which only Sutra used.
pub const SUTRA_ENV_PREFIX: &str = "SUTRA_";

/// The manifest. Services, bases and upstreams keep the file's order.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The version of the file's format.
    pub schema: u32,
    /// The project's name, which prefixes labels and run tags.
    pub project: String,
    /// The version of images whose tag names none; empty if the file declares none.
    pub version: String,
    /// SOURCE_DATE_EPOCH of builds, in seconds since 1970, for reproducible images; 0 if the file declares none.
    pub source_date_epoch: u64,
    /// The prefix of environment variables, such as `IMAGES_`.
    pub env_prefix: String,
    /// The default platforms of services; empty for the engine's platform.
    pub platforms: Vec<Platform>,
    /// The editions, smallest first; at least one, which is [`Edition::NONE`] if the file declares none.
    pub editions: Vec<Edition>,
    /// The Compose files with builds, relative to the repository; `None` means those that Compose itself would use.
    pub compose: Option<Vec<String>>,
    /// The bake files with builds, relative to the repository.
    pub bake: Vec<String>,
    /// Names of builds in these files that are not services.
    pub ignore: Vec<String>,
    /// The builds that `ignore` leaves out, by name, for services that use them as named contexts.
    pub ignored: BTreeMap<String, Build>,
    /// Services whose builds in Compose or bake files cannot be used now, such as for an unset variable; not in `services`.
    pub unusable: Vec<String>,
    /// Registries that hold this project's images, as written in its Compose files.
    pub registries: Vec<String>,
    /// Published images that Dockerfiles are based on.
    pub upstreams: Vec<Upstream>,
    /// The project's own base images.
    pub bases: Vec<Base>,
    /// The services. Each has an image.
    pub services: Vec<Service>,
    /// Probes through several services.
    pub scenarios: Vec<Scenario>,
    /// Test programs that run against a whole stack.
    pub stack_tests: Vec<StackTest>,
    /// How far an image may drift from its baseline.
    pub step_limit: StepLimit,
    /// Promised benefits of smaller images.
    pub benefits: Vec<Benefit>,
    /// Requests in large numbers, for `measure --load`.
    pub loads: Vec<Load>,
    /// Limits for measured figures.
    pub bounds: Vec<Bound>,
    /// Allowed opportunities.
    pub allowlist: Allowlist,
    /// Relaxed rules of `check`.
    pub check: CheckRules,
    /// What `test` requires of a service that does not set its own requirements.
    pub test: TestRules,
    /// The Compose files of throwaway stacks.
    pub stack: StackSource,
}

/// Where the Compose files of throwaway stacks are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StackSource {
    /// The files that Compose finds in the repository.
    #[default]
    Repository,
    /// One file, as an absolute path.
    File(PathBuf),
    /// The text of a Compose file, written to disk for each stack.
    Text(String),
}

/// A test program with its own image, which runs against a whole stack and is never published.
#[derive(Debug, Clone)]
pub struct StackTest {
    /// The key in the manifest.
    pub name: String,
    /// The Dockerfile relative to the repository.
    pub dockerfile: String,
}

/// A published image that Dockerfiles name in FROM.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The key in the manifest.
    pub name: String,
    /// The reference in Dockerfiles, such as `python:3.13-slim`.
    pub reference: String,
    /// The replacement if no registry is reachable.
    pub stand_in: StandIn,
}

/// How to build a replacement for an upstream image from packages only.
#[derive(Debug, Clone)]
pub enum StandIn {
    /// A minimal Debian root file system.
    Bootstrap {
        /// The Debian suite, such as `trixie`.
        suite: String,
    },
    /// A Dockerfile based on other upstream images.
    Dockerfile {
        /// The Dockerfile relative to the repository.
        path: String,
        /// Named build contexts.
        contexts: BTreeMap<String, HostContext>,
        /// The Dockerfile without these contexts, for emulated platforms.
        emulated: Option<String>,
    },
}

/// A folder of the build machine used as a build context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostContext {
    /// The Rust toolchain (`rustc --print sysroot`).
    RustToolchain,
}

/// A base image shared by optimized images.
#[derive(Debug, Clone)]
pub struct Base {
    /// The key in the manifest.
    pub name: String,
    /// The reference in Dockerfiles, such as `sutra-base-python`.
    pub reference: String,
    /// The Dockerfile relative to the repository.
    pub dockerfile: String,
}

impl Manifest {
    /// The edition that plain tags follow: the first.
    pub fn default_edition(&self) -> Edition {
        self.editions.first().copied().unwrap_or(Edition::NONE)
    }

    /// Whether it declares editions.
    pub fn has_editions(&self) -> bool {
        !self.default_edition().is_none()
    }

    /// The environment variable of this name, such as `IMAGES_VERSION`.
    pub fn variable(&self, name: &str) -> String {
        format!("{}{name}", self.env_prefix)
    }

    /// The edition of this name.
    ///
    /// # Errors
    /// When the manifest does not declare it.
    pub fn edition(&self, name: &str) -> Result<Edition, Unknown> {
        let names = || self.editions.iter().map(|edition| edition.name());
        let found = self.editions.iter().find(|edition| edition.name() == name);
        found.copied().ok_or_else(|| Unknown::new("edition", name, names()))
    }

    /// The services of an edition, in the manifest's order.
    pub fn services_in(&self, edition: Edition) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.exists_in(edition))
    }

    /// Whether it contains figures from a guide, such as the originals' sizes.
    pub fn has_guide(&self) -> bool {
        let sizes = || self.services.iter().flat_map(|service| service.sizes.values());
        sizes().any(|sizes| sizes.guide_original.is_some())
            || self.benefits.iter().any(|benefit| benefit.guide.is_some())
    }

    /// Who set the size limits, as possessives: for targets and for goals.
    pub fn owners_of_limits(&self) -> (&'static str, &'static str) {
        if self.has_guide() { ("the guide's", "our") } else { ("your", "your") }
    }

    /// Whether any service has two variants.
    pub fn has_twins(&self) -> bool {
        self.services.iter().any(Service::has_twin)
    }

    /// The named services in the manifest's order, each once; no names mean all.
    ///
    /// # Errors
    /// All unknown names.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Service>, Vec<Unknown>> {
        let known = || self.services.iter().map(|service| service.name.clone());
        let unknown: Vec<Unknown> = names
            .iter()
            .filter(|name| !self.services.iter().any(|service| service.name == **name))
            .map(|name| Unknown::new("service", name, known()))
            .collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let is_named = |service: &&Service| names.is_empty() || names.contains(&service.name);
        Ok(self.services.iter().filter(is_named).collect())
    }
}
