//! Promised benefits and their measurements.

use host::program::PROGRAM;
use maud::{Markup, html};

use crate::report::record::{BenefitOutcome, BenefitReport, ReportPage};

pub(super) fn section(report: &ReportPage) -> Markup {
    html! {
        @if !report.benefits.is_empty() {
            section aria-labelledby="benefits" {
                h2 #benefits { "Promises and measurements" }
                div .cards { @for row in &report.benefits { (card(row)) } }
                @if report.benefits.iter().any(|row| row.outcome.is_none()) {
                    p .note {
                        "Not measured: the originals were not built or measured here. Run "
                        code { (PROGRAM) " build-images --variant both" } ", then "
                        code { (PROGRAM) " measure --stack" } "."
                    }
                }
            }
        }
    }
}

fn card(row: &BenefitReport) -> Markup {
    let benefit = &row.benefit;
    html! {
        article .card {
            h3 { (benefit.name) }
            @match &row.outcome {
                Some(outcome) if outcome.overlap => p .figure { "no difference" },
                Some(outcome) => p .figure { (percent(outcome.less)) span .unit { " less" } },
                None => p .figure .unknown { "not measured" },
            }
            @if let Some(outcome) = &row.outcome { p .spread { (spread(outcome)) } }
            ul .promises {
                @if let Some(guide) = benefit.guide { (promise("guide", guide.0, &range(guide), row)) }
                @if let Some(goal) = benefit.goal { (promise("goal", goal, &percent(goal), row)) }
            }
        }
    }
}

fn promise(who: &str, least: f64, range: &str, row: &BenefitReport) -> Markup {
    let kept = row.outcome.as_ref().map(|outcome| outcome.reaches(least));
    html! {
        li .good[kept == Some(true)] .bad[kept == Some(false)] {
            (who) " " (range)
            @match kept {
                Some(true) => { " ✓" span .visually-hidden { " reached" } }
                Some(false) => { " ✗" span .visually-hidden { " missed" } }
                None => {}
            }
        }
    }
}

/// The range of the samples and their number.
pub(super) fn spread(outcome: &BenefitOutcome) -> String {
    let (worst, best) = outcome.between;
    match outcome.runs {
        None => "built here".to_owned(),
        Some(1) => "1 run each".to_owned(),
        Some(runs) if percent(worst) == percent(best) => format!("{runs} runs each, all equal"),
        Some(runs) if outcome.overlap => format!("{runs} runs each, ranges overlap"),
        Some(runs) => format!("{} to {}, {runs} runs each", percent(worst), percent(best)),
    }
}

/// `97.5 %`.
pub(super) fn percent(value: f64) -> String {
    let text = format!("{value:.1}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// `60 %`, or `20 to 30 %`.
pub(super) fn range((from, to): (f64, f64)) -> String {
    if (from - to).abs() < f64::EPSILON { percent(from) } else { format!("{from} to {}", percent(to)) }
}
