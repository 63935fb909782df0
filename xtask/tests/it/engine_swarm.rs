//! `deploy --swarm` on two engines in separate network namespaces, with `endpoint_mode: dnsrr`.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::swarm::{NODES, REGISTRY, Swarm};
use crate::support::{Folder, repository, tiny, told, wait};

/// Answers every request, without Perl modules.
const SERVER: &str = r#"$SIG{TERM} = sub { exit }; socket(S, 2, 1, 6); setsockopt(S, 1, 2, pack("l", 1));
    bind(S, pack("S n a4 x8", 2, $ENV{PORT}, "\0\0\0\0")) or exit 4; listen(S, 9);
    while (accept(C, S)) { sysread(C, $b, 4096); open(F, $ENV{KEY_FILE}); $key = <F>;
        $text = $ENV{KEY_FILE} ? "key of " . length($key) : "no key";
        syswrite(C, "HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\nConnection: close\r\n\r\n$text"); close C }"#;
const BROKEN: &str = "print STDERR \"cannot start: BAD_SETTING\\n\"; exit 3";

/// A checkout whose stack runs on a swarm.
struct Site {
    swarm: Swarm,
    folder: Folder,
    name: String,
}

impl Site {
    fn new() -> Site {
        let name = format!("xt-swarm-{}", std::process::id());
        let folder = repository(&name);
        let mut manifest = folder.read("xtask/images.toml");
        for port in ["1001", "1002"] {
            manifest =
                manifest.replace(&format!("port = {port}\n"), &format!("port = {port}\nhealth = \"/\"\n"));
        }
        folder.write("xtask/images.toml", &manifest);
        folder.write("key", "open-sesame");
        folder.write(
            "docker-compose.yml",
            &format!(
                r#"name: {name}
x-service: &service
  restart: unless-stopped
  security_opt: ["no-new-privileges:true"]
  secrets: [key]
services:
  alpha:
    <<: *service
    image: {name}-alpha:latest-optimized
    ports: ["127.0.0.1:8001:1001"]
    environment: {{ PORT: 1001, KEY_FILE: /run/secrets/key }}
    deploy: {{ replicas: 2, endpoint_mode: dnsrr }}
  beta:
    <<: *service
    image: {name}-beta:latest-optimized
    environment: {{ PORT: 1002, KEY_FILE: /run/secrets/key }}
    volumes: ["data:/data"]
    deploy: {{ endpoint_mode: dnsrr }}
secrets: {{ key: {{ file: ./key }} }}
volumes: {{ data: {{}} }}
"#
            ),
        );
        let mut swarm = Swarm::start();
        swarm.registry();
        tiny::perl(&swarm.folder.0.join("perl.tar"));
        Site { swarm, folder, name }
    }

    /// Imports and tags a new image of a service.
    fn image(&self, service: &str, program: &str) {
        let cmd = format!("CMD {}", serde_json::json!(["/usr/bin/perl", "-e", program]));
        let made = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let label = format!("LABEL made={}", made.trim());
        let archive = self.swarm.folder.0.join("perl.tar").display().to_string();
        let tag = format!("{}-{service}:latest-optimized", self.name);
        self.swarm.docker(0, &["import", "--change", &cmd, "--change", &label, &archive, &tag]);
        self.swarm.docker(0, &["tag", &tag, &format!("{}-{service}:latest-simple-optimized", self.name)]);
    }

    fn push(&self) {
        let output = self.command(&["push", "--registry", REGISTRY]).output().unwrap();
        assert!(output.status.success(), "{}", told(&output, &self.folder));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.swarm.beside(env!("CARGO_BIN_EXE_xtask"));
        command.args(args).arg("--root").arg(&self.folder.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_REGISTRY", "COMPOSE_PROFILES"] {
            command.env_remove(name);
        }
        command
    }

    fn deploy(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(&[&["deploy", "--swarm"], args].concat()).output().unwrap();
        self.told(&output)
    }

    fn told(&self, output: &Output) -> (Option<i32>, String) {
        (output.status.code(), told(output, &self.folder))
    }

    /// A deployment that must succeed.
    fn done(&self) -> String {
        let (code, text) = self.deploy(&["--timeout", "90"]);
        assert_eq!(code, Some(0), "{text}");
        text
    }

    fn service(&self, service: &str) -> String {
        format!("{}_{service}", self.name)
    }

    fn image_of(&self, service: &str) -> String {
        let service: Value =
            serde_json::from_str(&self.swarm.docker(0, &["service", "inspect", &self.service(service)]))
                .unwrap();
        service[0]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap().to_owned()
    }

    /// The IDs of a service's running tasks.
    fn tasks(&self, service: &str) -> String {
        let filter = ["--filter", "desired-state=running", "--quiet"];
        self.swarm.docker(0, &[&["service", "ps", &self.service(service)], &filter[..]].concat())
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_swarm_is_installed_updated_rolled_back_and_loses_a_node() {
    let _turn = crate::support::turn::take(module_path!());
    let mut site = Site::new();
    refused_without_a_swarm(&site);
    site.swarm.join();
    install(&site);
    update(&site);
    rollback(&site);
    lose_a_node(&mut site);
}

/// The engine is not part of a swarm.
fn refused_without_a_swarm(site: &Site) {
    for service in ["alpha", "beta"] {
        site.image(service, SERVER);
    }
    let (code, text) = site.deploy(&[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("error: this engine is not part of a swarm\nhelp: "), "{text}");
}

fn install(site: &Site) {
    let (code, text) = site.deploy(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("alpha:latest-optimized was not pushed") && text.contains("push --registry"),
        "{text}"
    );
    assert_eq!(site.swarm.docker(0, &["service", "ls", "--quiet"]), "", "half of it was deployed");

    site.push();
    let text = site.done();
    assert!(text.contains("Not published, because Compose binds them to one address: alpha:1001"), "{text}");
    assert!(
        text.contains("volume data (beta): local to a node; the service is pinned to node-one"),
        "{text}"
    );
    assert!(text.contains("2 of 2 passed") && text.contains("is up: 2 services as planned"), "{text}");
    assert!(!text.contains("open-sesame"), "{text}");
    for service in ["alpha", "beta"] {
        assert!(site.image_of(service).contains("@sha256:"), "{}", site.image_of(service));
    }
    assert!(!site.folder.read("target/xtask/swarm/stack.yml").contains("open-sesame"));
    // The container that sent the probes is gone.
    assert_eq!(site.swarm.docker(0, &["ps", "--all", "--quiet", "--filter", "label=images.swarm.probe"]), "");
}

/// A new image replaces only the tasks of its service. A new secret replaces the tasks that mount it; the old version is removed once no
/// rollback needs it.
fn update(site: &Site) {
    let (alpha, beta, image) = (site.tasks("alpha"), site.tasks("beta"), site.image_of("alpha"));
    site.image("alpha", SERVER);
    site.push();
    site.done();
    assert_ne!(site.image_of("alpha"), image);
    assert_ne!(site.tasks("alpha"), alpha);
    assert_eq!(site.tasks("beta"), beta, "a service without changes was restarted");

    let secrets = || site.swarm.docker(0, &["secret", "ls", "--quiet"]).lines().count();
    assert_eq!(secrets(), 1);
    for (key, kept) in [("second", 2), ("third", 2)] {
        site.folder.write("key", key);
        site.done();
        assert_eq!(secrets(), kept, "{key}");
    }
    assert_ne!(site.tasks("beta"), beta);
}

fn rollback(site: &Site) {
    let (image, beta) = (site.image_of("alpha"), site.tasks("beta"));
    site.image("alpha", BROKEN);
    site.push();
    let (code, text) = site.deploy(&["--timeout", "90"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("alpha: Swarm rolled it back to {image}")), "{text}");
    assert!(text.contains("non-zero exit (3)") && text.contains("cannot start: BAD_SETTING"), "{text}");
    assert!(text.contains("as planned: beta"), "{text}");
    assert_eq!((site.image_of("alpha"), site.tasks("beta")), (image, beta));
}

/// A node is lost during an update: services without local data move; a service with data on that node is reported.
fn lose_a_node(site: &mut Site) {
    // Moves beta, as if its data had been moved by hand: later deployments keep it there.
    let lost = site.swarm.docker(0, &["node", "inspect", "--format", "{{.ID}}", NODES[1]]);
    let old = site.swarm.docker(0, &["node", "inspect", "--format", "{{.ID}}", NODES[0]]);
    let (add, remove) =
        (format!("--constraint-add=node.id=={lost}"), format!("--constraint-rm=node.id=={old}"));
    let beta = site.service("beta");
    site.swarm.docker(0, &["service", "update", "--detach=false", "--quiet", &add, &remove, &beta]);
    site.image("alpha", SERVER);
    site.push();
    let mut command = site.command(&["deploy", "--swarm", "--timeout", "60"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Swarm clears the status of the last update before it begins the next.
    let state =
        ["service", "inspect", "--format", "{{with .UpdateStatus}}{{.State}}{{end}}", &site.service("alpha")];
    wait::until("the update begins", || site.swarm.docker(0, &state) == "updating");
    site.swarm.kill(1);
    let (code, text) = site.told(&running.wait_with_output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    let node = format!("{} ({})", NODES[1], &lost[..12]);
    for expected in [
        format!("note: the node {node} is down: Swarm starts its tasks on other nodes; beta cannot move"),
        format!("beta: its data is on the node {node}, which is down"),
        format!("unreachable nodes: {node} (down)"),
        "help: bring the lost nodes back".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}: {text}");
    }
    // Swarm's updater waits forever for a task that was lost before it ran. Which task is lost depends on the scheduler.
    let waits = format!("the update waits for a task on the lost node {node}");
    assert!(text.contains("as planned: alpha") || text.contains(&waits), "{text}");
}
