//! Applies a tree: server-side dry run, apply, and wait for the rollout.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::plan::{KubernetesPlan, Workload, WorkloadKind};
use host::failure::{Failure, FailureClass, class_of};
use host::terminal::Terminal;
use host::{plural, wait};

/// Log lines shown per container.
const LOG_LINES: &str = "20";
/// Events shown per workload.
const EVENTS: usize = 10;

/// Applies the folder of an overlay and waits for the rollout.
///
/// # Errors
/// The API server rejects an object in the dry run; nothing is applied. A workload is not ready in time; the error shows its pods, logs
/// and events.
pub fn apply(
    plan: &KubernetesPlan,
    folder: &Path,
    kubectl: &Kubectl,
    timeout: Duration,
    terminal: &Terminal,
) -> Result<()> {
    let path = folder.to_str().context("the folder's path is not UTF-8")?;
    if let Err(error) = kubectl.apply(path, true) {
        let error = anyhow::Error::from(error);
        let class = class_of(&error);
        let what = format!("the dry run on {} failed; nothing was applied\n{error:#}", kubectl.context());
        let remedy = match class {
            FailureClass::Failed => {
                "fix the rejected objects; create a missing namespace with `kubectl create namespace NAME`"
            }
            _ => "check the connection with `kubectl cluster-info`",
        };
        return Err(Failure::new(class, what, remedy).into());
    }
    let applied = kubectl.apply(path, false).map_err(|error| {
        let error = anyhow::Error::from(error);
        let what = format!("not all objects were applied to {}\n{error:#}", kubectl.context());
        Failure::new(FailureClass::Unfinished, what, "fix the error, then run the same command again")
    })?;
    terminal.say(format!(
        "applied {} to {}",
        plural::count(applied.lines().count(), "object"),
        kubectl.context()
    ));
    rollout(plan, kubectl, timeout, terminal)
}

fn rollout(plan: &KubernetesPlan, kubectl: &Kubectl, timeout: Duration, terminal: &Terminal) -> Result<()> {
    let end = wait::after(timeout);
    let mut failed = Vec::new();
    for workload in &plan.workloads {
        let left = end.saturating_duration_since(Instant::now());
        let output = kubectl.wait(workload.kind.name(), &workload.name, left).capture()?;
        if output.success() {
            terminal.say(format!("{} is ready", workload.name));
        } else {
            failed.push((workload, output.stderr));
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    let mut what = format!("not ready on {}:", kubectl.context());
    for (workload, message) in &failed {
        let line = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
        write!(what, "\n  {}: {line}{}", workload.name, state(workload, plan, kubectl))?;
    }
    let remedy = remedy(failed.iter().map(|(workload, _)| *workload), &kubectl.command_line());
    Err(Failure::new(FailureClass::Failed, what, remedy).into())
}

/// How to continue after a failed rollout. Jobs have no revisions to roll back to.
fn remedy<'w>(failed: impl Iterator<Item = &'w Workload>, kubectl: &str) -> String {
    let undo: Vec<String> = failed
        .filter(|workload| workload.kind != WorkloadKind::Job)
        .map(|workload| {
            format!("`{kubectl} rollout undo {}/{}`", workload.kind.name().to_lowercase(), workload.name)
        })
        .collect();
    let again = "fix the errors above and run the same command again";
    if undo.is_empty() { again.to_owned() } else { format!("{again}, or roll back: {}", undo.join(", ")) }
}

/// A workload's pods with their last log lines and events, indented.
fn state(workload: &Workload, plan: &KubernetesPlan, kubectl: &Kubectl) -> String {
    let selector = format!("--selector=app.kubernetes.io/name={}", workload.name);
    let logs = format!("--tail={LOG_LINES}");
    let pods = ["get", "pods", &selector];
    let logs = ["logs", &selector, &logs, "--all-containers", "--prefix"];
    let columns = "--output=custom-columns=OBJECT:.involvedObject.name,REASON:.reason,MESSAGE:.message";
    let events = ["get", "events", "--sort-by=.metadata.creationTimestamp", "--no-headers", columns];
    let read = |args: &[&str]| {
        // A failing query must not hide the rollout's failure.
        kubectl.cmd(args.iter().copied()).capture().map(|output| output.stdout).unwrap_or_default()
    };
    let events = read(&events);
    let is_own = |line: &&str| {
        let object = line.split_whitespace().next().unwrap_or_default();
        owner(object, &plan.workloads).is_some_and(|owner| owner.name == workload.name)
    };
    let own: Vec<&str> = events.lines().filter(is_own).map(str::trim_end).collect();
    let events = own[own.len().saturating_sub(EVENTS)..].join("\n");
    let mut text = String::new();
    for (title, part) in [("pods", read(&pods)), ("logs", read(&logs)), ("events", events)] {
        if !part.trim().is_empty() {
            text += &format!("\n    {title}:");
            text.extend(part.lines().map(|line| format!("\n      {line}")));
        }
    }
    text
}

/// The workload that an object belongs to, by name: pods of `web` and `web-admin` are named `web-…` and `web-admin-…`.
fn owner<'w>(object: &str, workloads: &'w [Workload]) -> Option<&'w Workload> {
    let fits = |workload: &&Workload| {
        object.strip_prefix(&workload.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    workloads.iter().filter(fits).max_by_key(|workload| workload.name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workloads_with_revisions_are_rolled_back() {
        let workload =
            |name: &str, kind: WorkloadKind| Workload { name: name.into(), kind, ..Workload::default() };
        let (web, job) = (workload("web", WorkloadKind::StatefulSet), workload("seed", WorkloadKind::Job));
        let kubectl = "kubectl --context c --namespace n";
        let again = "fix the errors above and run the same command again";
        assert_eq!(
            remedy([&web, &job].into_iter(), kubectl),
            format!("{again}, or roll back: `{kubectl} rollout undo statefulset/web`")
        );
        assert_eq!(remedy([&job].into_iter(), kubectl), again);
    }

    #[test]
    fn events_belong_to_one_workload() {
        let workloads =
            ["web", "web-admin", "api"].map(|name| Workload { name: name.into(), ..Workload::default() });
        let of = |object: &str| owner(object, &workloads).map(|workload| workload.name.as_str());
        for (object, workload) in [
            ("web", Some("web")),
            ("web-0", Some("web")),
            ("web-6d4-x2", Some("web")),
            ("web-admin-6d4-x2", Some("web-admin")),
            ("website-0", None),
        ] {
            assert_eq!(of(object), workload, "{object}");
        }
    }
}
