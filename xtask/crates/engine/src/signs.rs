//! Why docker, BuildKit or a registry failed, from their output: their exit codes do not tell.

use host::failure::{Failure, FailureClass};
use host::process::Output;

/// Why an operation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No space left, here or where the engine keeps its data.
    Disk,
    /// The engine does not answer.
    Engine,
    /// There is no such image in the engine.
    NoSuchImage,
    /// The registry or a mirror asks for fewer requests (429).
    RateLimit,
    /// The registry wants a login (401).
    SignIn,
    /// The registry does not allow it (403).
    Denied,
    /// A certificate is not trusted, or the registry speaks plain HTTP.
    Certificate,
    /// The host name does not resolve.
    UnknownHost,
    /// A server, or a proxy before it, failed (5xx).
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

/// Who wrote a text. Some signs are too common in the logs of build steps to mean anything there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    Anyone,
    Registry,
}

use Writer::{Anyone, Registry};

/// Signs by cause, in lower case. The first match counts, so the most specific come first: an untrusted certificate also makes
/// a request fail.
const SIGNS: [(Cause, Writer, &[&str]); 18] = [
    (Cause::Disk, Anyone, &["no space left on device", "disk quota exceeded"]),
    (
        Cause::Engine,
        Anyone,
        &[
            "cannot connect to the docker daemon",
            "error reading from server: eof",
            "transport is closing",
            "is the docker daemon running",
            OVERLOAD,
        ],
    ),
    (Cause::Engine, Registry, &["docker daemon"]),
    (Cause::NoSuchImage, Registry, &["does not exist locally", "tag does not exist", "no such image"]),
    (
        Cause::RateLimit,
        Anyone,
        &["429 too many requests", "toomanyrequests", "pull rate limit", "http error 429", "status code 429"],
    ),
    (Cause::RateLimit, Registry, &["parsing http 429"]),
    (
        Cause::SignIn,
        Registry,
        &["no basic auth credentials", "unauthorized", "authentication required", "incorrect username"],
    ),
    (Cause::Denied, Registry, &["denied", "403 forbidden", "insufficient_scope", "parsing http 403"]),
    (
        Cause::Certificate,
        Anyone,
        &[
            "x509:",
            "certificate verify failed",
            "certificate_verify_failed",
            "self-signed certificate",
            "self signed certificate",
            "unable to get local issuer certificate",
            "unable_to_get_issuer_cert",
            "certificate signed by unknown authority",
            "ssl certificate problem",
            "unknownissuer",
            "no system certificates available",
            "certificate verification failed",
        ],
    ),
    (Cause::Certificate, Registry, &["certificate", "server gave http response to https client"]),
    (
        Cause::UnknownHost,
        Anyone,
        &[
            "no such host",
            "could not resolve host",
            "name or service not known",
            "getaddrinfo enotfound",
            "code enotfound",
        ],
    ),
    (
        Cause::ServerError,
        Anyone,
        &[
            "503 service unavailable",
            "502 bad gateway",
            "504 gateway time",
            "unexpected status from head request",
        ],
    ),
    (
        Cause::ServerError,
        Registry,
        &["unexpected http status: 5", "parsing http 5", "500 internal server error", "unavailable:"],
    ),
    (
        Cause::Unreachable,
        Anyone,
        &[
            "connection refused",
            "connection reset",
            "connection timed out",
            "i/o timeout",
            "tls handshake timeout",
            "network is unreachable",
            "no route to host",
            "temporary failure in name resolution",
            "temporary failure resolving",
            // As apt writes it behind an address.
            "  unable to connect to ",
            "  could not connect to ",
            "failed to establish a new connection",
            "eai_again",
            "econnreset",
            "econnrefused",
            "etimedout",
            "network_unreachable",
            "spurious network error",
        ],
    ),
    (
        Cause::Unreachable,
        Registry,
        &[
            "broken pipe",
            "handshake timeout",
            "deadline exceeded",
            "timeout exceeded",
            "awaiting headers",
            "server misbehaving",
            "server closed idle connection",
            "unexpected eof",
            ": eof",
        ],
    ),
    (Cause::NotFound, Registry, &["not found", "does not exist"]),
    (
        Cause::Memory,
        Anyone,
        &["exit code: 137", "out of memory", "cannot allocate memory", "oom-kill", "signal: 9, sigkill"],
    ),
    (Cause::PortInUse, Anyone, &["port is already allocated", "address already in use"]),
];

/// What BuildKit says of a build that did not begin within six seconds, because too many began at once.
const OVERLOAD: &str = "code = notfound desc = no such job";

/// Whether a bake had more targets than BuildKit could begin in time.
pub fn is_overload(error: &str) -> bool {
    error.to_lowercase().contains(OVERLOAD)
}

impl Cause {
    /// Of a failed build step or command. Its error counts first: a log may mention a refused connection that the step
    /// survived.
    pub fn of_step(error: &str, log_tail: &str) -> Cause {
        let causes = [error, log_tail].map(|text| Cause::find(text, Anyone));
        causes.into_iter().find(|cause| *cause != Cause::Other).unwrap_or(Cause::Other)
    }

    /// Of a registry's answer, as docker prints it.
    pub fn of_registry(answer: &str) -> Cause {
        Cause::find(answer, Registry)
    }

    fn find(text: &str, writer: Writer) -> Cause {
        let text = text.to_lowercase();
        let mut rows = SIGNS.iter().filter(|(_, of, _)| *of == Anyone || *of == writer);
        rows.find(|(.., signs)| signs.iter().any(|sign| text.contains(sign)))
            .map_or(Cause::Other, |row| row.0)
    }

    /// The class that decides the exit code.
    pub fn class(self) -> FailureClass {
        match self {
            Cause::Disk => FailureClass::Disk,
            Cause::Engine => FailureClass::Engine,
            Cause::RateLimit => FailureClass::RateLimit,
            Cause::SignIn | Cause::Denied => FailureClass::Machine,
            Cause::Certificate => FailureClass::Certificate,
            Cause::UnknownHost | Cause::ServerError | Cause::Unreachable => FailureClass::Network,
            Cause::Memory => FailureClass::Memory,
            Cause::NoSuchImage | Cause::NotFound | Cause::PortInUse | Cause::Other => FailureClass::Failed,
        }
    }
}

/// The class of a failed docker command. Only lines that docker itself writes count: the rest may be a container's output.
pub fn client_error(stderr: &str) -> FailureClass {
    let own =
        ["error response from daemon", "error during connect", "cannot connect to the docker", "error:"];
    let is_own = |line: &&str| own.iter().any(|start| line.to_lowercase().starts_with(start));
    let lines = stderr.lines().map(|line| line.trim().trim_start_matches("docker: "));
    let causes = lines.filter(is_own).map(|line| Cause::of_step(line, "").class());
    causes.into_iter().find(|class| *class != FailureClass::Failed).unwrap_or(FailureClass::Failed)
}

/// A docker command that failed with this line.
pub fn failed(what: &str, line: &str) -> Failure {
    let class = client_error(line);
    let remedy = if class.is_environment() { class.remedy() } else { "" };
    Failure::new(class, format!("{what}: {line}"), remedy)
}

/// The first line of a failed command's stderr that reports something else than a missing image or container.
pub fn unexpected_error(output: &Output) -> Option<&str> {
    let is_expected = |line: &str| {
        let line = line.to_lowercase();
        // The removal of a container may be in progress.
        ["no such image", "no such container", "already in progress"].iter().any(|sign| line.contains(sign))
    };
    let mut lines = output.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    if output.success() { None } else { lines.find(|line| !is_expected(line)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_docker_itself_decide_the_class_of_a_command() {
        let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
        assert_eq!(client_error(&format!("Error response from daemon: {refused}")), FailureClass::Network);
        assert_eq!(
            client_error(&format!("docker: Error response from daemon: {refused}")),
            FailureClass::Network
        );
        assert_eq!(client_error(&format!("service said: {refused}")), FailureClass::Failed);
    }

    #[test]
    fn build_errors_have_a_class() {
        for (error, log, class) in [
            ("failed to copy files: write /x: no space left on device", "", FailureClass::Disk),
            (
                "process \"/bin/sh -c pip install x\" did not complete successfully: exit code: 1",
                "OSError: [Errno 28] No space left on device",
                FailureClass::Disk,
            ),
            (
                "debian:trixie-slim: failed to resolve source metadata: dial tcp: lookup registry.example on 10.0.0.2:53: no such host",
                "",
                FailureClass::Network,
            ),
            (
                "failed to do request: Head: tls: failed to verify certificate: x509: certificate signed by unknown authority",
                "",
                FailureClass::Certificate,
            ),
            (
                "exit code: 1",
                "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
                FailureClass::Certificate,
            ),
            (
                "429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit.",
                "",
                FailureClass::RateLimit,
            ),
            (
                "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock.",
                "",
                FailureClass::Engine,
            ),
            (
                "process \"/bin/sh -c cargo build\" did not complete successfully: exit code: 137",
                "",
                FailureClass::Memory,
            ),
            ("exit code: 100", "Temporary failure resolving 'mirror.example'", FailureClass::Network),
            (
                "exit code: 100",
                "E: Failed to fetch http://mirror.example/InRelease  Unable to connect to 127.0.0.1:9:",
                FailureClass::Network,
            ),
            ("exit code: 1", "assert 'Unable to connect to storage' in page", FailureClass::Failed),
            ("exit code: 101", "error[E0308]: mismatched types", FailureClass::Failed),
            ("exit code: 1", "ModuleNotFoundError: No module named 'x'", FailureClass::Failed),
            ("exit code: 1", "FileNotFoundError: [Errno 2] No such file or directory", FailureClass::Failed),
            ("exit code: 1", "Could not resolve './Missing' in src/App.tsx", FailureClass::Failed),
            ("exit code: 1", "FAILED tests/test_door.py::test_the_rate_limit_of_a_key", FailureClass::Failed),
        ] {
            assert_eq!(Cause::of_step(error, log).class(), class, "{error} / {log}");
        }
    }

    #[test]
    fn answers_of_registries_have_a_cause() {
        for (answer, cause) in [
            (
                "Get \"http://127.0.0.1:7901/v2/\": dial tcp 127.0.0.1:7901: connect: connection refused",
                Cause::Unreachable,
            ),
            ("Get \"http://127.0.0.1:7000/v2/\": EOF", Cause::Unreachable),
            ("Get \"https://r.example/v2/\": net/http: TLS handshake timeout", Cause::Unreachable),
            ("write tcp 10.0.0.2:1->10.0.0.3:443: write: broken pipe", Cause::Unreachable),
            ("read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer", Cause::Unreachable),
            ("toomanyrequests: ", Cause::RateLimit),
            ("received unexpected HTTP status: 503 Service Unavailable", Cause::ServerError),
            (
                "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"",
                Cause::ServerError,
            ),
            ("no basic auth credentials", Cause::SignIn),
            ("unauthorized: authentication required", Cause::SignIn),
            ("denied: requested access to the resource is denied", Cause::Denied),
            ("An image does not exist locally with the tag: r.example/x", Cause::NoSuchImage),
            (
                "Get \"https://nosuch.example/v2/\": dial tcp: lookup nosuch.example on 10.0.0.1:53: no such host",
                Cause::UnknownHost,
            ),
            (
                "Get \"https://r.example/v2/\": http: server gave HTTP response to HTTPS client",
                Cause::Certificate,
            ),
            (
                "Get \"https://r.example/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Cause::Certificate,
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                Cause::Engine,
            ),
            ("permission denied while trying to connect to the Docker daemon socket", Cause::Engine),
            ("manifest invalid: manifest invalid", Cause::Other),
            ("error parsing HTTP 400 response body: unexpected end of JSON input: \"\"", Cause::Other),
        ] {
            assert_eq!(Cause::of_registry(answer), cause, "{answer}");
        }
    }
}
