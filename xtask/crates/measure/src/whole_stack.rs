//! A throwaway stack of one variant: when all of it answers, what it holds idle and used, and what a typical request takes.

use host::failure::Failure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cgroup;
use crate::cgroup::Cgroup;
use crate::container::{microseconds, rest, started};
use crate::health;
use crate::measurement::WHOLE;
use crate::series::Series;
use engine::context::Context;
use model::manifest::{Manifest, Service};
use model::probe::Probe;
use model::quantity::Quantity;
use stack::http::Client;
use stack::probes;
use stack::probes::plan::ProbePlan;
use stack::probes::report::ProbeOutcome;
use stack::throwaway::{StackImages, ThrowawayStack};

/// Between two questions for /health to each of several services.
const PAUSE: Duration = Duration::from_millis(20);
/// Requests before those that count, and those.
const WARM_UP: usize = 3;
const REQUESTS: usize = 15;
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// What a service says that counts how often a person asks (RFC 6585); how long it is left alone then, and how often.
const TOO_MANY: u16 = 429;
const WAIT: Duration = Duration::from_secs(15);
const TRIES: u32 = 4;

/// A figure of a service, or of all.
pub type Sample = (String, Quantity, u64);

/// What is measured of a stack.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The services that were asked for.
    pub services: &'a [&'a Service],
    /// Whether figures of all together are wanted.
    pub whole: bool,
    /// Whether requests are.
    pub requests: bool,
    /// Whether memory is.
    pub memory: bool,
    /// Between the first healthy answers and idle memory.
    pub settle: Duration,
    /// Until all must be healthy.
    pub deadline: Duration,
}

/// A service that runs.
struct Member {
    name: String,
    process: u32,
    started: SystemTime,
    group: Cgroup,
}

/// The probe that a service or a scenario calls typical.
pub fn typical<'m>(probes: impl IntoIterator<Item = &'m Probe>) -> Option<&'m Probe> {
    probes.into_iter().find(|probe| probe.typical)
}

/// Raises a stack, measures it, and removes it.
///
/// # Errors
/// When it does not get healthy or a probe does not pass: such a stack is not worth a figure.
pub fn measure(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    images: &StackImages,
    context: &Context,
) -> Result<Vec<Sample>> {
    let stack = ThrowawayStack::prepare(manifest, wanted.services, images, context)?;
    let (called, healthy) = raise(&stack, wanted, context)?;
    let members = members(manifest, &stack, context)?;
    let mut samples = Vec::new();
    if wanted.whole {
        let first =
            members.iter().map(|member| member.started).min().context("the stack has no container")?;
        samples.push((WHOLE.to_owned(), Quantity::Start, microseconds(first, healthy)?));
        samples.push((WHOLE.to_owned(), Quantity::Up, microseconds(called, healthy)?));
        samples.push((WHOLE.to_owned(), Quantity::CpuToHealthy, processor(&members)?));
    }
    if wanted.memory && wanted.whole {
        rest(wanted.settle, context)?;
        samples.extend(memory(&members, wanted, false)?);
    }
    pass_probes(manifest, wanted, &stack, context)?;
    if wanted.memory {
        samples.extend(memory(&members, wanted, true)?);
    }
    if wanted.requests {
        for service in wanted.services {
            let probe = typical(&service.probes);
            let own: Vec<&Member> = members.iter().filter(|member| member.name == service.name).collect();
            samples.extend(requests(&service.name, probe, &own, &stack, context)?);
        }
        if wanted.whole {
            let probe = typical(manifest.scenarios.iter().flat_map(|scenario| &scenario.steps));
            samples.extend(requests(WHOLE, probe, &members.iter().collect::<Vec<_>>(), &stack, context)?);
        }
    }
    stack.remove()?;
    Ok(samples)
}

/// When it was called for, and when the last of the services that were asked for first answered.
fn raise(stack: &ThrowawayStack, wanted: &Wanted<'_>, context: &Context) -> Result<(SystemTime, SystemTime)> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ports = wanted.services.iter().filter_map(|service| stack.ports.get(&service.name).copied());
        let is_over = &over;
        let asking: Vec<_> =
            ports.map(|port| scope.spawn(move || health::first(port, PAUSE, is_over))).collect();
        let called = SystemTime::now();
        let risen = stack.up(wanted.deadline, &context.docker.runner.interrupt);
        // All are healthy for the engine, so each has answered or is about to.
        let begun = Instant::now();
        while risen.is_ok()
            && begun.elapsed() < wanted.deadline
            && !asking.iter().all(|one| one.is_finished())
        {
            std::thread::sleep(PAUSE);
        }
        over.store(true, Ordering::SeqCst);
        let mut last = called;
        let answers: Vec<_> = asking.into_iter().map(|one| one.join().ok().flatten()).collect();
        risen?;
        for answer in answers {
            last = last
                .max(answer.context("a service is healthy for the engine and does not answer from outside")?);
        }
        Ok((called, last))
    })
}

fn members(manifest: &Manifest, stack: &ThrowawayStack, context: &Context) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for container in stack.project().containers()? {
        let service = manifest.services.iter().find(|service| service.compose == container.service);
        let Some(service) = service else { continue };
        let (started, process) = started(&container.id, context)?;
        members.push(Member { name: service.name.clone(), process, started, group: Cgroup::of(process)? });
    }
    Ok(members)
}

fn processor(members: &[Member]) -> Result<u64> {
    members.iter().map(|member| member.group.cpu()).sum()
}

/// Of each service that was asked for where they are used; of all together where that is wanted.
fn memory(members: &[Member], wanted: &Wanted<'_>, used: bool) -> Result<Vec<Sample>> {
    let (resident, charged) = match used {
        false => (Quantity::MemoryIdle, Quantity::ChargedIdle),
        true => (Quantity::MemoryAfter, Quantity::ChargedAfter),
    };
    let (mut samples, mut sum, mut sum_charged) = (Vec::new(), Some(0), 0);
    for member in members {
        let (own, group) = (cgroup::resident(member.process), member.group.charged()?);
        sum = sum.zip(own).map(|(sum, own)| sum + own);
        sum_charged += group;
        if used && wanted.services.iter().any(|service| service.name == member.name) {
            samples.extend(own.map(|own| (member.name.clone(), resident, own)));
            samples.push((member.name.clone(), charged, group));
        }
    }
    if wanted.whole {
        samples.extend(sum.map(|sum| (WHOLE.to_owned(), resident, sum)));
        samples.push((WHOLE.to_owned(), charged, sum_charged));
    }
    Ok(samples)
}

fn pass_probes(
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    stack: &ThrowawayStack,
    context: &Context,
) -> Result<()> {
    let plan = ProbePlan::new(manifest, wanted.services);
    let (report, _) = probes::run::run(&plan, stack.project(), &stack.values, wanted.deadline, context)?;
    let failed: Vec<String> = report.not_passed().map(ProbeOutcome::name).collect();
    if !failed.is_empty() {
        bail!(
            "a stack that does not answer as it should is not measured; did not pass: {}",
            failed.join(", ")
        );
    }
    Ok(())
}

/// The median time of a typical request, and the mean of what all of `members` computed for one.
fn requests(
    subject: &str,
    probe: Option<&Probe>,
    members: &[&Member],
    stack: &ThrowawayStack,
    context: &Context,
) -> Result<Vec<Sample>> {
    let known = |probe: &&Probe| probe.needs().iter().all(|need| stack.values.contains_key(need));
    let Some(probe) = probe.filter(known) else {
        return Ok(Vec::new());
    };
    for _ in 0..TRIES {
        let asked = batch(probe, members, stack, context);
        let Some((time, used)) = asked.with_context(|| format!("{subject} · {}", probe.name))? else {
            // It was told to wait; what was asked until then counts for nothing.
            rest(WAIT, context)?;
            continue;
        };
        let of = |quantity, value| (subject.to_owned(), quantity, value);
        return Ok(vec![of(Quantity::Request, time), of(Quantity::CpuRequest, used)]);
    }
    bail!("{subject} · {}: told to wait, {TRIES} times in a row", probe.name)
}

/// Median and mean of some requests over one connection; `None` when the service says that it was asked too often.
fn batch(
    probe: &Probe,
    members: &[&Member],
    stack: &ThrowawayStack,
    context: &Context,
) -> Result<Option<(u64, u64)>> {
    let port = stack.ports.get(&probe.service).context("it has no port")?;
    let (host, request) = (format!("127.0.0.1:{port}"), probe.filled(&stack.values));
    let mut client = Client::new();
    let mut times = Vec::new();
    let used = || members.iter().map(|member| member.group.cpu()).sum::<Result<u64>>();
    let mut before = 0;
    for index in 0..WARM_UP + REQUESTS {
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        if index == WARM_UP {
            before = used()?;
        }
        let begun = Instant::now();
        let status = client.send(&host, &request, ANSWER)?.status;
        if status == TOO_MANY {
            return Ok(None);
        }
        // What is asked is the probe's; what it finds may have been forgotten by now.
        if status != probe.expect.status {
            bail!("status {status}, expected {}", probe.expect.status);
        }
        times.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    let mean = used()?.saturating_sub(before) / u64::try_from(REQUESTS)?;
    Ok(Series::new(times.split_off(WARM_UP)).median().map(|median| (median, mean)))
}
