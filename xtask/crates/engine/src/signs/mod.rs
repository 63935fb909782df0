//! Finds out from their output why docker, BuildKit or a registry failed; their exit codes do not distinguish causes.

mod chain;
mod log;
#[cfg(test)]
mod step_tests;
#[cfg(test)]
mod tests;

use host::failure::{Failure, FailureClass};
use host::process::Output;

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No space left, here or where the engine keeps its data.
    Disk,
    /// The engine does not answer.
    Engine,
    /// The engine does not have the image.
    NoSuchImage,
    /// The registry or a mirror limits requests (429).
    RateLimit,
    /// The registry requires a login, and docker has no credentials for it.
    SignIn,
    /// The registry rejects the account or its token (401).
    Unauthorized,
    /// The account lacks permission (403).
    Denied,
    /// The registry does not allow overwriting the tag.
    Immutable,
    /// The push must not overwrite tags of other images (`--no-overwrite`).
    Kept,
    /// The request is too large for the registry or a proxy in front of it (413).
    TooLarge,
    /// A certificate is not trusted, or the registry speaks plain HTTP.
    Certificate,
    /// The host name does not resolve.
    UnknownHost,
    /// A server, or a proxy in front of it, failed (5xx).
    ServerError,
    /// A server did not answer, or the connection broke.
    Unreachable,
    /// The registry has no such image or repository (404).
    NotFound,
    /// A process ran out of memory.
    Memory,
    /// A port of the host is in use.
    PortInUse,
    /// Anything else.
    Other,
}

impl Cause {
    /// The cause of a failed build step or command, from its error. If the error only says that the step's program failed, the
    /// program's log decides.
    pub fn of_step(error: &str, log_tail: &str) -> Cause {
        match first(error, chain::cause) {
            Cause::Other if is_of_program(error) => log::cause(log_tail),
            Cause::Other => log::cause(error),
            cause => cause,
        }
    }

    /// The cause in a registry's response, as docker prints it.
    pub fn of_registry(answer: &str) -> Cause {
        // Docker prints an HTML page as the multi-line message of an `unknown` error.
        match answer.contains("unknown: <") {
            true => chain::cause(&answer.replace(['\r', '\n'], " ")),
            false => first(answer, chain::cause),
        }
    }

    /// The class that decides the exit code.
    pub fn class(self) -> FailureClass {
        match self {
            Cause::Disk => FailureClass::Disk,
            Cause::Engine => FailureClass::Engine,
            Cause::RateLimit => FailureClass::RateLimit,
            Cause::SignIn | Cause::Unauthorized | Cause::Denied | Cause::TooLarge => FailureClass::Machine,
            Cause::Certificate => FailureClass::Certificate,
            Cause::UnknownHost | Cause::ServerError | Cause::Unreachable => FailureClass::Network,
            Cause::Memory => FailureClass::Memory,
            Cause::NoSuchImage
            | Cause::NotFound
            | Cause::Immutable
            | Cause::Kept
            | Cause::PortInUse
            | Cause::Other => FailureClass::Failed,
        }
    }
}

/// Whether a bake had more targets than BuildKit could start within its six-second limit.
pub fn is_overload(error: &str) -> bool {
    error.lines().any(chain::is_overload)
}

/// The cause of the first line that has one.
fn first(text: &str, cause: impl Fn(&str) -> Cause) -> Cause {
    text.lines().map(cause).find(|cause| *cause != Cause::Other).unwrap_or(Cause::Other)
}

/// Whether an error only says that a step's program failed: `process "…" did not complete successfully: exit code: 1`.
fn is_of_program(error: &str) -> bool {
    error.is_empty() || error.lines().any(|line| chain::links(line).iter().any(|link| link == "exit code"))
}

/// The class of a failed docker command. Only lines that docker itself writes count: the rest may be a container's output.
pub fn client_error(stderr: &str) -> FailureClass {
    let own =
        ["error response from daemon", "error during connect", "cannot connect to the docker", "error:"];
    let is_own = |line: &&str| own.iter().any(|start| line.to_lowercase().starts_with(start));
    let lines = stderr.lines().map(|line| line.trim().trim_start_matches("docker: "));
    let causes = lines.filter(is_own).map(|line| chain::cause(line).class());
    causes.into_iter().find(|class| *class != FailureClass::Failed).unwrap_or(FailureClass::Failed)
}

/// The failure of a docker command that printed this error line.
pub fn failed(what: &str, line: &str) -> Failure {
    let class = client_error(line);
    let remedy = if class.is_environment() { class.remedy() } else { String::new() };
    Failure::new(class, format!("{what}: {line}"), remedy)
}

/// The first line of a failed command's stderr that reports anything but a missing image or container.
pub fn unexpected_error(output: &Output) -> Option<&str> {
    let is_expected = |line: &str| {
        let line = line.to_lowercase();
        // The container's removal may be in progress. Nothing exists under an invalid reference, such as one whose tag is an empty
        // variable.
        ["no such image", "no such container", "already in progress", "invalid reference format"]
            .iter()
            .any(|sign| line.contains(sign))
    };
    let mut lines = output.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    if output.success() { None } else { lines.find(|line| !is_expected(line)) }
}
