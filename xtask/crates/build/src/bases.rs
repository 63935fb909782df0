//! Where upstream bases come from: a registry if one answers, otherwise stand-ins made from packages. Chosen at the start of
//! a run, reported, and remembered for a day.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use engine::bake_report::error_line;
use engine::context::Context;
use engine::environment::require_builder;
use engine::machine::Machine;
use engine::signs::Cause;
use engine::{labels, provision};
use host::failure::{Failure, FailureClass, class_of};
use host::files;
use host::paths::Repository;
use host::process::{Runner, find};
use model::manifest::{HostContext, Manifest, StandIn, Upstream};

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
pub fn choose(
    mode: BasesMode,
    upstreams: &[&Upstream],
    builder: Option<&str>,
    context: &Context,
) -> Result<BaseChoice> {
    let (repository, terminal) = (&context.repository, &context.terminal);
    let (references, engine) = (names(upstreams), engine(builder));
    let decided = |source, reason: String| BaseChoice { source, reason, decided: now(), references, engine };
    let choice = match mode {
        BasesMode::Upstream => decided(BaseSource::Upstream, "set with --bases".into()),
        BasesMode::StandIn => decided(BaseSource::StandIn, "set with --bases".into()),
        BasesMode::Auto => match remembered(upstreams, builder, repository) {
            Some(choice) => choice,
            None => {
                let (source, reason) = resolve(upstreams, builder, context)?;
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
pub fn known(
    mode: BasesMode,
    upstreams: &[&Upstream],
    builder: Option<&str>,
    repository: &Repository,
) -> Option<BaseSource> {
    match mode {
        BasesMode::Upstream => Some(BaseSource::Upstream),
        BasesMode::StandIn => Some(BaseSource::StandIn),
        BasesMode::Auto => {
            let remembered = remembered(upstreams, builder, repository).map(|choice| choice.source);
            // `choose` does the same if no image needs to be resolved.
            remembered.or_else(|| upstreams.is_empty().then_some(BaseSource::Upstream))
        }
    }
}

/// The choice of an earlier run, if it is recent and was made for the same engine and these references.
pub fn remembered(
    upstreams: &[&Upstream],
    builder: Option<&str>,
    repository: &Repository,
) -> Option<BaseChoice> {
    let text = files::read_if_there(&repository.base_choice()).ok()??;
    let choice: BaseChoice = serde_json::from_str(&text).ok()?;
    let is_fresh = now().saturating_sub(choice.decided) < REMEMBERED.as_secs();
    let covers = names(upstreams).iter().all(|name| choice.references.contains(name));
    (is_fresh && covers && choice.engine == engine(builder)).then_some(choice)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn names(upstreams: &[&Upstream]) -> Vec<String> {
    upstreams.iter().map(|upstream| upstream.reference.clone()).collect()
}

/// The builder and the engine in use.
fn engine(builder: Option<&str>) -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let builder = builder.map_or_else(|| variable("BUILDX_BUILDER"), str::to_owned);
    format!("{builder}|{}|{}", variable("DOCKER_HOST"), variable("DOCKER_CONTEXT"))
}

fn resolve(
    upstreams: &[&Upstream],
    builder: Option<&str>,
    context: &Context,
) -> Result<(BaseSource, String)> {
    for upstream in upstreams {
        let reference = &upstream.reference;
        let mut result = context.docker.resolves(reference, builder)?;
        if matches!(&result, Err(stderr) if Cause::of_registry(stderr).class().is_transient()) {
            result = context.docker.resolves(reference, builder)?;
        }
        let Err(stderr) = result else { continue };
        context.docker.runner.interrupt.check()?;
        let error = error_line(&stderr).unwrap_or(stderr);
        // A broken builder does not mean that the registry is unreachable.
        require_builder(builder, &error, context)?;
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

/// Bootstraps the root file systems that stand-ins start from, which no build can make, where there is none since a time. Without
/// mmdebstrap or a network, an older one is used.
///
/// # Errors
/// When there is none, and mmdebstrap fails, or is missing and may not be installed.
pub fn bootstrap(manifest: &Manifest, since: SystemTime, context: &Context) -> Result<()> {
    let suites = manifest.upstreams.iter().filter_map(|upstream| match &upstream.stand_in {
        StandIn::Bootstrap { suite } => Some(suite),
        StandIn::Dockerfile { .. } => None,
    });
    for suite in suites {
        let dir = context.repository.bootstrap(suite);
        let made = std::fs::metadata(dir.join(ROOT_FS)).and_then(|file| file.modified()).ok();
        if made.is_some_and(|at| at >= since) {
            continue;
        }
        if find("mmdebstrap").is_none() && made.is_some() {
            context
                .terminal
                .warn(format!("the stand-in for Debian {suite} is old: no mmdebstrap to renew it"));
            continue;
        }
        if find("mmdebstrap").is_none() {
            install_bootstrapper(context)?;
        }
        context.terminal.say(format!("Bootstrapping the stand-in for Debian {suite} (half a minute) …"));
        let result = mmdebstrap(&context.docker.runner, suite, &dir, manifest.source_date_epoch);
        match result {
            Err(error) if made.is_some() && class_of(&error) != FailureClass::Interrupted => {
                context.terminal.warn(format!("using the old stand-in for Debian {suite}: {error:#}"));
            }
            result => result?,
        }
    }
    Ok(())
}

/// The root file system's file name in its build context.
pub const ROOT_FS: &str = "rootfs.tar";

fn install_bootstrapper(context: &Context) -> Result<()> {
    if !context.with_engine {
        return Err(Failure::machine(
            "no registry answers, and building stand-ins needs mmdebstrap, which is not installed",
            "run the same command with --with-engine as root, or `apt-get install mmdebstrap`",
        )
        .into());
    }
    let docker = &context.docker;
    let machine = Machine::detect(&docker.runner)?;
    let packages = ["mmdebstrap", "debian-archive-keyring"];
    let steps =
        provision::install(&machine, &packages).map_err(|error| Failure::machine(error.to_string(), ""))?;
    provision::execute(&steps, docker, &context.repository.engine_log(), &context.terminal)
        .map_err(Failure::of_machine)
}

/// Like `debian:*-slim`: essential packages without manual pages, translations and documentation; licences are kept.
fn mmdebstrap(runner: &Runner, suite: &str, dir: &Path, epoch: u64) -> Result<()> {
    files::create_dir(dir)?;
    let partial = dir.join("partial.tar");
    let cmd = runner
        .cmd("mmdebstrap")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .args(["--quiet", "--variant=minbase"])
        .args(
            ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*"]
                .map(|path| format!("--dpkgopt=path-exclude={path}")),
        )
        .arg("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        .arg(suite)
        .arg(partial.display().to_string());
    if let Err(error) = cmd.long().read() {
        files::remove(&partial)?;
        let class = Cause::of_step(&error.tail, "").class();
        let class = if class == FailureClass::Failed { FailureClass::Network } else { class };
        let what = format!("cannot bootstrap the stand-in for Debian {suite}: {error}");
        return Err(Failure::new(class, what, class.remedy()).into());
    }
    std::fs::rename(&partial, dir.join(ROOT_FS)).with_context(|| format!("cannot finish {}", dir.display()))
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
