//! Known vulnerabilities of what is really in images. `component` lists what an image names, each source answers about its
//! registry, and the report joins both. What a source did not answer is a gap, never the absence of vulnerabilities.

mod advisory;
mod component;
mod debian_archive;
mod debian_tracker;
mod debian_version;
mod npm;
mod pypi;
mod render;
pub mod report;
mod rustsec;
pub mod severity;
pub mod source;

use host::program::PROGRAM;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::fetch::{Answer, Fetcher, days_since};
use crate::registries;
use crate::vulnerabilities::advisory::{Advisory, merged};
use crate::vulnerabilities::component::{Component, Inventory, inventory};
use crate::vulnerabilities::report::{ImageVulnerabilities, VulnerabilityReport};
use crate::vulnerabilities::severity::FailOn;
use crate::vulnerabilities::source::{SourceName, SourceReport, SourceState};
use contents::analysis::analyze;
use contents::image::ImageToAnalyze;
use engine::context::Context;
use host::failure::{FailureClass, class_of};
use host::files;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};

/// What to report.
#[derive(Debug)]
pub struct VulnerabilityRequest<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The tag of the optimized images.
    pub tag: Tag,
    /// Other locations of sources: URLs, or paths where a source [takes files](SourceName::takes_files).
    pub locations: BTreeMap<SourceName, String>,
    /// What fails the command.
    pub fail_on: FailOn,
}

/// Lists the known vulnerabilities of the requested images.
///
/// # Errors
/// A missing image, an engine that fails, an interrupt.
pub fn report(
    manifest: &Manifest,
    request: &VulnerabilityRequest<'_>,
    context: &Context,
) -> Result<VulnerabilityReport> {
    let wanted = images(request, context)?;
    let to_analyze: Vec<ImageToAnalyze> = wanted.iter().map(|(_, _, image)| image.clone()).collect();
    let analyzed = analyze(&to_analyze, manifest, context)?;
    let inventories: Vec<Inventory> = analyzed.iter().map(inventory).collect();
    let all: BTreeSet<&Component> = inventories.iter().flat_map(|inventory| &inventory.components).collect();
    let (mut advisories, mut sources) = (Vec::new(), Vec::new());
    for source in SourceName::ALL {
        let components: Vec<&Component> =
            all.iter().copied().filter(|component| component.ecosystem == source.ecosystem()).collect();
        let (found, report) = ask(source, &components, manifest, request, context)?;
        advisories.extend(found);
        sources.push(report);
    }
    let advisories = merged(advisories);
    let images = wanted.into_iter().zip(inventories);
    let images = images.map(|((service, edition, image), inventory)| {
        let is_here = |advisory: &&Advisory| inventory.components.contains(&advisory.component);
        let mut here: Vec<Advisory> = advisories.iter().filter(is_here).cloned().collect();
        here.sort_by_cached_key(|one| (Reverse(one.severity), one.component.clone(), one.id.clone()));
        ImageVulnerabilities {
            service: service.name.clone(),
            edition,
            image: image.reference,
            id: image.image.id,
            components: inventory.components,
            unnamed: inventory.unnamed,
            vulnerabilities: here,
        }
    });
    let (tag, fail_on) = (request.tag.to_string(), request.fail_on);
    Ok(VulnerabilityReport { schema: 1, tag, fail_on, images: images.collect(), sources })
}

/// The requested images, which must all be in the engine.
fn images<'m>(
    request: &VulnerabilityRequest<'m>,
    context: &Context,
) -> Result<Vec<(&'m Service, Edition, ImageToAnalyze)>> {
    let of_edition = |&edition: &Edition| {
        let there = request.services.iter().filter(move |service| service.exists_in(edition));
        there.map(move |&service| (service, edition))
    };
    let wanted: Vec<(&Service, Edition)> = request.editions.iter().flat_map(of_edition).collect();
    let reference = |(service, edition): &(&Service, Edition)| {
        service.shipped_reference(&request.tag, *edition).to_string()
    };
    let references: Vec<String> = wanted.iter().map(reference).collect();
    let found = context.docker.inspect(&references)?;
    let missing: Vec<&str> =
        references.iter().filter(|name| !found.contains_key(*name)).map(String::as_str).collect();
    if !missing.is_empty() {
        let (missing, tag) = (missing.join(", "), &request.tag);
        let is_plain = request.editions.iter().all(|edition| edition.is_none());
        let editions = if is_plain { "" } else { " --edition all" };
        bail!("not in the engine: {missing}\nhelp: {PROGRAM} build-images{editions} --tag {tag}");
    }
    let images = wanted.into_iter().zip(references);
    Ok(images
        .filter_map(|((service, edition), reference)| {
            let image = found.get(&reference)?.clone();
            Some((service, edition, ImageToAnalyze { reference, image }))
        })
        .collect())
}

/// Asks one source.
fn ask(
    source: SourceName,
    components: &[&Component],
    manifest: &Manifest,
    request: &VulnerabilityRequest<'_>,
    context: &Context,
) -> Result<(Vec<Advisory>, SourceReport)> {
    let by_default = || Ok(source.default_location().to_owned());
    let location = match (request.locations.get(&source), source) {
        (Some(given), _) => Ok(given.clone()),
        _ if components.is_empty() => by_default(),
        (None, SourceName::Pypi) => registries::python(&context.docker.runner),
        (None, SourceName::Npm) => registries::npm(&context.docker.runner)
            .map(|url| format!("{url}/-/npm/v1/security/advisories/bulk")),
        (None, _) => by_default(),
    };
    let report = |location: &str, state| SourceReport {
        source,
        location: location.to_owned(),
        components: components.len(),
        state,
    };
    let location = match &location {
        Ok(location) => location.as_str(),
        Err(why) => {
            context.docker.runner.interrupt.check()?;
            let state = SourceState::Unavailable { why: why.clone() };
            return Ok((Vec::new(), report(source.default_location(), state)));
        }
    };
    let fetcher = Fetcher { context, folder: context.repository.advisories(), now: SystemTime::now() };
    let (found, state) = match source {
        _ if components.is_empty() => (Vec::new(), SourceState::NotNeeded),
        SourceName::DebianArchive => debian_archive::ask(manifest, components, context)?,
        SourceName::Pypi => pypi::ask(location, components, &fetcher)?,
        SourceName::Npm => npm::ask(location, components, &fetcher)?,
        SourceName::DebianTracker => {
            database(location, &fetcher, &|bytes| Ok((debian_tracker::find(bytes, components)?, None)))?
        }
        SourceName::Rustsec if Path::new(location).is_dir() => {
            let database = rustsec::Database::of_folder(Path::new(location));
            answered(
                database.and_then(|database| Ok((database.find(components)?, database.changed))),
                &fetcher,
            )?
        }
        SourceName::Rustsec => database(location, &fetcher, &|bytes| {
            let database = rustsec::Database::of_archive(bytes)?;
            Ok((database.find(components)?, database.changed))
        })?,
    };
    Ok((found, report(location, state)))
}

/// What a database says, and when it was last changed.
type Said = (Vec<Advisory>, Option<SystemTime>);

/// Reads a whole database: a file, or a download.
fn database(
    location: &str,
    fetcher: &Fetcher<'_>,
    parse: &dyn Fn(&[u8]) -> Result<Said>,
) -> Result<(Vec<Advisory>, SourceState)> {
    if !location.contains("://") {
        let read = files::read_bytes_if_there(Path::new(location));
        let said = read.and_then(|bytes| match bytes {
            Some(bytes) => parse(&bytes),
            None => bail!("no such file"),
        });
        let changed = || std::fs::metadata(location).ok()?.modified().ok();
        return answered(said.map(|(found, at)| (found, at.or_else(changed))), fetcher);
    }
    // What cannot be parsed, such as a proxy's page, neither counts nor replaces an earlier download.
    let kept = fetcher.kept(location)?.and_then(|kept| {
        let (found, changed) = parse(&kept.bytes).ok()?;
        Some((kept.at, (found, changed.or(Some(kept.at)))))
    });
    let kept = match kept {
        Some((at, said)) if fetcher.is_fresh(at) => return answered(Ok(said), fetcher),
        kept => kept.map(|(_, said)| said),
    };
    let why = match fetcher.get(location)? {
        Answer::Status(why) | Answer::Failed(why) => why,
        Answer::Found(bytes) => match parse(&bytes) {
            Ok((found, changed)) => {
                fetcher.keep(location, &bytes)?;
                return answered(Ok((found, changed.or(Some(fetcher.now)))), fetcher);
            }
            Err(error) => format!("{error:#}"),
        },
    };
    let Some((found, changed)) = kept else { return Ok((Vec::new(), SourceState::Unavailable { why })) };
    let age_days = changed.map(|at| days_since(at, fetcher.now)).unwrap_or_default();
    Ok((found, SourceState::Copy { age_days, why }))
}

fn answered(said: Result<Said>, fetcher: &Fetcher<'_>) -> Result<(Vec<Advisory>, SourceState)> {
    match said {
        Ok((found, changed)) => {
            let age_days = changed.map(|at| days_since(at, fetcher.now));
            Ok((found, SourceState::Answered { age_days }))
        }
        Err(error) if class_of(&error) == FailureClass::Interrupted => Err(error),
        Err(error) => Ok((Vec::new(), SourceState::Unavailable { why: format!("{error:#}") })),
    }
}
