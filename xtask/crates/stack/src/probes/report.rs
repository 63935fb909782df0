//! What probes came to: the record that tables, JSON, JUnit and later reports are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use model::edition::Edition;
use model::variant::Variant;

/// One run of probes over a stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The Compose project that was asked.
    pub project: String,
    /// The image of every service that was asked, by its ID, so that a reader can tell whether it is still the same.
    pub images: BTreeMap<String, String>,
    /// What each probe came to, in order.
    pub outcomes: Vec<Outcome>,
}

/// What throwaway stacks came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// Version of this form.
    pub schema: u32,
    /// One for each variant that was tried.
    pub stacks: Vec<Stack>,
    /// Whether the optimized images answer as the originals do, probe by probe; `None` where it was not asked.
    pub parity: Option<Parity>,
}

/// A throwaway stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// The edition of its images.
    pub edition: Edition,
    /// Their variant.
    pub variant: Variant,
    /// What its probes came to.
    pub report: Report,
}

/// A comparison of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Whether recorded answers stood in for running originals.
    pub recorded: bool,
    /// One for each probe.
    pub report: Report,
}

/// The present form of [`Report`] and [`TestReport`].
pub const SCHEMA: u32 = 1;

/// What one probe came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The service, or the scenario that the probe is a step of.
    pub group: String,
    /// The probe's name.
    pub probe: String,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// From the first request to the verdict.
    pub milliseconds: u64,
    /// Requests that were sent; 0 where nobody could be asked.
    pub tries: u32,
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise.
    Failed {
        /// Everything that was wrong.
        wrong: Vec<String>,
        /// What was asked: method and address; empty where nobody could be.
        request: String,
        /// What came back, cut to a few lines, secrets masked; empty where nothing did.
        answer: String,
    },
    /// Not asked, since an earlier probe failed to hand on what it needs.
    Skipped {
        /// Which.
        reason: String,
    },
}

impl Outcome {
    /// `GROUP · PROBE`, as messages name it.
    pub fn name(&self) -> String {
        format!("{} · {}", self.group, self.probe)
    }

    /// Whether it is as expected.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }
}

impl Report {
    /// Those that did not pass.
    pub fn not_passed(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.iter().filter(|outcome| !outcome.passed())
    }
}
