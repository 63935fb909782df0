//! Test programs in images of their own, run against a throwaway stack.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Trial;
use crate::capabilities::build::plan::stack_test_image;
use crate::capabilities::context::Context;
use crate::capabilities::manifest::RUN;
use crate::capabilities::probes::doors;
use crate::docker::socket;
use crate::domain::manifest::{Manifest, Service, StackTest};
use crate::domain::probe_report::{Outcome, Verdict};
use crate::system::files;
use crate::system::interrupt::Interrupted;
use crate::system::process::{Cmd, tail};

/// Where outcomes of stack tests stand.
const GROUP: &str = "stack-test";
/// Lines of its output that a failure shows; all of them are in the log.
const SHOWN_LINES: usize = 60;

/// Runs every declared stack test, one after another.
///
/// # Errors
/// When docker cannot be asked, or the person interrupts. A test that fails is an outcome.
pub fn run(manifest: &Manifest, trial: &Trial, context: &Context) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for test in &manifest.stack_tests {
        context.terminal.say(format!("run stack test {} …", test.name));
        let started = Instant::now();
        let verdict = one(manifest, test, trial, context)?;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (group, probe) = (GROUP.to_owned(), test.name.clone());
        outcomes.push(Outcome { group, probe, verdict, milliseconds, tries: 1 });
    }
    Ok(outcomes)
}

fn one(manifest: &Manifest, test: &StackTest, trial: &Trial, context: &Context) -> Result<Verdict> {
    let folder = context.repository.stack_test(&test.name);
    files::create_dir(&folder)?;
    let cmd = command(manifest, test, trial, context)?;
    let mut said = Vec::new();
    let status = cmd.stream(|chunk| said.extend_from_slice(chunk))?;
    let said = String::from_utf8_lossy(&said).into_owned();
    let log = folder.join("output.txt");
    files::write_atomically(&log, said.as_bytes())?;
    if context.docker.runner.interrupt.is_set() {
        return Err(Interrupted.into());
    }
    Ok(match status.success() {
        true => Verdict::Passed,
        false => Verdict::Failed {
            wrong: vec![format!("it failed; all that it said and left is in {}", folder.display())],
            request: String::new(),
            answer: tail(&said, SHOWN_LINES),
        },
    })
}

/// The test sees the stack as this machine does: published ports on loopback. It gets each service's address, the project's
/// name, the plain secrets, a folder to leave things in, and the engine's socket, since it stops services and starts them.
fn command(manifest: &Manifest, test: &StackTest, trial: &Trial, context: &Context) -> Result<Cmd> {
    let folder = context.repository.stack_test(&test.name);
    let owner = folder.metadata().with_context(|| format!("cannot look at {}", folder.display()))?;
    let socket = socket::find()?;
    let services: Vec<&Service> = manifest.services.iter().collect();
    let interrupt = &context.docker.runner.interrupt;
    let doors = doors::open(trial.project(), &services, Duration::ZERO, interrupt)?;
    let mut cmd = context.docker.cmd(["run", "--rm", "--init", "--pull=never", "--network=host"]).args([
        "--read-only".to_owned(),
        "--tmpfs=/tmp:exec".to_owned(),
        "--cap-drop=ALL".to_owned(),
        // Chromium shares pictures between its processes there.
        "--shm-size=512m".to_owned(),
        format!("--user={}:{}", owner.uid(), owner.gid()),
        format!("--group-add={}", socket.group),
        format!("--volume={}:/var/run/docker.sock:ro", socket.path.display()),
        format!("--volume={}:/out", folder.display()),
        format!("--env=PROJECT={}", trial.project().name()?),
    ]);
    for (service, door) in doors {
        if let Ok(host) = door {
            cmd = cmd.arg(format!("--env=URL_{}=http://{host}", service.to_uppercase().replace('-', "_")));
        }
    }
    // Named only: a value on the command line would be seen by everyone on this machine.
    for (name, value) in trial.known.iter().filter(|(name, _)| *name != RUN) {
        cmd = cmd
            .arg(format!("--env={name}"))
            .env(name, value.as_str().map_or(value.to_string(), str::to_owned));
    }
    Ok(cmd.arg(stack_test_image(manifest, test)))
}
