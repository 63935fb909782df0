//! The declared truth, read and checked: what `xtask/images.toml` says once every fault is out of it.

use std::collections::BTreeMap;

use crate::additions::Additions;
use crate::allowlist::Meant;
use crate::baseline::Step;
use crate::benefit::Benefit;
use crate::bound::Bound;
use crate::bytes::Bytes;
use crate::edition::Edition;
use crate::load::Load;
use crate::names::Unknown;
use crate::probe::{Probe, Scenario};
use crate::variant::Variant;

/// The whole manifest. Services, bases and upstreams keep the file's order.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The project's name: prefixes labels and run tags.
    pub project: String,
    /// The version that images carry unless a tag names another.
    pub version: String,
    /// Seconds since 1970 that builds stamp on what they make, so that equal input gives equal images.
    pub source_date_epoch: u64,
    /// The images that upstream projects publish and Dockerfiles start from.
    pub upstreams: Vec<Upstream>,
    /// Our own bases.
    pub bases: Vec<Base>,
    /// What becomes an image.
    pub services: Vec<Service>,
    /// Probes through several services.
    pub scenarios: Vec<Scenario>,
    /// Test programs that are run against a whole stack.
    pub stack_tests: Vec<StackTest>,
    /// How far an image may drift from its baseline.
    pub step: Step,
    /// What smaller images are to bring.
    pub benefits: Vec<Benefit>,
    /// Requests in large numbers, for `measure --load`.
    pub loads: Vec<Load>,
    /// Limits for measured figures.
    pub bounds: Vec<Bound>,
    /// Opportunities that are known and meant.
    pub meant: Meant,
}

/// A test program in an image of its own, which is run against a whole stack and published nowhere.
#[derive(Debug, Clone)]
pub struct StackTest {
    /// The key in the manifest.
    pub name: String,
    /// Relative to the repository.
    pub dockerfile: String,
}

/// An image that Dockerfiles name in FROM and that a public registry holds.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The key in the manifest.
    pub name: String,
    /// As Dockerfiles write it: `python:3.13-slim`.
    pub reference: String,
    /// What takes its place where no registry answers.
    pub stand_in: StandIn,
}

/// How to make an image that behaves as an upstream one, from packages alone.
#[derive(Debug, Clone)]
pub enum StandIn {
    /// A minimal Debian root file system of this suite.
    Bootstrap {
        /// Debian's name for the release: `trixie`.
        suite: String,
    },
    /// A Dockerfile on other upstream references.
    Dockerfile {
        /// Relative to the repository.
        path: String,
        /// Named contexts that the Dockerfile copies from.
        contexts: BTreeMap<String, HostContext>,
    },
}

/// A folder of the building machine that a stand-in copies from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostContext {
    /// The Rust toolchain that compiles this workspace (`rustc --print sysroot`).
    RustToolchain,
}

/// One of our own bases, shared by optimized images.
#[derive(Debug, Clone)]
pub struct Base {
    /// The key in the manifest.
    pub name: String,
    /// As Dockerfiles write it: `sutra-base-python`.
    pub reference: String,
    /// Relative to the repository.
    pub dockerfile: String,
}

/// Something under `packages/` that becomes an image.
#[derive(Debug, Clone)]
pub struct Service {
    /// The key in the manifest, and what people type.
    pub name: String,
    /// The image's name without registry and tag.
    pub image: String,
    /// The service's name in the compose file.
    pub compose: String,
    /// The port that it listens on.
    pub port: u16,
    /// Dockerfile of the original, relative to the repository.
    pub original: String,
    /// Dockerfile of the optimized variant, relative to the repository.
    pub optimized: String,
    /// The stage of the optimized Dockerfile that runs the service's own tests; none where `cargo test` runs them.
    pub test_stage: Option<String>,
    /// What each edition promises.
    pub sizes: BTreeMap<Edition, Sizes>,
    /// What each edition adds.
    pub editions: Additions,
    /// What a container of it needs to run.
    pub run: RunNeeds,
    /// What `deploy install` makes for it once.
    pub secrets: Vec<Secret>,
    /// What is asked of it, and what must come back.
    pub probes: Vec<Probe>,
}

/// A secret that a service's own command makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The environment variable that the service reads; holds no plain secret.
    pub variable: String,
    /// The variable under which `.env` keeps the plain secret for its owner.
    pub plain: String,
    /// What to run in the service's image. Its first line ends in `: SECRET`, its second in `: ENTRY`.
    pub command: Vec<String>,
}

/// What the guide and we promise of one service in one edition; `None` where nobody promised anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// The guide's figure for the original.
    pub guide_original: Option<Bytes>,
    /// The guide's target for the optimized image.
    pub target: Option<Bytes>,
    /// Our own, lower.
    pub goal: Option<Bytes>,
}

/// What a container of a service needs on a read-only root.
#[derive(Debug, Clone, Default)]
pub struct RunNeeds {
    /// Environment variables without which it does not start; never a secret.
    pub env: BTreeMap<String, String>,
    /// Writable folders that may be lost.
    pub tmpfs: Vec<String>,
    /// Writable folders that must be kept.
    pub volumes: Vec<String>,
}

impl Service {
    /// The Dockerfile of a variant, relative to the repository.
    pub fn dockerfile(&self, variant: Variant) -> &str {
        match variant {
            Variant::Original => &self.original,
            Variant::Optimized => &self.optimized,
        }
    }

    /// What is promised in an edition.
    pub fn sizes(&self, edition: Edition) -> Sizes {
        self.sizes.get(&edition).copied().unwrap_or_default()
    }
}

impl Manifest {
    /// The services that were asked for, in the manifest's order and each once; no name means all.
    ///
    /// # Errors
    /// Every unknown name, each with the nearest known ones.
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
        let asked = |service: &&Service| names.is_empty() || names.contains(&service.name);
        Ok(self.services.iter().filter(asked).collect())
    }
}
