//! A whole diet: a trace, trials, and the report.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::diet::dockerfile;
use crate::diet::findings::Findings;
use crate::diet::report::{DietReport, SCHEMA};
use crate::diet::selection::{Files, Selection};
use crate::diet::trials::TrialSearch;
use crate::trace::run::{TraceRun, require};
use check::prune_finding::PruneFinding;
use check::pruned;
use contents::analysis;
use contents::image::ImageToAnalyze;
use contents::owned_files::OwnedFiles;
use contents::used::{FoundUse, UsePhase, UseRecord};
use engine::context::Context;
use engine::flat_image::FlatImage;
use engine::trial_image::TrialImage;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;
use stack::throwaway::{StackImages, TrialFailure, TrialPlan, UntouchedAnswers, refuse_unasked};

/// Time between the start and the first probe of the trace.
const IDLE: Duration = Duration::from_secs(2);

/// Maximum number of trials: each takes seconds.
const MOST_TRIALS: usize = 60;

/// What to put on a diet.
#[derive(Debug, Clone)]
pub struct DietRequest<'m> {
    /// The service.
    pub service: &'m Service,
    /// The edition.
    pub edition: Edition,
    /// The variant of its image. All other services run their optimized images.
    pub variant: Variant,
    /// The tag, without edition and variant.
    pub tag: Tag,
    /// Whether files that were only opened during the start are candidates too.
    pub aggressive: bool,
    /// Time limit for each stack to become healthy.
    pub deadline: Duration,
}

/// The result of a diet: the report, and the Dockerfile of the proven image.
#[derive(Debug)]
pub struct Diet {
    /// The report.
    pub report: DietReport,
    /// The Dockerfile.
    pub dockerfile: String,
}

impl DietRequest<'_> {
    fn image(&self, context: &Context) -> Result<ImageToAnalyze> {
        let variant = self.service.nearest(self.variant);
        let reference = self.service.reference(&self.tag, self.edition, variant).to_string();
        match context.docker.look(&reference)? {
            Some(image) => Ok(ImageToAnalyze { reference, image }),
            None => {
                let name = &self.service.name;
                let remedy = format!(
                    "{PROGRAM} build-images {name}{} --variant {variant} --tag {}",
                    self.edition.option(),
                    self.tag
                );
                bail!(Failure::new(FailureClass::Failed, format!("image not found: {reference}"), remedy))
            }
        }
    }

    fn images(&self) -> StackImages {
        StackImages {
            edition: self.edition,
            variant: Variant::Optimized,
            tag: self.tag.clone(),
            replaced: None,
        }
    }
}

impl<'m> DietRequest<'m> {
    /// Traces the image in the same stack as the trials. A stored trace may be from other probes.
    fn trace(
        &self,
        manifest: &'m Manifest,
        plan: &TrialPlan<'m>,
        image: &ImageToAnalyze,
        context: &Context,
    ) -> Result<UseRecord> {
        let run = TraceRun {
            manifest,
            plan: plan.probes(),
            started: plan.started(),
            traced: &[self.service],
            images: &plan.images(&image.reference),
            idle: IDLE,
            deadline: self.deadline,
        };
        run.run(context)?;
        match UseRecord::find(&image.reference, &image.image.id, &context.repository) {
            FoundUse::Current(record) => Ok(record),
            _ => bail!("the record of {} is gone: another run replaced it", image.reference),
        }
    }
}

/// Finds files that an image can do without. Removes everything it creates.
///
/// # Errors
/// When the image is missing, nothing probes the service, this machine cannot trace, a probe fails on the untouched image or is
/// flaky, docker fails, or the user interrupts.
pub fn run(manifest: &Manifest, request: &DietRequest<'_>, context: &Context) -> Result<Diet> {
    let started = Instant::now();
    let docker = &context.docker;
    refuse_unasked(manifest, request.service, request.images().edition)?;
    require(docker)?;
    for message in docker.sweep_trial_images()? {
        context.terminal.warn(format!("a trial image of an earlier run was not removed: {message}"));
    }
    let image = request.image(context)?;
    let plan = TrialPlan::new(manifest, request.service, request.images(), request.deadline, context)?;
    let record = request.trace(manifest, &plan, &image, context)?;
    context.terminal.say("probing the untouched image twice …");
    let untouched = plan.untouched(&image.reference, context)?;
    let owned = OwnedFiles::of(&image, context)?;
    let flat = docker.flatten(&image.image, &context.repository.throwaway_stacks())?;
    let files = Files::new(&flat, &owned);
    let base = opened(&record, &files, request.aggressive);
    let mut search = TrialSearch::new(&files, base.clone(), MOST_TRIALS);
    let mut trials = Trials {
        plan: &plan,
        untouched: &untouched,
        flat: &flat,
        known: BTreeMap::new(),
        stacks: 2,
        context,
    };
    let needed = search.needed(&mut |selection| trials.first_failure(selection))?;
    let selection = search.selection(&needed);
    let proven = trials.confirm(&selection, manifest)?;
    let contents = analysis::analyze(std::slice::from_ref(&image), manifest, context)?.remove(0);
    let mut unproven: Vec<String> = plan
        .left_out
        .iter()
        .map(|(scenario, why)| format!("scenario {scenario} did not run: {why}"))
        .collect();
    if search.left == 0 {
        unproven.push(format!("that less could not stay: the limit of {MOST_TRIALS} trials was reached"));
    }
    let unasked = untouched.routes.iter().flat_map(|routes| &routes.unprobed);
    unproven.extend(unasked.map(|route| format!("no probe asks {route}")));
    unproven.extend(new_findings(&image, proven.findings, manifest, context)?);
    let findings = Findings {
        files: &files,
        search: &search,
        selection: &selection,
        needed: &needed,
        record: &record,
        contents: &contents,
    };
    let report = DietReport {
        schema: SCHEMA,
        service: request.service.name.clone(),
        variant: request.service.nearest(request.variant),
        image: image.reference.clone(),
        id: image.image.id.clone(),
        before: contents.bytes,
        opened: search.bytes(files.inodes(record.files.keys()).into_iter()),
        after: proven.bytes,
        trials: trials.known.len(),
        stacks: trials.stacks,
        seconds: started.elapsed().as_secs(),
        asked: plan.groups(),
        goes: findings.goes(),
        stays: findings.stays(),
        unproven,
    };
    let dockerfile =
        dockerfile::write(&image.reference, &manifest.project, &flat, &|path| selection.keeps(path))?;
    Ok(Diet { report, dockerfile })
}

/// Files that stay without a trial: opened files or, with `aggressive`, files opened after the start.
fn opened(record: &UseRecord, files: &Files<'_>, aggressive: bool) -> BTreeSet<usize> {
    let is_start = |phase: &usize| matches!(record.phases.get(*phase), Some(UsePhase::Start));
    let opened = record.files.iter().filter(|(_, usage)| !aggressive || !usage.phases.iter().all(is_start));
    files.inodes(opened.map(|(path, _)| path))
}

/// Runs trials; identical images are tried once.
struct Trials<'a, 'm> {
    plan: &'a TrialPlan<'m>,
    untouched: &'a UntouchedAnswers,
    flat: &'a FlatImage,
    known: BTreeMap<BTreeSet<usize>, Option<TrialFailure>>,
    stacks: usize,
    context: &'a Context,
}

impl Trials<'_, '_> {
    fn first_failure(&mut self, selection: &Selection<'_>) -> Result<Option<TrialFailure>> {
        if let Some(known) = self.known.get(&selection.files) {
            return Ok(known.clone());
        }
        let (_, failures) = self.run(selection)?;
        self.stacks += if failures.is_empty() { 1 } else { 2 };
        let first = failures.into_iter().next();
        let number = self.known.len() + 1;
        self.context.terminal.say(match &first {
            None => format!("trial {number}: passed"),
            Some(failure) => format!("trial {number}: {} failed: {}", failure.name(), failure.what),
        });
        self.known.insert(selection.files.clone(), first.clone());
        Ok(first)
    }

    fn run(&self, selection: &Selection<'_>) -> Result<(TrialImage, Vec<TrialFailure>)> {
        let Trials { plan, untouched, flat, context, .. } = self;
        let folder = context.repository.throwaway_stacks();
        let trial = context.docker.trial_image(flat, &|path| selection.keeps(path), &folder)?;
        let failures = plan.failures(&trial.reference, untouched, context)?;
        Ok((trial, failures))
    }

    /// Repeats the last trial, because its verdict counts.
    fn confirm(&mut self, selection: &Selection<'_>, manifest: &Manifest) -> Result<Proven> {
        let (trial, failures) = self.run(selection)?;
        self.stacks += 1;
        if let Some(failure) = failures.first() {
            let (name, what) = (failure.name(), &failure.what);
            let what = format!("flaky: {name} failed when the last trial was repeated: {what}");
            bail!(Failure::new(
                FailureClass::Failed,
                what,
                "make the probe give the same verdict every time"
            ));
        }
        let reference = trial.reference.clone();
        let image = self.context.docker.look(&reference)?.context("the trial image is gone")?;
        let findings = pruned::in_image(&ImageToAnalyze { reference, image }, manifest, self.context)?;
        Ok(Proven { bytes: trial.bytes, findings })
    }
}

/// The image proven by the trials.
struct Proven {
    bytes: Bytes,
    /// The findings of the over-prune check.
    findings: Vec<PruneFinding>,
}

/// Over-prune findings that only the trial image has. Package databases still list removed packages, whose licences may go too.
fn new_findings(
    original: &ImageToAnalyze,
    trial: Vec<PruneFinding>,
    manifest: &Manifest,
    context: &Context,
) -> Result<Vec<String>> {
    let before = pruned::in_image(original, manifest, context)?;
    let is_new = |found: &PruneFinding| !found.is_note && !before.iter().any(|old| old.what == found.what);
    let (licences, others): (Vec<_>, Vec<_>) =
        trial.into_iter().filter(is_new).partition(|found| found.what.starts_with("the licence of package"));
    let mut notes: Vec<String> =
        others.into_iter().map(|found| format!("over-prune check: {}", found.what)).collect();
    if !licences.is_empty() {
        let count = licences.len();
        notes.push(format!("over-prune check: the package database still lists {count} packages that go"));
    }
    Ok(notes)
}
