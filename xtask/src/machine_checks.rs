//! What `doctor` looks at: everything that builds need of this machine, each with its remedy.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use build::bake::{BuildOptions, bake};
use build::bases::{self, BaseSource, BasesMode};
use build::environment::BuildEnvironment;
use build::planner::Planner;
use engine::context::Context;
use engine::facts::{Facts, LEAST_BUILDX, LEAST_COMPOSE, LEAST_ENGINE, Store};
use engine::trust::Trust;
use engine::version::Version;
use host::files;
use host::files::Lock;
use host::process::find;
use model::bytes::Bytes;
use model::manifest::Manifest;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As needed.
    Ok,
    /// Missing, too old or too little.
    Missing,
    /// Could not be looked at, because something else is missing.
    Unknown,
    /// To know, not to judge.
    Info,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, where something is.
    pub remedy: Option<String>,
}

/// Free space that a build of all images wants (guide.md, "Troubleshooting").
pub const LEAST_FREE: Bytes = Bytes(10_000_000_000);

const INSTALL: &str = "`cargo xtask doctor --with-engine` as root on Debian or Ubuntu installs it; elsewhere install it by hand";

impl Check {
    fn new(name: &'static str, state: State, found: impl Into<String>, remedy: Option<String>) -> Check {
        Check {
            name,
            state,
            found: found.into(),
            remedy: remedy.filter(|_| state != State::Ok && state != State::Info),
        }
    }
}

/// Looks at the machine.
///
/// # Errors
/// When a look itself is impossible.
pub fn examine(manifest: &Manifest, context: &Context) -> Result<Vec<Check>> {
    let facts = context.docker.facts()?;
    let mut checks = versions(&facts);
    checks.push(daemon(&facts));
    checks.push(buildkit(&facts, context)?);
    checks.push(disk(&facts, context)?);
    let builds = facts.engine >= Some(LEAST_ENGINE) && facts.buildx >= Some(LEAST_BUILDX);
    // A network that fails must not hide what is known already.
    checks.extend(network(manifest, builds, context).unwrap_or_else(|error| {
        vec![Check::new("networked RUN", State::Missing, "cannot be tried", Some(format!("{error:#}")))]
    }));
    checks.extend(trust(&Trust::detect()));
    Ok(checks)
}

fn versions(facts: &Facts) -> Vec<Check> {
    let tool = |name, found: Option<Version>, least: Version| match found {
        Some(version) if version >= least => Check::new(name, State::Ok, format!("{version}"), None),
        Some(version) => Check::new(
            name,
            State::Missing,
            format!("{version}, needs {least} or newer"),
            Some(INSTALL.to_owned()),
        ),
        None => Check::new(
            name,
            State::Missing,
            format!("not installed, needs {least} or newer"),
            Some(INSTALL.to_owned()),
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
            let found =
                if installed { "installed, version unknown while it is silent" } else { "no daemon answers" };
            Check::new(
                "Docker Engine",
                State::Missing,
                format!("{found}; needs {LEAST_ENGINE} or newer"),
                Some(INSTALL.to_owned()),
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
            Check::new("daemon", State::Ok, format!("answers, {store}"), None)
        }
        (None, silence) => Check::new(
            "daemon",
            State::Missing,
            silence.clone().unwrap_or_else(|| "does not answer".into()),
            Some("start it (`systemctl start docker`), or `cargo xtask doctor --with-engine` as root".into()),
        ),
    }
}

fn buildkit(facts: &Facts, context: &Context) -> Result<Check> {
    if facts.engine.is_none() || facts.buildx.is_none() {
        return Ok(Check::new("BuildKit", State::Unknown, "needs an engine and Buildx", None));
    }
    let output = context.docker.cmd(["buildx", "inspect"]).capture()?;
    let value = |key: &str| {
        let line = output.stdout.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(|rest| rest.trim_start_matches(':').trim().to_owned())
    };
    let running = value("Status").is_some_and(|status| status == "running");
    let driver = value("Driver").unwrap_or_else(|| "unknown".into());
    let version = value("BuildKit version").filter(|version| !version.contains("unknown"));
    let found = match version {
        Some(version) => format!("{version}, driver {driver}"),
        None => format!("in the engine, driver {driver}"),
    };
    Ok(if running {
        Check::new("BuildKit", State::Ok, found, None)
    } else {
        Check::new("BuildKit", State::Missing, "the builder is not running", Some("`docker buildx inspect --bootstrap` says why; `docker buildx use default` takes the engine's own".into()))
    })
}

fn disk(facts: &Facts, context: &Context) -> Result<Check> {
    let Some(root) = facts.data_root.as_deref().filter(|root| Path::new(root).is_dir()) else {
        return Ok(Check::new(
            "free disk",
            State::Unknown,
            "the engine's data is not on this machine, or no engine answers",
            None,
        ));
    };
    Ok(match context.docker.free_at(root)? {
        None => Check::new("free disk", State::Unknown, "df gave no number", None),
        Some(free) if free >= LEAST_FREE => {
            Check::new("free disk", State::Ok, format!("{free} at {root}"), None)
        }
        Some(free) => Check::new(
            "free disk",
            State::Missing,
            format!("{free} at {root}, needs {LEAST_FREE}"),
            Some("`docker system df` says what holds it; `docker buildx prune` frees the build cache".into()),
        ),
    })
}

/// Where bases come from, and one real step that uses the network: a broken bridge is seen nowhere else.
fn network(manifest: &Manifest, builds: bool, context: &Context) -> Result<Vec<Check>> {
    if !builds {
        return Ok(vec![Check::new("networked RUN", State::Unknown, "needs an engine and Buildx", None)]);
    }
    // The trial is a build, and a build of somebody else's is not disturbed.
    let Ok(_lock) = Lock::take(&context.repository.lock()) else {
        return Ok(vec![Check::new(
            "networked RUN",
            State::Unknown,
            "another run is building in this checkout",
            None,
        )]);
    };
    let upstreams: Vec<_> = manifest.upstreams.iter().collect();
    let quiet = Context { terminal: context.terminal.clone().quiet(), ..context.clone() };
    // The doctor asks afresh: what was remembered may be the fault.
    files::remove(&context.repository.base_choice())?;
    let choice = bases::choose(BasesMode::Auto, &upstreams, None, &quiet)?;
    let from = match choice.source {
        BaseSource::Upstream => "upstream images",
        BaseSource::StandIn => "stand-ins from Debian packages",
    };
    let mut checks = vec![Check::new("bases", State::Info, format!("{from} ({})", choice.reason), None)];
    if choice.source == BaseSource::StandIn
        && let Err(error) = bases::bootstrap(manifest, context)
    {
        checks.push(Check::new(
            "networked RUN",
            State::Missing,
            "no base to run it on",
            Some(format!("{error:#}")),
        ));
        return Ok(checks);
    }
    let environment = BuildEnvironment::detect(&upstreams, choice.source, context)?;
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
            Some(format!("{} – or the engine's bridge is broken: restart the engine, and give a second engine a bridge of its own", failure.class.remedy())),
        ),
    });
    Ok(checks)
}

fn trust(trust: &Trust) -> [Check; 2] {
    let bundle = match &trust.bundle {
        Some(path) => format!("builds get {} as a secret", path.display()),
        None => "none beyond the distribution's: builds get no secret".to_owned(),
    };
    let proxies = match trust.proxies.as_slice() {
        [] => "none set".to_owned(),
        names => format!("builds get {}", names.join(", ")),
    };
    [Check::new("private CA", State::Info, bundle, None), Check::new("proxy", State::Info, proxies, None)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_machine_is_told_everything_at_once() {
        let checks = versions(&Facts::default());
        assert_eq!(checks.len(), 4);
        assert!(checks.iter().all(|check| check.state == State::Missing && check.remedy.is_some()));
        assert_eq!(daemon(&Facts::default()).state, State::Missing);
    }

    #[test]
    fn an_old_plugin_is_named_with_the_least_version() {
        let facts = Facts { buildx: Some(Version::new(0, 10)), ..Facts::default() };
        assert_eq!(versions(&facts)[1].found, "0.10.0, needs 0.13.0 or newer");
    }
}
