//! `cargo xtask check`: inspects images, compares them with the lock and keeps a record of every edition.

use host::program::PROGRAM;
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::lock::{Acceptance, Lock};
use crate::report::{CheckReport, CheckRow, Finding, FindingKind, MeasuredImage, Place, Subject};
use crate::secrets::{self, KnownValues};
use crate::{allowances, baselines, editions, overrides, pruned, tracked, volumes};
use build::comparison::Verdict;
use contents::analysis::{self, Inside};
use contents::image::ImageToAnalyze;
use contents::record::Layer;
use contents::scan::Scanner;
use engine::context::Context;
use engine::images::Image;
use engine::provenance::Provenance;
use engine::records;
use host::files;
use model::baseline::Weights;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};

/// Which images to check.
#[derive(Debug, Clone)]
pub struct CheckRequest<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The tag.
    pub tag: Tag,
    /// Why growth over baselines is reported as notes. The check then saves no record.
    pub allowed_growth: Option<String>,
}

impl CheckRequest<'_> {
    pub(crate) fn reference(&self, service: &Service, edition: Edition) -> String {
        service.shipped_reference(&self.tag, edition).to_string()
    }

    /// All editions are looked up: editions are compared with each other.
    fn references(&self, manifest: &Manifest) -> Vec<String> {
        let of = |service: &&Service| {
            editions_of(service, manifest).map(|edition| self.reference(service, edition)).collect::<Vec<_>>()
        };
        self.services.iter().flat_map(of).collect()
    }

    /// Whether an image is inspected. The smallest edition is, too, where other editions declare what they add to it.
    fn inspects(&self, service: &Service, edition: Edition, smallest: Edition) -> bool {
        let adds = |edition: &Edition| *edition != smallest && !service.editions.is_empty();
        self.editions.contains(&edition) || (edition == smallest && self.editions.iter().any(adds))
    }

    /// The services and editions whose images are checked.
    fn subjects(&self) -> impl Iterator<Item = (Edition, &Service)> {
        let of = |edition: Edition| {
            let services = self.services.iter().copied();
            services.filter(move |service| service.exists_in(edition)).map(move |service| (edition, service))
        };
        self.editions.iter().copied().flat_map(of)
    }
}

/// The editions that a service exists in, smallest first.
fn editions_of(service: &Service, manifest: &Manifest) -> impl Iterator<Item = Edition> {
    manifest.editions.iter().copied().filter(|edition| service.exists_in(*edition))
}

/// Checks images. If all services are requested, keeps a record of every edition. With an acceptance, first writes the measured
/// sizes to the lock, for rows with findings only.
///
/// # Errors
/// An unreadable lock, an engine that does not answer, a damaged image.
pub fn check(
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    acceptance: Option<&Acceptance>,
    context: &Context,
) -> Result<CheckReport> {
    let mut lock = Lock::load(&context.repository)?;
    let known = KnownValues::read(manifest, context)?;
    let scanner = known.scanner()?;
    let images = context.docker.inspect(&request.references(manifest))?;
    let mut provenance = provenance(manifest, request, &images, context)?;
    let Survey { mut rows, mut breaches, mut notes } = survey(manifest, request, &images, &scanner, context)?;
    let mut judged = baselines::judge(&mut rows, &lock, manifest, request);
    if let Some(acceptance) = acceptance {
        let accepted = &judged.accepted;
        if !accepted.is_empty() {
            let text = lock.edited(accepted, acceptance, &manifest.editions)?;
            files::write_atomically(&context.repository.sizes_lock(), text.as_bytes())?;
        }
        let (count, file) = (accepted.len(), context.repository.sizes_lock_name());
        context.terminal.say(format!("{file}: {count} row{} changed", if count == 1 { "" } else { "s" }));
        lock = Lock::load(&context.repository)?;
        provenance = self::provenance(manifest, request, &images, context)?;
        judged = baselines::judge(&mut rows, &lock, manifest, request);
    }
    breaches.extend(judged.breaches);
    notes.extend(judged.notes);
    breaches.extend(overrides::breaches(manifest, request, context)?);
    breaches.extend(editions::dockerfiles(manifest, &request.services, &context.repository)?);
    let files = tracked::search(manifest, &known.file_scanner()?, context)?;
    breaches.extend(files.breaches);
    notes.extend(files.notes);
    let measured = rows.iter().filter(|row| row.measured.is_some()).map(|row| row.service.as_str());
    let inspected = allowances::Scope { services: measured.collect(), files: files.is_complete };
    let judged = allowances::judge(&manifest.check, breaches, &inspected);
    notes.extend(judged.notes);
    let report = CheckReport {
        schema: 1,
        tag: request.tag.to_string(),
        editions: request.editions.clone(),
        images: rows,
        breaches: Finding::merged(judged.breaches),
        notes: Finding::merged(notes),
        fleet: Vec::new(),
    };
    for provenance in provenance {
        let part = report.of_edition(provenance.edition);
        records::keep(records::RecordKind::Check, provenance, &part, context)?;
    }
    Ok(report)
}

/// What each edition's record is made from; only editions whose services are all checked have one.
fn provenance(
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    images: &BTreeMap<String, Image>,
    context: &Context,
) -> Result<Vec<Provenance>> {
    let of = |edition: &Edition| {
        records::made_of(records::RecordKind::Check, manifest, *edition, &request.tag, images, context)
    };
    let is_kept = |edition: &&Edition| {
        request.allowed_growth.is_none() && records::is_whole(&request.services, manifest, **edition)
    };
    request.editions.iter().filter(is_kept).map(of).collect()
}

/// The result of inspecting images, before baselines.
#[derive(Default)]
struct Survey {
    rows: Vec<CheckRow>,
    breaches: Vec<Finding>,
    notes: Vec<Finding>,
}

/// What to do about an image that is pulled.
const OF_OTHERS: &str =
    "only its publisher can change this image: pull another one, or add a workaround where it runs";

/// One inspected image.
struct Inspected {
    measured: MeasuredImage,
    packages: BTreeSet<String>,
    breaches: Vec<Finding>,
    notes: Vec<Finding>,
}

impl Inspected {
    /// The findings about an image that is pulled: what only its publisher can change does not fail the check.
    fn of_others(mut self) -> Inspected {
        let is_ours = |finding: &Finding| {
            !matches!(finding.kind, FindingKind::Pruned | FindingKind::User | FindingKind::Volume)
        };
        let (ours, others) = self.breaches.into_iter().partition(is_ours);
        self.breaches = ours;
        let others: Vec<Finding> = others;
        self.notes
            .extend(others.into_iter().map(|finding| Finding { remedy: OF_OTHERS.to_owned(), ..finding }));
        self
    }
}

fn survey(
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    images: &BTreeMap<String, Image>,
    scanner: &Scanner,
    context: &Context,
) -> Result<Survey> {
    let mut targets = Vec::new();
    let mut keys = Vec::new();
    let smallest = manifest.default_edition();
    for service in &request.services {
        for edition in editions_of(service, manifest) {
            let reference = request.reference(service, edition);
            if let Some(image) = images.get(&reference)
                && request.inspects(service, edition, smallest)
            {
                targets.push(ImageToAnalyze { reference, image: image.clone() });
                keys.push((*service, edition));
            }
        }
    }
    let mut next = keys.iter();
    let inspected = analysis::inspect(&targets, scanner, manifest, context, &mut |inside| {
        let next = next.next();
        let subject = next.map(|(service, edition)| Subject::new(&service.name, edition));
        let inspected = inspect(inside, subject.into_iter().collect(), scanner);
        match next {
            Some((service, _)) if service.pulled.is_some() => inspected.of_others(),
            _ => inspected,
        }
    })?;
    let keys = keys.into_iter().map(|(service, edition)| (service.name.as_str(), edition));
    let inspected: BTreeMap<(&str, Edition), Inspected> = keys.zip(inspected).collect();
    let mut survey = Survey::default();
    for (edition, service) in request.subjects() {
        let found = inspected.get(&(service.name.as_str(), edition));
        let row = row(service, edition, request.reference(service, edition), found);
        limits(service, &row, &request.tag, manifest.owners_of_limits(), &mut survey);
        survey.rows.push(row);
        let Some(found) = found else { continue };
        survey.breaches.extend_from_slice(&found.breaches);
        survey.notes.extend_from_slice(&found.notes);
        let Some(base) = editions_of(service, manifest).next().filter(|_| !service.editions.is_empty())
        else {
            continue;
        };
        match inspected.get(&(service.name.as_str(), base)) {
            Some(smaller) => {
                let packages = (&smaller.packages, &found.packages);
                survey.breaches.extend(editions::undeclared(service, edition, base, packages));
            }
            None => survey.notes.push(editions::not_compared(service, edition, base, &request.tag)),
        }
    }
    for service in &request.services {
        let image = |edition: Edition| Some((edition, images.get(&request.reference(service, edition))?));
        let images: Vec<(Edition, &Image)> = editions_of(service, manifest).filter_map(image).collect();
        survey.breaches.extend(editions::identical(service, &images, &request.editions));
    }
    Ok(survey)
}

fn inspect(inside: &Inside<'_>, subject: Vec<Subject>, scanner: &Scanner) -> Inspected {
    let contents = &inside.contents;
    let finding = |kind, what: String, remedy: &str, path: Option<String>, layer: Option<usize>| Finding {
        path,
        place: layer.and_then(|layer| place(inside, layer)),
        ..Finding::new(kind, subject.clone(), what, remedy)
    };
    let (mut breaches, mut notes) = (Vec::new(), Vec::new());
    for pruned in pruned::findings(inside) {
        let layer = pruned.path.as_deref().and_then(|path| inside.tree.file_at(path)).map(|at| at.layer);
        let path = pruned.path.map(|path| format!("/{path}"));
        let found = finding(FindingKind::Pruned, pruned.what, pruned.remedy, path, layer);
        if pruned.is_note { notes.push(found) } else { breaches.push(found) }
    }
    for leak in secrets::leaks(inside, scanner) {
        breaches.push(finding(FindingKind::Secret, leak.what, secrets::REMEDY, Some(leak.path), leak.layer));
    }
    let user = inside.image.config.as_ref().map(|config| config.user.as_str()).unwrap_or_default();
    if let Some(what) = wrong_user(user) {
        let remedy =
            "end the Dockerfile with `USER 65532:65532`; orchestrators can verify only a numeric user";
        breaches.push(finding(FindingKind::User, what, remedy, None, None));
    }
    let config = inside.image.config.clone().unwrap_or_default();
    for volume in volumes::of_image(&inside.tree, &config) {
        breaches.push(finding(FindingKind::Volume, volume.what, &volume.remedy, Some(volume.path), None));
    }
    let sum = |base: bool| -> Bytes {
        let is_base = |layer: &&Layer| layer.origin.as_ref().is_some_and(|origin| origin.base);
        contents.layers.iter().filter(|layer| is_base(layer) == base).map(|layer| layer.bytes).sum()
    };
    Inspected {
        measured: MeasuredImage {
            id: contents.id.clone(),
            platform: contents.platform.clone(),
            weights: Weights { own: sum(false), base: sum(true) },
        },
        packages: editions::packages(inside),
        breaches,
        notes,
    }
}

/// The Dockerfile line that made a layer.
fn place(inside: &Inside<'_>, layer: usize) -> Option<Place> {
    let origin = inside.contents.layers.get(layer)?.origin.as_ref()?;
    Some(Place { file: origin.file.clone(), line: origin.line })
}

fn wrong_user(user: &str) -> Option<String> {
    let id = user.split(':').next().unwrap_or_default();
    match id.parse::<u32>() {
        Ok(0) => Some("runs as root".to_owned()),
        Ok(_) => None,
        Err(_) if id.is_empty() => Some("runs as root: the image sets no USER".to_owned()),
        Err(_) => Some(format!("runs as `{id}`, a name that only the image's own /etc/passwd resolves")),
    }
}

fn row(service: &Service, edition: Edition, image: String, inspected: Option<&Inspected>) -> CheckRow {
    let limits = service.sizes(edition);
    let measured = inspected.map(|inspected| inspected.measured.clone());
    let bytes = measured.as_ref().map(|measured| measured.weights.sum());
    CheckRow {
        service: service.name.clone(),
        edition,
        image,
        measured,
        baseline: None,
        target: limits.target,
        goal: limits.goal,
        verdict: Verdict::of(bytes, limits.target, limits.goal),
        own: None,
        base: None,
    }
}

/// A missed target is a breach, a missed goal a note.
fn limits(
    service: &Service,
    row: &CheckRow,
    tag: &Tag,
    (of_target, of_goal): (&str, &str),
    survey: &mut Survey,
) {
    let finding = |kind, what: String, remedy: String| {
        Finding::new(kind, vec![Subject::new(&row.service, row.edition)], what, remedy)
    };
    let (name, edition) = (&service.name, row.edition.option());
    let Some(measured) = &row.measured else {
        let remedy = match &service.pulled {
            Some(reference) => format!("docker pull {reference}"),
            None => format!("{PROGRAM} build-images {name}{edition} --tag {tag}"),
        };
        survey.breaches.push(finding(FindingKind::Missing, format!("no image {}", row.image), remedy));
        return;
    };
    let bytes = measured.weights.sum();
    let above = |owner: &str, label: &str, limit: Option<Bytes>| {
        let limit = limit.unwrap_or_default();
        let what = format!("{bytes}, {} above {owner} {label} of {limit}", bytes - limit);
        let remedy = format!("`{PROGRAM} analyze {name}{edition} --tag {tag}` lists what could be removed");
        finding(FindingKind::Target, what, remedy)
    };
    match row.verdict {
        Verdict::OverTarget => survey.breaches.push(above(of_target, "target", row.target)),
        Verdict::OverGoal => survey.breaches.push(above(of_goal, "goal", row.goal)),
        verdict if verdict.is_above_goal(row.goal) => survey.notes.push(above(of_goal, "goal", row.goal)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_positive_number_is_an_unprivileged_user() {
        for user in ["65532", "65532:65532", "1:0"] {
            assert_eq!(wrong_user(user), None, "{user}");
        }
        for user in ["", "0", "0:0", "root", "nginx", ":5"] {
            assert!(wrong_user(user).is_some(), "{user}");
        }
    }
}
