//! The build cache: its records as `docker buildx du --verbose` tells them, and removing some of them.

use anyhow::{Context as _, Result};

use crate::docker::Docker;
use model::bytes::Bytes;

/// One record: what a build step made, a cache mount, or a copy of a build's context.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The ID.
    pub id: String,
    /// The records that it stands on.
    pub parents: Vec<String>,
    /// Bytes, as far as docker prints them: four digits.
    pub size: Bytes,
    /// The step, or what else it is.
    pub description: String,
    /// `regular`, `exec.cachemount`, `source.local` …
    pub kind: String,
    /// Whether an image holds it as well.
    pub shared: bool,
}

/// So many records go in one call: their IDs stand on its command line.
const BATCH: usize = 100;

impl Docker {
    /// Every record of the current builder's cache.
    ///
    /// # Errors
    /// When docker cannot be asked, or answers with what is no list of records.
    pub fn cache(&self) -> Result<Vec<Record>> {
        read(&self.cmd(["buildx", "du", "--verbose"]).read()?)
    }

    /// Removes these records, and no other. What is in use, or what others stand on, stays.
    ///
    /// # Errors
    /// When docker refuses.
    pub fn prune_cache(&self, ids: &[&str]) -> Result<()> {
        for ids in ids.chunks(BATCH) {
            // Buildx makes a regular expression of it.
            let filter = format!("id=^({})$", ids.join("|"));
            self.cmd(["buildx", "prune", "--force", "--filter", &filter]).read()?;
        }
        Ok(())
    }
}

/// Fields stand on lines of their own, but for a description, which may go over many.
fn read(text: &str) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut describing = false;
    for line in text.lines() {
        let (name, value) = line.split_once(":\t").unwrap_or((line, ""));
        let value = value.trim();
        // The order of fields is fixed: an ID begins a record, and this line ends a description.
        if name == "ID" {
            records.push(Record { id: value.trim_end_matches('*').to_owned(), ..Record::default() });
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
            // The summary at the end has a line of this name too.
            "Shared" if value == "true" => record.shared = true,
            "Size" => {
                record.size = value.parse().with_context(|| format!("the cache record {}", record.id))?
            }
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
    fn records_are_read_whatever_their_descriptions_hold() {
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
