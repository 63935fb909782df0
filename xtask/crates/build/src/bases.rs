//! Where upstream bases come from: a registry if one answers, otherwise stand-ins made from packages. Chosen at the start of
//! a run, reported, and remembered for a day.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::upstreams::NeededUpstreams;
use engine::bake_report::error_line;
use engine::context::Context;
use engine::environment::require_builder;
use engine::labels;
use engine::signs::Cause;
use host::failure::{Failure, FailureClass};
use host::files;
use host::process::Runner;
use model::manifest::{HostContext, StandIn, Upstream};
use model::platform::Platform;

/// How to choose between upstream images and stand-ins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasesMode {
    /// Stand-ins if the builder cannot resolve the upstream references.
    Auto,
    /// Always upstream images.
    Upstream,
    /// Always stand-ins.
    StandIn,
}

/// Where upstream references come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseSource {
    /// A registry, a mirror, or the engine's own store.
    Upstream,
    /// Built on this machine from Debian packages.
    StandIn,
}

impl BaseSource {
    /// The value of the label on images.
    pub fn name(self) -> &'static str {
        match self {
            BaseSource::Upstream => labels::UPSTREAM,
            BaseSource::StandIn => labels::STAND_IN,
        }
    }
}

/// The chosen source and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChoice {
    /// The source.
    pub source: BaseSource,
    /// Why it was chosen.
    pub reason: String,
    /// When it was chosen, in Unix seconds.
    pub decided: u64,
    /// The references it was chosen for; it does not apply to others.
    pub references: Vec<String>,
    /// The builder and the engine it was chosen for.
    #[serde(rename = "asked")]
    pub engine: String,
}

/// So that a registry that works again is used within a day.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Chooses the source of bases for this run.
///
/// # Errors
/// When neither works for a reason that the user must fix, such as an engine that is down or a rate limit.
pub fn choose(mode: BasesMode, upstreams: &NeededUpstreams<'_>, context: &Context) -> Result<BaseChoice> {
    let (repository, terminal) = (&context.repository, &context.terminal);
    let (references, engine) = (names(upstreams), engine(context));
    let decided = |source, reason: String| BaseChoice { source, reason, decided: now(), references, engine };
    let choice = match mode {
        BasesMode::Upstream => decided(BaseSource::Upstream, "set with --bases".into()),
        BasesMode::StandIn => decided(BaseSource::StandIn, "set with --bases".into()),
        BasesMode::Auto => match remembered(upstreams, context) {
            Some(choice) => choice,
            None => {
                let (source, reason) = resolve(upstreams, context)?;
                let choice = decided(source, reason);
                let json = serde_json::to_vec_pretty(&choice).context("the choice of bases")?;
                files::write_atomically(&repository.base_choice(), &json)?;
                choice
            }
        },
    };
    match choice.source {
        BaseSource::Upstream => terminal.say("Bases: upstream images."),
        BaseSource::StandIn => terminal.warn(format!(
            "bases are stand-ins made from Debian packages, not the upstream images ({}); sizes of originals are marked",
            choice.reason
        )),
    }
    Ok(choice)
}

/// The source of bases, if no engine needs to be asked.
pub fn known(mode: BasesMode, upstreams: &NeededUpstreams<'_>, context: &Context) -> Option<BaseSource> {
    match mode {
        BasesMode::Upstream => Some(BaseSource::Upstream),
        BasesMode::StandIn => Some(BaseSource::StandIn),
        BasesMode::Auto => {
            let remembered = remembered(upstreams, context).map(|choice| choice.source);
            // `choose` does the same if no image needs to be resolved.
            remembered.or_else(|| upstreams.images.is_empty().then_some(BaseSource::Upstream))
        }
    }
}

/// The choice of an earlier run, if it is recent and was made for the same engine and these references.
fn remembered(upstreams: &NeededUpstreams<'_>, context: &Context) -> Option<BaseChoice> {
    let text = files::read_if_there(&context.repository.base_choice()).ok()??;
    let choice: BaseChoice = serde_json::from_str(&text).ok()?;
    let is_fresh = now().saturating_sub(choice.decided) < REMEMBERED.as_secs();
    let covers = names(upstreams).iter().all(|name| choice.references.contains(name));
    (is_fresh && covers && choice.engine == engine(context)).then_some(choice)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The references, each with its required platform.
fn names(upstreams: &NeededUpstreams<'_>) -> Vec<String> {
    let on = |reference: &String, platform: &Option<Platform>| {
        platform.as_ref().map_or_else(|| reference.clone(), |platform| format!("{reference} {platform}"))
    };
    pairs(upstreams).map(|(reference, platform)| on(reference, platform)).collect()
}

/// Each reference with each platform for which it is needed.
fn pairs<'a>(upstreams: &'a NeededUpstreams<'_>) -> impl Iterator<Item = (&'a String, &'a Option<Platform>)> {
    let of =
        |upstream: &'a &Upstream| upstreams.platforms.iter().map(|platform| (&upstream.reference, platform));
    upstreams.images.iter().flat_map(of)
}

/// The builder and the engine in use.
fn engine(context: &Context) -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let builder = context.docker.builder.name().unwrap_or_default();
    format!("{builder}|{}|{}", variable("DOCKER_HOST"), variable("DOCKER_CONTEXT"))
}

fn resolve(upstreams: &NeededUpstreams<'_>, context: &Context) -> Result<(BaseSource, String)> {
    for (reference, platform) in pairs(upstreams) {
        let ask = || context.docker.resolves(reference, platform.as_ref());
        let mut result = ask()?;
        if matches!(&result, Err(stderr) if Cause::of_registry(stderr).class().is_transient()) {
            result = ask()?;
        }
        let Err(stderr) = result else { continue };
        context.docker.runner.interrupt.check()?;
        let error = error_line(&stderr).unwrap_or(stderr);
        // A broken builder does not mean that the registry is unreachable.
        require_builder(&error, context)?;
        return reason_for_stand_ins(reference, &error).map(|reason| (BaseSource::StandIn, reason));
    }
    Ok((BaseSource::Upstream, "the engine resolves every upstream image".into()))
}

/// Why stand-ins are needed; an error if the user should fix the problem instead.
fn reason_for_stand_ins(reference: &str, error: &str) -> Result<String> {
    match Cause::of_registry(error) {
        Cause::UnknownHost | Cause::ServerError | Cause::Unreachable => {
            Ok(format!("no registry answers for {reference}: {}", brief(error)))
        }
        Cause::NotFound | Cause::Denied => Ok(format!("no registry has {reference}: {}", brief(error))),
        cause => {
            let class = cause.class();
            let remedy = format!("{}, or use stand-ins with `--bases stand-in`", class.remedy());
            let (class, name) = match class.is_environment() {
                true => (class, format!(" ({})", class.name())),
                false => (FailureClass::Machine, String::new()),
            };
            let what = format!("cannot resolve {reference}{name}: {error}");
            Err(Failure::new(class, what, remedy).into())
        }
    }
}

/// BuildKit chains errors with colons; the last two parts say what happened.
fn brief(error: &str) -> String {
    let parts: Vec<&str> = error.split(": ").collect();
    parts[parts.len().saturating_sub(2)..].join(": ")
}

/// The folders of this machine that stand-ins copy from.
///
/// # Errors
/// When the Rust toolchain is missing.
pub fn host_contexts(upstreams: &[&Upstream], runner: &Runner) -> Result<BTreeMap<&'static str, String>> {
    let mut found = BTreeMap::new();
    for upstream in upstreams {
        let StandIn::Dockerfile { contexts, .. } = &upstream.stand_in else {
            continue;
        };
        for context in contexts.values() {
            let HostContext::RustToolchain = context;
            let sysroot = match toolchain_of_cargo() {
                Some(sysroot) => sysroot,
                None => runner.cmd("rustc").args(["--print", "sysroot"]).read()?,
            };
            if !Path::new(&sysroot).join("bin/cargo").is_file() {
                let what = format!(
                    "the Rust toolchain at {sysroot} has no bin/cargo, which the stand-in for {} needs",
                    upstream.reference
                );
                bail!(Failure::machine(what, "install the toolchain with rustup"));
            }
            found.insert(context_key(*context), sysroot);
        }
    }
    Ok(found)
}

/// Checks that the stand-ins can be built for these platforms.
///
/// # Errors
/// When a stand-in copies this machine's programs, which do not run on one of the platforms.
pub fn require_stand_ins(upstreams: &NeededUpstreams<'_>) -> Result<(), Failure> {
    let Some(platform) = upstreams.platforms.iter().flatten().find(|platform| platform.is_emulated()) else {
        return Ok(());
    };
    let copies = |upstream: &&&Upstream| {
        let StandIn::Dockerfile { contexts, emulated: None, .. } = &upstream.stand_in else { return false };
        !contexts.is_empty()
    };
    let Some(upstream) = upstreams.images.iter().find(copies) else { return Ok(()) };
    let reference = &upstream.reference;
    Err(Failure::new(
        FailureClass::Manifest,
        format!(
            "the stand-in for {reference} copies this machine's programs, which do not run on {platform}"
        ),
        format!("add `emulated = \"DOCKERFILE\"` to the stand-in of [upstream.{}]", upstream.name),
    ))
}

/// The toolchain behind `cargo xtask`, found without starting a process.
fn toolchain_of_cargo() -> Option<String> {
    let cargo = std::path::PathBuf::from(std::env::var_os("CARGO")?);
    let sysroot = cargo.parent()?.parent()?;
    sysroot.join("lib/rustlib").is_dir().then(|| sysroot.display().to_string())
}

/// A host folder's key in [`crate::environment::BuildEnvironment`].
pub fn context_key(context: HostContext) -> &'static str {
    match context {
        HostContext::RustToolchain => "rust-toolchain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_an_error_chain_is_reported() {
        let error = "failed to solve: debian:x: failed to resolve source metadata: dial tcp: lookup r.example: no such host";
        assert_eq!(brief(error), "lookup r.example: no such host");
    }
}
