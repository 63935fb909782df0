//! One service's container: time and processor time until it answers, and its idle memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cgroup::{self, Cgroup};
use crate::health;
use crate::record::Sample;
use crate::request::MeasureRequest;
use crate::session::Session;
use engine::context::Context;
use host::process::tail;
use host::{ports, wait};
use model::manifest::Service;
use model::quantity::Quantity;

/// Between two requests for its health: the resolution of `start`.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two checks that the container still runs.
const CHECK: Duration = Duration::from_secs(1);

/// Runs an image under production's constraints, then removes the container.
pub(crate) fn measure(
    service: &Service,
    image: &str,
    request: &MeasureRequest<'_>,
    session: &Session,
    context: &Context,
) -> Result<Vec<Sample>> {
    let port = ports::free(1)?.first().copied().context("no port is free on loopback")?;
    let id = run(service, image, port, session, context)?;
    let stop = AtomicBool::new(false);
    let healthy = std::thread::scope(|scope| {
        let asking =
            scope.spawn(|| health::first(port, health::path(service), PAUSE, || stop.load(Ordering::SeqCst)));
        let waited = wait(&id, request.deadline, context, || asking.is_finished());
        stop.store(true, Ordering::SeqCst);
        let healthy = asking.join().map_err(|_| anyhow::anyhow!("the polling thread panicked"))?;
        waited.and(healthy.context("it never became healthy"))
    })?;
    let samples = sample(&id, healthy, request.settle, context)?;
    context.docker.remove_containers(&[id])?;
    Ok(samples.into_iter().map(|(quantity, value)| (service.name.clone(), quantity, value)).collect())
}

/// A container's start time according to the engine, and its main process.
pub(crate) fn started(id: &str, context: &Context) -> Result<(SystemTime, u32)> {
    let state = context.docker.inspect_container(id)?.state;
    let at = humantime::parse_rfc3339(&state.started_at)
        .with_context(|| format!("invalid start time of container {id}: `{}`", state.started_at))?;
    Ok((at, state.pid))
}

pub(crate) fn microseconds(from: SystemTime, to: SystemTime) -> Result<u64> {
    let time = to.duration_since(from).context("the clock was set back during the measurement")?;
    Ok(u64::try_from(time.as_micros())?)
}

fn run(service: &Service, image: &str, port: u16, session: &Session, context: &Context) -> Result<String> {
    let needs = &service.run;
    let inside = service
        .port
        .with_context(|| format!("{0} declares no port: add `port` to [service.{0}]", service.name))?;
    let cmd =
        context.docker.cmd(["run", "--detach", "--pull=never", "--read-only", "--cap-drop=ALL"]).args([
            "--security-opt=no-new-privileges".to_owned(),
            // It would use processor time of the service's control group.
            "--no-healthcheck".to_owned(),
            format!("--label={}", session.label()),
            format!("--publish=127.0.0.1:{port}:{inside}"),
        ]);
    let cmd = cmd
        .args(needs.env.iter().map(|(key, value)| format!("--env={key}={value}")))
        .args(needs.tmpfs.iter().map(|path| format!("--tmpfs={path}")))
        .args(needs.volumes.iter().map(|path| format!("--volume={path}")))
        .arg(image);
    let output = cmd.long().read()?;
    let id = output.lines().map(str::trim).find(|line| line.len() == 64);
    id.map(str::to_owned).context("docker run printed no container ID")
}

fn wait(id: &str, deadline: Duration, context: &Context, is_done: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    let mut checked = begun;
    while !is_done() {
        context.docker.runner.interrupt.check()?;
        if checked.elapsed() > CHECK {
            checked = Instant::now();
            let has_ended = !context.docker.inspect_container(id)?.state.running;
            if has_ended || begun.elapsed() > deadline {
                let log = context.docker.cmd(["logs", "--tail", "12", id]).capture()?;
                let late = format!("was not healthy within {} s", deadline.as_secs());
                let how = if has_ended { "has ended" } else { &late };
                bail!("the container {how}; the end of its log:\n{}", tail(&(log.stdout + &log.stderr), 12));
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn sample(
    id: &str,
    healthy: SystemTime,
    settle: Duration,
    context: &Context,
) -> Result<Vec<(Quantity, u64)>> {
    let (started, process) = started(id, context)?;
    let group = Cgroup::of(process)?;
    let mut samples =
        vec![(Quantity::Start, microseconds(started, healthy)?), (Quantity::CpuToHealthy, group.cpu()?)];
    wait::pause(settle, &context.docker.runner.interrupt)?;
    samples.extend(cgroup::resident(process).map(|bytes| (Quantity::MemoryIdle, bytes)));
    samples.push((Quantity::ChargedIdle, group.charged()?));
    Ok(samples)
}
