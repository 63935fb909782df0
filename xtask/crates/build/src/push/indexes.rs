//! Pushes indexes, after the images of all platforms are in the registry, so a multi-platform tag is never incomplete.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;

use crate::push::attempt::{TRIES, kept, pause};
use crate::push::digests::Digests;
use crate::push::plan::{IndexToPush, PushPlan, RemoteTag};
use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use engine::context::Context;
use engine::push::PushError;
use engine::registry::RegistryReader;
use host::printable::printable;
use host::wait;
use model::image_ref::ImageRef;
use model::platform::Platform;

/// The result for an index.
struct SettledIndex {
    tries: u32,
    /// The digest that the tag had in the registry before the push.
    before: Option<String>,
    /// The digest of the index.
    result: Result<String, PushError>,
}

/// Adds to a report what [`push`] would do.
pub(super) fn compare(plan: &PushPlan, report: &mut PushReport, context: &Context) {
    let reader = RegistryReader::new(&context.docker);
    for index in complete(plan, context) {
        let mut row = row(index, PushState::Planned);
        // The index's digest is only known if the registry has all images.
        let unchanged = digests(index, report, &[PushState::Unchanged]);
        let wanted =
            unchanged.and_then(|digests| context.docker.digest_of_index(&manifests(index, &digests)).ok());
        row.replaced = match reader.look(&index.reference.to_string()) {
            Ok(found) => found.map(|found| found.digest),
            // The tag may exist.
            Err(error) if plan.keeps_tags => {
                fail(&mut row, error, plan, context);
                report.images.push(row);
                continue;
            }
            Err(_) => None,
        };
        if wanted.is_some() && wanted == row.replaced {
            (row.state, row.digest, row.replaced) = (PushState::Unchanged, wanted, None);
        } else if let (Some(digest), true) = (row.replaced.clone(), plan.keeps_tags) {
            fail(&mut row, kept(&digest), plan, context);
        }
        report.images.push(row);
    }
}

/// Pushes the indexes whose images are all in the registry, and adds them to the report.
///
/// # Errors
/// When the record of digests cannot be read or written, no engine answers, or the user interrupts.
pub(super) fn push(plan: &PushPlan, report: &mut PushReport, context: &Context) -> Result<()> {
    let indexes = complete(plan, context);
    if indexes.is_empty() {
        return Ok(());
    }
    let engine = context.docker.platform()?;
    let mut record = Digests::read(&context.repository)?;
    for index in indexes {
        let mut row = row(index, PushState::NotTried);
        let there = [PushState::Pushed, PushState::Replaced, PushState::Unchanged];
        if let (Some(digests), false) =
            (digests(index, report, &there), context.docker.runner.interrupt.is_set())
        {
            let settled = settle(index, &manifests(index, &digests), plan.keeps_tags, context);
            let local = local_image(plan, index, &engine);
            fill(&mut row, settled, plan, context);
            if let (None, Some(digest)) = (&row.failure, &row.digest) {
                let name = index.reference.to_string();
                if let Some(Err(error)) = local.map(|id| context.docker.tag(id, &name)) {
                    context
                        .terminal
                        .warn(format!("{name} is in the registry, but was not tagged here: {error}"));
                }
                let id = local.unwrap_or_default();
                record.add_index(&name, &index.service_image, id, digest, &digests);
                row.platforms = digests.into_iter().map(|(one, digest)| (one.to_string(), digest)).collect();
                record.write(&context.repository)?;
            }
        }
        report.images.push(row);
    }
    Ok(context.docker.runner.interrupt.check()?)
}

/// The indexes whose images are all part of this push; warns about the others.
fn complete<'p>(plan: &'p PushPlan, context: &Context) -> Vec<&'p IndexToPush> {
    let (complete, others): (Vec<_>, Vec<_>) =
        plan.indexes.iter().partition(|index| index.missing.is_empty());
    for index in others {
        let missing: Vec<String> = index.missing.iter().map(Platform::to_string).collect();
        context.terminal.warn(format!(
            "the index {} was not pushed: it also needs {}\nhelp: build and push all platforms in one command",
            index.reference,
            missing.join(", ")
        ));
    }
    complete
}

/// The digest of each image, if all of them are in one of these states.
fn digests(
    index: &IndexToPush,
    report: &PushReport,
    states: &[PushState],
) -> Option<BTreeMap<Platform, String>> {
    let digest_of = |reference: &ImageRef| {
        let row = report.images.iter().find(|row| row.reference == *reference && states.contains(&row.state));
        row?.digest.clone()
    };
    index.images.iter().map(|(platform, image)| Some((platform.clone(), digest_of(image)?))).collect()
}

fn manifests(index: &IndexToPush, digests: &BTreeMap<Platform, String>) -> Vec<String> {
    digests.values().map(|digest| format!("{}@{digest}", index.reference.repository())).collect()
}

/// The local image for the engine's own platform, which the index's reference names on this machine.
fn local_image<'p>(plan: &'p PushPlan, index: &IndexToPush, engine: &Platform) -> Option<&'p str> {
    let (_, own) = index.images.iter().find(|(platform, _)| engine.is_wanted(platform))?;
    let has_it = |tags: &[RemoteTag]| tags.iter().any(|tag| tag.reference == *own);
    plan.images.iter().find(|image| has_it(&image.tags)).map(|image| image.image.id.as_str())
}

fn settle(index: &IndexToPush, manifests: &[String], keeps_tags: bool, context: &Context) -> SettledIndex {
    let (started, mut tries, mut before) = (Instant::now(), 0, None);
    loop {
        tries += 1;
        let result = once(index, manifests, keeps_tags, &mut before, context);
        let Err(error) = result else { return SettledIndex { tries, before, result } };
        let interrupt = &context.docker.runner.interrupt;
        let pause = pause(&error, tries, started.elapsed()).filter(|_| !interrupt.is_set());
        let Some(time) = pause else { return SettledIndex { tries, before, result: Err(error) } };
        let (reference, seconds) = (&index.reference, time.as_secs());
        context.terminal.warn(format!("{reference}: {error}; retry {tries} of {} in {seconds} s", TRIES - 1));
        if wait::pause(time, interrupt).is_err() {
            return SettledIndex { tries, before, result: Err(error) };
        }
    }
}

/// Pushes the index unless the registry has it, then verifies the tag.
fn once(
    index: &IndexToPush,
    manifests: &[String],
    keeps_tags: bool,
    before: &mut Option<String>,
    context: &Context,
) -> Result<String, PushError> {
    let (docker, reader) = (&context.docker, RegistryReader::new(&context.docker));
    let look = || Ok(reader.look(&index.reference.to_string())?.map(|found| found.digest));
    let wanted = docker.digest_of_index(manifests)?;
    let found = look()?;
    if before.is_none() {
        before.clone_from(&found);
    }
    if found.as_ref() == Some(&wanted) {
        return Ok(wanted);
    }
    if let (Some(found), true) = (&found, keeps_tags) {
        return Err(kept(found));
    }
    docker.push_index(&index.reference, manifests)?;
    match look()? {
        Some(now) if now == wanted => Ok(wanted),
        Some(now) => Err(PushError::new(format!("the registry has {now} under this tag, not {wanted}"))),
        None => Err(PushError::new("the registry does not have the tag after the push".to_owned())),
    }
}

fn fill(row: &mut PushRow, settled: SettledIndex, plan: &PushPlan, context: &Context) {
    row.tries = settled.tries;
    match settled.result {
        Ok(digest) => {
            row.state = match &settled.before {
                None => PushState::Pushed,
                Some(before) if *before == digest => PushState::Unchanged,
                Some(_) => PushState::Replaced,
            };
            row.replaced = settled.before.filter(|before| *before != digest);
            row.digest = Some(digest);
            context.terminal.say(row.narration());
        }
        Err(error) => {
            fail(row, error, plan, context);
        }
    }
}

fn fail(row: &mut PushRow, error: PushError, plan: &PushPlan, context: &Context) {
    row.state = PushState::Failed;
    context.terminal.say(format!("FAILED {}: {}", row.reference, printable(&error.output)));
    row.failure = Some(PushFailure {
        remedy: error.remedy(plan.registry.host()),
        environment: error.cause.class().is_environment(),
        message: error.output,
    });
}

fn row(index: &IndexToPush, state: PushState) -> PushRow {
    PushRow::new(&index.reference, &index.service_image, None, state)
}
