//! Sends probes one after another; each may use values captured by earlier ones.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::deploy::containers;
use crate::http::{Client, NoAnswer, NoAnswerKind, tls};
use crate::probes::endpoints::{self, Endpoints};
use crate::probes::plan::ProbePlan;
use crate::probes::report::{ProbeOutcome, ProbeReport, ProbeVerdict, SCHEMA};
use crate::probes::retry::RetryPolicy;
use crate::probes::secrecy;
use crate::probes::{health, once};
use engine::compose::Project;
use engine::context::Context;
use host::interrupt::Interrupt;
use host::process::Runner;
use host::secrets::Secrets;
use host::wait;
use model::expectation::shortened;
use model::placeholders::Values;
use model::probe::Probe;
use model::response::HttpResponse;

const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Characters of an answer that a report shows.
pub(super) const SHOWN: usize = 400;

/// An outcome with the answer it was judged by.
#[derive(Debug, Clone)]
pub struct ProbeResult<'m> {
    /// The probe.
    pub probe: &'m Probe,
    /// Its outcome.
    pub outcome: ProbeOutcome,
    /// The last answer.
    pub answer: Option<HttpResponse>,
}

/// Called after each probe with its outcome, before the next is sent.
pub type AfterProbe<'a> = &'a mut dyn FnMut(&ProbeOutcome) -> Result<()>;

/// Waits until no service is starting, for at most `timeout`, then sends all probes.
///
/// # Errors
/// When docker cannot be asked, or the user interrupts. Wrong answers are in the report.
pub fn run<'m>(
    plan: &ProbePlan<'m>,
    project: &Project,
    values: &Values,
    timeout: Duration,
    context: &Context,
) -> Result<(ProbeReport, Vec<ProbeResult<'m>>)> {
    observed(plan, project, values, timeout, context, &mut |_| Ok(()))
}

/// Like [`run`], and calls `after` after each probe and each health check that stands for probes.
///
/// # Errors
/// As for [`run`], and when `after` fails.
pub fn observed<'m>(
    plan: &ProbePlan<'m>,
    project: &Project,
    values: &Values,
    timeout: Duration,
    context: &Context,
    after: AfterProbe<'_>,
) -> Result<(ProbeReport, Vec<ProbeResult<'m>>)> {
    let interrupt = &context.docker.runner.interrupt;
    let endpoints = endpoints::find(project, &plan.services, timeout, interrupt)?;
    let (once, sent) = plan.split_once();
    let mut results = once::results(&once, project, timeout, context, after)?;
    results.extend(send_each(&sent, &endpoints, values, &context.docker.runner, after)?);
    let health = health::outcomes(plan, project, &endpoints, timeout, context, after)?;
    let running = containers(project, plan.manifest, &context.docker)?;
    let report = ProbeReport {
        schema: SCHEMA,
        project: project.name()?,
        unprobed: plan.unprobed(&health),
        routes: Vec::new(),
        images: running.into_iter().map(|(name, found)| (name.to_owned(), found.image)).collect(),
        outcomes: results.iter().map(|result| result.outcome.clone()).chain(health).collect(),
    };
    Ok((report, results))
}

/// Sends all probes to the given endpoints.
///
/// # Errors
/// When the user interrupts.
pub(crate) fn send_all<'m>(
    plan: &ProbePlan<'m>,
    endpoints: &Endpoints,
    values: &Values,
    runner: &Runner,
) -> Result<Vec<ProbeResult<'m>>> {
    send_each(plan, endpoints, values, runner, &mut |_| Ok(()))
}

fn send_each<'m>(
    plan: &ProbePlan<'m>,
    endpoints: &Endpoints,
    values: &Values,
    runner: &Runner,
    after: AfterProbe<'_>,
) -> Result<Vec<ProbeResult<'m>>> {
    let secrets = &runner.secrets;
    secrecy::hide_values(values, secrets);
    let policy = RetryPolicy::new(endpoints);
    let mut run = ProbeRun { endpoints, policy, interrupt: &runner.interrupt, secrets };
    let mut results = Vec::new();
    for group in &plan.groups {
        let mut client = Client::new();
        let mut values = values.clone();
        for probe in &group.probes {
            let result = run.send(&group.name, probe, &mut client, &values)?;
            if let (true, Some(answer)) = (result.outcome.passed(), &result.answer) {
                values.extend(probe.captured(answer));
            }
            after(&result.outcome)?;
            results.push(result);
        }
    }
    Ok(results)
}

struct ProbeRun<'a> {
    endpoints: &'a Endpoints,
    policy: RetryPolicy,
    interrupt: &'a Interrupt,
    /// Values to mask; an answer may add more.
    secrets: &'a Secrets,
}

impl<'a> ProbeRun<'a> {
    fn send<'m>(
        &mut self,
        group: &str,
        probe: &'m Probe,
        client: &mut Client,
        values: &Values,
    ) -> Result<ProbeResult<'m>> {
        let started = Instant::now();
        let (mut tries, mut answer) = (0, None);
        let verdict = match self.endpoint(probe, values) {
            Err(verdict) => verdict,
            Ok(host) => {
                let request = probe.filled(values);
                loop {
                    self.interrupt.check()?;
                    tries += 1;
                    let result = client.send(host, &request, self.policy.answer_timeout(&probe.service));
                    let wrong = match &result {
                        Ok(answer) => {
                            secrecy::hide_values_of(probe, answer, self.secrets);
                            probe.judge(answer, values, self.secrets)
                        }
                        Err(error) => vec![error.what.clone()],
                    };
                    let status = result.as_ref().map(|answer| answer.status);
                    let retry_for = self.policy.retry_for(probe, status);
                    self.policy.record(&probe.service, result.as_ref().map(drop));
                    if wrong.is_empty() {
                        answer = result.ok();
                        break ProbeVerdict::Passed;
                    }
                    if started.elapsed() >= retry_for {
                        let verdict = self.failed(wrong, host, probe, values, result.as_ref());
                        answer = result.ok();
                        break verdict;
                    }
                    wait::pause(RETRY_INTERVAL, self.interrupt)?;
                }
            }
        };
        let outcome = ProbeOutcome::new(group, &probe.name, verdict, started, tries, self.secrets);
        Ok(ProbeResult { probe, outcome, answer })
    }

    fn endpoint(&self, probe: &Probe, values: &Values) -> Result<&'a str, ProbeVerdict> {
        if let Some(missing) = probe.needs().into_iter().find(|need| !values.contains_key(need)) {
            return Err(ProbeVerdict::Skipped { reason: format!("no earlier probe captured `{missing}`") });
        }
        endpoints::endpoint(self.endpoints, &probe.service)
            .map_err(|reason| ProbeVerdict::failed(vec![reason], ""))
    }

    fn failed(
        &self,
        mut wrong: Vec<String>,
        host: &str,
        probe: &Probe,
        values: &Values,
        result: Result<&HttpResponse, &NoAnswer>,
    ) -> ProbeVerdict {
        if let Err(NoAnswer { kind: NoAnswerKind::Broken | NoAnswerKind::Invalid, .. }) = result
            && tls::is_spoken_at(host)
        {
            wrong.push(
                "this port speaks TLS, but probes send plain HTTP: publish a port without TLS".to_owned(),
            );
        }
        // Mask first: shortening could cut a secret.
        let answer = result.map(|answer| shortened(self.secrets.mask(&answer.shown()).trim(), SHOWN));
        let request = format!("{} http://{host}{}", probe.request.method.name(), probe.filled(values).path);
        ProbeVerdict::Failed { wrong, request, answer: answer.unwrap_or_default() }
    }
}
