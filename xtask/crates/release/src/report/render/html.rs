//! The HTML page: one self-contained file.

use host::program::PROGRAM;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use build::comparison::Comparison;
use model::bytes::Bytes;

use crate::report::record::{EditionReport, ReportPage};
use crate::report::render::{benefits, checks, contents, measurements, sizes};

const STYLE: &str = include_str!("page.css");

/// Tabs for editions and keyboard navigation of maps. Without it, every edition is shown.
const SCRIPT: &str = include_str!("page.js");

/// The report as one HTML file without external requests.
pub fn html(report: &ReportPage) -> String {
    let title = format!("{} images, tag {}", report.project, report.tag);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // No external requests, whatever a record contains.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                title { (title) }
                // Browsers request an icon; this one is empty.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#main" { "Skip to main content" }
                header { (head(report)) }
                main #main {
                    (benefits::section(report))
                    (editions(report))
                    (measurements::section(report))
                    (sizes::history(report))
                }
                footer { (foot(report)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn head(report: &ReportPage) -> Markup {
    let first = report.editions.first().and_then(|part| Some((part, part.sizes.record()?)));
    let only = first.filter(|(_, comparison)| !comparison.has_originals());
    let hero = first.and_then(|(part, comparison)| {
        (comparison.has_originals() && comparison.total.left_out.is_empty()).then_some((
            part,
            comparison,
            &comparison.total,
        ))
    });
    html! {
        p .eyebrow { (report.project) " · tag " (report.tag) }
        @match hero {
            Some((part, comparison, total)) => {
                h1 {
                    span .was { (total.original) } " "
                    span .arrow aria-label="reduced to" { "→" } " "
                    span .is { (total.optimized) }
                }
                p .lead {
                    (total.services) " images" @if !part.edition.is_none() { " of the " (part.edition) " edition" }
                    @if let Some(percent) = total.saved_percent { ", " b { (format!("{percent:.1} %")) " smaller" } }
                    @if let Some(unique) = comparison.unique_bytes {
                        "; " (unique) " on one host, where layers are shared"
                    }
                    "."
                }
            }
            None if only.is_some() => {
                @if let Some((_, comparison)) = only { (sum(comparison)) }
            }
            None => {
                h1 { "Images" }
                p .lead { "Not every original is built here, so there is no total to compare." }
            }
        }
    }
}

/// The sizes of images without originals.
fn sum(comparison: &Comparison) -> Markup {
    let sizes: Vec<Bytes> =
        comparison.services.iter().filter_map(|row| Some(row.optimized.as_ref()?.bytes)).collect();
    html! {
        h1 { span .is { (sizes.iter().copied().sum::<Bytes>()) } }
        p .lead {
            (sizes.len()) " images"
            @if let Some(unique) = comparison.unique_bytes { "; " (unique) " on one host, where layers are shared" }
            "."
        }
    }
}

fn editions(report: &ReportPage) -> Markup {
    html! {
        @if report.editions.is_empty() {
            p .stale role="note" {
                b { "No records yet" } ": run " code { (PROGRAM) " build-images" } ", then "
                code { (PROGRAM) " check" } "."
            }
        }
        @if report.editions.len() > 1 {
            div .tabs role="tablist" aria-label="Edition" hidden {
                @for (index, part) in report.editions.iter().enumerate() {
                    button role="tab" id=(format!("tab-{}", part.edition))
                        aria-controls=(format!("panel-{}", part.edition))
                        aria-selected=(index == 0) tabindex=(if index == 0 { "0" } else { "-1" }) { (part.edition) }
                }
            }
        }
        @for part in &report.editions { (edition(part, report.editions.len() > 1)) }
    }
}

fn edition(part: &EditionReport, is_tab: bool) -> Markup {
    let tab = is_tab.then(|| format!("tab-{}", part.edition));
    html! {
        section .panel id=(format!("panel-{}", part.edition)) role=[is_tab.then_some("tabpanel")] aria-labelledby=[tab] {
            @if !part.edition.is_none() { h2 .edition { "Edition " (part.edition) } }
            (sizes::section(part))
            (contents::maps(part))
            (contents::opportunities(part))
            (checks::section(part))
        }
    }
}

fn foot(report: &ReportPage) -> Markup {
    html! {
        p {
            "Generated " time datetime=(report.at) { (report.at.replace('T', " ").trim_end_matches('Z')) } " UTC from saved records"
            @match &report.commit {
                Some(commit) => { " at commit " code { (commit) } }
                None => { ", outside of git" }
            }
            ". Sizes are unpacked, in decimal units, unless stated otherwise."
        }
    }
}
