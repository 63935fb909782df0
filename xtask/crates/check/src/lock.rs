//! The lock, `xtask/sizes.lock.toml`: one row a line, so that a change of it reads like what it is. It is read as TOML and
//! edited as text, row by row: every comment and every other row stays as it is.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::Place;
use host::files;
use host::paths::Repository;
use model::baseline::Weights;
use model::bytes::Bytes;
use model::edition::Edition;
use model::reader::{Faults, Fields, Notes};

/// What a new lock begins with.
const HEAD: &str = "\
# What each optimized image weighed when somebody last said yes to it: exact unpacked bytes, its own layers apart from those
# of the bases that it starts from. `cargo xtask check` holds every image against its row; within the step limit (images.toml,
# [baselines]) nothing here changes, so that many small steps come to a breach as one large one does. Rows change through
# `cargo xtask check --accept --reason \"…\"` alone.
schema = 1
";

/// Whose row it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The service.
    pub service: String,
    /// The edition, as the lock names it: one that is no edition is there to be said.
    pub edition: String,
    /// `linux/amd64`.
    pub platform: String,
}

impl Key {
    /// The row of an image.
    pub fn of(service: &str, edition: Edition, platform: &str) -> Key {
        Key { service: service.into(), edition: edition.name().into(), platform: platform.into() }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What was accepted.
    pub weights: Weights,
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// The bytes of its value.
    value: Range<usize>,
}

/// A lock, as it stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    file: &'static str,
    text: String,
    /// Every row.
    pub rows: BTreeMap<Key, Row>,
    /// Services with the byte at which their tables' heads begin.
    tables: BTreeMap<String, usize>,
}

/// How a row changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It holds these weights now, for this reason, since this day.
    Set {
        /// The weights.
        weights: Weights,
        /// Why.
        reason: String,
        /// `2026-01-31`.
        day: String,
    },
    /// It belongs to nothing any more.
    Remove,
}

impl Lock {
    /// Reads the repository's lock. None at all is one without rows.
    ///
    /// # Errors
    /// [`Faults`], each with its line, or that the file cannot be read.
    pub fn load(repository: &Repository) -> Result<Lock> {
        let bytes = files::read_bytes_if_there(&repository.sizes_lock())?;
        let file = repository.sizes_lock_name();
        Ok(Lock::parse(text(bytes.as_deref().unwrap_or(HEAD.as_bytes()), file)?, file)?)
    }

    /// Reads a lock's text.
    ///
    /// # Errors
    /// Every fault, with its line.
    pub fn parse(text: &str, file: &'static str) -> Result<Lock, Faults> {
        let notes = Notes::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            notes.note(error.span().unwrap_or(0..0), error.message());
        }
        let mut lock = Lock { file, text: text.to_owned(), rows: BTreeMap::new(), tables: BTreeMap::new() };
        if errors.is_empty() {
            lock.read(root.get_ref(), &notes);
        }
        let faults = notes.into_faults();
        if faults.is_empty() { Ok(lock) } else { Err(Faults::new(file, faults)) }
    }

    fn read(&mut self, root: &DeTable<'_>, notes: &Notes<'_>) {
        let schema = root.iter().find(|(key, _)| key.get_ref() == "schema");
        match schema.map(|(_, value)| value.get_ref().as_integer().map(|number| number.as_str())) {
            Some(Some("1")) => {}
            _ => notes.note(0..0, "it has no `schema = 1`: this program reads no other form"),
        }
        for (service, table) in root.iter().filter(|(key, _)| key.get_ref() != "schema") {
            let name = service.get_ref().to_string();
            self.tables.insert(name.clone(), service.span().start);
            for (edition, platforms) in entries(service.get_ref(), table, notes) {
                for (platform, row) in entries(edition.get_ref(), platforms, notes) {
                    let key = Key {
                        service: name.clone(),
                        edition: edition.get_ref().to_string(),
                        platform: platform.get_ref().to_string(),
                    };
                    if let Some(row) = self.row(&key, platform.span(), row, notes) {
                        self.rows.insert(key, row);
                    }
                }
            }
        }
    }

    fn row(
        &self,
        key: &Key,
        at: Range<usize>,
        value: &Spanned<DeValue<'_>>,
        notes: &Notes<'_>,
    ) -> Option<Row> {
        let span = value.span();
        let written = self.text.get(span.clone()).unwrap_or_default();
        let table = value
            .get_ref()
            .as_table()
            .filter(|_| written.starts_with('{') && written.ends_with('}') && !written.contains('\n'));
        let Some(table) = table else {
            notes.note(at, format!("{} is no row: write `{{ own = …, base = … }}` on one line", name(key)));
            return None;
        };
        let mut fields = Fields::new(notes, name(key), table, at.clone());
        let (own, base) = (fields.number("own", 0..=u64::MAX), fields.number("base", 0..=u64::MAX));
        fields.text("accepted");
        fields.text("reason");
        fields.finish();
        let line = self.line(at.start);
        Some(Row { weights: Weights { own: Bytes(own?), base: Bytes(base?) }, line, value: span })
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Where a row stands; for one that is not there, where its service's table begins, or the file.
    pub fn place(&self, key: &Key) -> Place {
        let line = match (self.rows.get(key), self.tables.get(&key.service)) {
            (Some(row), _) => row.line,
            (None, Some(at)) => self.line(*at),
            (None, None) => 1,
        };
        Place { file: self.file.to_owned(), line }
    }

    /// The text with some rows changed, and nothing else.
    pub fn with(&self, changes: &BTreeMap<Key, Change>) -> String {
        let mut edits: Vec<(Range<usize>, String)> = Vec::new();
        let mut fresh: BTreeMap<&str, String> = BTreeMap::new();
        // Editions from the smallest on, as everywhere.
        let mut ordered: Vec<(&Key, &Change)> = changes.iter().collect();
        ordered.sort_by_key(|(key, _)| (&key.service, key.edition.parse::<Edition>().ok(), &key.platform));
        for (key, change) in ordered {
            match (change, self.rows.get(key)) {
                (Change::Set { .. }, Some(row)) => edits.push((row.value.clone(), written(change))),
                (Change::Set { .. }, None) => {
                    let row = format!("{}.\"{}\" = {}\n", key.edition, key.platform, written(change));
                    fresh.entry(&key.service).or_default().push_str(&row);
                }
                (Change::Remove, Some(row)) => edits.push((self.whole_line(row.value.start), String::new())),
                (Change::Remove, None) => {}
            }
        }
        let mut tail = String::new();
        for (service, rows) in fresh {
            match self.tables.get(service) {
                Some(head) => {
                    let of_it = self.rows.iter().filter(|(key, _)| key.service == service);
                    let last = of_it.map(|(_, row)| row.value.end).max().unwrap_or(*head);
                    let end = self.whole_line(last).end;
                    let rows = if self.text[..end].ends_with('\n') { rows } else { format!("\n{rows}") };
                    edits.push((end..end, rows));
                }
                None => tail.push_str(&format!("\n[{service}]\n{rows}")),
            }
        }
        // A table that lost its last row goes too.
        for (service, head) in &self.tables {
            let mut of_it = self.rows.keys().filter(|key| key.service == *service).peekable();
            let is_new =
                changes.iter().any(|(key, change)| key.service == *service && *change != Change::Remove);
            if of_it.peek().is_some() && !is_new && of_it.all(|key| changes.get(key) == Some(&Change::Remove))
            {
                edits.push((self.whole_line(*head), String::new()));
            }
        }
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = self.text.clone();
        for (range, new) in edits.into_iter().rev() {
            text.replace_range(range, &new);
        }
        if !tail.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text + &tail
    }

    fn whole_line(&self, at: usize) -> Range<usize> {
        let start = self.text[..at].rfind('\n').map_or(0, |line_end| line_end + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |line_end| at + line_end + 1);
        start..end
    }
}

/// A lock's bytes as text, as TOML has to be.
fn text<'b>(bytes: &'b [u8], file: &'static str) -> Result<&'b str, Faults> {
    str::from_utf8(bytes).map_err(|error| {
        let (sound, _) = bytes.split_at(error.valid_up_to());
        let sound = String::from_utf8_lossy(sound);
        let notes = Notes::new(&sound);
        notes.note(sound.len()..sound.len(), "it goes on with bytes that are no text (UTF-8)");
        Faults::new(file, notes.into_faults())
    })
}

fn name(key: &Key) -> String {
    format!("{}.{}.\"{}\"", key.service, key.edition, key.platform)
}

/// The entries of a table, in the file's order.
fn entries<'a, 'i>(
    name: &str,
    value: &'a Spanned<DeValue<'i>>,
    notes: &Notes<'_>,
) -> Vec<(&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>)> {
    match value.get_ref().as_table() {
        Some(table) => table.iter().collect(),
        None => {
            notes.note(
                value.span(),
                format!("`{name}` must be a table: [SERVICE], then EDITION.\"PLATFORM\""),
            );
            Vec::new()
        }
    }
}

fn written(change: &Change) -> String {
    match change {
        Change::Remove => String::new(),
        Change::Set { weights, reason, day } => {
            let reason = toml::Value::String(one_line(reason));
            let Weights { own, base } = weights;
            format!(
                "{{ own = {}, base = {}, accepted = \"{day}\", reason = {reason} }}",
                grouped(own.0),
                grouped(base.0)
            )
        }
    }
}

/// White space of any kind is one blank: a row is a line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Digits in groups of three, as TOML allows: `12_345_678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| str::from_utf8(group).ok()).collect();
    groups.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "xtask/sizes.lock.toml";
    const TEXT: &str = "# head\nschema = 1\n\n# the door\n[api]\n\
        simple.\"linux/amd64\" = { own = 2_000_000, base = 35_000_000, accepted = \"2026-01-01\", reason = \"first\" } # why not\n\
        # between\n\
        community.\"linux/amd64\" = { own = 1, base = 2, accepted = \"2026-01-02\", reason = \"a \\\"b\\\"\" }\n\n\
        [gone]\nsimple.\"linux/amd64\" = { own = 3, base = 0, accepted = \"2026-01-02\", reason = \"x\" }\n";

    fn lock() -> Lock {
        Lock::parse(TEXT, FILE).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn set(own: u64) -> Change {
        let weights = Weights { own: Bytes(own), base: Bytes(7) };
        Change::Set { weights, reason: "new\n \"page\"".into(), day: "2026-03-01".into() }
    }

    #[test]
    fn rows_are_read_with_their_lines() {
        let lock = lock();
        let row = &lock.rows[&Key::of("api", Edition::Simple, "linux/amd64")];
        assert_eq!((row.weights.own, row.weights.base, row.line), (Bytes(2_000_000), Bytes(35_000_000), 6));
        assert_eq!(lock.rows.len(), 3);
        assert_eq!(lock.place(&Key::of("api", Edition::Enterprise, "linux/amd64")).line, 5);
        assert_eq!(lock.place(&Key::of("new", Edition::Simple, "linux/amd64")).line, 1);
    }

    #[test]
    fn only_what_is_accepted_changes() {
        let lock = lock();
        let text = lock.with(&BTreeMap::from([
            (Key::of("api", Edition::Simple, "linux/amd64"), set(2_345_678)),
            (Key::of("api", Edition::Enterprise, "linux/amd64"), set(9)),
            (Key::of("new", Edition::Simple, "linux/amd64"), set(12)),
            (Key::of("gone", Edition::Simple, "linux/amd64"), Change::Remove),
        ]));
        let row = |own: &str| {
            format!("{{ own = {own}, base = 7, accepted = \"2026-03-01\", reason = 'new \"page\"' }}")
        };
        let expected = TEXT
            .replace("{ own = 2_000_000, base = 35_000_000, accepted = \"2026-01-01\", reason = \"first\" }", &row("2_345_678"))
            .replace("reason = \"a \\\"b\\\"\" }\n", &format!("reason = \"a \\\"b\\\"\" }}\nenterprise.\"linux/amd64\" = {}\n", row("9")))
            .replace("[gone]\nsimple.\"linux/amd64\" = { own = 3, base = 0, accepted = \"2026-01-02\", reason = \"x\" }\n", "");
        assert_eq!(text, format!("{expected}\n[new]\nsimple.\"linux/amd64\" = {}\n", row("12")));
        let again = Lock::parse(&text, FILE).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(again.rows.len(), 4);
        assert_eq!(again.with(&BTreeMap::new()), text);
    }

    #[test]
    fn a_new_lock_has_a_head_and_reads_back() {
        let empty = Lock::parse(HEAD, FILE).unwrap_or_else(|faults| panic!("{faults}"));
        let key = Key::of("api", Edition::Simple, "linux/arm64");
        let text = empty.with(&BTreeMap::from([(key.clone(), set(1_000))]));
        assert!(text.contains("own = 1_000,"), "{text}");
        assert!(Lock::parse(&text, FILE).is_ok_and(|lock| lock.rows.contains_key(&key)));
    }

    #[test]
    fn every_fault_has_its_line() {
        let faults = |text: &str| Lock::parse(text, FILE).map(|_| ()).unwrap_err().to_string();
        assert!(faults("schema = 1\n[api\n").contains("xtask/sizes.lock.toml:2: "));
        assert!(faults("[api]\n").contains("schema = 1"));
        let told = faults(
            "schema = 1\n[api]\nsimple.\"l/a\" = { own = -1, base = 2, accepted = \"x\" }\nsimple.\"l/b\" = 3\n",
        );
        for part in [
            ":3: api.simple.\"l/a\".own",
            ":3: api.simple.\"l/a\" has no `reason`",
            ":4: api.simple.\"l/b\" is no row",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        let told =
            faults("schema = 1\n[api.simple.\"l/a\"]\nown = 1\nbase = 2\naccepted = \"x\"\nreason = \"y\"\n");
        assert!(told.contains("on one line"), "{told}");
        let told = text(b"schema = 1\n[api]\nsimple\xff", FILE).unwrap_err().to_string();
        assert!(told.contains("xtask/sizes.lock.toml:3: it goes on with bytes that are no text"), "{told}");
    }
}
