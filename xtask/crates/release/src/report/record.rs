//! Everything that a report shows, gathered from saved records. Renderers are pure functions of it.

use serde::{Deserialize, Serialize};

use build::comparison::Comparison;
use contents::opportunity::Opportunity;
use contents::owner::OwnerKind;
use contents::record::Surface;
use engine::provenance::Commit;
use measure::record::MeasureRecord;
use model::baseline::Weights;
use model::benefit::Benefit;
use model::bytes::Bytes;
use model::edition::Edition;
use stack::probes::report::{Parity, Stack};

/// Version of the form.
pub const SCHEMA: u32 = 1;

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The project.
    pub project: String,
    /// The tag that it speaks of, without edition and variant.
    pub tag: String,
    /// When it was made, RFC 3339.
    pub at: String,
    /// What is checked out; `None` outside of git.
    pub commit: Option<Commit>,
    /// A part an edition; those of which nothing is known are left out.
    pub editions: Vec<Part>,
    /// Promises, each beside what was measured.
    pub benefits: Vec<Row>,
    /// What was measured.
    pub measured: Section<MeasureRecord>,
    /// How the lock of sizes came about, newest first; `None` outside of git.
    pub history: Option<Vec<Acceptance>>,
}

/// A record as a report uses it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Section<T> {
    /// Made from what is checked out.
    Fresh {
        /// The record.
        record: T,
    },
    /// Made from something else: shown with that said beside it.
    Stale {
        /// The record.
        record: T,
        /// Why.
        why: String,
        /// The command that makes it anew.
        remedy: String,
    },
    /// Not to be had.
    Absent {
        /// Why.
        why: String,
        /// The command that makes it.
        remedy: String,
    },
}

impl<T> Section<T> {
    /// The record, if there is one.
    pub fn record(&self) -> Option<&T> {
        match self {
            Section::Fresh { record } | Section::Stale { record, .. } => Some(record),
            Section::Absent { .. } => None,
        }
    }

    /// Why it is not as it should be, and the command that mends it.
    pub fn complaint(&self) -> Option<(&str, &str)> {
        match self {
            Section::Fresh { .. } => None,
            Section::Stale { why, remedy, .. } | Section::Absent { why, remedy } => Some((why, remedy)),
        }
    }
}

/// What is known of one edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The edition.
    pub edition: Edition,
    /// Sizes beside originals, targets and goals.
    pub sizes: Section<Comparison>,
    /// Baselines, and what the guard found.
    pub check: Section<check::report::Report>,
    /// A stack of these images that was asked.
    pub test: Section<Stack>,
    /// Whether they answer as the originals.
    pub parity: Section<Parity>,
    /// What is in the optimized images, in the manifest's order.
    pub images: Vec<Image>,
}

/// What is in an optimized image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// The service.
    pub service: String,
    /// Its contents; `None` where nobody looked into it yet.
    pub inside: Option<Inside>,
}

/// The part of an image's contents that reports show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inside {
    /// Unpacked bytes: the sum of owners and waste.
    pub bytes: Bytes,
    /// Who brought them, largest first.
    pub owners: Vec<OwnerBytes>,
    /// What a later layer hides.
    pub waste: Bytes,
    /// What could go.
    pub opportunities: Vec<Opportunity>,
    /// What an attacker finds.
    pub surface: Surface,
}

/// Someone's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerBytes {
    /// What kind of owner.
    pub kind: OwnerKind,
    /// Name and version.
    pub label: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// A promise beside what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The promise.
    pub benefit: Benefit,
    /// What came of it; `None` where it was not measured here: then there is no ratio.
    pub outcome: Option<Outcome>,
}

/// What came of a promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Percent less than the originals: of medians, where several were taken.
    pub less: f64,
    /// From the worst pair to the best (largest optimized against smallest original, and the other way); equal where there is
    /// one of each.
    pub between: (f64, f64),
    /// Whether the ranges overlap: then no difference is shown.
    pub overlap: bool,
    /// How many samples of each variant; `None` where nothing was sampled.
    pub runs: Option<usize>,
}

impl Outcome {
    /// Whether it reaches so many percent less.
    pub fn reaches(&self, percent: f64) -> bool {
        !self.overlap && self.less >= percent
    }
}

/// One change of the lock of sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The commit's ID.
    pub commit: String,
    /// Its day.
    pub day: String,
    /// Its first line.
    pub subject: String,
    /// Rows that changed.
    pub rows: Vec<Accepted>,
}

/// A row of the lock that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The service.
    pub service: String,
    /// The edition, as the lock names it.
    pub edition: String,
    /// What stood there; `None` for a new row.
    pub before: Option<Weights>,
    /// What stands there since; `None` where it was taken out.
    pub after: Option<Weights>,
}
