//! The use of an image as text and Markdown.

use serde::Serialize;

use crate::cells::{size, start_of};
use crate::owner::label;
use crate::record::short_digest;
use crate::use_shares::{ImageUse, UsedBytes};
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;
use model::bytes::Bytes;

/// Maximum length of a name in a row.
const WIDTH: usize = 60;
/// Maximum owners listed for one probe.
const MAX_NAMED: usize = 3;
/// The limits of the method.
const LIMITS: &str = "An open counts, since mapped files are not read with read(2). Not seen: stat, directory listings, parts of zip files,\n\
    and whether a mapped file that was opened at the start is used later.";
/// Harter et al., "Slacker: Fast Distribution with Lazy Docker Containers", FAST 2016.
const PUBLISHED: &str = "6.4%";

/// The use of an image, and the maximum length of its tables.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct UseView<'u> {
    /// The use.
    pub usage: &'u ImageUse,
    /// Maximum rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for UseView<'_> {
    fn text(&self) -> String {
        let mut out = format!("{}\n\n{}", self.heading(), self.owners().text());
        out.push_str(&self.rest());
        if !self.usage.probes.is_empty() {
            out.push_str(&format!("\nOpened by one probe only\n{}", self.probes().text()));
        }
        format!("{out}\n{}\n{LIMITS}\n", self.summary())
    }

    fn markdown(&self) -> String {
        let mut out = format!("### {}\n\n{}", self.heading(), self.owners().markdown());
        out.push_str(&self.rest());
        if !self.usage.probes.is_empty() {
            out.push_str(&format!("\n**Opened by one probe only**\n\n{}", self.probes().markdown()));
        }
        format!("{out}\n{}\n\n{LIMITS}\n", self.summary())
    }
}

impl UseView<'_> {
    fn heading(&self) -> String {
        let ImageUse { subject, image, id, bytes, .. } = self.usage;
        let name = if subject == image { String::new() } else { format!("{subject}: ") };
        format!("{name}{image} ({}), {}", short_digest(id), bytes.all())
    }

    /// One sentence with the total shares.
    pub fn summary(&self) -> String {
        let UsedBytes { never, start_only, start_and_later, idle, probes, stop } = self.usage.bytes;
        let all = self.usage.bytes.all();
        let share = |bytes: Bytes| format!("{bytes} ({})", percent(bytes, all));
        let opened = self.usage.bytes.opened();
        let mut parts = vec![
            format!("only at the start {}", share(start_only)),
            format!("at the start and later {}", share(start_and_later)),
            format!("first by a probe {}", share(probes)),
        ];
        for (name, bytes) in [("first while idle", idle), ("only while stopping", stop)] {
            if bytes.0 > 0 {
                parts.push(format!("{name} {}", share(bytes)));
            }
        }
        format!(
            "Opened: {} of {all}: {}. Never opened: {}. Published for other images: {PUBLISHED} read at the start (Slacker, FAST 2016).",
            share(opened),
            parts.join(", "),
            share(never)
        )
    }

    fn owners(&self) -> Table {
        let mut table = Table::new(&[
            ("never", Right),
            ("opened", Right),
            ("", Right),
            ("start only", Right),
            ("and later", Right),
            ("idle", Right),
            ("probes", Right),
            ("stop", Right),
            ("kind", Left),
            ("owner", Left),
        ]);
        for owner in self.usage.owners.iter().take(self.top) {
            let bytes = owner.bytes;
            let label = label(&owner.name, owner.version.as_deref());
            table.row(vec![
                size(bytes.never),
                size(bytes.opened()),
                percent(bytes.opened(), bytes.all()),
                size(bytes.start_only),
                size(bytes.start_and_later),
                size(bytes.idle),
                size(bytes.probes),
                size(bytes.stop),
                owner.kind.to_string(),
                start_of(&label, WIDTH),
            ]);
        }
        table
    }

    /// What the table of owners leaves out.
    fn rest(&self) -> String {
        let rest = self.usage.owners.get(self.top..).unwrap_or_default();
        if rest.is_empty() {
            return String::new();
        }
        let never: Bytes = rest.iter().map(|owner| owner.bytes.never).sum();
        format!("and {} more owners with {never} that were never opened\n", rest.len())
    }

    fn probes(&self) -> Table {
        let mut table =
            Table::new(&[("bytes", Right), ("files", Right), ("probe", Left), ("largest owners", Left)]);
        for probe in self.usage.probes.iter().take(self.top) {
            let named = probe.owners.iter().take(MAX_NAMED).map(|(name, bytes)| format!("{name} {bytes}"));
            let more = probe.owners.len().saturating_sub(MAX_NAMED);
            let more = (more > 0).then(|| format!("{more} more"));
            table.row(vec![
                probe.bytes.to_string(),
                probe.files.to_string(),
                start_of(&format!("{} · {}", probe.group, probe.probe), WIDTH),
                named.chain(more).collect::<Vec<_>>().join(", "),
            ]);
        }
        table
    }
}

/// A share in percent; a dash if the total is 0.
fn percent(part: Bytes, whole: Bytes) -> String {
    if whole.0 == 0 { "–".to_owned() } else { format!("{:.1}%", part.0 as f64 * 100.0 / whole.0 as f64) }
}
