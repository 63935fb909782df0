//! Which records of the build cache are this project's. They carry no label; what tells is
//! - a cache mount's ID: ours begin with the project's name;
//! - a step that names the folder of one of our Dockerfiles, such as `packages/sutra-api`;
//! - a step that stands on such a step: no other build can have it.
//!
//! Everything else (steps on bases alone, copies of contexts, cache mounts with no ID of their own) may serve others.

use std::collections::BTreeSet;

use engine::build_cache::CacheRecord;
use model::manifest::Manifest;
use model::variant::Variant;

/// What tells our records from others.
#[derive(Debug, Clone)]
pub struct Marks {
    mounts: String,
    folders: BTreeSet<String>,
}

impl Marks {
    /// Of a manifest. A folder in the repository's root has a name that others may have too.
    pub fn of(manifest: &Manifest) -> Marks {
        let paths = manifest
            .services
            .iter()
            .flat_map(|service| Variant::ALL.map(|variant| service.dockerfile(variant)));
        let folders = paths.filter_map(|path| path.rsplit_once('/')).map(|(folder, _)| folder);
        Marks {
            mounts: format!(" with id \"/{}-", manifest.project),
            folders: folders.filter(|folder| folder.contains('/')).map(str::to_owned).collect(),
        }
    }

    /// The IDs of records that are ours.
    pub fn ours<'r>(&self, records: &'r [CacheRecord]) -> BTreeSet<&'r str> {
        let mut ours: BTreeSet<&str> =
            records.iter().filter(|record| self.is_marked(record)).map(|record| record.id.as_str()).collect();
        loop {
            let stands = |record: &&CacheRecord| {
                !is_mount(record)
                    && !ours.contains(record.id.as_str())
                    && record.parents.iter().any(|parent| ours.contains(parent.as_str()))
            };
            let more: Vec<&str> = records.iter().filter(stands).map(|record| record.id.as_str()).collect();
            if more.is_empty() {
                return ours;
            }
            ours.extend(more);
        }
    }

    fn is_marked(&self, record: &CacheRecord) -> bool {
        if is_mount(record) {
            // The step that made a mount first says nothing of who else uses it.
            return record.description.contains(&self.mounts);
        }
        self.folders.iter().any(|folder| names(&record.description, folder))
    }
}

fn is_mount(record: &CacheRecord) -> bool {
    record.kind == "exec.cachemount"
}

/// Whether a text names a folder: not as part of a longer name.
fn names(text: &str, folder: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(folder).any(|(start, found)| {
        let (before, after) = (&text[..start], &text[start + found.len()..]);
        let before = before.strip_suffix("./").unwrap_or(before);
        !before.ends_with(|c: char| part(c) || c == '/' || c == '.') && !after.starts_with(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, parent: &str, kind: &str, description: &str) -> CacheRecord {
        CacheRecord {
            id: id.into(),
            parents: vec![parent.into()],
            kind: kind.into(),
            description: description.into(),
            ..CacheRecord::default()
        }
    }

    #[test]
    fn only_what_can_be_told_apart_is_ours() {
        let marks = Marks {
            mounts: " with id \"/sutra-".into(),
            folders: BTreeSet::from(["packages/sutra-api".to_owned()]),
        };
        let records = [
            record("copy", "base", "regular", "[build 2/3] COPY packages/sutra-api packages/sutra-api"),
            record(
                "run",
                "x",
                "regular",
                "mount / from exec /bin/sh -c layer sources ./packages/sutra-api && layer finish",
            ),
            record("child", "run", "regular", "[stage-1 1/1] COPY --from=build /out /"),
            record("grandchild", "child", "regular", "mount / from exec /bin/sh -c true"),
            record(
                "mount",
                "",
                "exec.cachemount",
                "cached mount /src/target from exec /bin/sh -c x with id \"/sutra-rust\"",
            ),
            record(
                "pip",
                "run",
                "exec.cachemount",
                "cached mount /root/.cache/pip from exec /bin/sh -c pip install packages/sutra-api with id \"//root/.cache/pip\"",
            ),
            record("base", "", "regular", "mount / from exec /bin/sh -c apt-get update"),
            record("other", "", "regular", "[1/1] COPY packages/sutra-api-next /x"),
            record("fork", "", "regular", "[1/1] COPY vendor/packages/sutra-api /x"),
            record("url", "", "regular", "mount / from exec /bin/sh -c curl http://sutra-api:8000/health"),
            record("context", "", "source.local", "local source for context"),
        ];
        let ours: Vec<&str> = marks.ours(&records).into_iter().collect();
        assert_eq!(ours, ["child", "copy", "grandchild", "mount", "run"]);
    }
}
