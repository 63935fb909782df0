//! The checklists of the optimization guide ("Production Deployment Checklist", "Verification Steps", "Maintenance") as
//! named items. Results are taken from saved records where those are fresh.

mod bases;
mod changelog;
mod compose;
mod context;
mod digests;
mod guard;
mod labels;
mod listing;
mod newest;
mod opportunities;
mod render;
pub mod report;
pub mod request;
mod requirements;
mod stack;
mod tree;

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::report::{
    Cadence, ChecklistItem, ChecklistReport, ItemAnswer, ItemFault, ItemOutcome, SCHEMA,
};
use crate::checklist::request::ChecklistRequest;
use check::report::FindingKind;
use engine::context::Context;
use host::failure::{Failure, class_of};
use model::manifest::Manifest;

/// An item of a checklist.
#[derive(Clone, Copy)]
pub struct ItemDefinition {
    /// Its name on the command line.
    pub name: &'static str,
    /// The list it belongs to.
    pub cadence: Cadence,
    /// What must hold.
    pub asks: &'static str,
    check: Check,
}

type Check = fn(&CheckContext<'_>) -> Result<ItemAnswer>;

const PARITY: &str = "parity";

/// All items, in the order in which they run.
pub const LIST: [ItemDefinition; 16] = [
    release("targets", "every image is built and within its size target", guard::targets),
    release("baselines", "no image has grown beyond its accepted size", |c| {
        guard::findings(c, FindingKind::Baseline)
    }),
    release("editions", "editions differ only as declared", |c| guard::findings(c, FindingKind::Edition)),
    release("pruned", "pruning removed nothing a program needs", |c| guard::findings(c, FindingKind::Pruned)),
    release("secrets", "no secret in any layer, history or configuration", |c| {
        guard::findings(c, FindingKind::Secret)
    }),
    release("user", "no image runs as root", |c| guard::findings(c, FindingKind::User)),
    release("smoke", "a stack of optimized images passes its probes", stack::smoke),
    release(PARITY, "optimized images give the same answers as the originals", stack::parity),
    release("labels", "labels name the version, commit, edition and variant", labels::labels),
    release("digests", "every image is pushed, and the registry still has it", digests::digests),
    release("compose", "Compose files use optimized images only", compose::compose),
    release("tree", "everything is committed, and no secret file is tracked", tree::tree),
    release("changelog", "the changelog describes this version", changelog::changelog),
    item(
        Cadence::Weekly,
        "opportunities",
        "every remaining opportunity to shrink an image is declared",
        opportunities::opportunities,
    ),
    item(Cadence::Monthly, "bases", "base images and Debian packages are up to date", bases::bases),
    item(
        Cadence::Quarterly,
        "requirements",
        "required Python packages are used and up to date",
        requirements::requirements,
    ),
];

const fn item(cadence: Cadence, name: &'static str, asks: &'static str, check: Check) -> ItemDefinition {
    ItemDefinition { name, cadence, asks, check }
}

const fn release(name: &'static str, asks: &'static str, check: Check) -> ItemDefinition {
    item(Cadence::Release, name, asks, check)
}

/// The items of a request, skipped ones included.
pub fn items(request: &ChecklistRequest) -> impl Iterator<Item = &'static ItemDefinition> {
    let is_requested = move |item: &&ItemDefinition| match request.only.is_empty() {
        true => item.cadence == request.cadence,
        false => request.only.iter().any(|name| name == item.name),
    };
    LIST.iter().filter(is_requested)
}

fn runs(request: &ChecklistRequest, name: &str) -> bool {
    items(request).any(|item| item.name == name) && !request.skip.contains_key(name)
}

/// Runs every item of a request; failed items are part of the report.
///
/// # Errors
/// When the run is interrupted, or git cannot name the commit.
pub fn run(manifest: &Manifest, request: &ChecklistRequest, context: &Context) -> Result<ChecklistReport> {
    let checks = CheckContext::new(manifest, request, runs(request, PARITY), context)?;
    let mut results = Vec::new();
    for item in items(request) {
        let unanswered = |outcome| ChecklistItem::unanswered(item.name, item.asks, outcome);
        let result = match request.skip.get(item.name) {
            Some(reason) => unanswered(ItemOutcome::Skipped { reason: reason.clone() }),
            None => match (item.check)(&checks) {
                Ok(answer) => ChecklistItem::answered(item.name, item.asks, answer),
                Err(error) => unanswered(outcome(&error)),
            },
        };
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        results.push(result);
    }
    Ok(ChecklistReport {
        schema: SCHEMA,
        cadence: request.only.is_empty().then_some(request.cadence),
        tag: request.tag.to_string(),
        editions: request.editions.clone(),
        commit: checks.commit,
        items: results,
    })
}

/// The outcome of a check that ended with an error: unknown where the environment is to blame.
fn outcome(error: &anyhow::Error) -> ItemOutcome {
    let (class, what) = (class_of(error), format!("{error:#}"));
    match class.is_environment() {
        true => ItemOutcome::Unknown { why: what },
        false => ItemOutcome::Failed { faults: vec![ItemFault::new(what, class.remedy())] },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checklist::context::{Once, once};
    use model::edition::Edition;

    fn request(only: &[&str], skip: &[&str]) -> ChecklistRequest {
        ChecklistRequest {
            cadence: Cadence::Release,
            only: only.iter().map(ToString::to_string).collect(),
            skip: skip.iter().map(|name| ((*name).to_owned(), "why".to_owned())).collect(),
            editions: vec![Edition::named("simple")],
            tag: "latest".parse().unwrap(),
        }
    }

    #[test]
    fn item_names_are_unique_and_every_cadence_has_an_item() {
        let mut names: Vec<&str> = LIST.iter().map(|item| item.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIST.len());
        for cadence in Cadence::ALL {
            assert!(LIST.iter().any(|item| item.cadence == cadence), "{}", cadence.name());
        }
    }

    #[test]
    fn named_items_replace_the_list_and_skipped_items_do_not_run() {
        let names = |request: &ChecklistRequest| items(request).map(|item| item.name).collect::<Vec<_>>();
        assert_eq!(names(&request(&["tree", "bases"], &[])), ["tree", "bases"]);
        let skipping = request(&[], &["tree"]);
        assert!(names(&skipping).contains(&"tree") && !runs(&skipping, "tree"));
        assert!(!names(&skipping).contains(&"bases"));
    }

    #[test]
    fn environment_failures_leave_the_outcome_unknown() {
        let of = |error: anyhow::Error| outcome(&error.context("while checking"));
        assert!(matches!(of(Failure::machine("no engine", "start it").into()), ItemOutcome::Unknown { .. }));
        assert!(matches!(of(anyhow::anyhow!("not healthy")), ItemOutcome::Failed { .. }));
        let cell = Once::<u8>::default();
        let fail = || once(&cell, || Err(Failure::machine("no engine", "start it").into())).unwrap_err();
        assert_eq!(fail().to_string(), fail().to_string());
        assert!(matches!(outcome(&fail()), ItemOutcome::Unknown { .. }));
    }
}
