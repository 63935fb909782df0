//! The build cache: listing its records (`docker buildx du --verbose`) and removing some.

use anyhow::{Context as _, Result};

use crate::docker::Docker;
use model::bytes::Bytes;

/// A record: the result of a build step, a cache mount, or a copy of a build context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheRecord {
    /// The ID.
    pub id: String,
    /// The records that it is based on.
    pub parents: Vec<String>,
    /// Size; docker prints four digits.
    pub size: Bytes,
    /// The step or the kind of content.
    pub description: String,
    /// `regular`, `exec.cachemount`, `source.local` …
    pub kind: String,
    /// Whether an image uses it too.
    pub shared: bool,
}

/// Records per call: their IDs are on the command line.
const BATCH: usize = 100;

impl Docker {
    /// Every record of the current builder's cache.
    ///
    /// # Errors
    /// When docker fails or its output cannot be parsed.
    pub fn cache(&self) -> Result<Vec<CacheRecord>> {
        read(&self.cmd(["buildx", "du", "--verbose"]).read()?)
    }

    /// Removes these records; those in use or with dependents remain.
    ///
    /// # Errors
    /// When docker fails.
    pub fn prune_cache(&self, ids: &[&str]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            // Buildx treats it as a regular expression.
            let filter = format!("id=^({})$", ids.join("|"));
            self.cmd(["buildx", "prune", "--force", "--filter", &filter]).read()?;
        }
        Ok(())
    }
}

/// One field per line; only a description may have several lines.
fn read(text: &str) -> Result<Vec<CacheRecord>> {
    let mut records: Vec<CacheRecord> = Vec::new();
    let mut describing = false;
    for line in text.lines() {
        let (name, value) = line.split_once(":\t").unwrap_or((line, ""));
        let value = value.trim();
        // The order of fields is fixed: an ID begins a record, `Usage count` and the following end a description.
        if name == "ID" {
            records
                .push(CacheRecord { id: value.trim_end_matches('*').to_owned(), ..CacheRecord::default() });
            describing = false;
            continue;
        }
        let Some(record) = records.last_mut() else { continue };
        match name {
            "Usage count" | "Last used" | "Type" if !value.is_empty() => {
                describing = false;
                if name == "Type" {
                    record.kind = value.to_owned();
                }
            }
            _ if describing => {
                record.description.push('\n');
                record.description.push_str(line);
            }
            "Parent" | "Parents" => {
                record.parents =
                    value.split([',', ' ', ';']).filter(|id| !id.is_empty()).map(str::to_owned).collect();
            }
            // The summary at the end also has a line of this name.
            "Shared" if value == "true" => record.shared = true,
            "Size" => record.size = value.parse().with_context(|| format!("cache record {}", record.id))?,
            "Description" => {
                record.description = value.to_owned();
                describing = true;
            }
            _ => {}
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multi_line_descriptions_are_read() {
        let text = "ID:\t\taaa\nParent:\t\tbbb\nCreated at:\t2026-11-24 00:46:16 +0000 UTC\nMutable:\tfalse\nReclaimable:\ttrue\nShared:\t\ttrue\n\
                    Size:\t\t6.118GB\nDescription:\tmount / from exec /bin/sh -c set -eu\n\nID of nothing\nlayer x\nUsage count:\t2\nLast used:\t2 hours ago\nType:\t\tregular\n\n\
                    ID:\t\tccc*\nSize:\t\t12.3kB\nDescription:\tlocal source for context\nUsage count:\t1\nType:\t\tsource.local\n\nShared:\t\t13.96GB\nTotal:\t\t27.39GB\n";
        let records = read(text).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(
            (records[0].parents.as_slice(), records[0].size),
            (["bbb".to_owned()].as_slice(), Bytes(6_118_000_000))
        );
        assert!(records[0].shared && records[0].description.ends_with("ID of nothing\nlayer x"));
        assert_eq!((records[1].id.as_str(), records[1].kind.as_str()), ("ccc", "source.local"));
    }
}
