//! The outcome of a diet, as text, Markdown and JSON.

use serde::{Deserialize, Serialize};

use contents::owner::OwnerKind;
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;
use model::bytes::Bytes;
use model::variant::Variant;

/// The version of [`DietReport`].
pub const SCHEMA: u32 = 1;

/// The files that an image can do without, as proven by trials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DietReport {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// The service.
    pub service: String,
    /// The variant.
    pub variant: Variant,
    /// The image's reference.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// Its unpacked bytes.
    pub before: Bytes,
    /// Bytes of the files that were opened at least once.
    pub opened: Bytes,
    /// Bytes of the proven trial image.
    pub after: Bytes,
    /// Number of images tried.
    pub trials: usize,
    /// Number of stacks started for them and for the untouched image.
    pub stacks: usize,
    /// Duration of the whole diet.
    pub seconds: u64,
    /// The services and scenarios run in each stack, with the number of their probes.
    pub asked: Vec<(String, usize)>,
    /// What can go, by owner, largest first.
    pub goes: Vec<OwnerThatGoes>,
    /// What stays, by owner, largest first.
    pub stays: Vec<OwnerThatStays>,
    /// What was not proven, and why.
    pub unproven: Vec<String>,
}

/// Files of an owner that can go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerThatGoes {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name and version.
    pub owner: String,
    /// The bytes that can go.
    pub bytes: Bytes,
    /// Whether nothing of it stays.
    pub whole: bool,
    /// The change to make.
    pub change: String,
    /// The Dockerfile line, else the instruction, that added most of its bytes.
    pub place: String,
}

/// Files of an owner that stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerThatStays {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name and version.
    pub owner: String,
    /// The bytes that stay.
    pub bytes: Bytes,
    /// Why: the phase or probe that opened it, the probe that failed without it, or a rule.
    pub because: String,
}

/// A report and the maximum length of its tables.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct DietView<'r> {
    /// The report.
    pub report: &'r DietReport,
    /// Maximum rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for DietView<'_> {
    fn text(&self) -> String {
        let (goes, more) = self.goes();
        let (stays, rest) = self.stays();
        format!(
            "{}\n\nCan go\n{}{more}\nStays\n{}{rest}{}",
            self.heading(),
            goes.text(),
            stays.text(),
            self.notes()
        )
    }

    fn markdown(&self) -> String {
        let (goes, more) = self.goes();
        let (stays, rest) = self.stays();
        format!(
            "### {}\n\n**Can go**\n\n{}{more}\n**Stays**\n\n{}{rest}{}",
            self.heading(),
            goes.markdown(),
            stays.markdown(),
            self.notes()
        )
    }
}

impl DietView<'_> {
    fn heading(&self) -> String {
        let DietReport { image, before, after, opened, trials, stacks, seconds, .. } = self.report;
        format!(
            "{image}: {before}, proven trial image {after} (files ever opened: {opened}); {trials} trials, {stacks} stacks, \
             {seconds} s"
        )
    }

    fn goes(&self) -> (Table, String) {
        let mut table = Table::new(&[
            ("bytes", Right),
            ("kind", Left),
            ("owner", Left),
            ("change", Left),
            ("from", Left),
        ]);
        let all = &self.report.goes;
        for row in all.iter().take(self.top) {
            let owner = if row.whole { row.owner.clone() } else { format!("{} (a part)", row.owner) };
            table.row(vec![
                row.bytes.to_string(),
                row.kind.to_string(),
                owner,
                row.change.clone(),
                row.place.clone(),
            ]);
        }
        (table, more(all.iter().map(|row| row.bytes), self.top))
    }

    fn stays(&self) -> (Table, String) {
        let mut table = Table::new(&[("bytes", Right), ("kind", Left), ("owner", Left), ("because", Left)]);
        let all = &self.report.stays;
        for row in all.iter().take(self.top) {
            table.row(vec![
                row.bytes.to_string(),
                row.kind.to_string(),
                row.owner.clone(),
                row.because.clone(),
            ]);
        }
        (table, more(all.iter().map(|row| row.bytes), self.top))
    }

    fn notes(&self) -> String {
        let asked = self.report.asked.iter().map(|(name, probes)| format!("{name} ({probes} probes)"));
        let mut out = format!("\nAsked in every trial: {}.\n", asked.collect::<Vec<_>>().join(", "));
        for note in &self.report.unproven {
            out.push_str(&format!("Not proven: {note}\n"));
        }
        out
    }
}

fn more(bytes: impl Iterator<Item = Bytes>, top: usize) -> String {
    let rest: Vec<Bytes> = bytes.skip(top).collect();
    match rest.len() {
        0 => String::new(),
        count => format!("and {count} more owners with {}\n", rest.into_iter().sum::<Bytes>()),
    }
}
