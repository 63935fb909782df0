//! The report as tables: one per image, then the sources.

use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::report::{ImageVulnerabilities, VulnerabilityReport};
use host::plural::count;
use host::render::Render;
use host::table::{Align, Table};

/// Longest summary in a table.
const SUMMARY: usize = 60;

impl Render for VulnerabilityReport {
    fn text(&self) -> String {
        let image = |image: &ImageVulnerabilities| {
            let table = if image.vulnerabilities.is_empty() { String::new() } else { table(image).text() };
            let notes: String = image.unnamed.iter().map(|note| format!("not covered: {note}\n")).collect();
            format!("{}\n{table}{notes}\n", heading(image, self))
        };
        self.images.iter().map(image).collect::<String>() + &sources(self).text()
    }

    fn markdown(&self) -> String {
        let image = |image: &ImageVulnerabilities| {
            let is_empty = image.vulnerabilities.is_empty();
            let table = if is_empty { String::new() } else { table(image).markdown() + "\n" };
            let notes: String = image.unnamed.iter().map(|note| format!("- not covered: {note}\n")).collect();
            let notes = if notes.is_empty() { notes } else { notes + "\n" };
            format!("**{}**\n\n{table}{notes}", heading(image, self))
        };
        self.images.iter().map(image).collect::<String>() + &sources(self).markdown()
    }
}

fn heading(image: &ImageVulnerabilities, report: &VulnerabilityReport) -> String {
    let gaps = report.gaps_of(image);
    let found = match (image.vulnerabilities.len(), gaps.is_empty()) {
        (0, true) => "no known vulnerabilities".to_owned(),
        (0, false) => "nothing found".to_owned(),
        (1, _) => "1 known vulnerability".to_owned(),
        (many, _) => format!("{many} known vulnerabilities"),
    };
    let missing = if gaps.is_empty() { String::new() } else { format!("; incomplete: {}", gaps.join(", ")) };
    match image.components.len() {
        0 => format!("{}: nothing that a source knows", image.image),
        of => format!("{}: {found} in {} ({}){missing}", image.image, count(of, "component"), image.counts()),
    }
}

fn table(image: &ImageVulnerabilities) -> Table {
    let mut table = Table::new(&[
        ("severity", Align::Left),
        ("id", Align::Left),
        ("package", Align::Left),
        ("version", Align::Left),
        ("fixed in", Align::Left),
        ("source", Align::Left),
        ("", Align::Left),
    ]);
    image.vulnerabilities.iter().for_each(|advisory| table.row(cells(advisory)));
    table
}

fn cells(advisory: &Advisory) -> Vec<String> {
    let fixed = if advisory.fixed_in.is_empty() { "–".to_owned() } else { advisory.fixed_in.join(", ") };
    vec![
        advisory.severity.name().to_owned(),
        advisory.id.clone(),
        advisory.component.name.clone(),
        advisory.component.version.clone(),
        fixed,
        advisory.source.name().to_owned(),
        shortened(&advisory.summary),
    ]
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SUMMARY) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

fn sources(report: &VulnerabilityReport) -> Table {
    let columns = [("source", Align::Left), ("asked about", Align::Right), ("state", Align::Left)];
    let mut table = Table::new(&[columns.as_slice(), &[("location", Align::Left)]].concat());
    for source in &report.sources {
        table.row(vec![
            source.source.name().to_owned(),
            source.components.to_string(),
            source.state_text(),
            source.location.clone(),
        ]);
    }
    table
}
