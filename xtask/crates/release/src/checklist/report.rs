//! The checklist report: named items, each with its outcome, evidence and remedies.

use std::str::FromStr;

use serde::Serialize;

use engine::provenance::Commit;
use model::edition::Edition;
use model::names::Unknown;

/// How often a list is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    /// Before each release.
    Release,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every three months.
    Quarterly,
}

impl Cadence {
    /// Every cadence.
    pub const ALL: [Cadence; 4] = [Cadence::Release, Cadence::Weekly, Cadence::Monthly, Cadence::Quarterly];

    /// The value of `--cadence`.
    pub fn name(self) -> &'static str {
        match self {
            Cadence::Release => "release",
            Cadence::Weekly => "weekly",
            Cadence::Monthly => "monthly",
            Cadence::Quarterly => "quarterly",
        }
    }
}

impl FromStr for Cadence {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Cadence, Unknown> {
        let found = Cadence::ALL.into_iter().find(|cadence| cadence.name() == name);
        found.ok_or_else(|| Unknown::new("cadence", name, Cadence::ALL.map(Cadence::name)))
    }
}

/// The results of a checklist run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecklistReport {
    /// Schema version.
    pub schema: u32,
    /// The list; `None` where items were named one by one.
    pub cadence: Option<Cadence>,
    /// The tag of the images, without edition and variant.
    pub tag: String,
    /// The editions checked.
    pub editions: Vec<Edition>,
    /// The checked-out commit; `None` outside of git.
    pub commit: Option<Commit>,
    /// The items, in the list's order.
    pub items: Vec<ChecklistItem>,
}

/// The current schema version of [`ChecklistReport`].
pub const SCHEMA: u32 = 1;

/// The result of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChecklistItem {
    /// Its name on the command line.
    pub name: String,
    /// What must hold.
    pub asks: String,
    /// Whether it holds.
    #[serde(flatten)]
    pub outcome: ItemOutcome,
    /// What the check found, one line each; the first is a summary.
    pub evidence: Vec<String>,
    /// Where the answer comes from; `None` where nothing was checked.
    pub basis: Option<ItemBasis>,
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum ItemOutcome {
    /// It holds.
    Passed,
    /// It does not hold.
    Failed {
        /// Every fault; never empty.
        faults: Vec<ItemFault>,
    },
    /// Skipped on request.
    Skipped {
        /// The reason given on the command line.
        reason: String,
    },
    /// The environment lacks what the check needs.
    Unknown {
        /// The error, with its remedy.
        why: String,
    },
}

/// Something wrong and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ItemFault {
    /// What is wrong.
    pub what: String,
    /// The command or change that fixes it.
    pub remedy: String,
}

impl ItemFault {
    /// A fault and its remedy.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> ItemFault {
        ItemFault { what: what.into(), remedy: remedy.into() }
    }
}

/// Where an answer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemBasis {
    /// A fresh record.
    Record,
    /// This run.
    Now,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAnswer {
    /// What is wrong; the item passes where this is empty.
    pub faults: Vec<ItemFault>,
    /// What was found, one line each; the first is a summary.
    pub evidence: Vec<String>,
    /// Where it comes from.
    pub basis: ItemBasis,
}

impl ItemAnswer {
    /// An answer found in this run.
    pub fn now(faults: Vec<ItemFault>, evidence: Vec<String>) -> ItemAnswer {
        ItemAnswer { faults, evidence, basis: ItemBasis::Now }
    }
}

impl ChecklistItem {
    /// An item that was checked: it passes where the answer has no faults.
    pub fn answered(name: &str, asks: &str, answer: ItemAnswer) -> ChecklistItem {
        let outcome = match answer.faults.is_empty() {
            true => ItemOutcome::Passed,
            false => ItemOutcome::Failed { faults: answer.faults },
        };
        let (evidence, basis) = (answer.evidence, Some(answer.basis));
        ChecklistItem { evidence, basis, ..ChecklistItem::unanswered(name, asks, outcome) }
    }

    /// An item that was skipped or could not be checked.
    pub fn unanswered(name: &str, asks: &str, outcome: ItemOutcome) -> ChecklistItem {
        ChecklistItem {
            name: name.to_owned(),
            asks: asks.to_owned(),
            outcome,
            evidence: Vec::new(),
            basis: None,
        }
    }
}

impl ChecklistReport {
    /// Names of the items that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.named(|outcome| matches!(outcome, ItemOutcome::Failed { .. }))
    }

    /// Names of the items that could not be checked.
    pub fn unknown(&self) -> Vec<&str> {
        self.named(|outcome| matches!(outcome, ItemOutcome::Unknown { .. }))
    }

    fn named(&self, is: impl Fn(&ItemOutcome) -> bool) -> Vec<&str> {
        let items = self.items.iter().filter(|item| is(&item.outcome));
        items.map(|item| item.name.as_str()).collect()
    }
}
