//! Commands that run to their end: the exit code and the standard output answer the only probe of the service.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::probes::plan::ProbeGroup;
use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use crate::probes::run::{AfterProbe, ProbeResult, SHOWN};
use engine::compose::{ComposeContainer, Project};
use engine::context::Context;
use host::wait;
use model::expectation::shortened;
use model::response::HttpResponse;

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Waits for each command's end, for at most `timeout`.
///
/// # Errors
/// When docker fails, the user interrupts, or `after` fails.
pub(super) fn results<'m>(
    groups: &[ProbeGroup<'m>],
    project: &Project,
    timeout: Duration,
    context: &Context,
    after: AfterProbe<'_>,
) -> Result<Vec<ProbeResult<'m>>> {
    let mut results = Vec::new();
    let docker = &context.docker;
    for group in groups {
        let started = Instant::now();
        let is_own = |found: &ComposeContainer| found.service == group.name;
        let ended = wait::poll(POLL_INTERVAL, timeout, &docker.runner.interrupt, || {
            let found = project.containers()?.into_iter().find(is_own);
            Ok(found.filter(|container| matches!(container.state.as_str(), "exited" | "dead")))
        })?;
        let (verdict, answer) = match ended {
            None => {
                let what = format!("the command did not end within {} s", timeout.as_secs());
                (ProbeVerdict::failed(vec![what], ""), None)
            }
            Some(container) => {
                let output = docker.container_output(&container.id)?;
                let verdict = match container.exit_code {
                    // Different bytes that are not UTF-8 would compare as equal.
                    0 if output.stdout.contains(char::REPLACEMENT_CHARACTER) => {
                        ProbeVerdict::failed(vec!["the output is not UTF-8 text".to_owned()], "")
                    }
                    0 => ProbeVerdict::Passed,
                    code => ProbeVerdict::Failed {
                        wrong: vec![format!("exit code {code}, expected 0")],
                        request: String::new(),
                        answer: shortened(docker.runner.secrets.mask(&output.stderr).trim(), SHOWN),
                    },
                };
                let body = output.stdout.into_bytes();
                (verdict, Some(HttpResponse { status: 200, body, ..HttpResponse::default() }))
            }
        };
        for &probe in &group.probes {
            let secrets = &docker.runner.secrets;
            let outcome = ProbeOutcome::new(&group.name, &probe.name, verdict.clone(), started, 1, secrets);
            after(&outcome)?;
            results.push(ProbeResult { probe, outcome, answer: answer.clone() });
        }
    }
    Ok(results)
}
