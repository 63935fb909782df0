//! Checks of the images, probes of their stack, and parity with the originals.

use maud::{Markup, html};

use crate::report::record::EditionReport;
use crate::report::render::notice;
use check::report::Finding;
use stack::probes::report::{ProbeOutcome, ProbeReport, ProbeVerdict};

pub(super) fn section(part: &EditionReport) -> Markup {
    html! {
        h3 { "Checks, probes and parity" }
        (notice::html("Smoke tests", &part.test))
        (notice::html("Parity results", &part.parity))
        div .cards {
            @if let Some(check) = part.check.record() { (image_checks(check)) }
            @if let Some(stack) = part.test.record() {
                (probes("Smoke test of a throwaway stack", &stack.report))
            }
            @if let Some(parity) = part.parity.record() {
                @let originals = if parity.recorded { "recorded" } else { "running" };
                (probes(&format!("Parity with {originals} originals"), &parity.report))
            }
        }
    }
}

fn image_checks(check: &check::report::CheckReport) -> Markup {
    let count = check.breaches.len();
    html! {
        article .card {
            h4 { "Image checks: sizes, editions, pruning, secrets, user" }
            p .figure .good[count == 0] .bad[count > 0] {
                @match count { 0 => "passed", 1 => "1 failure", _ => { (count) " failures" } }
            }
            @if count > 0 { ul { @for breach in &check.breaches { (finding(breach)) } } }
            @if !check.notes.is_empty() {
                details { summary { "Notes: " (check.notes.len()) } ul { @for note in &check.notes { (finding(note)) } } }
            }
        }
    }
}

fn finding(finding: &Finding) -> Markup {
    html! { li { b { (finding.about()) } ": " (finding.what) ". " i { (finding.remedy) } } }
}

fn probes(title: &str, report: &ProbeReport) -> Markup {
    let (all, passed) = counts(report);
    html! {
        article .card {
            h4 { (title) }
            p .figure .good[passed == all] .bad[passed != all] { (passed) span .unit { " of " (all) } }
            @if passed != all { ul { @for outcome in report.not_passed() { li { b { (outcome.name()) } ": " (reason(outcome)) } } } }
        }
    }
}

/// The number of probes, and of those that passed.
pub(super) fn counts(report: &ProbeReport) -> (usize, usize) {
    let all = report.outcomes.len();
    (all, all - report.not_passed().count())
}

fn reason(outcome: &ProbeOutcome) -> String {
    match &outcome.verdict {
        ProbeVerdict::Passed => "passed".to_owned(),
        ProbeVerdict::Failed { wrong, .. } => wrong.join("; "),
        ProbeVerdict::Skipped { reason } => format!("skipped: {reason}"),
    }
}
