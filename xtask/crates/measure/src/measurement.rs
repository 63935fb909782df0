//! What measuring came to: samples of both variants, and what they show. The record that tables and reports are made from.

use serde::{Deserialize, Serialize};

use crate::series::{Comparison, Series};
use model::edition::Edition;
use model::quantity::{Quantity, Unit};
use model::variant::Variant;

/// Version of the record's form.
pub const SCHEMA: u32 = 1;

/// One quantity of one subject in both variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// A service's name, or [`WHOLE`].
    pub subject: String,
    /// What was measured.
    pub quantity: Quantity,
    /// What samples are counted in.
    pub unit: Unit,
    /// Of the originals; empty where they are not built.
    pub original: Series,
    /// Of the optimized images.
    pub optimized: Series,
    /// What both show; `None` where a side is missing.
    pub comparison: Option<Comparison>,
    /// What it was measured on, and how.
    pub of: MadeFrom,
}

/// The subject of what was measured of all services together.
pub const WHOLE: &str = "stack";

/// Everything that a figure depends on: with another of these it is stale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The edition of the images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: String,
    /// IDs of the original images by service; none where they are not built.
    pub original: std::collections::BTreeMap<String, String>,
    /// IDs of the optimized images by service.
    pub optimized: std::collections::BTreeMap<String, String>,
    /// Whether originals stand on stand-ins for upstream images.
    pub stand_in: bool,
    /// How many samples of each variant were asked for.
    pub runs: u32,
    /// Bits in a second of the line, where it is throttled.
    pub throttle: Option<u64>,
    /// Seconds between the first healthy answer and idle memory.
    pub settle: u64,
    /// Where it was measured.
    pub machine: Machine,
    /// The commit that was checked out, with `-dirty` where files differed from it; `None` outside of git.
    pub commit: Option<String>,
    /// When the first sample was taken, RFC 3339.
    pub at: String,
    /// Load of the last minute when a step began, in hundredths: the least and the most of this entry's samples.
    pub load: (u64, u64),
}

/// A machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Version of the engine.
    pub engine: String,
    /// How it stores images: `classic` or `containerd`.
    pub store: String,
    /// The kernel's release.
    pub kernel: String,
}

/// Something that was asked for and not measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// A service's name, or [`WHOLE`].
    pub subject: String,
    /// What of it, in words.
    pub what: String,
    /// Why, and what to do about it.
    pub reason: String,
}

/// All that was measured last: what a run does not measure anew stays from earlier ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form.
    pub schema: u32,
    /// Whether the last run measured all that it was to.
    pub complete: bool,
    /// What the last run left out.
    pub left_out: Vec<LeftOut>,
    /// Figures, by edition, tag, subject and quantity.
    pub entries: Vec<Entry>,
}

impl Default for Record {
    fn default() -> Record {
        Record { schema: SCHEMA, complete: false, left_out: Vec::new(), entries: Vec::new() }
    }
}

impl Record {
    /// The entry of a figure, whatever it was made from.
    pub fn find(&self, edition: Edition, tag: &str, subject: &str, quantity: Quantity) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_of(edition, tag, subject, quantity))
    }

    /// Adds a sample. With `fresh`, an entry that is there is of another run, and begun anew.
    pub fn add(
        &mut self,
        subject: &str,
        quantity: Quantity,
        variant: Variant,
        sample: u64,
        of: &MadeFrom,
        fresh: bool,
    ) {
        let is_it = |entry: &Entry| entry.is_of(of.edition, &of.tag, subject, quantity);
        if fresh {
            self.entries.retain(|entry| !is_it(entry));
        }
        let index = self.entries.iter().position(is_it).unwrap_or_else(|| {
            self.entries.push(Entry {
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

impl Entry {
    fn is_of(&self, edition: Edition, tag: &str, subject: &str, quantity: Quantity) -> bool {
        self.of.edition == edition
            && self.of.tag == tag
            && self.subject == subject
            && self.quantity == quantity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(load: u64) -> MadeFrom {
        MadeFrom {
            edition: Edition::Simple,
            tag: "latest".into(),
            original: [("a".to_owned(), "sha256:1".to_owned())].into(),
            optimized: [("a".to_owned(), "sha256:2".to_owned())].into(),
            stand_in: false,
            runs: 2,
            throttle: None,
            settle: 5,
            machine: Machine::default(),
            commit: None,
            at: "2026-01-01T00:00:00Z".into(),
            load: (load, load),
        }
    }

    #[test]
    fn a_run_replaces_what_it_measures_and_keeps_the_rest() {
        let mut record = Record::default();
        record.add("a", Quantity::Start, Variant::Original, 50, &made(100), true);
        record.add("a", Quantity::Start, Variant::Optimized, 5, &made(300), false);
        record.add("a", Quantity::Pull, Variant::Original, 7, &made(100), true);
        let entry = record.find(Edition::Simple, "latest", "a", Quantity::Start).unwrap();
        assert_eq!((entry.comparison.unwrap().ratio, entry.of.load), (0.1, (100, 300)));
        record.add("a", Quantity::Start, Variant::Original, 60, &made(200), true);
        let entry = record.find(Edition::Simple, "latest", "a", Quantity::Start).unwrap();
        assert_eq!((entry.original.median(), entry.optimized.count(), entry.comparison), (Some(60), 0, None));
        assert!(record.find(Edition::Simple, "latest", "a", Quantity::Pull).is_some());
        assert!(record.find(Edition::Community, "latest", "a", Quantity::Pull).is_none());
    }

    #[test]
    fn a_record_survives_its_own_form() {
        let mut record = Record::default();
        record.add("a", Quantity::PullBytes, Variant::Original, 50, &made(100), true);
        record.add("a", Quantity::PullBytes, Variant::Optimized, 5, &made(100), false);
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(
            "\"quantity\":\"pull-bytes\",\"unit\":\"bytes\",\"original\":{\"samples\":[50],\"median\":50,"
        ));
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}
