//! The size lock, `xtask/sizes.lock.toml`: the accepted sizes, one row per image. It is edited in place: comments and rows that
//! do not change keep their bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context as _, Result};
use toml_edit::{Document, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

use crate::report::Place;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;
use model::baseline::Weights;
use model::bytes::Bytes;
use model::edition::Edition;

/// What a new lock starts with.
const HEADER: &str = "\
# Accepted sizes of the optimized images in exact unpacked bytes: the image's own layers (own) and those of its bases (base).
# `cargo xtask check` compares every image with its row. Differences within the step limit (images.toml, [baselines]) change
# nothing here, so many small steps add up until they exceed the limit. Do not edit by hand: rows change only through
# `cargo xtask check --accept --reason \"…\"`.
schema = 1
";

/// Which image a row belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockKey {
    /// The service.
    pub service: String,
    /// The edition as the lock writes it, which may be one that does not exist.
    pub edition: String,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
}

impl LockKey {
    /// The key of an image.
    pub fn of(service: &str, edition: Edition, platform: &str) -> LockKey {
        LockKey { service: service.into(), edition: edition.name().into(), platform: platform.into() }
    }
}

/// An accepted size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockRow {
    /// The accepted bytes.
    pub weights: Weights,
    /// The row's line in the file, from 1.
    pub line: usize,
}

/// A change to a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockChange {
    /// Add or replace the row.
    Set {
        /// The accepted bytes.
        weights: Weights,
        /// Why this size is right.
        reason: String,
        /// The day of acceptance, `2026-01-31`.
        day: String,
    },
    /// Remove the row.
    Remove,
}

/// A size lock as read from disk.
#[derive(Debug, Clone)]
pub struct Lock {
    file: &'static str,
    document: Document<String>,
    /// All rows.
    pub rows: BTreeMap<LockKey, LockRow>,
}

impl Lock {
    /// Reads the repository's lock; a missing file counts as a lock without rows.
    ///
    /// # Errors
    /// A [`Failure`] of class manifest with every fault and its line, or an unreadable file.
    pub fn load(repository: &Repository) -> Result<Lock> {
        let file = repository.sizes_lock_name();
        let bytes = files::read_bytes_if_there(&repository.sizes_lock())?.unwrap_or_else(|| HEADER.into());
        let text = str::from_utf8(&bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            invalid(file, &[(line_at(&valid, Some(valid.len()..valid.len())), "invalid UTF-8".to_owned())])
        })?;
        Ok(Lock::parse(text, file)?)
    }

    /// Parses a lock.
    ///
    /// # Errors
    /// A [`Failure`] of class manifest with every fault and its line.
    pub fn parse(text: &str, file: &'static str) -> Result<Lock, Failure> {
        let document = Document::parse(text.to_owned()).map_err(|error| {
            let line = line_at(text, error.span());
            invalid(file, &[(line, error.message().to_owned())])
        })?;
        let mut reader = RowReader { text, faults: Vec::new(), rows: BTreeMap::new() };
        reader.read(document.as_table());
        let RowReader { faults, rows, .. } = reader;
        if faults.is_empty() { Ok(Lock { file, document, rows }) } else { Err(invalid(file, &faults)) }
    }

    /// The line of a row; of its service's table if the row is missing; else the first line.
    pub fn place(&self, key: &LockKey) -> Place {
        let table = || self.document.as_table().key(&key.service).and_then(Key::span);
        let row = self.rows.get(key).map(|row| row.line);
        let line = row.unwrap_or_else(|| line_at(self.document.raw(), table()));
        Place { file: self.file.to_owned(), line }
    }

    /// The lock's text after some changes. A file with several platforms lists all rows of an edition together.
    ///
    /// # Errors
    /// When a change cannot be written as TOML.
    pub fn edited(&self, changes: &BTreeMap<LockKey, LockChange>) -> Result<String> {
        let mut document = self.document.clone().into_mut();
        // New rows list the smallest edition first.
        let mut ordered: Vec<(&LockKey, &LockChange)> = changes.iter().collect();
        ordered.sort_by_key(|(key, _)| (&key.service, key.edition.parse::<Edition>().ok(), &key.platform));
        for (key, change) in ordered {
            match change {
                LockChange::Set { weights, reason, day } => {
                    let row = new_row(*weights, reason, day)
                        .with_context(|| format!("cannot write {} to {}", name(key), self.file))?;
                    set(&mut document, key, row);
                }
                LockChange::Remove => remove(&mut document, key),
            }
        }
        Ok(document.to_string())
    }
}

/// Reads rows and collects every fault.
struct RowReader<'t> {
    text: &'t str,
    faults: Vec<(usize, String)>,
    rows: BTreeMap<LockKey, LockRow>,
}

impl RowReader<'_> {
    fn fault(&mut self, span: Option<Range<usize>>, text: String) {
        self.faults.push((line_at(self.text, span), text));
    }

    fn read(&mut self, root: &Table) {
        if root.get("schema").and_then(Item::as_integer) != Some(1) {
            let span = root.key("schema").and_then(Key::span);
            self.fault(span, "missing or unknown schema: this version reads `schema = 1`".to_owned());
        }
        for (service, editions) in root.iter().filter(|(service, _)| *service != "schema") {
            for (edition, platforms) in self.entries(root, service, editions) {
                let Some(table) = editions.as_table_like() else { continue };
                for (platform, row) in self.entries(table, edition, platforms) {
                    let key = LockKey {
                        service: service.to_owned(),
                        edition: edition.to_owned(),
                        platform: platform.to_owned(),
                    };
                    let span = platforms.as_table_like().and_then(|table| table.key(platform)?.span());
                    self.read_row(key, row, span);
                }
            }
        }
    }

    /// The entries of a table in the file's order.
    fn entries<'i>(&mut self, parent: &dyn TableLike, key: &str, item: &'i Item) -> Vec<(&'i str, &'i Item)> {
        if let Some(table) = item.as_table_like() {
            return table.iter().collect();
        }
        let span = parent.key(key).and_then(Key::span);
        self.fault(span, format!("`{key}` must be a table: [SERVICE], then EDITION.\"PLATFORM\" = {{ … }}"));
        Vec::new()
    }

    fn read_row(&mut self, key: LockKey, row: &Item, span: Option<Range<usize>>) {
        let name = name(&key);
        let Some(row) = row.as_inline_table() else {
            let form = "{ own = BYTES, base = BYTES, accepted = \"DAY\", reason = \"TEXT\" }";
            return self.fault(span, format!("{name} must be {form}"));
        };
        let line = line_at(self.text, span);
        let bytes =
            |value: &Value| value.as_integer().and_then(|number| u64::try_from(number).ok()).map(Bytes);
        let text = |value: &Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let own = self.field(row, &name, "own", line, ("a whole number of bytes", bytes));
        let base = self.field(row, &name, "base", line, ("a whole number of bytes", bytes));
        self.field(row, &name, "accepted", line, ("a non-empty string", text));
        self.field(row, &name, "reason", line, ("a non-empty string", text));
        for (field, _) in row.iter().filter(|(field, _)| !FIELDS.contains(field)) {
            self.faults.push((line, format!("{name} has an unknown field `{field}`: remove it")));
        }
        if let (Some(own), Some(base)) = (own, base) {
            self.rows.insert(key, LockRow { weights: Weights { own, base }, line });
        }
    }

    fn field<T>(
        &mut self,
        row: &InlineTable,
        name: &str,
        field: &str,
        line: usize,
        (form, read): (&str, impl Fn(&Value) -> Option<T>),
    ) -> Option<T> {
        let value = row.get(field);
        let found = value.and_then(read);
        if found.is_none() {
            let text = match value {
                Some(_) => format!("{name}.{field} must be {form}"),
                None => format!("{name} has no `{field}`: add it"),
            };
            self.faults.push((line, text));
        }
        found
    }
}

const FIELDS: [&str; 4] = ["own", "base", "accepted", "reason"];

fn invalid(file: &str, faults: &[(usize, String)]) -> Failure {
    let lines: String = faults.iter().map(|(line, text)| format!("\n  {file}:{line}: {text}")).collect();
    let help = "fix these lines, or restore the file from git";
    Failure::new(FailureClass::Manifest, format!("invalid size lock:{lines}"), help)
}

/// The line of a place in a text, from 1; the first line if the place is unknown.
fn line_at(text: &str, span: Option<Range<usize>>) -> usize {
    text[..span.map_or(0, |span| span.start.min(text.len()))].matches('\n').count() + 1
}

fn name(key: &LockKey) -> String {
    format!("{}.{}.\"{}\"", key.service, key.edition, key.platform)
}

fn new_row(weights: Weights, reason: &str, day: &str) -> Result<Value> {
    // A row is one line, so the reason is too.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut row = InlineTable::new();
    row.insert("own", grouped(weights.own.0).parse()?);
    row.insert("base", grouped(weights.base.0).parse()?);
    row.insert("accepted", day.into());
    row.insert("reason", reason.into());
    row.fmt();
    Ok(row.into())
}

/// Digits in groups of three, as TOML allows: `12_345_678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("_")
}

fn set(document: &mut DocumentMut, key: &LockKey, mut row: Value) {
    let services = document.as_table_mut();
    let editions = services.entry(&key.service).or_insert_with(|| Item::Table(Table::new()));
    let Some(editions) = editions.as_table_like_mut() else { return };
    let platforms = editions.entry(&key.edition).or_insert_with(|| {
        let mut dotted = Table::new();
        dotted.set_dotted(true);
        Item::Table(dotted)
    });
    let Some(platforms) = platforms.as_table_like_mut() else { return };
    if let Some(old) = platforms.get_mut(&key.platform).and_then(Item::as_value_mut) {
        // Comments at the end of the line stay.
        row.decor_mut().clone_from(old.decor());
        *old = row;
    } else {
        platforms.insert(&key.platform, Item::Value(row));
    }
}

/// Removes a row, and the tables that become empty.
fn remove(document: &mut DocumentMut, key: &LockKey) {
    let services = document.as_table_mut();
    let Some(editions) = services.get_mut(&key.service).and_then(Item::as_table_like_mut) else { return };
    if let Some(platforms) = editions.get_mut(&key.edition).and_then(Item::as_table_like_mut) {
        platforms.remove(&key.platform);
        if platforms.is_empty() {
            editions.remove(&key.edition);
        }
    }
    if editions.is_empty() {
        services.remove(&key.service);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "xtask/sizes.lock.toml";
    const TEXT: &str = "# head\nschema = 1\n\n# the door\n[api]\n\
        simple.\"linux/amd64\" = { own = 2_000_000, base = 35_000_000, accepted = \"2026-01-01\", reason = \"first\" } # why not\n\
        # between\n\
        community.\"linux/amd64\" = {own = 1,  base = 2, accepted = '2026-01-02', reason = \"a \\\"b\\\"\" }\n\n\
        [gone]\nsimple.\"linux/amd64\" = { own = 3, base = 0, accepted = \"2026-01-02\", reason = \"x\" }\n";

    fn lock(text: &str) -> Lock {
        Lock::parse(text, FILE).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn set(own: u64) -> LockChange {
        let weights = Weights { own: Bytes(own), base: Bytes(7) };
        LockChange::Set { weights, reason: "new\n \"page\"".into(), day: "2026-03-01".into() }
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let lock = lock(TEXT);
        let row = &lock.rows[&LockKey::of("api", Edition::Simple, "linux/amd64")];
        assert_eq!((row.weights.own, row.weights.base, row.line), (Bytes(2_000_000), Bytes(35_000_000), 6));
        assert_eq!(lock.rows.len(), 3);
        assert_eq!(lock.place(&LockKey::of("api", Edition::Enterprise, "linux/amd64")).line, 5);
        assert_eq!(lock.place(&LockKey::of("new", Edition::Simple, "linux/amd64")).line, 1);
    }

    #[test]
    fn without_changes_every_byte_stays() {
        let committed = include_str!("../../../sizes.lock.toml");
        assert!(committed.starts_with(HEADER));
        for text in [committed, TEXT, HEADER] {
            assert_eq!(lock(text).edited(&BTreeMap::new()).unwrap(), text);
        }
    }

    #[test]
    fn only_accepted_rows_change() {
        let changes = BTreeMap::from([
            (LockKey::of("api", Edition::Simple, "linux/amd64"), set(2_345_678)),
            (LockKey::of("api", Edition::Enterprise, "linux/amd64"), set(9)),
            (LockKey::of("new", Edition::Enterprise, "linux/amd64"), set(13)),
            (LockKey::of("new", Edition::Simple, "linux/amd64"), set(12)),
            (LockKey::of("gone", Edition::Simple, "linux/amd64"), LockChange::Remove),
        ]);
        let row = |own: &str| {
            format!("{{ own = {own}, base = 7, accepted = \"2026-03-01\", reason = 'new \"page\"' }}")
        };
        let (kept, _) = TEXT.split_once("\n[gone]").unwrap();
        let kept = kept.replace(
            "{ own = 2_000_000, base = 35_000_000, accepted = \"2026-01-01\", reason = \"first\" }",
            &row("2_345_678"),
        );
        let expected = format!(
            "{kept}enterprise.\"linux/amd64\" = {}\n\n[new]\nsimple.\"linux/amd64\" = {}\nenterprise.\"linux/amd64\" = {}\n",
            row("9"),
            row("12"),
            row("13")
        );
        let text = lock(TEXT).edited(&changes).unwrap();
        assert_eq!(text, expected);
        assert_eq!(lock(&text).rows.len(), 5);
    }

    #[test]
    fn a_new_lock_has_a_header_and_can_be_read() {
        let key = LockKey::of("api", Edition::Simple, "linux/arm64");
        let text = lock(HEADER).edited(&BTreeMap::from([(key.clone(), set(1_000))])).unwrap();
        assert!(text.starts_with(HEADER) && text.contains("own = 1_000,"), "{text}");
        assert!(lock(&text).rows.contains_key(&key));
    }

    #[test]
    fn every_fault_names_its_line() {
        let faults = |text: &str| Lock::parse(text, FILE).unwrap_err().to_string();
        assert!(faults("schema = 1\n[api\n").contains("xtask/sizes.lock.toml:2: "));
        assert!(faults("[api]\n").contains("schema = 1"));
        let text = faults(
            "schema = 1\n[api]\nsimple.\"l/a\" = { own = -1, base = 2, accepted = \"x\", why = 1 }\nsimple.\"l/b\" = 3\nother = 4\n",
        );
        for line in [
            ":3: api.simple.\"l/a\".own must be a whole number of bytes\n",
            ":3: api.simple.\"l/a\" has no `reason`: add it\n",
            ":3: api.simple.\"l/a\" has an unknown field `why`: remove it\n",
            ":4: api.simple.\"l/b\" must be { own = BYTES, ",
            ":5: `other` must be a table",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
