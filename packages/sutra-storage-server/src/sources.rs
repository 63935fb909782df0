//! Where concepts come from: the field `source` of their metadata, if it is a string that is not too long.
//!
//! Tables: `sources` ((source, id) → nothing), `source_counts` (source → number of concepts).

use std::ops::Bound;

use redb::{Error, ReadableTable, Table, TableDefinition};
use serde_json::Value;

use crate::concept::Metadata;

pub(crate) const SOURCES: TableDefinition<'_, (&str, &str), ()> = TableDefinition::new("sources");
pub(crate) const COUNTS: TableDefinition<'_, &str, u64> = TableDefinition::new("source_counts");

/// Maximum length of a source, in bytes: it is in cursors, and these are in URLs. A longer one does not count.
const MAX_SOURCE_BYTES: usize = 2000;

/// The source of a concept with this metadata.
pub(crate) fn source(metadata: Option<&Metadata>) -> Option<&str> {
    metadata?.get("source").and_then(Value::as_str).filter(|source| source.len() <= MAX_SOURCE_BYTES)
}

/// The tables while they are changed.
pub(crate) struct Sources<'txn> {
    pub members: Table<'txn, (&'static str, &'static str), ()>,
    pub counts: Table<'txn, &'static str, u64>,
}

impl Sources<'_> {
    /// The concept had the source `old`, and now has `new`.
    pub(crate) fn change(&mut self, id: &str, old: Option<&str>, new: Option<&str>) -> Result<(), Error> {
        if old == new {
            return Ok(());
        }
        if let Some(old) = old
            && self.members.remove((old, id))?.is_some()
        {
            match self.count(old)?.saturating_sub(1) {
                0 => drop(self.counts.remove(old)?),
                rest => drop(self.counts.insert(old, rest)?),
            }
        }
        if let Some(new) = new
            && self.members.insert((new, id), ())?.is_none()
        {
            let count = self.count(new)? + 1;
            self.counts.insert(new, count)?;
        }
        Ok(())
    }

    fn count(&self, source: &str) -> Result<u64, Error> {
        Ok(self.counts.get(source)?.map_or(0, |count| count.value()))
    }
}

/// At most `limit` ids of a source, in order, after `after`.
pub(crate) fn members(
    table: &impl ReadableTable<(&'static str, &'static str), ()>,
    source: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let start = after.map_or(Bound::Included((source, "")), |after| Bound::Excluded((source, after)));
    let mut ids = Vec::new();
    for row in table.range::<(&str, &str)>((start, Bound::Unbounded))?.take(limit) {
        let (key, _) = row?;
        let (found, id) = key.value();
        if found != source {
            break;
        }
        ids.push(id.to_owned());
    }
    Ok(ids)
}
