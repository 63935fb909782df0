//! Executes a push: images in parallel, the tags of one image in sequence. Tags that the registry already has are skipped, and a
//! rejected image does not stop the others. Each success is recorded immediately, so a killed push can simply be repeated; no
//! layer is uploaded twice.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::built_tag;
use crate::push::attempt::{Attempts, Before, Settled, TRIES, kept};
use crate::push::digests::Digests;
use crate::push::indexes;
use crate::push::local_tags::{self, LocalTag};
use crate::push::plan::{self, ImageToPush, PushPlan, RemoteTag};
use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use crate::push::request::PushRequest;
use crate::push::schedule::Schedule;
use crate::reuse::packages::Dates;
use engine::context::Context;
use engine::images::Image;
use engine::push::PushError;
use engine::signs::Cause;
use host::failure::{Failure, FailureClass, class_of};
use host::files::Lock;
use host::printable::printable;
use host::terminal::Lines;

/// The default number of images pushed in parallel. The engine uploads at most five layers of each in parallel.
pub const JOBS: usize = 4;

fn plan_push(request: PushRequest<'_>, context: &Context) -> Result<PushPlan> {
    let PushRequest { images, tag, registry, .. } = request;
    let found = context.docker.inspect(&plan::references(images, registry))?;
    let mut plan = plan::plan(images, tag, registry, &found)?;
    plan.keeps_tags = request.keeps_tags;
    if let Some(project) = request.built {
        let dates = Dates::read(&context.repository)?;
        plan.add_built(|image| built_tag::of_image(image, project, &dates));
    }
    Ok(plan)
}

/// Plans the push and tags its images. Plans again if another run removes one of them first.
fn plan_and_hold(request: PushRequest<'_>, context: &Context) -> Result<PushPlan> {
    for _ in 0..TRIES {
        context.docker.runner.interrupt.check()?;
        let plan = plan_push(request, context)?;
        local_tags::begin(&plan, &context.repository)?;
        if local_tags::hold(&plan, &context.docker)? {
            return Ok(plan);
        }
    }
    let what = "nothing was pushed, because another process keeps removing the images";
    Err(Failure::new(FailureClass::Failed, what, "push again once it has ended").into())
}

/// Whether to push or only compare with the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Push,
    Compare,
}

/// Reports what [`push`] would do.
///
/// # Errors
/// When docker fails, images are missing, or the user interrupts.
pub fn dry_run(request: PushRequest<'_>, context: &Context) -> Result<PushReport> {
    let digests = Digests::read(&context.repository)?;
    compare(&plan_push(request, context)?, digests, request.jobs, context)
}

fn compare(plan: &PushPlan, digests: Digests, jobs: usize, context: &Context) -> Result<PushReport> {
    let mut report = run(plan, digests, jobs, Mode::Compare, context).end()?;
    indexes::compare(plan, &mut report, context);
    Ok(report)
}

/// Pushes images. Failed pushes are part of the report.
///
/// # Errors
/// When images are missing, another push is running in this checkout, the journal cannot be written, or the user interrupts.
pub fn push(request: PushRequest<'_>, context: &Context) -> Result<PushReport> {
    let _lock = Lock::take(&context.repository.push_lock())?;
    // Read first, so that a damaged record is reported before anything is pushed.
    let digests = Digests::read(&context.repository)?;
    local_tags::recover(&digests, context)?;
    if request.keeps_tags {
        // All tags are compared before the first push, so that no release is partly overwritten.
        let report = compare(&plan_push(request, context)?, digests.clone(), request.jobs, context)?;
        if report.images.iter().any(|row| row.failure.is_some()) {
            return Ok(report.not_pushed());
        }
    }
    let plan = plan_and_hold(request, context)?;
    let run = run(&plan, digests, request.jobs, Mode::Push, context);
    run.restore_untried();
    // Keep the journal if a tag could not be restored: the next push tries again.
    if !run.shared().has_stuck_tag {
        local_tags::end(&context.repository)?;
    }
    let mut report = run.end()?;
    indexes::push(&plan, &mut report, context)?;
    Ok(report)
}

fn run<'a>(plan: &'a PushPlan, digests: Digests, jobs: usize, mode: Mode, context: &'a Context) -> Run<'a> {
    let run = Run::new(plan, digests, mode, context);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, plan.images.len().max(1)) {
            scope.spawn(|| run.work());
        }
    });
    run
}

struct Run<'a> {
    plan: &'a PushPlan,
    mode: Mode,
    context: &'a Context,
    attempts: Attempts<'a>,
    lines: Lines,
    width: usize,
    shared: Mutex<Shared>,
    /// Notified whenever a push ends.
    ended: Condvar,
}

struct Shared {
    schedule: Schedule,
    digests: Digests,
    /// By image and tag, as in the plan.
    rows: Vec<Vec<PushRow>>,
    /// Why the record of digests could not be written.
    unrecorded: Option<Failure>,
    /// Whether a local tag could not be restored.
    has_stuck_tag: bool,
}

/// Indices in the plan of an image and one of its tags.
type Place = (usize, usize);

impl<'a> Run<'a> {
    fn new(plan: &'a PushPlan, digests: Digests, mode: Mode, context: &'a Context) -> Run<'a> {
        let jobs = plan.images.iter().map(|image| (image.image.size, image.image.layers().to_vec()));
        let names = plan.images.iter().flat_map(|image| image.tags.iter());
        Run {
            plan,
            mode,
            context,
            attempts: Attempts::new(plan, context),
            lines: context.terminal.lines(),
            width: names.map(|tag| tag.reference.to_string().len()).max().unwrap_or(0),
            shared: Mutex::new(Shared {
                schedule: Schedule::new(jobs),
                digests,
                rows: plan.rows(),
                unrecorded: None,
                has_stuck_tag: false,
            }),
            ended: Condvar::new(),
        }
    }

    fn work(&self) {
        while let Some(index) = self.next() {
            let succeeded = match self.mode {
                Mode::Push => self.push_image(index),
                Mode::Compare => self.compare_image(index),
            };
            self.shared().schedule.end(index, succeeded);
            self.ended.notify_all();
        }
    }

    /// Waits for the next image that may be pushed.
    fn next(&self) -> Option<usize> {
        let mut shared = self.shared();
        loop {
            if shared.schedule.is_empty() || self.interrupted() {
                return None;
            }
            match shared.schedule.take() {
                Some(index) => return Some(index),
                // The push that blocks it notifies when it ends.
                None => shared = self.ended.wait(shared).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Pushes all tags of an image; true if all succeeded. Continues after a tag that the registry may refuse to overwrite.
    fn push_image(&self, index: usize) -> bool {
        let image = &self.plan.images[index];
        let mut all = true;
        for (place, tag) in image.tags.iter().enumerate() {
            let settled = self.push_tag(image, tag);
            let Err(error) = &settled.result else {
                self.succeeded((index, place), &settled);
                if tag.is_built {
                    self.restore(image, tag);
                }
                continue;
            };
            self.restore(image, tag);
            if self.interrupted() {
                return false;
            }
            self.failed((index, place), settled.tries, &settled.before, error);
            all = false;
            if !forbids_overwriting(error, &settled.before) {
                break;
            }
        }
        all
    }

    fn push_tag(&self, image: &ImageToPush, tag: &RemoteTag) -> Settled {
        let line = self.lines.add(&tag.reference.to_string(), self.width);
        let progress = |done, layers| line.say(format!("{done} of {layers} layers"));
        let settled =
            self.attempts.settle(image, tag, |digest| self.is_known(digest, &image.image), progress);
        line.finish(match (&settled.result, &settled.before) {
            (Ok(Some(_)), _) => "pushed",
            (Ok(None), Before::Unknown) => "skipped",
            (Ok(None), _) => "unchanged",
            (Err(_), _) => "failed",
        });
        settled
    }

    /// Compares an image with the registry's tags and reports what a push would do.
    fn compare_image(&self, index: usize) -> bool {
        let image = &self.plan.images[index];
        for (place, tag) in image.tags.iter().enumerate() {
            let is_known = |digest: &str| self.is_known(digest, &image.image);
            let found = self.attempts.look(&image.image, tag, is_known);
            let before = match (found, self.plan.keeps_tags) {
                (Ok(Before::Other(found)), true) if !tag.is_built => {
                    let error = kept(&found.digest);
                    self.failed((index, place), 1, &Before::Other(found), &error);
                    continue;
                }
                (Err(error), true) => {
                    self.failed((index, place), 1, &Before::Unknown, &error);
                    continue;
                }
                (found, _) => found.unwrap_or(Before::Unknown),
            };
            let row = &mut self.shared().rows[index][place];
            row.state = PushState::Planned;
            match before {
                Before::Same(found) => (row.state, row.digest) = (PushState::Unchanged, Some(found.digest)),
                Before::Other(found) if tag.is_built => {
                    (row.state, row.digest) = (PushState::Unchanged, Some(found.digest));
                }
                Before::Other(found) => row.replaced = Some(found.digest),
                Before::Nothing | Before::Unknown => {}
            }
        }
        true
    }

    fn is_known(&self, digest: &str, image: &Image) -> bool {
        self.shared().digests.is_of(digest, image)
    }

    fn succeeded(&self, (index, place): Place, settled: &Settled) {
        let image = &self.plan.images[index];
        let reference = image.tags[place].reference.to_string();
        let mut shared = self.shared();
        let row = &mut shared.rows[index][place];
        row.tries = settled.tries;
        match (&settled.result, &settled.before) {
            (Ok(Some(pushed)), before) => {
                row.state = PushState::Pushed;
                row.digest = Some(pushed.digest.clone());
                row.layers_sent = pushed.sent;
                if let Before::Other(found) = before {
                    row.state = PushState::Replaced;
                    row.replaced = Some(found.digest.clone());
                }
            }
            (_, Before::Same(found) | Before::Other(found)) => {
                row.state = PushState::Unchanged;
                row.digest = Some(found.digest.clone());
            }
            _ => {}
        }
        let (text, digest) = (row.narration(), row.digest.clone().unwrap_or_default());
        if image.tags[place].is_built {
            return self.context.terminal.say(text);
        }
        if !shared.digests.add(&reference, &image.service_image, &image.image.id, &digest)
            && let Err(error) = shared.digests.write(&self.context.repository)
        {
            // The push itself succeeded.
            shared.unrecorded.get_or_insert(Failure::new(class_of(&error), format!("{error:#}"), ""));
        }
        self.context.terminal.say(text);
    }

    fn failed(&self, (index, place): Place, tries: u32, before: &Before, error: &PushError) {
        let host = self.plan.registry.host();
        let mut shared = self.shared();
        let row = &mut shared.rows[index][place];
        row.state = PushState::Failed;
        row.tries = tries;
        row.failure = Some(PushFailure {
            message: error.output.clone(),
            remedy: remedy(error, before, host),
            environment: error.cause.class().is_environment(),
        });
        let output = printable(&error.output);
        self.context.terminal.say(format!("{} {}: {output}", row.state.label(), row.reference));
        if error.affects_all() {
            // All other pushes would fail the same way.
            shared.schedule.stop();
        }
    }

    /// Restores the local tag: the engine must not have an image under a registry's name that the registry lacks.
    fn restore(&self, image: &ImageToPush, tag: &RemoteTag) {
        let reference = tag.reference.to_string();
        let local = LocalTag::new(reference.clone(), &image.image.id, tag.previous.as_ref());
        if let Err(error) = local_tags::restore(&[local], &self.context.docker) {
            self.shared().has_stuck_tag = true;
            self.context
                .terminal
                .warn(format!("cannot restore the local tag {reference}, which was not pushed; the next push tries again: {error:#}"));
        }
    }

    /// Restores the tags that [`local_tags::hold`] set on images whose push never began.
    fn restore_untried(&self) {
        for (index, image) in self.plan.images.iter().enumerate() {
            let state = self.shared().rows[index].first().map(|row| row.state);
            if let (Some(PushState::NotTried), Some(tag)) = (state, image.tags.first()) {
                self.restore(image, tag);
            }
        }
    }

    fn end(self) -> Result<PushReport> {
        let interrupted = self.interrupted();
        let shared = self.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let report = PushReport {
            schema: 1,
            registry: self.plan.registry.to_string(),
            images: shared.rows.into_iter().flatten().collect(),
            unrecorded: shared.unrecorded,
        };
        if !interrupted {
            return Ok(report);
        }
        let ended = [PushState::Pushed, PushState::Replaced, PushState::Unchanged];
        let there = report.images.iter().filter(|row| ended.contains(&row.state)).count();
        let what = format!("interrupted: {} has {there} of {} tags", report.registry, report.images.len());
        Err(Failure::new(FailureClass::Interrupted, what, "run the same command again to push the others")
            .into())
    }

    fn interrupted(&self) -> bool {
        self.context.docker.runner.interrupt.is_set()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the registry may only have refused to overwrite this tag. Not every client shows the registry's reason.
fn forbids_overwriting(error: &PushError, before: &Before) -> bool {
    matches!(error.cause, Cause::Immutable | Cause::Kept)
        || (matches!(before, Before::Other(_)) && error.may_forbid_overwriting())
}

fn remedy(error: &PushError, before: &Before, host: &str) -> String {
    let remedy = error.remedy(host);
    match before {
        Before::Other(found) if error.cause != Cause::Immutable && error.may_forbid_overwriting() => format!(
            "{remedy}; {host} already has {} under this tag: if its tags are immutable, push with a new --tag and --fixed-tags",
            found.digest
        ),
        _ => remedy,
    }
}
