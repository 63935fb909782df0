//! The record of a comparison: what every renderer of `compare` reads.

use serde::{Deserialize, Serialize};

use crate::fleet::Fleet;
use model::bytes::Bytes;
use model::edition::Edition;

/// Sizes of one edition's images beside their originals, targets and goals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The shape of this record in JSON; grows when a field changes its meaning.
    pub schema: u32,
    /// The edition compared.
    pub edition: Edition,
    /// The tag compared, without the variant's suffix.
    pub tag: String,
    /// One row a service, in the manifest's order.
    pub services: Vec<Row>,
    /// Sums over the rows whose both sides are built.
    pub total: Total,
    /// Bytes of the optimized images on disk, each shared layer counted once; `None` when none is built.
    pub unique_bytes: Option<Bytes>,
    /// Figures of all images together; only where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The service's name.
    pub service: String,
    /// The original.
    pub original: Original,
    /// The optimized image; `None` when it is not built.
    pub optimized: Option<Measured>,
    /// The guide's target.
    pub target: Option<Bytes>,
    /// Our goal.
    pub goal: Option<Bytes>,
    /// Bytes that the optimized image saves on the original; `None` when a side is not built.
    pub saved: Option<Bytes>,
    /// The same in percent of the original.
    pub saved_percent: Option<f64>,
    /// How the optimized image stands.
    pub verdict: Verdict,
}

/// An image that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The reference looked at.
    pub image: String,
    /// The image's ID.
    pub id: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
}

/// Where the original's size comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Original {
    /// Built here.
    Built {
        /// What was measured.
        #[serde(flatten)]
        measured: Measured,
        /// Whether it stands on stand-ins made from packages instead of the upstream bases.
        stand_in: bool,
    },
    /// The guide's figure: nothing was built.
    Guide {
        /// As guide.md says.
        bytes: Bytes,
    },
    /// Neither built nor in the guide.
    Missing,
}

impl Original {
    /// The size of what was built here; a figure of the guide's is none.
    pub fn built(&self) -> Option<Bytes> {
        match self {
            Original::Built { measured, .. } => Some(measured.bytes),
            _ => None,
        }
    }

    /// The size, wherever it comes from.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Original::Built { measured, .. } => Some(measured.bytes),
            Original::Guide { bytes } => Some(*bytes),
            Original::Missing => None,
        }
    }
}

/// How an optimized image stands against what was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Within our goal.
    Goal,
    /// Within the guide's target; above our goal, where there is one.
    Target,
    /// Above the guide's target.
    OverTarget,
    /// Above our goal, where the guide names no target.
    OverGoal,
    /// Nothing was promised.
    Unjudged,
    /// The image is not built.
    Missing,
}

impl Verdict {
    /// Judges a size; `None` is an image that is not there.
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

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Goal => "goal met",
            Verdict::Target => "target met",
            Verdict::OverTarget => "ABOVE TARGET",
            Verdict::OverGoal => "ABOVE GOAL",
            Verdict::Unjudged => "nothing promised",
            Verdict::Missing => "not built",
        }
    }

    /// Whether a goal of ours is missed while the guide's target is met.
    pub fn is_above_goal(self, goal: Option<Bytes>) -> bool {
        self == Verdict::Target && goal.is_some()
    }

    /// Whether what was promised is broken, or cannot be judged because the image is not there.
    pub fn is_breach(self) -> bool {
        matches!(self, Verdict::OverTarget | Verdict::OverGoal | Verdict::Missing)
    }
}

/// Sums over the services whose both sides are built.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
    /// How many services the sums hold.
    pub services: usize,
    /// Services left out, because a side is not built.
    pub left_out: Vec<String>,
    /// Sum of originals.
    pub original: Bytes,
    /// Sum of optimized images.
    pub optimized: Bytes,
    /// Sum of the guide's targets; `None` where one of the services has none.
    pub target: Option<Bytes>,
    /// Sum of our goals; `None` where one of the services has none.
    pub goal: Option<Bytes>,
    /// What is saved.
    pub saved: Bytes,
    /// In percent of the originals; `None` when nothing was summed.
    pub saved_percent: Option<f64>,
}

impl Total {
    /// Sums the rows that can be summed and names the others.
    pub fn of(rows: &[Row]) -> Total {
        let mut total = Total { target: Some(Bytes(0)), goal: Some(Bytes(0)), ..Total::default() };
        let plus = |sum: Option<Bytes>, more: Option<Bytes>| Some(sum? + more?);
        for row in rows {
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
    fn a_missing_image_is_missing_and_never_zero() {
        assert_eq!(Verdict::of(None, Some(Bytes(9)), Some(Bytes(5))), Verdict::Missing);
    }

    #[test]
    fn the_target_is_judged_before_the_goal() {
        let judge = |bytes| Verdict::of(Some(Bytes(bytes)), Some(Bytes(10)), Some(Bytes(5)));
        assert_eq!((judge(5), judge(6), judge(10)), (Verdict::Goal, Verdict::Target, Verdict::Target));
        assert_eq!(judge(11), Verdict::OverTarget);
        assert_eq!(Verdict::of(Some(Bytes(6)), None, Some(Bytes(5))), Verdict::OverGoal);
        assert_eq!(Verdict::of(Some(Bytes(6)), None, None), Verdict::Unjudged);
    }
}
