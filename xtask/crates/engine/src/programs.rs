//! Programs other than docker.

use host::failure::Failure;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::machine::Machine;
use crate::provision;
use host::files;
use host::process::find;

/// Programs whose Debian package has a different name.
const PACKAGES: [(&str, &str); 1] = [("kubectl", "kubernetes-client")];

fn package(program: &str) -> &str {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package)
}

/// Makes sure that these programs are on PATH; with `--with-engine`, installs their packages.
///
/// # Errors
/// [`Failure`] with all missing programs.
pub fn require(programs: &[&str], context: &Context) -> Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|program| package(program)).collect();
    if !context.with_engine {
        let remedy = format!(
            "run the same command with --with-engine as root, or `apt-get install {}`",
            packages.join(" ")
        );
        return Err(Failure::machine(format!("not installed: {}", missing.join(", ")), remedy).into());
    }
    let docker = &context.docker;
    Machine::detect(&docker.runner)
        .and_then(|machine| provision::install(&machine, &packages))
        .and_then(|steps| {
            provision::execute(&steps, docker, &context.repository.engine_log(), &context.terminal)
        })
        .map_err(Failure::of_machine)
}

/// The path of a program that is not installed: Debian's package would start a service on all networks. Uses the one on PATH;
/// else, with `--with-engine`, downloads and unpacks the package.
///
/// # Errors
/// [`Failure`], when there is none.
pub fn borrow(program: &str, context: &Context) -> Result<PathBuf> {
    let folder = context.repository.programs();
    let unpacked = folder.join("usr/bin").join(program);
    if let Some(path) = find(program) {
        return Ok(path);
    }
    if unpacked.is_file() {
        return Ok(unpacked);
    }
    if !context.with_engine {
        let remedy = format!(
            "put it on PATH, or run the same command with --with-engine on Debian or Ubuntu: the package is unpacked under {} \
             and not installed",
            folder.display()
        );
        return Err(Failure::machine(format!("no `{program}` on PATH"), remedy).into());
    }
    unpack(program, &folder, context).map_err(Failure::of_machine)?;
    if !unpacked.is_file() {
        return Err(Failure::machine(
            format!("no program `{program}` in the package of that name"),
            "put it on PATH",
        )
        .into());
    }
    Ok(unpacked)
}

/// Unpacks into a temporary folder first: `folder` is complete or missing.
fn unpack(package: &str, folder: &Path, context: &Context) -> Result<()> {
    let (runner, terminal) = (&context.docker.runner, &context.terminal);
    terminal.say(format!("download the package {package} into {} …", folder.display()));
    let fresh = folder.with_extension("new");
    std::fs::remove_dir_all(&fresh).ok();
    files::create_dir(&fresh)?;
    let download = || runner.cmd("apt-get").args(["-q", "download", package]).dir(&fresh).long().read();
    if download().is_err() {
        // The package lists may be missing, or older than the mirror.
        runner.cmd("apt-get").args(["-q", "update"]).long().read()?;
        download()?;
    }
    let found = std::fs::read_dir(&fresh)?.flatten().map(|entry| entry.path());
    let found = found.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
    let Some(file) = found else { bail!("`apt-get download {package}` left no file") };
    runner
        .cmd("dpkg")
        .arg("--extract")
        .arg(file.display().to_string())
        .arg(fresh.display().to_string())
        .read()?;
    files::remove(&file)?;
    std::fs::rename(&fresh, folder).with_context(|| format!("cannot create {}", folder.display()))
}
