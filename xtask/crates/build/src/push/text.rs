//! A push as table, Markdown and JSON.

use crate::push::report::Report;
use host::table::{Align, Table};

/// For a terminal.
pub fn text(report: &Report) -> String {
    table(report).text()
}

/// For a pull request.
pub fn markdown(report: &Report) -> String {
    table(report).markdown()
}

/// For programs.
///
/// # Errors
/// Never for a report that this program made.
pub fn json(report: &Report) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(report)? + "\n")
}

fn table(report: &Report) -> Table {
    let mut table = Table::new(&[
        ("image", Align::Left),
        ("digest", Align::Left),
        ("state", Align::Left),
        ("tries", Align::Right),
    ]);
    for row in &report.images {
        table.row(vec![
            row.reference.to_string(),
            row.digest.clone().unwrap_or_else(|| "–".into()),
            row.state.words().into(),
            row.tries.to_string(),
        ]);
    }
    table
}
