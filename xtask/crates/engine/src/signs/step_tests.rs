use super::*;

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

/// Final output of tools that hit a closed port, an unknown host or a full disk. Recorded with curl 7.88, pip 23, Python 3.11,
/// apt 2.6, cargo 1.91, git 2.39, npm 8 and coreutils 9.
#[test]
fn the_last_error_line_of_a_tool_is_the_cause() {
    for (log, cause) in [
        (
            "curl: (7) Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server",
            Cause::Unreachable,
        ),
        ("curl: (6) Could not resolve host: nosuch.invalid", Cause::UnknownHost),
        ("curl: (22) The requested URL returned error: 404", Cause::NotFound),
        ("curl: (22) The requested URL returned error: 503", Cause::ServerError),
        ("curl: (60) SSL certificate problem: self-signed certificate", Cause::Certificate),
        (
            "Err:1 https://172.17.0.1:43051/hello\n  SSL connection failed: error:0A000086:SSL routines::certificate verify failed / Success [IP: 172.17.0.1 43051]\n\
             E: Failed to fetch https://172.17.0.1:43051/hello  SSL connection failed: error:0A000086:SSL routines::certificate verify failed / Success [IP: 172.17.0.1 43051]\n\
             E: Download Failed",
            Cause::Certificate,
        ),
        (
            "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/x/\n\
             ERROR: Could not find a version that satisfies the requirement x (from versions: none)\n\
             ERROR: No matching distribution found for x",
            Cause::Unreachable,
        ),
        ("ERROR: No matching distribution found for denied", Cause::Other),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            Cause::Disk,
        ),
        ("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>", Cause::UnknownHost),
        ("OSError: [Errno 28] No space left on device", Cause::Disk),
        ("cp: error writing 'small/b': No space left on device", Cause::Disk),
        ("head: error writing 'standard output': No space left on device", Cause::Disk),
        (
            "Err:1 http://127.0.0.1:9/debian x InRelease\n  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)\n\
             Reading package lists...\nW: Failed to fetch http://127.0.0.1:9/debian/dists/x/InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)\n\
             W: Some index files failed to download. They have been ignored, or old ones used instead.\nE: Unable to locate package hello",
            Cause::Unreachable,
        ),
        (
            "E: Failed to fetch http://m.example/x.deb  404  Not Found [IP: 127.0.0.1 80]\nE: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
            Cause::NotFound,
        ),
        (
            "npm error code ECONNREFUSED\nnpm error errno ECONNREFUSED\nnpm error FetchError: request to http://127.0.0.1:9/left-pad failed",
            Cause::Unreachable,
        ),
        (
            "error: failed to get `x` as a dependency\n\nCaused by:\n  failed to load source for dependency `x`\n\nCaused by:\n  failed to connect to 127.0.0.1: Connection refused; class=Os (2)",
            Cause::Unreachable,
        ),
        (
            "error: Failed to fetch: `https://pypi.example/simple/x/`\n  Caused by: invalid peer certificate: UnknownIssuer",
            Cause::Certificate,
        ),
        (
            "fatal: unable to access 'http://127.0.0.1:9/x/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server",
            Cause::Unreachable,
        ),
        (
            "go: x.example/y: Get \"https://proxy.example/x\": dial tcp: lookup proxy.example on 10.0.0.2:53: no such host",
            Cause::UnknownHost,
        ),
        (
            "\u{1b}[1m\u{1b}[31merror\u{1b}[0m: failed to write `/x`: No space left on device (os error 28)",
            Cause::Disk,
        ),
        (
            "c++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.",
            Cause::Memory,
        ),
    ] {
        assert_eq!(Cause::of_step("exit code: 1", log), cause, "{log}");
    }
}

#[test]
fn output_of_passing_tests_is_not_the_cause() {
    let prints = [
        "x509: certificate signed by unknown authority",
        "client: dial tcp 127.0.0.1:1: connect: connection refused",
        "write /tmp/full: no space left on device",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "curl: (7) Failed to connect to 127.0.0.1 port 9",
        "unauthorized: authentication required",
        "429 Too Many Requests",
        "Killed",
    ];
    let ends = [
        "--- FAIL: TestDoor (0.00s)\nFAIL",
        "test result: FAILED. 3 passed; 1 failed\n\nerror: test failed, to rerun pass `--lib`",
        "FAILED tests/test_door.py::test_limit - AssertionError: 429\n1 failed, 3 passed in 0.1s",
        "thread 'main' panicked at src/main.rs:3:5:\nexplicit panic",
        "error[E0308]: mismatched types",
        "make: *** [Makefile:3: test] Error 1",
        "npm error code ELIFECYCLE",
    ];
    for (print, end) in prints.iter().flat_map(|print| ends.iter().map(move |end| (print, end))) {
        assert_eq!(
            Cause::of_step("exit code: 1", &format!("{print}\n{end}")),
            Cause::Other,
            "{print} / {end}"
        );
    }
    // If the engine itself fails, the step's output does not matter.
    let log = prints.join("\n");
    assert_eq!(Cause::of_step("failed to copy files: write /x: no space left on device", &log), Cause::Disk);
    assert_eq!(
        Cause::of_step("failed to calculate checksum of ref: \"/x\": not found", &log),
        Cause::NotFound
    );
    assert_eq!(
        Cause::of_step("dockerfile parse error on line 3: unknown instruction: DENIED", &log),
        Cause::Other
    );
}
