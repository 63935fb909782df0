//! What the guard, the probes and the comparison of answers came to.

use maud::{Markup, html};

use crate::report::record::Part;
use crate::report::render::complaint;
use check::report::Finding;
use stack::probes::report::{ProbeOutcome, ProbeReport, ProbeVerdict};

/// The section.
pub(super) fn section(part: &Part) -> Markup {
    html! {
        h3 { "Proof" }
        (complaint("Smoke tests", &part.test))
        (complaint("Comparisons of answers", &part.parity))
        div .cards {
            @if let Some(check) = part.check.record() { (guard(check)) }
            @if let Some(stack) = part.test.record() {
                (probes("Smoke: a stack of its own answers as declared", &stack.report))
            }
            @if let Some(parity) = part.parity.record() {
                @let against = if parity.recorded { "recorded answers of the originals" } else { "running originals" };
                (probes(&format!("Parity with {against}"), &parity.report))
            }
        }
    }
}

fn guard(check: &check::report::Report) -> Markup {
    let count = check.breaches.len();
    html! {
        article .card {
            h4 { "Guard: sizes, editions, pruning, secrets, user" }
            p .figure .good[count == 0] .bad[count > 0] {
                @match count { 0 => "no breach", 1 => "1 breach", _ => { (count) " breaches" } }
            }
            @if count > 0 { ul { @for breach in &check.breaches { (finding(breach)) } } }
            @if !check.notes.is_empty() {
                details { summary { (check.notes.len()) " noted" } ul { @for note in &check.notes { (finding(note)) } } }
            }
        }
    }
}

fn finding(finding: &Finding) -> Markup {
    html! { li { b { (finding.about()) } ": " (finding.what) " " i { (finding.remedy) } } }
}

fn probes(title: &str, report: &ProbeReport) -> Markup {
    let (all, passed) = counts(report);
    html! {
        article .card {
            h4 { (title) }
            p .figure .good[passed == all] .bad[passed != all] { (passed) span .unit { " of " (all) } }
            @if passed != all { ul { @for outcome in report.not_passed() { li { b { (outcome.name()) } ": " (words(outcome)) } } } }
        }
    }
}

/// All of them, and those that passed.
pub(super) fn counts(report: &ProbeReport) -> (usize, usize) {
    let all = report.outcomes.len();
    (all, all - report.not_passed().count())
}

fn words(outcome: &ProbeOutcome) -> String {
    match &outcome.verdict {
        ProbeVerdict::Passed => "passed".to_owned(),
        ProbeVerdict::Failed { wrong, .. } => wrong.join("; "),
        ProbeVerdict::Skipped { reason } => format!("not asked: {reason}"),
    }
}
