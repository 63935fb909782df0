//! A comparison as a table with footnotes.

use crate::comparison::{Comparison, ComparisonRow, Original, Verdict};
use host::plural::count;
use host::program::PROGRAM;
use host::render::Render;
use host::table::{Align, Table};
use model::bytes::Bytes;

impl Render for Comparison {
    fn text(&self) -> String {
        let notes: String = footnotes(self).iter().map(|line| format!("{line}\n")).collect();
        table(self).text() + &notes + &self.fleet.iter().map(Render::text).collect::<String>()
    }

    fn markdown(&self) -> String {
        let notes: Vec<String> = footnotes(self).iter().map(|line| format!("{line}\n")).collect();
        let fleet: String = self.fleet.iter().map(Render::markdown).collect();
        format!("{}\n{}{fleet}", table(self).markdown(), notes.join("\n"))
    }
}

fn table(comparison: &Comparison) -> Table {
    if comparison.has_originals() { table_of_twins(comparison) } else { table_of_accepted(comparison) }
}

fn table_of_twins(comparison: &Comparison) -> Table {
    let mut table = Table::new(&[
        ("service", Align::Left),
        ("original", Align::Right),
        ("optimized", Align::Right),
        ("target", Align::Right),
        ("goal", Align::Right),
        ("saved", Align::Right),
        ("", Align::Right),
        ("verdict", Align::Left),
    ]);
    for row in &comparison.services {
        table.row(cells(row));
    }
    let total = &comparison.total;
    if total.services > 0 {
        table.row(vec![
            format!("total of {}", total.services),
            total.original.to_string(),
            total.optimized.to_string(),
            bytes_or_dash(total.target),
            bytes_or_dash(total.goal),
            total.saved.to_string(),
            percent(total.saved_percent),
            String::new(),
        ]);
    }
    table
}

/// Sizes beside those in the lock; limits only where a service has one.
fn table_of_accepted(comparison: &Comparison) -> Table {
    let has = |limit: fn(&ComparisonRow) -> Option<Bytes>| {
        comparison.services.iter().any(|row| limit(row).is_some())
    };
    let (targets, goals) = (has(|row| row.target), has(|row| row.goal));
    let mut columns = vec![
        ("service", Align::Left),
        ("size", Align::Right),
        ("accepted", Align::Right),
        ("change", Align::Right),
    ];
    columns.extend(targets.then_some(("target", Align::Right)));
    columns.extend(goals.then_some(("goal", Align::Right)));
    columns.extend((targets || goals).then_some(("verdict", Align::Left)));
    let mut table = Table::new(&columns);
    for row in &comparison.services {
        let size = row.optimized.as_ref().map(|measured| measured.bytes);
        let mut cells = vec![
            row.service.clone(),
            size.map_or_else(|| "missing".to_owned(), |bytes| bytes.to_string()),
            bytes_or_dash(row.accepted),
            change(size, row.accepted),
        ];
        cells.extend(targets.then(|| bytes_or_dash(row.target)));
        cells.extend(goals.then(|| bytes_or_dash(row.goal)));
        cells.extend((targets || goals).then(|| verdict(row)));
        table.row(cells);
    }
    table
}

/// The difference from the accepted size, or a dash if there is none.
pub fn change(now: Option<Bytes>, was: Option<Bytes>) -> String {
    match now.zip(was) {
        Some((now, was)) if now > was => format!("+{}", now - was),
        Some((now, was)) if now < was => format!("−{}", was - now),
        Some(_) => "=".to_owned(),
        None => "–".to_owned(),
    }
}

fn verdict(row: &ComparisonRow) -> String {
    let above_goal = if row.verdict.is_above_goal(row.goal) { ", above goal" } else { "" };
    format!("{}{above_goal}", row.verdict.label())
}

fn cells(row: &ComparisonRow) -> Vec<String> {
    vec![
        row.service.clone(),
        original_size(&row.original),
        row.optimized.as_ref().map_or_else(|| "missing".to_owned(), |measured| measured.bytes.to_string()),
        bytes_or_dash(row.target),
        bytes_or_dash(row.goal),
        bytes_or_dash(row.saved),
        percent(row.saved_percent),
        verdict(row),
    ]
}

/// A size, or a dash if there is none.
pub fn bytes_or_dash(bytes: Option<Bytes>) -> String {
    bytes.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string())
}

/// An original's size with a mark for its source; the footnotes explain the marks.
pub fn original_size(original: &Original) -> String {
    match original {
        Original::Built { measured, stand_in: false } => measured.bytes.to_string(),
        Original::Built { measured, stand_in: true } => format!("{}†", measured.bytes),
        Original::Guide { bytes } => format!("({bytes})"),
        Original::Missing => "missing".to_owned(),
        Original::None => "–".to_owned(),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.1}%"))
}

fn footnotes(comparison: &Comparison) -> Vec<String> {
    let edition = comparison.edition;
    let edition = if edition.is_none() { String::new() } else { format!("Edition {edition}, ") };
    let tag = if edition.is_empty() { "Tag" } else { "tag" };
    let chosen = |before: &str| {
        comparison.platform.as_ref().map(|platform| format!("{before}{platform}")).unwrap_or_default()
    };
    let mut notes = vec![format!(
        "{edition}{tag} {}{}. Sizes are uncompressed, in decimal units.",
        comparison.tag,
        chosen(", platform ")
    )];
    if let Some(unique) = comparison.unique_bytes {
        let sizes = || comparison.services.iter().filter_map(|row| row.optimized.as_ref());
        let sum: Bytes = sizes().map(|measured| measured.bytes).sum();
        let noun = if comparison.has_originals() { "optimized image" } else { "image" };
        let images = count(sizes().count(), noun);
        notes.push(format!("{images}: {sum} in total, {unique} with shared layers counted once."));
    }
    let any = |test: fn(&ComparisonRow) -> bool| comparison.services.iter().any(test);
    if any(|row| matches!(row.original, Original::Built { stand_in: true, .. })) {
        notes.push("† Built on stand-ins made from Debian packages, not on the upstream images.".to_owned());
    }
    if any(|row| matches!(row.original, Original::Guide { .. })) {
        notes.push("(…) The guide's figure; this original is not built.".to_owned());
    }
    if !comparison.total.left_out.is_empty() {
        notes.push(format!(
            "Not in the total, because an image is not built: {}.",
            comparison.total.left_out.join(", ")
        ));
    }
    if any(|row| row.verdict == Verdict::Missing) {
        notes.push(format!(
            "Build missing images with `{PROGRAM} build-images{} --tag {}{}`.",
            comparison.edition.option(),
            comparison.tag,
            chosen(" --platform ")
        ));
    }
    let is_new = |row: &ComparisonRow| {
        row.original == Original::None && row.optimized.is_some() && row.accepted.is_none()
    };
    if any(is_new) {
        notes.push(format!("– No accepted size: `{PROGRAM} check --accept --reason \"…\"` records one."));
    }
    notes
}
