//! Sends the manifest's probes through `kubectl port-forward`, so unpublished services can be probed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::kubernetes::kubectl::Kubectl;
use crate::kubernetes::plan::KubernetesPlan;
use crate::probes::endpoints::Endpoints;
use crate::probes::health;
use crate::probes::plan::ProbePlan;
use crate::probes::report::{ProbeReport, SCHEMA};
use crate::probes::run::send_all;
use host::files;
use host::process::{Background, Runner};
use host::wait;
use model::placeholders::Values;

/// How long kubectl may take to open a port.
const OPENING: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(50);

/// Sends all probes and health checks of the plan's services.
///
/// # Errors
/// When kubectl cannot be started, or the user interrupts. Failed probes are in the report.
pub fn run(
    probes: &ProbePlan<'_>,
    plan: &KubernetesPlan,
    kubectl: &Kubectl,
    values: &Values,
    timeout: Duration,
    runner: &Runner,
) -> Result<ProbeReport> {
    let logs = tempfile::tempdir().context("a folder for kubectl's output")?;
    let mut forwards = Vec::new();
    let mut endpoints = Endpoints::new();
    for service in &probes.services {
        let workload = plan.workloads.iter().find(|workload| service.is_compose(&workload.service));
        let endpoint = match (workload, service.port) {
            (None, _) => Err(format!("{} is not part of this stack", service.name)),
            (_, None) => Err(format!("{} declares no port: add `port` to its table", service.name)),
            (Some(workload), Some(port)) => {
                let log = logs.path().join(&workload.name);
                let (forward, endpoint) = open(kubectl, &workload.name, port, &log, runner)?;
                forwards.push(forward);
                endpoint
            }
        };
        endpoints.insert(service.name.clone(), endpoint);
    }
    let results = send_all(probes, &endpoints, values, runner)?;
    let health = health::of_paths(probes, &endpoints, timeout, runner)?;
    Ok(ProbeReport {
        schema: SCHEMA,
        project: plan.project.clone(),
        images: BTreeMap::new(),
        unprobed: probes.unprobed(&health),
        routes: Vec::new(),
        outcomes: results.into_iter().map(|result| result.outcome).chain(health).collect(),
    })
}

/// Forwards a free local port to a service. Returns the local address once kubectl has printed it.
fn open(
    kubectl: &Kubectl,
    name: &str,
    port: u16,
    log: &Path,
    runner: &Runner,
) -> Result<(Background, Result<String, String>)> {
    let cmd = kubectl.cmd(["port-forward", "--address=127.0.0.1"]);
    let forward = cmd.arg(format!("service/{name}")).arg(format!(":{port}")).background(log)?;
    let mut text = String::new();
    let found = wait::poll(INTERVAL, OPENING, &runner.interrupt, || {
        // Checked before reading, so that the output of a finished process is complete.
        let is_over = forward.is_over();
        text = files::read(log)?;
        let endpoint = address(&text).map(Ok);
        Ok(endpoint.or_else(|| is_over.then_some(Err(()))))
    })?;
    let endpoint = match found {
        Some(Ok(address)) => Ok(address),
        _ => {
            let line = text.lines().last().unwrap_or("no output").to_owned();
            Err(format!("cannot forward a port to {name}: {}", runner.secrets.mask(&line)))
        }
    };
    Ok((forward, endpoint))
}

/// The local address in kubectl's `Forwarding from ADDRESS -> PORT`.
fn address(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("Forwarding from ")?;
    let (address, _) = rest.split_once(" -> ")?;
    Some(address.to_owned())
}
