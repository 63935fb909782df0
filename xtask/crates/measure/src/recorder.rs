//! Writing the record: every sample is on disk before the next step begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use crate::cgroup;
use crate::prepare::MeasurePlan;
use crate::record::{Machine, MadeFrom, MeasureRecord, SCHEMA, Sample};
use crate::request::MeasureRequest;
use engine::context::Context;
use engine::facts::Store;
use host::files;
use host::paths::Repository;
use model::bound::WHOLE;
use model::manifest::{Manifest, Service};
use model::quantity::Quantity;
use model::variant::Variant;

/// Adds samples to the record.
pub(crate) struct Recorder {
    record: MeasureRecord,
    repository: Repository,
    /// Figures of this run; the first sample of each replaces an earlier run's entry.
    figures: BTreeSet<(String, Quantity)>,
    /// By subject; what belongs to no service is under [`WHOLE`].
    made_from: BTreeMap<String, MadeFrom>,
}

/// The record after a run.
#[derive(Debug)]
pub struct Measurement {
    /// The record, with earlier figures.
    pub record: MeasureRecord,
    /// The figures of this run: subjects and quantities.
    pub figures: BTreeSet<(String, Quantity)>,
}

/// The saved record: none, one, or why it cannot be used (damaged, or of another schema).
///
/// # Errors
/// When the file cannot be read.
pub fn saved(repository: &Repository) -> Result<Result<Option<MeasureRecord>, String>> {
    let Some(text) = files::read_if_there(&repository.measure_record())? else { return Ok(Ok(None)) };
    Ok(match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) if value["schema"] == SCHEMA => {
            serde_json::from_value(value).map(Some).map_err(|error| error.to_string())
        }
        Ok(value) => Err(format!("it has schema {}, this program reads {SCHEMA}", value["schema"])),
        Err(error) => Err(error.to_string()),
    })
}

fn load(context: &Context) -> Result<MeasureRecord> {
    let found = saved(&context.repository)?.unwrap_or_else(|why| {
        let path = context.repository.measure_record();
        context.terminal.warn(format!("starting a new record; {} cannot be used: {why}", path.display()));
        None
    });
    Ok(found.unwrap_or_default())
}

impl Recorder {
    /// Continues the saved record.
    pub(crate) fn open(
        manifest: &Manifest,
        request: &MeasureRequest<'_>,
        plan: &MeasurePlan<'_>,
        context: &Context,
    ) -> Result<Recorder> {
        let machine = machine(context)?;
        let commit = Some(context.git().revision()).filter(|revision| revision != "unknown");
        let images = &plan.images;
        let made_from = |services: &[&Service]| {
            let ids = |variant| {
                let id = |service: &&Service| {
                    Some((service.name.clone(), images.id(service, variant)?.to_owned()))
                };
                services.iter().filter_map(id).collect()
            };
            MadeFrom {
                edition: request.edition,
                tag: request.tag.to_string(),
                original: ids(Variant::Original),
                optimized: ids(Variant::Optimized),
                stand_in: services.iter().any(|service| images.is_on_stand_in(service)),
                runs: request.runs,
                settle: request.settle.as_secs(),
                machine: machine.clone(),
                commit: commit.clone(),
                at: String::new(),
                load: (0, 0),
            }
        };
        let all: Vec<&Service> = manifest.services.iter().collect();
        let singles = request.services.iter().map(|service| (service.name.clone(), made_from(&[service])));
        let made_from = singles.chain([(WHOLE.to_owned(), made_from(&all))]).collect();
        let record = MeasureRecord { complete: false, left_out: plan.left_out.clone(), ..load(context)? };
        Ok(Recorder { record, repository: context.repository.clone(), figures: BTreeSet::new(), made_from })
    }

    /// Adds a step's samples.
    pub(crate) fn add(&mut self, variant: Variant, samples: &[Sample], load: u64) -> Result<()> {
        for (subject, quantity, value) in samples {
            let made_from = self.made_from.get(subject).or_else(|| self.made_from.get(WHOLE));
            let at = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            let made_from = MadeFrom { at, load: (load, load), ..made_from.context("no images")?.clone() };
            let fresh = self.figures.insert((subject.clone(), *quantity));
            self.record.add(subject, *quantity, variant, *value, &made_from, fresh);
        }
        self.save()
    }

    /// Marks the record as complete.
    pub(crate) fn finish(mut self) -> Result<Measurement> {
        self.record.complete = true;
        self.save()?;
        Ok(Measurement { record: self.record, figures: self.figures })
    }

    fn save(&self) -> Result<()> {
        files::write_atomically(
            &self.repository.measure_record(),
            host::render::json(&self.record)?.as_bytes(),
        )
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
