//! Comparing optimized images with their originals, size targets and goals.

pub mod measure;
pub mod render;

use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use model::bytes::Bytes;
use model::edition::Edition;

/// Sizes of one edition's images with their originals, targets and goals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The version of this record's format; incremented when a field changes its meaning.
    pub schema: u32,
    /// The edition compared.
    pub edition: Edition,
    /// The tag compared, without the variant's suffix.
    pub tag: String,
    /// The platform, if one of several was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// One row per service, in the manifest's order.
    pub services: Vec<ComparisonRow>,
    /// Sums over the services with both images built.
    pub total: Total,
    /// Bytes of the optimized images on disk, shared layers counted once; `None` if none is built.
    pub unique_bytes: Option<Bytes>,
    /// Figures of all images together, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
}

impl Comparison {
    /// Whether any service has an original to compare with.
    pub fn has_originals(&self) -> bool {
        self.services.iter().any(|row| row.original != Original::None)
    }
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// The service's name.
    pub service: String,
    /// The original.
    pub original: Original,
    /// The optimized image, or the only one of a service with one build; `None` if it is not built.
    pub optimized: Option<Measured>,
    /// The accepted size in the lock, of a service with one build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Bytes>,
    /// The size target.
    pub target: Option<Bytes>,
    /// The project's own size goal.
    pub goal: Option<Bytes>,
    /// Original minus optimized size; `None` unless both are built.
    pub saved: Option<Bytes>,
    /// The same in percent of the original.
    pub saved_percent: Option<f64>,
    /// The optimized image against target and goal.
    pub verdict: Verdict,
}

/// A measured image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its reference.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// Uncompressed bytes.
    pub bytes: Bytes,
}

/// Where the original's size comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Original {
    /// Built on this machine.
    Built {
        /// The measured image.
        #[serde(flatten)]
        measured: Measured,
        /// Whether it was built on stand-ins instead of the upstream bases.
        stand_in: bool,
    },
    /// Not built: the guide's figure.
    Guide {
        /// The size in guide.md.
        bytes: Bytes,
    },
    /// Neither built nor in the guide.
    Missing,
    /// The service has one build.
    None,
}

impl Original {
    /// The size of an original built on this machine.
    pub fn built(&self) -> Option<Bytes> {
        match self {
            Original::Built { measured, .. } => Some(measured.bytes),
            _ => None,
        }
    }

    /// The size from either source.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Original::Built { measured, .. } => Some(measured.bytes),
            Original::Guide { bytes } => Some(*bytes),
            Original::Missing | Original::None => None,
        }
    }
}

/// The verdict on an optimized image's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Within the goal.
    Goal,
    /// Within the guide's target, above the goal if there is one.
    Target,
    /// Above the guide's target.
    OverTarget,
    /// Above the goal; there is no target.
    OverGoal,
    /// Neither target nor goal.
    Unjudged,
    /// The image is not built.
    Missing,
}

impl Verdict {
    /// Compares a size with target and goal; `None` is a missing image.
    pub fn of(bytes: Option<Bytes>, target: Option<Bytes>, goal: Option<Bytes>) -> Verdict {
        let Some(bytes) = bytes else {
            return Verdict::Missing;
        };
        match (target, goal) {
            (Some(target), _) if bytes > target => Verdict::OverTarget,
            (_, Some(goal)) if bytes <= goal => Verdict::Goal,
            (Some(_), _) => Verdict::Target,
            (None, Some(_)) => Verdict::OverGoal,
            (None, None) => Verdict::Unjudged,
        }
    }

    /// The verdict in tables.
    pub fn label(self) -> &'static str {
        match self {
            Verdict::Goal => "goal met",
            Verdict::Target => "target met",
            Verdict::OverTarget => "ABOVE TARGET",
            Verdict::OverGoal => "ABOVE GOAL",
            Verdict::Unjudged => "no target",
            Verdict::Missing => "not built",
        }
    }

    /// Whether the goal is missed while the target is met.
    pub fn is_above_goal(self, goal: Option<Bytes>) -> bool {
        self == Verdict::Target && goal.is_some()
    }

    /// Whether target or goal is missed, or the image is missing.
    pub fn is_breach(self) -> bool {
        matches!(self, Verdict::OverTarget | Verdict::OverGoal | Verdict::Missing)
    }
}

/// Sums over the services with both images built.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// The number of services included.
    pub services: usize,
    /// Services left out because an image is not built.
    pub left_out: Vec<String>,
    /// Total size of the originals.
    pub original: Bytes,
    /// Total size of the optimized images.
    pub optimized: Bytes,
    /// Sum of the targets; `None` if a service has none.
    pub target: Option<Bytes>,
    /// Sum of the goals; `None` if a service has none.
    pub goal: Option<Bytes>,
    /// Originals minus optimized images.
    pub saved: Bytes,
    /// The same in percent of the originals; `None` if no service is included.
    pub saved_percent: Option<f64>,
}

impl Total {
    /// Sums the rows with both images built and lists the others.
    pub fn of(rows: &[ComparisonRow]) -> Total {
        let mut total = Total { target: Some(Bytes(0)), goal: Some(Bytes(0)), ..Total::default() };
        let plus = |sum: Option<Bytes>, more: Option<Bytes>| Some(sum? + more?);
        for row in rows.iter().filter(|row| row.original != Original::None) {
            match (row.original.built(), &row.optimized) {
                (Some(original), Some(optimized)) => {
                    total.services += 1;
                    total.original = total.original + original;
                    total.optimized = total.optimized + optimized.bytes;
                    total.target = plus(total.target, row.target);
                    total.goal = plus(total.goal, row.goal);
                }
                _ => total.left_out.push(row.service.clone()),
            }
        }
        total.saved = total.original - total.optimized;
        total.saved_percent = total.optimized.saved_of(total.original);
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_does_not_count_as_zero_bytes() {
        assert_eq!(Verdict::of(None, Some(Bytes(9)), Some(Bytes(5))), Verdict::Missing);
    }

    #[test]
    fn the_target_takes_precedence_over_the_goal() {
        let judge = |bytes| Verdict::of(Some(Bytes(bytes)), Some(Bytes(10)), Some(Bytes(5)));
        assert_eq!((judge(5), judge(6), judge(10)), (Verdict::Goal, Verdict::Target, Verdict::Target));
        assert_eq!(judge(11), Verdict::OverTarget);
        assert_eq!(Verdict::of(Some(Bytes(6)), None, Some(Bytes(5))), Verdict::OverGoal);
        assert_eq!(Verdict::of(Some(Bytes(6)), None, None), Verdict::Unjudged);
    }
}
