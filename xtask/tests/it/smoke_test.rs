//! `smoke-test` without an engine: a fake docker, and services with scripted answers.

use std::collections::BTreeMap;
use std::net::TcpListener;

use crate::support::service::{answer, service as scripted};
use crate::support::{FakeDocker, Folder, repository, told};

/// A service that answers by method and path, and 404 to other requests, until the test process ends.
fn service(answers: &[(&str, u16, &str)]) -> u16 {
    let answers: BTreeMap<String, (u16, String)> = answers
        .iter()
        .map(|(request, status, body)| ((*request).to_owned(), (*status, (*body).to_owned())))
        .collect();
    scripted(move |request| {
        let line = request.split(" HTTP/").next().unwrap_or_default();
        // Echo the secret from the header: no report may repeat it.
        let key = request.lines().find_map(|line| line.strip_prefix("x-key: ")).unwrap_or_default();
        let (status, body) = answers.get(line).cloned().unwrap_or((404, "{}".into()));
        answer(status, "application/json", body.replace("ECHO", key).as_bytes())
    })
}

const PROBES: &str = r#"
[service.alpha.secret]
variable = "ALPHA_KEYS"
plain = "ALPHA_KEY"
command = ["make-key"]

[[service.alpha.probe]]
name = "health"
request = { get = "/health" }
expect = [{ at = "/status", is = "ok" }]

[[service.alpha.probe]]
name = "learn"
request = { post = "/learn", json = { texts = ["a"] }, headers = { x-key = "${ALPHA_KEY}" } }
status = 201
capture = { at = "/ids/0", as = "learned" }

[[service.alpha.probe]]
name = "read it"
request = { get = "/things/${learned}" }
expect = [{ at = "/text", contains = "tea" }]

[[service.beta.probe]]
name = "health"
request = { get = "/health" }

[[scenario.both]]
name = "ask alpha"
service = "alpha"
request = { get = "/health" }

[[scenario.both]]
name = "ask beta"
service = "beta"
request = { get = "/health" }
"#;

fn stack() -> Folder {
    let folder = repository("smoke");
    let manifest = folder.read("xtask/images.toml");
    folder.write("xtask/images.toml", &format!("{manifest}{PROBES}"));
    folder.write("docker-compose.yml", "services: {}\n");
    folder.write(".env", "ALPHA_KEYS='hash'\nALPHA_KEY='open-sesame'\n");
    folder
}

/// A docker whose stack has alpha at a port, and beta as given.
pub fn docker(alpha: u16, beta: &str) -> FakeDocker {
    let alpha = format!(
        r#"{{"Service":"alpha","ID":"a1","State":"running","Health":"healthy","Publishers":[{{"URL":"127.0.0.1","TargetPort":1001,"PublishedPort":{alpha},"Protocol":"tcp"}}]}}"#
    );
    let containers = r#"[{"Id":"a1","Image":"sha256:aaa","Config":{},"HostConfig":{},"State":{}},{"Id":"b1","Image":"sha256:bbb","Config":{},"HostConfig":{},"State":{}}]"#;
    FakeDocker::new()
        .alive()
        .on("compose * ps --all *", 0, &format!("{alpha}\n{beta}\n"), "")
        .on("compose * config *", 0, r#"{"name":"fixture","services":{"alpha":{},"beta":{}}}"#, "")
        .on("container inspect *", 0, containers, "")
}

pub fn beta(port: u16) -> String {
    format!(
        r#"{{"Service":"beta","ID":"b1","State":"running","Health":"healthy","Publishers":[{{"URL":"127.0.0.1","TargetPort":1002,"PublishedPort":{port},"Protocol":"tcp"}}]}}"#
    )
}

macro_rules! snapshot_output {
    ($name:expr, $output:expr, $folder:expr) => {
        insta::with_settings!({
            filters => vec![(r" +\d+ ms", " [MS]"), (r"VERDICT +TIME", "VERDICT  TIME"), (r#""milliseconds": \d+"#, r#""milliseconds": [MS]"#),
                (r#"time="[\d.]+""#, r#"time="[S]""#), (r"127\.0\.0\.[12]:\d+", "[HOST]"), (r", \d+ tries", ", [N] tries")],
            omit_expression => true,
            prepend_module_to_snapshot => false,
        }, {
            insta::assert_snapshot!($name, told(&$output, &$folder));
        })
    };
}

const GOOD: [(&str, u16, &str); 3] = [
    ("GET /health", 200, r#"{"status":"ok"}"#),
    ("POST /learn", 201, r#"{"ids":["t7"]}"#),
    ("GET /things/t7", 200, r#"{"text":"a cup of tea"}"#),
];

#[test]
fn a_stack_that_answers_as_declared_passes_and_is_recorded() {
    let folder = stack();
    let docker = docker(service(&GOOD), &beta(service(&[("GET /health", 200, "{}")])));
    let output = docker.run(&folder, &["smoke-test"]);
    snapshot_output!("smoke_green", output, folder);
    let record: serde_json::Value = serde_json::from_str(&folder.read("target/xtask/smoke.json")).unwrap();
    assert_eq!((record["schema"].as_u64(), record["images"]["beta"].as_str()), (Some(1), Some("sha256:bbb")));
    assert_eq!(record["outcomes"].as_array().unwrap().len(), 6);
}

#[test]
fn wrong_answers_are_shown_without_secrets() {
    let folder = stack();
    let answers =
        [("GET /health", 503, r#"{"status":"starting"}"#), ("POST /learn", 401, r#"{"you sent":"ECHO"}"#)];
    let docker = docker(service(&answers), &beta(service(&[("GET /health", 200, "{}")])));
    let mut command = docker.command(&folder, &["smoke", "--junit", "junit.xml"]);
    let output = command.current_dir(&folder.0).output().unwrap();
    snapshot_output!("smoke_red", output, folder);
    let xml = folder.read("junit.xml");
    assert!(xml.contains("tests=\"3\" failures=\"2\"") && xml.contains("status 503, expected 200"), "{xml}");
    let record = folder.read("target/xtask/smoke.json");
    assert!(!xml.contains("open-sesame") && !record.contains("open-sesame"));
    assert!(record.contains("***"), "the service did not get the key: {record}");
}

#[test]
fn an_exited_service_is_reported_without_a_request() {
    let folder = stack();
    let ended = r#"{"Service":"beta","ID":"b1","State":"exited","ExitCode":137,"Publishers":[]}"#;
    let output = docker(service(&GOOD), ended).run(&folder, &["smoke", "beta", "--format", "json"]);
    snapshot_output!("smoke_ended", output, folder);
}

#[test]
fn a_refused_connection_is_retried() {
    let folder = stack();
    // The port is not reused while a listener holds it on another address.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let beta = beta(listener.local_addr().unwrap().port()).replace("127.0.0.1", "127.0.0.2");
    let output = docker(service(&GOOD), &beta).run(&folder, &["smoke", "beta"]);
    snapshot_output!("smoke_refused", output, folder);
}

#[test]
fn a_stack_that_is_not_running_is_reported_with_help() {
    let folder = stack();
    let docker = FakeDocker::new().alive().on("compose * ps --all *", 0, "", "").on(
        "compose * config *",
        0,
        r#"{"name":"fixture","services":{"alpha":{},"beta":{}}}"#,
        "",
    );
    let output = docker.run(&folder, &["smoke", "alpha"]);
    snapshot_output!("smoke_absent", output, folder);
}

#[test]
fn every_fault_of_declared_probes_is_reported_with_its_line() {
    let folder = repository("faults");
    let manifest = folder.read("xtask/images.toml");
    let faults = r#"
[[service.alpha.probe]]
name = "a"
request = { get = "/x", post = "/y" }

[[service.alpha.probe]]
name = "b"
request = { get = "x", json = 1979-05-27 }
expect = [{ at = "status", is = 1, min = 2 }, { is = 5 }]
status = 99

[[service.alpha.probe]]
name = "b"
request = { post = "/${nobody}", text = "t" }
capture = { at = "/a", as = "run" }
eventually = "yes"
parity = { cosine = ["v"], tolerance = { at = ["/x"] } }

[[service.alpha.probe]]
name = "c"
speed = "fast"

[[scenario.s]]
name = "x"
service = "gamma"
request = { get = "/" }
"#;
    folder.write("xtask/images.toml", &format!("{manifest}{faults}"));
    let output = FakeDocker::new().run(&folder, &["smoke"]);
    snapshot_output!("smoke_faults", output, folder);
}
