//! `nginx-entry`: entrypoint and health check for an nginx image without a shell.
//!
//! `serve` fills the configuration template from the environment and execs nginx; `healthcheck` requests a URL once, with
//! placeholders filled from the same environment.
//! Exit codes: 0 success, 1 unhealthy or nginx cannot be started, 2 wrong usage or configuration.

mod cli;
mod environment;
mod failure;
mod health;
mod resolver;
mod serve;
mod template;

use std::process::ExitCode;

use crate::failure::Failure;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let result = match cli::parse(&arguments) {
        Ok(cli::Command::Serve(request)) => serve::run(&request),
        Ok(cli::Command::Healthcheck(url)) => healthcheck(&url).map_err(Failure::unavailable),
        Ok(cli::Command::Help) => {
            println!("{}", cli::USAGE);
            Ok(())
        }
        Err(message) => Err(Failure::usage(message)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("nginx-entry: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// The error is one line.
fn healthcheck(url: &str) -> Result<(), String> {
    let url =
        template::fill(url, environment::look_up).map_err(|error| format!("{url}: {}", error.message))?;
    health::check(&url)
}
