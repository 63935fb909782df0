//! A whole trace: a throwaway stack, its start, an idle time, all probes, its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::trace::gate::Gate;
use crate::trace::mounts::ContainerMount;
use crate::trace::opens::{FileOpens, Opens};
use crate::trace::report::TraceReport;
use contents::image::ImageToAnalyze;
use contents::owned_files::OwnedFiles;
use contents::owner::Owner;
use contents::use_shares::ImageUse;
use contents::used::{FileUse, SCHEMA, UsePhase, UseRecord, UsedOwner};
use engine::containers::ContainerInspect;
use engine::context::Context;
use engine::docker::Docker;
use engine::labels;
use engine::version::Version;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use host::wait;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service, StackSource};
use model::variant::Variant;
use stack::deploy::not_healthy::NotHealthy;
use stack::probes::plan::ProbePlan;
use stack::probes::report::{ProbeOutcome, ProbeReport, ProbeVerdict};
use stack::probes::run::observed;
use stack::throwaway::{StackImages, ThrowawayStack, test_run};

/// What to trace.
#[derive(Debug, Clone)]
pub struct TraceRequest<'m> {
    /// The services. Their dependencies run too, but are not traced.
    pub services: Vec<&'m Service>,
    /// The edition of all images.
    pub edition: Edition,
    /// Their variant.
    pub variant: Variant,
    /// Their tag, without edition and variant.
    pub tag: Tag,
    /// Time without requests between the start and the probes.
    pub idle: Duration,
    /// Time limit for the stack to become healthy.
    pub deadline: Duration,
}

/// Traces the services and stores a record for each.
///
/// # Errors
/// When this machine cannot trace, nothing is probed, a probe fails, or the stack does not become healthy. Nothing is left behind.
pub fn run(manifest: &Manifest, request: &TraceRequest<'_>, context: &Context) -> Result<TraceReport> {
    test_run::refuse_outside_of_compose(&request.services)?;
    let plan = ProbePlan::new(manifest, &request.services, Some(request.edition));
    let unasked: Vec<String> = plan.unasked()?.into_iter().map(str::to_owned).collect();
    let images = StackImages {
        edition: request.edition,
        variant: request.variant,
        tag: request.tag.clone(),
        replaced: None,
    };
    let run = TraceRun {
        manifest,
        plan: &plan,
        started: &request.services,
        traced: &request.services,
        images: &images,
        idle: request.idle,
        deadline: request.deadline,
    };
    Ok(TraceReport { unasked, ..run.run(context)? })
}

/// One stack with traced services.
#[derive(Debug)]
pub struct TraceRun<'a, 'm> {
    /// The manifest.
    pub manifest: &'m Manifest,
    /// The probes.
    pub plan: &'a ProbePlan<'m>,
    /// The services to start with their dependencies.
    pub started: &'a [&'m Service],
    /// The started services to trace.
    pub traced: &'a [&'m Service],
    /// The images.
    pub images: &'a StackImages,
    /// See [`TraceRequest::idle`].
    pub idle: Duration,
    /// See [`TraceRequest::deadline`].
    pub deadline: Duration,
}

impl TraceRun<'_, '_> {
    /// Traces, and stores a record for each traced service. The report does not list services without a probe.
    ///
    /// # Errors
    /// As for [`run`].
    pub fn run(&self, context: &Context) -> Result<TraceReport> {
        let docker = &context.docker;
        require(docker)?;
        let mut stack = ThrowawayStack::prepare(self.manifest, self.started, self.images, context)?;
        stack.create(self.deadline)?;
        let mut traced = TracedContainers::of(&stack, self.traced, docker)?;
        let interrupt = &docker.runner.interrupt;
        context.terminal.say("tracing the start …");
        let gate = Gate::open(&traced.runtimes(docker)?, &traced.opens())?;
        stack.up(self.deadline, interrupt).map_err(NotHealthy::blame_port)?;
        gate.close()?;
        traced.started(docker)?;
        traced.phase(UsePhase::Start)?;
        traced.require_first_process()?;
        wait::pause(self.idle, interrupt)?;
        traced.phase(UsePhase::Idle)?;
        context.terminal.say("tracing the probes …");
        let mut recording = Duration::ZERO;
        let mut after = |outcome: &ProbeOutcome| {
            let answered = Instant::now();
            traced.phase(UsePhase::Probe { group: outcome.group.clone(), probe: outcome.probe.clone() })?;
            recording += answered.elapsed();
            Ok(())
        };
        let (report, _) =
            observed(self.plan, stack.project(), &stack.values, self.deadline, context, &mut after)?;
        let failed: Vec<String> = report.not_passed().map(ProbeOutcome::name).collect();
        if !failed.is_empty() {
            let what = format!("probes did not pass, so the trace was discarded: {}", failed.join(", "));
            let remedy = match &self.manifest.stack {
                StackSource::Repository => format!("fix them first: `{PROGRAM} test` shows what is wrong"),
                _ => wrong(&report),
            };
            return Err(Failure::new(FailureClass::Failed, what, remedy).into());
        }
        stack.project().stop()?;
        traced.phase(UsePhase::Stop)?;
        stack.remove()?;
        interrupt.check()?;
        Ok(TraceReport {
            schema: SCHEMA,
            edition: self.images.edition,
            services: traced.uses(context)?,
            unasked: Vec::new(),
            probe_milliseconds: report.outcomes.iter().map(|outcome| outcome.milliseconds).sum(),
            recording_milliseconds: u64::try_from(recording.as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Explains each probe that did not pass, in a line.
fn wrong(report: &ProbeReport) -> String {
    let lines = report.not_passed().map(|outcome| match &outcome.verdict {
        ProbeVerdict::Failed { wrong, answer, .. } => {
            format!("{}: {} {}", outcome.name(), wrong.join("; "), answer)
        }
        ProbeVerdict::Skipped { reason } => format!("{}: {reason}", outcome.name()),
        ProbeVerdict::Passed => String::new(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Older engines have no separate health check interval during the start (`start_interval`).
const OLDEST_ENGINE: Version = Version::new(25, 0);

/// Refuses engines that this machine cannot trace.
pub(crate) fn require(docker: &Docker) -> Result<()> {
    let refuse = |what: String| {
        Failure::machine(what, "trace on the engine's own machine, with an engine that runs as root")
    };
    docker
        .socket()
        .map_err(|error| refuse(format!("cannot trace containers of a remote engine: {error:#}")))?;
    if docker.runtimes()?.is_rootless() {
        return Err(refuse("cannot trace containers of a rootless engine".to_owned()).into());
    }
    if docker.facts()?.engine.is_some_and(|version| version < OLDEST_ENGINE) {
        let what = format!("cannot trace with Docker Engine older than {OLDEST_ENGINE}");
        return Err(Failure::machine(what, "update the engine").into());
    }
    // Fails before anything starts if fanotify is not permitted.
    Opens::new(ContainerMount { id: String::new(), merged: None }).map(drop)
}

/// A container that is traced.
struct TracedContainer {
    /// The service's name in the manifest.
    service: String,
    found: ContainerInspect,
    opens: Arc<Opens>,
    /// The opened files of each phase.
    phases: Vec<BTreeMap<String, FileOpens>>,
}

/// The containers that are traced, and the phases so far.
struct TracedContainers {
    containers: Vec<TracedContainer>,
    phases: Vec<UsePhase>,
}

impl TracedContainers {
    /// The containers of these services, created but not started.
    fn of(stack: &ThrowawayStack, services: &[&Service], docker: &Docker) -> Result<TracedContainers> {
        let mut containers = Vec::new();
        for found in docker.project_containers(&stack.project().name()?)? {
            let name = found.label(labels::COMPOSE_SERVICE);
            let Some(service) = services.iter().find(|service| service.is_compose(name)) else { continue };
            let merged = found.graph_driver.data.as_ref().and_then(|data| data.get("MergedDir")?.as_str());
            let mount = ContainerMount { id: found.id.clone(), merged: merged.map(PathBuf::from) };
            let (opens, service) = (Arc::new(Opens::new(mount)?), service.name.clone());
            containers.push(TracedContainer { service, found, opens, phases: Vec::new() });
        }
        Ok(TracedContainers { containers, phases: Vec::new() })
    }

    /// The programs that start the containers.
    fn runtimes(&self, docker: &Docker) -> Result<BTreeSet<PathBuf>> {
        let (known, mut programs) = (docker.runtimes()?, BTreeSet::new());
        for TracedContainer { found, service, .. } in &self.containers {
            let runtime = &found.host_config.runtime;
            let of_runtime = known.programs(runtime);
            if of_runtime.is_empty() {
                let what = format!(
                    "cannot trace {service}: the program of its runtime `{runtime}` is not on this machine"
                );
                bail!(Failure::machine(
                    what,
                    "use an OCI runtime such as runc or crun, and trace on the engine's machine"
                ));
            }
            programs.extend(of_runtime);
        }
        Ok(programs)
    }

    fn opens(&self) -> Vec<Arc<Opens>> {
        self.containers.iter().map(|container| Arc::clone(&container.opens)).collect()
    }

    /// Checks that the same containers are running and watched.
    fn started(&mut self, docker: &Docker) -> Result<()> {
        for container in &mut self.containers {
            let service = &container.service;
            if !container.opens.is_watching() {
                let what = format!(
                    "cannot trace {service}: its file system was not mounted here when its runtime started"
                );
                let remedy = "trace on the engine's own machine, outside of containers; the engine must use overlay2 or the containerd image store";
                bail!(Failure::machine(what, remedy));
            }
            let replaced =
                || format!("the container of {service} was replaced during the trace: run it again");
            container.found = docker.inspect_container(&container.found.id).with_context(replaced)?;
        }
        Ok(())
    }

    /// Ends a phase: it gets all files opened since the last one ended.
    fn phase(&mut self, phase: UsePhase) -> Result<()> {
        for container in &mut self.containers {
            let opened = container.opens.take(container.found.state.pid);
            let opened = opened.with_context(|| container.service.clone())?;
            container.phases.push(opened);
        }
        self.phases.push(phase);
        Ok(())
    }

    /// Checks that the trace began before the first process. A process that has already ended has no ID.
    fn require_first_process(&self) -> Result<()> {
        for container in self.containers.iter().filter(|container| container.found.state.pid != 0) {
            if !container.phases.iter().flat_map(BTreeMap::values).any(|opens| opens.by_first) {
                let what = format!(
                    "cannot trace {}: the start of its first process was not seen",
                    container.service
                );
                let remedy = "trace on the engine's own machine, outside of containers";
                bail!(Failure::machine(what, remedy));
            }
        }
        Ok(())
    }

    /// Stores a record for each service and returns the use of its image.
    fn uses(&self, context: &Context) -> Result<Vec<ImageUse>> {
        let services: BTreeSet<&String> =
            self.containers.iter().map(|container| &container.service).collect();
        let mut uses = Vec::new();
        for service in services {
            let containers = || self.containers.iter().filter(|container| container.service == *service);
            let Some(first) = containers().next() else { continue };
            let (reference, id) = (first.found.config.image.clone(), first.found.image.clone());
            let image = context.docker.look(&id)?.with_context(|| format!("image {reference} is gone"))?;
            let files = OwnedFiles::of(&ImageToAnalyze { reference: reference.clone(), image }, context)?;
            let mut record = UseRecord {
                schema: SCHEMA,
                subject: service.clone(),
                image: reference,
                id,
                phases: self.phases.clone(),
                owners: files.owners.iter().map(used_owner).collect(),
                files: BTreeMap::new(),
            };
            for (phase, opened) in containers().flat_map(|container| container.phases.iter().enumerate()) {
                add(phase, opened, &files, &mut record);
            }
            record.store(&context.repository)?;
            uses.push(ImageUse::of(&record));
        }
        Ok(uses)
    }
}

fn used_owner(owner: &Owner) -> UsedOwner {
    UsedOwner {
        kind: owner.kind,
        name: owner.name.clone(),
        version: owner.version.clone(),
        bytes: owner.bytes,
    }
}

/// Adds the files of the image that were opened in a phase. Other files were created by the container.
fn add(phase: usize, opened: &BTreeMap<String, FileOpens>, files: &OwnedFiles, record: &mut UseRecord) {
    for (name, opens) in opened {
        if let Some(file) = files.at(name) {
            let usage = record.files.entry(file.path.clone()).or_insert_with(|| FileUse {
                bytes: file.bytes,
                owner: file.owner,
                ..FileUse::default()
            });
            usage.phases.insert(phase);
            usage.read |= opens.read;
        }
    }
}
