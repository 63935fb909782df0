//! Tests services without probes: by the health check of the image or the Compose file, else by the manifest's `health` path.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::http::Client;
use crate::probes::endpoints::{Endpoints, endpoint};
use crate::probes::plan::ProbePlan;
use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use crate::probes::run::AfterProbe;
use engine::compose::{ComposeContainer, Project};
use engine::context::Context;
use host::interrupt::Interrupt;
use host::process::Runner;
use host::wait;
use model::probe::{Body, HttpRequest, Method};

/// The name of the outcome.
pub(crate) const NAME: &str = "health check";

/// Between two requests for a health path.
const INTERVAL: Duration = Duration::from_millis(200);
/// The longest wait for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// One outcome for each service without probes whose container has a health check, or that declares a `health` path. The path may
/// take `timeout` to answer 200.
///
/// # Errors
/// When docker fails, the user interrupts, or `after` fails.
pub(crate) fn outcomes(
    plan: &ProbePlan<'_>,
    project: &Project,
    endpoints: &Endpoints,
    timeout: Duration,
    context: &Context,
    after: AfterProbe<'_>,
) -> Result<Vec<ProbeOutcome>> {
    let silent: Vec<_> = plan.services.iter().filter(|service| service.probes.is_empty()).collect();
    if silent.is_empty() {
        return Ok(Vec::new());
    }
    let runner = &context.docker.runner;
    let containers = project.containers()?;
    let mut outcomes = Vec::new();
    for service in silent {
        let started = Instant::now();
        let container = containers.iter().find(|container| service.is_compose(&container.service));
        let (verdict, tries) = match (container.and_then(verdict), &service.health) {
            (Some(verdict), _) => (verdict, 0),
            (None, None) => continue,
            (None, Some(path)) => match endpoint(endpoints, &service.name) {
                Ok(host) => ask(host, path, timeout, &runner.interrupt)?,
                Err(reason) => (ProbeVerdict::failed(vec![reason], ""), 0),
            },
        };
        let outcome = ProbeOutcome::new(&service.name, NAME, verdict, started, tries, &runner.secrets);
        after(&outcome)?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// One outcome for each service that declares a `health` path but no probes. Waits up to `timeout` for each path to answer 200.
///
/// # Errors
/// When the user interrupts.
pub(crate) fn of_paths(
    plan: &ProbePlan<'_>,
    endpoints: &Endpoints,
    timeout: Duration,
    runner: &Runner,
) -> Result<Vec<ProbeOutcome>> {
    let mut outcomes = Vec::new();
    for service in plan.services.iter().filter(|service| service.probes.is_empty()) {
        let Some(path) = &service.health else { continue };
        let started = Instant::now();
        let (verdict, tries) = match endpoint(endpoints, &service.name) {
            Ok(host) => ask(host, path, timeout, &runner.interrupt)?,
            Err(reason) => (ProbeVerdict::failed(vec![reason], ""), 0),
        };
        outcomes.push(ProbeOutcome::new(&service.name, NAME, verdict, started, tries, &runner.secrets));
    }
    Ok(outcomes)
}

/// Asks until a path answers 200, for at most `timeout`, and counts the requests.
fn ask(host: &str, path: &str, timeout: Duration, interrupt: &Interrupt) -> Result<(ProbeVerdict, u32)> {
    let (method, body) = (Method::Get, Body::Empty);
    let request = HttpRequest { method, path: path.to_owned(), headers: Default::default(), body };
    let (mut tries, mut wrong) = (0, String::new());
    let healthy = wait::poll(INTERVAL, timeout, interrupt, || {
        tries += 1;
        wrong = match Client::new().send(host, &request, ANSWER) {
            Ok(answer) if answer.status == 200 => return Ok(Some(())),
            Ok(answer) => format!("status {}, expected 200", answer.status),
            Err(error) => error.what,
        };
        Ok(None)
    })?;
    let verdict = match healthy {
        Some(()) => ProbeVerdict::Passed,
        None => ProbeVerdict::failed(vec![wrong], &format!("GET http://{host}{path}")),
    };
    Ok((verdict, tries))
}

/// `None` without a health check.
fn verdict(container: &ComposeContainer) -> Option<ProbeVerdict> {
    match container.health.as_str() {
        "" => None,
        "healthy" => Some(ProbeVerdict::Passed),
        health => Some(ProbeVerdict::Failed {
            wrong: vec![format!("the container is {health} ({})", container.state)],
            request: String::new(),
            answer: String::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    /// A server that gives one answer to each of as many connections, and returns the first lines of the requests.
    fn serve(statuses: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answering = thread::spawn(move || {
            let answer = |status: &&str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 4096];
                let size = stream.read(&mut request).unwrap();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
                String::from_utf8_lossy(&request[..size]).lines().next().unwrap_or_default().to_owned()
            };
            statuses.iter().map(answer).collect()
        });
        (host, answering)
    }

    #[test]
    fn a_path_is_asked_until_it_answers_200() {
        let (host, server) = serve(&["503 Busy", "200 OK"]);
        let (verdict, tries) = ask(&host, "/up", Duration::from_secs(60), &Interrupt::default()).unwrap();
        assert_eq!((verdict, tries), (ProbeVerdict::Passed, 2));
        assert_eq!(server.join().unwrap(), ["GET /up HTTP/1.1", "GET /up HTTP/1.1"]);
    }

    #[test]
    fn a_path_that_does_not_answer_200_in_time_fails() {
        let (host, server) = serve(&["404 Not Found"]);
        let (verdict, _) = ask(&host, "/up", Duration::ZERO, &Interrupt::default()).unwrap();
        server.join().unwrap();
        let ProbeVerdict::Failed { wrong, request, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(wrong, ["status 404, expected 200"]);
        assert_eq!(request, format!("GET http://{host}/up"));
    }
}
