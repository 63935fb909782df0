//! Executes a push: images in parallel, the tags of one image in sequence, with retries for transient errors. Each success
//! is recorded at once, so a killed run is simply repeated: layers that the registry has are not uploaded twice.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Error, Result};

use crate::push::digests::Digests;
use crate::push::plan::{self, ImageToPush, PushPlan, RemoteTag};
use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use crate::push::schedule::Schedule;
use crate::request::TaggedImage;
use engine::context::Context;
use engine::push::{PushError, Pushed};
use host::failure::Failure;
use host::files::Lock;
use host::terminal::Lines;
use host::wait;
use model::image_ref::{Registry, Tag};

/// The default number of images pushed in parallel. The engine uploads at most five layers of each in parallel.
pub const JOBS: usize = 4;

/// The maximum number of attempts per tag.
const TRIES: u32 = 5;

fn plan_push(images: &[TaggedImage], tag: &Tag, registry: &Registry, context: &Context) -> Result<PushPlan> {
    let found = context.docker.inspect(&plan::references(images, registry))?;
    Ok(plan::plan(images, tag, registry, &found)?)
}

/// Reports what [`push`] would do.
///
/// # Errors
/// When docker fails or images are missing.
pub fn dry_run(
    images: &[TaggedImage],
    tag: &Tag,
    registry: &Registry,
    context: &Context,
) -> Result<PushReport> {
    let plan = plan_push(images, tag, registry, context)?;
    Ok(report(&plan.registry, rows(&plan, PushState::Planned)))
}

/// Pushes images. Failed pushes are part of the report.
///
/// # Errors
/// When images are missing, another push is running in this checkout, the record of digests cannot be written, or the user
/// interrupts.
pub fn push(
    images: &[TaggedImage],
    tag: &Tag,
    registry: &Registry,
    jobs: usize,
    context: &Context,
) -> Result<PushReport> {
    let _lock = Lock::take(&context.repository.push_lock())?;
    // Read first, so that a damaged record is reported before anything is pushed.
    let digests = Digests::read(&context.repository)?;
    let plan = plan_push(images, tag, registry, context)?;
    let run = Run::new(&plan, digests, context);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, plan.images.len().max(1)) {
            scope.spawn(|| run.work());
        }
    });
    run.end()
}

struct Run<'a> {
    plan: &'a PushPlan,
    context: &'a Context,
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
    /// The error that stops the whole run.
    fatal: Option<Error>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a PushPlan, digests: Digests, context: &'a Context) -> Run<'a> {
        let jobs = plan.images.iter().map(|image| (image.size, image.layers.clone()));
        let names = plan.images.iter().flat_map(|image| image.tags.iter());
        Run {
            plan,
            context,
            lines: context.terminal.lines(),
            width: names.map(|tag| tag.reference.to_string().len()).max().unwrap_or(0),
            shared: Mutex::new(Shared {
                schedule: Schedule::new(jobs),
                digests,
                rows: rows(plan, PushState::NotTried),
                fatal: None,
            }),
            ended: Condvar::new(),
        }
    }

    fn work(&self) {
        while let Some(index) = self.next() {
            let succeeded = self.push_image(index);
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

    /// Pushes all tags of an image; true if all succeeded.
    fn push_image(&self, index: usize) -> bool {
        let image = &self.plan.images[index];
        for (place, tag) in image.tags.iter().enumerate() {
            let (tries, result) = self.push_tag(image, tag);
            match result {
                Ok(pushed) => self.succeeded((index, place), tries, &pushed),
                Err(error) => {
                    self.restore(image, tag);
                    if !self.interrupted() {
                        self.failed((index, place), tries, &error);
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Pushes one tag, with retries. Returns the number of attempts and the last result.
    fn push_tag(&self, image: &ImageToPush, tag: &RemoteTag) -> (u32, Result<Pushed, PushError>) {
        let docker = &self.context.docker;
        let reference = tag.reference.to_string();
        if let Err(error) = docker.tag(&image.id, &reference) {
            return (0, Err(PushError::new(error.to_string())));
        }
        let line = self.lines.add(&reference, self.width);
        let mut tries = 1;
        loop {
            let result =
                docker.push(&tag.reference, |done, layers| line.say(format!("{done} of {layers} layers")));
            let Err(error) = result else {
                line.finish("pushed");
                return (tries, result);
            };
            let Some(time) = pause(&error, tries).filter(|_| !self.interrupted()) else {
                line.finish("failed");
                return (tries, Err(error));
            };
            self.context.terminal.warn(format!(
                "{reference}: {}; retry {tries} of {} in {} s",
                error.output,
                TRIES - 1,
                time.as_secs()
            ));
            if wait::pause(time, &docker.runner.interrupt).is_err() {
                line.finish("failed");
                return (tries, Err(error));
            }
            tries += 1;
        }
    }

    fn succeeded(&self, (index, place): (usize, usize), tries: u32, pushed: &Pushed) {
        let image = &self.plan.images[index];
        let reference = image.tags[place].reference.to_string();
        let mut shared = self.shared();
        let same = shared.digests.add(&reference, &image.service_image, &image.id, &pushed.digest);
        if let Err(error) = shared.digests.write(&self.context.repository) {
            shared.fatal.get_or_insert(error);
            shared.schedule.stop();
        }
        let row = &mut shared.rows[index][place];
        row.state = if same && pushed.sent == 0 { PushState::Unchanged } else { PushState::Pushed };
        row.digest = Some(pushed.digest.clone());
        row.tries = tries;
        row.layers_sent = pushed.sent;
        self.context.terminal.say(format!("{} {reference}  {}", row.state.label(), pushed.digest));
    }

    fn failed(&self, (index, place): (usize, usize), tries: u32, error: &PushError) {
        let mut shared = self.shared();
        let row = &mut shared.rows[index][place];
        row.state = PushState::Failed;
        row.tries = tries;
        row.failure = Some(PushFailure {
            message: error.output.clone(),
            remedy: error.remedy(self.plan.registry.host()),
            environment: error.cause.class().is_environment(),
        });
        self.context.terminal.say(format!("{} {}: {}", row.state.label(), row.reference, error.output));
        if error.affects_all() {
            // All other pushes would fail the same way.
            shared.schedule.stop();
        }
    }

    /// Restores the local tag: the engine must not have an image under a registry's name that the registry lacks.
    fn restore(&self, image: &ImageToPush, tag: &RemoteTag) {
        let reference = tag.reference.to_string();
        let result = match &tag.previous {
            Some(previous) if *previous == image.id => Ok(()),
            Some(previous) => self.context.docker.tag(previous, &reference).map_err(Error::from),
            None => self.context.docker.remove(std::slice::from_ref(&reference)),
        };
        if let Err(error) = result {
            self.context
                .terminal
                .warn(format!("cannot remove the tag {reference}, which was not pushed: {error:#}"));
        }
    }

    fn end(self) -> Result<PushReport> {
        if self.interrupted() {
            return Err(Failure::interrupted().into());
        }
        let shared = self.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        match shared.fatal {
            Some(error) => Err(error),
            None => Ok(report(&self.plan.registry, shared.rows)),
        }
    }

    fn interrupted(&self) -> bool {
        self.context.docker.runner.interrupt.is_set()
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after a failed attempt: 1, 2, 4, 8 s; `None` if another attempt is pointless. A registry's `Retry-After` is
/// ignored, since docker does not show it.
fn pause(error: &PushError, tries: u32) -> Option<Duration> {
    let retry = error.is_transient() && tries < TRIES;
    retry.then(|| Duration::from_secs(1 << tries.saturating_sub(1).min(6)))
}

fn report(registry: &Registry, rows: Vec<Vec<PushRow>>) -> PushReport {
    PushReport { schema: 1, registry: registry.to_string(), images: rows.into_iter().flatten().collect() }
}

fn rows(plan: &PushPlan, state: PushState) -> Vec<Vec<PushRow>> {
    let row = |image: &ImageToPush, tag: &RemoteTag| PushRow {
        reference: tag.reference.clone(),
        service_image: image.service_image.clone(),
        image: image.id.clone(),
        digest: None,
        state,
        tries: 0,
        layers_sent: 0,
        failure: None,
    };
    let image_rows = |image: &ImageToPush| image.tags.iter().map(|tag| row(image, tag)).collect();
    plan.images.iter().map(image_rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_the_last_attempt() {
        let pauses: Vec<u64> = (1..=TRIES)
            .map_while(|tries| pause(&PushError::new("toomanyrequests"), tries))
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8]);
        assert_eq!(pause(&PushError::new("unauthorized"), 1), None);
    }
}
