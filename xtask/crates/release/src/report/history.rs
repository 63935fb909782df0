//! How the lock of sizes came about, from git: which commit accepted which weights.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::record::{Acceptance, Accepted};
use check::lock::{Lock, LockKey};
use engine::context::Context;
use host::git::LogEntry;
use model::baseline::Weights;

/// So many changes are shown.
const MOST: usize = 20;

/// The lock's changes, newest first; `None` outside of git. A state of it that cannot be read counts as an empty one.
pub(super) fn history(context: &Context) -> Option<Vec<Acceptance>> {
    let file = context.repository.sizes_lock_name();
    let git = context.git();
    let commits = git.log(file, MOST + 1)?;
    let state = |commit: &LogEntry| rows(&git.show(&commit.commit, file).unwrap_or_default(), file);
    let states: Vec<BTreeMap<LockKey, Weights>> = commits.iter().map(state).collect();
    let nothing = BTreeMap::new();
    let mut all = Vec::new();
    for (index, entry) in commits.into_iter().enumerate().take(MOST) {
        let before = states.get(index + 1).unwrap_or(&nothing);
        let rows = changes(before, &states[index]);
        if !rows.is_empty() {
            let LogEntry { commit, day, subject } = entry;
            all.push(Acceptance { commit, day, subject, rows });
        }
    }
    Some(all)
}

fn rows(text: &str, file: &'static str) -> BTreeMap<LockKey, Weights> {
    Lock::parse(text, file).map(|lock| lock.rows).unwrap_or_default()
}

fn changes(before: &BTreeMap<LockKey, Weights>, after: &BTreeMap<LockKey, Weights>) -> Vec<Accepted> {
    let keys: BTreeSet<&LockKey> = before.keys().chain(after.keys()).collect();
    let changed = keys.into_iter().filter(|key| before.get(key) != after.get(key));
    changed
        .map(|key| Accepted {
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
    fn rows_that_come_change_and_go_are_told() {
        let before = lock(&[row("simple", 1), row("community", 5), row("old", 9)].concat());
        let after = lock(&[row("simple", 3), row("community", 5), row("enterprise", 7)].concat());
        let told: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|row| (row.edition, row.before.map(|w| w.own), row.after.map(|w| w.own)))
            .collect();
        assert_eq!(
            told,
            [
                ("enterprise".to_owned(), None, Some(Bytes(7))),
                ("old".to_owned(), Some(Bytes(9)), None),
                ("simple".to_owned(), Some(Bytes(1)), Some(Bytes(3))),
            ]
        );
    }

    #[test]
    fn what_is_no_lock_counts_as_an_empty_one() {
        assert!(super::rows("no lock", "lock").is_empty());
    }
}
