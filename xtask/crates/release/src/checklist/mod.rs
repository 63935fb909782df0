//! The checklists of the optimization guide ("Production Deployment Checklist", "Verification Steps", "Maintenance") as
//! named items. The list is data; each item's file says how it is answered. What a fresh record holds is not found out again.

pub mod asked;
pub mod bases;
pub mod changelog;
pub mod compose;
pub mod digests;
pub mod labels;
pub mod newest;
pub mod opportunities;
pub mod report;
pub mod requirements;
pub mod sizes;
pub mod stack;
pub mod text;
pub mod tree;

use host::failure::class_of;
use std::collections::BTreeMap;

use anyhow::Result;

use crate::checklist::asked::{Asked, NoAnswer};
use crate::checklist::report::{Answer, Cadence, Fault, Item, Outcome, Report, SCHEMA};
use engine::context::Context;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// An item of a list.
#[derive(Clone, Copy)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// The list that it stands in.
    pub cadence: Cadence,
    /// What must be so.
    pub asks: &'static str,
    answer: fn(&Asked<'_>) -> Result<Answer>,
}

/// All items, in the order in which they are told.
pub const LIST: [Listed; 16] = [
    release(
        "targets",
        "every image is there, and no larger than the guide's target and our goal allow",
        sizes::targets,
    ),
    release("baselines", "no image grew beyond its accepted size", sizes::baselines),
    release("editions", "editions differ as declared, and in nothing else", sizes::editions),
    release("pruned", "nothing that a program needs was pruned", sizes::pruned),
    release("secrets", "no layer, history or configuration holds a secret", sizes::secrets),
    release("user", "no image runs as root", sizes::user),
    release("smoke", "a stack of the optimized images answers its probes", stack::smoke),
    release("parity", "the optimized images answer as the originals did", stack::parity),
    release("labels", "images say which version, commit, edition and variant they are", labels::labels),
    release("digests", "images are pushed, and their digests are known", digests::digests),
    release("compose", "Compose files run optimized images only", compose::compose),
    release("tree", "everything is committed, and no file of secrets is", tree::tree),
    release("changelog", "the change log says what this version changes", changelog::changelog),
    Listed {
        name: "opportunities",
        cadence: Cadence::Weekly,
        asks: "what images could do without is known and meant",
        answer: opportunities::opportunities,
    },
    Listed {
        name: "bases",
        cadence: Cadence::Monthly,
        asks: "bases and their packages are the newest",
        answer: bases::bases,
    },
    Listed {
        name: "requirements",
        cadence: Cadence::Quarterly,
        asks: "what editions require is used, and the newest",
        answer: requirements::requirements,
    },
];

const fn release(name: &'static str, asks: &'static str, answer: fn(&Asked<'_>) -> Result<Answer>) -> Listed {
    Listed { name, cadence: Cadence::Release, asks, answer }
}

/// What is asked for, resolved: every name is one of [`LIST`].
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The list.
    pub cadence: Cadence,
    /// Items in place of a list's; none means the list's.
    pub only: Vec<String>,
    /// Items that are not asked, each with the reason.
    pub skip: BTreeMap<String, String>,
    /// Editions of the images.
    pub editions: Vec<Edition>,
    /// Their tag, without edition and variant.
    pub tag: Tag,
}

impl Wanted {
    /// The items that are gone through, those included that are skipped.
    pub fn items(&self) -> impl Iterator<Item = &'static Listed> {
        let named = |item: &&Listed| self.only.iter().any(|name| name == item.name);
        let is_wanted = move |item: &&Listed| match self.only.is_empty() {
            true => item.cadence == self.cadence,
            false => named(item),
        };
        LIST.iter().filter(is_wanted)
    }

    fn asks_for(&self, name: &str) -> bool {
        self.items().any(|item| item.name == name) && !self.skip.contains_key(name)
    }
}

/// Goes through a list. What failed is in the report.
///
/// # Errors
/// When the person interrupts, or nobody can tell what is checked out.
pub fn run(manifest: &Manifest, wanted: &Wanted, context: &Context) -> Result<Report> {
    let asked = Asked::new(manifest, wanted, context)?;
    let mut items = Vec::new();
    for listed in wanted.items() {
        let item = match wanted.skip.get(listed.name) {
            Some(reason) => {
                let outcome = Outcome::Skipped { reason: reason.clone() };
                Item::unanswered(listed.name, listed.asks, outcome)
            }
            None => match (listed.answer)(&asked) {
                Ok(answer) => Item::answered(listed.name, listed.asks, answer),
                Err(error) => Item::unanswered(listed.name, listed.asks, outcome(error.into())),
            },
        };
        context.docker.runner.interrupt.check()?;
        items.push(item);
    }
    Ok(Report {
        schema: SCHEMA,
        cadence: wanted.only.is_empty().then_some(wanted.cadence),
        tag: wanted.tag.to_string(),
        editions: wanted.editions.clone(),
        commit: asked.commit,
        items,
    })
}

/// What an item without an answer comes to.
fn outcome(no: NoAnswer) -> Outcome {
    match no {
        NoAnswer::Unknown(why) => Outcome::Unknown { why },
        NoAnswer::Broken(what) => {
            Outcome::Failed { faults: vec![Fault::new(what, "mend what the message says, and ask again")] }
        }
    }
}

/// So many images, in words.
fn images(count: usize) -> String {
    if count == 1 { "1 image".to_owned() } else { format!("{count} images") }
}

impl From<anyhow::Error> for NoAnswer {
    /// The environment's fault, or the project's.
    fn from(error: anyhow::Error) -> NoAnswer {
        if let Some(no) = error.downcast_ref::<NoAnswer>() {
            return no.clone();
        }
        let is_environment = class_of(&error).is_environment();
        let text = format!("{error:#}");
        if is_environment { NoAnswer::Unknown(text) } else { NoAnswer::Broken(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::failure::Failure;

    fn wanted(only: &[&str], skip: &[&str]) -> Wanted {
        Wanted {
            cadence: Cadence::Release,
            only: only.iter().map(ToString::to_string).collect(),
            skip: skip.iter().map(|name| ((*name).to_owned(), "why".to_owned())).collect(),
            editions: vec![Edition::Simple],
            tag: "latest".parse().unwrap(),
        }
    }

    #[test]
    fn names_are_told_apart_and_every_cadence_has_an_item() {
        let mut names: Vec<&str> = LIST.iter().map(|item| item.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIST.len());
        for cadence in Cadence::ALL {
            assert!(LIST.iter().any(|item| item.cadence == cadence), "{cadence}");
        }
    }

    #[test]
    fn what_is_named_takes_the_place_of_the_list_and_what_is_skipped_is_not_asked() {
        let names = |wanted: &Wanted| wanted.items().map(|item| item.name).collect::<Vec<_>>();
        assert_eq!(names(&wanted(&["tree", "bases"], &[])), ["tree", "bases"]);
        let skipping = wanted(&[], &["tree"]);
        assert!(names(&skipping).contains(&"tree") && !skipping.asks_for("tree"));
        assert!(!names(&skipping).contains(&"bases"));
    }

    #[test]
    fn a_machine_that_lacks_something_is_no_fault_of_the_project() {
        let of = |error: anyhow::Error| outcome(error.context("while asking").into());
        assert!(matches!(of(Failure::machine("no engine", "start it").into()), Outcome::Unknown { .. }));
        assert!(matches!(of(anyhow::anyhow!("not healthy")), Outcome::Failed { .. }));
        let again = NoAnswer::Unknown("no network".into());
        assert_eq!(NoAnswer::from(anyhow::Error::from(again.clone())), again);
    }
}
