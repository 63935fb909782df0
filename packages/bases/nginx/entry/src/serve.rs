//! `serve`: fill the template, write the configuration, become the command.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::Failure;
use crate::cli::Serve;
use crate::resolver::first_nameserver;
use crate::template;

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Fills the template and replaces this process by the command; so it returns only on failure, or never.
pub(crate) fn run(request: &Serve) -> Result<(), Failure> {
    let shown = request.template.display();
    let text = fs::read_to_string(&request.template)
        .map_err(|error| Failure::usage(format!("cannot read the template {shown}: {error}")))?;
    let filled =
        template::fill(&text, look_up).map_err(|error| Failure::usage(format!("{shown}, {error}")))?;
    fs::write(&request.out, filled).map_err(|error| {
        let out = request.out.display();
        Failure::usage(format!("cannot write {out}: {error}; mount a tmpfs that uid 65532 may write there"))
    })?;
    Err(become_command(&request.command))
}

/// The environment first; `RESOLVER` falls back to the container's own name server.
fn look_up(name: &str) -> Result<Option<String>, String> {
    match std::env::var_os(name).map(OsString::into_string) {
        Some(Err(_)) => Err(format!("the value of {name} is not UTF-8")),
        Some(Ok(value)) if !value.is_empty() => Ok(Some(value)),
        _ if name == "RESOLVER" => {
            // Without a file there may still be a default in the template, which then decides.
            Ok(fs::read_to_string(RESOLV_CONF).ok().as_deref().and_then(first_nameserver))
        }
        _ => Ok(None),
    }
}

fn become_command(command: &[OsString]) -> Failure {
    let error = Command::new(&command[0]).args(&command[1..]).exec();
    Failure::unavailable(format!("cannot start {}: {error}", command[0].to_string_lossy()))
}
