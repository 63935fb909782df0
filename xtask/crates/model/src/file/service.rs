//! Services.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::{Named, Probe, Test};
use crate::bytes::Bytes;

/// A service and its image. An empty table is enough where Compose or bake defines a build of this name.
///
/// ```toml
/// [service.vote]
///
/// [service.batch]
/// context = "batch"
/// dockerfile = "batch/Dockerfile"
/// target = "production"
/// args = { NODE_ENV = "production" }
/// platforms = ["linux/amd64", "linux/arm64"]
/// contexts = { shared = "libraries/shared" }
/// optimized = "batch/Dockerfile.optimized"
/// image = "team/jobs"
/// tag = "{tag}-batch"
/// compose = "batch-worker"
/// port = 8080
/// health = "/healthz"
/// only = ["full"]
/// test-stage = "test"
/// large-original = true
/// size = "120MB"
///
/// [service.cache]
/// pulled = "redis:7-alpine"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// The build context, relative to the repository. Default: `.`, the repository.
    pub context: Option<String>,
    /// The Dockerfile, relative to the repository. Default: with `context`, the `Dockerfile` in it; else the one that `[defaults]`
    /// names; else the build comes from Compose or bake.
    #[serde(alias = "original")]
    pub dockerfile: Option<String>,
    /// The stage of the original to build; for the optimized Dockerfile, it is always the last one. Default: the last one.
    pub target: Option<String>,
    /// Build arguments. Default: none.
    pub args: BTreeMap<String, String>,
    /// Platforms to build for; `[]` means the engine's platform. With several platforms, each image's tag ends in its architecture, such
    /// as `1.0-arm64`, and `push` combines the images under the tag without the suffix. Default: `platforms` in `[defaults]`; else the
    /// engine's platform.
    pub platforms: Option<Vec<String>>,
    /// Named contexts: folders relative to the repository, or references such as `docker-image://alpine:3`. Default: none.
    pub contexts: BTreeMap<String, String>,
    /// The Dockerfile of the optimized image, with the same context. The service then has two images: the original, and the
    /// optimized one with the tag suffix `-optimized`. Default: the Dockerfile's name with `.optimized`, if there is such a file.
    pub optimized: Option<String>,
    /// The image's repository without tag. Default: the one that `[defaults]` names; else that of Compose; else the service's
    /// name; for `pulled`, that of the reference.
    pub image: Option<String>,
    /// A template for tags, needed if several services share one repository; `{tag}` stands for the tag. Default: `{tag}`.
    pub tag: Option<String>,
    /// The service in the Compose file. Default: the one that this build comes from.
    pub compose: Option<String>,
    /// The port it listens on. Default: the Dockerfile's EXPOSE, if it names one port; else that of Compose.
    pub port: Option<NonZeroU16>,
    /// The path that answers 200 once the service is ready. `test` and `smoke` request it if neither Compose nor the image has a
    /// health check; `measure` requests it for the start time. Default: no path; `measure` requests `/health`.
    pub health: Option<String>,
    /// The editions in which the service exists. Default: all.
    pub only: Option<Vec<String>>,
    /// The reference of an image that is pulled instead of built, but still measured, checked and pinned. Default: it is built.
    pub pulled: Option<String>,
    /// The Dockerfile stage that runs the service's tests; of the optimized Dockerfile, if there are two. Default: `test`, if there is such a stage.
    pub test_stage: Option<String>,
    /// The original takes so much time and disk that only `ci --full` builds it. Default: false.
    pub large_original: bool,
    /// Size limits in every edition that `sizes` does not name. Default: none.
    pub size: Option<Size>,
    /// Size limits by edition. Default: none.
    ///
    /// ```toml
    /// [service.vote.sizes]
    /// small = { original = "300MB", target = "80MB", goal = "45MB" }
    /// full = "120MB"
    /// ```
    pub sizes: Named<Size>,
    /// What each edition adds to the one below it. Default: nothing.
    pub editions: Named<Addition>,
    /// Limits that the service reports in `/health`: one number per edition, in their order, or one for all. Default: none.
    ///
    /// ```toml
    /// [service.vote.limits]
    /// max_texts = [100, 1000]
    /// max_results = 50
    /// ```
    pub limits: BTreeMap<String, Limit>,
    /// What its container needs on a read-only root.
    pub run: Run,
    /// What `test` requires of its container. Overrides individual keys of `[test]`. Default: `[test]`.
    ///
    /// ```toml
    /// [service.vote.test]
    /// user = "redis"
    /// read-only = false
    /// ```
    pub test: Test,
    /// A secret that `deploy install` generates once. Default: none.
    pub secret: Option<Secret>,
    /// Requests to the running service, and the expected responses. Default: none.
    pub probe: Vec<Probe>,
}

/// Size limits: a size, which is the target, or a table.
#[derive(Debug, Default, Clone, Copy)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Size(pub SizeTable);

/// Size limits. A plain size, such as `"80MB"`, sets the target.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("type" = ["object", "string"])))]
#[serde(default, deny_unknown_fields)]
pub struct SizeTable {
    /// The size that a guide gives for the original. Default: none.
    pub original: Option<SizeText>,
    /// The largest size that `check` accepts. Default: no limit.
    pub target: Option<SizeText>,
    /// Your own, lower goal. Default: none.
    pub goal: Option<SizeText>,
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size, \"80MB\", or a table with `original`, `target` and `goal`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                let target = SizeText::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Size(SizeTable { target: Some(target), ..SizeTable::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Size, A::Error> {
                SizeTable::deserialize(MapAccessDeserializer::new(map)).map(Size)
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

/// A size such as `92.8MB`, with decimal units.
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String")]
pub struct SizeText(#[cfg_attr(test, schemars(with = "String"))] pub Bytes);

impl TryFrom<String> for SizeText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(SizeText).map_err(|error: host::failure::Failure| error.to_string())
    }
}

/// What an edition adds to the one below it. A test compares every image with this.
///
/// ```toml
/// [service.vote.editions.small]
/// capabilities = ["search"]
/// limits = { max_results = 10 }
///
/// [service.vote.editions.full]
/// packages = ["numpy"]
/// capabilities = ["ranking"]
/// limits = { max_results = 50 }
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Addition {
    /// Python or npm packages. Default: none.
    pub packages: Vec<String>,
    /// Entries of `GET /capabilities`. Default: none.
    pub capabilities: Vec<String>,
    /// This edition's limits; the service's `limits` is a shorter way to write them. Default: none.
    pub limits: BTreeMap<String, u64>,
}

/// A limit: one number for all editions, or one for each.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "must be a whole number of at least 0, or one for each edition: [1, 2]")]
pub enum Limit {
    /// The same in all editions.
    Same(u64),
    /// By edition, in their order.
    ByEdition(Vec<u64>),
}

/// What a container needs on a read-only root.
///
/// ```toml
/// [service.vote.run]
/// env = { MODE = "demo" }
/// tmpfs = ["/tmp"]
/// volumes = ["/data"]
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// Environment variables; never secrets. Default: none.
    pub env: BTreeMap<String, String>,
    /// Writable folders with temporary content. Default: none.
    pub tmpfs: Vec<String>,
    /// Writable folders with persistent content. Default: none.
    pub volumes: Vec<String>,
}

/// A secret generated by a command of the service. The command's first line ends in `: SECRET`, its second in `: ENTRY`.
///
/// ```toml
/// [service.vote.secret]
/// variable = "VOTE_KEYS"
/// plain = "VOTE_KEY"
/// command = ["python", "-m", "vote.keys", "new"]
/// file-variable = "VOTE_KEYS_FILE"
/// ```
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(extend("required" = ["variable", "plain", "command"])))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secret {
    /// The variable that the service reads. It holds the entry, not the plain secret.
    pub variable: String,
    /// The variable in `.env` with the plain secret, for its owner.
    pub plain: String,
    /// The command in the service's image.
    pub command: Vec<String>,
    /// The variable with the path of a file that holds the entry, such as `…_FILE`. Required for Swarm secrets. Default: none.
    pub file_variable: Option<String>,
}
