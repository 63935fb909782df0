//! Executing a plan, sample by sample.

use anyhow::{Context as _, Result};

use crate::plan::{MeasureAct, Part, Subject};
use crate::prepare::MeasurePlan;
use crate::pull_bench::PullBench;
use crate::record::Sample;
use crate::recorder::{Measurement, Recorder};
use crate::request::MeasureRequest;
use crate::session::Session;
use crate::{cgroup, container, load_run, self_cost, stack_run};
use engine::context::Context;
use model::manifest::Manifest;
use model::quantity::Quantity;
use model::variant::Variant;
use stack::throwaway;

/// Measures and records every sample. Nothing stays on the machine but the record.
///
/// # Errors
/// The first step that fails, or when the user interrupts; samples taken until then are in the record.
pub fn measure(
    manifest: &Manifest,
    request: &MeasureRequest<'_>,
    plan: &MeasurePlan<'_>,
    context: &Context,
) -> Result<Measurement> {
    let session = Session::begin(manifest, context)?;
    let mut recorder = Recorder::open(manifest, request, plan, context)?;
    let mut run = Run { manifest, request, plan, session: &session, context, bench: None };
    for (index, step) in plan.steps.iter().enumerate() {
        context.docker.runner.interrupt.check()?;
        context.terminal.say(format!("[{}/{}] {step} …", index + 1, plan.steps.len()));
        let load = cgroup::load();
        let samples = run.step(step.act, step.variant).with_context(|| step.to_string())?;
        recorder.add(step.variant, &samples, load)?;
    }
    drop(run);
    session.end()?;
    recorder.finish()
}

struct Run<'a, 'm> {
    manifest: &'m Manifest,
    request: &'a MeasureRequest<'m>,
    plan: &'a MeasurePlan<'m>,
    session: &'a Session,
    context: &'a Context,
    /// For the subject whose pulls are being measured.
    bench: Option<(String, PullBench)>,
}

impl<'m> Run<'_, 'm> {
    fn step(&mut self, act: MeasureAct<'m>, variant: Variant) -> Result<Vec<Sample>> {
        let (request, context) = (self.request, self.context);
        let images = throwaway::StackImages {
            edition: request.edition,
            variant,
            tag: request.tag.clone(),
            replaced: None,
        };
        if !matches!(act, MeasureAct::Pull(_)) {
            drop(self.bench.take());
        }
        let mut samples = match act {
            MeasureAct::Pull(subject) => return self.pull(subject, variant),
            MeasureAct::Container(service) => {
                let id = self.plan.images.id(service, variant).context("the image is gone")?;
                container::measure(service, id, request, self.session, context)?
            }
            MeasureAct::Stack => stack_run::measure(self.manifest, request, &images, context)?,
            MeasureAct::Load(load) => {
                return load_run::measure(self.manifest, load, &images, request.deadline, context);
            }
            MeasureAct::SelfCost => return self_cost::measure(request, self.session, context),
            MeasureAct::Compile => return self_cost::compile(self.session, context),
        };
        samples
            .retain(|(_, quantity, _)| Part::of(*quantity).is_some_and(|part| request.parts.contains(&part)));
        Ok(samples)
    }

    fn pull(&mut self, subject: Subject<'m>, variant: Variant) -> Result<Vec<Sample>> {
        if self.bench.as_ref().is_none_or(|(name, _)| name != subject.name()) {
            // Frees the last subject's disk space before the next one needs it.
            drop(self.bench.take());
            let pushed = self.plan.images.pushed(&subject, self.request);
            let bench = PullBench::open(&pushed, self.session, self.context)?;
            self.bench = Some((subject.name().to_owned(), bench));
        }
        let (_, bench) = self.bench.as_ref().context("no registry")?;
        let pull = bench.pull(&self.plan.images.names(&subject, self.request, variant))?;
        let sample = |quantity, value| (subject.name().to_owned(), quantity, value);
        let took = u64::try_from(pull.took.as_micros())?;
        Ok(vec![sample(Quantity::PullBytes, pull.bytes), sample(Quantity::Pull, took)])
    }
}
