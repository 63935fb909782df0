//! Programs beside docker that a step needs on its machine.

use anyhow::Result;

use super::context::Context;
use super::environment::Unfit;
use crate::docker::machine::Machine;
use crate::docker::provision;
use crate::system::process::find;

/// Makes sure that all of these are on PATH; installs, where that was allowed, the distribution's packages of their names.
///
/// # Errors
/// [`Unfit`], with all that are missing and what to do.
pub fn require(programs: &[&str], context: &Context) -> Result<()> {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !context.with_engine {
        let remedy = format!(
            "run the same command with --with-engine as root, or `apt-get install {}`",
            missing.join(" ")
        );
        return Err(Unfit::new(format!("not installed: {}", missing.join(", ")), remedy).into());
    }
    let docker = &context.docker;
    Machine::detect(&docker.runner)
        .and_then(|machine| provision::install(&machine, &missing))
        .and_then(|steps| {
            provision::execute(&steps, docker, &context.repository.engine_log(), &context.terminal)
        })
        .map_err(Unfit::from_error)
}
