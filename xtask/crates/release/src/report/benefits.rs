//! Promised benefits and their measurements.

use crate::report::record::{BenefitOutcome, BenefitReport, EditionReport};
use build::comparison::Total;
use measure::record::{MeasureEntry, MeasureRecord};
use model::benefit::{Benefit, Figure};
use model::bound::WHOLE;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// One row per promise, without an outcome where the originals were not built or measured here: the guide's figure for an
/// original is not a measurement.
pub(super) fn rows(
    manifest: &Manifest,
    part: &EditionReport,
    measured: Option<&MeasureRecord>,
    tag: &Tag,
) -> Vec<BenefitReport> {
    let outcome = |figure| match figure {
        Figure::Size => of_sizes(&part.sizes.record()?.total),
        Figure::Measured(quantity) => {
            measured?.find(part.edition, tag.as_str(), WHOLE, quantity).and_then(of_entry)
        }
    };
    let row =
        |benefit: &Benefit| BenefitReport { outcome: outcome(benefit.figure), benefit: benefit.clone() };
    manifest.benefits.iter().map(row).collect()
}

/// `None` where an image or its original is not built.
fn of_sizes(total: &Total) -> Option<BenefitOutcome> {
    let less = total.saved_percent.filter(|_| total.left_out.is_empty())?;
    Some(BenefitOutcome { less, between: (less, less), overlap: false, runs: None })
}

fn of_entry(entry: &MeasureEntry) -> Option<BenefitOutcome> {
    let comparison = entry.comparison?;
    let less = |optimized: u64, original: u64| {
        (original > 0).then(|| (1.0 - optimized as f64 / original as f64) * 100.0)
    };
    let worst = less(entry.optimized.max()?, entry.original.min()?)?;
    let best = less(entry.optimized.min()?, entry.original.max()?)?;
    Some(BenefitOutcome {
        less: comparison.saved_percent(),
        between: (worst, best),
        overlap: comparison.overlap,
        runs: Some(entry.original.count().min(entry.optimized.count())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use measure::record::{Machine, MadeFrom};
    use model::edition::Edition;
    use model::quantity::Quantity;
    use model::variant::Variant;

    #[test]
    fn a_total_without_every_service_gives_no_ratio() {
        let total = Total { saved_percent: Some(90.0), ..Total::default() };
        assert_eq!(of_sizes(&total).map(|outcome| outcome.less), Some(90.0));
        assert_eq!(of_sizes(&Total { left_out: vec!["a".into()], ..total }), None);
    }

    #[test]
    fn ranges_give_the_worst_and_the_best_pair() {
        let of = MadeFrom {
            edition: Edition::named("simple"),
            tag: "latest".into(),
            original: Default::default(),
            optimized: Default::default(),
            stand_in: false,
            runs: 2,
            settle: 0,
            machine: Machine::default(),
            commit: None,
            at: String::new(),
            load: (0, 0),
        };
        let mut record = MeasureRecord::default();
        for (variant, sample) in [
            (Variant::Original, 100),
            (Variant::Original, 200),
            (Variant::Optimized, 10),
            (Variant::Optimized, 20),
        ] {
            record.add(WHOLE, Quantity::Start, variant, sample, &of, false);
        }
        let outcome = of_entry(&record.entries[0]).unwrap();
        assert_eq!((outcome.less, outcome.between, outcome.runs), (90.0, (80.0, 95.0), Some(2)));
        assert!(outcome.reaches(90.0) && !outcome.reaches(91.0));
        record.add(WHOLE, Quantity::Start, Variant::Optimized, 150, &of, false);
        let outcome = of_entry(&record.entries[0]).unwrap();
        assert!(outcome.overlap && !outcome.reaches(1.0), "overlapping ranges show no difference");
    }
}
