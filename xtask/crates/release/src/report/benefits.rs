//! Promises beside what came of them.

use crate::report::record::{Outcome, Part, Row};
use build::comparison::Comparison;
use measure::record::{MeasureEntry, MeasureRecord};
use model::benefit::Figure;
use model::bound::WHOLE;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// A row a promise. Where the originals were not built or measured here, there is no outcome: the guide's figure for an
/// original is no measurement.
pub(super) fn rows(
    manifest: &Manifest,
    part: &Part,
    measured: Option<&MeasureRecord>,
    tag: &Tag,
) -> Vec<Row> {
    let outcome = |figure| match figure {
        Figure::Size => part.sizes.record().and_then(of_sizes),
        Figure::Measured(quantity) => {
            measured?.find(part.edition, tag.as_str(), WHOLE, quantity).and_then(of_entry)
        }
    };
    let row = |benefit: &model::benefit::Benefit| Row {
        outcome: outcome(benefit.figure),
        benefit: benefit.clone(),
    };
    manifest.benefits.iter().map(row).collect()
}

fn of_sizes(comparison: &Comparison) -> Option<Outcome> {
    let all = comparison.services.iter().all(|row| row.original.built().is_some() && row.optimized.is_some());
    let less = comparison.total.saved_percent.filter(|_| all)?;
    Some(Outcome { less, between: (less, less), overlap: false, runs: None })
}

fn of_entry(entry: &MeasureEntry) -> Option<Outcome> {
    let comparison = entry.comparison?;
    let less = |optimized: u64, original: u64| {
        (original > 0).then(|| (1.0 - optimized as f64 / original as f64) * 100.0)
    };
    let worst = less(entry.optimized.max()?, entry.original.min()?)?;
    let best = less(entry.optimized.min()?, entry.original.max()?)?;
    Some(Outcome {
        less: comparison.saved_percent(),
        between: (worst, best),
        overlap: comparison.overlap,
        runs: Some(entry.original.count().min(entry.optimized.count())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use build::comparison;
    use build::comparison::{Original, Total, Verdict};
    use measure::record::{Machine, MadeFrom};
    use model::bytes::Bytes;
    use model::edition::Edition;
    use model::quantity::Quantity;
    use model::variant::Variant;

    fn row(original: Original) -> comparison::Row {
        let measured =
            |bytes| comparison::Measured { image: "i".into(), id: "d".into(), bytes: Bytes(bytes) };
        comparison::Row {
            service: "a".into(),
            original,
            optimized: Some(measured(10)),
            target: None,
            goal: None,
            saved: Some(Bytes(90)),
            saved_percent: Some(90.0),
            verdict: Verdict::Unjudged,
        }
    }

    fn comparison(original: Original) -> Comparison {
        let services = vec![row(original)];
        Comparison {
            schema: 1,
            edition: Edition::Simple,
            tag: "latest".into(),
            total: Total::of(&services),
            services,
            unique_bytes: None,
            fleet: None,
        }
    }

    #[test]
    fn the_guides_figure_for_an_original_makes_no_ratio() {
        let measured = comparison::Measured { image: "o".into(), id: "d".into(), bytes: Bytes(100) };
        let built = of_sizes(&comparison(Original::Built { measured, stand_in: false })).unwrap();
        assert_eq!((built.less, built.overlap), (90.0, false));
        assert_eq!(of_sizes(&comparison(Original::Guide { bytes: Bytes(100) })), None);
        assert_eq!(of_sizes(&comparison(Original::Missing)), None);
    }

    #[test]
    fn ranges_become_the_worst_and_the_best_pair() {
        let of = MadeFrom {
            edition: Edition::Simple,
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
        assert!(outcome.overlap && !outcome.reaches(1.0), "an overlap shows no difference");
    }
}
