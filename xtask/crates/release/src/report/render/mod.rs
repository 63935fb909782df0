//! A report as one page that needs no network, and as Markdown for a pull request or a job summary.

pub mod benefits;
pub mod images;
pub mod markdown;
pub mod measured;
pub mod proof;
pub mod sizes;
pub mod treemap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::report::record::{Part, Report, Section};
pub use crate::report::render::markdown::markdown;

/// Everything that the page looks like; inline, so that it is one file.
const STYLE: &str = include_str!("page.css");

/// What makes editions and maps go by keyboard. Without it every edition is shown.
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn html(report: &Report) -> String {
    let title = format!("Images of {}, tag {}", report.project, report.tag);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Whatever a record holds, the page asks nobody for anything.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                title { (title) }
                // A picture of no bytes: browsers ask for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header { (head(report)) }
                main #main {
                    (benefits::section(report))
                    (editions(report))
                    (measured::section(report))
                    (sizes::history(report))
                }
                footer { (foot(report)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn head(report: &Report) -> Markup {
    let hero = report.editions.first().and_then(|part| {
        let comparison = part.sizes.record()?;
        sizes::is_whole(comparison).then_some((part, comparison, &comparison.total))
    });
    html! {
        p .eyebrow { (report.project) " · tag " (report.tag) }
        @match hero {
            Some((part, comparison, total)) => {
                h1 {
                    span .was { (total.original) } " "
                    span .arrow aria-label="become" { "→" } " "
                    span .is { (total.optimized) }
                }
                p .lead {
                    (total.services) " images of the " (part.edition) " edition"
                    @if let Some(percent) = total.saved_percent { ", " b { (format!("{percent:.1} %")) " smaller" } }
                    @if let Some(unique) = comparison.unique_bytes {
                        "; on one host " (unique) ", since they share layers"
                    }
                    "."
                }
            }
            None => {
                h1 { "Images" }
                p .lead { "Not every original is built here to stand beside its optimized image." }
            }
        }
    }
}

/// What a section lacks, and the command that mends it.
fn complaint<T>(what: &str, section: &Section<T>) -> Markup {
    html! {
        @if let Some((why, remedy)) = section.complaint() {
            p .stale role="note" {
                b { (what) @if section.record().is_some() { " are stale" } @else { " are not here" } }
                ": " (why) ". " code { (remedy) }
            }
        }
    }
}

fn editions(report: &Report) -> Markup {
    html! {
        @if report.editions.is_empty() {
            p .stale role="note" {
                b { "Nothing was recorded yet" } ": " code { "cargo xtask build-images --edition all" } ", then "
                code { "cargo xtask check --edition all" } "."
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

fn edition(part: &Part, is_tab: bool) -> Markup {
    let inner = html! {
        h2 .edition { "Edition " (part.edition) }
        (sizes::section(part))
        (images::maps(part))
        (images::opportunities(part))
        (proof::section(part))
    };
    let (id, tab) = (format!("panel-{}", part.edition), format!("tab-{}", part.edition));
    html! {
        @if is_tab {
            section .panel #(id) role="tabpanel" aria-labelledby=(tab) { (inner) }
        } @else {
            section .panel #(id) { (inner) }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        p {
            "Made " time datetime=(report.at) { (report.at.replace('T', " ").trim_end_matches('Z')) } " UTC from saved records"
            @match &report.commit {
                Some(commit) => { " at commit " code { (commit) } }
                None => { ", outside of git" }
            }
            ". Sizes are unpacked bytes in decimal units unless it says otherwise."
        }
    }
}
