//! What to measure, resolved from the command line.

use std::time::Duration;

use model::edition::Edition;
use model::image_ref::Tag;
use model::load::Load;
use model::manifest::Service;

use crate::plan::{Part, Subject};

/// What to measure.
#[derive(Debug, Clone)]
pub struct MeasureRequest<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The edition of all images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: Tag,
    /// Samples of each variant.
    pub runs: u32,
    /// Which figures of services and stacks to take.
    pub parts: Vec<Part>,
    /// Whether to measure all services together.
    pub whole: bool,
    /// Whether to measure pulls and starts of single services. A stack gives figures of each service in any case.
    pub singles: bool,
    /// Loads to run on optimized images.
    pub loads: Vec<&'m Load>,
    /// Whether to measure what xtask itself costs.
    pub self_cost: bool,
    /// Time between the first healthy answer and the reading of idle memory.
    pub settle: Duration,
    /// How long a container or a stack may take to become healthy.
    pub deadline: Duration,
}

impl<'m> MeasureRequest<'m> {
    /// The services to measure one at a time.
    pub(crate) fn singles(&self) -> impl Iterator<Item = &'m Service> + '_ {
        self.services.iter().copied().filter(|_| self.singles)
    }

    /// The services of a subject.
    pub(crate) fn of(&self, subject: &Subject<'m>) -> Vec<&'m Service> {
        match subject {
            Subject::One(service) => vec![service],
            Subject::Whole => self.services.clone(),
        }
    }

    /// Whether any of these parts was requested.
    pub(crate) fn includes(&self, parts: &[Part]) -> bool {
        self.parts.iter().any(|part| parts.contains(part))
    }
}
