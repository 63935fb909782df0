//! The program, run as in the image.
#![allow(clippy::expect_used, reason = "tests may panic")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A test's folder below cargo's temporary folder.
fn folder(test: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&folder).expect("create the folder");
    folder
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nginx-entry"));
    command.env_clear();
    command
}

/// Runs `serve` with `cat` instead of nginx, so that stdout is the configuration.
fn serve(test: &str, template: &str, environment: &[(&str, &str)]) -> Output {
    let folder = folder(test);
    let (source, out) = (folder.join("template"), folder.join("out"));
    fs::write(&source, template).expect("write the template");
    let _ = fs::remove_file(&out);
    program()
        .envs(environment.iter().copied())
        .arg("serve")
        .args(["--template".as_ref(), source.as_os_str(), "--out".as_ref(), out.as_os_str()])
        .args(["--".as_ref(), "/bin/cat".as_ref(), out.as_os_str()])
        .output()
        .expect("run nginx-entry")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Responds to one request with `response`. Returns the request.
fn respond_once(response: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let url = format!("http://{}/health", listener.local_addr().expect("address"));
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("read") == 1 {
            request.push(byte[0]);
        }
        stream.write_all(response.as_bytes()).expect("respond");
        text(&request)
    });
    (url, thread)
}

fn healthcheck(url: &str) -> Output {
    program().args(["healthcheck", url]).output().expect("run nginx-entry")
}

#[test]
fn serve_fills_the_template_and_runs_the_command() {
    let output = serve("fills", "listen ${PORT:-8080};\nset $up ${UPSTREAM};\n", &[("UPSTREAM", "api:8000")]);
    assert_eq!(text(&output.stdout), "listen 8080;\nset $up api:8000;\n");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn serve_exits_with_the_code_of_the_command() {
    let folder = folder("exit-code");
    fs::write(folder.join("template"), "").expect("write");
    let output = program()
        .current_dir(&folder)
        .args(["serve", "--template", "template", "--out", "out", "--", "/bin/sh", "-c", "exit 7"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_missing_variable_is_reported_with_file_and_line() {
    let output = serve("missing", "a;\nb ${UPSTREAM};\n", &[]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("template, line 2") && message.contains("UPSTREAM"), "{message}");
    assert!(output.stdout.is_empty(), "the command must not run");
}

#[test]
fn an_unsafe_value_is_rejected_before_writing() {
    let output = serve("unsafe", "b ${UPSTREAM};\n", &[("UPSTREAM", "x; include /etc/passwd")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder("unsafe").join("out").exists());
}

#[test]
fn the_resolver_variable_takes_precedence() {
    let output = serve("resolver", "resolver ${RESOLVER};", &[("RESOLVER", "10.0.0.2")]);
    assert_eq!(text(&output.stdout), "resolver 10.0.0.2;");
}

#[test]
fn a_missing_template_or_command_is_reported() {
    let output = program()
        .args(["serve", "--template", "/nowhere/template", "--out", "/nowhere/out", "--", "x"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere/template"));

    let folder = folder("no-command");
    fs::write(folder.join("template"), "").expect("write");
    let output = program()
        .current_dir(&folder)
        .args(["serve", "--template", "template", "--out", "out", "--", "/nowhere/nginx"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nowhere/nginx"));
}

#[test]
fn only_a_200_is_healthy() {
    let (url, server) = respond_once("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let output = healthcheck(&url);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(server.join().expect("server").starts_with("GET /health HTTP/1.1\r\nHost: 127.0.0.1:"));

    for (response, expected) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "returned 503"),
        ("HTTP/1.1 204 No Content\r\n\r\n", "returned 204"),
        ("hello\r\n", "not an HTTP response"),
        ("", "not an HTTP response"),
    ] {
        let (url, server) = respond_once(response);
        let output = healthcheck(&url);
        server.join().expect("server");
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(message.contains(expected) && message.lines().count() == 1, "{message}");
    }
}

#[test]
fn the_url_is_filled_from_the_environment() {
    let (url, server) = respond_once("HTTP/1.1 200 OK\r\n\r\n");
    let port = url.trim_start_matches("http://127.0.0.1:").trim_end_matches("/health");
    let check = |environment: &[(&str, &str)]| {
        program()
            .envs(environment.iter().copied())
            .args(["healthcheck", "http://${HOST}:${PORT}/health"])
            .output()
            .expect("run nginx-entry")
    };
    let output = check(&[("HOST", "0.0.0.0"), ("PORT", port)]);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    assert!(server.join().expect("server").starts_with("GET /health HTTP/1.1"));

    // Docker reserves exit code 2 of a health check.
    for (environment, expected) in
        [(&[("PORT", port)][..], "variable HOST"), (&[("HOST", "a b"), ("PORT", port)], "HOST contains ' '")]
    {
        let output = check(environment);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(expected) && message.lines().count() == 1, "{message}");
    }
}

#[test]
fn an_ipv6_host_gets_brackets() {
    let output = serve("ipv6", "listen ${HOST}:${PORT};", &[("HOST", "::"), ("PORT", "80")]);
    assert_eq!(text(&output.stdout), "listen [::]:80;");
}

#[test]
fn a_server_that_never_responds_times_out() {
    // The kernel accepts the connection, but nothing reads from it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let output = healthcheck(&format!("http://{}/", listener.local_addr().expect("address")));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("within 3 s"));
}

#[test]
fn a_closed_port_is_unhealthy() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.local_addr().expect("address")
    };
    let output = healthcheck(&format!("http://{address}/"));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot connect"));
}
