//! A service's container by itself: when it first answers, what that cost, and what it holds when nobody asks.

use host::failure::Failure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::cgroup;
use crate::cgroup::Cgroup;
use crate::health;
use crate::session;
use crate::session::Session;
use engine::context::Context;
use host::ports;
use host::process::tail;
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
    let over = AtomicBool::new(false);
    let healthy = std::thread::scope(|scope| {
        let asking = scope.spawn(|| health::first(port, PAUSE, &over));
        let waited = wait(&id, deadline, context, || asking.is_finished());
        over.store(true, Ordering::SeqCst);
        let healthy = asking.join().map_err(|_| anyhow::anyhow!("the thread that asked panicked"))?;
        waited.and(healthy.context("it gave no healthy answer"))
    })?;
    let samples = look(&id, healthy, settle, context)?;
    session::remove_container(&context.docker, [id.as_str()].into_iter())?;
    Ok(samples)
}

/// When a container was started as the engine notes it, and its first process.
pub fn started(id: &str, context: &Context) -> Result<(SystemTime, u32)> {
    let format = "{{.State.StartedAt}} {{.State.Pid}}";
    let text = context.docker.cmd(["container", "inspect", "--format", format, id]).read()?;
    let (at, process) = text.split_once(' ').context("docker container inspect said something else")?;
    let at = humantime::parse_rfc3339(at).with_context(|| format!("`{at}` is no time"))?;
    Ok((at, process.parse().with_context(|| format!("`{process}` is no process"))?))
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
    let mut said = Vec::new();
    let status = cmd.stream(|chunk| said.extend_from_slice(chunk))?;
    let said = String::from_utf8_lossy(&said);
    if context.docker.runner.interrupt.is_set() {
        return Err(Failure::interrupted().into());
    }
    let id = said.lines().map(str::trim).find(|line| line.len() == 64);
    match id {
        Some(id) if status.success() => Ok(id.to_owned()),
        _ => bail!("{} failed:\n{}", cmd.quoted(), tail(&said, 4)),
    }
}

fn wait(id: &str, deadline: Duration, context: &Context, is_there: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    let mut looked = begun;
    while !is_there() {
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            let running = context.docker.cmd(["container", "inspect", "--format", "{{.State.Running}}", id]);
            let is_over = running.read()? != "true";
            if is_over || begun.elapsed() > deadline {
                let log = context.docker.cmd(["logs", "--tail", "12", id]).capture()?;
                let how = if is_over {
                    "has ended".to_owned()
                } else {
                    format!("gave no healthy answer within {} s", deadline.as_secs())
                };
                bail!("the container {how}; its log ends in:\n{}", tail(&(log.stdout + &log.stderr), 12));
            }
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn look(id: &str, healthy: SystemTime, settle: Duration, context: &Context) -> Result<Vec<(Quantity, u64)>> {
    let (started, process) = started(id, context)?;
    let group = Cgroup::of(process)?;
    let mut samples =
        vec![(Quantity::Start, microseconds(started, healthy)?), (Quantity::CpuToHealthy, group.cpu()?)];
    rest(settle, context)?;
    samples.extend(cgroup::resident(process).map(|bytes| (Quantity::MemoryIdle, bytes)));
    samples.push((Quantity::ChargedIdle, group.charged()?));
    Ok(samples)
}

/// Waits, unless the person does not.
///
/// # Errors
/// When the person interrupts.
pub fn rest(time: Duration, context: &Context) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        std::thread::sleep(Duration::from_millis(20).min(time.saturating_sub(begun.elapsed())));
    }
    Ok(())
}
