//! A check as table, Markdown and JSON, and as annotations beside the lines of a change.

use std::fmt::Write as _;

use crate::report::{Finding, Report, Row};
use host::render::Render;
use host::table::{Align, Table};
use model::baseline::Drift;
use model::bytes::Bytes;

/// For a terminal.
pub fn text(report: &Report) -> String {
    let mut out = table(report).text();
    for (title, findings) in parts(report) {
        writeln!(out, "\n{title}").ok();
        for finding in findings {
            writeln!(out, "  {} · {}: {}", finding.kind.words(), finding.about(), finding.what).ok();
            if let Some(place) = &finding.place {
                writeln!(out, "      at:     {}:{}", place.file, place.line).ok();
            }
            writeln!(out, "      remedy: {}", finding.remedy).ok();
        }
    }
    writeln!(out, "\n{}", verdict(report)).ok();
    out + &report.fleet.iter().map(Render::text).collect::<String>()
}

/// For a pull request.
pub fn markdown(report: &Report) -> String {
    let mut out = format!("### {}\n\n{}", verdict(report), table(report).markdown());
    for (title, findings) in parts(report) {
        writeln!(out, "\n**{title}**\n").ok();
        for finding in findings {
            let place = finding
                .place
                .as_ref()
                .map(|place| format!(" (`{}:{}`)", place.file, place.line))
                .unwrap_or_default();
            let (what, remedy) = (escaped(&finding.what), escaped(&finding.remedy));
            writeln!(out, "- **{}** {}: {what}{place}  ", finding.kind.words(), finding.about()).ok();
            writeln!(out, "  {remedy}").ok();
        }
    }
    out + &report.fleet.iter().map(Render::markdown).collect::<String>()
}

/// For programs; sizes are exact integers of bytes.
///
/// # Errors
/// Never for a report that this program made.
pub fn json(report: &Report) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

/// A workflow command of GitHub's for each breach ("Workflow commands for GitHub Actions", "Setting an error message").
pub fn annotations(report: &Report) -> Vec<String> {
    let one = |finding: &Finding| {
        let title = property(&format!("{}: {}", finding.kind.words(), finding.about()));
        let place = finding.place.as_ref();
        let place = place
            .map(|place| format!("file={},line={},", property(&place.file), place.line))
            .unwrap_or_default();
        let message = message(&format!("{}\n{}", finding.what, finding.remedy));
        format!("::error {place}title={title}::{message}")
    };
    report.breaches.iter().map(one).collect()
}

/// In one sentence.
fn verdict(report: &Report) -> String {
    let images = report.images.iter().filter(|row| row.measured.is_some()).count();
    let plural = |count: usize, one: &str, many: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
    };
    let checked = format!("{} checked, tag {}", plural(images, "image", "images"), report.tag);
    match report.breaches.len() {
        0 => format!("{checked}: nothing is wrong."),
        count => format!("{checked}: {}.", plural(count, "breach", "breaches")),
    }
}

fn parts(report: &Report) -> impl Iterator<Item = (&'static str, &Vec<Finding>)> {
    let parts = [("Breaches", &report.breaches), ("Notes", &report.notes)];
    parts.into_iter().filter(|(_, findings)| !findings.is_empty())
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
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
    ]);
    report.images.iter().for_each(|row| table.row(cells(row)));
    table
}

fn cells(row: &Row) -> Vec<String> {
    let known = |bytes: Option<Bytes>| bytes.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string());
    let now = row.measured.as_ref().map(|measured| measured.weights);
    let (own, base) = (now.map(|now| now.own), now.map(|now| now.base));
    vec![
        row.service.clone(),
        row.edition.to_string(),
        known(now.map(|now| now.sum())),
        known(row.target),
        known(row.goal),
        known(own),
        change(own, row.baseline.map(|was| was.own)),
        known(base),
        change(base, row.baseline.map(|was| was.base)),
        judged(row),
    ]
}

/// How far a weight is from its baseline; nothing where it is the same.
fn change(now: Option<Bytes>, was: Option<Bytes>) -> String {
    match now.zip(was) {
        Some((now, was)) if now > was => format!("+{}", now - was),
        Some((now, was)) if now < was => format!("−{}", was - now),
        Some(_) => "=".to_owned(),
        None => "?".to_owned(),
    }
}

fn judged(row: &Row) -> String {
    let mut words = vec![row.verdict.label()];
    if row.verdict.is_above_goal(row.goal) {
        words.push("above goal");
    }
    if row.measured.is_some() && row.baseline.is_none() {
        words.push("NO BASELINE");
    }
    for drift in [row.own, row.base].into_iter().flatten() {
        let word = match drift {
            Drift::Within => continue,
            Drift::Grown => "GROWN",
            Drift::Shrunk => "smaller",
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

/// What Markdown would take for markup in names of files and variables.
fn escaped(text: &str) -> String {
    text.replace('_', "\\_").replace('*', "\\*").replace('<', "&lt;")
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
    use crate::report::{Kind, Place, Subject};

    #[test]
    fn an_annotation_stands_at_its_line_and_holds_no_separator() {
        let finding = |place| Finding {
            kind: Kind::Baseline,
            images: vec![Subject::new("api", "simple"), Subject::new("nlg", "simple")],
            what: "grew by 5%".into(),
            remedy: "a: b".into(),
            place,
        };
        let place = Place { file: "xtask/sizes.lock.toml".into(), line: 7 };
        let report = Report {
            schema: 1,
            tag: "latest".into(),
            editions: Vec::new(),
            images: Vec::new(),
            breaches: vec![finding(Some(place)), finding(None)],
            notes: Vec::new(),
            fleet: Vec::new(),
        };
        assert_eq!(
            annotations(&report),
            [
                "::error file=xtask/sizes.lock.toml,line=7,title=baseline%3A api%2C nlg (simple)::grew by 5%25%0Aa: b",
                "::error title=baseline%3A api%2C nlg (simple)::grew by 5%25%0Aa: b"
            ]
        );
    }
}
