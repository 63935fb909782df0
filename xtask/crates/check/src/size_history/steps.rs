//! The changes of one row of the size lock, from the lock's states.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::lock::LockKey;
use crate::lock_history::LockState;
use contents::difference::minus;
use model::baseline::Weights;

/// A commit that changed the accepted size of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SizeStep {
    /// The full hash.
    pub commit: String,
    /// The author's day, `2026-01-31`.
    pub day: String,
    /// The first line of the message.
    pub subject: String,
    /// The service's name in the lock of that commit.
    pub service: String,
    /// Its previous name, if this commit renamed it.
    pub renamed_from: Option<String>,
    /// The previous size; `None` for a new row.
    pub before: Option<Weights>,
    /// The new size; `None` for a removed row.
    pub after: Option<Weights>,
    /// The commit that accepted the previous size: the image changed after it.
    pub since: Option<String>,
}

/// A lock that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadableLock {
    /// The commit.
    pub commit: String,
    /// Why.
    pub why: String,
}

impl SizeStep {
    /// The change in bytes of own and base layers; `None` for a new or removed row.
    pub fn change(&self) -> Option<[i64; 2]> {
        let (before, after) = self.before.zip(self.after)?;
        Some([minus(after.own, before.own), minus(after.base, before.base)])
    }

    /// The change in bytes of the whole image; `None` for a new or removed row.
    pub fn bytes(&self) -> Option<i64> {
        let (before, after) = self.before.zip(self.after)?;
        Some(minus(after.sum(), before.sum()))
    }
}

/// The steps of a row, newest first, and the locks that cannot be read. Follows a renamed service: its old row must vanish in the
/// commit that adds the new one, with the same bytes.
pub(super) fn steps(states: &[LockState], key: &LockKey) -> (Vec<SizeStep>, Vec<UnreadableLock>) {
    let unreadable = states.iter().filter_map(|state| {
        let why = state.rows.as_ref().err()?.clone();
        Some(UnreadableLock { commit: state.entry.commit.clone(), why })
    });
    let readable: Vec<(&LockState, &BTreeMap<LockKey, Weights>)> =
        states.iter().filter_map(|state| Some((state, state.rows.as_ref().ok()?))).collect();
    let none = BTreeMap::new();
    let (mut key, mut steps) = (key.clone(), Vec::<SizeStep>::new());
    for (index, (state, rows)) in readable.iter().enumerate() {
        let older = readable.get(index + 1).map_or(&none, |(_, rows)| rows);
        let after = rows.get(&key).copied();
        let old_key = match older.contains_key(&key) {
            true => None,
            false => after.and_then(|after| renamed(&key, after, rows, older)),
        };
        let before = older.get(old_key.as_ref().unwrap_or(&key)).copied();
        if before != after || old_key.is_some() {
            let entry = &state.entry;
            steps.push(SizeStep {
                commit: entry.commit.clone(),
                day: entry.day.clone(),
                subject: entry.subject.clone(),
                service: key.service.clone(),
                renamed_from: old_key.as_ref().map(|old| old.service.clone()),
                before,
                after,
                since: None,
            });
        }
        key = old_key.unwrap_or(key);
    }
    for index in 0..steps.len() {
        let is_move = |step: &&SizeStep| step.before != step.after;
        let since = steps[index + 1..].iter().find(is_move).map(|step| step.commit.clone());
        steps[index].since = since.filter(|_| steps[index].before.is_some());
    }
    (steps, unreadable.collect())
}

/// The key of the row that disappears in the commit in which this row appears with the same bytes; `None` unless there is exactly one.
fn renamed(
    key: &LockKey,
    bytes: Weights,
    newer: &BTreeMap<LockKey, Weights>,
    older: &BTreeMap<LockKey, Weights>,
) -> Option<LockKey> {
    let is_same = |(other, weights): &(&LockKey, &Weights)| {
        other.edition == key.edition
            && other.platform == key.platform
            && **weights == bytes
            && !newer.contains_key(other)
    };
    let mut found = older.iter().filter(is_same).map(|(other, _)| other);
    let first = found.next()?;
    found.next().is_none().then(|| first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::git::LogEntry;
    use model::bytes::Bytes;

    fn key(service: &str) -> LockKey {
        LockKey { service: service.into(), edition: "simple".into(), platform: "linux/amd64".into() }
    }

    fn state(commit: &str, rows: &[(&str, u64, u64)]) -> LockState {
        let entry = LogEntry {
            commit: commit.into(),
            day: "2026-01-01".into(),
            subject: format!("subject of {commit}"),
            files: vec!["sizes.lock.toml".into()],
        };
        let row = |(name, own, base): &(&str, u64, u64)| {
            (key(name), Weights { own: Bytes(*own), base: Bytes(*base) })
        };
        LockState { entry, rows: Ok(rows.iter().map(row).collect()) }
    }

    fn told(states: &[LockState], service: &str) -> Vec<String> {
        let size =
            |weights: Option<Weights>| weights.map_or("–".into(), |weights| weights.sum().0.to_string());
        let line = |step: &SizeStep| {
            let (before, after) = (size(step.before), size(step.after));
            let from = step.renamed_from.as_deref().unwrap_or("");
            let since = step.since.as_deref().unwrap_or("");
            format!("{} {before}→{after} {:?} {from} {since}", step.commit, step.change())
                .trim_end()
                .to_owned()
        };
        steps(states, &key(service)).0.iter().map(line).collect()
    }

    #[test]
    fn a_step_starts_where_the_size_before_was_accepted() {
        let states = [
            state("e", &[("api", 7, 3), ("nlg", 4, 4)]),
            state("d", &[("api", 7, 3), ("nlg", 1, 1)]),
            state("c", &[("api", 5, 1), ("nlg", 9, 9)]),
            state("b", &[("api", 5, 1)]),
            state("a", &[("nlg", 9, 9)]),
        ];
        assert_eq!(told(&states, "api"), ["d 6→10 Some([2, 2])  b", "b –→6 None"]);
        assert_eq!(
            told(&states, "nlg"),
            [
                "e 2→8 Some([3, 3])  d",
                "d 18→2 Some([-8, -8])  c",
                "c –→18 None",
                "b 18→– None  a",
                "a –→18 None"
            ]
        );
        assert!(told(&states, "none").is_empty());
    }

    #[test]
    fn a_renamed_service_is_followed_and_an_ambiguous_one_is_not() {
        let states =
            [state("c", &[("new", 8, 0)]), state("b", &[("new", 5, 0)]), state("a", &[("old", 5, 0)])];
        assert_eq!(told(&states, "new"), ["c 5→8 Some([3, 0])  a", "b 5→5 Some([0, 0]) old a", "a –→5 None"]);
        let two = [state("b", &[("new", 5, 0)]), state("a", &[("old", 5, 0), ("other", 5, 0)])];
        assert_eq!(told(&two, "new"), ["b –→5 None"]);
        let kept = [state("b", &[("new", 5, 0), ("old", 5, 0)]), state("a", &[("old", 5, 0)])];
        assert_eq!(told(&kept, "new"), ["b –→5 None"]);
    }

    #[test]
    fn a_lock_that_cannot_be_read_is_listed_and_left_out() {
        let broken = LockState { rows: Err("schema 9".into()), ..state("b", &[]) };
        let states = [state("c", &[("api", 3, 0)]), broken, state("a", &[("api", 2, 0)])];
        assert_eq!(told(&states, "api"), ["c 2→3 Some([1, 0])  a", "a –→2 None"]);
        let (_, unreadable) = steps(&states, &key("api"));
        assert_eq!(unreadable, [UnreadableLock { commit: "b".into(), why: "schema 9".into() }]);
    }
}
