//! Updates: 200 runs of `deploy update` with all cores busy, on services with replicas, a one-shot dependency and programs that
//! exit slowly.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::{Case, run, seed, sites};
use crate::support::load::Load;
use crate::support::{Site, docker};

const UPDATES: u64 = 200;

/// A one-shot task, then the two services, one with two replicas. `never` and `none` have no containers.
const COMPOSE: &str = r#"services:
  prepare:
    image: PREFIX-alpha:latest-optimized
    command: ["perl", "-e", "exit 0"]
    healthcheck: { disable: true }
    read_only: true
    cap_drop: [ALL]
  alpha:
    image: PREFIX-alpha:latest-optimized
    depends_on: { prepare: { condition: service_completed_successfully } }
    read_only: true
    cap_drop: [ALL]
    ports: ["127.0.0.1::1001"]
  beta:
    image: PREFIX-beta:latest-optimized
    depends_on: { alpha: { condition: service_healthy } }
    deploy: { replicas: 2 }
    read_only: true
    cap_drop: [ALL]
  never:
    image: PREFIX-beta:latest-optimized
    profiles: [never]
  none:
    image: PREFIX-beta:latest-optimized
    deploy: { replicas: 0 }
"#;

#[test]
#[ignore = "takes half an hour: cargo xtask ci --campaign updates"]
fn campaign() {
    let site = sites::site("updates");
    site.folder.write("docker-compose.yml", &COMPOSE.replace("PREFIX", &site.prefix));
    sites::all(&site, &[&["build-images"], &["deploy", "install"]]);
    let load = Load::on_every_core();
    let case = |number| {
        let site = &site;
        Case::new(format!("update {number}"), move || update(site, number))
    };
    run("updates", (1..=UPDATES).map(case).collect());
    drop(load);
    sites::all(&site, &[&["deploy", "down", "--volumes"]]);
}

/// Builds a generation, updates, and checks every container with docker.
fn update(site: &Site, number: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed() ^ number);
    sites::generation(site, ["first", "second", "third"][rng.usize(0..3)]);
    ends_slowly(site, rng.bool());
    sites::all(site, &[&["build-images"]]);
    let env = site.folder.read(".env");
    let output = site.run(&["deploy", "update"]);
    if !output.status.success() {
        let left = containers(site);
        site.run(&["deploy", "update"]);
        return Err(format!("{}\ncontainers: {left:?}", site.told(&output)));
    }
    let expected = ["alpha", "beta"].map(|name| {
        docker(&[
            "image",
            "inspect",
            "--format",
            "{{.Id}}",
            &format!("{}-{name}:latest-optimized", site.prefix),
        ])
    });
    let state = |image: &String, state: &str| format!("{state} {image}");
    let [alpha, beta] = &expected;
    let expected = BTreeMap::from([
        ("prepare".to_owned(), vec![state(alpha, "exited 0 ")]),
        ("alpha".to_owned(), vec![state(alpha, "running 0 healthy")]),
        ("beta".to_owned(), vec![state(beta, "running 0 healthy"); 2]),
    ]);
    super::same("containers", &containers(site), &expected)?;
    super::same(".env", &site.folder.read(".env"), &env)
}

/// Makes the programs exit at once on SIGTERM, or slowly: after a second.
fn ends_slowly(site: &Site, slowly: bool) {
    for name in ["alpha", "beta"] {
        let path = format!("{name}/serve");
        let (at_once, later) = ("sub { exit }", "sub { sleep 1; exit }");
        let text = site.folder.read(&path).replace(later, at_once);
        let text = if slowly { text.replace(at_once, later) } else { text };
        site.folder.write(&path, &text);
    }
}

/// The state, exit code, health and image of every container, by service.
fn containers(site: &Site) -> BTreeMap<String, Vec<String>> {
    let label = format!("--filter=label=com.docker.compose.project={}", sites::project(site));
    let ids = docker(&["ps", "--all", "--quiet", &label]);
    let format = "{{index .Config.Labels \"com.docker.compose.service\"}}|{{.State.Status}} {{.State.ExitCode}} \
                  {{if .State.Health}}{{.State.Health.Status}}{{end}} {{.Image}}";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in ids.lines() {
        let text = docker(&["inspect", "--format", format, id]);
        let (service, state) = text.split_once('|').unwrap();
        found.entry(service.to_owned()).or_default().push(state.to_owned());
    }
    found
}
