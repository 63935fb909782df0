//! Where upstream bases come from: a registry where one answers, stand-ins made from packages where none does. Chosen
//! once at the start of a run, remembered for a day, and said aloud.

use host::failure::Failure;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use engine::context::Context;
use engine::environment::require_buildx;
use engine::events::error_line;
use engine::labels;
use engine::machine::Machine;
use engine::provision;
use engine::signs::Cause;
use host::failure::FailureClass;
use host::files;
use host::paths::Repository;
use host::process::{Runner, find};
use model::manifest::{HostContext, Manifest, StandIn, Upstream};

/// How to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Ask the builder whether it gets at the upstream references.
    Auto,
    /// Upstream, whatever happens.
    Upstream,
    /// Stand-ins, even where a registry answers.
    StandIn,
}

/// Where upstream references come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The engine gets at them: a registry, a mirror, or its own store.
    Upstream,
    /// Made here from Debian packages.
    StandIn,
}

impl Source {
    /// The value of the label that images carry.
    pub fn name(self) -> &'static str {
        match self {
            Source::Upstream => labels::UPSTREAM,
            Source::StandIn => labels::STAND_IN,
        }
    }
}

/// A choice, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What was chosen.
    pub source: Source,
    /// Why, in words.
    pub reason: String,
    /// When, in seconds since 1970.
    pub decided: u64,
    /// The references that were asked for: the choice says nothing of others.
    pub references: Vec<String>,
    /// The builder and the engine that were asked.
    pub asked: String,
}

/// A registry that comes back is noticed within a day.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Chooses for this run.
///
/// # Errors
/// When neither is possible for a reason that a person must mend (the engine is gone, the registry limits the rate).
pub fn choose(
    mode: Mode,
    upstreams: &[&Upstream],
    builder: Option<&str>,
    context: &Context,
) -> Result<Choice> {
    let (repository, terminal) = (&context.repository, &context.terminal);
    let (references, asked) = (names(upstreams), who(builder));
    let decided = |source, reason: String| Choice { source, reason, decided: now(), references, asked };
    let choice = match mode {
        Mode::Upstream => decided(Source::Upstream, "asked for with --bases".into()),
        Mode::StandIn => decided(Source::StandIn, "asked for with --bases".into()),
        Mode::Auto => match remembered(upstreams, builder, repository) {
            Some(choice) => choice,
            None => {
                let (source, reason) = ask(upstreams, builder, context)?;
                let choice = decided(source, reason);
                let json = serde_json::to_vec_pretty(&choice).context("the choice of bases")?;
                files::write_atomically(&repository.base_choice(), &json)?;
                choice
            }
        },
    };
    match choice.source {
        Source::Upstream => terminal.say("Bases: upstream images."),
        Source::StandIn => terminal.warn(format!(
            "bases are stand-ins made from Debian packages, not the upstream images ({}); sizes of originals say so",
            choice.reason
        )),
    }
    Ok(choice)
}

/// The choice of an earlier run, as long as it counts: of the same engine, and for these references.
pub fn remembered(upstreams: &[&Upstream], builder: Option<&str>, repository: &Repository) -> Option<Choice> {
    let text = files::read_if_there(&repository.base_choice()).ok()??;
    let choice: Choice = serde_json::from_str(&text).ok()?;
    let is_fresh = now().saturating_sub(choice.decided) < REMEMBERED.as_secs();
    let covers = names(upstreams).iter().all(|name| choice.references.contains(name));
    (is_fresh && covers && choice.asked == who(builder)).then_some(choice)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn names(upstreams: &[&Upstream]) -> Vec<String> {
    upstreams.iter().map(|upstream| upstream.reference.clone()).collect()
}

/// The builder and the engine that a question goes to.
fn who(builder: Option<&str>) -> String {
    let variable = |name| std::env::var(name).unwrap_or_default();
    format!("{}|{}|{}", builder.unwrap_or_default(), variable("DOCKER_HOST"), variable("DOCKER_CONTEXT"))
}

fn ask(upstreams: &[&Upstream], builder: Option<&str>, context: &Context) -> Result<(Source, String)> {
    for upstream in upstreams {
        let reference = &upstream.reference;
        let mut answer = context.docker.resolves(reference, builder)?;
        if matches!(&answer, Err(said) if Cause::of_registry(said).class().is_transient()) {
            answer = context.docker.resolves(reference, builder)?;
        }
        let Err(said) = answer else { continue };
        context.docker.runner.interrupt.check()?;
        let why = error_line(&said).unwrap_or(said);
        return without(reference, &why, context).map(|reason| (Source::StandIn, reason));
    }
    Ok((Source::Upstream, "the engine gets at every upstream image".into()))
}

/// Why stand-ins are built, when an upstream image cannot be had; other troubles are for a person to mend.
fn without(reference: &str, why: &str, context: &Context) -> Result<String> {
    match Cause::of_registry(why) {
        Cause::UnknownHost | Cause::ServerError | Cause::Unreachable => {
            Ok(format!("no registry answers for {reference}: {}", brief(why)))
        }
        Cause::NotFound | Cause::Denied => Ok(format!("no registry has {reference}: {}", brief(why))),
        cause => {
            require_buildx(context)?;
            let class = cause.class();
            let remedy = format!("{}, or build on stand-ins with `--bases stand-in`", class.remedy());
            Err(Failure::machine(format!("cannot get at {reference} ({}): {why}", class.name()), remedy)
                .into())
        }
    }
}

/// BuildKit chains its errors with colons; the last links say what happened.
fn brief(error: &str) -> String {
    let parts: Vec<&str> = error.split(": ").collect();
    parts[parts.len().saturating_sub(2)..].join(": ")
}

/// Makes what stand-ins need and no build can make: the bootstrapped root file systems.
///
/// # Errors
/// When the tool is missing and may not be installed, or fails.
pub fn bootstrap(manifest: &Manifest, context: &Context) -> Result<()> {
    let suites = manifest.upstreams.iter().filter_map(|upstream| match &upstream.stand_in {
        StandIn::Bootstrap { suite } => Some(suite),
        StandIn::Dockerfile { .. } => None,
    });
    for suite in suites {
        let dir = context.repository.bootstrap(suite);
        if dir.join(ROOT_FS).is_file() {
            continue;
        }
        if find("mmdebstrap").is_none() {
            install_bootstrapper(context)?;
        }
        context
            .terminal
            .say(format!("Making the stand-in for Debian {suite} from its packages (half a minute) …"));
        mmdebstrap(&context.docker.runner, suite, &dir, manifest.source_date_epoch)?;
    }
    Ok(())
}

/// The root file system's name in its context.
pub const ROOT_FS: &str = "rootfs.tar";

fn install_bootstrapper(context: &Context) -> Result<()> {
    if !context.with_engine {
        return Err(Failure::machine(
            "no registry answers, and stand-ins for its images need mmdebstrap, which is not installed",
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

/// As `debian:*-slim` is made: the essential packages without manual pages, translations and documents, licences kept.
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
    if let Err(error) = cmd.read() {
        files::remove(&partial)?;
        let class = Cause::of_step(&error.tail, "").class();
        let remedy =
            if class == FailureClass::Failed { FailureClass::Network.remedy() } else { class.remedy() };
        return Err(Failure::machine(
            format!("the stand-in for Debian {suite} cannot be made: {error}"),
            remedy,
        )
        .into());
    }
    std::fs::rename(&partial, dir.join(ROOT_FS)).with_context(|| format!("cannot finish {}", dir.display()))
}

/// Folders of this machine that stand-ins copy from.
///
/// # Errors
/// When the toolchain cannot be found.
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
                bail!(
                    "the Rust toolchain at {sysroot} has no bin/cargo, which the stand-in of {} needs",
                    upstream.reference
                );
            }
            found.insert(context_key(*context), sysroot);
        }
    }
    Ok(found)
}

/// The toolchain that runs this program through `cargo xtask`, without asking a process.
fn toolchain_of_cargo() -> Option<String> {
    let cargo = std::path::PathBuf::from(std::env::var_os("CARGO")?);
    let sysroot = cargo.parent()?.parent()?;
    sysroot.join("lib/rustlib").is_dir().then(|| sysroot.display().to_string())
}

/// The name of a host folder in plans.
pub fn context_key(context: HostContext) -> &'static str {
    match context {
        HostContext::RustToolchain => "rust-toolchain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_of_errors_is_told_by_its_end() {
        let error = "failed to solve: debian:x: failed to resolve source metadata: dial tcp: lookup r.example: no such host";
        assert_eq!(brief(error), "lookup r.example: no such host");
    }
}
