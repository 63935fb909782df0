//! Root file systems for stand-ins, made by mmdebstrap: one for each Debian suite and platform.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use engine::context::Context;
use engine::environment::provide_packages;
use engine::signs::Cause;
use host::failure::{Failure, FailureClass, class_of};
use host::files;
use host::process::{Runner, find};
use model::manifest::{Manifest, StandIn};
use model::platform::Platform;

/// The folder of a root file system, one per platform.
pub fn folder(suite: &str, platform: Option<&Platform>) -> String {
    format!("{suite}{}", platform.map(Platform::suffix).unwrap_or_default())
}

/// A Debian suite for a platform.
struct System<'a> {
    suite: &'a str,
    platform: Option<&'a Platform>,
    /// Debian's name of the platform's architecture; `None` for this machine's architecture.
    architecture: Option<&'static str>,
}

impl<'a> System<'a> {
    fn new(suite: &'a str, platform: Option<&'a Platform>) -> Result<System<'a>> {
        let architecture = match platform {
            None => None,
            Some(platform) => Some(platform.debian_architecture().ok_or_else(|| {
                let help = "build for another platform, or use `--bases upstream` with a reachable registry";
                let what = format!(
                    "no stand-in for Debian {suite} on {platform}: Debian does not support its architecture"
                );
                Failure::new(FailureClass::Usage, what, help)
            })?),
        };
        Ok(System { suite, platform, architecture })
    }

    /// Whether this machine needs emulation to run its programs.
    fn is_emulated(&self) -> bool {
        self.platform.is_some_and(Platform::is_emulated)
    }

    /// The missing programs. Their Debian packages have the same names. mmdebstrap uses `arch-test` to find out whether this machine can
    /// run programs of another architecture.
    fn missing_programs(&self) -> Vec<&'static str> {
        let tester = self.is_emulated().then_some("arch-test");
        ["mmdebstrap"].into_iter().chain(tester).filter(|name| find(name).is_none()).collect()
    }
}

impl fmt::Display for System<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.suite)?;
        self.platform.iter().try_for_each(|platform| write!(f, " on {platform}"))
    }
}

/// Bootstraps the root file systems of stand-ins, which a build cannot create, if they are missing or older than `since`. Without
/// mmdebstrap or a network, keeps the old ones.
///
/// # Errors
/// When a root file system is missing, and mmdebstrap fails, or is missing and may not be installed.
pub fn bootstrap(
    manifest: &Manifest,
    platforms: &[Option<Platform>],
    since: SystemTime,
    context: &Context,
) -> Result<()> {
    let suites = manifest.upstreams.iter().filter_map(|upstream| match &upstream.stand_in {
        StandIn::Bootstrap { suite } => Some(suite),
        StandIn::Dockerfile { .. } => None,
    });
    for (suite, platform) in suites.flat_map(|suite| platforms.iter().map(move |one| (suite, one.as_ref()))) {
        let system = System::new(suite, platform)?;
        let dir = context.repository.bootstrap(&folder(suite, platform));
        let made = std::fs::metadata(dir.join(ROOT_FS)).and_then(|file| file.modified()).ok();
        if made.is_some_and(|at| at >= since) {
            continue;
        }
        if find("mmdebstrap").is_none() && made.is_some() {
            context.terminal.warn(format!(
                "the stand-in for Debian {system} is outdated; install mmdebstrap to renew it"
            ));
            continue;
        }
        let missing = system.missing_programs();
        if !missing.is_empty() {
            install_bootstrapper(&missing, context)?;
        }
        let time = if system.is_emulated() { "a few minutes, under emulation" } else { "half a minute" };
        context.terminal.say(format!("Bootstrapping the stand-in for Debian {system} ({time}) …"));
        let result = mmdebstrap(&context.docker.runner, &system, &dir, manifest.source_date_epoch);
        match result {
            Err(error) if made.is_some() && class_of(&error) != FailureClass::Interrupted => {
                context.terminal.warn(format!("using the outdated stand-in for Debian {system}: {error:#}"));
            }
            result => result?,
        }
    }
    Ok(())
}

/// The root file system's file name in its build context.
pub const ROOT_FS: &str = "rootfs.tar";

fn install_bootstrapper(missing: &[&str], context: &Context) -> Result<()> {
    if !context.with_engine {
        let names = missing.join(" ");
        return Err(Failure::machine(
            format!("no registry answers, and programs that build stand-ins are missing: {names}"),
            format!("run the same command with --with-engine as root, or `apt-get install {names}`"),
        )
        .into());
    }
    let packages: Vec<&str> = missing.iter().copied().chain(["debian-archive-keyring"]).collect();
    provide_packages(&packages, context)
}

/// Like `debian:*-slim`: essential packages without manual pages, translations and documentation; licences are kept.
fn mmdebstrap(runner: &Runner, system: &System<'_>, dir: &Path, epoch: u64) -> Result<()> {
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
        .args(system.architecture.map(|name| format!("--architectures={name}")))
        .arg(system.suite)
        .arg(partial.display().to_string());
    if let Err(error) = cmd.long().read() {
        files::remove(&partial)?;
        let class = Cause::of_step(&error.tail, "").class();
        let class = if class == FailureClass::Failed { FailureClass::Network } else { class };
        let what = format!("cannot bootstrap the stand-in for Debian {system}: {error}");
        return Err(Failure::new(class, what, class.remedy()).into());
    }
    std::fs::rename(&partial, dir.join(ROOT_FS)).with_context(|| format!("cannot finish {}", dir.display()))
}
