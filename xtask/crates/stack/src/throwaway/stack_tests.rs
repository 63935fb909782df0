//! Runs the declared stack tests: programs in images of their own that test a throwaway stack from outside.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::probes::endpoints;
use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use crate::throwaway::stack::ThrowawayStack;
use build::planner::stack_test_image;
use engine::context::Context;
use engine::docker::Docker;
use engine::labels;
use engine::socket::Socket;
use host::failure::Failure;
use host::interrupt::Interrupt;
use host::process::{Cmd, Runner, tail};
use host::{files, wait};
use model::manifest::{Manifest, Service, StackTest};
use model::placeholders::RUN;
use model::variant::Variant;

/// The group of these outcomes in reports.
const GROUP: &str = "stack-test";
/// Lines of output that a failure shows; the log has all of them.
const SHOWN_LINES: usize = 60;
const DEADLINE: Duration = Duration::from_secs(15 * 60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Exit code of `docker run` if the container could not be started (Docker documentation, "docker run: exit status").
const DOCKER_FAILED: i32 = 125;

#[derive(Debug)]
pub(super) struct StackTests<'a> {
    pub(super) manifest: &'a Manifest,
    /// Names the folder that keeps the tests' files.
    pub(super) variant: Variant,
    pub(super) stack: &'a ThrowawayStack,
    pub(super) socket: &'a Socket,
    pub(super) context: &'a Context,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    InTime(ExitStatus),
    TooLate,
}

impl StackTests<'_> {
    /// Runs all tests in turn. A failed test is an outcome, a test that cannot be started an error.
    pub(super) fn run(&self) -> Result<Vec<ProbeOutcome>> {
        let secrets = &self.context.docker.runner.secrets;
        let mut outcomes = Vec::new();
        for test in &self.manifest.stack_tests {
            self.context.terminal.say(format!("running stack test {} …", test.name));
            let started = Instant::now();
            let verdict = self.run_one(test)?;
            outcomes.push(ProbeOutcome::new(GROUP, &test.name, verdict, started, 1, secrets));
        }
        Ok(outcomes)
    }

    fn run_one(&self, test: &StackTest) -> Result<ProbeVerdict> {
        let folder = self.folder(test);
        // Only this run's files.
        files::remove_dir(&folder)?;
        files::create_dir(&folder)?;
        let container = format!("{}-{}", self.stack.project().name()?, test.name);
        let docker = &self.context.docker;
        let mut output = Vec::new();
        let ended = within(DEADLINE, docker, |docker| {
            Ok(self.command(test, &container, docker)?.stream(|chunk| output.extend_from_slice(chunk))?)
        })?;
        let output = docker.runner.secrets.mask(&String::from_utf8_lossy(&output));
        files::write_atomically(&folder.join("output.txt"), output.as_bytes())?;
        // The container is removed with its stack.
        docker.runner.interrupt.check()?;
        let fault = match ended {
            Ended::InTime(status) if status.success() => return Ok(ProbeVerdict::Passed),
            Ended::InTime(status) if status.code() == Some(DOCKER_FAILED) => {
                let what = format!("docker cannot run stack test {}:\n{}", test.name, tail(&output, 4));
                return Err(Failure::machine(what, "").into());
            }
            Ended::InTime(_) => "it failed".to_owned(),
            Ended::TooLate => {
                docker.remove_containers(&[container])?;
                format!("timed out after {} minutes", DEADLINE.as_secs() / 60)
            }
        };
        Ok(ProbeVerdict::Failed {
            wrong: vec![format!("{fault}; see its output and files in {}", folder.display())],
            request: String::new(),
            answer: tail(&output, SHOWN_LINES),
        })
    }

    fn folder(&self, test: &StackTest) -> PathBuf {
        self.context.repository.stack_test(&test.name).join(self.variant.to_string())
    }

    /// The test runs in the host's network, where the services' ports are published. It gets the services' addresses, the
    /// project's name, the plain secrets, a folder for its files, and the engine's socket to stop and start services. The
    /// project's label makes sure that it is removed with the stack.
    fn command(&self, test: &StackTest, container: &str, docker: &Docker) -> Result<Cmd> {
        let folder = self.folder(test);
        let owner = folder.metadata().with_context(|| format!("cannot read {}", folder.display()))?;
        let project = self.stack.project();
        let name = project.name()?;
        let services: Vec<&Service> = self.manifest.services.iter().collect();
        let endpoints = endpoints::find(project, &services, Duration::ZERO, &docker.runner.interrupt)?;
        let mut cmd = docker.cmd(["run", "--rm", "--init", "--pull=never", "--network=host"]).args([
            format!("--name={container}"),
            format!("--label={}={name}", labels::COMPOSE_PROJECT),
            "--read-only".to_owned(),
            "--tmpfs=/tmp:exec".to_owned(),
            "--cap-drop=ALL".to_owned(),
            // Chromium's processes share bitmaps through it.
            "--shm-size=512m".to_owned(),
            format!("--user={}:{}", owner.uid(), owner.gid()),
            format!("--group-add={}", self.socket.group),
            format!("--volume={}:/var/run/docker.sock:ro", self.socket.path.display()),
            format!("--volume={}:/out", folder.display()),
            format!("--env=PROJECT={name}"),
        ]);
        for (service, endpoint) in endpoints {
            if let Ok(host) = endpoint {
                let variable = service.to_uppercase().replace('-', "_");
                cmd = cmd.arg(format!("--env=URL_{variable}=http://{host}"));
            }
        }
        // Passed by name: command lines are visible to every user of this machine.
        for (name, value) in self.stack.values.iter().filter(|(name, _)| *name != RUN) {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            cmd = cmd.arg(format!("--env={name}")).env(name, value);
        }
        Ok(cmd.arg(stack_test_image(self.manifest, test)))
    }
}

/// Calls `run` with a docker whose commands are stopped at the deadline or when the user interrupts.
fn within(
    deadline: Duration,
    docker: &Docker,
    run: impl FnOnce(&Docker) -> Result<ExitStatus>,
) -> Result<Ended> {
    let (end, is_over) = (Interrupt::default(), Interrupt::default());
    let stoppable = Docker::new(Runner { interrupt: end.clone(), ..docker.runner.clone() });
    let (status, was_late) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let over = wait::poll(POLL_INTERVAL, deadline, &docker.runner.interrupt, || {
                Ok(is_over.is_set().then_some(()))
            });
            end.set();
            matches!(over, Ok(None))
        });
        let status = run(&stoppable);
        is_over.set();
        (status, watch.join().unwrap_or_default())
    });
    let status = status?;
    Ok(if was_late && !status.success() { Ended::TooLate } else { Ended::InTime(status) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(deadline: Duration, script: &str) -> Ended {
        let docker = Docker::new(Runner::default());
        let run = |docker: &Docker| Ok(docker.runner.cmd("sh").args(["-c", script]).stream(|_| {})?);
        within(deadline, &docker, run).unwrap()
    }

    #[test]
    fn a_command_is_stopped_at_its_deadline() {
        assert_eq!(ended(Duration::ZERO, "exec sleep 1000"), Ended::TooLate);
        let Ended::InTime(status) = ended(DEADLINE, "exit 7") else { panic!("it was not late") };
        assert_eq!(status.code(), Some(7));
    }
}
