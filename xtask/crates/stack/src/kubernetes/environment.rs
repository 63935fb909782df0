//! A container's command line and environment.

use anyhow::Result;

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::plan::Workload;
use crate::secrecy::SecretFinder;
use engine::compose::cluster::{ClusterService, Hidden};
use host::failure::{Failure, FailureClass};

/// Kubernetes expands `$(NAME)` in arguments and values; `$$(` is a literal `$(`.
fn escaped(text: &str) -> String {
    text.replace("$(", "$$(")
}

/// Sets command, arguments and environment.
///
/// # Errors
/// When an argument holds a secret, because arguments are written to world-readable files.
pub(super) fn set(
    workload: &mut Workload,
    service: &ClusterService,
    secrets: &SecretFinder,
    gaps: &mut Gaps,
) -> Result<()> {
    let name = workload.service.clone();
    let entrypoint = arguments(&name, "entrypoint", service.entrypoint.as_deref(), secrets)?;
    let command = arguments(&name, "command", service.command.as_deref(), secrets)?;
    let command = command.filter(|command| !command.is_empty());
    match entrypoint {
        Some(empty) if empty.is_empty() => match command {
            // With the image's entrypoint cleared, `command` is the whole command line.
            Some(command) => workload.command = Some(command),
            None => gaps.add(&name, "entrypoint: []", "the image's entrypoint runs; set `command` too"),
        },
        entrypoint => (workload.command, workload.args) = (entrypoint, command),
    }
    workload.working_dir.clone_from(&service.working_dir);
    for (variable, value) in &service.environment {
        let Some(value) = value else {
            gaps.add(&name, format!("environment {variable} is not set on this machine"), "left out");
            continue;
        };
        if secrets.is_secret(variable, value.reveal()) {
            workload.secret_environment.insert(variable.clone(), value.clone());
        } else {
            workload.environment.insert(variable.clone(), escaped(value.reveal()));
        }
    }
    Ok(())
}

/// The words of a command, escaped.
///
/// # Errors
/// When the command holds a secret.
pub(super) fn arguments(
    service: &str,
    key: &str,
    words: Option<&[Hidden]>,
    secrets: &SecretFinder,
) -> Result<Option<Vec<String>>> {
    let Some(words) = words else { return Ok(None) };
    let whole: Vec<&str> = words.iter().map(Hidden::reveal).collect();
    // Joined, because a name and its value may be separate words.
    if secrets.holds_secret(&whole.join(" ")) {
        let what = format!("{service}: {key} holds a secret; nothing was written");
        let remedy = "pass the secret in `environment` or `secrets`, and let the program read it from there";
        return Err(Failure::new(FailureClass::Failed, what, remedy).into());
    }
    Ok(Some(whole.into_iter().map(escaped).collect()))
}
