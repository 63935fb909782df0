//! The record of measurements: samples of both variants and how they compare. Tables and reports are made from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::series::{Comparison, Series};
use model::edition::Edition;
use model::quantity::{Quantity, Unit};
use model::variant::Variant;

/// Version of the record's format. Schema 1 had pulls at a limited rate.
pub const SCHEMA: u32 = 2;

/// A subject, a quantity, and a value in the quantity's unit.
pub(crate) type Sample = (String, Quantity, u64);

/// One quantity of one subject in both variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureEntry {
    /// A service, [`WHOLE`](model::bound::WHOLE), [`XTASK`](model::bound::XTASK), or `LOAD/STEP`.
    pub subject: String,
    /// What was measured.
    pub quantity: Quantity,
    /// The unit of the samples.
    pub unit: Unit,
    /// Of the originals; empty where they are not built.
    pub original: Series,
    /// Of the optimized images.
    pub optimized: Series,
    /// How both compare; `None` where a side is missing.
    pub comparison: Option<Comparison>,
    /// What it was measured from, and how.
    pub of: MadeFrom,
}

/// Everything that a figure depends on; when one of these changes, the figure is stale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The edition of the images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: String,
    /// IDs of the original images by service, where they are built.
    pub original: BTreeMap<String, String>,
    /// IDs of the optimized images by service.
    pub optimized: BTreeMap<String, String>,
    /// Whether originals stand on stand-ins for upstream images.
    pub stand_in: bool,
    /// Requested samples of each variant.
    pub runs: u32,
    /// Seconds between the first healthy answer and idle memory.
    pub settle: u64,
    /// The machine.
    pub machine: Machine,
    /// The commit that was checked out, with `-dirty` where files differed from it; `None` outside of git.
    pub commit: Option<String>,
    /// Time of the first sample, RFC 3339.
    pub at: String,
    /// System load (1 minute) at the start of each step, in hundredths: smallest and largest.
    pub load: (u64, u64),
}

/// The machine that a figure was measured on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores available to this process.
    pub cores: usize,
    /// The engine's version.
    pub engine: String,
    /// The engine's image store: `classic` or `containerd`.
    pub store: String,
    /// The kernel's release.
    pub kernel: String,
}

/// Something that was requested and could not be measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// A service, or [`WHOLE`](model::bound::WHOLE).
    pub subject: String,
    /// Which part.
    pub what: String,
    /// Why, and how to change that.
    pub reason: String,
}

/// The latest figures: a run replaces those it measures and keeps the rest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureRecord {
    /// Version of this format.
    pub schema: u32,
    /// Whether the last run finished.
    pub complete: bool,
    /// What the last run left out.
    pub left_out: Vec<LeftOut>,
    /// Figures, by edition, tag, subject and quantity.
    pub entries: Vec<MeasureEntry>,
}

impl Default for MeasureRecord {
    fn default() -> MeasureRecord {
        MeasureRecord { schema: SCHEMA, complete: false, left_out: Vec::new(), entries: Vec::new() }
    }
}

impl MeasureRecord {
    /// The entry of a figure, stale or not.
    pub fn find(
        &self,
        edition: Edition,
        tag: &str,
        subject: &str,
        quantity: Quantity,
    ) -> Option<&MeasureEntry> {
        self.entries.iter().find(|entry| entry.is_of(edition, tag, subject, quantity))
    }

    /// Adds a sample. `fresh`: it is the run's first of this figure and replaces the entry of an earlier run.
    pub fn add(
        &mut self,
        subject: &str,
        quantity: Quantity,
        variant: Variant,
        sample: u64,
        of: &MadeFrom,
        fresh: bool,
    ) {
        let is_it = |entry: &MeasureEntry| entry.is_of(of.edition, &of.tag, subject, quantity);
        if fresh {
            self.entries.retain(|entry| !is_it(entry));
        }
        let index = self.entries.iter().position(is_it).unwrap_or_else(|| {
            self.entries.push(MeasureEntry {
                subject: subject.to_owned(),
                quantity,
                unit: quantity.unit(),
                original: Series::default(),
                optimized: Series::default(),
                comparison: None,
                of: of.clone(),
            });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.of.load = (entry.of.load.0.min(of.load.0), entry.of.load.1.max(of.load.1));
        match variant {
            Variant::Original => entry.original.push(sample),
            Variant::Optimized => entry.optimized.push(sample),
        }
        entry.comparison = Comparison::of(&entry.original, &entry.optimized);
    }
}

impl MeasureEntry {
    fn is_of(&self, edition: Edition, tag: &str, subject: &str, quantity: Quantity) -> bool {
        self.of.edition == edition
            && self.of.tag == tag
            && self.subject == subject
            && self.quantity == quantity
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn made(load: u64) -> MadeFrom {
        MadeFrom {
            edition: Edition::named("simple"),
            tag: "latest".into(),
            original: BTreeMap::new(),
            optimized: BTreeMap::new(),
            stand_in: true,
            runs: 2,
            settle: 5,
            machine: Machine::default(),
            commit: None,
            at: "2026-01-01T00:00:00Z".into(),
            load: (load, load),
        }
    }

    #[test]
    fn a_run_replaces_the_figures_it_measures_and_keeps_the_rest() {
        let mut record = MeasureRecord::default();
        record.add("a", Quantity::Start, Variant::Original, 50, &made(100), true);
        record.add("a", Quantity::Start, Variant::Optimized, 5, &made(300), false);
        record.add("a", Quantity::Pull, Variant::Original, 7, &made(100), true);
        let entry = record.find(Edition::named("simple"), "latest", "a", Quantity::Start).unwrap();
        assert_eq!((entry.comparison.unwrap().ratio, entry.of.load), (0.1, (100, 300)));
        record.add("a", Quantity::Start, Variant::Original, 60, &made(200), true);
        let entry = record.find(Edition::named("simple"), "latest", "a", Quantity::Start).unwrap();
        assert_eq!((entry.original.median(), entry.optimized.count(), entry.comparison), (Some(60), 0, None));
        assert!(record.find(Edition::named("simple"), "latest", "a", Quantity::Pull).is_some());
        assert!(record.find(Edition::named("community"), "latest", "a", Quantity::Pull).is_none());
    }

    #[test]
    fn a_record_can_be_read_back() {
        let mut record = MeasureRecord::default();
        record.add("a", Quantity::PullBytes, Variant::Original, 50, &made(100), true);
        record.add("a", Quantity::PullBytes, Variant::Optimized, 5, &made(100), false);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(
            "\"quantity\":\"pull-bytes\",\"unit\":\"bytes\",\"original\":{\"samples\":[50],\"median\":50,"
        ));
        assert_eq!(serde_json::from_str::<MeasureRecord>(&text).unwrap(), record);
    }
}
