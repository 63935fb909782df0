//! The history of the size lock, from git: which commit accepted which sizes.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::record::{LockChange, LockRowChange};
use check::lock::{Key, Lock};
use engine::context::Context;
use model::baseline::Weights;

/// Maximum number of changes to show.
const MOST: usize = 20;

/// Separates fields in git's output: the ASCII unit separator, which no subject contains.
const FIELD: char = '\u{1f}';

/// The lock's changes, newest first; `None` outside of git. An unreadable state counts as empty.
pub(super) fn history(context: &Context) -> Option<Vec<LockChange>> {
    let file = context.repository.sizes_lock_name();
    let git = |args: &[&str]| {
        let cmd = context.docker.runner.cmd("git").dir(context.repository.root());
        cmd.env("GIT_OPTIONAL_LOCKS", "0").args(args.iter().copied()).read()
    };
    let format = format!("--format=%H{FIELD}%as{FIELD}%s");
    let limit = format!("--max-count={}", MOST + 1);
    // Paths are relative to the current folder, but after `COMMIT:` to the root of the work tree.
    let log = git(&["log", "--first-parent", "-m", &limit, &format, "--", file]).ok()?;
    let commits: Vec<Vec<&str>> = log.lines().map(|line| line.splitn(3, FIELD).collect()).collect();
    let state = |commit: &str| rows(&git(&["show", &format!("{commit}:./{file}")]).unwrap_or_default(), file);
    let mut states: Vec<BTreeMap<Key, Weights>> = commits.iter().map(|fields| state(fields[0])).collect();
    states.push(BTreeMap::new());
    let change = |(fields, states): (&Vec<&str>, &[BTreeMap<Key, Weights>])| {
        let [commit, day, subject] = fields.as_slice() else { return None };
        let rows = changes(&states[1], &states[0]);
        let owned = |text: &str| text.to_owned();
        let change = LockChange { commit: owned(commit), day: owned(day), subject: owned(subject), rows };
        (!change.rows.is_empty()).then_some(change)
    };
    Some(commits.iter().zip(states.windows(2)).take(MOST).filter_map(change).collect())
}

fn rows(text: &str, file: &'static str) -> BTreeMap<Key, Weights> {
    let lock = Lock::parse(text, file).map(|lock| lock.rows).unwrap_or_default();
    lock.into_iter().map(|(key, row)| (key, row.weights)).collect()
}

fn changes(before: &BTreeMap<Key, Weights>, after: &BTreeMap<Key, Weights>) -> Vec<LockRowChange> {
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
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

    fn lock(rows: &str) -> BTreeMap<Key, Weights> {
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
