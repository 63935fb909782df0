//! A clean-up as table, Markdown and JSON.

use crate::clean::report::{CacheReport, Report};
use host::table::{Align, Table};
use model::bytes::Bytes;

/// For a terminal.
pub fn text(report: &Report) -> String {
    let table = if report.images.is_empty() { String::new() } else { table(report).text() };
    table + &notes(report).join("\n") + "\n"
}

/// For a pull request.
pub fn markdown(report: &Report) -> String {
    let table = if report.images.is_empty() { String::new() } else { table(report).markdown() + "\n" };
    table + &notes(report).join("\n\n") + "\n"
}

/// For programs; sizes are integers of bytes.
///
/// # Errors
/// Never for a report that this program made.
pub fn json(report: &Report) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

fn table(report: &Report) -> Table {
    let columns = [("image", Align::Left), ("freed", Align::Right), ("kept by", Align::Left)];
    let mut table = Table::new(&columns);
    for removed in &report.images {
        for (place, tag) in removed.tags.iter().enumerate() {
            // Bytes are the image's, and stand beside its first tag.
            let freed = match (place, report.dry_run) {
                (_, true) => "–".to_owned(),
                (0, _) => removed.freed_bytes.to_string(),
                _ => String::new(),
            };
            let still = if place == 0 { removed.still_called.join(", ") } else { String::new() };
            table.row(vec![tag.clone(), freed, still]);
        }
    }
    table
}

fn notes(report: &Report) -> Vec<String> {
    let mut notes: Vec<String> = report.kept.iter().map(|kept| format!("left alone: {kept}")).collect();
    let images = |count: usize| format!("{count} {}", if count == 1 { "image" } else { "images" });
    let named = report.images.iter().filter(|removed| !removed.still_called.is_empty()).count();
    if report.dry_run {
        notes.push(format!("Would take these tags from {}; nothing was done.", images(report.images.len())));
    } else {
        let gone = images(report.images.len() - named);
        notes.push(format!("{gone} removed, {} of layers freed.", report.freed_bytes));
    }
    if named > 0 {
        notes.push(format!("{} under other names, which are not this command's.", images(named)));
    }
    if report.held_by_cache_bytes > Bytes(0) {
        notes.push(format!(
            "The build cache still holds {} of their layers: `clean --cache` frees what is this project's alone.",
            report.held_by_cache_bytes
        ));
    }
    if let Some(cache) = &report.cache {
        notes.push(cache_note(cache, report.dry_run));
    }
    notes
}

fn cache_note(cache: &CacheReport, dry_run: bool) -> String {
    let done = if dry_run {
        format!("Build cache: {} records are this project's, {} in all", cache.records, cache.freed_bytes)
    } else {
        let held = match cache.held {
            0 => String::new(),
            held => format!("; {held} of this project's stay, since others stand on them or use them"),
        };
        format!("Build cache: {} records removed, {} freed{held}", cache.records, cache.freed_bytes)
    };
    format!(
        "{done}. {} records ({}) do not tell whose they are, and are left alone.",
        cache.unknown, cache.unknown_bytes
    )
}
