//! The record of `check`: what every renderer reads, and what later reports find in `target/xtask/check.json`.

use serde::{Deserialize, Serialize};

use super::baseline::{Drift, Weights};
use super::bytes::Bytes;
use super::comparison::Verdict;
use super::edition::Edition;
use super::fleet::Fleet;

/// Everything that was looked at, and everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The tag looked at, without the variant's suffix.
    pub tag: String,
    /// The editions looked at.
    pub editions: Vec<Edition>,
    /// One row an image, in the manifest's order.
    pub images: Vec<Row>,
    /// What must not be.
    pub breaches: Vec<Finding>,
    /// What a person should know, and what breaks nothing.
    pub notes: Vec<Finding>,
    /// Figures of all images together, an edition each; only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<Fleet>,
}

/// One image's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The service.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// Its reference.
    pub image: String,
    /// What was measured; `None` where it is not built.
    pub measured: Option<Measured>,
    /// What the lock holds for it.
    pub baseline: Option<Weights>,
    /// The guide's target.
    pub target: Option<Bytes>,
    /// Our goal.
    pub goal: Option<Bytes>,
    /// How it stands against both.
    pub verdict: Verdict,
    /// How its own layers stand against the baseline.
    pub own: Option<Drift>,
    /// How the layers below them do.
    pub base: Option<Drift>,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its ID.
    pub id: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Its unpacked bytes.
    pub weights: Weights,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No image.
    Missing,
    /// The guide's target, or a goal of ours.
    Target,
    /// The committed baseline.
    Baseline,
    /// What editions are declared to add.
    Edition,
    /// Something that was pruned and is needed.
    Pruned,
    /// A secret in a layer or in the image's configuration.
    Secret,
    /// Who the image runs as.
    User,
}

impl Kind {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Missing => "not built",
            Kind::Target => "size",
            Kind::Baseline => "baseline",
            Kind::Edition => "edition",
            Kind::Pruned => "pruned too far",
            Kind::Secret => "secret",
            Kind::User => "user",
        }
    }
}

/// Something found, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// `SERVICE EDITION`, or a file.
    pub about: String,
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Where in the repository, as far as there is a place.
    pub place: Option<Place>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Relative to the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
}
