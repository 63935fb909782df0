//! What a release or a look from time to time asks of the repository: named items, each with outcome, evidence and remedy.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use engine::provenance::Commit;
use model::edition::Edition;
use model::names::Unknown;

/// When an item is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cadence {
    /// Before each release.
    Release,
    /// Every week.
    Weekly,
    /// Every month.
    Monthly,
    /// Every quarter of a year.
    Quarterly,
}

impl Cadence {
    /// All of them.
    pub const ALL: [Cadence; 4] = [Cadence::Release, Cadence::Weekly, Cadence::Monthly, Cadence::Quarterly];

    /// As people type it.
    pub fn name(self) -> &'static str {
        match self {
            Cadence::Release => "release",
            Cadence::Weekly => "weekly",
            Cadence::Monthly => "monthly",
            Cadence::Quarterly => "quarterly",
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cadence {
    type Err = Unknown;

    fn from_str(name: &str) -> Result<Cadence, Unknown> {
        let found = Cadence::ALL.into_iter().find(|cadence| cadence.name() == name);
        found.ok_or_else(|| Unknown::new("cadence", name, Cadence::ALL.map(Cadence::name)))
    }
}

/// Everything that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The list that was gone through; `None` where items were named one by one.
    pub cadence: Option<Cadence>,
    /// The tag of the images, without edition and variant.
    pub tag: String,
    /// Their editions.
    pub editions: Vec<Edition>,
    /// What is checked out; `None` outside of git.
    pub commit: Option<Commit>,
    /// The items, in the list's order.
    pub items: Vec<Item>,
}

/// The present form of [`Report`].
pub const SCHEMA: u32 = 1;

/// One item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name, as people type it.
    pub name: String,
    /// What must be so, in words.
    pub asks: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What was seen, a line each.
    pub evidence: Vec<String>,
    /// How it was found; `None` where nothing was looked at.
    pub basis: Option<Basis>,
}

/// What came of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum Outcome {
    /// It is so.
    Passed,
    /// It is not.
    Failed {
        /// Everything that is wrong, never empty.
        faults: Vec<Fault>,
    },
    /// A person said that it is not to be asked.
    Skipped {
        /// Why, in that person's words.
        reason: String,
    },
    /// Nobody can tell: the environment lacks what the answer needs.
    Unknown {
        /// Why, and what to do.
        why: String,
    },
}

/// Something wrong, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Fault {
    /// From words.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Fault {
        Fault { what: what.into(), remedy: remedy.into() }
    }
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// A fresh record held it.
    Record,
    /// It was looked at in this run.
    Now,
}

/// What was found of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is wrong; nothing means that the item passes.
    pub faults: Vec<Fault>,
    /// What was seen.
    pub evidence: Vec<String>,
    /// How.
    pub basis: Basis,
}

impl Answer {
    /// Of what was looked at in this run.
    pub fn now(faults: Vec<Fault>, evidence: Vec<String>) -> Answer {
        Answer { faults, evidence, basis: Basis::Now }
    }
}

impl Item {
    /// An item that was asked.
    pub fn answered(name: &str, asks: &str, answer: Answer) -> Item {
        let outcome = match answer.faults.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed { faults: answer.faults },
        };
        let basis = Some(answer.basis);
        Item { name: name.to_owned(), asks: asks.to_owned(), outcome, evidence: answer.evidence, basis }
    }

    /// An item without an answer: skipped, or unknown.
    pub fn unanswered(name: &str, asks: &str, outcome: Outcome) -> Item {
        Item { name: name.to_owned(), asks: asks.to_owned(), outcome, evidence: Vec::new(), basis: None }
    }
}

impl Report {
    /// Names of the items that failed.
    pub fn failed(&self) -> Vec<&str> {
        self.named(|outcome| matches!(outcome, Outcome::Failed { .. }))
    }

    /// Names of the items that nobody could tell.
    pub fn unknown(&self) -> Vec<&str> {
        self.named(|outcome| matches!(outcome, Outcome::Unknown { .. }))
    }

    fn named(&self, is: impl Fn(&Outcome) -> bool) -> Vec<&str> {
        let items = self.items.iter().filter(|item| is(&item.outcome));
        items.map(|item| item.name.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_without_faults_passes_and_one_with_a_fault_fails() {
        let answer = |faults: Vec<Fault>| Answer::now(faults, Vec::new());
        assert_eq!(Item::answered("a", "", answer(Vec::new())).outcome, Outcome::Passed);
        let faults = vec![Fault::new("x", "y")];
        assert_eq!(Item::answered("a", "", answer(faults.clone())).outcome, Outcome::Failed { faults });
    }

    #[test]
    fn what_failed_and_what_nobody_could_tell_are_told_apart() {
        let item = |name: &str, outcome| Item::unanswered(name, "", outcome);
        let report = Report {
            schema: SCHEMA,
            cadence: Some(Cadence::Release),
            tag: "latest".into(),
            editions: vec![Edition::Simple],
            commit: None,
            items: vec![
                item("a", Outcome::Passed),
                item("b", Outcome::Failed { faults: vec![Fault::new("x", "y")] }),
                item("c", Outcome::Skipped { reason: "no registry".into() }),
                item("d", Outcome::Unknown { why: "no network".into() }),
            ],
        };
        assert_eq!((report.failed(), report.unknown()), (vec!["b"], vec!["d"]));
        let json = serde_json::to_value(&report.items[3]).unwrap();
        assert_eq!((&json["outcome"], &json["why"]), (&"unknown".into(), &"no network".into()));
        assert_eq!(serde_json::from_value::<Item>(json).unwrap(), report.items[3]);
    }

    #[test]
    fn a_cadence_is_read_as_it_is_written() {
        for cadence in Cadence::ALL {
            assert_eq!(cadence.name().parse(), Ok(cadence));
        }
        assert!("wekly".parse::<Cadence>().unwrap_err().to_string().contains("did you mean `weekly`?"));
    }
}
