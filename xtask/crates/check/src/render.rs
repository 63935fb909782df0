//! The report as table and Markdown, and as GitHub annotations.

use std::fmt::Write as _;

use crate::report::{CheckReport, CheckRow, Finding};
use host::printable::markdown;
use host::render::Render;
use host::table::{Align, Table};
use model::baseline::Drift;
use model::bytes::Bytes;

impl Render for CheckReport {
    fn text(&self) -> String {
        let mut out = table(self).text();
        for (title, findings) in parts(self) {
            writeln!(out, "\n{title}").ok();
            for finding in findings {
                writeln!(out, "  {} · {}: {}", finding.kind.label(), finding.about(), finding.what).ok();
                if let Some(place) = &finding.place {
                    writeln!(out, "      at:   {}:{}", place.file, place.line).ok();
                }
                writeln!(out, "      help: {}", finding.remedy).ok();
            }
        }
        writeln!(out, "\n{}", summary(self)).ok();
        out + &self.fleet.iter().map(Render::text).collect::<String>()
    }

    fn markdown(&self) -> String {
        let mut out = format!("### {}\n\n{}", summary(self), table(self).markdown());
        for (title, findings) in parts(self) {
            writeln!(out, "\n**{title}**\n").ok();
            for finding in findings {
                let place = finding.place.as_ref();
                let place =
                    place.map(|place| format!(" (`{}:{}`)", place.file, place.line)).unwrap_or_default();
                let (what, remedy) = (markdown(&finding.what), markdown(&finding.remedy));
                writeln!(out, "- **{}** {}: {what}{place}  ", finding.kind.label(), finding.about()).ok();
                writeln!(out, "  {remedy}").ok();
            }
        }
        out + &self.fleet.iter().map(Render::markdown).collect::<String>()
    }
}

impl CheckReport {
    /// One GitHub workflow command per breach ("Workflow commands for GitHub Actions", "Setting an error message").
    pub fn annotations(&self) -> Vec<String> {
        let one = |finding: &Finding| {
            let title = property(&format!("{}: {}", finding.kind.label(), finding.about()));
            let place = finding.place.as_ref();
            let place = place.map(|place| format!("file={},line={},", property(&place.file), place.line));
            let message = message(&format!("{}\n{}", finding.what, finding.remedy));
            format!("::error {}title={title}::{message}", place.unwrap_or_default())
        };
        self.breaches.iter().map(one).collect()
    }
}

fn summary(report: &CheckReport) -> String {
    let images = report.images.iter().filter(|row| row.measured.is_some()).count();
    let plural = |count: usize, one: &str, many: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
    };
    let checked = format!("{} checked, tag {}", plural(images, "image", "images"), report.tag);
    match report.breaches.len() {
        0 => format!("{checked}: no breaches."),
        count => format!("{checked}: {}.", plural(count, "breach", "breaches")),
    }
}

fn parts(report: &CheckReport) -> impl Iterator<Item = (&'static str, &Vec<Finding>)> {
    let parts = [("Breaches", &report.breaches), ("Notes", &report.notes)];
    parts.into_iter().filter(|(_, findings)| !findings.is_empty())
}

/// Editions and limits have a column only where there are any.
fn table(report: &CheckReport) -> Table {
    let any = |has: fn(&CheckRow) -> bool| report.images.iter().any(has);
    let (targets, goals) = (any(|row| row.target.is_some()), any(|row| row.goal.is_some()));
    let is_shown = [true, any(|row| !row.edition.is_none()), true, targets, goals];
    let shown = |index: usize| is_shown.get(index).copied().unwrap_or(true);
    let columns = [
        ("service", Align::Left),
        ("edition", Align::Left),
        ("image", Align::Right),
        ("target", Align::Right),
        ("goal", Align::Right),
        ("own", Align::Right),
        ("drift", Align::Right),
        ("base", Align::Right),
        ("drift", Align::Right),
        ("verdict", Align::Left),
    ];
    let columns = columns.into_iter().enumerate().filter(|(index, _)| shown(*index));
    let mut table = Table::new(&columns.map(|(_, column)| column).collect::<Vec<_>>());
    for row in &report.images {
        let cells = cells(row, targets || goals).into_iter().enumerate().filter(|(index, _)| shown(*index));
        table.row(cells.map(|(_, cell)| cell).collect());
    }
    table
}

fn cells(row: &CheckRow, has_limits: bool) -> Vec<String> {
    let size = |bytes: Option<Bytes>| bytes.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
    let now = row.measured.as_ref().map(|measured| measured.weights);
    let (own, base) = (now.map(|now| now.own), now.map(|now| now.base));
    vec![
        row.service.clone(),
        row.edition.to_string(),
        size(now.map(|now| now.sum())),
        size(row.target),
        size(row.goal),
        size(own),
        change(own, row.baseline.map(|was| was.own)),
        size(base),
        change(base, row.baseline.map(|was| was.base)),
        verdict(row, has_limits),
    ]
}

/// The difference from the baseline.
fn change(now: Option<Bytes>, was: Option<Bytes>) -> String {
    match now.zip(was) {
        Some((now, was)) if now > was => format!("+{}", now - was),
        Some((now, was)) if now < was => format!("−{}", was - now),
        Some(_) => "=".to_owned(),
        None => "?".to_owned(),
    }
}

/// Where no image has a limit, only the baseline is judged.
fn verdict(row: &CheckRow, has_limits: bool) -> String {
    let mut labels = Vec::new();
    if has_limits || row.measured.is_none() {
        labels.push(row.verdict.label());
    }
    if row.verdict.is_above_goal(row.goal) {
        labels.push("above goal");
    }
    if row.measured.is_some() && row.baseline.is_none() {
        labels.push("NO BASELINE");
    }
    for drift in [row.own, row.base].into_iter().flatten() {
        let label = match drift {
            Drift::Within => continue,
            Drift::Grown => "GROWN",
            Drift::Shrunk => "smaller",
        };
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    if labels.is_empty() {
        labels.push("as accepted");
    }
    labels.join(", ")
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FindingKind, Place, Subject};

    #[test]
    fn annotations_name_the_line_and_escape_separators() {
        let images = vec![Subject::new("api", "simple"), Subject::new("nlg", "simple")];
        let finding = |place| Finding {
            place,
            ..Finding::new(FindingKind::Baseline, images.clone(), "grew by 5%", "a: b")
        };
        let place = Place { file: "xtask/sizes.lock.toml".into(), line: 7 };
        let report = CheckReport {
            schema: 1,
            tag: "latest".into(),
            editions: Vec::new(),
            images: Vec::new(),
            breaches: vec![finding(Some(place)), finding(None)],
            notes: Vec::new(),
            fleet: Vec::new(),
        };
        assert_eq!(
            report.annotations(),
            [
                "::error file=xtask/sizes.lock.toml,line=7,title=baseline%3A api%2C nlg (simple)::grew by 5%25%0Aa: b",
                "::error title=baseline%3A api%2C nlg (simple)::grew by 5%25%0Aa: b"
            ]
        );
    }
}
