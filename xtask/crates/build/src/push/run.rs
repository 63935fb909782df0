//! Carrying out a push: images side by side, tags of one image one after another, each tried again where that may help.
//! What ends well is taken down at once, so a run that is killed is simply run again: the registry is asked for every
//! layer, and what it has is not sent twice.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Error, Result};

use crate::push::digests::Digests;
use crate::push::plan;
use crate::push::plan::{Outgoing, PushPlan, Tagging, Wanted};
use crate::push::report::{PushFailure, Report, Row, State};
use crate::push::retry::{TRIES, pause};
use crate::push::schedule::Schedule;
use engine::context::Context;
use engine::push::{PushError, Pushed};
use host::files::Lock;
use host::terminal::Lines;
use host::wait;
use model::image_ref::{ImageRef, Registry, Tag};

/// How many images are pushed at once where nobody says otherwise. The engine itself sends at most five layers at once.
pub const JOBS: usize = 4;

/// Plans a push, with a look at the engine.
///
/// # Errors
/// When docker cannot be asked, or images are not there.
pub fn look(wanted: &[Wanted], tag: &Tag, registry: &Registry, context: &Context) -> Result<PushPlan> {
    let found = context.docker.inspect(&plan::references(wanted, registry))?;
    Ok(plan::plan(wanted, tag, registry, &found)?)
}

/// Pushes what is wanted. What the registry did not take is in the report.
///
/// # Errors
/// When images are missing, another push is at work in this checkout, the record of digests cannot be kept, or the person
/// interrupts.
pub fn push(
    wanted: &[Wanted],
    tag: &Tag,
    registry: &Registry,
    jobs: usize,
    context: &Context,
) -> Result<Report> {
    let _lock = Lock::take(&context.repository.push_lock())?;
    // Read first: a record that cannot be kept is known before anything is pushed.
    let digests = Digests::read(&context.repository)?;
    let plan = look(wanted, tag, registry, context)?;
    let run = Run::new(&plan, digests, context);
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, plan.images.len().max(1)) {
            scope.spawn(|| run.work());
        }
    });
    run.end()
}

/// One push as it goes on.
struct Run<'a> {
    plan: &'a PushPlan,
    context: &'a Context,
    lines: Lines,
    width: usize,
    shared: Mutex<Shared>,
    /// A push has ended.
    ended: Condvar,
}

struct Shared {
    schedule: Schedule,
    digests: Digests,
    /// By image and tag, as in the plan.
    rows: Vec<Vec<Row>>,
    /// What keeps the run itself from going on.
    broken: Option<Error>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a PushPlan, digests: Digests, context: &'a Context) -> Run<'a> {
        let jobs = plan.images.iter().map(|image| (image.size, image.layers.clone()));
        let names = plan.images.iter().flat_map(|image| image.tags.iter());
        Run {
            plan,
            context,
            lines: context.terminal.lines(),
            width: names.map(|tag| tag.there.to_string().len()).max().unwrap_or(0),
            shared: Mutex::new(Shared {
                schedule: Schedule::new(jobs),
                digests,
                rows: rows(plan, State::NotTried),
                broken: None,
            }),
            ended: Condvar::new(),
        }
    }

    /// What one worker does: image after image.
    fn work(&self) {
        while let Some(index) = self.next() {
            let well = self.image(index);
            self.shared().schedule.end(index, well);
            self.ended.notify_all();
        }
    }

    /// The next image, once one may go.
    fn next(&self) -> Option<usize> {
        let mut shared = self.shared();
        loop {
            if shared.schedule.is_empty() || self.interrupted() {
                return None;
            }
            match shared.schedule.take() {
                Some(index) => return Some(index),
                // Whoever holds it up ends sooner or later, and says so.
                None => shared = self.ended.wait(shared).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Pushes all tags of an image. True when the registry has them.
    fn image(&self, index: usize) -> bool {
        let image = &self.plan.images[index];
        for (place, tag) in image.tags.iter().enumerate() {
            let (tries, result) = self.tag(image, tag);
            match result {
                Ok(pushed) => self.went_well((index, place), tries, &pushed),
                Err(error) => {
                    self.take_back(image, tag);
                    if !self.interrupted() {
                        self.failed((index, place), tries, &error);
                    }
                    return false;
                }
            }
        }
        true
    }

    /// Pushes one tag, as often as that may help.
    fn tag(&self, image: &Outgoing, tag: &Tagging) -> (u32, Result<Pushed, PushError>) {
        let docker = &self.context.docker;
        let there = tag.there.to_string();
        if let Err(error) = docker.tag(&image.id, &there) {
            return (0, Err(PushError::new(error.to_string())));
        }
        let line = self.lines.add(&there, self.width);
        let mut tries = 1;
        loop {
            let result = docker
                .push(&tag.there, |done, layers| line.say(format!("{done} of {layers} layers are there")));
            let Err(error) = result else {
                line.finish("pushed");
                return (tries, result);
            };
            let Some(time) = pause(&error, tries).filter(|_| !self.interrupted()) else {
                line.finish("failed");
                return (tries, Err(error));
            };
            self.context.terminal.warn(format!(
                "{there}: {}; trying again in {} s, {tries} of {}",
                error.output,
                time.as_secs(),
                TRIES - 1
            ));
            if wait::pause(time, &docker.runner.interrupt).is_err() {
                return (tries, Err(error));
            }
            tries += 1;
        }
    }

    fn went_well(&self, (index, place): (usize, usize), tries: u32, pushed: &Pushed) {
        let image = &self.plan.images[index];
        let reference = image.tags[place].there.to_string();
        let mut shared = self.shared();
        let same = shared.digests.note(&reference, &image.subject, &image.id, &pushed.digest);
        if let Err(error) = shared.digests.write(&self.context.repository) {
            shared.broken.get_or_insert(error);
            shared.schedule.stop();
        }
        let row = &mut shared.rows[index][place];
        row.state = if same && pushed.sent == 0 { State::Unchanged } else { State::Pushed };
        row.digest = Some(pushed.digest.clone());
        row.tries = tries;
        row.layers_sent = pushed.sent;
        self.context.terminal.say(format!("{} {reference}  {}", row.state.words(), pushed.digest));
    }

    fn failed(&self, (index, place): (usize, usize), tries: u32, error: &PushError) {
        let mut shared = self.shared();
        let row = &mut shared.rows[index][place];
        row.state = State::Failed;
        row.tries = tries;
        row.failure = Some(PushFailure {
            said: error.output.clone(),
            remedy: error.remedy(self.plan.registry.host()),
            environment: error.cause.class().is_environment(),
        });
        self.context.terminal.say(format!("{} {}: {}", row.state.words(), row.reference, error.output));
        if error.affects_all() {
            // The others would wait just as long to hear the same.
            shared.schedule.stop();
        }
    }

    /// Lets the tag stand where it stood: under a registry's name stands nothing that the registry has not.
    fn take_back(&self, image: &Outgoing, tag: &Tagging) {
        let there = tag.there.to_string();
        let result = match &tag.was {
            Some(was) if *was == image.id => Ok(()),
            Some(was) => self.context.docker.tag(was, &there).map_err(Error::from),
            None => self.context.docker.remove(std::slice::from_ref(&there)),
        };
        if let Err(error) = result {
            self.context.terminal.warn(format!("the tag {there} stays, though it was not pushed: {error:#}"));
        }
    }

    fn end(self) -> Result<Report> {
        self.context.docker.runner.interrupt.check()?;
        let shared = self.shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        match shared.broken {
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

/// What a push would do.
pub fn planned(plan: &PushPlan) -> Report {
    report(&plan.registry, rows(plan, State::Planned))
}

fn report(registry: &Registry, rows: Vec<Vec<Row>>) -> Report {
    Report { schema: 1, registry: registry.to_string(), images: rows.into_iter().flatten().collect() }
}

fn rows(plan: &PushPlan, state: State) -> Vec<Vec<Row>> {
    let row = |image: &Outgoing, reference: &ImageRef| Row {
        reference: reference.clone(),
        subject: image.subject.clone(),
        image: image.id.clone(),
        digest: None,
        state,
        tries: 0,
        layers_sent: 0,
        failure: None,
    };
    let of = |image: &Outgoing| image.tags.iter().map(|tag| row(image, &tag.there)).collect();
    plan.images.iter().map(of).collect()
}
