//! The short form, for a pull request or a job summary.

use crate::report::record::{Part, Report, Section};
use crate::report::render::benefits::{percent, range, spread};
use crate::report::render::images::open;
use crate::report::render::proof::counts;
use host::render::Render as _;
use host::table::{Align, Table};

/// So many opportunities are named.
const MOST: usize = 5;

/// The whole of it.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("## Images of {}, tag {}\n", report.project, report.tag);
    if report.editions.is_empty() {
        out.push_str("\nNothing was recorded yet: `cargo xtask build-images --edition all`, then `cargo xtask check --edition all`.\n");
    }
    out.push_str(&benefits(report));
    let parts: String = report.editions.iter().map(part).collect();
    out.push_str(&parts);
    if let Some(line) = complaint("Measurements", &report.measured) {
        out.push_str(&format!("\n{line}\n"));
    }
    if let Some(commit) = &report.commit {
        out.push_str(&format!("\nFrom saved records, at commit `{commit}`.\n"));
    }
    out
}

fn benefits(report: &Report) -> String {
    if report.benefits.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("promised", Align::Left),
        ("guide", Align::Right),
        ("our goal", Align::Right),
        ("measured", Align::Right),
        ("", Align::Left),
    ]);
    for row in &report.benefits {
        let outcome = row.outcome.as_ref();
        table.row(vec![
            row.benefit.name.clone(),
            row.benefit.guide.map(range).unwrap_or_default(),
            row.benefit.goal.map(percent).unwrap_or_default(),
            match outcome {
                None => "not measured".to_owned(),
                Some(outcome) if outcome.overlap => "no difference".to_owned(),
                Some(outcome) => format!("**{}** less", percent(outcome.less)),
            },
            outcome.map(spread).unwrap_or_default(),
        ]);
    }
    format!("\n{}", table.markdown())
}

fn part(part: &Part) -> String {
    let mut out = format!("\n### Edition {}\n", part.edition);
    let complaints = [
        complaint("Sizes", &part.sizes),
        complaint("Baselines", &part.check),
        complaint("Smoke tests", &part.test),
        complaint("Comparisons of answers", &part.parity),
    ];
    if let Some(sizes) = part.sizes.record() {
        out.push_str(&format!("\n{}", sizes.markdown()));
    }
    let mut facts = Vec::new();
    if let Some(check) = part.check.record() {
        facts.push(match check.breaches.len() {
            0 => "guard: no breach".to_owned(),
            1 => "**guard: 1 breach**".to_owned(),
            count => format!("**guard: {count} breaches**"),
        });
    }
    let asked = part.test.record().map(|stack| ("smoke", &stack.report));
    let compared = part.parity.record().map(|parity| ("parity", &parity.report));
    for (name, report) in asked.into_iter().chain(compared) {
        let (all, passed) = counts(report);
        facts.push(match passed == all {
            true => format!("{name}: {passed} of {all}"),
            false => format!("**{name}: {passed} of {all}**"),
        });
    }
    if !facts.is_empty() {
        out.push_str(&format!("\n{}\n", facts.join(" · ")));
    }
    let open = open(part);
    for (index, (service, found)) in open.iter().take(MOST).enumerate() {
        let (gap, kind) = (if index == 0 { "\n" } else { "" }, found.kind.words());
        out.push_str(&format!("{gap}- {service}: {} of {kind}; {}\n", found.bytes, found.remedy));
    }
    if open.len() > MOST {
        out.push_str(&format!("- and {} smaller opportunities\n", open.len() - MOST));
    }
    for line in complaints.into_iter().flatten() {
        out.push_str(&format!("\n> {line}\n"));
    }
    out
}

fn complaint<T>(what: &str, section: &Section<T>) -> Option<String> {
    let (why, remedy) = section.complaint()?;
    let state = if section.record().is_some() { "are stale" } else { "are not here" };
    Some(format!("{what} {state}: {why} (`{remedy}`)."))
}
