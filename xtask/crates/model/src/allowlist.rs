//! The allowlist of opportunities: files an image could do without and keeps for a stated reason.

use crate::baseline::{Drift, StepLimit};
use crate::bytes::Bytes;
use crate::edition::Edition;
use crate::opportunity_kind::OpportunityKind;

/// The allowlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist {
    /// Smaller opportunities are ignored.
    pub min_size: Bytes,
    /// The allowed opportunities.
    pub entries: Vec<AllowedOpportunity>,
}

impl Default for Allowlist {
    /// Ignores opportunities below 500 kB and allows none.
    fn default() -> Allowlist {
        Allowlist { min_size: Bytes(500_000), entries: Vec::new() }
    }
}

/// An allowed opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedOpportunity {
    /// Its kind.
    pub kind: OpportunityKind,
    /// The services whose images have it.
    pub services: Vec<String>,
    /// The editions; empty means all.
    pub editions: Vec<Edition>,
    /// Its size in each image.
    pub bytes: Bytes,
    /// Why the files stay.
    pub reason: String,
}

/// An opportunity compared with the allowlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'m> {
    /// Below the minimum size.
    Small,
    /// Allowed.
    Allowed(&'m AllowedOpportunity),
    /// Allowed, but larger than declared by more than the step limit.
    Grown(&'m AllowedOpportunity),
    /// Not on the allowlist.
    New,
}

impl AllowedOpportunity {
    /// Whether it applies to an image.
    pub fn applies_to(&self, service: &str, edition: Edition) -> bool {
        self.services.iter().any(|name| name == service)
            && (self.editions.is_empty() || self.editions.contains(&edition))
    }
}

impl Allowlist {
    /// Compares an image's opportunity with the allowlist.
    pub fn judge(
        &self,
        service: &str,
        edition: Edition,
        kind: OpportunityKind,
        bytes: Bytes,
        limit: &StepLimit,
    ) -> Standing<'_> {
        if bytes < self.min_size {
            return Standing::Small;
        }
        match self.entries.iter().find(|entry| entry.kind == kind && entry.applies_to(service, edition)) {
            None => Standing::New,
            Some(entry) if limit.judge(bytes, entry.bytes) == Drift::Grown => Standing::Grown(entry),
            Some(entry) => Standing::Allowed(entry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opportunity_stays_allowed_until_it_exceeds_the_step_limit() {
        let entry = AllowedOpportunity {
            kind: OpportunityKind::Tests,
            services: vec!["a".into()],
            editions: vec![Edition::named("community")],
            bytes: Bytes(2_000_000),
            reason: "r".into(),
        };
        let allowlist = Allowlist { min_size: Bytes(500_000), entries: vec![entry] };
        let judge = |service, edition, kind, bytes| {
            let limit = StepLimit { percent: 1.0, bytes: Bytes(1_000_000) };
            match allowlist.judge(service, edition, kind, Bytes(bytes), &limit) {
                Standing::Small => "small",
                Standing::Allowed(_) => "allowed",
                Standing::Grown(_) => "grown",
                Standing::New => "new",
            }
        };
        let tests = OpportunityKind::Tests;
        assert_eq!(judge("a", Edition::named("community"), tests, 499_999), "small");
        assert_eq!(judge("a", Edition::named("community"), tests, 3_000_000), "allowed");
        assert_eq!(judge("a", Edition::named("community"), tests, 3_000_001), "grown");
        assert_eq!(judge("a", Edition::named("simple"), tests, 2_000_000), "new");
        assert_eq!(judge("b", Edition::named("community"), tests, 2_000_000), "new");
        assert_eq!(judge("a", Edition::named("community"), OpportunityKind::Docs, 2_000_000), "new");
    }
}
