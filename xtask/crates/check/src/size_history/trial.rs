//! Finds the commit that moved a size by building some of the commits between two accepted sizes.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;

use super::measured::{MeasuredImage, MeasuredSizes};
use super::search::{FoundStep, NotBuilt, narrow};
use super::{ExplainedChange, SizeHistory};
use build::at_commit::{BuiltCommit, OldCommits, OldImage};
use build::changes::between::InputRange;
use build::package_date::{self, PackageDateChoice};
use contents::difference::signed;
use engine::context::Context;
use host::failure::{Failure, FailureClass};
use host::git::short;
use host::plural::count;

pub use build::at_commit::remove_leftovers;

/// Builds commits between two accepted sizes until one is left, and adds it to the history. Only commits of the first-parent history
/// that changed inputs are built: for n of them, at most 2 + log2(n), plus those that do not build. Sizes are kept until the search
/// ends, so the next run after a failure or an interrupt measures only the remaining commits.
///
/// # Errors
/// If the size never changed, no engine answers, fewer than two commits build, or the user interrupts.
pub fn find_commit(history: &mut SizeHistory, project: &str, context: &Context) -> Result<()> {
    let names = history.names();
    let Some(cause) = &mut history.cause else {
        let what = "--build has nothing to explain: the lock has only one size for this image";
        return Err(Failure::new(FailureClass::Failed, what, "omit --build").into());
    };
    let states = states(cause, &names, context)?;
    let image = OldImage {
        project: project.to_owned(),
        names,
        edition: history.edition.clone(),
        platform: history.platform.clone(),
    };
    let mut commits = OldCommits::new(image, context)?;
    let mut sizes = kept_sizes(&history.service, &history.edition, &history.platform, context)?;
    let (mut built, mut skipped) = (BTreeMap::<usize, BuiltCommit>::new(), Vec::new());
    let most = 2 + (usize::BITS - (states.len() - 1).leading_zeros());
    context.terminal.say(format!(
        "{} between the two sizes change inputs; building at most {most}, more if some do not build.",
        count(states.len() - 1, "commit")
    ));
    if sizes.len() > 0 {
        let known = count(sizes.len(), "size");
        context.terminal.say(format!("Reusing {known} from an unfinished run."));
    }
    let mut measure = |state: usize| {
        let commit = &states[state];
        if let Some(bytes) = sizes.of(commit) {
            return Ok(Some(bytes));
        }
        match commits.build(commit)? {
            Ok(image) => {
                context.terminal.say(format!("{}: {}", short(commit), image.bytes));
                let bytes = image.bytes;
                sizes.keep(commit, bytes)?;
                built.insert(state, image);
                Ok(Some(bytes))
            }
            Err(why) => {
                context.terminal.warn(format!("{} does not build, and is skipped: {why}", short(commit)));
                skipped.push(NotBuilt { commit: commit.clone(), why });
                Ok(None)
            }
        }
    };
    let Some(found) = narrow(states.len() - 1, &mut measure)? else {
        let what = "--build: fewer than two commits can be built";
        let help = skipped.first().map_or("omit --build", |one| one.why.as_str());
        return Err(Failure::new(FailureClass::Failed, what, help).into());
    };
    let mut builds = built.len() + skipped.len();
    let mut difference = None;
    if found.whole != 0 {
        // An image whose size is known from an earlier run is built again, mostly from the build cache.
        for state in [found.low, found.high] {
            if !built.contains_key(&state)
                && let Ok(image) = commits.build(&states[state])?
            {
                built.insert(state, image);
                builds += 1;
            }
        }
        if let (Some(before), Some(after)) = (built.get(&found.low), built.get(&found.high)) {
            difference = Some(commits.difference(before, after)?);
        }
    }
    sizes.finish()?;
    let [before, after] = found.sizes;
    let moved = if found.whole == 0 { Vec::new() } else { states[found.low + 1..=found.high].to_vec() };
    context.terminal.say(format!("{} built, change {}", count(builds, "commit"), signed(found.whole)));
    cause.found =
        Some(FoundStep { commits: moved, before, after, whole: found.whole, builds, skipped, difference });
    Ok(())
}

fn kept_sizes(service: &str, edition: &str, platform: &str, context: &Context) -> Result<MeasuredSizes> {
    let repository = &context.repository;
    let date = package_date::choose(&PackageDateChoice::default(), SystemTime::now(), repository)?;
    let image = MeasuredImage {
        service: service.to_owned(),
        edition: edition.to_owned(),
        platform: platform.to_owned(),
        packages_as_of: date.as_str().to_owned(),
    };
    MeasuredSizes::load(repository.old_commit_sizes(), image)
}

/// The candidate commits, oldest first: the one with the previous size, then all that changed inputs or the manifest.
fn states(cause: &ExplainedChange, names: &[String], context: &Context) -> Result<Vec<String>> {
    let range = InputRange::new(&cause.since, &cause.commit, names, context)?;
    let entries = context.git().commits(&cause.since, &cause.commit, true)?;
    let manifest = (!cause.inputs.declarations.is_empty()).then(|| context.repository.manifest_name());
    let changed = range.commits(entries, manifest).into_iter().rev().map(|commit| commit.commit);
    let mut states: Vec<String> = std::iter::once(cause.since.clone()).chain(changed).collect();
    if states.len() == 1 {
        // The inputs did not change; building both ends shows this.
        states.push(cause.commit.clone());
    }
    Ok(states)
}
