//! The guard of images: sizes against promises and baselines, editions against their declaration, what was pruned too far,
//! secrets, and who an image runs as. Everything is looked at first; then everything that is wrong is told at once.

pub mod baselines;
pub mod commands;
pub mod editions;
pub mod linkage;
pub mod lock;
pub mod pruned;
pub mod report;
pub mod secrets;
pub mod text;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::lock::Lock;
use crate::report::{Finding, Kind, Measured, Place, Report, Row, Subject};
use build::comparison::Verdict;
use contents::record::Layer;
use contents::scan::Scanner;
use contents::{Asked, Inside};
use engine::context::Context;
use engine::images::Image;
use engine::provenance::Provenance;
use engine::records;
use host::files;
use model::baseline::Weights;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// What to check.
#[derive(Debug, Clone)]
pub struct Wanted<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The editions.
    pub editions: Vec<Edition>,
    /// The tag.
    pub tag: Tag,
}

/// Why baselines are to change, and when.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// In words.
    pub reason: String,
    /// `2026-01-31`.
    pub day: String,
}

/// Checks images and, where all services were asked for, keeps a record of every edition. With an acceptance, rows of the
/// lock that are broken become what was measured, and what is left is told.
///
/// # Errors
/// A lock that cannot be read, an engine that cannot be asked, an image that is damaged.
pub fn check(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    acceptance: Option<&Acceptance>,
    context: &Context,
) -> Result<Report> {
    let mut lock = Lock::load(&context.repository)?;
    let scanner = secrets::scanner(manifest, context)?;
    let there = context.docker.inspect(&references(wanted))?;
    let mut of = made_of(manifest, wanted, &there, context)?;
    let Survey { mut rows, mut breaches, mut notes } = survey(manifest, wanted, &there, &scanner, context)?;
    let mut judged = baselines::judge(&mut rows, &lock, manifest, &wanted.tag);
    if let Some(Acceptance { reason, day }) = acceptance {
        let changes = baselines::changes(&judged.new, reason, day);
        let text = lock.with(&changes);
        if !changes.is_empty() {
            files::write_atomically(&context.repository.sizes_lock(), text.as_bytes())?;
        }
        let (count, file) = (changes.len(), context.repository.sizes_lock_name());
        context.terminal.say(format!("{count} row{} of {file} changed", if count == 1 { "" } else { "s" }));
        lock = Lock::load(&context.repository)?;
        of = made_of(manifest, wanted, &there, context)?;
        judged = baselines::judge(&mut rows, &lock, manifest, &wanted.tag);
    }
    breaches.extend(judged.breaches);
    notes.extend(judged.notes);
    breaches.extend(editions::dockerfiles(manifest, &wanted.services, &context.repository)?);
    let report = Report {
        schema: 1,
        tag: wanted.tag.to_string(),
        editions: wanted.editions.clone(),
        images: rows,
        breaches: merged(breaches),
        notes: merged(notes),
        fleet: Vec::new(),
    };
    for of in of {
        let part = report.of_edition(of.edition);
        records::keep(records::RecordKind::Check, of, &part, context)?;
    }
    Ok(report)
}

/// What the records of a check are made from, by edition; none where only some services are asked for.
fn made_of(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    there: &BTreeMap<String, Image>,
    context: &Context,
) -> Result<Vec<Provenance>> {
    let editions =
        if records::is_whole(&wanted.services, manifest) { wanted.editions.as_slice() } else { &[] };
    let of = |edition: &Edition| {
        records::made_of(records::RecordKind::Check, manifest, *edition, &wanted.tag, there, context)
    };
    editions.iter().map(of).collect()
}

/// What looking at images comes to, before baselines.
struct Survey {
    rows: Vec<Row>,
    breaches: Vec<Finding>,
    notes: Vec<Finding>,
}

/// One image, looked into.
struct Seen {
    measured: Measured,
    packages: BTreeSet<String>,
    breaches: Vec<Finding>,
    notes: Vec<Finding>,
}

/// The optimized images of all editions: others are what the asked ones are held against.
fn references(wanted: &Wanted<'_>) -> Vec<String> {
    let of = |service: &&Service| Edition::ALL.map(|edition| reference(service, edition, &wanted.tag));
    wanted.services.iter().flat_map(of).collect()
}

fn reference(service: &Service, edition: Edition, tag: &Tag) -> String {
    ImageRef::of(&service.image, tag, edition, Variant::Optimized).to_string()
}

fn survey(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    there: &BTreeMap<String, Image>,
    scanner: &Scanner,
    context: &Context,
) -> Result<Survey> {
    let reference = |service: &Service, edition| reference(service, edition, &wanted.tag);
    let mut asked = Vec::new();
    let mut whose = Vec::new();
    for service in &wanted.services {
        for edition in Edition::ALL {
            let name = reference(service, edition);
            if let Some(image) = there.get(&name)
                && is_looked_at(service, edition, &wanted.editions)
            {
                asked.push(Asked { reference: name, image: image.clone() });
                whose.push((service.name.as_str(), edition));
            }
        }
    }
    let mut turn = whose.iter();
    let seen = contents::look(&asked, scanner, manifest, context, &mut |inside| {
        let about: Vec<Subject> =
            turn.next().map(|(service, edition)| Subject::new(*service, edition)).into_iter().collect();
        seen(inside, about, scanner)
    })?;
    let seen: BTreeMap<(&str, Edition), Seen> = whose.into_iter().zip(seen).collect();
    let mut survey = Survey { rows: Vec::new(), breaches: Vec::new(), notes: Vec::new() };
    for &edition in &wanted.editions {
        for service in &wanted.services {
            let found = seen.get(&(service.name.as_str(), edition));
            let row = row(service, edition, reference(service, edition), found);
            promises(service, &row, &wanted.tag, &mut survey);
            survey.rows.push(row);
            let Some(found) = found else { continue };
            survey.breaches.extend(found.breaches.iter().cloned());
            survey.notes.extend(found.notes.iter().cloned());
            match seen.get(&(service.name.as_str(), Edition::Simple)) {
                Some(simple) => survey.breaches.extend(editions::differ_as_declared(
                    service,
                    edition,
                    &simple.packages,
                    &found.packages,
                )),
                None => survey.notes.extend(editions::not_proved(service, edition, &wanted.tag)),
            }
        }
    }
    for service in &wanted.services {
        let image = |edition: Edition| Some((edition, there.get(&reference(service, edition))?));
        let images: BTreeMap<Edition, &Image> = Edition::ALL.into_iter().filter_map(image).collect();
        survey.breaches.extend(editions::the_same(service, &images, &wanted.editions));
    }
    Ok(survey)
}

/// What simple holds is what other editions add to, so that it is looked into for them too.
fn is_looked_at(service: &Service, edition: Edition, editions: &[Edition]) -> bool {
    let adds = |edition: &Edition| *edition != Edition::Simple && !service.editions.is_empty();
    editions.contains(&edition) || (edition == Edition::Simple && editions.iter().any(adds))
}

fn seen(inside: &Inside<'_>, about: Vec<Subject>, scanner: &Scanner) -> Seen {
    let contents = &inside.contents;
    let finding = |kind, what: String, remedy: &str, layer: Option<usize>| Finding {
        kind,
        images: about.clone(),
        what,
        remedy: remedy.to_owned(),
        place: layer.and_then(|layer| place(inside, layer)),
    };
    let (mut breaches, mut notes) = (Vec::new(), Vec::new());
    for lack in pruned::lacks(inside) {
        let layer = lack.path.as_deref().and_then(|path| inside.tree.file_at(path)).map(|at| at.layer);
        let found = finding(Kind::Pruned, lack.what, lack.remedy, layer);
        if lack.may_be_meant { notes.push(found) } else { breaches.push(found) }
    }
    for leak in secrets::leaks(inside, scanner) {
        breaches.push(finding(Kind::Secret, leak.what, secrets::REMEDY, leak.layer));
    }
    let user = inside.asked.image.config.as_ref().map(|config| config.user.as_str()).unwrap_or_default();
    if let Some(what) = wrong_user(user) {
        let remedy = "end the Dockerfile with `USER 65532:65532`: a number is what an orchestrator can check";
        breaches.push(finding(Kind::User, what, remedy, None));
    }
    let sum = |base: bool| -> Bytes {
        let is_base = |layer: &&Layer| layer.origin.as_ref().is_some_and(|origin| origin.base);
        contents.layers.iter().filter(|layer| is_base(layer) == base).map(|layer| layer.bytes).sum()
    };
    Seen {
        measured: Measured {
            id: contents.id.clone(),
            platform: contents.platform.clone(),
            weights: Weights { own: sum(false), base: sum(true) },
        },
        packages: editions::packages(inside),
        breaches,
        notes,
    }
}

/// The line of this repository that made a layer.
fn place(inside: &Inside<'_>, layer: usize) -> Option<Place> {
    let origin = inside.contents.layers.get(layer)?.origin.as_ref()?;
    Some(Place { file: origin.file.clone(), line: origin.line })
}

fn wrong_user(user: &str) -> Option<String> {
    let id = user.split(':').next().unwrap_or_default();
    match id.parse::<u32>() {
        Ok(0) => Some("it runs as root".to_owned()),
        Ok(_) => None,
        Err(_) if id.is_empty() => Some("it runs as root, since it names no user".to_owned()),
        Err(_) => Some(format!("it runs as `{id}`, of which only its own /etc/passwd knows who that is")),
    }
}

fn row(service: &Service, edition: Edition, image: String, seen: Option<&Seen>) -> Row {
    let promised = service.sizes(edition);
    let bytes = seen.map(|seen| seen.measured.weights.sum());
    Row {
        service: service.name.clone(),
        edition,
        image,
        measured: seen.map(|seen| seen.measured.clone()),
        baseline: None,
        target: promised.target,
        goal: promised.goal,
        verdict: Verdict::of(bytes, promised.target, promised.goal),
        own: None,
        base: None,
    }
}

/// A target that is missed is a breach; a goal that is missed is said.
fn promises(service: &Service, row: &Row, tag: &Tag, survey: &mut Survey) {
    let finding = |kind, what: String, remedy: String| Finding {
        kind,
        images: vec![Subject::new(&row.service, row.edition)],
        what,
        remedy,
        place: None,
    };
    let Some(measured) = &row.measured else {
        let remedy =
            format!("cargo xtask build-images {} --edition {} --tag {tag}", service.name, row.edition);
        survey.breaches.push(finding(Kind::Missing, format!("{} is not there", row.image), remedy));
        return;
    };
    let bytes = measured.weights.sum();
    let Row { edition, .. } = row;
    let remedy =
        format!("cargo xtask analyze {} --edition {edition} --tag {tag} says what could go", service.name);
    let above = |what: &str, limit: Option<Bytes>| {
        let limit = limit.unwrap_or_default();
        format!("{bytes}, which is {} above {what} of {limit}", bytes - limit)
    };
    match row.verdict {
        Verdict::OverTarget => {
            survey.breaches.push(finding(Kind::Target, above("the guide's target", row.target), remedy));
        }
        Verdict::OverGoal => {
            survey.breaches.push(finding(Kind::Target, above("our goal", row.goal), remedy));
        }
        verdict if verdict.is_above_goal(row.goal) => {
            survey.notes.push(finding(Kind::Target, above("our goal", row.goal), remedy));
        }
        _ => {}
    }
}

/// What is so of several images is told once, and of which: a base's fault is one fault.
fn merged(findings: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let is_same = |other: &&mut Finding| {
            (other.kind, &other.what, &other.remedy, &other.place)
                == (finding.kind, &finding.what, &finding.remedy, &finding.place)
        };
        match merged.iter_mut().find(is_same) {
            Some(other) => other.images.extend(finding.images),
            None => merged.push(finding),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_above_nought_is_nobody_in_particular() {
        for user in ["65532", "65532:65532", "1:0"] {
            assert_eq!(wrong_user(user), None, "{user}");
        }
        for user in ["", "0", "0:0", "root", "nginx", ":5"] {
            assert!(wrong_user(user).is_some(), "{user}");
        }
    }

    #[test]
    fn a_fault_of_many_images_is_one() {
        let finding = |about: &str, what: &str| Finding {
            kind: Kind::Pruned,
            images: vec![Subject::new(about, Edition::Simple)],
            what: what.into(),
            remedy: "r".into(),
            place: None,
        };
        let found = merged(vec![finding("a", "x"), finding("a", "y"), finding("b", "x")]);
        assert_eq!(found.iter().map(Finding::about).collect::<Vec<_>>(), ["a, b (simple)", "a (simple)"]);
    }
}
