//! `serve`: fills the template, writes the configuration and execs the command.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::cli::Serve;
use crate::failure::Failure;
use crate::resolver::first_nameserver;
use crate::template;

const RESOLV_CONF: &str = "/etc/resolv.conf";

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

/// An environment variable; `RESOLVER` falls back to the container's name server.
fn look_up(name: &str) -> Result<Option<String>, String> {
    match std::env::var_os(name).map(OsString::into_string) {
        Some(Err(_)) => Err(format!("the value of {name} is not UTF-8")),
        Some(Ok(value)) if !value.is_empty() => Ok(Some(value)),
        _ if name == "RESOLVER" => {
            // If the file is missing, the default in the template applies.
            Ok(fs::read_to_string(RESOLV_CONF).ok().as_deref().and_then(first_nameserver))
        }
        _ => Ok(None),
    }
}

fn exec(command: &[OsString]) -> Failure {
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    Failure::unavailable(format!("cannot start {}: {error}", command[0].to_string_lossy()))
}
