//! `serve`: fills the template, writes the configuration and execs the command.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::cli::Serve;
use crate::environment::look_up;
use crate::failure::Failure;
use crate::template;

/// Fills the template and replaces this process with the command. Returns only on failure.
pub(crate) fn run(request: &Serve) -> Result<(), Failure> {
    let path = request.template.display();
    let text = fs::read_to_string(&request.template)
        .map_err(|error| Failure::usage(format!("cannot read the template {path}: {error}")))?;
    let filled =
        template::fill(&text, look_up).map_err(|error| Failure::usage(format!("{path}, {error}")))?;
    fs::write(&request.out, filled).map_err(|error| {
        let out = request.out.display();
        Failure::usage(format!(
            "cannot write {out}: {error}; mount a tmpfs there that uid 65532 can write to"
        ))
    })?;
    Err(exec(&request.command))
}

fn exec(command: &[OsString]) -> Failure {
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    Failure::unavailable(format!("cannot start {}: {error}", command[0].to_string_lossy()))
}
