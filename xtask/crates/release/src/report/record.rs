//! Everything the report page shows, gathered from saved records. Renderers are pure functions of it.

use serde::{Deserialize, Serialize};

use build::comparison::Comparison;
use contents::opportunity::Opportunity;
use contents::owner::OwnerKind;
use contents::record::Surface;
use contents::use_shares::UsedBytes;
use engine::provenance::Commit;
use measure::record::MeasureRecord;
use model::baseline::Weights;
use model::benefit::Benefit;
use model::bytes::Bytes;
use model::edition::Edition;
use stack::probes::report::{ParityReport, StackReport};

/// The current schema version of [`ReportPage`].
pub const SCHEMA: u32 = 1;

/// The content of the report page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportPage {
    /// Schema version.
    pub schema: u32,
    /// The project's name.
    pub project: String,
    /// The tag of the images, without edition and variant.
    pub tag: String,
    /// When the report was made, RFC 3339.
    pub at: String,
    /// The checked-out commit; `None` outside of git.
    pub commit: Option<Commit>,
    /// The editions that have at least one record.
    pub editions: Vec<EditionReport>,
    /// Promised benefits and their measurements.
    pub benefits: Vec<BenefitReport>,
    /// Measurements.
    pub measured: ReportSection<MeasureRecord>,
    /// Changes of the size lock, newest first; `None` outside of git.
    pub history: Option<Vec<LockChange>>,
}

/// A record and whether it is up to date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum ReportSection<T> {
    /// Made from what is checked out.
    Fresh {
        /// The record.
        record: T,
    },
    /// Made from something else; shown with a notice.
    Stale {
        /// The record.
        record: T,
        /// What changed since.
        why: String,
        /// The command that makes it again.
        remedy: String,
    },
    /// Missing or unusable.
    Absent {
        /// The reason.
        why: String,
        /// The command that makes it.
        remedy: String,
    },
    /// There is nothing to record, such as parity without originals.
    NotApplicable,
}

impl<T> ReportSection<T> {
    /// The record, fresh or stale.
    pub fn record(&self) -> Option<&T> {
        match self {
            ReportSection::Fresh { record } | ReportSection::Stale { record, .. } => Some(record),
            ReportSection::Absent { .. } | ReportSection::NotApplicable => None,
        }
    }

    /// Why the record is stale or missing, and the command that makes it again.
    pub fn problem(&self) -> Option<(&str, &str)> {
        match self {
            ReportSection::Fresh { .. } | ReportSection::NotApplicable => None,
            ReportSection::Stale { why, remedy, .. } | ReportSection::Absent { why, remedy } => {
                Some((why, remedy))
            }
        }
    }
}

/// The records of one edition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditionReport {
    /// The edition.
    pub edition: Edition,
    /// Sizes compared with originals, targets and goals.
    pub sizes: ReportSection<Comparison>,
    /// Image checks and baselines.
    pub check: ReportSection<check::report::CheckReport>,
    /// Probes of a throwaway stack.
    pub test: ReportSection<StackReport>,
    /// Answers compared with those of the originals.
    pub parity: ReportSection<ParityReport>,
    /// Contents of the optimized images, in the manifest's order.
    pub images: Vec<ImageReport>,
}

/// An optimized image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReport {
    /// The service.
    pub service: String,
    /// The image's contents; `None` where it has not been analyzed.
    pub inside: Option<ImageContents>,
}

/// The part of an image's analysis that the report shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageContents {
    /// Unpacked bytes: owners plus waste.
    pub bytes: Bytes,
    /// Bytes by owner, largest first.
    pub owners: Vec<OwnerBytes>,
    /// Bytes hidden by later layers.
    pub waste: Bytes,
    /// How much of it was opened during `trace`; `None` if this image was not traced.
    #[serde(default)]
    pub used: Option<UsedBytes>,
    /// Opportunities to shrink the image.
    pub opportunities: Vec<Opportunity>,
    /// The attack surface.
    pub surface: Surface,
}

/// The bytes of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerBytes {
    /// The kind of owner.
    pub kind: OwnerKind,
    /// Name and version.
    pub label: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
    /// Bytes of its files that were opened during `trace`; `None` if the image was not traced.
    #[serde(default)]
    pub opened: Option<Bytes>,
}

/// A promised benefit and its measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenefitReport {
    /// The promise.
    pub benefit: Benefit,
    /// The measurement; `None` where it was not measured on this machine.
    pub outcome: Option<BenefitOutcome>,
}

/// A measured reduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenefitOutcome {
    /// Percent less than the originals; of medians, where there are several samples.
    pub less: f64,
    /// The reduction of the worst pair (largest optimized, smallest original) and of the best; equal for one sample each.
    pub between: (f64, f64),
    /// Whether the ranges overlap: then there is no difference.
    pub overlap: bool,
    /// Samples per variant; `None` for figures that are not sampled.
    pub runs: Option<usize>,
}

impl BenefitOutcome {
    /// Whether the reduction is at least this many percent.
    pub fn reaches(&self, percent: f64) -> bool {
        !self.overlap && self.less >= percent
    }
}

/// A commit that changed the size lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockChange {
    /// The commit's ID.
    pub commit: String,
    /// The author date, `2026-01-31`.
    pub day: String,
    /// The first line of the message.
    pub subject: String,
    /// The rows that changed.
    pub rows: Vec<LockRowChange>,
}

/// A changed row of the size lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRowChange {
    /// The service.
    pub service: String,
    /// The edition, as the lock names it.
    pub edition: String,
    /// The size before; `None` for a new row.
    pub before: Option<Weights>,
    /// The size since; `None` for a removed row.
    pub after: Option<Weights>,
}
