//! What was promised, and what came of it.

use maud::{Markup, html};

use crate::report::record::{Outcome, Report, Row};

/// The section.
pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.benefits.is_empty() {
            section aria-labelledby="benefits" {
                h2 #benefits { "What was promised" }
                div .cards { @for row in &report.benefits { (card(row)) } }
                @if report.benefits.iter().any(|row| row.outcome.is_none()) {
                    p .note {
                        "Where no original was built or measured here, only the guide's figure stands: "
                        code { "cargo xtask build-images --variant both" } ", then "
                        code { "cargo xtask measure --stack" } "."
                    }
                }
            }
        }
    }
}

fn card(row: &Row) -> Markup {
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
                @if let Some(goal) = benefit.goal { (promise("our goal", goal, &percent(goal), row)) }
            }
        }
    }
}

fn promise(who: &str, least: f64, words: &str, row: &Row) -> Markup {
    let kept = row.outcome.as_ref().map(|outcome| outcome.reaches(least));
    html! {
        li .good[kept == Some(true)] .bad[kept == Some(false)] {
            (who) " " (words)
            @match kept {
                Some(true) => { " ✓" span .visually-hidden { " reached" } }
                Some(false) => { " ✗" span .visually-hidden { " missed" } }
                None => {}
            }
        }
    }
}

/// How far samples are apart, in words.
pub(super) fn spread(outcome: &Outcome) -> String {
    let (worst, best) = outcome.between;
    match outcome.runs {
        None => "as built here".to_owned(),
        Some(1) => "one run of each".to_owned(),
        Some(runs) if percent(worst) == percent(best) => format!("{runs} runs of each, all alike"),
        Some(runs) if outcome.overlap => format!("{runs} runs of each, whose ranges overlap"),
        Some(runs) => format!("{} to {}, {runs} runs of each", percent(worst), percent(best)),
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
