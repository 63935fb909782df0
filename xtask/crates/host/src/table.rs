//! Tables in plain text and in Markdown.

use unicode_width::UnicodeWidthStr;

use crate::printable;

/// How the cells of a column are aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// For text.
    Left,
    /// For numbers.
    Right,
}

/// A table. Every row has one cell per column. Cells may contain untrusted text.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        // A line break or control character would break the layout.
        self.rows.push(cells.iter().map(|cell| printable::line(cell)).collect());
    }

    /// Aligned by display width, without trailing spaces.
    pub fn text(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        let width = |index: usize| {
            let cells = self.rows.iter().chain(std::iter::once(&head)).filter_map(|row| row.get(index));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let padded = cells.iter().zip(&widths).zip(&self.columns).map(|((cell, width), (_, align))| {
                let space = " ".repeat(width.saturating_sub(cell.width()));
                match align {
                    Align::Left => format!("{cell}{space}"),
                    Align::Right => format!("{space}{cell}"),
                }
            });
            format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        std::iter::once(&head).chain(&self.rows).map(line).collect()
    }

    /// GitHub Flavored Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.columns.iter().map(|(name, _)| (*name).to_owned()).collect());
        let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" }.to_owned();
        out.push_str(&line(self.columns.iter().map(|(_, align)| rule(align)).collect()));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|cell| escaped(cell)).collect()));
        }
        out
    }
}

/// Escapes HTML, links, code spans and column separators.
fn escaped(cell: &str) -> String {
    cell.replace('|', "\\|").replace('`', "\\`").replace('[', "\\[").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_display_width() {
        let mut table = Table::new(&[("name", Align::Left), ("size", Align::Right), ("note", Align::Left)]);
        table.row(vec!["api".into(), "39MB".into(), String::new()]);
        table.row(vec!["storage".into(), "8.1MB".into(), "a|b".into()]);
        assert_eq!(table.text(), "NAME      SIZE  NOTE\napi       39MB\nstorage  8.1MB  a|b\n");
        table.row(vec!["東京".into(), "1MB".into(), "c".into()]);
        assert!(table.text().ends_with("東京       1MB  c\n"));
        assert!(table.markdown().contains("| storage | 8.1MB | a\\|b |\n"));
    }

    #[test]
    fn text_from_outside_stays_in_its_cell() {
        let mut table = Table::new(&[("file", Align::Left), ("size", Align::Right)]);
        table.row(vec!["<img>|`x`\n\u{1b}[2J".into(), "1".into()]);
        assert_eq!(table.text(), "FILE                  SIZE\n<img>|`x`\\n\\u{1b}[2J     1\n");
        assert!(
            table.markdown().ends_with("| &lt;img>\\|\\`x\\`\\n\\u{1b}\\[2J | 1 |\n"),
            "{}",
            table.markdown()
        );
    }
}
