//! Arguments that several commands share, resolved with the environment's defaults.

use host::failure::Failure;
use host::printable::{self, printable};
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
use engine::variables::REGISTRY;
use model::edition::Edition;
use model::image_ref::{Registry, Tag};
use model::manifest::{Manifest, Service};
use model::names::Unknown;
use model::reader;
use model::variant::Variant;

/// Which variants.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum VariantChoice {
    /// Dockerfile.optimized
    Optimized,
    /// Dockerfile
    Original,
    /// Both Dockerfiles
    Both,
}

impl VariantChoice {
    pub fn resolve(self) -> Vec<Variant> {
        match self {
            VariantChoice::Optimized => vec![Variant::Optimized],
            VariantChoice::Original => vec![Variant::Original],
            VariantChoice::Both => Variant::ALL.to_vec(),
        }
    }
}

/// Figures over all images.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct FleetArgs {
    /// Add figures over all images: packed bytes a host pulls, and attack surface. Reads originals too if they are built, which
    /// takes minutes the first time
    #[arg(long)]
    fleet: bool,
    /// Show what a host that already has TAG would pull; implies --fleet
    #[arg(long, value_name = "TAG")]
    since: Option<String>,
}

impl FleetArgs {
    /// Whether fleet figures are requested.
    pub fn is_wanted(&self) -> bool {
        self.fleet || self.since.is_some()
    }

    /// The tag to compare with.
    ///
    /// # Errors
    /// When it is not a valid tag.
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
    /// Services [default: all]
    services: Vec<String>,
    /// Only services changed since a commit: Dockerfile, build context, bases or manifest
    #[arg(long, value_name = "REF", conflicts_with = "services")]
    changed_since: Option<String>,
}

impl ServicesArgs {
    /// The services in the manifest's order; narrates what changed.
    ///
    /// # Errors
    /// Unknown names, with the nearest ones, or an unknown commit.
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

/// The build cache that machines share through a registry.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct CacheArgs {
    /// Read the build cache from a registry, HOST[:PORT][/PATH] [default: $SUTRA_CACHE_REGISTRY]
    #[arg(long, value_name = "REGISTRY")]
    cache_registry: Option<String>,
    /// Write the cache too. Needs a docker-container builder (`--builder`) or the containerd image store
    #[arg(long)]
    write_cache: bool,
}

impl CacheArgs {
    /// The cache, if a registry is named.
    ///
    /// # Errors
    /// When the registry is invalid, or `--write-cache` names none.
    pub fn resolve(&self) -> Result<Option<RegistryCache>> {
        let found =
            named_registry(self.cache_registry.as_deref(), "--cache-registry", "SUTRA_CACHE_REGISTRY")?;
        if found.is_none() && self.write_cache {
            let what = "--write-cache needs --cache-registry or SUTRA_CACHE_REGISTRY";
            return Err(Failure::usage(what).into());
        }
        Ok(found.map(|registry| RegistryCache { registry, write: self.write_cache }))
    }
}

/// Where upstream bases come from.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum BasesChoice {
    /// Upstream if a registry answers, else stand-ins
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

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for a terminal
    Table,
    /// JSON for programs
    Json,
    /// Markdown for a pull request
    Markdown,
}

impl Format {
    /// Renders a report, with unsafe characters escaped.
    ///
    /// # Errors
    /// When a value has no JSON form.
    pub fn of(self, report: &impl Render) -> Result<String> {
        Ok(match self {
            Format::Table => printable(&report.text()),
            Format::Markdown => printable(&report.markdown()),
            Format::Json => printable::json(&report.json()?),
        })
    }
}

/// The default edition, which plain tags follow: `SUTRA_EDITION`, else `simple`.
///
/// # Errors
/// When the variable names an unknown edition.
pub fn default_edition() -> Result<Edition> {
    match variable("SUTRA_EDITION") {
        Some(name) => Ok(parse(&name, "SUTRA_EDITION")?),
        None => Ok(Edition::Simple),
    }
}

/// `--edition`, else the default edition.
///
/// # Errors
/// When it names an unknown edition.
pub fn edition(given: Option<&str>) -> Result<Edition> {
    given.map_or_else(default_edition, |name| Ok(name.parse::<Edition>().map_err(Failure::from)?))
}

/// `--edition`; `all` means all three.
///
/// # Errors
/// When it names an unknown edition.
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
/// When it is not a valid tag.
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
/// When it is not a valid registry.
pub fn registry(given: Option<&str>) -> Result<Option<Registry>> {
    named_registry(given, "--registry", REGISTRY)
}

fn named_registry(given: Option<&str>, option: &str, name: &str) -> Result<Option<Registry>> {
    match (given, variable(name)) {
        (Some(text), _) => Ok(Some(parse(text, option)?)),
        (None, Some(text)) => Ok(Some(parse(&text, name)?)),
        (None, None) => Ok(None),
    }
}

/// The manifest; `None` outside of repositories, for commands that need none.
///
/// # Errors
/// When it is invalid.
pub fn manifest_if_any(context: &Context) -> Result<Option<Manifest>> {
    context.repository.has_manifest().then(|| reader::load(&context.repository)).transpose()
}

/// The named services, or all if none is named.
///
/// # Errors
/// Unknown names, each with the nearest ones.
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
