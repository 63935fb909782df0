//! The difference of two images as text, Markdown and JSON.

use serde::Serialize;

use crate::cells::{end_of, size, start_of};
use crate::difference::{Difference, LineChange, OwnerChange, signed};
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;

/// How much of a name or an instruction fits into a row.
const WIDTH: usize = 50;

/// A difference with the length of its tables. JSON contains every change.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct DifferenceView<'d> {
    /// The difference.
    pub difference: &'d Difference,
    /// Most rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for DifferenceView<'_> {
    fn text(&self) -> String {
        let mut out = format!("{}\n", self.heading());
        for (title, table, rows) in self.tables() {
            out.push_str(&format!("\n{title}\n{}", table.text()));
            if rows > self.top {
                out.push_str(&format!("and {} more\n", rows - self.top));
            }
        }
        format!("{out}\n{}\n", self.difference.sentence)
    }

    fn markdown(&self) -> String {
        let mut out = format!("### {}\n", self.heading());
        for (_, table, _) in self.tables() {
            out.push_str(&format!("\n{}", table.markdown()));
        }
        format!("{out}\n{}\n", self.difference.sentence)
    }
}

impl DifferenceView<'_> {
    fn heading(&self) -> String {
        let Difference { before, after, bytes, .. } = self.difference;
        format!("{} {} → {} {}: {}", before.image, before.bytes, after.image, after.bytes, signed(*bytes))
    }

    /// Tables that are not empty, with title and number of rows.
    fn tables(&self) -> Vec<(&'static str, Table, usize)> {
        let Difference { owners, lines, files, .. } = self.difference;
        let tables = [
            ("By owner", self.owners(), owners.len()),
            ("By line", self.lines(), lines.len()),
            ("Same size, but changed", self.files(), files.len()),
        ];
        tables.into_iter().filter(|(.., rows)| *rows > 0).collect()
    }

    fn owners(&self) -> Table {
        let mut table = Table::new(&[
            ("change", Right),
            ("", Left),
            ("kind", Left),
            ("owner", Left),
            ("before", Right),
            ("after", Right),
            ("from", Left),
            ("largest file", Left),
        ]);
        for owner in self.difference.owners.iter().take(self.top) {
            table.row(vec![
                signed(owner.bytes),
                owner.change.name().to_owned(),
                owner.kind.map(|kind| kind.to_string()).unwrap_or_default(),
                start_of(&name(owner), WIDTH),
                size(owner.before),
                size(owner.after),
                owner.place.as_deref().map(|place| start_of(place, WIDTH)).unwrap_or_default(),
                owner.largest.as_deref().map(end_of).unwrap_or_default(),
            ]);
        }
        table
    }

    fn files(&self) -> Table {
        let mut table = Table::new(&[("bytes", Right), ("changed", Left), ("from", Left), ("file", Left)]);
        for file in self.difference.files.iter().take(self.top) {
            let place = file.place.as_deref().map(|place| start_of(place, WIDTH)).unwrap_or_default();
            table.row(vec![file.bytes.to_string(), file.what.clone(), place, end_of(&file.path)]);
        }
        table
    }

    fn lines(&self) -> Table {
        let mut table =
            Table::new(&[("change", Right), ("", Left), ("before", Right), ("after", Right), ("from", Left)]);
        for line in self.difference.lines.iter().take(self.top) {
            let change = line.change.name().to_owned();
            table.row(vec![signed(line.bytes), change, size(line.before), size(line.after), place(line)]);
        }
        table
    }
}

fn name(owner: &OwnerChange) -> String {
    match (&owner.version_before, &owner.version_after) {
        (Some(before), Some(after)) if before != after => format!("{} {before} → {after}", owner.name),
        (Some(version), _) | (None, Some(version)) => format!("{} {version}", owner.name),
        (None, None) => owner.name.clone(),
    }
}

fn place(line: &LineChange) -> String {
    match &line.instruction {
        Some(instruction) if *instruction != line.place => {
            format!("{}  {}", line.place, start_of(instruction, WIDTH))
        }
        _ => start_of(&line.place, 2 * WIDTH),
    }
}
