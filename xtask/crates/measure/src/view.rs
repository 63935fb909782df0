//! Measured figures as a table.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::record::{MeasureEntry, MeasureRecord};
use crate::series::{Comparison, Series};
use host::render::Render;
use host::table::{Align, Table};
use model::bound::WHOLE;
use model::bytes::Bytes;
use model::edition::Edition;
use model::quantity::{Quantity, Unit};

/// Figures of a record, to be shown.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct MeasureView<'a> {
    /// The record; JSON shows all of it.
    pub record: &'a MeasureRecord,
    /// The edition to show.
    #[serde(skip)]
    pub edition: Edition,
    /// The tag to show.
    #[serde(skip)]
    pub tag: &'a str,
    /// Services, in the order of the table; other subjects follow.
    #[serde(skip)]
    pub services: &'a [String],
    /// The figures to show.
    #[serde(skip)]
    pub figures: &'a BTreeSet<(String, Quantity)>,
}

impl Render for MeasureView<'_> {
    fn text(&self) -> String {
        let notes: String = notes(self).iter().map(|line| format!("{line}\n")).collect();
        table(self).text() + &notes
    }

    fn markdown(&self) -> String {
        let notes: Vec<String> = notes(self).iter().map(|line| format!("{line}\n")).collect();
        format!("{}\n{}", table(self).markdown(), notes.join("\n"))
    }
}

impl<'a> MeasureView<'a> {
    fn entries(&self) -> Vec<&'a MeasureEntry> {
        let position = |subject: &str| {
            let service = self.services.iter().position(|name| name == subject);
            service.unwrap_or(self.services.len() + usize::from(subject != WHOLE))
        };
        let find = |(subject, quantity): &(String, Quantity)| {
            self.record.find(self.edition, self.tag, subject, *quantity)
        };
        let mut entries: Vec<&MeasureEntry> = self.figures.iter().filter_map(find).collect();
        // Entries of one subject are sorted by quantity already, and keep that order.
        entries.sort_by_key(|entry| position(&entry.subject));
        entries
    }
}

fn table(view: &MeasureView<'_>) -> Table {
    let mut table = Table::new(&[
        ("service", Align::Left),
        ("", Align::Left),
        ("original", Align::Right),
        ("", Align::Left),
        ("optimized", Align::Right),
        ("", Align::Left),
        ("less", Align::Right),
        ("", Align::Left),
    ]);
    let mut last = String::new();
    for entry in view.entries().into_iter().cloned().chain(sums(view)) {
        let name = if entry.subject == last { String::new() } else { entry.subject.clone() };
        let (less, verdict) = verdict(&entry);
        table.row(vec![
            name,
            entry.quantity.words().to_owned(),
            median(&entry.original, entry.unit),
            range(&entry.original, entry.unit),
            median(&entry.optimized, entry.unit),
            range(&entry.optimized, entry.unit),
            less,
            verdict,
        ]);
        last = entry.subject;
    }
    table
}

/// Sums of single pulls, if every service has one of both variants.
fn sums(view: &MeasureView<'_>) -> Vec<MeasureEntry> {
    let count = view.services.len();
    let sum = |quantity| {
        let mut pulls = view.entries();
        pulls.retain(|entry| entry.quantity == quantity && entry.subject != WHOLE);
        let median = |series: fn(&MeasureEntry) -> &Series| {
            let sum = pulls.iter().map(|entry| series(entry).median()).sum::<Option<u64>>();
            sum.filter(|_| count > 1 && pulls.len() == count).map(|sum| Series::new(vec![sum]))
        };
        let (original, optimized) = (median(|entry| &entry.original)?, median(|entry| &entry.optimized)?);
        let comparison = Comparison::of(&original, &optimized);
        let subject = format!("sum of {count}");
        Some(MeasureEntry { subject, original, optimized, comparison, ..(*pulls.first()?).clone() })
    };
    [Quantity::PullBytes, Quantity::Pull].into_iter().filter_map(sum).collect()
}

fn median(series: &Series, unit: Unit) -> String {
    series.median().map_or_else(|| "–".to_owned(), |median| amount(median, unit))
}

fn range(series: &Series, unit: Unit) -> String {
    match (series.min(), series.max()) {
        (Some(min), Some(max)) if series.count() > 1 => {
            format!("({} to {})", amount(min, unit), amount(max, unit))
        }
        _ => String::new(),
    }
}

/// A value in a readable unit.
pub fn amount(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => Bytes(value).to_string(),
        Unit::Microseconds => time(value),
        Unit::PerSecond => format!("{value}/s"),
        Unit::Thousandths => format!("{:.2}", value as f64 / 1e3),
    }
}

/// Three significant digits.
fn time(microseconds: u64) -> String {
    let (value, unit) = match microseconds {
        0..1_000 => return format!("{microseconds} µs"),
        1_000..1_000_000 => (microseconds as f64 / 1e3, "ms"),
        _ => (microseconds as f64 / 1e6, "s"),
    };
    let decimals = match value {
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

fn verdict(entry: &MeasureEntry) -> (String, String) {
    match entry.comparison {
        None => (String::new(), String::new()),
        Some(comparison) if comparison.overlap && entry.original != entry.optimized => {
            (String::new(), "no difference shown".to_owned())
        }
        Some(comparison) if comparison.overlap => (String::new(), "equal".to_owned()),
        Some(comparison) if comparison.ratio > 1.0 => (less(comparison), "more".to_owned()),
        Some(comparison) => (less(comparison), format!("1/{}", times(1.0 / comparison.ratio))),
    }
}

/// Percent saved by the optimized image.
pub fn less(comparison: Comparison) -> String {
    format!("{:.1}%", comparison.saved_percent())
}

fn times(factor: f64) -> String {
    if factor < 10.0 { format!("{factor:.1}") } else { format!("{factor:.0}") }
}

fn notes(view: &MeasureView<'_>) -> Vec<String> {
    let entries: Vec<&MeasureEntry> = view.entries();
    let mut notes = Vec::new();
    let Some(first) = entries.first() else {
        return vec!["No figures.".to_owned()];
    };
    let machine = &first.of.machine;
    let loads = entries.iter().map(|entry| entry.of.load);
    let (least, most) =
        loads.fold((u64::MAX, 0), |(least, most), load| (least.min(load.0), most.max(load.1)));
    let edition = view.edition;
    let edition = if edition.is_none() { "Tag".to_owned() } else { format!("Edition {edition}, tag") };
    notes.push(format!(
        "{edition} {}. Median (minimum to maximum), runs: {}. {} cores, engine {} ({} store), system load {:.1} to {:.1}.",
        view.tag, first.of.runs, machine.cores, machine.engine, machine.store,
        least as f64 / 100.0, most as f64 / 100.0
    ));
    let has = |quantities: &[Quantity]| entries.iter().any(|entry| quantities.contains(&entry.quantity));
    if has(&[Quantity::PullBytes]) {
        notes.push("Pulls: from a loopback registry into an empty engine.".to_owned());
    }
    if has(&[Quantity::MemoryIdle, Quantity::MemoryAfter]) {
        notes.push(format!(
            "Memory: resident pages, shared ones counted once; idle: {} s after the first healthy answer; used: after the probes.",
            first.of.settle
        ));
    }
    if has(&[Quantity::ChargedIdle, Quantity::ChargedAfter]) {
        notes.push("Charged: memory of the control group without inactive file pages, as `docker stats` shows it; file pages are charged to the first reader.".to_owned());
    }
    if entries.iter().any(|entry| entry.of.stand_in && entry.original.count() > 0) {
        notes.push(
            "Originals were built on stand-ins from Debian packages, not on upstream images.".to_owned(),
        );
    }
    let short =
        |series: &Series, entry: &MeasureEntry| (series.count() as u32) < entry.of.runs && series.count() > 0;
    if entries.iter().any(|entry| short(&entry.original, entry) || short(&entry.optimized, entry)) {
        notes.push("Some figures have fewer samples than requested: their run did not finish.".to_owned());
    }
    let left_out = view.record.left_out.iter();
    notes.extend(left_out.map(|left| format!("Left out: {}, {}: {}", left.subject, left.what, left.reason)));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LeftOut;
    use crate::record::tests::made;
    use model::variant::Variant;

    /// A record of two services; one has no original.
    fn record() -> MeasureRecord {
        let mut record = MeasureRecord::default();
        let mut add = |name: &str, quantity, variant, samples: &[u64]| {
            samples.iter().for_each(|sample| record.add(name, quantity, variant, *sample, &made(150), false));
        };
        let both = Variant::ALL;
        for (quantity, samples) in [
            (Quantity::PullBytes, [[40_000_000, 40_000_000], [2_000_000, 2_000_000]]),
            (Quantity::Start, [[800_000, 600_000], [700_000, 500_000]]),
            (Quantity::Request, [[1, 1], [1, 1]]),
            (Quantity::MemoryIdle, [[10_000_000, 10_100_000], [20_000_000, 20_200_000]]),
        ] {
            both.iter()
                .zip(samples)
                .for_each(|(variant, samples)| add("alpha", quantity, *variant, &samples));
        }
        add("beta", Quantity::Start, Variant::Optimized, &[500]);
        record.left_out.push(LeftOut {
            subject: "beta".into(),
            what: "original".into(),
            reason: "not built".into(),
        });
        record
    }

    #[test]
    fn rows_without_a_difference_or_an_original() {
        let (record, services) = (record(), ["alpha".to_owned(), "beta".to_owned()]);
        let all = record.entries.iter().map(|entry| (entry.subject.clone(), entry.quantity));
        // Figures of an earlier run stay in the record and are not shown.
        let figures = all.filter(|(_, quantity)| *quantity != Quantity::Request).collect();
        let view = MeasureView {
            record: &record,
            edition: Edition::named("simple"),
            tag: "latest",
            services: &services,
            figures: &figures,
        };
        let text = view.text();
        let row = |words: &str| {
            let line = text.lines().find(|line| line.contains(words)).unwrap_or_default();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("pulled"), "alpha pulled 40MB (40MB to 40MB) 2MB (2MB to 2MB) 95.0% 1/20");
        assert!(row("start").ends_with("600 ms (500 ms to 700 ms) no difference shown"), "{text}");
        assert!(!text.contains("  request "), "{text}");
        assert!(row("memory, idle").ends_with("-100.0% more"), "{text}");
        assert_eq!(row("beta "), "beta start – 500 µs");
        for note in ["stand-ins", "load 1.5 to 1.5", "fewer samples", "Left out: beta, original"] {
            assert!(text.contains(note), "{note}: {text}");
        }
        // Only one of the two services has a pull, so there is no sum.
        assert!(!text.contains("sum of"), "{text}");
        assert!(view.markdown().starts_with("| service |"));
    }

    #[test]
    fn times_have_three_digits_and_a_fitting_unit() {
        for (value, text) in [
            (7, "7 µs"),
            (1_234, "1.23 ms"),
            (56_789, "56.8 ms"),
            (999_600, "1000 ms"),
            (1_500_000, "1.50 s"),
            (250_000_000, "250 s"),
        ] {
            assert_eq!(time(value), text);
        }
    }
}
