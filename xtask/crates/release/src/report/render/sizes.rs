//! Sizes compared with originals, targets, goals and baselines, and the history of the size lock.

use maud::{Markup, html};

use crate::report::record::{EditionReport, LockRowChange, ReportPage};
use crate::report::render::notice;
use build::comparison::render::{bytes_or_dash, original_size};
use build::comparison::{Comparison, ComparisonRow, Original};
use model::baseline::{Drift, Weights};
use model::bytes::Bytes;

pub(super) fn section(part: &EditionReport) -> Markup {
    html! {
        h3 { "Sizes" }
        (notice::html("Sizes", &part.sizes))
        @if let Some(comparison) = part.sizes.record() { (table(comparison, part)) }
        (notice::html("Baselines", &part.check))
    }
}

fn table(comparison: &Comparison, part: &EditionReport) -> Markup {
    let (total, both) = (&comparison.total, comparison.has_originals());
    html! {
        div .scroll tabindex="0" role="group" aria-label="Sizes" {
            table {
                thead { tr {
                    th scope="col" { "Service" }
                    @if both { th scope="col" .number { "Original" } th scope="col" .number { "Optimized" } }
                    @else { th scope="col" .number { "Size" } }
                    @if both { th scope="col" .wide { "Compared with original" } }
                    th scope="col" .number { "Target" } th scope="col" .number { "Goal" }
                    th scope="col" .number { "Since baseline" } th scope="col" { "Verdict" }
                } }
                tbody { @for row in &comparison.services { (line(row, part, both)) } }
                @if both && total.left_out.is_empty() {
                    tfoot { tr {
                        th scope="row" { "Total (" (total.services) ")" }
                        td .number { (total.original) } td .number { (total.optimized) }
                        td .wide { @if let Some(percent) = total.saved_percent { (format!("{percent:.1} % saved")) } }
                        td .number { (bytes_or_dash(total.target)) } td .number { (bytes_or_dash(total.goal)) } td {} td {}
                    } }
                }
            }
        }
        (notes(comparison))
    }
}

fn line(row: &ComparisonRow, part: &EditionReport, both: bool) -> Markup {
    let optimized = row.optimized.as_ref().map(|measured| measured.bytes);
    html! {
        tr {
            th scope="row" { (row.service) }
            @if both { td .number { (original_size(&row.original)) } }
            td .number { (optimized.map_or("missing".to_owned(), |bytes| bytes.to_string())) }
            @if both { td .wide { (bar(row)) } }
            td .number { (bytes_or_dash(row.target)) }
            td .number { (bytes_or_dash(row.goal)) }
            td .number { (baseline(&row.service, part)) }
            td { span .tag .good[!row.verdict.is_breach()] .bad[row.verdict.is_breach()] { (row.verdict.label()) } }
        }
    }
}

/// The optimized image's share of its original, where both were built.
fn bar(row: &ComparisonRow) -> Markup {
    let both = row.original.built().filter(|original| original.0 > 0).zip(row.optimized.as_ref());
    html! {
        @if let Some((original, optimized)) = both {
            @let share = (optimized.bytes.0 as f64 / original.0 as f64 * 100.0).min(100.0);
            span .bar aria-hidden="true" { span style=(format!("width:{share:.2}%")) {} }
            @if let Some(percent) = row.saved_percent { span .small { (format!("{percent:.1} % saved")) } }
        }
    }
}

fn baseline(service: &str, part: &EditionReport) -> Markup {
    let row = part.check.record().and_then(|check| check.images.iter().find(|row| row.service == service));
    let Some(row) = row else { return html! { "–" } };
    html! {
        @match (&row.measured, row.baseline) {
            (Some(measured), Some(baseline)) => {
                span .bad[has(row, Drift::Grown)] .good[has(row, Drift::Shrunk)] { (change(baseline, measured.weights)) }
            }
            (Some(_), None) => { span .bad { "no baseline" } }
            (None, _) => { "–" }
        }
    }
}

fn has(row: &check::report::CheckRow, drift: Drift) -> bool {
    row.own == Some(drift) || row.base == Some(drift)
}

/// `+1.2MB`, `−300kB`, `unchanged`.
fn change(before: Weights, after: Weights) -> String {
    let (before, after) = (before.sum(), after.sum());
    match (after - before, before - after) {
        (Bytes(0), Bytes(0)) => "unchanged".to_owned(),
        (more, Bytes(0)) => format!("+{more}"),
        (_, less) => format!("−{less}"),
    }
}

/// Explains the marks in the table.
fn notes(comparison: &Comparison) -> Markup {
    let any = |test: fn(&Original) -> bool| comparison.services.iter().any(|row| test(&row.original));
    html! {
        @if any(|original| matches!(original, Original::Built { stand_in: true, .. })) {
            p .note { "† built on stand-in base images made from Debian packages, not on the upstream images" }
        }
        @if any(|original| matches!(original, Original::Guide { .. })) {
            p .note { "(…) the guide's figure: this original is not built here" }
        }
    }
}

pub(super) fn history(report: &ReportPage) -> Markup {
    let Some(history) = &report.history else { return html! {} };
    html! {
        section aria-labelledby="history" {
            h2 #history { "Accepted sizes" }
            @if history.is_empty() { p .note { "No baselines committed yet." } }
            ol .history {
                @for acceptance in history {
                    li {
                        p { time { (acceptance.day) } " " b { (acceptance.subject) } " " code { (acceptance.commit.get(..8).unwrap_or(&acceptance.commit)) } }
                        details {
                            summary { (acceptance.rows.len()) " row" @if acceptance.rows.len() != 1 { "s" } }
                            ul { @for row in &acceptance.rows { li { (accepted(row)) } } }
                        }
                    }
                }
            }
        }
    }
}

/// `api simple: 37.4MB, +1MB`.
fn accepted(row: &LockRowChange) -> String {
    let name = format!("{} {}", row.service, row.edition);
    let name = name.trim_end();
    match (row.before, row.after) {
        (Some(before), Some(after)) => format!("{name}: {}, {}", after.sum(), change(before, after)),
        (None, Some(after)) => format!("{name}: {}, new", after.sum()),
        (_, None) => format!("{name}: removed"),
    }
}
