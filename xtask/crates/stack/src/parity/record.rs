//! Recorded answers of originals, which stand in for them where they are too large to run each time.
//!
//! A record says what it was taken from: the image of every original that had a part in it, and the hash of what that image
//! was made from. When one of these hashes is another today, or a probe asks otherwise than then, the record is stale.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::parity::{Answered, Answers};
use crate::probes::run::{Done, Group};
use build::sources;
use host::files;
use host::paths::Repository;
use model::edition::Edition;
use model::manifest::Service;
use model::parity::Kept;
use model::probe::{Probe, Request};

const SCHEMA: u32 = 1;

/// What the originals answered to one group of probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    schema: u32,
    edition: Edition,
    group: String,
    /// By the manifest's name of a service.
    originals: BTreeMap<String, Original>,
    answers: Vec<Entry>,
}

/// An original that had a part in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original {
    /// Its ID where it was recorded. The same sources give another ID on another day's Debian packages.
    pub image: String,
    /// Hash of its Dockerfile and sources.
    pub sources: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    probe: String,
    /// With its placeholders: no secret stands in a record.
    request: Request,
    answer: Kept,
}

impl Record {
    /// Of answers that originals gave just now.
    pub fn new(
        edition: Edition,
        group: &Group<'_>,
        originals: BTreeMap<String, Original>,
        done: &[Done<'_>],
    ) -> Record {
        let of_group = done.iter().filter(|done| done.outcome.group == group.name);
        let answers = of_group.filter_map(|done| {
            Some(Entry {
                probe: done.probe.name.clone(),
                request: done.probe.request.clone(),
                answer: Kept::from(done.answer.as_ref()?),
            })
        });
        Record { schema: SCHEMA, edition, group: group.name.clone(), originals, answers: answers.collect() }
    }

    /// Writes it where the next run looks for it. One answer stands on one line, so that a difference is seen.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, repository: &Repository) -> Result<()> {
        let entries: Vec<String> =
            self.answers.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let text = format!(
            "{{\n\"schema\": {SCHEMA},\n\"edition\": \"{}\",\n\"group\": {},\n\"originals\": {},\n\"answers\": [\n{}\n]\n}}\n",
            self.edition,
            serde_json::to_string(&self.group)?,
            serde_json::to_string_pretty(&self.originals)?,
            entries.join(",\n")
        );
        files::write_atomically(&repository.parity_record(self.edition.name(), &self.group), text.as_bytes())
    }

    /// Reads the record of a group; `None` where there is none.
    ///
    /// # Errors
    /// When it is damaged, with the file.
    pub fn read(edition: Edition, group: &str, repository: &Repository) -> Result<Option<Record>> {
        let path = repository.parity_record(edition.name(), group);
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        let read = || -> Result<Record> {
            let record: Record = serde_json::from_str(&text)?;
            if record.schema != SCHEMA {
                bail!("it has schema {}, this version reads {SCHEMA}", record.schema);
            }
            Ok(record)
        };
        let remedy = "take it back from git, or record it anew with `cargo xtask test --parity --record`";
        read().map(Some).with_context(|| format!("{} is no record of answers: {remedy}", path.display()))
    }

    /// Why it says nothing of today's originals; empty when it does. `now` are today's hashes by service.
    fn staleness(&self, now: &BTreeMap<String, String>) -> Option<String> {
        let changed: Vec<&str> = now
            .iter()
            .filter(|(service, hash)| {
                self.originals.get(*service).is_none_or(|original| original.sources != **hash)
            })
            .map(|(service, _)| service.as_str())
            .collect();
        (!changed.is_empty()).then(|| format!("the record is stale: {} changed since", changed.join(", ")))
    }

    /// Whether it asked these probes, in this order: what one asks may change what the next one is answered.
    fn asked(&self, probes: &[&Probe]) -> bool {
        let then = self.answers.iter().map(|entry| (&entry.probe, &entry.request));
        then.eq(probes.iter().map(|probe| (&probe.name, &probe.request)))
    }

    fn answered(&self, probe: &Probe) -> Answered {
        match self.answers.iter().find(|entry| entry.probe == probe.name) {
            Some(entry) => Answered::With(entry.answer.clone()),
            None => Answered::Not(format!("the record does not hold it; {REMEDY}")),
        }
    }
}

const REMEDY: &str = "`cargo xtask test --parity --record` asks the running originals anew";

/// What records say of these groups. `parts` names the services that have a part in a group.
///
/// # Errors
/// When a record or a source cannot be read.
pub fn answers(
    edition: Edition,
    groups: &[Group<'_>],
    parts: impl Fn(&str) -> Vec<String>,
    services: &[Service],
    repository: &Repository,
) -> Result<Answers> {
    let mut answers = Answers::default();
    let mut known = BTreeMap::new();
    for group in groups {
        let record = Record::read(edition, &group.name, repository)?;
        let mut now = BTreeMap::new();
        for service in services.iter().filter(|service| parts(&group.name).contains(&service.name)) {
            if !known.contains_key(&service.name) {
                known.insert(service.name.clone(), sources::hash(&service.original, repository)?);
            }
            now.insert(service.name.clone(), known[&service.name].clone());
        }
        let silent = match &record {
            None => Some(format!("no answers of the original are recorded; {REMEDY}")),
            Some(record) if (record.edition, &record.group) != (edition, &group.name) => Some(format!(
                "the record is that of {} in edition {}; {REMEDY}",
                record.group, record.edition
            )),
            Some(record) if !record.asked(&group.probes) => {
                Some(format!("the record is stale: other probes were asked then; {REMEDY}"))
            }
            Some(record) => record.staleness(&now).map(|why| format!("{why}; {REMEDY}")),
        };
        for probe in &group.probes {
            let answered = match (&silent, &record) {
                (None, Some(record)) => record.answered(probe),
                (why, _) => Answered::Not(why.clone().unwrap_or_default()),
            };
            answers.insert(&group.name, &probe.name, answered);
        }
    }
    Ok(answers)
}
