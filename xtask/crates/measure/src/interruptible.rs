//! Commands and pauses that end when the user interrupts.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use engine::context::Context;
use host::failure::Failure;
use host::process::{Cmd, tail};

/// Fails if the user has interrupted the run.
pub(crate) fn check(context: &Context) -> Result<()> {
    if context.docker.runner.interrupt.is_set() { Err(Failure::interrupted().into()) } else { Ok(()) }
}

/// Sleeps.
pub(crate) fn rest(time: Duration, context: &Context) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        check(context)?;
        std::thread::sleep(Duration::from_millis(20).min(time.saturating_sub(begun.elapsed())));
    }
    Ok(())
}

/// The output of a command that must succeed, stdout and stderr together.
pub(crate) fn output(cmd: &Cmd, context: &Context) -> Result<String> {
    let mut output = Vec::new();
    let status = cmd.stream(|chunk| output.extend_from_slice(chunk))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    check(context)?;
    if !status.success() {
        bail!("{} failed:\n{}", cmd.quoted(), tail(&output, 8));
    }
    Ok(output)
}
