//! Opportunities that somebody knows and means: what an image could do without, and keeps for a reason.

use crate::baseline::{Drift, Step};
use crate::bytes::Bytes;
use crate::edition::Edition;
use crate::opportunity_kind::OpportunityKind;

/// What is declared of opportunities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// Smaller ones are not worth a look.
    pub least: Bytes,
    /// Those that are known.
    pub known: Vec<Known>,
}

impl Default for Meant {
    /// Half a megabyte, and none known.
    fn default() -> Meant {
        Meant { least: Bytes(500_000), known: Vec::new() }
    }
}

/// One that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What kind.
    pub kind: OpportunityKind,
    /// In the images of these services.
    pub services: Vec<String>,
    /// In these editions; none means all.
    pub editions: Vec<Edition>,
    /// So many bytes in each of them.
    pub bytes: Bytes,
    /// Why they stay.
    pub reason: String,
}

/// How an opportunity stands to what is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'m> {
    /// Not worth a look.
    Small,
    /// Known, and about as large as it was.
    Known(&'m Known),
    /// Known, and larger than it was by more than the step limit.
    Grown(&'m Known),
    /// Nobody knows it.
    New,
}

impl Known {
    /// Whether it speaks of an image.
    pub fn is_of(&self, service: &str, edition: Edition) -> bool {
        self.services.iter().any(|name| name == service)
            && (self.editions.is_empty() || self.editions.contains(&edition))
    }
}

impl Meant {
    /// Judges an opportunity of one image.
    pub fn judge(
        &self,
        service: &str,
        edition: Edition,
        kind: OpportunityKind,
        bytes: Bytes,
        step: &Step,
    ) -> Standing<'_> {
        if bytes < self.least {
            return Standing::Small;
        }
        let known = self.known.iter().find(|known| known.kind == kind && known.is_of(service, edition));
        match known {
            None => Standing::New,
            Some(known) if step.judge(bytes, known.bytes) == Drift::Grown => Standing::Grown(known),
            Some(known) => Standing::Known(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_stays_known_until_it_grows_beyond_the_step() {
        let known = Known {
            kind: OpportunityKind::Tests,
            services: vec!["a".into()],
            editions: vec![Edition::Community],
            bytes: Bytes(2_000_000),
            reason: "r".into(),
        };
        let meant = Meant { least: Bytes(500_000), known: vec![known.clone()] };
        let judge = |service, edition, kind, bytes| {
            let step = Step { percent: 1.0, bytes: Bytes(1_000_000) };
            match meant.judge(service, edition, kind, Bytes(bytes), &step) {
                Standing::Small => "small",
                Standing::Known(_) => "known",
                Standing::Grown(_) => "grown",
                Standing::New => "new",
            }
        };
        let tests = OpportunityKind::Tests;
        assert_eq!(judge("a", Edition::Community, tests, 499_999), "small");
        assert_eq!(judge("a", Edition::Community, tests, 3_000_000), "known");
        assert_eq!(judge("a", Edition::Community, tests, 3_000_001), "grown");
        assert_eq!(judge("a", Edition::Simple, tests, 2_000_000), "new");
        assert_eq!(judge("b", Edition::Community, tests, 2_000_000), "new");
        assert_eq!(judge("a", Edition::Community, OpportunityKind::Docs, 2_000_000), "new");
    }
}
