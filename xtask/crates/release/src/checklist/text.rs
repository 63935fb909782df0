//! A checklist as table, Markdown and JSON.

use std::fmt::Write as _;

use crate::checklist::report::{Basis, Fault, Item, Outcome, Report};
use host::table::{Align, Table};

/// For a terminal.
pub fn text(report: &Report) -> String {
    let mut out = table(report).text();
    for item in report.items.iter().filter(|item| !is_plain(item)) {
        writeln!(out, "\n{} · {}", item.name, item.asks).ok();
        match &item.outcome {
            Outcome::Failed { faults } => {
                for (remedy, whats) in by_remedy(faults) {
                    for what in whats {
                        writeln!(out, "  {what}").ok();
                    }
                    writeln!(out, "      remedy: {remedy}").ok();
                }
            }
            Outcome::Unknown { why } => {
                writeln!(out, "  {}", why.replace('\n', "\n  ")).ok();
            }
            Outcome::Skipped { reason } => {
                writeln!(out, "  skipped: {reason}").ok();
            }
            Outcome::Passed => {}
        }
        for line in item.evidence.iter().skip(1) {
            writeln!(out, "  seen: {line}").ok();
        }
    }
    writeln!(out, "\n{}", verdict(report)).ok();
    out
}

/// For a pull request or the notes of a release.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("### {}\n\n{}", escaped(&verdict(report)), table(report).markdown());
    for item in report.items.iter().filter(|item| !is_plain(item)) {
        writeln!(out, "\n**{}**: {}\n", item.name, item.asks).ok();
        match &item.outcome {
            Outcome::Failed { faults } => {
                for (remedy, whats) in by_remedy(faults) {
                    for what in whats {
                        writeln!(out, "- {}", escaped(what)).ok();
                    }
                    writeln!(out, "\n  Remedy: {}", escaped(remedy)).ok();
                }
            }
            Outcome::Unknown { why } => {
                writeln!(out, "- {}", escaped(&why.split_whitespace().collect::<Vec<_>>().join(" "))).ok();
            }
            Outcome::Skipped { reason } => {
                writeln!(out, "- skipped: {}", escaped(reason)).ok();
            }
            Outcome::Passed => {}
        }
        for line in item.evidence.iter().skip(1) {
            writeln!(out, "- seen: {}", escaped(line)).ok();
        }
    }
    out
}

/// For programs.
///
/// # Errors
/// Never for a report that this program made.
pub fn json(report: &Report) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// Whether the table says all of an item.
fn is_plain(item: &Item) -> bool {
    item.outcome == Outcome::Passed && item.evidence.len() < 2
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
        ("item", Align::Left),
        ("outcome", Align::Left),
        ("from", Align::Left),
        ("evidence", Align::Left),
    ]);
    for item in &report.items {
        let from = match item.basis {
            Some(Basis::Record) => "record",
            Some(Basis::Now) => "now",
            None => "–",
        };
        let evidence = item.evidence.first().cloned().unwrap_or_default();
        table.row(vec![item.name.clone(), word(&item.outcome).to_owned(), from.to_owned(), evidence]);
    }
    table
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed { .. } => "FAILED",
        Outcome::Skipped { .. } => "skipped",
        Outcome::Unknown { .. } => "CANNOT TELL",
    }
}

/// Faults with one remedy stand together, and it is said once.
fn by_remedy(faults: &[Fault]) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for Fault { what, remedy } in faults {
        match groups.iter_mut().find(|(other, _)| other == remedy) {
            Some((_, whats)) => whats.push(what),
            None => groups.push((remedy, vec![what])),
        }
    }
    groups
}

/// In one sentence.
fn verdict(report: &Report) -> String {
    let count = |is: &dyn Fn(&Outcome) -> bool| report.items.iter().filter(|item| is(&item.outcome)).count();
    let passed = count(&|outcome| *outcome == Outcome::Passed);
    let parts = [
        (passed, "passed"),
        (report.failed().len(), "failed"),
        (report.unknown().len(), "unknown"),
        (count(&|outcome| matches!(outcome, Outcome::Skipped { .. })), "skipped"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let what = report.cadence.map_or_else(|| "named items".to_owned(), |cadence| format!("{cadence} list"));
    let editions: Vec<&str> = report.editions.iter().map(|edition| edition.name()).collect();
    let commit = report.commit.as_ref().map(|commit| format!(", commit {commit}")).unwrap_or_default();
    format!("{what}, tag {}, {}{commit}: {}.", report.tag, editions.join(", "), told.join(", "))
}

/// What Markdown would take for markup in names of files and variables.
fn escaped(text: &str) -> String {
    text.replace('_', "\\_").replace('*', "\\*").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checklist::report::{Answer, Cadence};
    use engine::provenance::Commit;
    use model::edition::Edition;

    #[test]
    fn every_outcome_is_told_with_its_remedy_reason_or_cause() {
        let fault = |what: &str| Fault::new(what, "do this");
        let unanswered = |name, outcome| Item::unanswered(name, "what must be so", outcome);
        let report = Report {
            schema: 1,
            cadence: Some(Cadence::Release),
            tag: "1.2.0".into(),
            editions: vec![Edition::Simple, Edition::Community],
            commit: Some(Commit { id: "0123456789".into(), changes: None }),
            items: vec![
                Item::answered("tree", "all is committed", Answer::now(Vec::new(), vec!["3 files".into()])),
                Item::answered(
                    "labels",
                    "they say so",
                    Answer {
                        faults: vec![fault("one"), fault("other_one"), Fault::new("third", "do that")],
                        evidence: vec!["8 images".into(), "and this".into()],
                        basis: Basis::Record,
                    },
                ),
                unanswered("bases", Outcome::Unknown { why: "no network\n  remedy: get one".into() }),
                unanswered("digests", Outcome::Skipped { reason: "no registry".into() }),
            ],
        };
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("checklist_text", text(&report));
            insta::assert_snapshot!("checklist_markdown", markdown(&report));
        });
    }
}
