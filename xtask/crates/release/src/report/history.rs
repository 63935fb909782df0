//! The history of the size lock, from git: which commit accepted which sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::record::{LockChange, LockRowChange};
use check::lock::LockKey;
use check::lock_history::{self, LockState};
use engine::context::Context;
use host::git::LogEntry;
use model::baseline::Weights;

/// Maximum number of changes to show.
const MOST: usize = 20;

/// The lock's changes, newest first; `None` outside of git. An unreadable state counts as empty.
pub(super) fn history(context: &Context) -> Option<Vec<LockChange>> {
    let states = lock_history::states(Some(MOST + 1), context)?;
    let none = BTreeMap::new();
    let rows =
        |state: Option<&LockState>| state.and_then(|state| state.rows.as_ref().ok()).unwrap_or(&none).clone();
    let change = |(index, state): (usize, &LockState)| {
        let rows = changes(&rows(states.get(index + 1)), &rows(Some(state)));
        let LogEntry { commit, day, subject, .. } = state.entry.clone();
        (!rows.is_empty()).then_some(LockChange { commit, day, subject, rows })
    };
    Some(states.iter().enumerate().take(MOST).filter_map(change).collect())
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
    use check::lock::Lock;
    use model::bytes::Bytes;

    fn lock(rows: &str) -> BTreeMap<LockKey, Weights> {
        Lock::parse(&format!("schema = 1\n[api]\n{rows}"), "lock").map(|lock| lock.rows).unwrap_or_default()
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
}
