//! Plans from output of `docker compose config`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::secrecy::SecretFinder;
use crate::swarm::cluster::{Cluster, Node, RunningService};
use crate::swarm::contents::ContentKind;
use crate::swarm::plan::{Expected, FileVariable, PlanInput, SwarmPlan, plan};
use crate::swarm::ports::PublishRequest;
use engine::compose::cluster::ClusterProject;
use host::failure::Failure;
use model::manifest::Manifest;

/// The inputs that tests vary.
#[derive(Default)]
struct Fixture {
    project: Value,
    /// The constraints of running services.
    running: Vec<(&'static str, &'static str)>,
    publish: Vec<&'static str>,
    secrets: Vec<(&'static str, Result<Vec<u8>, String>)>,
    file_variables: Vec<FileVariable>,
}

impl Fixture {
    fn of(services: Value) -> Fixture {
        let volumes = json!({
            "data": { "name": "p_data" },
            "shared": { "name": "p_shared", "driver": "local", "driver_opts": { "type": "nfs" } },
        });
        let networks = json!({ "default": { "name": "p_default", "ipam": {} } });
        let project = json!({ "name": "p", "services": services, "volumes": volumes, "networks": networks });
        Fixture { project, ..Fixture::default() }
    }

    fn plan(&self) -> Result<SwarmPlan, Failure> {
        let project = ClusterProject::read(&self.project.to_string()).unwrap();
        let node = |id: &str| Node {
            id: id.into(),
            hostname: format!("host-{id}"),
            status: "Ready".into(),
            ..Node::default()
        };
        let cluster = Cluster { id: "c".into(), node: "x".into(), nodes: vec![node("x"), node("y")] };
        let image =
            |name: &String| (name.clone(), Ok(format!("r.example/{name}:1@sha256:{}", "d".repeat(64))));
        let images = project.services.keys().map(image).collect();
        let running = self.running.iter().map(|(name, constraint)| {
            let spec =
                json!({ "Spec": { "TaskTemplate": { "Placement": { "Constraints": [constraint] } } } });
            ((*name).to_owned(), serde_json::from_value::<RunningService>(spec).unwrap())
        });
        let contents: BTreeMap<_, _> = self
            .secrets
            .iter()
            .map(|(key, bytes)| ((ContentKind::Secret, (*key).to_owned()), bytes.clone()))
            .collect();
        let publish: Vec<PublishRequest> = self.publish.iter().map(|text| text.parse().unwrap()).collect();
        plan(&PlanInput {
            project: &project,
            cluster: &cluster,
            running: &running.collect(),
            images: &images,
            contents: &contents,
            file_variables: &self.file_variables,
            secrets: &SecretFinder::new(&Manifest::default(), &BTreeMap::new()).unwrap(),
            publish: &publish,
        })
    }

    fn file(&self) -> String {
        self.plan().unwrap().stack_file().unwrap()
    }

    fn notes(&self) -> Vec<String> {
        let notes = self.plan().unwrap().notes.into_iter();
        notes.map(|note| format!("{}: {}", note.setting, note.instead)).collect()
    }
}

#[test]
fn services_with_data_stay_on_their_node_and_stop_first() {
    let mount = |source: &str, read_only: bool| json!([{ "type": "volume", "source": source, "target": "/d", "read_only": read_only, "volume": {} }]);
    let fixture = Fixture {
        running: vec![("moved", "node.id==y")],
        ..Fixture::of(json!({
            "moved": { "image": "a", "volumes": mount("data", false) },
            "reader": { "image": "a", "volumes": mount("data", true) },
            "shared": { "image": "a", "volumes": mount("shared", false) },
            "free": { "image": "a", "tmpfs": ["/tmp:size=64m"] },
            "folder": { "image": "a", "volumes": [{ "type": "bind", "source": "/srv", "target": "/s", "bind": {} }] },
            "chosen": { "image": "a", "volumes": mount("data", false), "deploy": { "placement": { "constraints": ["node.hostname == db1"] } } },
            "port": { "image": "a", "ports": [{ "mode": "host", "target": 80, "published": "8080", "protocol": "tcp" }] },
        }))
    };
    let services = fixture.plan().unwrap().services;
    let found =
        services.iter().map(|(name, service)| (name.as_str(), service.stop_first, service.node.as_deref()));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("chosen", true, None),
            ("folder", true, Some("x")),
            ("free", false, None),
            ("moved", true, Some("y")),
            ("port", true, None),
            // Follows the service that already has the data.
            ("reader", false, Some("y")),
            ("shared", true, None),
        ]
    );
    let file = fixture.file();
    assert!(file.contains("- node.id==y") && file.contains("order: stop-first"), "{file}");
    assert!(file.contains("target: /tmp") && file.contains("size: 67108864"), "{file}");
    let note = "/srv: local to a node; the service is pinned to host-x (x)";
    assert!(fixture.notes().iter().any(|found| found == note), "{:?}", fixture.notes());
}

#[test]
fn a_node_that_left_with_the_data_is_a_fault() {
    let volume = json!([{ "type": "volume", "source": "data", "target": "/d" }]);
    let fixture = Fixture {
        running: vec![("db", "node.id==gone")],
        ..Fixture::of(json!({ "db": { "image": "a", "volumes": volume } }))
    };
    let error = fixture.plan().unwrap_err().to_string();
    assert!(
        error.contains(
            "db: its data (volume data) is on the node gone, which has left the swarm\nhelp: move the data"
        ),
        "{error}"
    );
}

#[test]
fn only_public_and_requested_ports_are_published() {
    let port = |address: &str, target: u16| json!({ "host_ip": address, "mode": "ingress", "target": target, "published": target.to_string(), "protocol": "tcp" });
    let services = json!({ "web": { "image": "a", "ports": [port("127.0.0.1", 80), port("10.0.0.5", 81), port("", 82)] } });
    let published = |publish: Vec<&'static str>| {
        let fixture = Fixture { publish, ..Fixture::of(services.clone()) };
        let service = fixture.plan().unwrap().services.remove("web").unwrap();
        (service.published, service.withheld)
    };
    assert_eq!(published(vec![]), (vec!["82→82/tcp".to_owned()], vec!["80".to_owned(), "81".to_owned()]));
    assert_eq!(published(vec!["web:80"]).1, ["81"]);
    let fixture = Fixture { publish: vec!["web:90", "other:1"], ..Fixture::of(services.clone()) };
    assert_eq!(
        fixture.plan().unwrap_err().to_string(),
        "nothing was deployed: 2 problems\n  web: no port 90 in `ports`\n  other: --publish names a service \
         that is not part of the stack\nhelp: choose one of these ports for --publish: 80, 81, 82\nhelp: name a \
         service of the Compose file in --publish"
    );
    let text = Fixture::of(services).plan().unwrap().text(&Cluster::default());
    assert!(
        text.contains("Not published, because Compose binds them to one address: web:80, web:81"),
        "{text}"
    );
}

#[test]
fn secrets_reach_services_as_files_and_are_in_no_output() {
    let known = |variable: &str, file_variable: Option<&str>| FileVariable {
        service: "web".to_owned(),
        variable: variable.to_owned(),
        file_variable: file_variable.map(str::to_owned),
    };
    let mut fixture = Fixture {
        file_variables: vec![known("KEYS", Some("KEYS_FILE")), known("TOKEN", None)],
        secrets: vec![("db", Ok(b"pa55word-of-db".to_vec()))],
        ..Fixture::of(json!({ "web": {
            "image": "a",
            "environment": { "KEYS": "s3cret-of-keys", "TOKEN": "t0ken", "UNSET": null, "PRICE": "5$$",
                "DB_PASSWORD": "pa55", "URL": format!("postgres://u:{}@db/x", "pa55word-of-url") },
            "secrets": [{ "source": "db", "target": "db" }],
        } }))
    };
    fixture.project["secrets"] = json!({ "db": { "name": "p_db", "file": "/db" } });
    let plan = fixture.plan().unwrap();
    let file = plan.stack_file().unwrap();
    for expected in ["KEYS_FILE: /run/secrets/KEYS", "PRICE: 5$$", "external: true", "name: p_db_"] {
        assert!(file.contains(expected), "{expected}: {file}");
    }
    for hidden in ["s3cret-of-keys", "pa55word-of-db", "UNSET"] {
        assert!(!file.contains(hidden) && !format!("{plan:?}").contains(hidden), "{hidden}: {file}");
    }
    assert!(!plan.text(&Cluster::default()).contains("t0ken"));
    assert_eq!(
        plan.contents.iter().map(|content| content.key.as_str()).collect::<Vec<_>>(),
        ["db", "web.KEYS"]
    );
    for variable in ["TOKEN", "DB_PASSWORD", "URL"] {
        let note = format!("environment.{variable}, a secret: part of the service's definition");
        assert!(fixture.notes().iter().any(|found| found.starts_with(&note)), "{:?}", fixture.notes());
    }
    assert!(!fixture.notes().iter().any(|found| found.contains("PRICE")), "{:?}", fixture.notes());

    fixture.secrets = vec![("db", Err("/db: missing".to_owned()))];
    let error = fixture.plan().unwrap_err().to_string();
    assert!(error.contains("web: cannot read the secret `db`: /db: missing"), "{error}");
}

#[test]
fn each_service_gets_its_own_value_of_a_secret_variable() {
    let known = |service: &str| FileVariable {
        service: service.to_owned(),
        variable: "KEYS".to_owned(),
        file_variable: Some("KEYS_FILE".to_owned()),
    };
    let service = |value: &str| json!({ "image": "a", "environment": { "KEYS": value } });
    let mut fixture = Fixture {
        file_variables: vec![known("a"), known("b")],
        ..Fixture::of(json!({ "a": service("of-a"), "b": service("of-b") }))
    };
    fixture.project["secrets"] = json!({ "b.KEYS": { "name": "p_b", "file": "/b" } });
    let plan = fixture.plan().unwrap();
    let contents = plan.contents.iter().map(|content| (content.key.as_str(), content.bytes.0.as_slice()));
    assert_eq!(contents.collect::<Vec<_>>(), [("a.KEYS", &b"of-a"[..]), ("b.KEYS.", b"of-b")]);
    let file = plan.stack_file().unwrap();
    for key in ["a.KEYS", "b.KEYS."] {
        assert!(file.contains(&format!("source: {key}\n      target: KEYS")), "{file}");
    }
}

#[test]
fn settings_without_an_equivalent_are_refused_together() {
    let fixture = Fixture::of(json!({
        "a": { "image": "a", "privileged": true, "devices": ["/dev/fuse"] },
        "b": { "image": "a", "network_mode": "host", "pid": "host" },
        "c": { "image": "a", "volumes": [{ "type": "image", "source": "x", "target": "/x" }] },
    }));
    let error = fixture.plan().unwrap_err().to_string();
    assert!(
        error.starts_with("nothing was deployed: 5 problems\n  a: not supported on a swarm: `privileged`"),
        "{error}"
    );
    for setting in ["`devices`", "`network_mode`", "`pid`", "mounts of type `image`"] {
        assert!(error.contains(setting), "{setting}: {error}");
    }
}

#[test]
fn what_swarm_does_differently_is_noted_once_for_all_services() {
    let service = json!({
        "image": "a", "security_opt": ["no-new-privileges:true"], "container_name": "x", "gpus": "all",
        "depends_on": { "job": { "condition": "service_completed_successfully" } },
    });
    let fixture =
        Fixture::of(json!({ "a": service, "b": service, "job": { "image": "a", "restart": "no" } }));
    let plan = fixture.plan().unwrap();
    let notes: Vec<String> =
        plan.notes.iter().map(|note| format!("{} ({})", note.setting, note.services.len())).collect();
    assert_eq!(
        notes,
        [
            "container_name (2)",
            "depends_on (2)",
            "gpus (2)",
            "no `restart` (2)",
            "restart: no (1)",
            "security_opt: no-new-privileges (2)"
        ]
    );
    assert_eq!(plan.services["job"].expected, Expected::Completed(1));
    assert!(plan.text(&Cluster::default()).contains("depends_on (a, b): all services start at once"));
}

#[test]
fn settings_of_compose_reach_the_stack_file() {
    let fixture = Fixture::of(json!({ "a": {
        "image": "a", "command": ["run", "$$HOME"], "restart": "on-failure:3", "read_only": true, "cap_drop": ["ALL"],
        "mem_limit": "1048576", "extra_hosts": ["db=10.0.0.1"], "networks": { "default": null },
        "healthcheck": { "test": ["CMD", "true"], "interval": "5s" },
        "deploy": { "endpoint_mode": "dnsrr", "replicas": 2, "update_config": { "order": "stop-first", "parallelism": 2 },
            "resources": { "limits": { "cpus": "0.5", "pids": 10 } } },
    } }));
    assert_eq!(fixture.file(), EVERYTHING);
}

/// The stack file of the last test.
const EVERYTHING: &str = r#"networks:
  default:
    attachable: true
    driver: overlay
    name: p_default
services:
  a:
    cap_drop:
    - ALL
    command:
    - run
    - $$HOME
    deploy:
      endpoint_mode: dnsrr
      replicas: 2
      resources:
        limits:
          cpus: "0.5"
          memory: "1048576"
          pids: 10
      restart_policy:
        condition: on-failure
        max_attempts: 3
      rollback_config:
        monitor: 5s
        order: start-first
        parallelism: 1
      update_config:
        failure_action: rollback
        monitor: 5s
        order: stop-first
        parallelism: 2
    extra_hosts:
    - db:10.0.0.1
    healthcheck:
      interval: 5s
      test:
      - CMD
      - "true"
    image: r.example/a:1@sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
    networks:
    - default
    read_only: true
version: "3.12"
volumes:
  data:
    name: p_data
  shared:
    driver: local
    driver_opts:
      type: nfs
    name: p_shared
"#;
