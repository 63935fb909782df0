//! The output forms of a report. Each crate implements [`Render`] for its own reports; JSON comes from serde.

use serde::Serialize;

/// A report for people and programs. Every form ends with a newline.
pub trait Render: Serialize {
    /// For a terminal.
    fn text(&self) -> String;

    /// For a pull request.
    fn markdown(&self) -> String;

    /// For programs.
    ///
    /// # Errors
    /// When a value has no JSON form.
    fn json(&self) -> serde_json::Result<String> {
        json(self)
    }
}

/// Any record as indented JSON with a final newline.
///
/// # Errors
/// When a value has no JSON form.
pub fn json<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}
