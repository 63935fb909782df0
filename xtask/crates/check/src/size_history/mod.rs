//! `cargo xtask when`: which commits moved the accepted size of an image, which inputs changed, and how much changed lock files
//! will add.

mod measured;
mod render;
mod search;
mod steps;
mod trial;

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::lock::{Lock, LockKey};
use crate::lock_history::{self, LockState};
use build::changes::between::{InputChanges, InputRange};
use build::estimate::{self, Estimate, EstimateRequest};
use engine::context::Context;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use model::baseline::Weights;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};

pub use render::SizeHistoryView;
pub use search::{FoundStep, NotBuilt};
pub use steps::{SizeStep, UnreadableLock};
pub use trial::{find_commit, remove_leftovers};

/// The sizes to explain.
#[derive(Debug)]
pub struct HistoryRequest<'m> {
    /// The service.
    pub service: &'m Service,
    /// The edition.
    pub edition: Edition,
    /// The platform; `None` for the only one in the lock.
    pub platform: Option<String>,
    /// The commit to explain; `None` for the largest change.
    pub commit: Option<String>,
    /// The tag of the images from which package sizes are read.
    pub tag: Tag,
}

/// The accepted sizes of an image over time. This is also the JSON form.
#[derive(Debug, Serialize)]
pub struct SizeHistory {
    /// Version of this format.
    pub schema: u32,
    /// The service.
    pub service: String,
    /// The edition; empty if there are none.
    pub edition: String,
    /// The platform.
    pub platform: String,
    /// The changes, newest first.
    pub steps: Vec<SizeStep>,
    /// Commits with an unreadable lock.
    pub unreadable: Vec<UnreadableLock>,
    /// Whether older commits are missing in this clone.
    pub shallow: bool,
    /// The size in the working tree, if it differs from the last commit's.
    pub uncommitted: Option<Weights>,
    /// What moved the size, for one of the changes.
    pub cause: Option<ExplainedChange>,
    /// How much lock files that changed since the last accepted size add.
    pub forecast: Option<ExpectedSize>,
}

/// What changed between two accepted sizes.
#[derive(Debug, Serialize)]
pub struct ExplainedChange {
    /// The commit that accepted the new size.
    pub commit: String,
    /// The commit that accepted the previous size.
    pub since: String,
    /// The changed inputs.
    pub inputs: InputChanges,
    /// The commit found by building.
    pub found: Option<FoundStep>,
}

/// The expected size of the next image.
#[derive(Debug, Serialize)]
pub struct ExpectedSize {
    /// The accepted size.
    pub accepted: Weights,
    /// The changed lock files of this service.
    pub lock_files: Estimate,
    /// The sum of known changes in bytes.
    pub known: i64,
    /// The number of changed packages whose size is unknown.
    pub unknown: usize,
}

/// Reads the history and explains one change.
///
/// # Errors
/// Outside git; no committed row; an unknown commit; an ambiguous platform.
pub fn read(request: &HistoryRequest<'_>, manifest: &Manifest, context: &Context) -> Result<SizeHistory> {
    let file = context.repository.sizes_lock_name();
    let is_shallow = context.git().is_shallow().map_err(|error| {
        let why = error.tail.lines().next().unwrap_or("not a git repository").to_owned();
        Failure::new(
            FailureClass::Usage,
            format!("no history: {why}"),
            "run this in a clone of the repository",
        )
    })?;
    let mut states = lock_history::states(None, context).unwrap_or_default();
    let shallow = is_shallow && drop_boundary(&mut states, context)?;
    if states.is_empty() {
        return Err(never_committed(file, shallow, context).into());
    }
    let key = key(request, &states)?;
    let (mut steps, unreadable) = steps::steps(&states, &key);
    if shallow
        && let Some(first) = steps.last_mut()
        && first.before.is_none()
    {
        // The commit that accepted it may be an older one.
        first.subject = "older than this clone".to_owned();
    }
    if steps.is_empty() {
        return Err(without_row(&key, file, &unreadable).into());
    }
    let committed = states.iter().find_map(|state| Some(state.rows.as_ref().ok()?.get(&key).copied()));
    let now = Lock::load(&context.repository)?.rows.get(&key).copied();
    let mut history = SizeHistory {
        schema: 1,
        service: key.service,
        edition: key.edition,
        platform: key.platform,
        steps,
        unreadable,
        shallow,
        uncommitted: now.filter(|now| committed.flatten() != Some(*now)),
        cause: None,
        forecast: None,
    };
    history.cause = history.cause(request, context)?;
    history.forecast = history.forecast(request, now, manifest, context)?;
    Ok(history)
}

impl SizeHistory {
    /// The service's names, the newest first.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![self.service.clone()];
        names.extend(self.steps.iter().filter_map(|step| step.renamed_from.clone()));
        names
    }

    fn cause(&self, request: &HistoryRequest<'_>, context: &Context) -> Result<Option<ExplainedChange>> {
        let Some((step, since)) = self.chosen(request.commit.as_deref(), context)? else { return Ok(None) };
        let range = InputRange::new(since, &step.commit, &self.names(), context)?;
        let inputs = range.changes(since, &step.commit, context)?;
        let (commit, since) = (step.commit.clone(), since.to_owned());
        Ok(Some(ExplainedChange { commit, since, inputs, found: None }))
    }

    /// The step to explain, with the commit that accepted the previous size: the step that includes `commit`, else the largest.
    fn chosen(&self, commit: Option<&str>, context: &Context) -> Result<Option<(&SizeStep, &str)>> {
        let mut moved = self.steps.iter().filter_map(|step| {
            let since = step.since.as_deref().filter(|_| step.bytes() != Some(0))?;
            step.change().map(|_| (step, since))
        });
        let Some(name) = commit else {
            return Ok(moved.max_by_key(|(step, _)| step.bytes().map(i64::unsigned_abs)));
        };
        let commit = build::changes::commit::resolve("--commit", name, context)?;
        let git = context.git();
        let is_in = |(step, since): &(&SizeStep, &str)| {
            git.is_ancestor(&commit, &step.commit) && !git.is_ancestor(&commit, since)
        };
        match moved.find(is_in) {
            Some(found) => Ok(Some(found)),
            None => {
                let what = format!("--commit `{name}`: no change of this size belongs to it");
                let help = "name a commit of the table, or one between two of them";
                Err(Failure::new(FailureClass::Usage, what, help).into())
            }
        }
    }

    /// How much the lock files that changed since the last accepted size add; `None` if none changed.
    fn forecast(
        &self,
        request: &HistoryRequest<'_>,
        accepted: Option<Weights>,
        manifest: &Manifest,
        context: &Context,
    ) -> Result<Option<ExpectedSize>> {
        let is_move = |step: &&SizeStep| step.before != step.after;
        let (Some(accepted), Some(last)) = (accepted, self.steps.iter().find(is_move)) else {
            return Ok(None);
        };
        let since =
            EstimateRequest { since: &last.commit, tag: request.tag.clone(), edition: request.edition };
        let mut lock_files = estimate::since(&since, manifest, context)?;
        lock_files.files.retain(|file| file.services.contains(&request.service.name));
        if lock_files.files.is_empty() {
            return Ok(None);
        }
        let changes = || lock_files.files.iter().flat_map(|file| &file.packages);
        let known = changes().filter_map(|change| change.bytes()).sum();
        let unknown = changes().filter(|change| change.bytes().is_none()).count();
        Ok(Some(ExpectedSize { accepted, known, unknown, lock_files }))
    }
}

/// In a shallow clone, git shows every file of its oldest commits as new. Returns whether the oldest state is one of them.
fn drop_boundary(states: &mut [LockState], context: &Context) -> Result<bool> {
    let Some(oldest) = states.last() else { return Ok(true) };
    Ok(context.git().resolve(&format!("{}^", oldest.entry.commit))?.is_none())
}

fn never_committed(file: &str, shallow: bool, context: &Context) -> Failure {
    let what = match shallow {
        true => format!("{file} has no history: this clone is shallow"),
        false => format!("{file} was never committed"),
    };
    let help = match (shallow, context.repository.sizes_lock().is_file()) {
        (true, _) => {
            "`git fetch --unshallow`; in a workflow, `fetch-depth: 0` for actions/checkout".to_owned()
        }
        (false, true) => format!("git add {file}, then commit it"),
        (false, false) => {
            format!("accept the sizes and commit them: {PROGRAM} check --accept --reason \"…\"")
        }
    };
    Failure::new(FailureClass::Failed, what, help)
}

/// The requested row.
fn key(request: &HistoryRequest<'_>, states: &[LockState]) -> Result<LockKey> {
    let (service, edition) = (request.service.name.clone(), request.edition.name().to_owned());
    let keys = states.iter().filter_map(|state| state.rows.as_ref().ok()).flat_map(|rows| rows.keys());
    let of_image = keys.filter(|key| key.service == service && key.edition == edition);
    let platforms: BTreeSet<&str> = of_image.map(|key| key.platform.as_str()).collect();
    let platform = match (&request.platform, platforms.iter().next()) {
        (Some(platform), _) => platform.clone(),
        (None, Some(_)) if platforms.len() > 1 => {
            let known = platforms.into_iter().collect::<Vec<_>>().join(", ");
            let what = format!("{service} has accepted sizes for several platforms: {known}");
            return Err(Failure::new(FailureClass::Usage, what, "choose one with --platform").into());
        }
        (None, platform) => platform.copied().unwrap_or_default().to_owned(),
    };
    Ok(LockKey { service, edition, platform })
}

fn without_row(key: &LockKey, file: &str, unreadable: &[UnreadableLock]) -> Failure {
    let edition = if key.edition.is_empty() { String::new() } else { format!(", edition {}", key.edition) };
    let unread = match unreadable.len() {
        0 => String::new(),
        count => format!(" ({count} older versions of it cannot be read)"),
    };
    let platform = if key.platform.is_empty() { String::new() } else { format!(" for {}", key.platform) };
    let what = format!("{file} never had a size of {}{edition}{platform}{unread}", key.service);
    let help = format!("accept one and commit it: {PROGRAM} check {} --accept --reason \"…\"", key.service);
    Failure::new(FailureClass::Failed, what, help)
}
