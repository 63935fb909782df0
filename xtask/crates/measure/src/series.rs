//! Samples, and the comparison of two series.

use serde::{Deserialize, Serialize};

/// The samples of one variant, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Samples", into = "Summary")]
pub struct Series(Vec<u64>);

#[derive(Deserialize)]
struct Samples {
    samples: Vec<u64>,
}

/// The JSON form of a series.
#[derive(Serialize)]
struct Summary {
    samples: Vec<u64>,
    median: Option<u64>,
    min: Option<u64>,
    max: Option<u64>,
}

impl From<Samples> for Series {
    fn from(samples: Samples) -> Series {
        Series(samples.samples)
    }
}

impl From<Series> for Summary {
    fn from(series: Series) -> Summary {
        let (median, min, max) = (series.median(), series.min(), series.max());
        Summary { samples: series.0, median, min, max }
    }
}

impl Series {
    /// A series of these samples.
    pub fn new(samples: Vec<u64>) -> Series {
        Series(samples)
    }

    /// Adds a sample.
    pub fn push(&mut self, sample: u64) {
        self.0.push(sample);
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The median; of an even number the mean of the middle two, rounded down. `None` if there are no samples.
    pub fn median(&self) -> Option<u64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(sorted[middle]),
            _ => Some(sorted[middle - 1].midpoint(sorted[middle])),
        }
    }

    /// The smallest.
    pub fn min(&self) -> Option<u64> {
        self.0.iter().min().copied()
    }

    /// The largest.
    pub fn max(&self) -> Option<u64> {
        self.0.iter().max().copied()
    }
}

/// Originals against optimized images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The optimized median divided by the original's.
    pub ratio: f64,
    /// Whether the ranges from minimum to maximum overlap: then no difference is shown, whatever the medians are.
    pub overlap: bool,
}

impl Comparison {
    /// Compares two series; `None` if one is empty or the original's median is 0.
    pub fn of(original: &Series, optimized: &Series) -> Option<Comparison> {
        let (before, after) = (original.median()?, optimized.median()?);
        let apart = optimized.max()? < original.min()? || original.max()? < optimized.min()?;
        (before > 0).then(|| Comparison { ratio: after as f64 / before as f64, overlap: !apart })
    }

    /// Percent saved by the optimized image; negative if it needs more.
    pub fn saved_percent(self) -> f64 {
        (1.0 - self.ratio) * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[u64]) -> Series {
        Series::new(samples.to_vec())
    }

    #[test]
    fn the_median_of_any_number_of_samples() {
        assert_eq!(series(&[]).median(), None);
        assert_eq!(series(&[7]).median(), Some(7));
        assert_eq!(series(&[9, 1, 5]).median(), Some(5));
        assert_eq!(series(&[9, 1, 5, 6]).median(), Some(5));
        assert_eq!(series(&[u64::MAX, u64::MAX]).median(), Some(u64::MAX));
    }

    #[test]
    fn overlapping_ranges_show_no_difference() {
        let compare = |a: &[u64], b: &[u64]| Comparison::of(&series(a), &series(b));
        let apart = compare(&[100, 110, 90], &[10, 30, 20]).unwrap();
        assert_eq!((apart.ratio, apart.overlap, apart.saved_percent()), (0.2, false, 80.0));
        assert!(compare(&[100, 90], &[90, 10]).unwrap().overlap);
        assert!(compare(&[10, 200], &[100, 100]).unwrap().overlap, "one range within the other");
        assert!(!compare(&[10], &[100, 90]).unwrap().overlap, "worse is a difference too");
        for (original, optimized) in [(&[][..], &[1][..]), (&[1], &[]), (&[0], &[1])] {
            assert_eq!(compare(original, optimized), None);
        }
    }
}
