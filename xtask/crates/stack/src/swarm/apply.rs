//! Applies a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;

use crate::swarm::contents::{self, ContentKind};
use crate::swarm::plan::SwarmPlan;
use engine::compose::cluster::ClusterProject;
use engine::docker::Docker;
use engine::variables::Variables;
use host::failure::{Failure, FailureClass};
use host::files;
use host::process::tail;
use host::program::PROGRAM;

/// Reads the secrets and configs of the Compose file, except external ones. Masks the secrets in all later output.
pub fn read_contents(
    project: &ClusterProject,
    variables: &Variables,
    docker: &Docker,
) -> BTreeMap<(ContentKind, String), Result<Vec<u8>, String>> {
    let kinds = [(ContentKind::Secret, &project.secrets), (ContentKind::Config, &project.configs)];
    let own = kinds.into_iter().flat_map(|(kind, all)| all.iter().map(move |(key, file)| (kind, key, file)));
    let own = own.filter(|(_, _, file)| !file.external);
    let read = own.map(|(kind, key, file)| {
        let bytes = file.read(|name| variables.get(name));
        if let (ContentKind::Secret, Ok(bytes)) = (kind, &bytes) {
            docker.runner.secrets.add(&String::from_utf8_lossy(bytes));
        }
        ((kind, key.clone()), bytes)
    });
    read.collect()
}

/// Fails if the swarm lacks an external secret or config.
///
/// # Errors
/// The names of the missing secrets and configs; when docker fails.
pub fn refuse_missing_contents(project: &ClusterProject, docker: &Docker) -> Result<()> {
    let kinds = [(ContentKind::Secret, &project.secrets), (ContentKind::Config, &project.configs)];
    let all = kinds.into_iter().flat_map(|(kind, all)| all.values().map(move |file| (kind, file)));
    let external: BTreeSet<(ContentKind, String)> =
        all.filter(|(_, file)| file.external).map(|(kind, file)| (kind, file.name.clone())).collect();
    let missing = contents::missing(&external, docker)?;
    let Some((kind, name)) = missing.first() else { return Ok(()) };
    let names: Vec<String> = missing.iter().map(|(kind, name)| format!("{} {name}", kind.name())).collect();
    let what = format!("nothing was deployed: the swarm does not have {}", names.join(", "));
    let help = format!("create it: `docker {} create {name} FILE`", kind.name());
    Err(Failure::new(FailureClass::Failed, what, help).into())
}

/// Fails if the Compose project still runs on this engine: both would write to the same data and use the same ports.
///
/// # Errors
/// The running services; when docker fails.
pub fn refuse_compose(project: &str, docker: &Docker) -> Result<()> {
    let containers = docker.project_containers(project)?;
    let running = containers.iter().filter(|container| container.state.running);
    let names: BTreeSet<&str> =
        running.map(|container| container.label("com.docker.compose.service")).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    let what =
        format!("nothing was deployed: the Compose project {project} still runs on this engine: {names}");
    let help = format!("stop it with `{PROGRAM} deploy down`, which keeps its data for the swarm");
    Err(Failure::new(FailureClass::Failed, what, help).into())
}

/// Writes the stack file, creates secrets and configs, and runs `docker stack deploy`. Services missing from the plan are removed.
///
/// # Errors
/// When docker rejects the stack file (nothing has changed yet), or fails later (the error says what to do).
pub fn apply(plan: &SwarmPlan, file: &Path, docker: &Docker) -> Result<()> {
    files::write_private(file, plan.stack_file()?.as_bytes())?;
    let path = file.display().to_string();
    let output = docker.cmd(["stack", "config", "--compose-file", &path]).capture()?;
    if !output.success() {
        let reason = tail(&docker.runner.secrets.mask(&output.stderr), 4);
        let what = format!("nothing was deployed: docker rejects {path}: {reason}");
        let help = "fix the Compose file; `docker stack config` shows the error";
        return Err(Failure::new(FailureClass::Failed, what, help).into());
    }
    docker.runner.interrupt.check()?;
    contents::create(&plan.contents, &plan.stack, docker)?;
    let mut cmd = docker.cmd(["stack", "deploy", "--compose-file", &path, "--with-registry-auth", "--prune"]);
    // Newer clients wait by default; older clients do not have the option.
    if docker.cmd(["stack", "deploy", "--help"]).read()?.contains("--detach") {
        cmd = cmd.arg("--detach=true");
    }
    cmd.arg(&plan.stack).read().map_err(|error| {
        let what = format!("stack {} may be partially deployed: {error}", plan.stack);
        let help = format!(
            "see `docker stack services {}`, fix the error, then run `{PROGRAM} deploy --swarm` again",
            plan.stack
        );
        Failure::new(error.class, what, help)
    })?;
    Ok(())
}

/// Removes secrets and configs that no current or previous service definition uses.
///
/// # Errors
/// When docker fails.
pub fn clean(plan: &SwarmPlan, docker: &Docker) -> Result<()> {
    let services = crate::swarm::cluster::services(&plan.stack, docker)?;
    contents::remove_unused(&plan.stack, &services, docker)
}
