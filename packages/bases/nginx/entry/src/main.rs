//! `nginx-entry`: the only program beside nginx in an image without a shell.
//!
//! `serve` fills the configuration template from the environment and becomes nginx; `healthcheck` asks a URL once.
//! Exit codes: 0 done, 1 not healthy or nginx could not be started, 2 wrong usage or configuration.

mod cli;
mod health;
mod resolver;
mod serve;
mod template;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let outcome = match cli::parse(&arguments) {
        Ok(cli::Command::Serve(request)) => serve::run(&request),
        Ok(cli::Command::Healthcheck(url)) => health::check(&url).map_err(Failure::unavailable),
        Ok(cli::Command::Help) => {
            println!("{}", cli::USAGE);
            Ok(())
        }
        Err(message) => Err(Failure::usage(message)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("nginx-entry: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Why the program ends without having done its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The process's exit code.
    pub code: u8,
    /// What, where and the remedy, on one line.
    pub message: String,
}

impl Failure {
    /// The caller or the configuration is wrong (exit code 2).
    pub(crate) fn usage(message: String) -> Self {
        Self { code: 2, message }
    }

    /// Something that should be there is not, at this moment (exit code 1).
    pub(crate) fn unavailable(message: String) -> Self {
        Self { code: 1, message }
    }
}
