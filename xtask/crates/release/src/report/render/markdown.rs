//! The short form, for a pull request or job summary.

use crate::report::record::{EditionReport, ReportPage};
use crate::report::render::benefits::{percent, range, spread};
use crate::report::render::checks::counts;
use crate::report::render::contents::open_opportunities;
use crate::report::render::notice;
use host::program::PROGRAM;
use host::render::Render;
use host::table::{Align, Table};

/// Maximum number of opportunities to list.
const MOST: usize = 5;

impl Render for ReportPage {
    /// The same as Markdown.
    fn text(&self) -> String {
        self.markdown()
    }

    fn markdown(&self) -> String {
        let mut out = format!("## {} images, tag {}\n", self.project, self.tag);
        if self.editions.is_empty() {
            out.push_str(&format!(
                "\nNo records yet: run `{PROGRAM} build-images`, then `{PROGRAM} check`.\n"
            ));
        }
        out.push_str(&benefits(self));
        let parts: String = self.editions.iter().map(part).collect();
        out.push_str(&parts);
        if let Some(line) = notice::markdown("Measurements", &self.measured) {
            out.push_str(&format!("\n{line}\n"));
        }
        if let Some(commit) = &self.commit {
            out.push_str(&format!("\nFrom saved records at commit `{commit}`.\n"));
        }
        out
    }
}

fn benefits(report: &ReportPage) -> String {
    if report.benefits.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("benefit", Align::Left),
        ("guide", Align::Right),
        ("goal", Align::Right),
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

fn part(part: &EditionReport) -> String {
    let mut out = match part.edition.is_none() {
        true => String::new(),
        false => format!("\n### Edition {}\n", part.edition),
    };
    let notices = [
        notice::markdown("Sizes", &part.sizes),
        notice::markdown("Baselines", &part.check),
        notice::markdown("Smoke tests", &part.test),
        notice::markdown("Parity results", &part.parity),
    ];
    if let Some(sizes) = part.sizes.record() {
        out.push_str(&format!("\n{}", sizes.markdown()));
    }
    let mut facts = Vec::new();
    if let Some(check) = part.check.record() {
        facts.push(match check.breaches.len() {
            0 => "checks: passed".to_owned(),
            1 => "**checks: 1 failure**".to_owned(),
            count => format!("**checks: {count} failures**"),
        });
    }
    let smoke = part.test.record().map(|stack| ("smoke", &stack.report));
    let parity = part.parity.record().map(|parity| ("parity", &parity.report));
    for (name, report) in smoke.into_iter().chain(parity) {
        let (all, passed) = counts(report);
        facts.push(match passed == all {
            true => format!("{name}: {passed} of {all}"),
            false => format!("**{name}: {passed} of {all}**"),
        });
    }
    if !facts.is_empty() {
        out.push_str(&format!("\n{}\n", facts.join(" · ")));
    }
    let open = open_opportunities(part);
    for (index, (service, found)) in open.iter().take(MOST).enumerate() {
        let (gap, kind) = (if index == 0 { "\n" } else { "" }, found.kind.words());
        out.push_str(&format!("{gap}- {service}: {} of {kind}; {}\n", found.bytes, found.remedy));
    }
    if open.len() > MOST {
        out.push_str(&format!("- and {} smaller opportunities\n", open.len() - MOST));
    }
    for line in notices.into_iter().flatten() {
        out.push_str(&format!("\n> {line}\n"));
    }
    out
}
