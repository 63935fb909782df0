//! Measured figures as table, Markdown and JSON.

use std::collections::BTreeSet;

use crate::measurement::{Entry, Record, WHOLE};
use crate::rate::Rate;
use crate::series::{Comparison, Series};
use host::table::{Align, Table};
use model::bytes::Bytes;
use model::edition::Edition;
use model::quantity::{Quantity, Unit};

/// Which figures of a record are shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// The record.
    pub record: &'a Record,
    /// Of this edition.
    pub edition: Edition,
    /// Of this tag.
    pub tag: &'a str,
    /// Of these services, in this order, and of all of them together behind them.
    pub services: &'a [String],
    /// These alone.
    pub figures: &'a BTreeSet<(String, Quantity)>,
}

/// For a terminal.
pub fn text(shown: &Shown<'_>) -> String {
    let notes: String = notes(shown).iter().map(|line| format!("{line}\n")).collect();
    table(shown).text() + &notes
}

/// For a pull request.
pub fn markdown(shown: &Shown<'_>) -> String {
    let notes: Vec<String> = notes(shown).iter().map(|line| format!("{line}\n")).collect();
    format!("{}\n{}", table(shown).markdown(), notes.join("\n"))
}

/// For programs: the whole record.
///
/// # Errors
/// Never for a record that this program made.
pub fn json(record: &Record) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}

impl<'a> Shown<'a> {
    fn entries(&self) -> impl Iterator<Item = &'a Entry> {
        let record = self.record;
        let subjects = self.services.iter().map(String::as_str).chain([WHOLE]);
        let (edition, tag, figures) = (self.edition, self.tag, self.figures);
        let all = subjects.flat_map(|subject| Quantity::ALL.map(|quantity| (subject, quantity)));
        let own =
            all.filter(move |(subject, quantity)| figures.contains(&((*subject).to_owned(), *quantity)));
        own.filter_map(move |(subject, quantity)| record.find(edition, tag, subject, quantity))
    }
}

fn table(shown: &Shown<'_>) -> Table {
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
    let mut last = "";
    for entry in shown.entries() {
        let name = if entry.subject == last { "" } else { &entry.subject };
        last = &entry.subject;
        let (original, optimized) = (&entry.original, &entry.optimized);
        let (less, verdict) = verdict(entry);
        table.row(vec![
            name.to_owned(),
            entry.quantity.words().to_owned(),
            median(original, entry.unit),
            range(original, entry.unit),
            median(optimized, entry.unit),
            range(optimized, entry.unit),
            less,
            verdict,
        ]);
    }
    for row in sums(shown) {
        table.row(row);
    }
    table
}

/// What single pulls are together, where every service that is shown has one of both variants.
fn sums(shown: &Shown<'_>) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let count = shown.services.len();
    for quantity in [Quantity::PullBytes, Quantity::Pull, Quantity::PullThrottled] {
        let found: Vec<&Entry> =
            shown.entries().filter(|entry| entry.quantity == quantity && entry.subject != WHOLE).collect();
        let sum =
            |of: fn(&Entry) -> &Series| found.iter().map(|entry| of(entry).median()).sum::<Option<u64>>();
        let (Some(original), Some(optimized)) = (sum(|entry| &entry.original), sum(|entry| &entry.optimized))
        else {
            continue;
        };
        if found.len() < count || count < 2 {
            continue;
        }
        let comparison = Comparison::of(&Series::new(vec![original]), &Series::new(vec![optimized]));
        let name = if rows.is_empty() { format!("sum of {count}") } else { String::new() };
        rows.push(vec![
            name,
            quantity.words().to_owned(),
            amount(original, quantity.unit()),
            String::new(),
            amount(optimized, quantity.unit()),
            String::new(),
            comparison.map(less).unwrap_or_default(),
            String::new(),
        ]);
    }
    rows
}

fn median(series: &Series, unit: Unit) -> String {
    series.median().map_or_else(|| "not built".to_owned(), |median| amount(median, unit))
}

fn range(series: &Series, unit: Unit) -> String {
    match (series.min(), series.max()) {
        (Some(min), Some(max)) if series.count() > 1 => {
            format!("({} to {})", amount(min, unit), amount(max, unit))
        }
        _ => String::new(),
    }
}

/// A value of a quantity, in the unit that people read.
pub fn amount(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => Bytes(value).to_string(),
        Unit::Microseconds => time(value),
    }
}

/// In three significant digits.
fn time(microseconds: u64) -> String {
    let (value, unit) = match microseconds {
        0..1_000 => return format!("{microseconds} µs"),
        1_000..1_000_000 => (microseconds as f64 / 1e3, "ms"),
        _ => (microseconds as f64 / 1e6, "s"),
    };
    let decimals = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.decimals$} {unit}")
}

fn verdict(entry: &Entry) -> (String, String) {
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

/// How much less the optimized image needs, in percent.
pub fn less(comparison: Comparison) -> String {
    format!("{:.1}%", comparison.saved_percent())
}

fn times(factor: f64) -> String {
    if factor < 10.0 { format!("{factor:.1}") } else { format!("{factor:.0}") }
}

fn notes(shown: &Shown<'_>) -> Vec<String> {
    let entries: Vec<&Entry> = shown.entries().collect();
    let mut notes = Vec::new();
    let Some(first) = entries.first() else {
        return vec!["Nothing was measured.".to_owned()];
    };
    let machine = &first.of.machine;
    let loads = entries.iter().map(|entry| entry.of.load);
    let (least, most) =
        loads.fold((u64::MAX, 0), |(least, most), load| (least.min(load.0), most.max(load.1)));
    notes.push(format!(
        "Edition {}, tag {}. Medians, (minimum to maximum) of {} interleaved runs; {} cores, engine {} ({} store), load {:.1} to {:.1}.",
        shown.edition, shown.tag, first.of.runs, machine.cores, machine.engine, machine.store,
        least as f64 / 100.0, most as f64 / 100.0
    ));
    let has = |wanted: &[Quantity]| entries.iter().any(|entry| wanted.contains(&entry.quantity));
    if has(&[Quantity::PullBytes]) {
        notes.push("Pulls: from a registry on loopback, through our own relay that counts, into an engine without any layer.".to_owned());
    }
    let rate = entries.iter().find(|entry| entry.quantity == Quantity::PullThrottled);
    if let Some(rate) = rate.and_then(|entry| Rate::of_bits(entry.of.throttle?)) {
        notes.push(format!("Throttled: the relay lets {rate} a second pass."));
    }
    if has(&[Quantity::MemoryIdle, Quantity::MemoryAfter]) {
        notes.push(format!(
            "Memory: resident pages of the service's processes, shared ones once; idle {} s after the first healthy answer, used after the probes.",
            first.of.settle
        ));
    }
    if has(&[Quantity::ChargedIdle, Quantity::ChargedAfter]) {
        notes.push("Charged: what the control group holds less inactive file pages, as `docker stats` shows it; file pages are charged to whoever read them first.".to_owned());
    }
    if entries.iter().any(|entry| entry.of.stand_in) {
        notes.push(
            "Originals were built here on stand-ins made from Debian packages, not on the upstream images."
                .to_owned(),
        );
    }
    let short =
        |series: &Series, entry: &Entry| (series.count() as u32) < entry.of.runs && series.count() > 0;
    if entries.iter().any(|entry| short(&entry.original, entry) || short(&entry.optimized, entry)) {
        notes.push(
            "Some figures have fewer samples than were asked for: the run that took them did not end."
                .to_owned(),
        );
    }
    notes.extend(
        shown
            .record
            .left_out
            .iter()
            .map(|left| format!("Left out: {}, {}: {}", left.subject, left.what, left.reason)),
    );
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::{LeftOut, Machine, MadeFrom};
    use model::variant::Variant;

    /// A record of two services, of which one has no original.
    fn record() -> Record {
        let mut record = Record::default();
        let made = |name: &str, load| MadeFrom {
            edition: Edition::Simple,
            tag: "latest".into(),
            original: [(name.to_owned(), "sha256:1".to_owned())].into(),
            optimized: [(name.to_owned(), "sha256:2".to_owned())].into(),
            stand_in: true,
            runs: 2,
            throttle: Some(100_000_000),
            settle: 5,
            machine: Machine {
                cores: 2,
                engine: "26.1.5".into(),
                store: "classic".into(),
                kernel: "6".into(),
            },
            commit: None,
            at: "2026-01-01T00:00:00Z".into(),
            load: (load, load),
        };
        let mut add = |name: &str, quantity, variant, samples: &[u64]| {
            for (index, sample) in samples.iter().enumerate() {
                let fresh = index == 0 && record.find(Edition::Simple, "latest", name, quantity).is_none();
                record.add(name, quantity, variant, *sample, &made(name, 150), fresh);
            }
        };
        let both = Variant::ALL;
        for (quantity, samples) in [
            (Quantity::PullBytes, [[40_000_000, 40_000_000], [2_000_000, 2_000_000]]),
            (Quantity::PullThrottled, [[3_300_000, 3_400_000], [170_000, 180_000]]),
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
            what: "the original".into(),
            reason: "it is not built".into(),
        });
        record
    }

    #[test]
    fn a_figure_without_a_difference_says_so_and_one_without_an_original_has_no_ratio() {
        let (record, services) = (record(), ["alpha".to_owned(), "beta".to_owned()]);
        let all = record.entries.iter().map(|entry| (entry.subject.clone(), entry.quantity));
        // A figure of an earlier run stays in the record, and is not shown as this one's.
        let figures = all.filter(|(_, quantity)| *quantity != Quantity::Request).collect();
        let shown = Shown {
            record: &record,
            edition: Edition::Simple,
            tag: "latest",
            services: &services,
            figures: &figures,
        };
        let text = text(&shown);
        let row = |words: &str| {
            let line = text.lines().find(|line| line.contains(words)).unwrap_or_default();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(row("pulled"), "alpha pulled 40MB (40MB to 40MB) 2MB (2MB to 2MB) 95.0% 1/20");
        assert!(row("start").ends_with("600 ms (500 ms to 700 ms) no difference shown"), "{text}");
        assert_eq!(row("request"), "");
        assert!(row("memory, idle").ends_with("-100.0% more"), "{text}");
        assert_eq!(row("beta "), "beta start not built 500 µs");
        for note in [
            "100Mbit a second",
            "stand-ins",
            "load 1.5 to 1.5",
            "fewer samples",
            "Left out: beta, the original",
        ] {
            assert!(text.contains(note), "{note}: {text}");
        }
        // Of two services one has no pull: a sum of one would be none.
        assert!(!text.contains("sum of"), "{text}");
        assert!(markdown(&shown).starts_with("| service |"));
    }

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
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
