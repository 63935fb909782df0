//! From what was typed, and the environment's defaults, to resolved values.

use host::failure::Failure;
use host::render::Render;
use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use clap::ValueEnum;

use build::bases::BasesMode;
use build::changes;
use build::request::BuildRequest;
use build::shared_cache::RegistryCache;
use engine::context::Context;
use model::edition::Edition;
use model::image_ref::{Registry, Tag};
use model::manifest::{Manifest, Service};
use model::names::Unknown;
use model::variant::Variant;

/// Which Dockerfiles.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum VariantChoice {
    /// Dockerfile.optimized
    Optimized,
    /// Dockerfile
    Original,
    /// Both of them
    Both,
}

impl VariantChoice {
    /// As variants.
    pub fn resolve(self) -> Vec<Variant> {
        match self {
            VariantChoice::Optimized => vec![Variant::Optimized],
            VariantChoice::Original => vec![Variant::Original],
            VariantChoice::Both => Variant::ALL.to_vec(),
        }
    }
}

/// Figures of all images together.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FleetArgs {
    /// Figures of all images together: packed bytes that a host pulls, and what an attacker finds (reads originals too, where
    /// they are built: minutes, the first time)
    #[arg(long)]
    fleet: bool,
    /// What a host that has this tag's images pulls; implies --fleet
    #[arg(long, value_name = "TAG")]
    since: Option<String>,
}

impl FleetArgs {
    /// Whether anyone asked.
    pub fn is_wanted(&self) -> bool {
        self.fleet || self.since.is_some()
    }

    /// The tag to compare with.
    ///
    /// # Errors
    /// When it is no tag.
    pub fn since(&self) -> Result<Option<Tag>> {
        Ok(self.since.as_deref().map(|text| parse(text, "--since")).transpose()?)
    }
}

/// Which images of the services.
#[derive(Debug, Clone, clap::Args)]
pub struct RequestArgs {
    /// simple, community, enterprise or all [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Optimized images, originals, or both
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag without edition and variant [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
}

impl RequestArgs {
    /// The request for these services.
    ///
    /// # Errors
    /// When an option or a variable has an invalid value.
    pub fn resolve<'m>(&self, services: Vec<&'m Service>) -> Result<BuildRequest<'m>> {
        Ok(BuildRequest {
            services,
            editions: editions(self.edition.as_deref())?,
            variants: self.variant.resolve(),
            tag: tag(self.tag.as_deref())?,
            default_edition: default_edition()?,
        })
    }
}

/// Which services.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ServicesArgs {
    /// Names of services; none means all
    services: Vec<String>,
    /// Only services whose sources differ from those of a commit: Dockerfiles, their contexts and bases, the manifest
    #[arg(long, value_name = "REF", conflicts_with = "services")]
    changed_since: Option<String>,
}

impl ServicesArgs {
    /// The services, in the manifest's order; what changed is said.
    ///
    /// # Errors
    /// Every unknown name, with the nearest ones; a commit that is not there.
    pub fn resolve<'m>(&self, manifest: &'m Manifest, context: &Context) -> Result<Vec<&'m Service>> {
        let Some(reference) = &self.changed_since else { return services(manifest, &self.services) };
        let changes = changes::since(reference, manifest, context)?;
        let commit = changes.commit.get(..12).unwrap_or(&changes.commit);
        let terminal = &context.terminal;
        match changes.services.len() {
            0 => terminal.say(format!("No service changed since {reference} ({commit}).")),
            count => terminal.say(format!(
                "{count} of {} services changed since {reference} ({commit}):",
                manifest.services.len()
            )),
        }
        for change in &changes.services {
            terminal.say(format!("  {}: {}", change.service, change.what.join(", ")));
        }
        Ok(changes.of(manifest))
    }
}

/// A build cache that machines share.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CacheArgs {
    /// Registry that holds build caches, HOST[:PORT][/PATH]: read before a step is run [default: $SUTRA_CACHE_REGISTRY]
    #[arg(long, value_name = "REGISTRY")]
    cache_registry: Option<String>,
    /// Write the caches, too; needs a builder that can (`--builder` of the docker-container driver, or an engine on the
    /// containerd image store)
    #[arg(long)]
    write_cache: bool,
}

impl CacheArgs {
    /// The cache, where there is one.
    ///
    /// # Errors
    /// When it is no registry, or is to be written and none was named.
    pub fn resolve(&self) -> Result<Option<RegistryCache>> {
        let found =
            named_registry(self.cache_registry.as_deref(), "--cache-registry", "SUTRA_CACHE_REGISTRY")?;
        if found.is_none() && self.write_cache {
            let text = "--write-cache: say where, with --cache-registry or SUTRA_CACHE_REGISTRY";
            return Err(Failure::usage(text.to_owned()).into());
        }
        Ok(found.map(|registry| RegistryCache { registry, write: self.write_cache }))
    }
}

/// Where upstream bases come from.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BasesChoice {
    /// Upstream where a registry answers, else stand-ins
    Auto,
    /// Upstream images only
    Upstream,
    /// Stand-ins made from Debian packages
    StandIn,
}

impl BasesChoice {
    /// As a mode.
    pub fn resolve(self) -> BasesMode {
        match self {
            BasesChoice::Auto => BasesMode::Auto,
            BasesChoice::Upstream => BasesMode::Upstream,
            BasesChoice::StandIn => BasesMode::StandIn,
        }
    }
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Table,
    /// For programs
    Json,
    /// For a pull request
    Markdown,
}

impl Format {
    /// A report in this form.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn of(self, report: &impl Render) -> Result<String> {
        Ok(match self {
            Format::Table => report.text(),
            Format::Markdown => report.markdown(),
            Format::Json => report.json()?,
        })
    }
}

/// The edition that plain tags follow: `SUTRA_EDITION`, else `simple`.
///
/// # Errors
/// When the variable names no edition.
pub fn default_edition() -> Result<Edition> {
    match variable("SUTRA_EDITION") {
        Some(name) => Ok(parse(&name, "SUTRA_EDITION")?),
        None => Ok(Edition::Simple),
    }
}

/// `--edition`, else the default edition.
///
/// # Errors
/// When it names no edition.
pub fn edition(given: Option<&str>) -> Result<Edition> {
    given.map_or_else(default_edition, |name| Ok(name.parse::<Edition>().map_err(Failure::from)?))
}

/// `--edition`, where `all` means all three.
///
/// # Errors
/// When it names no edition.
pub fn editions(given: Option<&str>) -> Result<Vec<Edition>> {
    if given == Some("all") {
        return Ok(Edition::ALL.to_vec());
    }
    let known = || Edition::ALL.map(Edition::name).into_iter().chain(["all"]);
    match given {
        Some(name) if name.parse::<Edition>().is_err() => {
            Err(Failure::from(Unknown::new("edition", name, known())).into())
        }
        other => Ok(vec![edition(other)?]),
    }
}

/// `--tag`, else `SUTRA_VERSION`, else `latest`.
///
/// # Errors
/// When it is no tag.
pub fn tag(given: Option<&str>) -> Result<Tag> {
    match (given, variable("SUTRA_VERSION")) {
        (Some(text), _) => Ok(parse(text, "--tag")?),
        (None, Some(text)) => Ok(parse(&text, "SUTRA_VERSION")?),
        (None, None) => Ok(parse("latest", "--tag")?),
    }
}

/// `--registry`, else `SUTRA_REGISTRY`.
///
/// # Errors
/// When it is no registry.
pub fn registry(given: Option<&str>) -> Result<Option<Registry>> {
    named_registry(given, "--registry", "SUTRA_REGISTRY")
}

fn named_registry(given: Option<&str>, option: &str, name: &str) -> Result<Option<Registry>> {
    match (given, variable(name)) {
        (Some(text), _) => Ok(Some(parse(text, option)?)),
        (None, Some(text)) => Ok(Some(parse(&text, name)?)),
        (None, None) => Ok(None),
    }
}

/// The services that were named; none means all.
///
/// # Errors
/// Every unknown name, with the nearest ones.
pub fn services<'m>(manifest: &'m Manifest, names: &[String]) -> Result<Vec<&'m Service>> {
    manifest.select(names).map_err(|unknown| {
        let lines: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n")).into()
    })
}

fn parse<T: FromStr<Err: fmt::Display>>(text: &str, source: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{source}: {error}")))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
