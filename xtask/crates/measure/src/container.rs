//! A service's container by itself: when it first answers, what that cost, and what it holds when nobody asks.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cgroup;
use crate::cgroup::Cgroup;
use crate::health;
use crate::session::Session;
use engine::context::Context;
use host::interrupt::Interrupt;
use host::ports;
use host::process::tail;
use host::wait;
use model::manifest::Service;
use model::quantity::Quantity;

/// Between two questions for /health: what `start` is exact to.
const PAUSE: Duration = Duration::from_millis(5);
/// Between two looks whether it still runs.
const LOOK: Duration = Duration::from_secs(1);

/// Starts an image under the constraints of production, and removes the container.
///
/// # Errors
/// When it does not get healthy in time, or docker cannot be asked.
pub fn measure(
    service: &Service,
    image: &str,
    settle: Duration,
    deadline: Duration,
    session: &Session,
    context: &Context,
) -> Result<Vec<(Quantity, u64)>> {
    let port = ports::free(1)?.first().copied().context("no port is free on loopback")?;
    let id = run(service, image, port, session, context)?;
    let over = Interrupt::default();
    let healthy = std::thread::scope(|scope| {
        let asking = scope.spawn(|| health::first(port, PAUSE, &over));
        let waited = wait(&id, deadline, context, || asking.is_finished());
        over.set();
        let healthy = asking.join().map_err(|_| anyhow::anyhow!("the thread that asked panicked"))?;
        waited.and(healthy.context("it gave no healthy answer"))
    })?;
    let samples = look(&id, healthy, settle, context)?;
    context.docker.remove_containers(&[id])?;
    Ok(samples)
}

/// When a container was started as the engine notes it, and its first process.
pub fn started(id: &str, context: &Context) -> Result<(SystemTime, u32)> {
    let state = context.docker.inspect_container(id)?.state;
    let at = humantime::parse_rfc3339(&state.started_at)
        .with_context(|| format!("invalid start time of container {id}: `{}`", state.started_at))?;
    Ok((at, state.pid))
}

/// As a record has it. A clock that was set meanwhile gives nothing rather than nonsense.
pub fn microseconds(from: SystemTime, to: SystemTime) -> Result<u64> {
    let time = to.duration_since(from).context("the clock was set while it was measured")?;
    Ok(u64::try_from(time.as_micros())?)
}

fn run(service: &Service, image: &str, port: u16, session: &Session, context: &Context) -> Result<String> {
    let needs = &service.run;
    let cmd =
        context.docker.cmd(["run", "--detach", "--pull=never", "--read-only", "--cap-drop=ALL"]).args([
            "--security-opt=no-new-privileges".to_owned(),
            // It would use time of the processor that is the service's.
            "--no-healthcheck".to_owned(),
            format!("--label={}", session.label()),
            format!("--publish=127.0.0.1:{port}:{}", service.port),
        ]);
    let cmd = cmd
        .args(needs.env.iter().map(|(key, value)| format!("--env={key}={value}")))
        .args(needs.tmpfs.iter().map(|path| format!("--tmpfs={path}")))
        .args(needs.volumes.iter().map(|path| format!("--volume={path}")))
        .arg(image);
    let output = cmd.read_streamed()?;
    let id = output.lines().map(str::trim).find(|line| line.len() == 64);
    id.map(str::to_owned)
        .with_context(|| format!("{} printed no container ID:\n{}", cmd.quoted(), tail(&output, 4)))
}

fn wait(id: &str, deadline: Duration, context: &Context, is_there: impl Fn() -> bool) -> Result<()> {
    let mut looked = Instant::now();
    let answered = wait::poll(PAUSE, deadline, &context.docker.runner.interrupt, || {
        if is_there() {
            return Ok(Some(true));
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            return Ok((!context.docker.inspect_container(id)?.state.running).then_some(false));
        }
        Ok(None)
    })?;
    let how = match answered {
        Some(true) => return Ok(()),
        Some(false) => "has ended".to_owned(),
        None => format!("gave no healthy answer within {} s", deadline.as_secs()),
    };
    let log = context.docker.cmd(["logs", "--tail", "12", id]).capture()?;
    bail!("the container {how}; its log ends in:\n{}", tail(&(log.stdout + &log.stderr), 12))
}

fn look(id: &str, healthy: SystemTime, settle: Duration, context: &Context) -> Result<Vec<(Quantity, u64)>> {
    let (started, process) = started(id, context)?;
    let group = Cgroup::of(process)?;
    let mut samples =
        vec![(Quantity::Start, microseconds(started, healthy)?), (Quantity::CpuToHealthy, group.cpu()?)];
    wait::pause(settle, &context.docker.runner.interrupt)?;
    samples.extend(cgroup::resident(process).map(|bytes| (Quantity::MemoryIdle, bytes)));
    samples.push((Quantity::ChargedIdle, group.charged()?));
    Ok(samples)
}
