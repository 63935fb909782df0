//! The OpenAPI documents of running services: from a probe that requests it, for example with credentials, else from `/openapi.json`.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::http::Client;
use crate::probes::coverage::{self, RouteCoverage};
use crate::probes::endpoints::{self, endpoint};
use crate::probes::run::ProbeResult;
use engine::compose::Project;
use engine::context::Context;
use model::manifest::Service;
use model::probe::{Body, HttpRequest, Method};

/// Where frameworks serve the document.
const PATH: &str = "/openapi.json";
/// Timeout of the request.
const ANSWER: Duration = Duration::from_secs(5);

/// The coverage, by passing probes, of every service that has a document. A bad document is not an error.
///
/// # Errors
/// When docker fails, or the user interrupts.
pub(crate) fn coverage(
    services: &[&Service],
    results: &[ProbeResult<'_>],
    project: &Project,
    timeout: Duration,
    context: &Context,
) -> Result<Vec<RouteCoverage>> {
    let endpoints = endpoints::find(project, services, timeout, &context.docker.runner.interrupt)?;
    let of_service = |service: &&Service| {
        let own = || results.iter().filter(|result| result.probe.service == service.name);
        let passed = own().filter(|result| result.outcome.passed()).map(|result| result.probe);
        let asked = own().find_map(|result| document(&service.name, &result.answer.as_ref()?.json().ok()?));
        let document = asked.or_else(|| fetched(&service.name, endpoint(&endpoints, &service.name).ok()?))?;
        coverage::coverage(&service.name, &document, passed)
    };
    Ok(services.iter().filter_map(of_service).collect())
}

/// The value, if it is a document.
fn document(service: &str, value: &Value) -> Option<Value> {
    coverage::coverage(service, value, []).map(|_| value.clone())
}

fn fetched(service: &str, host: &str) -> Option<Value> {
    let (method, body) = (Method::Get, Body::Empty);
    let request = HttpRequest { method, path: PATH.to_owned(), headers: Default::default(), body };
    let answer = Client::new().send(host, &request, ANSWER).ok().filter(|answer| answer.status == 200)?;
    document(service, &answer.json().ok()?)
}
