//! A workload's health check: the manifest's `health` path or first probe, else the health check of the Compose file or the image.

use anyhow::Result;

use crate::kubernetes::amounts::seconds;
use crate::kubernetes::environment::arguments;
use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::plan::{HealthCheck, HealthProbe, Workload};
use crate::secrecy::SecretFinder;
use engine::compose::cluster::{ClusterHealthcheck, Hidden};
use engine::inspect::Healthcheck;
use model::manifest::Service;
use model::probe::{Body, Method, Probe};

/// Used where neither Compose nor the image sets a value. Docker's defaults are 30 s, 30 s, 3 and 0 s (Dockerfile reference,
/// `HEALTHCHECK`).
const DEFAULT: HealthProbe = HealthProbe {
    check: HealthCheck::Command(Vec::new()),
    interval: 10,
    timeout: 5,
    retries: 3,
    start_period: 60,
};

/// Sets the health check.
///
/// # Errors
/// When the check's command holds a secret.
pub(super) fn set(
    workload: &mut Workload,
    compose: Option<&ClusterHealthcheck>,
    image: Option<&Healthcheck>,
    manifest: Option<&Service>,
    secrets: &SecretFinder,
    gaps: &mut Gaps,
) -> Result<()> {
    if compose.is_some_and(|check| check.disable) {
        return Ok(());
    }
    let mut probe = times(compose, image);
    let path = manifest.and_then(path);
    let port = manifest.and_then(|service| service.port);
    let port =
        port.or_else(|| workload.ports.iter().find(|port| port.protocol == "TCP").map(|port| port.number));
    probe.check = match (path, port) {
        (Some(path), Some(port)) => HealthCheck::Http { path: path.to_owned(), port },
        _ => {
            let own = compose.and_then(|check| check.test.clone());
            let image = image.and_then(|check| check.test.clone());
            let image = || image.map(|words| words.into_iter().map(Hidden::from).collect());
            let words = arguments(&workload.service, "healthcheck", own.or_else(image).as_deref(), secrets)?;
            match words.and_then(command) {
                Some(words) => HealthCheck::Command(words),
                None => {
                    gaps.add(&workload.service, "no health check", "a pod counts as ready once it runs");
                    return Ok(());
                }
            }
        }
    };
    workload.probe = Some(probe);
    Ok(())
}

/// The path of the health check: `health`, else the path of the first probe if it is a plain GET that expects 200.
fn path(service: &Service) -> Option<&str> {
    let is_plain = |probe: &&Probe| {
        let request = &probe.request;
        request.method == Method::Get
            && request.body == Body::Empty
            && request.headers.is_empty()
            && probe.needs().is_empty()
            && probe.expect.status == 200
    };
    let probed = service.probes.first().filter(is_plain).map(|probe| probe.request.path.as_str());
    service.health.as_deref().or(probed)
}

/// The command line of a health check (Dockerfile reference, `HEALTHCHECK`; Compose Specification, `healthcheck`).
fn command(words: Vec<String>) -> Option<Vec<String>> {
    match words.split_first()? {
        (kind, rest) if kind == "CMD" && !rest.is_empty() => Some(rest.to_vec()),
        (kind, [line]) if kind == "CMD-SHELL" => Some(["/bin/sh", "-c", line].map(str::to_owned).to_vec()),
        _ => None,
    }
}

fn times(compose: Option<&ClusterHealthcheck>, image: Option<&Healthcheck>) -> HealthProbe {
    let of_image = |value: fn(&Healthcheck) -> u64| {
        let nanoseconds = image.map(value).filter(|&time| time > 0)?;
        Some(u32::try_from(nanoseconds.div_ceil(1_000_000_000)).unwrap_or(u32::MAX))
    };
    let of_compose = |value: fn(&ClusterHealthcheck) -> &Option<String>| {
        seconds(compose.and_then(|check| value(check).as_deref())?, 1)
    };
    let retries = compose.and_then(|check| check.retries);
    let retries = retries.or(image.map(|check| check.retries)).filter(|&count| count > 0);
    HealthProbe {
        check: DEFAULT.check,
        interval: of_compose(|check| &check.interval)
            .or_else(|| of_image(|check| check.interval))
            .unwrap_or(DEFAULT.interval),
        timeout: of_compose(|check| &check.timeout)
            .or_else(|| of_image(|check| check.timeout))
            .unwrap_or(DEFAULT.timeout),
        retries: retries.and_then(|count| u32::try_from(count).ok()).unwrap_or(DEFAULT.retries),
        start_period: of_compose(|check| &check.start_period)
            .or_else(|| of_image(|check| check.start_period))
            .unwrap_or(DEFAULT.start_period),
    }
}
