//! Test programs in images of their own, run against a throwaway stack.

use host::failure::Failure;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::probes::endpoints;
use crate::probes::report::{Outcome, Verdict};
use crate::throwaway::Trial;
use build::plan::stack_test_image;
use engine::context::Context;
use engine::docker::Docker;
use engine::labels;
use engine::socket::Socket;
use host::files;
use host::interrupt::Interrupt;
use host::process::{Cmd, Runner, tail};
use host::wait;
use model::manifest::{Manifest, Service, StackTest};
use model::reader::RUN;
use model::variant::Variant;

/// Where outcomes of stack tests stand.
const GROUP: &str = "stack-test";
/// Lines of its output that a failure shows; all of them are in the log.
const SHOWN_LINES: usize = 60;
/// Until a test must have ended.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// Between two looks at the deadline.
const PAUSE: Duration = Duration::from_millis(50);
/// What `docker run` ends with when it could not start the container (Docker documentation, "docker run: exit status").
const DOCKER_FAILED: i32 = 125;

/// The declared stack tests, for one stack.
#[derive(Debug)]
pub struct StackTests<'a> {
    /// What declares them.
    pub manifest: &'a Manifest,
    /// What the stack runs: each variant keeps what its tests left.
    pub variant: Variant,
    /// The stack.
    pub trial: &'a Trial,
    /// The engine's.
    pub socket: &'a Socket,
    /// The checkout and the narrator.
    pub context: &'a Context,
}

/// How a command ended that has a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    InTime(ExitStatus),
    TooLate,
}

impl StackTests<'_> {
    /// Runs every one, one after another.
    ///
    /// # Errors
    /// When docker cannot be asked or cannot start a test, or the person interrupts. A test that fails is an outcome.
    pub fn all(&self) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for test in &self.manifest.stack_tests {
            self.context.terminal.say(format!("run stack test {} …", test.name));
            let started = Instant::now();
            let verdict = self.one(test)?;
            let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (group, probe) = (GROUP.to_owned(), test.name.clone());
            outcomes.push(Outcome { group, probe, verdict, milliseconds, tries: 1 });
        }
        Ok(outcomes)
    }

    fn one(&self, test: &StackTest) -> Result<Verdict> {
        let folder = self.folder(test);
        // What it leaves is this run's alone.
        files::remove_dir(&folder)?;
        files::create_dir(&folder)?;
        let container = format!("{}-{}", self.trial.project().name()?, test.name);
        let docker = &self.context.docker;
        let mut said = Vec::new();
        let ended = within(DEADLINE, docker, |docker| {
            Ok(self.command(test, &container, docker)?.stream(|chunk| said.extend_from_slice(chunk))?)
        })?;
        let said = String::from_utf8_lossy(&said).into_owned();
        files::write_atomically(&folder.join("output.txt"), said.as_bytes())?;
        // The container is removed with its stack.
        docker.runner.interrupt.check()?;
        let wrong = match ended {
            Ended::InTime(status) if status.success() => return Ok(Verdict::Passed),
            Ended::InTime(status) if status.code() == Some(DOCKER_FAILED) => {
                let what = format!("docker cannot run stack test {}:\n{}", test.name, tail(&said, 4));
                return Err(Failure::machine(what, "").into());
            }
            Ended::InTime(_) => "it failed".to_owned(),
            Ended::TooLate => {
                docker.remove_containers(&[container])?;
                format!("it did not end within {} minutes", DEADLINE.as_secs() / 60)
            }
        };
        Ok(Verdict::Failed {
            wrong: vec![format!("{wrong}; all that it said and left is in {}", folder.display())],
            request: String::new(),
            answer: tail(&said, SHOWN_LINES),
        })
    }

    fn folder(&self, test: &StackTest) -> PathBuf {
        self.context.repository.stack_test(&test.name).join(self.variant.to_string())
    }

    /// The test sees the stack as this machine does: published ports on loopback. It gets each service's address, the
    /// project's name, the plain secrets, a folder to leave things in, and the engine's socket, since it stops services and
    /// starts them. It carries the project's label, so that whatever removes the stack removes it too.
    fn command(&self, test: &StackTest, container: &str, docker: &Docker) -> Result<Cmd> {
        let folder = self.folder(test);
        let owner = folder.metadata().with_context(|| format!("cannot look at {}", folder.display()))?;
        let project = self.trial.project();
        let services: Vec<&Service> = self.manifest.services.iter().collect();
        let doors = endpoints::open(project, &services, Duration::ZERO, &docker.runner.interrupt)?;
        let mut cmd = docker.cmd(["run", "--rm", "--init", "--pull=never", "--network=host"]).args([
            format!("--name={container}"),
            format!("--label={}={}", labels::COMPOSE_PROJECT, project.name()?),
            "--read-only".to_owned(),
            "--tmpfs=/tmp:exec".to_owned(),
            "--cap-drop=ALL".to_owned(),
            // Chromium shares pictures between its processes there.
            "--shm-size=512m".to_owned(),
            format!("--user={}:{}", owner.uid(), owner.gid()),
            format!("--group-add={}", self.socket.group),
            format!("--volume={}:/var/run/docker.sock:ro", self.socket.path.display()),
            format!("--volume={}:/out", folder.display()),
            format!("--env=PROJECT={}", project.name()?),
        ]);
        for (service, door) in doors {
            if let Ok(host) = door {
                cmd =
                    cmd.arg(format!("--env=URL_{}=http://{host}", service.to_uppercase().replace('-', "_")));
            }
        }
        // Named only: a value on the command line would be seen by everyone on this machine.
        for (name, value) in self.trial.known.iter().filter(|(name, _)| *name != RUN) {
            cmd = cmd
                .arg(format!("--env={name}"))
                .env(name, value.as_str().map_or(value.to_string(), str::to_owned));
        }
        Ok(cmd.arg(stack_test_image(self.manifest, test)))
    }
}

/// Does what `run` does with docker, and ends it at the deadline, or when the person interrupts.
fn within(
    deadline: Duration,
    docker: &Docker,
    run: impl FnOnce(&Docker) -> Result<ExitStatus>,
) -> Result<Ended> {
    let (end, is_over) = (Interrupt::default(), Interrupt::default());
    let stoppable = Docker::new(Runner { interrupt: end.clone(), ..docker.runner.clone() });
    let (status, was_late) = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let ended =
                wait::poll(PAUSE, deadline, &docker.runner.interrupt, || Ok(is_over.is_set().then_some(())));
            end.set();
            matches!(ended, Ok(None))
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
    fn what_does_not_end_in_time_is_ended() {
        assert_eq!(ended(Duration::ZERO, "exec sleep 1000"), Ended::TooLate);
        let Ended::InTime(status) = ended(DEADLINE, "exit 7") else { panic!("it was not late") };
        assert_eq!(status.code(), Some(7));
    }
}
