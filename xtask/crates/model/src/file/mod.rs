//! The manifest as it stands in the file: pure data, with the names, types and defaults of its keys. The doc comments become
//! `docs/manifest.md` and the descriptions in the JSON Schema.

#[cfg(test)]
mod docs;
mod named;
mod probe;
#[cfg(test)]
mod schema_check;
mod service;
mod test;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use self::named::Named;
pub use self::probe::{Capture, Check, Parity, Probe, Request, Tolerance};
pub use self::service::{Addition, Limit, Run, Secret, Service, Size, SizeTable, SizeText};
pub use self::test::{Test, TestUser};
use crate::opportunity_kind::OpportunityKind;

/// What Docker does not know about the images of a repository. Only `schema` is required.
///
/// ```toml
/// schema = 2
/// project = "voting"
/// version = "1.4.0"
/// source-date-epoch = 1767225600
/// env-prefix = "VOTING_"
/// compose = ["docker-compose.yml"]
/// bake = ["docker-bake.hcl"]
/// ignore = ["dev-tools"]
/// editions = ["small", "full"]
/// registries = ["registry.example.com/voting"]
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["schema"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format: 2. Schema 1 is still read, with a note on how to migrate.
    #[cfg_attr(test, schemars(range(min = 1, max = 2)))]
    pub schema: Option<u32>,
    /// The project's name, which prefixes labels and run tags: lower-case letters, digits and `-`. Default: the folder's name.
    pub project: Option<String>,
    /// The version of images whose tag is `latest`, as a label and as the build argument `VERSION`. Default: neither is set.
    pub version: Option<String>,
    /// The build argument `SOURCE_DATE_EPOCH` of all builds, in seconds since 1970, so that equal sources give equal images.
    /// Default: none.
    pub source_date_epoch: Option<u64>,
    /// Prefix of this tool's environment variables, such as `IMAGES_VERSION`. Default: `IMAGES_`.
    pub env_prefix: Option<String>,
    /// The Compose files that define builds, relative to the repository; `[]` for none. Default: the files Compose itself uses.
    pub compose: Option<Vec<String>>,
    /// The bake files that define builds, relative to the repository. Default: none.
    pub bake: Vec<String>,
    /// Builds of these files that are not images of this project, by service or target. Others may still use them as named contexts.
    /// Default: none.
    pub ignore: Vec<String>,
    /// The editions in which every service is built, smallest first. Each is a tag suffix and the value of the build argument
    /// `EDITION`. Default: none, so tags are plain.
    pub editions: Vec<String>,
    /// Registries that hold this project's images, as its Compose files name them: `HOST[:PORT][/PATH]`, or a namespace on Docker
    /// Hub. Default: none.
    pub registries: Vec<String>,
    /// Values for entries that do not set their own.
    pub defaults: Defaults,
    /// How far an image may drift from its accepted size.
    pub baselines: Baselines,
    /// Bytes that images could do without.
    pub opportunities: Opportunities,
    /// Relaxed rules of `check`.
    pub check: Checks,
    /// What `test` requires of containers.
    pub test: Test,
    /// Promised benefits of smaller images, by the figure that decides: `size`, `pull-bytes`, `pull`, `start`, `memory-idle` or
    /// `memory-after`.
    pub benefit: Named<Benefit>,
    /// Published images that Dockerfiles start from, and their replacements if no registry is reachable.
    pub upstream: Named<Upstream>,
    /// The project's own base images.
    pub base: Named<Base>,
    /// The services. Each has an image.
    pub service: Named<Service>,
    /// Probes through several services, in order. Later probes can use values that earlier ones captured.
    pub scenario: Named<Vec<Probe>>,
    /// Test programs that run against the whole stack.
    pub stack_test: Named<StackTest>,
    /// Load tests: `measure --load` runs each load in its own throwaway stack.
    pub load: Named<Vec<Probe>>,
    /// Limits for measured figures, by subject and figure: a service, `stack`, `xtask`, or `LOAD/STEP`.
    ///
    /// ```toml
    /// [bound.stack]
    /// start = "2.5s"
    /// memory-idle = "300MB"
    /// ```
    pub bound: Named<BTreeMap<String, String>>,
}

/// Values for entries that do not set their own. `{name}` stands for the entry's name, `{project}` for the project's, and in `dockerfile`
/// `{image}` for the service's image.
///
/// ```toml
/// [defaults]
/// image = "{project}-{name}"
/// dockerfile = "packages/{image}/Dockerfile"
/// base = "packages/bases/{name}/Dockerfile"
/// stand-in = "packages/stand-ins/{name}/Dockerfile"
/// platforms = ["linux/amd64", "linux/arm64"]
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Defaults {
    /// The repository of a service's image. Default: `{name}`.
    pub image: Option<String>,
    /// The Dockerfile of a service that has no `context`. Default: none; Compose or bake defines the build.
    pub dockerfile: Option<String>,
    /// The Dockerfile of a base. Default: `bases/{name}/Dockerfile`.
    pub base: Option<String>,
    /// The Dockerfile of an upstream's stand-in. Default: none.
    pub stand_in: Option<String>,
    /// Platforms to build services for. Default: the engine's platform.
    pub platforms: Vec<String>,
}

/// How far an image may drift from its row in the lock before `check` fails, separately for its own layers and its base
/// layers: a percentage of the row or a number of bytes, whichever is larger.
///
/// ```toml
/// [baselines]
/// step-percent = 2
/// step-bytes = "2MB"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Baselines {
    /// Percent, at most 50. Default: 1.
    pub step_percent: Option<f64>,
    /// A size, at most 100MB. Default: 1MB.
    pub step_bytes: Option<SizeText>,
}

/// Bytes that images could do without but keep for a reason. `release-check` reports the others.
///
/// ```toml
/// [opportunities]
/// least = "1MB"
///
/// [[opportunities.known]]
/// kind = "unstripped"
/// services = ["vote"]
/// editions = ["full"]
/// bytes = "1.9MB"
/// reason = "stripping would break the wheel's own alignment"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Opportunities {
    /// Smaller opportunities are ignored. Default: 500kB.
    pub least: Option<SizeText>,
    /// Allowed opportunities. Default: none.
    pub known: Vec<KnownOpportunity>,
}

/// An allowed opportunity.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["kind", "services", "bytes", "reason"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct KnownOpportunity {
    /// The kind, as `analyze --format json` names it.
    pub kind: Option<OpportunityKind>,
    /// The services whose images have it.
    pub services: Vec<String>,
    /// The editions whose images have it. Default: all.
    pub editions: Vec<String>,
    /// Its size in each image.
    pub bytes: Option<SizeText>,
    /// Why the files stay.
    pub reason: String,
}

/// Rules of `check` that the project relaxes. `"warn"` reports a finding as a note.
///
/// ```toml
/// [check]
/// user = "warn"
/// volume = "warn"
/// pruned = "error"
/// secret = "error"
/// edition = "error"
///
/// [[check.allow]]
/// kind = "secret"
/// path = "/app/tests/"
/// services = ["vote"]
/// reason = "keys of the test suite"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Checks {
    /// Declared differences between editions. Default: `"error"`.
    pub edition: Severity,
    /// Needed files that were pruned. Default: `"error"`.
    pub pruned: Severity,
    /// Secrets in images and in tracked files. Default: `"error"`.
    pub secret: Severity,
    /// The user the image runs as. Default: `"error"`.
    pub user: Severity,
    /// Volumes that this user cannot write to. Default: `"error"`.
    pub volume: Severity,
    /// Allowed findings. Default: none.
    pub allow: Vec<Allowance>,
}

/// What a finding does.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It fails `check`.
    #[default]
    Error,
    /// It is a note.
    Warn,
}

/// The kinds of findings that a project may relax. Sizes have baselines and targets instead.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Relaxable {
    /// Declared differences between editions.
    Edition,
    /// Needed files that were pruned.
    Pruned,
    /// Secrets in images and in tracked files.
    Secret,
    /// The user the image runs as.
    User,
    /// Volumes that this user cannot write to.
    Volume,
}

/// An allowed finding.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["kind", "path", "reason"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Allowance {
    /// The kind, a key of `[check]`.
    pub kind: Option<Relaxable>,
    /// The place in the image, or a path relative to the repository. A path that ends with `/` covers everything below it.
    pub path: String,
    /// The services whose images may have it. Default: all.
    pub services: Vec<String>,
    /// Why it is allowed.
    pub reason: String,
}

/// A promised benefit, in percent less than the original images. `report` shows it beside what was measured.
///
/// ```toml
/// [benefit.pull]
/// name = "Image pull time"
/// guide = [50, 60]
/// goal = 85
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["name"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Benefit {
    /// The figure's name in reports.
    pub name: String,
    /// The promise, in percent: a number or a range. Default: none.
    pub guide: Option<Promise>,
    /// Your goal, in percent. Default: none.
    pub goal: Option<f64>,
}

/// A promise in percent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "must be percent less than the originals: a number, 60, or a range, [20, 30]")]
pub enum Promise {
    /// One number.
    Exactly(f64),
    /// From, to.
    Range(f64, f64),
}

/// A published image that Dockerfiles name in FROM, and how to replace it if no registry is reachable. Images that are
/// not declared come from their registry.
///
/// ```toml
/// [upstream.debian]
/// reference = "debian:trixie-slim"
/// stand-in = { bootstrap = "trixie" }
///
/// [upstream.rust]
/// reference = "rust:1-slim"
/// stand-in = { dockerfile = "stand-ins/rust/Dockerfile", contexts = { toolchain = "rust-toolchain" }, emulated = "stand-ins/rust-debian/Dockerfile" }
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["reference"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Upstream {
    /// The reference in Dockerfiles.
    pub reference: String,
    /// The replacement. Default: the Dockerfile that `[defaults]` names.
    pub stand_in: StandIn,
}

/// How to build a replacement from packages only: `bootstrap` or `dockerfile`.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct StandIn {
    /// The Debian suite of a minimal root file system.
    pub bootstrap: Option<String>,
    /// A Dockerfile based on other upstream images. Default: the one that `[defaults]` names.
    pub dockerfile: Option<String>,
    /// Folders of the build machine as named contexts; `rust-toolchain` is the only one. Default: none.
    pub contexts: BTreeMap<String, String>,
    /// The Dockerfile for emulated platforms, which cannot run programs from `contexts`. Default: `dockerfile`.
    pub emulated: Option<String>,
}

/// A base image of the project's own, which is built before the images on it.
///
/// ```toml
/// [base.python]
/// image = "voting-base-python"
/// dockerfile = "bases/python/Dockerfile"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Base {
    /// The name in FROM. Default: `PROJECT-base-NAME`.
    pub image: Option<String>,
    /// The Dockerfile, relative to the repository. Default: the one that `[defaults]` names.
    pub dockerfile: Option<String>,
}

/// A test program with its own image, which runs against the whole stack and is never published.
///
/// ```toml
/// [stack-test.pages]
/// dockerfile = "tests/pages/Dockerfile"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["dockerfile"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct StackTest {
    /// The Dockerfile, relative to the repository.
    pub dockerfile: String,
}
