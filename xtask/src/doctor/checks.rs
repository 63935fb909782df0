//! Everything that builds need from this machine, each with its remedy.

use host::program::PROGRAM;
use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::builder;
use build::bake::{BuildOptions, bake};
use build::bases::{self, BaseSource, BasesMode};
use build::bootstrap::bootstrap;
use build::environment::BuildEnvironment;
use build::package_date::PackageDateChoice;
use build::planner::Planner;
use build::upstreams::NeededUpstreams;
use engine::context::Context;
use engine::emulation;
use engine::facts::{Facts, LEAST_BUILDX, LEAST_COMPOSE, LEAST_ENGINE, Store};
use engine::trust::Trust;
use engine::version::Version;
use host::files::{self, Lock};
use host::process::find;
use model::bytes::Bytes;
use model::manifest::Manifest;
use model::platform::Platform;

/// The result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As needed.
    Ok,
    /// Missing, too old or too little.
    Missing,
    /// Not checked, because something else is missing.
    Unknown,
    /// For information only.
    Info,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Its result.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to fix it.
    pub remedy: Option<String>,
}

/// Free space for building all images (guide.md, "Troubleshooting").
pub const LEAST_FREE: Bytes = Bytes(10_000_000_000);

fn install() -> String {
    format!("run `{PROGRAM} doctor --with-engine` as root (Debian or Ubuntu), or install it by hand")
}

impl Check {
    pub(super) fn new(
        name: &'static str,
        state: State,
        found: impl Into<String>,
        remedy: Option<String>,
    ) -> Check {
        Check {
            name,
            state,
            found: found.into(),
            remedy: remedy.filter(|_| state != State::Ok && state != State::Info),
        }
    }
}

/// Runs every check. Without a manifest there are no bases to look for.
///
/// # Errors
/// When a check itself cannot run.
pub fn examine(manifest: Option<&Manifest>, context: &Context) -> Result<Vec<Check>> {
    let facts = context.docker.facts()?;
    let mut checks = versions(&facts);
    checks.push(daemon(&facts));
    checks.extend(builder::examine(&facts, context)?);
    checks.push(disk(&facts, context)?);
    let has_builder = checks.iter().all(|check| check.name != builder::NAME || check.state != State::Missing);
    checks.push(match has_builder {
        true => platforms(&declared_platforms(manifest), &facts, context)?,
        false => Check::new("platforms", State::Unknown, "needs a builder", None),
    });
    let builds = has_builder && facts.engine >= Some(LEAST_ENGINE) && facts.buildx >= Some(LEAST_BUILDX);
    if let Some(manifest) = manifest {
        // A broken network must not hide the other results.
        checks.extend(network(manifest, builds, context).unwrap_or_else(|error| {
            vec![Check::new("networked RUN", State::Missing, "cannot run", Some(format!("{error:#}")))]
        }));
    }
    checks.extend(trust(&Trust::detect()));
    Ok(checks)
}

fn versions(facts: &Facts) -> Vec<Check> {
    let tool = |name, found: Option<Version>, least: Version| match found {
        Some(version) if version >= least => Check::new(name, State::Ok, format!("{version}"), None),
        Some(version) => {
            Check::new(name, State::Missing, format!("{version}, needs {least} or newer"), Some(install()))
        }
        None => Check::new(
            name,
            State::Missing,
            format!("not installed, needs {least} or newer"),
            Some(install()),
        ),
    };
    let mut checks = vec![
        tool("Docker CLI", facts.client, Version::new(20, 10)),
        tool("Docker Buildx", facts.buildx, LEAST_BUILDX),
        tool("Docker Compose", facts.compose, LEAST_COMPOSE),
    ];
    checks.push(match facts.engine {
        Some(_) => tool("Docker Engine", facts.engine, LEAST_ENGINE),
        None => {
            let installed = find("dockerd").is_some();
            let found = if installed { "installed but not running" } else { "not running" };
            Check::new(
                "Docker Engine",
                State::Missing,
                format!("{found}; needs {LEAST_ENGINE} or newer"),
                Some(install()),
            )
        }
    });
    checks
}

fn daemon(facts: &Facts) -> Check {
    match (&facts.engine, &facts.silence) {
        (Some(_), _) => {
            let store = match facts.store {
                Some(Store::Containerd) => "containerd image store",
                _ => "classic image store",
            };
            Check::new("daemon", State::Ok, format!("running, {store}"), None)
        }
        (None, silence) => Check::new(
            "daemon",
            State::Missing,
            silence.clone().unwrap_or_else(|| "not running".into()),
            Some(format!("start it (`systemctl start docker`), or `{PROGRAM} doctor --with-engine` as root")),
        ),
    }
}

/// The platforms that the manifest's services are built for.
pub fn declared_platforms(manifest: Option<&Manifest>) -> Vec<Platform> {
    let services = manifest.iter().flat_map(|manifest| &manifest.services);
    services
        .flat_map(|service| service.platforms.iter().cloned())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn platforms(declared: &[Platform], facts: &Facts, context: &Context) -> Result<Check> {
    const NAME: &str = "platforms";
    if facts.engine.is_none() || facts.buildx.is_none() {
        return Ok(Check::new(NAME, State::Unknown, "needs an engine and Buildx", None));
    }
    let missing = emulation::missing(declared, context)?;
    if !missing.is_empty() {
        let found = format!("cannot run programs for {}", list(&missing));
        return Ok(Check::new(NAME, State::Missing, found, Some(emulation::remedy(&missing))));
    }
    let runs = context.docker.builder_platforms()?;
    // Leave out microarchitecture levels, such as linux/amd64/v2.
    let all: Vec<Platform> =
        runs.into_iter().filter(|one| !one.to_string().starts_with("linux/amd64/")).collect();
    Ok(Check::new(NAME, State::Ok, list(&all), None))
}

pub(super) fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

fn disk(facts: &Facts, context: &Context) -> Result<Check> {
    let Some(root) = facts.data_root.as_deref().filter(|root| Path::new(root).is_dir()) else {
        return Ok(Check::new(
            "free disk",
            State::Unknown,
            "no engine is running, or its data is on another machine",
            None,
        ));
    };
    Ok(match context.docker.free_at(root)? {
        None => Check::new("free disk", State::Unknown, "`df` printed no number", None),
        Some(free) if free >= LEAST_FREE => {
            Check::new("free disk", State::Ok, format!("{free} at {root}"), None)
        }
        Some(free) => Check::new(
            "free disk",
            State::Missing,
            format!("{free} at {root}, needs {LEAST_FREE}"),
            Some(
                "`docker system df` shows what uses it; `docker buildx prune` clears the build cache".into(),
            ),
        ),
    })
}

/// Where bases come from, and one real build step that uses the network: nothing else reveals a broken bridge.
fn network(manifest: &Manifest, builds: bool, context: &Context) -> Result<Vec<Check>> {
    if !builds {
        return Ok(vec![Check::new("networked RUN", State::Unknown, "needs an engine and Buildx", None)]);
    }
    // This is a build too: do not disturb another one.
    let Ok(_lock) = Lock::take(&context.repository.lock()) else {
        return Ok(vec![Check::new(
            "networked RUN",
            State::Unknown,
            "another run is building in this checkout",
            None,
        )]);
    };
    let upstreams = NeededUpstreams::here(manifest.upstreams.iter().collect());
    let quiet = Context { terminal: context.terminal.clone().quiet(), ..context.clone() };
    // Probe again: the remembered choice may be the fault.
    files::remove(&context.repository.base_choice())?;
    let choice = bases::choose(BasesMode::Auto, &upstreams, &quiet)?;
    let from = match choice.source {
        BaseSource::Upstream => "upstream images",
        BaseSource::StandIn => "stand-ins from Debian packages",
    };
    let mut checks = vec![Check::new("bases", State::Info, format!("{from} ({})", choice.reason), None)];
    if choice.source == BaseSource::StandIn
        && let Err(error) = bootstrap(manifest, &upstreams.platforms, std::time::UNIX_EPOCH, context)
    {
        checks.push(Check::new(
            "networked RUN",
            State::Missing,
            "no base image to run it on",
            Some(format!("{error:#}")),
        ));
        return Ok(checks);
    }
    let environment =
        BuildEnvironment::detect(&upstreams, choice.source, &PackageDateChoice::default(), context)?;
    files::create_dir(&context.repository.logs())?;
    let Some(probe) = Planner::new(manifest, &environment, &context.repository).network_probe() else {
        checks.push(Check::new("networked RUN", State::Unknown, "no declared base can try it", None));
        return Ok(checks);
    };
    let outcome = bake(&probe, &BuildOptions::default(), &quiet)?;
    checks.push(match outcome.failures.first() {
        None => Check::new("networked RUN", State::Ok, "a build step reaches the network", None),
        Some(failure) => Check::new(
            "networked RUN",
            State::Missing,
            format!("a build step failed ({}): {}", failure.class.name(), failure.tail.last().unwrap_or(&failure.error)),
            Some(format!("{}; or the engine's bridge is broken: restart the engine, and give a second engine its own bridge", failure.class.remedy())),
        ),
    });
    Ok(checks)
}

fn trust(trust: &Trust) -> [Check; 2] {
    let bundle = match &trust.bundle {
        Some(path) => format!("{} is passed to builds as a secret", path.display()),
        None => "none beyond the distribution's".to_owned(),
    };
    let proxies = match trust.proxies.as_slice() {
        [] => "none set".to_owned(),
        names => format!("{} passed to builds", names.join(", ")),
    };
    [Check::new("private CA", State::Info, bundle, None), Check::new("proxy", State::Info, proxies, None)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_machine_fails_every_check() {
        let checks = versions(&Facts::default());
        assert_eq!(checks.len(), 4);
        assert!(checks.iter().all(|check| check.state == State::Missing && check.remedy.is_some()));
        assert_eq!(daemon(&Facts::default()).state, State::Missing);
    }

    #[test]
    fn an_old_plugin_is_reported_with_the_minimum_version() {
        let facts = Facts { buildx: Some(Version::new(0, 10)), ..Facts::default() };
        assert_eq!(versions(&facts)[1].found, "0.10.0, needs 0.13.0 or newer");
    }
}
