use super::*;

/// Words that must not determine the cause when they are part of a name.
const WORDS: [&str; 12] = [
    "certificate-api",
    "denied",
    "unauthorized",
    "no-space-left-on-device",
    "toomanyrequests",
    "x509",
    "connection-refused",
    "not-found",
    "unavailable",
    "docker-daemon",
    "eof",
    "unknown",
];

#[test]
fn names_never_determine_the_cause() {
    for word in WORDS {
        let path = format!("team/{word}");
        for (answer, cause) in [
            (
                format!(
                    "name unknown: The repository with name '{path}' does not exist in the registry with id '1'"
                ),
                Cause::NotFound,
            ),
            (
                format!(
                    "denied: User: arn:aws:iam::1:user/{word} is not authorized to perform: ecr:PutImage"
                ),
                Cause::Denied,
            ),
            (
                format!(
                    "unauthorized: unauthorized to access repository: {path}, action: push: unauthorized to access repository: {path}, action: push"
                ),
                Cause::Unauthorized,
            ),
            (
                format!(
                    "tag invalid: The image tag '{word}' already exists in the '{path}' repository and cannot be overwritten because the repository is immutable."
                ),
                Cause::Immutable,
            ),
            (format!("An image does not exist locally with the tag: r.example/{path}"), Cause::NoSuchImage),
            (format!("tag does not exist: r.example/{path}:{word}"), Cause::NoSuchImage),
            (format!("manifest invalid: {word}: {word}"), Cause::Other),
            (format!("manifest invalid: {}", word.replace('-', " ")), Cause::Other),
            (
                format!(
                    "failed to push r.example/{path}:{word}: unexpected status from PUT request to https://r.example/v2/{path}/manifests/{word}: 503 Service Unavailable"
                ),
                Cause::ServerError,
            ),
            (
                format!("Get \"https://{word}/v2/\": dial tcp: lookup {word} on 10.0.0.2:53: no such host"),
                Cause::UnknownHost,
            ),
            (
                format!(
                    "ERROR: failed to solve: {word}: failed to resolve source metadata for docker.io/library/{word}:latest: docker.io/library/{word}:latest: not found"
                ),
                Cause::NotFound,
            ),
            (format!("write /srv/{word}/{word}: disk quota exceeded"), Cause::Disk),
        ] {
            assert_eq!(Cause::of_registry(&answer), cause, "{answer}");
        }
        let failed =
            format!("process \"/bin/sh -c ./{word}: {word}\" did not complete successfully: exit code: 1");
        for line in [
            format!("testing {word}"),
            format!("{word}: ok"),
            format!("test {word} ... ok"),
            word.replace('-', " "),
        ] {
            assert_eq!(Cause::of_step(&failed, &line), Cause::Other, "{line}");
        }
        assert_eq!(
            client_error(&format!("Error response from daemon: No such container: {word}")),
            FailureClass::Failed
        );
    }
}

#[test]
fn answers_of_registries_have_a_cause() {
    // Recorded where they contain 127.0.0.1: docker 26 and 28, both image stores, with Debian's registry.
    for (answer, cause) in [
        (
            "Get \"http://127.0.0.1:7901/v2/\": dial tcp 127.0.0.1:7901: connect: connection refused",
            Cause::Unreachable,
        ),
        ("Get \"http://127.0.0.1:7000/v2/\": EOF", Cause::Unreachable),
        ("Put \"http://127.0.0.1:7512/v2/t/xtp-f/manifests/1\": EOF", Cause::Unreachable),
        ("Get \"https://r.example/v2/\": net/http: TLS handshake timeout", Cause::Unreachable),
        (
            "Get \"https://r.example/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)",
            Cause::Unreachable,
        ),
        ("write tcp 10.0.0.2:1->10.0.0.3:443: write: broken pipe", Cause::Unreachable),
        ("read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer", Cause::Unreachable),
        ("toomanyrequests: ", Cause::RateLimit),
        ("toomanyrequests: You have reached your limit", Cause::RateLimit),
        ("received unexpected HTTP status: 503 Service Unavailable", Cause::ServerError),
        ("received unexpected HTTP status: 500 Internal Server Error", Cause::ServerError),
        (
            "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"",
            Cause::ServerError,
        ),
        (
            "error parsing HTTP 413 response body: invalid character '<' looking for beginning of value: \"<html>denied: x</html>\"",
            Cause::TooLarge,
        ),
        ("unknown: <html><body>413 Request Entity Too Large</body></html>", Cause::TooLarge),
        (
            "unknown: <html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n</html>",
            Cause::TooLarge,
        ),
        ("unknown: unknown error", Cause::Other),
        ("no basic auth credentials", Cause::SignIn),
        ("unauthorized", Cause::Unauthorized),
        ("unauthorized: authentication required", Cause::Unauthorized),
        ("denied", Cause::Denied),
        ("denied: requested access to the resource is denied", Cause::Denied),
        (
            "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required",
            Cause::Denied,
        ),
        (
            "Error response from daemon: error from registry: unauthorized\nunexpected status from HEAD request to https://r.example/v2/x/manifests/1: 403 Forbidden",
            Cause::Unauthorized,
        ),
        (
            "push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
            Cause::Denied,
        ),
        (
            "failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.example/token?scope=x: 401 Unauthorized",
            Cause::Unauthorized,
        ),
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
            "failed to do request: Head \"https://127.0.0.1:7512/v2/t/xtp-f/blobs/sha256:451164e6\": tls: first record does not look like a TLS handshake",
            Cause::Certificate,
        ),
        (
            "failed to do request: Head \"https://127.0.0.1:9/v2/t/x/blobs/sha256:6cfe\": dial tcp 127.0.0.1:9: connect: connection refused",
            Cause::Unreachable,
        ),
        (
            "Get \"https://r.example/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
            Cause::Certificate,
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            Cause::Engine,
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.45/info\": dial unix /var/run/docker.sock: connect: permission denied",
            Cause::Engine,
        ),
        ("error during connect: Post \"http://127.0.0.1:2375/v1.45/images/x/push\": EOF", Cause::Engine),
        ("rpc error: code = Unavailable desc = error reading from server: EOF", Cause::Engine),
        ("manifest invalid: manifest invalid", Cause::Other),
        ("error parsing HTTP 400 response body: unexpected end of JSON input: \"\"", Cause::Other),
        (
            "name unknown: The repository with name 'team/certificate-api' does not exist in the registry with id '123456789012'",
            Cause::NotFound,
        ),
        (
            "unexpected status from POST request to http://127.0.0.1:7512/v2/t/xtp-f/blobs/uploads/: 404 Not Found",
            Cause::NotFound,
        ),
        (
            "unexpected status from HEAD request to http://127.0.0.1:7512/v2/t/xtp-f/manifests/1: 429 Too Many Requests",
            Cause::RateLimit,
        ),
        (
            "ERROR: unexpected status from HEAD request to http://127.0.0.1:7512/v2/t/xtp-f/manifests/1: 401 Unauthorized",
            Cause::Unauthorized,
        ),
        ("ERROR: 127.0.0.1:7512/t/nope:2: not found", Cause::NotFound),
        (
            "failed commit on ref \"layer-sha256:8672\": unexpected status from PUT request to http://127.0.0.1:7512/v2/t/x/blobs/uploads/4c?_state=EiP&digest=sha256%3A86: 413 Request Entity Too Large",
            Cause::TooLarge,
        ),
        (
            "failed commit on ref \"manifest-sha256:dc8a\": unexpected status from PUT request to http://127.0.0.1:7512/v2/t/xtp-f/manifests/1: 412 Precondition Failed",
            Cause::Immutable,
        ),
        (
            "unexpected status from PUT request to https://r.example/v2/x/manifests/1: 400 Bad Request: tag invalid: The image tag '1' already exists in the 'x' repository and cannot be overwritten because the repository is immutable.",
            Cause::Immutable,
        ),
        ("unknown: Failed to process request due to 'xtp-f:1' configured as immutable.", Cause::Immutable),
        (
            "denied: requested access to the resource is denied - This tag is already assigned to an image in this repository and cannot be updated due to immutability settings. To push this image, use a different tag.",
            Cause::Immutable,
        ),
        (
            "manifest invalid: cannot update tag 1. The repository has enabled tag immutability",
            Cause::Immutable,
        ),
    ] {
        assert_eq!(Cause::of_registry(answer), cause, "{answer}");
    }
}

#[test]
fn only_lines_of_docker_itself_decide_the_class_of_a_command() {
    let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
    for (line, class) in [
        (format!("Error response from daemon: {refused}"), FailureClass::Network),
        (format!("docker: Error response from daemon: {refused}"), FailureClass::Network),
        (format!("service said: {refused}"), FailureClass::Failed),
        ("Error response from daemon: failed to create task for container: mkdir /run/x: no space left on device: unknown".into(), FailureClass::Disk),
        ("Error response from daemon: pull access denied for fx-alpha, repository does not exist or may require 'docker login'".into(), FailureClass::Machine),
    ] {
        assert_eq!(client_error(&line), class, "{line}");
    }
}
