//! Tables for people, in plain text and in Markdown.

/// Which side of a column its cells stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table: headings with their alignment, and rows of as many cells.
#[derive(Debug, Clone, Default)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    pub fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Aligned text without a trailing space on any line.
    pub fn text(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|(name, _)| name.to_uppercase()).collect();
        let width = |index: usize| {
            let cells = self.rows.iter().chain(std::iter::once(&head)).filter_map(|row| row.get(index));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &Vec<String>| {
            let padded =
                cells.iter().zip(&widths).zip(&self.columns).map(
                    |((cell, &width), (_, align))| match align {
                        Align::Left => format!("{cell:<width$}"),
                        Align::Right => format!("{cell:>width$}"),
                    },
                );
            format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
        };
        std::iter::once(&head).chain(&self.rows).map(line).collect()
    }

    /// A table of GitHub Flavored Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut out = line(self.columns.iter().map(|(name, _)| (*name).to_owned()).collect());
        let rule = |align: &Align| if *align == Align::Right { "---:" } else { "---" }.to_owned();
        out.push_str(&line(self.columns.iter().map(|(_, align)| rule(align)).collect()));
        for row in &self.rows {
            out.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_no_line_ends_in_space() {
        let mut table = Table::new(&[("name", Align::Left), ("size", Align::Right), ("note", Align::Left)]);
        table.row(vec!["api".into(), "39MB".into(), String::new()]);
        table.row(vec!["storage".into(), "8.1MB".into(), "a|b".into()]);
        assert_eq!(table.text(), "NAME      SIZE  NOTE\napi       39MB\nstorage  8.1MB  a|b\n");
        assert!(table.markdown().ends_with("| storage | 8.1MB | a\\|b |\n"));
    }
}
