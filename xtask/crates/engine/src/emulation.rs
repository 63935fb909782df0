//! Emulation of other architectures on the engine's machine: QEMU, registered with the kernel (Linux, "Kernel Support for miscellaneous
//! Binary Formats").

use anyhow::Result;

use crate::context::Context;
use crate::machine::Machine;
use crate::provision::{self, ProvisionStep};
use host::failure::Failure;
use host::program::PROGRAM;
use model::platform::Platform;

/// The Debian packages. mmdebstrap uses arch-test to find out which architectures the machine can run.
const PACKAGES: [&str; 3] = ["qemu-user-static", "binfmt-support", "arch-test"];

/// The requested platforms that the builder cannot run programs for, either natively or emulated.
///
/// # Errors
/// When docker fails.
pub fn missing(wanted: &[Platform], context: &Context) -> Result<Vec<Platform>> {
    let runs = if wanted.is_empty() { Vec::new() } else { context.docker.builder_platforms()? };
    Ok(wanted.iter().filter(|wanted| !runs.iter().any(|one| one.is_wanted(wanted))).cloned().collect())
}

/// Makes sure that the builder can run programs for these platforms; with `--with-engine`, installs QEMU.
///
/// # Errors
/// A machine [`Failure`] if the builder cannot.
pub fn require(platforms: &[Platform], context: &Context) -> Result<()> {
    let lacking = missing(platforms, context)?;
    if lacking.is_empty() {
        return Ok(());
    }
    if context.with_engine {
        let steps = Machine::detect(&context.docker.runner).and_then(|machine| plan(&machine, &lacking));
        let log = context.repository.engine_log();
        steps
            .and_then(|steps| provision::execute(&steps, &context.docker, &log, &context.terminal))
            .map_err(Failure::of_machine)?;
    }
    let lacking = missing(&lacking, context)?;
    if lacking.is_empty() {
        return Ok(());
    }
    let what = format!("the builder cannot run programs for {}", list(&lacking));
    Err(Failure::machine(what, remedy(&lacking)).into())
}

/// How to enable emulation of these platforms on a machine.
pub fn remedy(platforms: &[Platform]) -> String {
    format!(
        "enable emulation of {} on the engine's machine: `{PROGRAM} doctor --with-engine` as root (Debian or Ubuntu), \
         `apt-get install {} {}`, or `docker run --privileged --rm tonistiigi/binfmt --install all`",
        list(platforms),
        PACKAGES[0],
        PACKAGES[1]
    )
}

/// The steps that enable emulation of these platforms on a machine.
fn plan(machine: &Machine, platforms: &[Platform]) -> Result<Vec<ProvisionStep>> {
    let mut steps = provision::install(machine, &PACKAGES)?;
    // The packages register emulators only where services may start.
    let names = platforms.iter().map(|platform| format!("qemu-{}", qemu_name(platform)));
    steps.push(ProvisionStep::Emulate(names.collect()));
    Ok(steps)
}

/// QEMU's name for an architecture, as in `qemu-aarch64`.
fn qemu_name(platform: &Platform) -> &str {
    match platform.architecture() {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        "mips64le" => "mips64el",
        "loong64" => "loongarch64",
        // arm, ppc64le, riscv64, s390x, mips64
        other => other,
    }
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emulators_are_installed_and_registered_by_their_own_names() {
        let machine =
            Machine { id: "debian".into(), version: "12".into(), is_root: true, ..Machine::default() };
        let platforms = ["linux/arm64", "linux/arm/v7", "linux/386"].map(|text| text.parse().unwrap());
        let steps = plan(&machine, &platforms).unwrap();
        let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            [
                "apt-get update",
                "apt-get install qemu-user-static binfmt-support arch-test",
                "update-binfmts --enable qemu-aarch64 qemu-arm qemu-i386",
            ]
        );
    }
}
