//! Keeping what is measured: every step is on disk before the next begins, and says what it was made from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::Wanted;
use crate::cgroup;
use crate::images::Images;
use crate::measurement::{LeftOut, Machine, MadeFrom, Record, SCHEMA, WHOLE};
use crate::plan::Part;
use crate::whole_stack::Sample;
use engine::context::Context;
use engine::facts::Store;
use host::files;
use host::paths::Repository;
use model::manifest::{Manifest, Service};
use model::quantity::Quantity;
use model::variant::Variant;

/// Holds the record while it grows.
pub struct Keeper {
    record: Record,
    repository: Repository,
    parts: Vec<Part>,
    /// What this run has begun: older figures of the same are replaced once.
    begun: BTreeSet<(String, Quantity)>,
    /// By subject.
    of: BTreeMap<String, MadeFrom>,
}

/// What a run measured, in the record with all that earlier ones did.
#[derive(Debug)]
pub struct Measured {
    /// The record.
    pub record: Record,
    /// What of it is this run's: subjects and quantities.
    pub figures: BTreeSet<(String, Quantity)>,
}

/// The record that is there: none, one, or why it cannot be used (it is damaged, or of another schema).
///
/// # Errors
/// When the file cannot be read.
pub fn saved(repository: &Repository) -> Result<Result<Option<Record>, String>> {
    let Some(text) = files::read_if_there(&repository.measure_record())? else { return Ok(Ok(None)) };
    Ok(match serde_json::from_str::<Record>(&text) {
        Ok(record) if record.schema == SCHEMA => Ok(Some(record)),
        Ok(record) => Err(format!("it has schema {}, this version reads {SCHEMA}", record.schema)),
        Err(error) => Err(error.to_string()),
    })
}

/// The record to go on from; one that cannot be used is said, and begun anew.
fn load(context: &Context) -> Result<Record> {
    let found = saved(&context.repository)?;
    Ok(found
        .unwrap_or_else(|why| {
            let path = context.repository.measure_record();
            context.terminal.warn(format!("{} is stale and begun anew: {why}", path.display()));
            None
        })
        .unwrap_or_default())
}

impl Keeper {
    /// Goes on from the record that is there.
    ///
    /// # Errors
    /// When it cannot be read, or docker cannot be asked.
    pub fn open(
        manifest: &Manifest,
        wanted: &Wanted<'_>,
        images: &Images,
        left_out: Vec<LeftOut>,
        context: &Context,
    ) -> Result<Keeper> {
        let machine = machine(context)?;
        let commit = Some(context.git().revision()).filter(|revision| revision != "unknown");
        let made = |services: &[&Service]| {
            let ids = |variant| {
                let of = |service: &&Service| {
                    Some((service.name.clone(), images.id(service, variant)?.to_owned()))
                };
                services.iter().filter_map(of).collect()
            };
            MadeFrom {
                edition: wanted.edition,
                tag: wanted.tag.to_string(),
                original: ids(Variant::Original),
                optimized: ids(Variant::Optimized),
                stand_in: services.iter().any(|service| images.is_on_stand_in(service)),
                runs: wanted.runs,
                throttle: wanted.throttle.map(crate::rate::Rate::bits),
                settle: wanted.settle.as_secs(),
                machine: machine.clone(),
                commit: commit.clone(),
                at: String::new(),
                load: (0, 0),
            }
        };
        let all: Vec<&Service> = manifest.services.iter().collect();
        let ones = wanted.services.iter().map(|service| (service.name.clone(), made(&[service])));
        let of = ones.chain([(WHOLE.to_owned(), made(&all))]).collect();
        let record = Record { complete: false, left_out, ..load(context)? };
        let (repository, parts) = (context.repository.clone(), wanted.parts.clone());
        Ok(Keeper { record, repository, parts, begun: BTreeSet::new(), of })
    }

    /// Adds what a step gave, as far as it was asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&mut self, variant: Variant, samples: &[Sample], load: u64) -> Result<()> {
        for (subject, quantity, value) in samples {
            if !self.parts.contains(&Part::of(*quantity)) {
                continue;
            }
            let of = self.of.get(subject).with_context(|| format!("nobody asked for {subject}"))?;
            let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            let of = MadeFrom { at, load: (load, load), ..of.clone() };
            let fresh = self.begun.insert((subject.clone(), *quantity));
            self.record.add(subject, *quantity, variant, *value, &of, fresh);
        }
        self.save()
    }

    /// Says that all that was to be measured is, and hands the record over.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<Measured> {
        self.record.complete = true;
        self.save()?;
        Ok(Measured { record: self.record, figures: self.begun })
    }

    fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(&self.record)? + "\n";
        files::write_atomically(&self.repository.measure_record(), text.as_bytes())
    }
}

fn machine(context: &Context) -> Result<Machine> {
    let facts = context.docker.facts()?;
    let store = match facts.store {
        Some(Store::Containerd) => "containerd",
        _ => "classic",
    };
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        engine: facts.engine.map(|version| version.to_string()).unwrap_or_default(),
        store: store.to_owned(),
        kernel: cgroup::kernel(),
    })
}
