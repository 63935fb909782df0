//! Measurements with their ranges.

use maud::{Markup, html};

use crate::report::record::ReportPage;
use crate::report::render::notice;
use measure::record::{MeasureEntry, MeasureRecord};
use measure::series::Series;
use measure::view::{amount, less};
use model::bound::WHOLE;

pub(super) fn section(report: &ReportPage) -> Markup {
    html! {
        section aria-labelledby="measured" {
            h2 #measured { "Measurements" }
            (notice::html("Measurements", &report.measured))
            @if let Some(record) = report.measured.record() { (tables(record, report)) }
        }
    }
}

fn tables(record: &MeasureRecord, report: &ReportPage) -> Markup {
    let ours: Vec<&MeasureEntry> = record.entries.iter().filter(|entry| entry.of.tag == report.tag).collect();
    let mut subjects: Vec<(&str, model::edition::Edition)> = Vec::new();
    for entry in &ours {
        let subject = (entry.subject.as_str(), entry.of.edition);
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    // All services together come first.
    let position = |edition| report.editions.iter().position(|part| part.edition == edition);
    subjects.sort_by_key(|(subject, edition)| (*subject != WHOLE, position(*edition)));
    html! {
        p .note {
            "Both variants were measured in turn in one run. Marks show medians, bars the range of samples, each row on its own \
             scale from 0. Overlapping ranges count as no difference."
        }
        @for (subject, edition) in subjects {
            @let of: Vec<&&MeasureEntry> = ours.iter().filter(|entry| entry.subject == subject && entry.of.edition == edition).collect();
            details open[subject == WHOLE] {
                summary { b { @if subject == WHOLE { "All services" } @else { (subject) } } @if !edition.is_none() { " · " (edition) } }
                div .scroll tabindex="0" role="group" aria-label=(format!("Measurements: {subject}")) {
                    table .measured {
                        thead { tr {
                            th scope="col" { "Figure" } th scope="col" .number { "Original" } th scope="col" .number { "Optimized" }
                            th scope="col" .number { "Reduction" } th scope="col" .wide { "Samples" }
                        } }
                        tbody { @for entry in &of { (line(entry)) } }
                    }
                }
                @if let Some(entry) = of.first() { p .note { (circumstances(entry)) } }
            }
        }
        @if !record.left_out.is_empty() {
            p .note {
                "Left out: "
                @for left in &record.left_out { (left.subject) " (" (left.what) "): " (left.reason) ". " }
            }
        }
    }
}

fn line(entry: &MeasureEntry) -> Markup {
    html! {
        tr {
            th scope="row" { (entry.quantity.words()) }
            td .number { (figure(&entry.original, entry)) }
            td .number { (figure(&entry.optimized, entry)) }
            td .number {
                @match entry.comparison {
                    None => "–",
                    Some(comparison) if comparison.overlap && entry.original != entry.optimized => "no difference",
                    Some(comparison) => (less(comparison)),
                }
            }
            td .wide { (strip(entry)) }
        }
    }
}

fn figure(series: &Series, entry: &MeasureEntry) -> Markup {
    let Some(median) = series.median() else { return html! { "–" } };
    html! {
        (amount(median, entry.unit))
        @if let (Some(min), Some(max)) = (series.min(), series.max()) {
            @if series.count() > 1 {
                span .small { (amount(min, entry.unit)) " to " (amount(max, entry.unit)) ", " (series.count()) " samples" }
            }
        }
    }
}

fn strip(entry: &MeasureEntry) -> Markup {
    let most = entry.original.max().into_iter().chain(entry.optimized.max()).max().unwrap_or_default();
    html! {
        @if most > 0 {
            span .strip aria-hidden="true" {
                (range("original", &entry.original, most)) (range("optimized", &entry.optimized, most))
            }
        }
    }
}

fn range(class: &str, series: &Series, most: u64) -> Markup {
    let at = |value: u64| value as f64 / most as f64 * 100.0;
    html! {
        span .(class) {
            @if let (Some(min), Some(median), Some(max)) = (series.min(), series.median(), series.max()) {
                span .range style=(format!("left:{:.2}%;width:{:.2}%", at(min), at(max) - at(min))) {}
                span .mark style=(format!("left:{:.2}%", at(median))) {}
            }
        }
    }
}

/// The machine, its load and what the originals are built on.
fn circumstances(entry: &MeasureEntry) -> String {
    let (machine, (least, most)) = (&entry.of.machine, entry.of.load);
    format!(
        "{} cores, engine {} ({} store), kernel {}; load {:.1} to {:.1}.{}",
        machine.cores,
        machine.engine,
        machine.store,
        machine.kernel,
        least as f64 / 100.0,
        most as f64 / 100.0,
        if entry.of.stand_in { " Originals are built on stand-ins for the upstream images." } else { "" }
    )
}
