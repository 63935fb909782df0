//! A comparison as table, Markdown and JSON.

use crate::comparison::{Comparison, Original, Row, Verdict};
use crate::fleet_text;
use host::table::{Align, Table};
use model::bytes::Bytes;

/// For a terminal.
pub fn text(comparison: &Comparison) -> String {
    let mut out = table(comparison).text();
    for line in footnotes(comparison) {
        out.push_str(&line);
        out.push('\n');
    }
    out + &comparison.fleet.iter().map(fleet_text::text).collect::<String>()
}

/// For a pull request.
pub fn markdown(comparison: &Comparison) -> String {
    let notes: Vec<String> = footnotes(comparison).iter().map(|line| format!("{line}\n")).collect();
    let fleet: String = comparison.fleet.iter().map(fleet_text::markdown).collect();
    format!("{}\n{}{fleet}", table(comparison).markdown(), notes.join("\n"))
}

/// For programs; sizes are exact integers of bytes.
///
/// # Errors
/// Never for a comparison that this program made.
pub fn json(comparison: &Comparison) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(comparison)? + "\n")
}

fn table(comparison: &Comparison) -> Table {
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
            known(total.target),
            known(total.goal),
            total.saved.to_string(),
            percent(total.saved_percent),
            String::new(),
        ]);
    }
    table
}

fn cells(row: &Row) -> Vec<String> {
    let above_goal = if row.verdict.is_above_goal(row.goal) { ", above goal" } else { "" };
    vec![
        row.service.clone(),
        original(&row.original),
        row.optimized.as_ref().map_or_else(|| "missing".to_owned(), |measured| measured.bytes.to_string()),
        known(row.target),
        known(row.goal),
        known(row.saved),
        percent(row.saved_percent),
        format!("{}{above_goal}", row.verdict.words()),
    ]
}

/// A size, where there is one.
pub fn known(bytes: Option<Bytes>) -> String {
    bytes.map_or_else(|| "–".to_owned(), |bytes| bytes.to_string())
}

/// An original's size, with a sign for where it comes from.
pub fn original(original: &Original) -> String {
    match original {
        Original::Built { measured, stand_in: false } => measured.bytes.to_string(),
        Original::Built { measured, stand_in: true } => format!("{}†", measured.bytes),
        Original::Guide { bytes } => format!("({bytes})"),
        Original::Missing => "missing".to_owned(),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.1}%"))
}

fn footnotes(comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![format!(
        "Edition {}, tag {}. Sizes are unpacked, in decimal units.",
        comparison.edition, comparison.tag
    )];
    if let Some(unique) = comparison.unique_bytes {
        let sizes = || comparison.services.iter().filter_map(|row| row.optimized.as_ref());
        let sum = sizes().fold(Bytes(0), |sum, measured| sum + measured.bytes);
        let images = match sizes().count() {
            1 => "The one optimized image is".to_owned(),
            count => format!("The {count} optimized images are"),
        };
        notes.push(format!("{images} {sum} in all, {unique} of unique bytes: shared layers count once."));
    }
    let any = |test: fn(&Row) -> bool| comparison.services.iter().any(test);
    if any(|row| matches!(row.original, Original::Built { stand_in: true, .. })) {
        notes.push(
            "† built here on stand-ins made from Debian packages, not on the upstream images.".to_owned(),
        );
    }
    if any(|row| matches!(row.original, Original::Guide { .. })) {
        notes.push("(…) the guide's figure: this original is not built here.".to_owned());
    }
    if !comparison.total.left_out.is_empty() {
        notes.push(format!(
            "Not in the total, since a side is not built: {}.",
            comparison.total.left_out.join(", ")
        ));
    }
    if any(|row| row.verdict == Verdict::Missing) {
        notes.push(format!(
            "Missing images are built by `cargo xtask build-images --edition {} --tag {}`.",
            comparison.edition, comparison.tag
        ));
    }
    notes
}
