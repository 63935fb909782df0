//! The history of the size lock, from git: which commit accepted which sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::record::{LockChange, LockRowChange};
use check::lock::{Lock, LockKey};
use engine::context::Context;
use host::git::LogEntry;
use model::baseline::Weights;

/// Maximum number of changes to show.
const MOST: usize = 20;

/// The lock's changes, newest first; `None` outside of git. An unreadable state counts as empty.
pub(super) fn history(context: &Context) -> Option<Vec<LockChange>> {
    let file = context.repository.sizes_lock_name();
    let git = context.git();
    let commits = git.log(file, MOST + 1)?;
    let state = |entry: &LogEntry| rows(&git.show(&entry.commit, file).unwrap_or_default(), file);
    let mut states: Vec<BTreeMap<LockKey, Weights>> = commits.iter().map(state).collect();
    states.push(BTreeMap::new());
    let change = |(entry, states): (LogEntry, &[BTreeMap<LockKey, Weights>])| {
        let (rows, LogEntry { commit, day, subject }) = (changes(&states[1], &states[0]), entry);
        (!rows.is_empty()).then_some(LockChange { commit, day, subject, rows })
    };
    Some(commits.into_iter().zip(states.windows(2)).take(MOST).filter_map(change).collect())
}

fn rows(text: &str, file: &'static str) -> BTreeMap<LockKey, Weights> {
    Lock::parse(text, file).map(|lock| lock.rows).unwrap_or_default()
}

fn changes(before: &BTreeMap<LockKey, Weights>, after: &BTreeMap<LockKey, Weights>) -> Vec<LockRowChange> {
    let keys: BTreeSet<&LockKey> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    changed
        .map(|key| LockRowChange {
            service: key.service.clone(),
            edition: key.edition.clone(),
            before: before.get(key).copied(),
            after: after.get(key).copied(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::bytes::Bytes;

    fn lock(rows: &str) -> BTreeMap<LockKey, Weights> {
        super::rows(&format!("schema = 1\n[api]\n{rows}"), "lock")
    }

    fn row(edition: &str, own: u64) -> String {
        format!(
            "{edition}.\"linux/amd64\" = {{ own = {own}, base = 2, accepted = \"2026-01-01\", reason = \"r\" }}\n"
        )
    }

    #[test]
    fn added_changed_and_removed_rows_are_listed() {
        let before = lock(&[row("simple", 1), row("community", 5), row("old", 9)].concat());
        let after = lock(&[row("simple", 3), row("community", 5), row("enterprise", 7)].concat());
        let rows: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|row| (row.edition, row.before.map(|w| w.own), row.after.map(|w| w.own)))
            .collect();
        assert_eq!(
            rows,
            [
                ("enterprise".to_owned(), None, Some(Bytes(7))),
                ("old".to_owned(), Some(Bytes(9)), None),
                ("simple".to_owned(), Some(Bytes(1)), Some(Bytes(3))),
            ]
        );
    }

    #[test]
    fn an_invalid_lock_counts_as_empty() {
        assert!(super::rows("no lock", "lock").is_empty());
    }
}
