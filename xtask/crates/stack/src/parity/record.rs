//! Recorded answers of originals, which replace running originals: those are too large to start each time.
//!
//! A record names the image of every original behind it and a hash of that image's sources. It is stale when a hash or a
//! probe's request has changed since.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::parity::answers::OriginalAnswers;
use crate::probes::plan::ProbeGroup;
use crate::probes::run::ProbeResult;
use build::sources;
use host::files;
use host::paths::Repository;
use host::secrets::Secrets;
use model::edition::Edition;
use model::manifest::Service;
use model::probe::{HttpRequest, Probe};
use model::recorded::RecordedResponse;

const SCHEMA: u32 = 1;

fn remedy() -> String {
    format!("record the running originals with `{PROGRAM} test --parity --record`")
}

/// The originals' answers to one group of probes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ParityRecord {
    schema: u32,
    edition: Edition,
    group: String,
    /// By the service's name in the manifest.
    originals: BTreeMap<String, RecordedOriginal>,
    answers: Vec<RecordedAnswer>,
}

/// An original behind a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedOriginal {
    /// Its image ID. The same sources give another ID with newer Debian packages.
    pub(crate) image: String,
    /// Hash of its Dockerfile and sources.
    pub(crate) sources: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedAnswer {
    probe: String,
    /// With placeholders, so that a record holds no secret.
    request: HttpRequest,
    answer: RecordedResponse,
}

impl ParityRecord {
    /// `own`: the secrets of the originals' stack.
    pub(crate) fn new(
        edition: Edition,
        group: &ProbeGroup<'_>,
        originals: BTreeMap<String, RecordedOriginal>,
        results: &[ProbeResult<'_>],
        own: &Secrets,
    ) -> ParityRecord {
        let of_group = results.iter().filter(|result| result.outcome.group == group.name);
        let answers = of_group.filter_map(|result| {
            Some(RecordedAnswer {
                probe: result.probe.name.clone(),
                request: result.probe.request.clone(),
                answer: RecordedResponse::of(result.answer.as_ref()?, own)
                    .without_ignored(&result.probe.parity),
            })
        });
        let (group, answers) = (group.name.clone(), answers.collect());
        ParityRecord { schema: SCHEMA, edition, group, originals, answers }
    }

    /// Writes the record with one answer per line, for readable diffs.
    pub(crate) fn write(&self, repository: &Repository) -> Result<()> {
        let answers: Vec<String> =
            self.answers.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let text = format!(
            "{{\n\"schema\": {SCHEMA},\n\"edition\": \"{}\",\n\"group\": {},\n\"originals\": {},\n\"answers\": [\n{}\n]\n}}\n",
            self.edition,
            serde_json::to_string(&self.group)?,
            serde_json::to_string_pretty(&self.originals)?,
            answers.join(",\n")
        );
        files::write_atomically(&repository.parity_record(self.edition.name(), &self.group), text.as_bytes())
    }

    fn read(edition: Edition, group: &str, repository: &Repository) -> Result<Option<ParityRecord>> {
        let path = repository.parity_record(edition.name(), group);
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        let read = || -> Result<ParityRecord> {
            let record: ParityRecord = serde_json::from_str(&text)?;
            if record.schema != SCHEMA {
                bail!("schema {} instead of {SCHEMA}", record.schema);
            }
            Ok(record)
        };
        let what = || {
            let path = path.display();
            format!("{path} is not a valid record (restore it with git, or {})", remedy())
        };
        read().map(Some).with_context(what)
    }

    /// Why the record cannot be used; `None` if it can. `hashes` are the current ones, by service.
    fn staleness(
        &self,
        edition: Edition,
        group: &ProbeGroup<'_>,
        hashes: &BTreeMap<&str, String>,
    ) -> Option<String> {
        if (self.edition, &self.group) != (edition, &group.name) {
            return Some(format!("the record is for {}, edition {}", self.group, self.edition));
        }
        // The order matters too: a request may change the next answer.
        let recorded = self.answers.iter().map(|entry| (&entry.probe, &entry.request));
        if !recorded.eq(group.probes.iter().map(|probe| (&probe.name, &probe.request))) {
            return Some("the record is stale: the probes changed since".to_owned());
        }
        let is_changed = |(service, hash): &(&&str, &String)| {
            self.originals.get(**service).is_none_or(|original| original.sources != **hash)
        };
        let changed: Vec<&str> = hashes.iter().filter(is_changed).map(|(service, _)| *service).collect();
        (!changed.is_empty()).then(|| format!("the record is stale: {} changed since", changed.join(", ")))
    }

    fn answer(&self, probe: &Probe) -> Result<RecordedResponse, String> {
        let entry = self.answers.iter().find(|entry| entry.probe == probe.name);
        entry.map(|entry| entry.answer.clone()).ok_or_else(|| format!("not in the record; {}", remedy()))
    }
}

/// The recorded answers to these groups. `services_of` names the services behind a group.
pub(crate) fn answers(
    edition: Edition,
    groups: &[ProbeGroup<'_>],
    services_of: impl Fn(&str) -> Vec<String>,
    services: &[Service],
    repository: &Repository,
) -> Result<OriginalAnswers> {
    let mut answers = OriginalAnswers::default();
    let mut cache: BTreeMap<&str, String> = BTreeMap::new();
    for group in groups {
        let record = ParityRecord::read(edition, &group.name, repository)?;
        let names = services_of(&group.name);
        let mut hashes = BTreeMap::new();
        for service in services.iter().filter(|service| names.contains(&service.name)) {
            let hash = match cache.get(service.name.as_str()) {
                Some(hash) => hash.clone(),
                None => sources::of_original(service, repository)?,
            };
            cache.insert(&service.name, hash.clone());
            hashes.insert(service.name.as_str(), hash);
        }
        let usable = match &record {
            None => Err(format!("no recorded answers of the original; {}", remedy())),
            Some(record) => match record.staleness(edition, group, &hashes) {
                Some(reason) => Err(format!("{reason}; {}", remedy())),
                None => Ok(record),
            },
        };
        for probe in &group.probes {
            let answer = usable.as_ref().map_err(String::clone).and_then(|record| record.answer(probe));
            answers.insert(&group.name, &probe.name, answer);
        }
    }
    Ok(answers)
}
