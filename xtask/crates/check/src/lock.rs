//! The size lock, `xtask/sizes.lock.toml`: the accepted sizes, one row per image. It is edited in place: comments and rows that
//! do not change keep their bytes.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use toml_edit::{Document, DocumentMut, InlineTable, Item, Key, Table, Value};

use crate::report::Place;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;
use model::baseline::Weights;
use model::bytes::Bytes;
use model::edition::Edition;
use model::nesting;

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

/// The fields of a row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFields {
    own: u64,
    base: u64,
    #[serde(rename = "accepted")]
    _accepted: String,
    #[serde(rename = "reason")]
    _reason: String,
}

/// The rows of a service, by edition and platform.
type ServiceRows = BTreeMap<String, BTreeMap<String, RowFields>>;

/// Why and when sizes are accepted.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// Why the new sizes are right.
    pub reason: String,
    /// The day of acceptance, `2026-01-31`.
    pub day: String,
}

/// A size lock as read from disk.
#[derive(Debug, Clone)]
pub struct Lock {
    file: &'static str,
    document: Document<String>,
    /// The accepted bytes of every row.
    pub rows: BTreeMap<LockKey, Weights>,
}

impl Lock {
    /// Reads the repository's lock; a missing file counts as a lock without rows.
    ///
    /// # Errors
    /// A [`Failure`] of class manifest with the first fault of every service and its line, or an unreadable file.
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
    /// A [`Failure`] of class manifest with the first fault of every service and its line.
    pub fn parse(text: &str, file: &'static str) -> Result<Lock, Failure> {
        if let Some(at) = nesting::too_deep(text) {
            return Err(invalid(file, &[(line_at(text, Some(at..at)), "nested too deeply".to_owned())]));
        }
        let document = Document::parse(text.to_owned()).map_err(|error| {
            let line = line_at(text, error.span());
            invalid(file, &[(line, error.message().to_owned())])
        })?;
        let (mut rows, mut faults) = (BTreeMap::new(), Vec::new());
        if document.get("schema").and_then(Item::as_integer) != Some(1) {
            let span = document.key("schema").and_then(Key::span);
            faults.push((line_at(text, span), "missing or unknown schema: expected `schema = 1`".to_owned()));
        }
        for (service, item) in document.iter().filter(|(key, _)| *key != "schema") {
            let Ok(value) = item.clone().into_value() else { continue };
            match ServiceRows::deserialize(value.into_deserializer()) {
                Ok(editions) => rows.extend(keyed(service, editions)),
                Err(error) => {
                    let span = error.span().or_else(|| document.key(service).and_then(Key::span));
                    faults.push((line_at(text, span), format!("{service}: {}", error.message())));
                }
            }
        }
        if faults.is_empty() { Ok(Lock { file, document, rows }) } else { Err(invalid(file, &faults)) }
    }

    /// The line of a row; of its service's table if the row is missing; else the first line.
    pub fn place(&self, key: &LockKey) -> Place {
        let editions = self.document.get(&key.service).and_then(Item::as_table_like);
        let platforms = editions.and_then(|table| table.get(&key.edition)).and_then(Item::as_table_like);
        let row = platforms.and_then(|table| table.key(&key.platform));
        let span = row.or_else(|| self.document.key(&key.service)).and_then(Key::span);
        Place { file: self.file.to_owned(), line: line_at(self.document.raw(), span) }
    }

    /// The lock's text with some rows set or, for `None`, removed. All rows of an edition are listed together.
    ///
    /// # Errors
    /// When a row cannot be written as TOML.
    pub fn edited(
        &self,
        rows: &BTreeMap<LockKey, Option<Weights>>,
        acceptance: &Acceptance,
    ) -> Result<String> {
        let mut document = self.document.clone().into_mut();
        // New rows list the smallest edition first.
        let mut ordered: Vec<_> = rows.iter().collect();
        ordered.sort_by_key(|(key, _)| (&key.service, key.edition.parse::<Edition>().ok(), &key.platform));
        for (key, weights) in ordered {
            match weights {
                Some(weights) => set(&mut document, key, new_row(*weights, acceptance)?),
                None => remove(&mut document, key),
            }
        }
        Ok(in_form_of(self.document.raw(), &document.to_string()))
    }
}

/// A text with the byte order mark and the line ends of another one. toml_edit drops the mark, and writes line feeds except in
/// strings that it does not change.
fn in_form_of(original: &str, text: &str) -> String {
    let mark = if original.starts_with('\u{feff}') { "\u{feff}" } else { "" };
    let is_crlf = original.split_once('\n').is_some_and(|(line, _)| line.ends_with('\r'));
    format!(
        "{mark}{}",
        if is_crlf { text.replace("\r\n", "\n").replace('\n', "\r\n") } else { text.to_owned() }
    )
}

fn keyed(service: &str, editions: ServiceRows) -> impl Iterator<Item = (LockKey, Weights)> {
    editions.into_iter().flat_map(move |(edition, platforms)| {
        let service = service.to_owned();
        platforms.into_iter().map(move |(platform, row)| {
            let key = LockKey { service: service.clone(), edition: edition.clone(), platform };
            (key, Weights { own: Bytes(row.own), base: Bytes(row.base) })
        })
    })
}

fn invalid(file: &str, faults: &[(usize, String)]) -> Failure {
    let lines: String = faults.iter().map(|(line, text)| format!("\n  {file}:{line}: {text}")).collect();
    let help = "fix these lines, or restore the file from git";
    Failure::new(FailureClass::Manifest, format!("invalid size lock:{lines}"), help)
}

/// The line of a place in a text, from 1; the first line if the place is unknown.
fn line_at(text: &str, span: Option<Range<usize>>) -> usize {
    text[..span.map_or(0, |span| span.start.min(text.len()))].matches('\n').count() + 1
}

fn new_row(weights: Weights, Acceptance { reason, day }: &Acceptance) -> Result<Value> {
    // A row is one line, so the reason is too.
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut row = InlineTable::new();
    row.insert("own", grouped(weights.own.0).parse()?);
    row.insert("base", grouped(weights.base.0).parse()?);
    row.insert("accepted", day.as_str().into());
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
        community.\"linux/amd64\" = {own = 1,  base = 2, accepted = '2026-01-02', reason = \"\"\"a\n\\\"b\\\"\"\"\" }\n\n\
        [gone]\nsimple.\"linux/amd64\" = { own = 3, base = 0, accepted = \"2026-01-02\", reason = \"x\" }\n";

    fn lock(text: &str) -> Lock {
        Lock::parse(text, FILE).unwrap_or_else(|failure| panic!("{failure}"))
    }

    fn weights(own: u64) -> Option<Weights> {
        Some(Weights { own: Bytes(own), base: Bytes(7) })
    }

    fn edited(text: &str, rows: &[(&str, Edition, Option<Weights>)]) -> String {
        let key = |service, edition| LockKey::of(service, edition, "linux/amd64");
        let rows = rows.iter().map(|(service, edition, weights)| (key(service, *edition), *weights));
        let acceptance = Acceptance { reason: "new\n \"page\"".into(), day: "2026-03-01".into() };
        lock(text).edited(&rows.collect(), &acceptance).unwrap()
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let lock = lock(TEXT);
        let key = LockKey::of("api", Edition::Simple, "linux/amd64");
        assert_eq!(lock.rows[&key], Weights { own: Bytes(2_000_000), base: Bytes(35_000_000) });
        assert_eq!(lock.place(&key).line, 6);
        assert_eq!(lock.rows.len(), 3);
        assert_eq!(lock.place(&LockKey::of("api", Edition::Enterprise, "linux/amd64")).line, 5);
        assert_eq!(lock.place(&LockKey::of("new", Edition::Simple, "linux/amd64")).line, 1);
    }

    #[test]
    fn without_changes_every_byte_stays() {
        let committed = include_str!("../../../sizes.lock.toml");
        assert!(committed.starts_with(HEADER));
        for text in [committed, TEXT, HEADER] {
            assert_eq!(edited(text, &[]), text);
            let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
            assert_eq!(edited(&windows, &[]), windows);
        }
    }

    #[test]
    fn only_accepted_rows_change() {
        let rows = [
            ("api", Edition::Simple, weights(2_345_678)),
            ("api", Edition::Enterprise, weights(9)),
            ("new", Edition::Enterprise, weights(13)),
            ("new", Edition::Simple, weights(12)),
            ("gone", Edition::Simple, None),
        ];
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
        let text = edited(TEXT, &rows);
        assert_eq!(text, expected);
        assert_eq!(lock(&text).rows.len(), 5);
    }

    #[test]
    fn a_new_lock_has_a_header_and_can_be_read() {
        let text = edited(HEADER, &[("api", Edition::Simple, weights(1_000))]);
        assert!(text.starts_with(HEADER) && text.contains("own = 1_000,"), "{text}");
        assert_eq!(lock(&text).rows.len(), 1);
    }

    #[test]
    fn a_broken_lock_does_not_overflow_the_stack() {
        let broken = format!("schema = 1\na = {}", "{ own = ${ base = 2, accep \"x\" }\n".repeat(10_000));
        let error = Lock::parse(&broken, FILE).unwrap_err().to_string();
        assert!(error.contains("xtask/sizes.lock.toml:101: nested too deeply"), "{error}");
    }

    #[test]
    fn every_fault_names_its_line() {
        let faults = |text: &str| Lock::parse(text, FILE).unwrap_err().to_string();
        assert!(faults("schema = 1\n[api\n").contains("xtask/sizes.lock.toml:2: "));
        assert!(faults("[api]\n").contains("schema = 1"));
        let text = faults(
            "schema = 1\n[api]\nsimple.\"l/a\" = { own = 1, base = 2, accepted = \"x\", why = 1 }\n[nlg]\n\nsimple.\"l/b\" = 3\n[x]\nsimple.\"l/a\" = { own = -1 }\n",
        );
        for (line, service) in [(3, "api"), (6, "nlg"), (8, "x")] {
            let start = format!("\n  {FILE}:{line}: {service}: ");
            assert!(text.contains(&start), "{start} is not in {text}");
        }
    }
}
