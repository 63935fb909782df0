//! What a verification found.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use host::failure::{Failure, FailureClass};
use host::plural::count;
use host::render::Render;
use host::table::{Align, Table};

/// The result of a verification.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    /// Version of this format.
    pub schema: u32,
    /// The images; for an index, the index and each of its images.
    pub images: Vec<VerifiedImage>,
}

/// One image.
#[derive(Debug, Serialize)]
pub struct VerifiedImage {
    /// The reference that was requested.
    pub reference: String,
    /// The digest of the image's manifest; `None` if the registry does not have it.
    pub digest: Option<String>,
    /// The platform, for an image in an index.
    pub platform: Option<String>,
    /// The number of components in its bill of materials.
    pub components: Option<usize>,
    /// The commit in its provenance.
    pub commit: Option<String>,
    /// Faults and their fixes; empty if the image is verified.
    pub faults: Vec<Fault>,
}

/// A fault of an image.
#[derive(Debug, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub help: String,
}

impl VerifiedImage {
    /// Adds a fault.
    pub(super) fn fault(&mut self, what: String, help: &str) {
        self.faults.push(Fault { what, help: help.to_owned() });
    }
}

impl VerifyReport {
    /// Fails if an image has a fault.
    ///
    /// # Errors
    /// All faults in one message.
    pub fn check(&self) -> Result<()> {
        let mut lines = Vec::new();
        for image in &self.images {
            for fault in &image.faults {
                lines.push(format!("{image}: {}\nhelp: {}", fault.what, fault.help));
            }
        }
        match lines.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(FailureClass::Failed, lines.join("\n"), "").into()),
        }
    }

    fn table(&self) -> Table {
        let columns = [
            ("image", Align::Left),
            ("platform", Align::Left),
            ("digest", Align::Left),
            ("components", Align::Right),
            ("commit", Align::Left),
            ("verified", Align::Left),
        ];
        let mut table = Table::new(&columns);
        let shown = |text: Option<&str>| text.unwrap_or("–").to_owned();
        for image in &self.images {
            table.row(vec![
                image.reference.clone(),
                shown(image.platform.as_deref()),
                shown(image.digest.as_deref()),
                image.components.map_or_else(|| "–".to_owned(), |number| number.to_string()),
                shown(image.commit.as_deref().map(|commit| commit.get(..12).unwrap_or(commit))),
                match image.faults.len() {
                    0 => "yes".to_owned(),
                    faults => format!("NO: {}", count(faults, "fault")),
                },
            ]);
        }
        table
    }
}

impl fmt::Display for VerifiedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)?;
        self.platform.iter().try_for_each(|platform| write!(f, " ({platform})"))
    }
}

impl Render for VerifyReport {
    fn text(&self) -> String {
        self.table().text()
    }

    fn markdown(&self) -> String {
        self.table().markdown()
    }
}
