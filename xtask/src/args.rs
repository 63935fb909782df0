//! Arguments that several commands share, resolved with the environment's defaults.

use host::failure::{Failure, FailureClass};
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
use engine::builds;
use engine::context::Context;
use model::edition::Edition;
use model::image_ref::{Registry, Tag};
use model::manifest::{Manifest, Service};
use model::names::Unknown;
use model::platform::Platform;
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
    /// An edition, or all [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Optimized images, originals, or both
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag without edition and variant [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Platforms, such as linux/amd64,linux/arm64 [default: the manifest's, or the engine's own]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    platform: Vec<String>,
}

impl RequestArgs {
    /// The request for these services.
    ///
    /// # Errors
    /// When an option or a variable has an invalid value.
    pub fn resolve<'m>(
        &self,
        manifest: &'m Manifest,
        services: Vec<&'m Service>,
    ) -> Result<BuildRequest<'m>> {
        let request = BuildRequest {
            services,
            editions: editions(manifest, self.edition.as_deref())?,
            variants: self.variant.resolve(),
            tag: tag(manifest, self.tag.as_deref())?,
            default_edition: default_edition(manifest)?,
            platforms: platforms(&self.platform)?,
        };
        request.check_platforms()?;
        Ok(request)
    }
}

/// Which images of multi-platform services to use.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct PlatformChoice {
    /// Use the images for a platform, such as linux/arm64 [default: images with plain tags]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
}

impl PlatformChoice {
    /// The manifest, with the chosen images' references in its services.
    ///
    /// # Errors
    /// When the platform or the manifest is invalid.
    pub fn manifest(&self, context: &Context) -> Result<Manifest> {
        let platform = self.platform()?;
        let mut manifest = builds::manifest(context)?;
        if let Some(platform) = platform {
            for service in &mut manifest.services {
                *service = service.on(&platform);
            }
        }
        Ok(manifest)
    }
}

impl PlatformChoice {
    /// The platform that was chosen.
    ///
    /// # Errors
    /// When it is invalid.
    pub fn platform(&self) -> Result<Option<Platform>> {
        Ok(self.platform.as_deref().map(|text| parse(text, "--platform")).transpose()?)
    }
}

/// Platforms without duplicates.
fn platforms(texts: &[String]) -> Result<Vec<Platform>> {
    let mut found: Vec<Platform> = Vec::new();
    for text in texts {
        let platform = parse(text, "--platform")?;
        if !found.contains(&platform) {
            found.push(platform);
        }
    }
    Ok(found)
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
    pub fn resolve(&self, manifest: &Manifest) -> Result<Option<RegistryCache>> {
        let variable = manifest.variable("CACHE_REGISTRY");
        let found = named_registry(self.cache_registry.as_deref(), "--cache-registry", &variable)?;
        if found.is_none() && self.write_cache {
            let what = format!("--write-cache needs --cache-registry or {variable}");
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

/// The default edition, which plain tags follow: that of the environment, else the manifest's first.
///
/// # Errors
/// When the variable names an unknown edition.
pub fn default_edition(manifest: &Manifest) -> Result<Edition> {
    let name = manifest.variable("EDITION");
    match variable(&name).filter(|_| manifest.has_editions()) {
        Some(edition) => {
            Ok(manifest.edition(&edition).map_err(|error| Failure::usage(format!("{name}: {error}")))?)
        }
        None => Ok(manifest.default_edition()),
    }
}

/// `--edition`, else the default edition.
///
/// # Errors
/// When it names an unknown edition, or there are none.
pub fn edition(manifest: &Manifest, given: Option<&str>) -> Result<Edition> {
    let Some(name) = given else { return default_edition(manifest) };
    refuse_without_editions(manifest, name)?;
    Ok(manifest.edition(name).map_err(Failure::from)?)
}

/// `--edition`; `all` means all of the manifest.
///
/// # Errors
/// When it names an unknown edition, or there are none.
pub fn editions(manifest: &Manifest, given: Option<&str>) -> Result<Vec<Edition>> {
    let Some(name) = given else { return Ok(vec![default_edition(manifest)?]) };
    refuse_without_editions(manifest, name)?;
    match manifest.edition(name) {
        _ if name == ALL => Ok(manifest.editions.clone()),
        Ok(edition) => Ok(vec![edition]),
        Err(_) => {
            let known = manifest.editions.iter().map(|edition| edition.name()).chain([ALL]);
            Err(Failure::from(Unknown::new("edition", name, known)).into())
        }
    }
}

/// `--edition` of commands whose default is `all`, which also means the images of a manifest without editions.
///
/// # Errors
/// When it names an unknown edition, or there are none.
pub fn editions_by_default_all(manifest: &Manifest, given: &str) -> Result<Vec<Edition>> {
    if given == ALL { Ok(manifest.editions.clone()) } else { editions(manifest, Some(given)) }
}

/// The value of `--edition` for every edition.
const ALL: &str = "all";

fn refuse_without_editions(manifest: &Manifest, name: &str) -> Result<()> {
    if manifest.has_editions() {
        return Ok(());
    }
    let what = format!("--edition {name}: the manifest declares no editions");
    let remedy = "omit --edition, or declare them: editions = [\"NAME\", …]";
    Err(Failure::new(FailureClass::Usage, what, remedy).into())
}

/// `--tag`, else that of the environment, else `latest`.
///
/// # Errors
/// When it is not a valid tag.
pub fn tag(manifest: &Manifest, given: Option<&str>) -> Result<Tag> {
    let name = manifest.variable("VERSION");
    match (given, variable(&name)) {
        (Some(text), _) => Ok(parse(text, "--tag")?),
        (None, Some(text)) => Ok(parse(&text, &name)?),
        (None, None) => Ok(parse("latest", "--tag")?),
    }
}

/// `--registry`, else that of the environment.
///
/// # Errors
/// When it is not a valid registry.
pub fn registry(manifest: &Manifest, given: Option<&str>) -> Result<Option<Registry>> {
    named_registry(given, "--registry", &manifest.variable("REGISTRY"))
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
    context.repository.has_manifest().then(|| builds::manifest(context)).transpose()
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

pub(crate) fn parse<T: FromStr<Err: fmt::Display>>(text: &str, source: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::usage(format!("{source}: {error}")))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
