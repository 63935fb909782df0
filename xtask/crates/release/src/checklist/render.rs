//! The checklist report as table and Markdown.

use std::fmt::Write as _;

use crate::checklist::listing::grouped;
use crate::checklist::report::{ChecklistItem, ChecklistReport, ItemBasis, ItemOutcome};
use host::printable::markdown;
use host::render::Render;
use host::table::{Align, Table};

impl Render for ChecklistReport {
    fn text(&self) -> String {
        let mut out = table(self).text();
        for item in self.items.iter().filter(|item| has_details(item)) {
            writeln!(out, "\n{}: {}", item.name, item.asks).ok();
            for (remedy, lines) in details(item) {
                for line in lines {
                    writeln!(out, "  {}", line.replace('\n', "\n  ")).ok();
                }
                if let Some(remedy) = remedy {
                    writeln!(out, "    help: {remedy}").ok();
                }
            }
        }
        out + &format!("\n{}\n", summary(self))
    }

    fn markdown(&self) -> String {
        let mut out = format!("### {}\n\n{}", markdown(&summary(self)), table(self).markdown());
        for item in self.items.iter().filter(|item| has_details(item)) {
            writeln!(out, "\n**{}**: {}\n", item.name, item.asks).ok();
            for (remedy, lines) in details(item) {
                for line in lines {
                    writeln!(out, "- {}", markdown(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
                        .ok();
                }
                if let Some(remedy) = remedy {
                    writeln!(out, "\n  help: {}", markdown(remedy)).ok();
                }
            }
        }
        out
    }
}

/// Whether an item has more to show than its row.
fn has_details(item: &ChecklistItem) -> bool {
    item.outcome != ItemOutcome::Passed || item.evidence.len() > 1
}

/// Remedies, each with the lines that it fixes; `None` for lines without one.
fn details(item: &ChecklistItem) -> Vec<(Option<&str>, Vec<String>)> {
    let mut lines: Vec<(Option<&str>, String)> = match &item.outcome {
        ItemOutcome::Failed { faults } => {
            faults.iter().map(|fault| (Some(fault.remedy.as_str()), fault.what.clone())).collect()
        }
        ItemOutcome::Unknown { why } => vec![(None, why.clone())],
        ItemOutcome::Skipped { reason } => vec![(None, format!("skipped: {reason}"))],
        ItemOutcome::Passed => Vec::new(),
    };
    lines.extend(item.evidence.iter().skip(1).map(|line| (None, format!("note: {line}"))));
    grouped(lines)
}

fn table(report: &ChecklistReport) -> Table {
    let columns = ["item", "outcome", "source", "evidence"].map(|name| (name, Align::Left));
    let mut table = Table::new(&columns);
    for item in &report.items {
        let outcome = match item.outcome {
            ItemOutcome::Passed => "passed",
            ItemOutcome::Failed { .. } => "FAILED",
            ItemOutcome::Skipped { .. } => "skipped",
            ItemOutcome::Unknown { .. } => "UNKNOWN",
        };
        let source = match item.basis {
            Some(ItemBasis::Record) => "record",
            Some(ItemBasis::Now) => "this run",
            None => "–",
        };
        let evidence = item.evidence.first().cloned().unwrap_or_default();
        table.row(vec![item.name.clone(), outcome.to_owned(), source.to_owned(), evidence]);
    }
    table
}

/// `Release checklist for tag 1.2.0 (simple) at commit 01234567: 12 passed, 1 failed`.
fn summary(report: &ChecklistReport) -> String {
    let skipped = |item: &&ChecklistItem| matches!(item.outcome, ItemOutcome::Skipped { .. });
    let skipped = report.items.iter().filter(skipped).count();
    let (failed, unknown) = (report.failed().len(), report.unknown().len());
    let passed = report.items.len() - failed - unknown - skipped;
    let counts = [(passed, "passed"), (failed, "failed"), (unknown, "unknown"), (skipped, "skipped")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let list = match report.cadence {
        Some(cadence) => format!("{} checklist", cadence.name()),
        None => "selected items".to_owned(),
    };
    let editions: Vec<&str> = report.editions.iter().map(|edition| edition.name()).collect();
    let commit = report.commit.as_ref().map(|commit| format!(" at commit {commit}")).unwrap_or_default();
    let list = list[..1].to_uppercase() + &list[1..];
    format!("{list} for tag {} ({}){commit}: {}", report.tag, editions.join(", "), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checklist::report::{Cadence, ItemAnswer, ItemFault};
    use engine::provenance::Commit;
    use model::edition::Edition;

    #[test]
    fn every_outcome_is_shown_with_its_remedy_or_reason() {
        let fault = |what: &str| ItemFault::new(what, "do this");
        let unanswered = |name, outcome| ChecklistItem::unanswered(name, "what must hold", outcome);
        let report = ChecklistReport {
            schema: 1,
            cadence: Some(Cadence::Release),
            tag: "1.2.0".into(),
            editions: vec![Edition::named("simple"), Edition::named("community")],
            commit: Some(Commit { id: "0123456789".into(), changes: None }),
            items: vec![
                ChecklistItem::answered(
                    "tree",
                    "all committed",
                    ItemAnswer::now(Vec::new(), vec!["3 files".into()]),
                ),
                ChecklistItem::answered(
                    "labels",
                    "labels are right",
                    ItemAnswer {
                        faults: vec![fault("one"), fault("other_one"), ItemFault::new("third", "do that")],
                        evidence: vec!["8 images".into(), "and this".into()],
                        basis: ItemBasis::Record,
                    },
                ),
                unanswered("bases", ItemOutcome::Unknown { why: "no network\nhelp: connect".into() }),
                unanswered("digests", ItemOutcome::Skipped { reason: "no registry".into() }),
            ],
        };
        assert_eq!((report.failed(), report.unknown()), (vec!["labels"], vec!["bases"]));
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!("checklist_text", report.text());
            insta::assert_snapshot!("checklist_markdown", report.markdown());
        });
    }
}
