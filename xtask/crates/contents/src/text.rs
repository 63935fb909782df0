//! The contents of an image as table, Markdown and JSON.

use crate::record::{Contents, Layer, short};
use crate::waste::Hidden;
use host::table::{Align, Table};
use model::bytes::Bytes;

/// How wide a bar may be.
const BAR: usize = 20;
/// How much of an instruction fits beside its place.
const INSTRUCTION: usize = 60;

/// For a terminal; `top` is how many rows a table has at most.
pub fn text(contents: &Contents, top: usize) -> String {
    let mut out = format!("{}\n", heading(contents));
    for part in parts(contents, top, true) {
        out.push_str(&format!("\n{}\n{}", part.title, part.table.text()));
        if let Some(rest) = part.rest {
            out.push_str(&format!("{rest}\n"));
        }
    }
    out.push_str(&opportunities(contents));
    out.push_str(&format!("\n{}\n", sum(contents)));
    out
}

/// For a pull request.
pub fn markdown(contents: &Contents, top: usize) -> String {
    let mut out = format!("### {}\n", heading(contents));
    for part in parts(contents, top, false).into_iter().chain(opportunity_table(contents)) {
        out.push_str(&format!("\n**{}**\n\n{}", part.title, part.table.markdown()));
        if let Some(rest) = part.rest {
            out.push_str(&format!("\n{rest}\n"));
        }
    }
    out.push_str(&format!("\n{}\n", sum(contents)));
    out
}

/// For programs; sizes are exact integers of bytes, and every owner is there.
///
/// # Errors
/// Never for a record that this program made.
pub fn json<T: serde::Serialize>(record: &T) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(record)? + "\n")
}

struct Part {
    title: String,
    table: Table,
    rest: Option<String>,
}

fn heading(contents: &Contents) -> String {
    format!("{} ({}, {}): {}", contents.image, short(&contents.id), contents.platform, contents.bytes)
}

fn sum(contents: &Contents) -> String {
    let owners: Bytes = contents.owners.iter().map(|owner| owner.bytes).sum();
    let surface = contents.surface;
    format!(
        "Owners {owners} + hidden {} = {}; {:.2}% of it is unowned. {} packages, {} executables, {} setuid.",
        contents.waste.bytes,
        contents.bytes,
        percent(contents.unowned(), contents.bytes),
        surface.packages,
        surface.executables,
        surface.setuid
    )
}

fn parts(contents: &Contents, top: usize, bars: bool) -> Vec<Part> {
    let mut parts = vec![layers(contents, bars), owners(contents, top, bars)];
    if contents.waste.bytes.0 > 0 {
        parts.push(waste(contents, top));
    }
    if !contents.duplicates.largest.is_empty() {
        parts.push(duplicates(contents, top));
    }
    parts
}

fn layers(contents: &Contents, bars: bool) -> Part {
    let mut table = Table::new(&[
        ("layer", Align::Right),
        ("bytes", Align::Right),
        ("", Align::Left),
        ("hidden", Align::Right),
        ("from", Align::Left),
    ]);
    let most = contents.layers.iter().map(|layer| layer.bytes).max().unwrap_or_default();
    for (index, layer) in contents.layers.iter().enumerate() {
        table.row(vec![
            index.to_string(),
            layer.bytes.to_string(),
            share(layer.bytes, contents.bytes, most, bars),
            some(layer.wasted),
            from(layer),
        ]);
    }
    Part { title: "Layers, base first".to_owned(), table, rest: None }
}

/// Where a layer comes from, with its instruction beside it.
fn from(layer: &Layer) -> String {
    let Some(origin) = &layer.origin else { return shortened(&layer.place()) };
    let stage = origin.from.as_ref().map(|stage| format!(", made in stage {stage}")).unwrap_or_default();
    let instruction = layer.instruction.as_deref().unwrap_or_default();
    format!("{}:{}  {}{stage}", origin.file, origin.line, shortened(instruction))
}

fn owners(contents: &Contents, top: usize, bars: bool) -> Part {
    let mut table = Table::new(&[
        ("bytes", Align::Right),
        ("", Align::Left),
        ("kind", Align::Left),
        ("owner", Align::Left),
        ("files", Align::Right),
        ("layer", Align::Right),
        ("largest file", Align::Left),
    ]);
    let most = contents.owners.iter().map(|owner| owner.bytes).max().unwrap_or_default();
    for owner in contents.owners.iter().take(top) {
        table.row(vec![
            owner.bytes.to_string(),
            share(owner.bytes, contents.bytes, most, bars),
            owner.kind.to_string(),
            shortened(&owner.label()),
            owner.files.to_string(),
            owner.main_layer().map(|layer| layer.to_string()).unwrap_or_default(),
            owner.largest.first().map(|file| end_of(&file.path)).unwrap_or_default(),
        ]);
    }
    let rest = contents.owners.get(top..).unwrap_or_default();
    let rest = (!rest.is_empty()).then(|| {
        let bytes: Bytes = rest.iter().map(|owner| owner.bytes).sum();
        format!("and {} more owners with {bytes}", rest.len())
    });
    Part { title: "Owners".to_owned(), table, rest }
}

fn waste(contents: &Contents, top: usize) -> Part {
    let waste = &contents.waste;
    let mut table = Table::new(&[
        ("bytes", Align::Right),
        ("layer", Align::Right),
        ("hidden by", Align::Left),
        ("file", Align::Left),
    ]);
    for file in waste.largest.iter().take(top) {
        let how = match file.how {
            Hidden::Overwritten => "overwritten",
            Hidden::Deleted => "deleted",
        };
        table.row(vec![
            file.bytes.to_string(),
            file.layer.to_string(),
            format!("{}, {how}", file.by),
            end_of(&file.path),
        ]);
    }
    Part {
        title: format!("Hidden by later layers: {} in {} files", waste.bytes, waste.files),
        table,
        rest: None,
    }
}

fn duplicates(contents: &Contents, top: usize) -> Part {
    let duplicates = &contents.duplicates;
    let mut table = Table::new(&[
        ("extra", Align::Right),
        ("each", Align::Right),
        ("first of them", Align::Left),
        ("second", Align::Left),
    ]);
    for group in duplicates.largest.iter().take(top.min(10)) {
        let path = |index: usize| group.paths.get(index).map(|path| end_of(path)).unwrap_or_default();
        table.row(vec![group.extra.to_string(), group.each.to_string(), path(0), path(1)]);
    }
    Part {
        title: format!("Equal files: {} in {} more than one of each", duplicates.bytes, duplicates.files),
        table,
        rest: None,
    }
}

fn opportunities_title(contents: &Contents) -> String {
    let bytes: Bytes = contents.opportunities.iter().map(|found| found.bytes).sum();
    format!("Opportunities: {bytes}, no byte in two of them")
}

/// Opportunities with their reasons, which are too long for columns.
fn opportunities(contents: &Contents) -> String {
    if contents.opportunities.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", opportunities_title(contents));
    for found in &contents.opportunities {
        let files = if found.files == 1 { "file" } else { "files" };
        let largest = found.largest.first().map(|file| end_of(&file.path)).unwrap_or_default();
        out.push_str(&format!(
            "{:>7}  {} ({} {files}, the largest {largest}): {}\n         remedy: {}\n",
            found.bytes.to_string(),
            found.kind.words(),
            found.files,
            found.reason,
            found.remedy
        ));
    }
    out
}

fn opportunity_table(contents: &Contents) -> Option<Part> {
    let mut table = Table::new(&[
        ("bytes", Align::Right),
        ("files", Align::Right),
        ("what", Align::Left),
        ("why", Align::Left),
        ("remedy", Align::Left),
    ]);
    for found in &contents.opportunities {
        table.row(vec![
            found.bytes.to_string(),
            found.files.to_string(),
            found.kind.words().to_owned(),
            found.reason.clone(),
            found.remedy.clone(),
        ]);
    }
    let title = opportunities_title(contents);
    (!contents.opportunities.is_empty()).then_some(Part { title, table, rest: None })
}

fn some(bytes: Bytes) -> String {
    if bytes.0 == 0 { "–".to_owned() } else { bytes.to_string() }
}

fn percent(part: Bytes, whole: Bytes) -> f64 {
    if whole.0 == 0 { 0.0 } else { part.0 as f64 * 100.0 / whole.0 as f64 }
}

/// A share in percent, with a bar as long as it is of the largest.
fn share(part: Bytes, whole: Bytes, most: Bytes, bars: bool) -> String {
    let number = format!("{:.1}%", percent(part, whole));
    if bars { format!("{number:>6} {}", bar(part, most)) } else { number }
}

/// Eighths of a character, as block elements draw them.
fn bar(part: Bytes, most: Bytes) -> String {
    let eighths = (percent(part, most) * (BAR * 8) as f64 / 100.0).round() as usize;
    let last = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{last}", "█".repeat(eighths / 8))
}

/// The first characters of a text.
fn shortened(text: &str) -> String {
    shortened_to(text, INSTRUCTION)
}

/// Whoever made an image chose its names: nothing in them shall move a cursor or break a row.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The first `most` characters of a text, with a sign where there are more.
pub fn shortened_to(text: &str, most: usize) -> String {
    let text = &plain(text);
    if text.chars().count() <= most {
        return text.clone();
    }
    let start: String = text.chars().take(most - 1).collect();
    format!("{}…", start.trim_end())
}

/// The last characters of a path: its end tells more than its beginning.
pub fn end_of(path: &str) -> String {
    let path = &plain(path);
    let length = path.chars().count();
    if length <= INSTRUCTION {
        return path.clone();
    }
    format!("…{}", path.chars().skip(length + 1 - INSTRUCTION).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(Bytes(100), Bytes(100)).chars().count(), BAR);
        assert_eq!(bar(Bytes(1), Bytes(4)), "█████");
        assert_eq!(bar(Bytes(0), Bytes(0)), "");
        assert_eq!(bar(Bytes(3), Bytes(160)), "▍");
    }

    #[test]
    fn long_texts_are_cut_where_they_tell_least() {
        let long = "ä".repeat(80);
        assert_eq!(shortened(&long).chars().count(), INSTRUCTION);
        assert!(end_of(&format!("{long}/file.so")).ends_with("/file.so"));
        assert_eq!(end_of("a/b"), "a/b");
        assert_eq!(end_of("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\u{fffd}c");
    }
}
