//! The contents of an image as text, Markdown and JSON.

use serde::Serialize;

use crate::cells::{end_of, files, size, start_of};
use crate::record::{Contents, Layer, short_digest};
use crate::tree::Hidden;
use host::printable::line;
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;
use model::bytes::Bytes;

/// The width of a full bar.
const BAR: usize = 20;
/// How much of a name or an instruction fits into a row.
const WIDTH: usize = 60;
/// Maximum number of programs and archives to show, and of rows for each.
const MAX_INSIDE: usize = 10;
/// Most rows of duplicates, whatever `top` is.
const MAX_DUPLICATES: usize = 10;

/// A record with the length of its tables. JSON contains every owner, and sizes as exact integers.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct ContentsView<'c> {
    /// The record.
    pub contents: &'c Contents,
    /// Most rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for ContentsView<'_> {
    fn text(&self) -> String {
        let mut out = format!("{}\n", self.heading());
        for part in self.parts(true) {
            out.push_str(&format!("\n{}\n{}", part.title, part.table.text()));
            out.push_str(&part.rest.map(|rest| format!("{rest}\n")).unwrap_or_default());
        }
        out.push_str(&self.opportunities());
        format!("{out}\n{}\n{}", self.sum(), self.notes())
    }

    fn markdown(&self) -> String {
        let mut out = format!("### {}\n", self.heading());
        for part in self.parts(false).into_iter().chain(self.opportunity_table()) {
            out.push_str(&format!("\n**{}**\n\n{}", part.title, part.table.markdown()));
            out.push_str(&part.rest.map(|rest| format!("\n{rest}\n")).unwrap_or_default());
        }
        format!("{out}\n{}\n\n{}", self.sum(), self.notes()).trim_end().to_owned() + "\n"
    }
}

struct Part {
    title: String,
    table: Table,
    rest: Option<String>,
}

impl ContentsView<'_> {
    fn heading(&self) -> String {
        let Contents { image, id, platform, bytes, .. } = self.contents;
        format!("{image} ({}, {platform}): {bytes}", short_digest(id))
    }

    fn sum(&self) -> String {
        let Contents { owners, waste, bytes, surface, .. } = self.contents;
        let owned: Bytes = owners.iter().map(|owner| owner.bytes).sum();
        format!(
            "Owners {owned} + hidden {} = {bytes}, {:.2}% unowned. {} packages, {} executables, {} setuid files.",
            waste.bytes,
            percent(self.contents.unowned(), *bytes),
            surface.packages,
            surface.executables,
            surface.setuid
        )
    }

    fn parts(&self, bars: bool) -> Vec<Part> {
        let mut parts = vec![self.layers(bars), self.owners(bars)];
        parts.extend(self.inside());
        parts.extend(self.unowned(bars));
        if self.contents.waste.bytes.0 > 0 {
            parts.push(self.waste());
        }
        if !self.contents.duplicates.largest.is_empty() {
            parts.push(self.duplicates());
        }
        parts
    }

    fn layers(&self, bars: bool) -> Part {
        let mut table =
            Table::new(&[("layer", Right), ("bytes", Right), ("", Left), ("hidden", Right), ("from", Left)]);
        let most = self.contents.layers.iter().map(|layer| layer.bytes).max().unwrap_or_default();
        for (index, layer) in self.contents.layers.iter().enumerate() {
            table.row(vec![
                index.to_string(),
                layer.bytes.to_string(),
                share(layer.bytes, self.contents.bytes, most, bars),
                size(layer.wasted),
                from(layer),
            ]);
        }
        Part { title: "Layers, base first".to_owned(), table, rest: None }
    }

    fn owners(&self, bars: bool) -> Part {
        let owners = &self.contents.owners;
        let mut table = Table::new(&[
            ("bytes", Right),
            ("", Left),
            ("kind", Left),
            ("owner", Left),
            ("files", Right),
            ("layer", Right),
            ("largest file", Left),
        ]);
        let most = owners.iter().map(|owner| owner.bytes).max().unwrap_or_default();
        for owner in owners.iter().take(self.top) {
            table.row(vec![
                owner.bytes.to_string(),
                share(owner.bytes, self.contents.bytes, most, bars),
                owner.kind.to_string(),
                start_of(&owner.label(), WIDTH),
                owner.files.to_string(),
                owner.main_layer().map(|layer| layer.to_string()).unwrap_or_default(),
                owner.largest.first().map(|file| end_of(&file.path)).unwrap_or_default(),
            ]);
        }
        let rest = owners.get(self.top..).unwrap_or_default();
        let bytes: Bytes = rest.iter().map(|owner| owner.bytes).sum();
        let rest = (!rest.is_empty()).then(|| format!("and {} more owners with {bytes}", rest.len()));
        Part { title: "Owners".to_owned(), table, rest }
    }

    /// What the largest programs and archives contain. Their bytes count once, with the owner.
    fn inside(&self) -> Option<Part> {
        let mut table = Table::new(&[("bytes", Right), ("inside", Left), ("owner", Left)]);
        let owners = self.contents.owners.iter().take(self.top).filter(|owner| owner.inside.len() > 1);
        let owners: Vec<_> = owners.take(MAX_INSIDE).collect();
        for owner in &owners {
            for inside in owner.inside.iter().take(self.top.min(MAX_INSIDE)) {
                let bytes = Bytes(inside.bytes).to_string();
                table.row(vec![bytes, end_of(&inside.name), start_of(&owner.label(), WIDTH)]);
            }
        }
        let title =
            "Inside programs and archives: machine code by crate or Go package, nested archives".to_owned();
        (!owners.is_empty()).then_some(Part { title, table, rest: None })
    }

    fn unowned(&self, bars: bool) -> Option<Part> {
        let unowned = &self.contents.unowned;
        let mut table = Table::new(&[("bytes", Right), ("", Left), ("files", Right), ("folder", Left)]);
        let most = unowned.first().map(|folder| folder.bytes).unwrap_or_default();
        for folder in unowned.iter().take(self.top) {
            table.row(vec![
                folder.bytes.to_string(),
                share(folder.bytes, self.contents.unowned(), most, bars),
                folder.files.to_string(),
                format!("/{}", folder.path),
            ]);
        }
        let (bytes, count) = (self.contents.unowned(), unowned.iter().map(|folder| folder.files).sum());
        let title = format!("Without an owner: {bytes} in {}", files(count));
        (bytes.0 > 0).then_some(Part { title, table, rest: None })
    }

    /// Files that could not be read, one a line.
    fn notes(&self) -> String {
        let notes = self.contents.notes.iter();
        notes.map(|note| format!("note: {}\n", line(&format!("/{}: {}", note.path, note.note)))).collect()
    }

    fn waste(&self) -> Part {
        let waste = &self.contents.waste;
        let mut table =
            Table::new(&[("bytes", Right), ("layer", Right), ("hidden by", Left), ("file", Left)]);
        for file in waste.largest.iter().take(self.top) {
            let how = match file.how {
                Hidden::Overwritten if file.rewritten => "same content",
                Hidden::Overwritten => "overwritten",
                Hidden::Deleted => "deleted",
            };
            let by = format!("{}, {how}", file.by);
            table.row(vec![file.bytes.to_string(), file.layer.to_string(), by, end_of(&file.path)]);
        }
        let title = format!("Hidden by later layers: {} in {}", waste.bytes, files(waste.files));
        Part { title, table, rest: None }
    }

    fn duplicates(&self) -> Part {
        let duplicates = &self.contents.duplicates;
        let mut table =
            Table::new(&[("extra", Right), ("each", Right), ("first path", Left), ("second path", Left)]);
        for group in duplicates.largest.iter().take(self.top.min(MAX_DUPLICATES)) {
            let path = |index: usize| group.paths.get(index).map(|path| end_of(path)).unwrap_or_default();
            table.row(vec![group.extra.to_string(), group.each.to_string(), path(0), path(1)]);
        }
        let title = format!("Duplicates: {} in {}", duplicates.bytes, files(duplicates.files));
        Part { title, table, rest: None }
    }

    fn opportunities_title(&self) -> String {
        let bytes: Bytes = self.contents.opportunities.iter().map(|found| found.bytes).sum();
        format!("Opportunities: {bytes}, each byte counted once")
    }

    /// Reasons are too long for columns.
    fn opportunities(&self) -> String {
        if self.contents.opportunities.is_empty() {
            return String::new();
        }
        let mut out = format!("\n{}\n", self.opportunities_title());
        for found in &self.contents.opportunities {
            let largest = found.largest.first().map(|file| end_of(&file.path)).unwrap_or_default();
            out.push_str(&format!(
                "{:>7}  {} ({}, largest {largest}): {}\n         help: {}\n",
                found.bytes.to_string(),
                found.kind.words(),
                files(found.files),
                found.reason,
                found.remedy
            ));
        }
        out
    }

    fn opportunity_table(&self) -> Option<Part> {
        let mut table =
            Table::new(&[("bytes", Right), ("files", Right), ("what", Left), ("why", Left), ("help", Left)]);
        for found in &self.contents.opportunities {
            let (bytes, files) = (found.bytes.to_string(), found.files.to_string());
            let kind = found.kind.words().to_owned();
            table.row(vec![bytes, files, kind, found.reason.clone(), found.remedy.clone()]);
        }
        let title = self.opportunities_title();
        (!self.contents.opportunities.is_empty()).then_some(Part { title, table, rest: None })
    }
}

/// The place that a layer comes from, with its instruction.
fn from(layer: &Layer) -> String {
    let Some(origin) = &layer.origin else { return start_of(&layer.place(), WIDTH) };
    let stage = origin.from.as_ref().map(|stage| format!(" (stage {stage})")).unwrap_or_default();
    let instruction = layer.instruction.as_deref().unwrap_or_default();
    format!("{}:{}  {}{stage}", origin.file, origin.line, start_of(instruction, WIDTH))
}

fn percent(part: Bytes, whole: Bytes) -> f64 {
    if whole.0 == 0 { 0.0 } else { part.0 as f64 * 100.0 / whole.0 as f64 }
}

/// A share in percent, with a bar in proportion to the largest part.
fn share(part: Bytes, whole: Bytes, most: Bytes, bars: bool) -> String {
    let number = format!("{:.1}%", percent(part, whole));
    if bars { format!("{number:>6} {}", bar(part, most)) } else { number }
}

/// Block elements, in eighths of a character.
fn bar(part: Bytes, most: Bytes) -> String {
    let eighths = (percent(part, most) * (BAR * 8) as f64 / 100.0).round() as usize;
    let last = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    format!("{}{last}", "█".repeat(eighths / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar(Bytes(100), Bytes(100)).chars().count(), BAR);
        assert_eq!(bar(Bytes(1), Bytes(4)), "█████");
        assert_eq!(bar(Bytes(0), Bytes(0)), "");
        assert_eq!(bar(Bytes(3), Bytes(160)), "▍");
    }
}
