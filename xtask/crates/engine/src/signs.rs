//! From docker's words to the class of a failure's cause. Exit code 1 means anything, so only the text tells.

use host::failure::FailureClass;

/// Texts by class, most specific first: a certificate error also speaks of a failed request.
const SIGNS: [(FailureClass, &[&str]); 6] = [
    (FailureClass::Disk, &["no space left on device", "disk quota exceeded"]),
    (
        FailureClass::Engine,
        &[
            "cannot connect to the docker daemon",
            "error reading from server: eof",
            "transport is closing",
            "is the docker daemon running",
        ],
    ),
    (
        FailureClass::RateLimit,
        &["429 too many requests", "toomanyrequests", "pull rate limit", "http error 429", "status code 429"],
    ),
    (
        FailureClass::Certificate,
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
    (
        FailureClass::Network,
        &[
            "connection refused",
            "connection reset",
            "connection timed out",
            "no such host",
            "i/o timeout",
            "tls handshake timeout",
            "network is unreachable",
            "no route to host",
            "temporary failure in name resolution",
            "temporary failure resolving",
            // As apt writes it behind an address.
            "  unable to connect to ",
            "  could not connect to ",
            "could not resolve host",
            "name or service not known",
            "failed to establish a new connection",
            "eai_again",
            "getaddrinfo enotfound",
            "code enotfound",
            "econnreset",
            "econnrefused",
            "etimedout",
            "503 service unavailable",
            "502 bad gateway",
            "504 gateway time",
            "unexpected status from head request",
            "network_unreachable",
            "spurious network error",
        ],
    ),
    (
        FailureClass::Memory,
        &["exit code: 137", "out of memory", "cannot allocate memory", "oom-kill", "signal: 9, sigkill"],
    ),
];

/// The class of a failure, from the error text and the last lines of the failed step.
///
/// The error itself is asked first: a log may mention a refused connection that the step survived.
pub fn classify(error: &str, log_tail: &str) -> FailureClass {
    for text in [error, log_tail] {
        let text = text.to_lowercase();
        let found = SIGNS.iter().find(|(_, signs)| signs.iter().any(|sign| text.contains(sign)));
        if let Some((class, _)) = found {
            return *class;
        }
    }
    FailureClass::Failed
}

/// Whether trying again may help: the host may answer the next time.
pub fn is_transient(class: FailureClass) -> bool {
    class == FailureClass::Network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_messages_find_their_class() {
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
            assert_eq!(classify(error, log), class, "{error} / {log}");
        }
    }

    #[test]
    fn only_the_network_is_worth_another_try() {
        assert!(is_transient(FailureClass::Network));
        for class in
            [FailureClass::Failed, FailureClass::Disk, FailureClass::Certificate, FailureClass::RateLimit]
        {
            assert!(!is_transient(class));
        }
    }
}
