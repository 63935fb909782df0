//! Original against optimized, measured: what a pull takes, how soon a service answers, what memory it holds, what it computes.
//!
//! Variants take turns in one run, so that what drifts meets both. Each sample is on disk before the next is taken.

pub mod cgroup;
pub mod container;
pub mod health;
pub mod images;
pub mod measurement;
pub mod plan;
pub mod pull_bench;
pub mod rate;
pub mod record;
pub mod relay;
pub mod series;
pub mod session;
pub mod text;
pub mod whole_stack;

use host::failure::Failure;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::images::Images;
use crate::measurement::{LeftOut, WHOLE};
use crate::plan::{Act, Part, Plannable, Step, Subject};
use crate::pull_bench::Depot;
use crate::rate::Rate;
use crate::record::Keeper;
pub use crate::record::Measured;
use crate::session::Session;
use engine::context::Context;
use engine::side_engine;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::quantity::Quantity;
use model::variant::Variant;
use stack::throwaway;

/// What is asked for, resolved.
#[derive(Debug, Clone)]
pub struct Wanted<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The edition of all images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: Tag,
    /// Samples of each variant.
    pub runs: u32,
    /// What is measured.
    pub parts: Vec<Part>,
    /// Whether figures of all services together are wanted.
    pub whole: bool,
    /// Whether pulls and starts of single services are wanted; a stack tells of each of them all the same.
    pub singles: bool,
    /// The line of throttled pulls; `None` for none.
    pub throttle: Option<Rate>,
    /// Between the first healthy answer and idle memory.
    pub settle: Duration,
    /// Until a container or a stack must be healthy.
    pub deadline: Duration,
}

impl<'m> Wanted<'m> {
    /// The services that are measured by themselves.
    fn singles(&self) -> impl Iterator<Item = &&'m Service> {
        self.services.iter().filter(|_| self.singles)
    }
}

/// What will be measured, and what not.
#[derive(Debug)]
pub struct Plan<'m> {
    /// In order.
    pub steps: Vec<Step<'m>>,
    /// Why, where something that was asked for is not in them.
    pub left_out: Vec<LeftOut>,
    images: Images,
}

/// Looks what can be measured on this machine, of the images that are built.
///
/// # Errors
/// When docker cannot be asked, or an optimized image is missing.
pub fn plan<'m>(manifest: &'m Manifest, wanted: &Wanted<'m>, context: &Context) -> Result<Plan<'m>> {
    let images = Images::look(manifest, wanted.edition, &wanted.tag, context)?;
    let mut left_out = Vec::new();
    images.refuse_missing_optimized(&wanted.services, wanted.edition, &wanted.tag)?;
    for service in wanted.services.iter().filter(|service| !images.has(service, Variant::Original)) {
        left_out.push(original_left_out(service, wanted));
    }
    let services = wanted.singles().map(|service| (*service, images.built(service))).collect();
    let wants = |parts: &[Part]| wanted.parts.iter().any(|part| parts.contains(part));
    let needs_stack =
        wants(&[Part::Memory, Part::Request]) || (wanted.whole && wants(&[Part::Start, Part::Cpu]));
    let plannable = Plannable {
        runs: wanted.runs,
        parts: wanted.parts.clone(),
        throttled: wanted.throttle.is_some(),
        whole: wanted.whole,
        pulls: if wants(&[Part::Pull]) {
            pulls(wanted, &images, context, &mut left_out)?
        } else {
            Vec::new()
        },
        services,
        stacks: if needs_stack {
            stacks(manifest, wanted, &images, context, &mut left_out)?
        } else {
            Vec::new()
        },
    };
    if wants(&[Part::Request]) {
        for service in
            wanted.services.iter().filter(|service| whole_stack::typical(&service.probes).is_none())
        {
            left_out.push(LeftOut {
                subject: service.name.clone(),
                what: "request".to_owned(),
                reason: "none of its probes in images.toml is `typical`".to_owned(),
            });
        }
    }
    Ok(Plan { steps: plan::steps(&plannable), left_out, images })
}

/// There is no ratio to a figure that nobody measured here.
fn original_left_out(service: &Service, wanted: &Wanted<'_>) -> LeftOut {
    let guide = match service.sizes(wanted.edition).guide_original {
        Some(bytes) => format!(" (the guide's figure for its size is {bytes})"),
        None => String::new(),
    };
    LeftOut {
        subject: service.name.clone(),
        what: "the original".to_owned(),
        reason: format!(
            "it is not built{guide}: cargo xtask build-images {} --variant original --edition {} --tag {}",
            service.name, wanted.edition, wanted.tag
        ),
    }
}

/// Room that stays free beside what a pull needs.
const RESERVE: Bytes = Bytes(2_000_000_000);

/// Whose pulls this machine has room and programs for.
fn pulls<'m>(
    wanted: &Wanted<'m>,
    images: &Images,
    context: &Context,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<(Subject<'m>, Vec<Variant>)>> {
    let mut refuse = |subject: &str, reason: String| {
        left_out.push(LeftOut { subject: subject.to_owned(), what: "pull".to_owned(), reason });
    };
    let missing = side_engine::missing();
    if !missing.is_empty() {
        refuse("all", format!("a second engine to pull into needs {}", missing.join(", ")));
        return Ok(Vec::new());
    }
    let free = images::free(context)?;
    let mut pulls = Vec::new();
    let all: Vec<Variant> = Variant::ALL
        .into_iter()
        .filter(|variant| wanted.services.iter().all(|service| images.has(service, *variant)))
        .collect();
    let ones = wanted.singles().map(|service| (Subject::One(service), images.built(service)));
    let whole = wanted.whole.then_some((Subject::Whole, all));
    for (subject, variants) in ones.chain(whole) {
        let of: Vec<&Service> = match subject {
            Subject::One(service) => vec![service],
            Subject::Whole => wanted.services.clone(),
        };
        // The registry's layers, those that arrive, and what is made of them.
        let unpacked = images.largest(&of, &variants, context)?;
        let need = unpacked + unpacked + RESERVE;
        if free.is_some_and(|free| free < need) {
            let free = free.unwrap_or_default();
            refuse(subject.name(), format!("it needs {need} of free disk, and there are {free}"));
        } else {
            pulls.push((subject, variants));
        }
    }
    Ok(pulls)
}

/// The variants of which all images of the stack are built.
fn stacks(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    images: &Images,
    context: &Context,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<Variant>> {
    let parts = throwaway::dependency_closures(manifest, context)?;
    let started = |service: &&Service| {
        wanted
            .services
            .iter()
            .any(|asked| parts.get(&asked.name).is_some_and(|all| all.contains(&service.name)))
    };
    let all: Vec<&Service> = manifest.services.iter().filter(started).collect();
    images.refuse_missing_optimized(&all, wanted.edition, &wanted.tag)?;
    let missing: Vec<&str> = all
        .iter()
        .filter(|service| !images.has(service, Variant::Original))
        .map(|service| service.name.as_str())
        .collect();
    if missing.is_empty() {
        return Ok(Variant::ALL.to_vec());
    }
    left_out.push(LeftOut {
        subject: WHOLE.to_owned(),
        what: "the originals".to_owned(),
        reason: format!("not built of what it starts: {}", missing.join(", ")),
    });
    Ok(vec![Variant::Optimized])
}

/// Measures, sample by sample, and keeps each. Nothing of it stays on the machine but the record.
///
/// # Errors
/// The first step that fails, or when the person interrupts; what was measured until then is in the record.
pub fn measure(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    plan: &Plan<'_>,
    context: &Context,
) -> Result<Measured> {
    let session = Session::begin(manifest, context)?;
    let mut keeper = Keeper::open(manifest, wanted, &plan.images, plan.left_out.clone(), context)?;
    let mut place: Option<(String, Depot)> = None;
    for (index, step) in plan.steps.iter().enumerate() {
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        context.terminal.say(format!("[{}/{}] {step} …", index + 1, plan.steps.len()));
        let load = cgroup::load();
        let samples = match step.act {
            Act::Pull { subject, throttled } => {
                if place.as_ref().is_none_or(|(of, _)| of != subject.name()) {
                    // The last one's disk is free before the next one's is taken.
                    drop(place.take());
                    let depot = Depot::open(&plan.images.pushed(&subject, wanted), &session, context)?;
                    place = Some((subject.name().to_owned(), depot));
                }
                let depot = place.as_ref().map(|(_, depot)| depot).context("no registry")?;
                pull(depot, subject, throttled, step.variant, plan, wanted)
            }
            Act::Container(service) => {
                drop(place.take());
                let id = plan.images.id(service, step.variant).context("the image is gone")?;
                let measured =
                    container::measure(service, id, wanted.settle, wanted.deadline, &session, context);
                measured.map(|samples| {
                    let of = |(quantity, value)| (service.name.clone(), quantity, value);
                    samples.into_iter().map(of).collect()
                })
            }
            Act::Stack => {
                drop(place.take());
                whole_stack::measure(manifest, &of_stack(wanted), &of_trial(wanted, step.variant), context)
            }
        };
        let samples = samples.with_context(|| step.to_string())?;
        keeper.keep(step.variant, &samples, load)?;
    }
    drop(place);
    session.end()?;
    keeper.finish()
}

fn of_stack<'a>(wanted: &'a Wanted<'_>) -> whole_stack::Wanted<'a> {
    whole_stack::Wanted {
        services: &wanted.services,
        whole: wanted.whole,
        requests: wanted.parts.contains(&Part::Request),
        memory: wanted.parts.contains(&Part::Memory),
        settle: wanted.settle,
        deadline: wanted.deadline,
    }
}

fn of_trial(wanted: &Wanted<'_>, variant: Variant) -> throwaway::StackImages {
    throwaway::StackImages { edition: wanted.edition, variant, tag: wanted.tag.clone() }
}

fn pull(
    depot: &Depot,
    subject: Subject<'_>,
    throttled: bool,
    variant: Variant,
    plan: &Plan<'_>,
    wanted: &Wanted<'_>,
) -> Result<Vec<whole_stack::Sample>> {
    let names = plan.images.names(&subject, wanted, variant);
    let pulled = depot.pull(&names, wanted.throttle.filter(|_| throttled))?;
    let took = u64::try_from(pulled.took.as_micros())?;
    let of = |quantity, value| (subject.name().to_owned(), quantity, value);
    Ok(match throttled {
        true => vec![of(Quantity::PullThrottled, took)],
        false => vec![of(Quantity::PullBytes, pulled.bytes), of(Quantity::Pull, took)],
    })
}
