//! The estimate as text, Markdown and JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Estimate, LockFileChange, PackageChange, PackageVersion};
use contents::difference::signed;
use host::plural::count;
use host::printable::{line, markdown};
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;

/// How many characters of a name or a version fit into a row.
const WIDTH: usize = 60;

/// An estimate with the length of its tables. JSON contains every package.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct EstimateView<'e> {
    /// The estimate.
    pub estimate: &'e Estimate,
    /// Most rows of a table.
    #[serde(skip)]
    pub top: usize,
}

impl Render for EstimateView<'_> {
    fn text(&self) -> String {
        let mut out = String::new();
        for file in &self.estimate.files {
            writeln!(out, "{} ({}): {}", line(&file.file), file.services.join(", "), line(&summary(file)))
                .ok();
            if !file.packages.is_empty() {
                write!(out, "{}{}", self.table(file).text(), self.rest(file)).ok();
            }
            out.push('\n');
        }
        out + &self.source() + "\n"
    }

    fn markdown(&self) -> String {
        let mut out = String::from("### Changed lock files\n");
        for file in &self.estimate.files {
            let name = line(&file.file).replace('`', "'");
            writeln!(out, "\n`{name}` ({}): {}", file.services.join(", "), markdown(&summary(file))).ok();
            if !file.packages.is_empty() {
                write!(out, "\n{}", self.table(file).markdown()).ok();
            }
            if !self.rest(file).is_empty() {
                write!(out, "\n{}", self.rest(file)).ok();
            }
        }
        out + "\n" + &self.source() + "\n"
    }
}

impl EstimateView<'_> {
    fn table(&self, file: &LockFileChange) -> Table {
        let mut table = Table::new(&[
            ("change", Right),
            ("package", Left),
            ("before", Left),
            ("after", Left),
            ("size before", Right),
            ("size after", Right),
        ]);
        for change in file.packages.iter().take(self.top) {
            table.row(vec![
                change.bytes().map_or_else(|| "unknown".to_owned(), signed),
                name(change),
                version(change.before.as_ref()),
                version(change.after.as_ref()),
                size(change.before.as_ref()),
                size(change.after.as_ref()),
            ]);
        }
        table
    }

    fn rest(&self, file: &LockFileChange) -> String {
        let more = file.packages.len().saturating_sub(self.top);
        if more == 0 { String::new() } else { format!("and {}\n", count(more, "more package")) }
    }

    fn has_published(&self) -> bool {
        let packages = self.estimate.files.iter().flat_map(|file| &file.packages);
        let mut versions = packages.flat_map(|change| [&change.before, &change.after]).flatten();
        versions.any(|version| version.published.is_some())
    }

    fn source(&self) -> String {
        format!(
            "Sizes are those of the same versions in images tagged {}{}; a packed size is that of a download.",
            self.estimate.tag,
            if self.has_published() { ", or of the published packages" } else { "" }
        )
    }
}

/// `2 added, 1 removed. Known change: −1.4MB; unknown for 2 packages.`
fn summary(file: &LockFileChange) -> String {
    if let Some(why) = &file.not_read {
        return format!("not read: {why}");
    }
    let number = |is: fn(&PackageChange) -> bool| file.packages.iter().filter(|change| is(change)).count();
    let numbers = [
        (number(|change| change.before.is_none()), "added"),
        (number(|change| change.after.is_none()), "removed"),
        (number(|change| change.before.is_some() && change.after.is_some()), "updated"),
    ];
    let numbers =
        numbers.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    let known: Vec<i64> = file.packages.iter().filter_map(PackageChange::bytes).collect();
    let unknown = file.packages.len() - known.len();
    let sum = signed(known.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes)));
    let sizes = match (known.len(), unknown) {
        (0, _) => "The change in size is unknown".to_owned(),
        (_, 0) => format!("Estimated change: {sum}"),
        (_, unknown) => format!("Known change: {sum}; unknown for {}", count(unknown, "package")),
    };
    format!("{}. {sizes}.", numbers.collect::<Vec<_>>().join(", "))
}

fn name(change: &PackageChange) -> String {
    shortened(&change.name)
}

fn version(version: Option<&PackageVersion>) -> String {
    let Some(PackageVersion { version, development, .. }) = version else { return "–".to_owned() };
    let version = if version.is_empty() { "any" } else { version };
    shortened(version) + if *development { " (dev)" } else { "" }
}

fn size(version: Option<&PackageVersion>) -> String {
    let Some(version) = version else { return "–".to_owned() };
    match (version.unpacked(), version.download) {
        (Some(bytes), _) => bytes.to_string(),
        (None, Some(size)) if size.smallest == size.largest => format!("{} packed", size.largest),
        (None, Some(size)) => format!("{}–{} packed", size.smallest, size.largest),
        (None, None) => "unknown".to_owned(),
    }
}

/// Names come from untrusted files.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DownloadSize, InstalledSize};
    use super::*;
    use contents::owner::OwnerKind;
    use model::bytes::Bytes;

    fn version(version: &str, bytes: Option<u64>) -> Option<PackageVersion> {
        let installed = bytes.map(|bytes| InstalledSize { bytes: Bytes(bytes), image: "api:1".into() });
        Some(PackageVersion {
            version: version.into(),
            exact: true,
            development: false,
            installed,
            published: None,
            download: None,
        })
    }

    fn change(name: &str, before: Option<PackageVersion>, after: Option<PackageVersion>) -> PackageChange {
        PackageChange { kind: OwnerKind::Npm, name: name.into(), before, after }
    }

    fn estimate(packages: Vec<PackageChange>, not_read: Option<&str>) -> Estimate {
        let file = LockFileChange {
            file: "a*b/package-lock.json".into(),
            services: vec!["api".into(), "nlg".into()],
            not_read: not_read.map(str::to_owned),
            packages,
        };
        Estimate { schema: 1, since: "0".repeat(40), tag: "latest".into(), files: vec![file] }
    }

    #[test]
    fn only_known_sizes_are_numbers() {
        let download = DownloadSize { smallest: Bytes(1_000_000), largest: Bytes(2_000_000) };
        let packed = Some(PackageVersion {
            download: Some(download),
            development: true,
            ..version("1", None).unwrap()
        });
        let estimate = estimate(
            vec![
                change("new", None, packed),
                change("gone", version("1.0", Some(5_000_000)), None),
                change("updated", version("", Some(3_000_000)), version("2", None)),
            ],
            None,
        );
        let text = EstimateView { estimate: &estimate, top: 20 }.text();
        let source = "Sizes are those of the same versions in images tagged latest; a packed size is that of a download.\n";
        assert_eq!(
            text,
            "a*b/package-lock.json (api, nlg): 1 added, 1 removed, 1 updated. Known change: −5MB; unknown for 2 packages.\n \
             CHANGE  PACKAGE  BEFORE  AFTER    SIZE BEFORE      SIZE AFTER\n\
             unknown  new      –       1 (dev)            –  1MB–2MB packed\n   \
             −5MB  gone     1.0     –                5MB               –\n\
             unknown  updated  any     2                3MB         unknown\n\n"
                .to_owned()
                + source
        );
        let text = EstimateView { estimate: &estimate, top: 2 }.markdown();
        assert_eq!(
            text,
            "### Changed lock files\n\n\
             `a*b/package-lock.json` (api, nlg): 1 added, 1 removed, 1 updated. Known change: −5MB; unknown for 2 packages.\n\n\
             | change | package | before | after | size before | size after |\n\
             | ---: | --- | --- | --- | ---: | ---: |\n\
             | unknown | new | – | 1 (dev) | – | 1MB–2MB packed |\n\
             | −5MB | gone | 1.0 | – | 5MB | – |\n\n\
             and 1 more package\n\n"
                .to_owned()
                + source
        );
    }

    #[test]
    fn untrusted_names_stay_in_their_cells() {
        let hostile = format!("[x](https://h)|`\n## {}", "y".repeat(100));
        let estimate =
            estimate(vec![change(&hostile, version("<img src=x>\u{202e}", None), None)], Some("<b>\n# x"));
        let text = EstimateView { estimate: &estimate, top: 9 }.markdown();
        assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 1, "{text}");
        for part in ["<img", "<b>", "\u{202e}", " [x]", &"y".repeat(60)] {
            assert!(!text.contains(part), "{part} is in {text}");
        }
    }
}
