//! A throwaway stack of one variant: its start, its memory idle and used, and its typical requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cgroup::{self, Cgroup};
use crate::container::{microseconds, started};
use crate::health;
use crate::plan::Part;
use crate::record::Sample;
use crate::request::MeasureRequest;
use crate::series::Series;
use engine::context::Context;
use host::wait;
use model::bound::WHOLE;
use model::manifest::Manifest;
use model::probe::Probe;
use model::quantity::Quantity;
use stack::http::Client;
use stack::probes;
use stack::probes::plan::ProbePlan;
use stack::probes::report::ProbeOutcome;
use stack::throwaway::{StackImages, ThrowawayStack};

/// Between two requests for health to each service.
const PAUSE: Duration = Duration::from_millis(20);
/// Requests that do not count, and those that do.
const WARM_UP: usize = 3;
const REQUESTS: usize = 15;
const TIMEOUT: Duration = Duration::from_secs(30);
/// The status of a rate limit (RFC 6585), how long to wait then, and how often.
const TOO_MANY: u16 = 429;
const WAIT: Duration = Duration::from_secs(15);
const TRIES: u32 = 4;

/// A running service.
struct Member {
    name: String,
    process: u32,
    started: SystemTime,
    group: Cgroup,
}

/// The probe that is declared as typical.
pub(crate) fn typical<'m>(probes: impl IntoIterator<Item = &'m Probe>) -> Option<&'m Probe> {
    probes.into_iter().find(|probe| probe.typical)
}

/// Starts a stack, measures it, and removes it.
pub(crate) fn measure(
    manifest: &Manifest,
    request: &MeasureRequest<'_>,
    images: &StackImages,
    context: &Context,
) -> Result<Vec<Sample>> {
    let stack = ThrowawayStack::prepare(manifest, &request.services, images, context)?;
    let (called, healthy) = start(&stack, request, context)?;
    let members = members(manifest, &stack, context)?;
    let mut samples = Vec::new();
    if request.whole {
        let first =
            members.iter().map(|member| member.started).min().context("the stack has no container")?;
        samples.push((WHOLE.to_owned(), Quantity::Start, microseconds(first, healthy)?));
        samples.push((WHOLE.to_owned(), Quantity::Up, microseconds(called, healthy)?));
        samples.push((WHOLE.to_owned(), Quantity::CpuToHealthy, processor(&members)?));
    }
    if request.includes(&[Part::Memory]) && request.whole {
        wait::pause(request.settle, &context.docker.runner.interrupt)?;
        samples.extend(memory(&members, request, false)?);
    }
    pass_probes(manifest, request, &stack, context)?;
    if request.includes(&[Part::Memory]) {
        samples.extend(memory(&members, request, true)?);
    }
    if request.includes(&[Part::Request]) {
        for service in &request.services {
            let probe = typical(&service.probes);
            let own: Vec<&Member> = members.iter().filter(|member| member.name == service.name).collect();
            samples.extend(requests(&service.name, probe, &own, &stack, context)?);
        }
        if request.whole {
            let probe = typical(manifest.scenarios.iter().flat_map(|scenario| &scenario.steps));
            samples.extend(requests(WHOLE, probe, &members.iter().collect::<Vec<_>>(), &stack, context)?);
        }
    }
    stack.remove()?;
    Ok(samples)
}

/// When the start was requested, and when the last of the requested services first answered.
fn start(
    stack: &ThrowawayStack,
    request: &MeasureRequest<'_>,
    context: &Context,
) -> Result<(SystemTime, SystemTime)> {
    let (failed, called) = (AtomicBool::new(false), SystemTime::now());
    let begun = Instant::now();
    let interrupt = &context.docker.runner.interrupt;
    let is_over =
        &|| failed.load(Ordering::SeqCst) || interrupt.is_set() || begun.elapsed() > request.deadline * 2;
    std::thread::scope(|scope| {
        let ports = request
            .services
            .iter()
            .filter_map(|service| Some((stack.ports.get(&service.name).copied()?, health::path(service))));
        let polling: Vec<_> = ports
            .map(|(port, path)| scope.spawn(move || health::first(port, path, PAUSE, is_over)))
            .collect();
        let started = stack.up(request.deadline, &context.docker.runner.interrupt);
        failed.store(started.is_err(), Ordering::SeqCst);
        let answers: Option<Vec<_>> =
            polling.into_iter().map(|thread| thread.join().ok().flatten()).collect();
        started?;
        interrupt.check()?;
        let answers = answers.context("a healthy service does not answer on its published port")?;
        Ok((called, answers.into_iter().max().unwrap_or(called)))
    })
}

fn members(manifest: &Manifest, stack: &ThrowawayStack, context: &Context) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    for container in stack.project().containers()? {
        let service = manifest.services.iter().find(|service| service.is_compose(&container.service));
        let Some(service) = service else { continue };
        let (started, process) = started(&container.id, context)?;
        members.push(Member { name: service.name.clone(), process, started, group: Cgroup::of(process)? });
    }
    Ok(members)
}

fn processor(members: &[Member]) -> Result<u64> {
    members.iter().map(|member| member.group.cpu()).sum()
}

/// Of all services together if requested; after use, also of each requested service.
fn memory(members: &[Member], request: &MeasureRequest<'_>, used: bool) -> Result<Vec<Sample>> {
    let (resident, charged) = match used {
        false => (Quantity::MemoryIdle, Quantity::ChargedIdle),
        true => (Quantity::MemoryAfter, Quantity::ChargedAfter),
    };
    let (mut samples, mut sum, mut sum_charged) = (Vec::new(), Some(0), 0);
    for member in members {
        let (own, group) = (cgroup::resident(member.process), member.group.charged()?);
        sum = sum.zip(own).map(|(sum, own)| sum + own);
        sum_charged += group;
        if used && request.services.iter().any(|service| service.name == member.name) {
            samples.extend(own.map(|own| (member.name.clone(), resident, own)));
            samples.push((member.name.clone(), charged, group));
        }
    }
    if request.whole {
        samples.extend(sum.map(|sum| (WHOLE.to_owned(), resident, sum)));
        samples.push((WHOLE.to_owned(), charged, sum_charged));
    }
    Ok(samples)
}

fn pass_probes(
    manifest: &Manifest,
    request: &MeasureRequest<'_>,
    stack: &ThrowawayStack,
    context: &Context,
) -> Result<()> {
    let plan = ProbePlan::new(manifest, &request.services, Some(request.edition));
    let (report, _) = probes::run::run(&plan, stack.project(), &stack.values, request.deadline, context)?;
    let failed: Vec<String> = report.not_passed().map(ProbeOutcome::name).collect();
    if !failed.is_empty() {
        bail!("a stack whose probes fail is not measured; failed: {}", failed.join(", "));
    }
    Ok(())
}

/// The median time of a typical request, and the mean processor time that `members` spent on one.
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
            // The rate limit was reached: repeat the whole batch later.
            wait::pause(WAIT, &context.docker.runner.interrupt)?;
            continue;
        };
        let of = |quantity, value| (subject.to_owned(), quantity, value);
        return Ok(vec![of(Quantity::Request, time), of(Quantity::CpuRequest, used)]);
    }
    bail!("{subject} · {}: rate limit reached {TRIES} times in a row", probe.name)
}

/// Median time and mean processor time of requests over one connection; `None` when the rate limit is reached.
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
        context.docker.runner.interrupt.check()?;
        if index == WARM_UP {
            before = used()?;
        }
        let begun = Instant::now();
        let status = client.send(&host, &request, TIMEOUT)?.status;
        if status == TOO_MANY {
            return Ok(None);
        }
        // Only the status counts: the probe's data may be gone by now.
        if status != probe.expect.status {
            bail!("status {status}, expected {}", probe.expect.status);
        }
        times.push(u64::try_from(begun.elapsed().as_micros())?);
    }
    let mean = used()?.saturating_sub(before) / u64::try_from(REQUESTS)?;
    Ok(Series::new(times.split_off(WARM_UP)).median().map(|median| (median, mean)))
}
