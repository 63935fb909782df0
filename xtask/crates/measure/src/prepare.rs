//! From a request to a plan: what this machine can measure with the images that are built.

use anyhow::Result;
use host::failure::{Failure, FailureClass};
use host::layout::Layout;
use host::program::PROGRAM;

use crate::measured_images::{MeasuredImages, free_disk};
use crate::plan::{Measurable, MeasureStep, Part, Subject, steps};
use crate::record::LeftOut;
use crate::request::MeasureRequest;
use crate::stack_run;
use engine::context::Context;
use engine::side_engine;
use model::bound::WHOLE;
use model::bytes::Bytes;
use model::manifest::{Manifest, Service};
use model::variant::Variant;
use stack::throwaway;

/// Disk space that must stay free beside what a pull needs.
const RESERVE: Bytes = Bytes(2_000_000_000);

/// What will be measured, and what not.
#[derive(Debug)]
pub struct MeasurePlan<'m> {
    /// In order.
    pub steps: Vec<MeasureStep<'m>>,
    /// Parts of the request that cannot be measured, with the reasons.
    pub left_out: Vec<LeftOut>,
    pub(crate) images: MeasuredImages,
}

/// Makes the plan.
///
/// # Errors
/// When docker cannot be queried, an optimized image is missing, or this program's own source is to be measured elsewhere.
pub fn plan<'m>(
    manifest: &'m Manifest,
    request: &MeasureRequest<'m>,
    context: &Context,
) -> Result<MeasurePlan<'m>> {
    if request.self_cost && *context.repository.layout() != Layout::Xtask {
        let what =
            "this repository does not contain the source of this program, which `measure --self` compiles";
        let help = "omit --self, or run it in the repository of this program";
        return Err(Failure::new(FailureClass::Usage, what, help).into());
    }
    let images = MeasuredImages::inspect(manifest, request.edition, &request.tag, context)?;
    if !request.self_cost {
        images.refuse_missing_optimized(&request.services, request.edition, &request.tag)?;
    }
    let mut planner = Planner { manifest, request, images, context, left_out: Vec::new() };
    let mut measurable = Measurable {
        runs: request.runs,
        loads: request.loads.clone(),
        self_cost: request.self_cost,
        ..Measurable::default()
    };
    planner.note_missing_originals();
    if request.includes(&[Part::Pull]) {
        measurable.pulls = planner.pulls()?;
    }
    if request.includes(&[Part::Start, Part::Memory, Part::Cpu]) {
        let variants = |service: &'m Service| (service, planner.images.built(service));
        measurable.containers = request.singles().map(variants).collect();
    }
    let whole = request.whole && request.includes(&[Part::Start, Part::Cpu]);
    if whole || request.includes(&[Part::Memory, Part::Request]) {
        measurable.stacks = planner.stacks()?;
    }
    planner.note_services_without_typical_request();
    Ok(MeasurePlan { steps: steps(&measurable), left_out: planner.left_out, images: planner.images })
}

struct Planner<'a, 'm> {
    manifest: &'m Manifest,
    request: &'a MeasureRequest<'m>,
    images: MeasuredImages,
    context: &'a Context,
    left_out: Vec<LeftOut>,
}

impl<'m> Planner<'_, 'm> {
    fn leave_out(&mut self, subject: &str, what: &str, reason: String) {
        self.left_out.push(LeftOut { subject: subject.to_owned(), what: what.to_owned(), reason });
    }

    fn note_missing_originals(&mut self) {
        let (edition, tag) = (self.request.edition, &self.request.tag);
        for service in &self.request.services {
            if self.request.parts.is_empty()
                || !service.has_twin()
                || self.images.has(service, Variant::Original)
            {
                continue;
            }
            let guide = service.sizes(edition).guide_original;
            let guide = guide.map(|bytes| format!(" (the guide's figure for its size is {bytes})"));
            let reason = format!(
                "not built{}: {PROGRAM} build-images {} --variant original{} --tag {tag}",
                guide.unwrap_or_default(),
                service.name,
                edition.option()
            );
            self.leave_out(&service.name, "original", reason);
        }
    }

    fn note_services_without_typical_request(&mut self) {
        let is_requested = self.request.includes(&[Part::Request]);
        let has_none = |service: &&&Service| is_requested && stack_run::typical(&service.probes).is_none();
        for service in self.request.services.iter().filter(has_none) {
            self.leave_out(&service.name, "request", "none of its probes is `typical`".to_owned());
        }
    }

    /// The subjects whose pulls this machine has disk space and programs for.
    fn pulls(&mut self) -> Result<Vec<(Subject<'m>, Vec<Variant>)>> {
        let missing = side_engine::missing();
        if !missing.is_empty() {
            let reason = format!("a second engine to pull into needs {}", missing.join(", "));
            self.leave_out("all", "pull", reason);
            return Ok(Vec::new());
        }
        let free = free_disk(self.context)?;
        let services = &self.request.services;
        let built = |variant: &Variant| self.images.missing(services, *variant).is_empty();
        let has_twins = services.iter().any(|service| service.has_twin());
        let there = |variant: &Variant| built(variant) && (has_twins || *variant == Variant::Optimized);
        let all: Vec<Variant> = Variant::ALL.into_iter().filter(there).collect();
        let singles =
            self.request.singles().map(|service| (Subject::One(service), self.images.built(service)));
        let subjects: Vec<_> = singles.chain(self.request.whole.then_some((Subject::Whole, all))).collect();
        let mut pulls = Vec::new();
        for (subject, variants) in subjects {
            // The registry's layers, the downloaded ones, and the unpacked ones.
            let unpacked = self.images.largest(&self.request.of(&subject), &variants, self.context)?;
            let needed = unpacked + unpacked + RESERVE;
            match free {
                Some(free) if free < needed => {
                    let reason = format!("needs {needed} of free disk space; {free} is free");
                    self.leave_out(subject.name(), "pull", reason);
                }
                _ => pulls.push((subject, variants)),
            }
        }
        Ok(pulls)
    }

    /// The variants of which every image of the stack is built.
    fn stacks(&mut self) -> Result<Vec<Variant>> {
        let parts = throwaway::dependency_closures(self.manifest, self.context)?;
        let is_started = |service: &&Service| {
            let closures = self.request.services.iter().filter_map(|requested| parts.get(&requested.name));
            closures.into_iter().any(|closure| closure.contains(&service.name))
        };
        let started: Vec<&Service> = self.manifest.services.iter().filter(is_started).collect();
        self.images.refuse_missing_optimized(&started, self.request.edition, &self.request.tag)?;
        if !started.iter().any(|service| service.has_twin()) {
            return Ok(vec![Variant::Optimized]);
        }
        let missing = self.images.missing(&started, Variant::Original);
        if missing.is_empty() {
            return Ok(Variant::ALL.to_vec());
        }
        let reason = format!("the stack needs some that are not built: {}", missing.join(", "));
        self.leave_out(WHOLE, "originals", reason);
        Ok(vec![Variant::Optimized])
    }
}
