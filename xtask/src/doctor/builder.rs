//! The builder: its driver, nodes and limits.

use anyhow::Result;

use super::checks::{Check, State, list};
use engine::bake_report::error_line;
use engine::builder::BuilderKind;
use engine::builder_state::{BuilderNode, BuilderState};
use engine::context::Context;
use engine::facts::Facts;

pub(super) const NAME: &str = "BuildKit";

/// Checks the builder. If it is not the engine's own, its nodes are shown, too.
///
/// # Errors
/// When docker cannot be started.
pub(super) fn examine(facts: &Facts, context: &Context) -> Result<Vec<Check>> {
    if facts.engine.is_none() || facts.buildx.is_none() {
        return Ok(vec![Check::new(NAME, State::Unknown, "needs an engine and Buildx", None)]);
    }
    let builder = &context.docker.builder;
    let state = match context.docker.builder_state()? {
        Ok(state) => state,
        Err(message) => {
            let error = error_line(&message).unwrap_or_else(|| message.trim().to_owned());
            let found = format!("builder {}: {error}", builder.name().unwrap_or("current"));
            return Ok(vec![Check::new(NAME, State::Missing, found, Some(remedy()))]);
        }
    };
    let mut checks = vec![daemon(&state, builder.is_engines_own())];
    if !builder.is_engines_own() {
        checks.extend(state.nodes.iter().map(|node| of_node(node, &state)));
        checks.push(Check::new("builder limits", State::Info, limits(builder.kind()), None));
    }
    Ok(checks)
}

fn daemon(state: &BuilderState, is_own: bool) -> Check {
    let BuilderState { name, driver, .. } = state;
    let is_unknown = driver.is_empty() || state.nodes.is_empty();
    match state.why_down().or_else(|| is_unknown.then(|| "Buildx lists no nodes".to_owned())) {
        None => {
            let version = state.nodes.iter().find_map(|node| node.version.as_deref());
            let version = match version {
                Some(version) => version,
                None if state.is_in_engine() => "in the engine",
                None => "unknown version",
            };
            let builder = if is_own { String::new() } else { format!(", builder {name}") };
            Check::new(NAME, State::Ok, format!("{version}, driver {driver}{builder}"), None)
        }
        Some(_) if state.starts_on_demand() => {
            let found = format!("builder {name}, driver {driver}: not running; the next build starts it");
            let remedy = format!("`docker buildx inspect --bootstrap {name}` starts it now");
            Check::new(NAME, State::Unknown, found, Some(remedy))
        }
        Some(why) => Check::new(
            NAME,
            State::Missing,
            format!("the builder {name} is not running: {why}"),
            Some(remedy()),
        ),
    }
}

fn of_node(node: &BuilderNode, state: &BuilderState) -> Check {
    const NODE: &str = "builder node";
    let BuilderNode { name, endpoint, status, .. } = node;
    if node.is_running() {
        let version =
            node.version.as_ref().map(|version| format!("BuildKit {version}, ")).unwrap_or_default();
        let found = format!("{name} at {endpoint}: running, {version}{}", list(&node.platforms));
        return Check::new(NODE, State::Ok, found, None);
    }
    let why = node.error.as_deref().unwrap_or(status);
    let remedy =
        format!("start it, or remove it: `docker buildx create --name {} --leave --node {name}`", state.name);
    Check::new(NODE, State::Unknown, format!("{name} at {endpoint}: {why}"), Some(remedy))
}

/// What does not work with a builder of this kind.
fn limits(kind: BuilderKind) -> &'static str {
    match kind {
        BuilderKind::Engine => "none",
        BuilderKind::OtherEngine => {
            "builds do not use this engine's images; built images are copied from its engine; no --pull-built, no --no-load"
        }
        BuilderKind::Created => {
            "builds do not use this engine's images; built images are loaded into the engine; no --pull-built"
        }
    }
}

fn remedy() -> String {
    "`docker buildx inspect --bootstrap` shows why; `--builder default` or `docker buildx use default` selects the engine's own builder".into()
}
