//! `deploy --swarm` with a fake docker.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{FakeDocker, Folder, repository, told};

const KEYS: &str = "s3cret-entry-of-alpha";

/// The fixture with a secret that the service reads from a file, and the record of a push.
fn site() -> Folder {
    let folder = repository("fx");
    let secret = "secret = { variable = \"ALPHA_KEYS\", file-variable = \"ALPHA_KEYS_FILE\", plain = \"ALPHA_KEY\", \
                  command = [\"new-key\"] }\n";
    let manifest =
        folder.read("xtask/images.toml").replace("port = 1001\n", &format!("port = 1001\n{secret}"));
    folder.write("xtask/images.toml", &manifest);
    folder.write("docker-compose.yml", "services: {}\n");
    folder.write(".env", &format!("ALPHA_KEYS={KEYS}\nALPHA_KEY=plain-key\n"));
    let pushed = |digest: char| {
        json!({ "digest": format!("sha256:{}", digest.to_string().repeat(64)), "image": "sha256:a", "service": "alpha",
            "edition": "simple", "variant": "optimized" })
    };
    let images = json!({ "r.example/t/fx-alpha:1": pushed('a'), "r.example/t/fx-beta:1": pushed('b') });
    folder.write("target/xtask/digests.json", &json!({ "schema": 1, "images": images }).to_string());
    folder
}

fn services() -> Value {
    let port = json!({ "mode": "ingress", "host_ip": "127.0.0.1", "target": 1001, "published": "8001", "protocol": "tcp" });
    json!({
        "alpha": {
            "image": "fx-alpha:1", "environment": { "ALPHA_KEYS": KEYS, "MODE": "a$$b" }, "ports": [port],
            "security_opt": ["no-new-privileges:true"], "restart": "always", "networks": { "default": null },
            "depends_on": { "beta": { "condition": "service_started", "required": true } },
        },
        "beta": {
            "image": "fx-beta:1", "restart": "always", "networks": { "default": null },
            "volumes": [{ "type": "volume", "source": "data", "target": "/data", "volume": {} }],
        },
    })
}

/// A manager without containers.
fn manager(services: &Value) -> FakeDocker {
    let swarm = json!({ "NodeID": "node-1-of-the-swarm", "LocalNodeState": "active", "ControlAvailable": true, "Cluster": { "ID": "cluster-id" } });
    let node = json!({ "ID": "node-1-of-the-swarm", "Hostname": "one", "Status": "Ready", "Availability": "Active" });
    let config = json!({
        "name": "p", "services": services, "networks": { "default": { "name": "p_default", "ipam": {} } },
        "volumes": { "data": { "name": "p_data" } },
    });
    FakeDocker::new()
        .alive()
        .on("info --format {{json .Swarm}}", 0, &swarm.to_string(), "")
        .on("node ls *", 0, &node.to_string(), "")
        .on("compose * config --format json*", 0, &config.to_string(), "")
        .on("ps --all *", 0, "", "")
        .on("image inspect *", 1, "[]\n", "Error: No such image: x\n")
}

fn without_services(docker: FakeDocker) -> FakeDocker {
    docker.on("service ls *", 0, "", "")
}

fn run(docker: &FakeDocker, folder: &Folder, more: &[&str]) -> Output {
    docker.run(folder, &[&["deploy", "--swarm"], more].concat())
}

/// The calls that change something.
fn changes(docker: &FakeDocker) -> Vec<String> {
    let changing = ["secret create", "config create", "stack deploy", "service update", "secret rm"];
    docker.calls().into_iter().filter(|call| changing.iter().any(|start| call.starts_with(start))).collect()
}

#[test]
fn a_plan_shows_everything_and_changes_nothing() {
    let (folder, docker) = (site(), without_services(manager(&services())));
    let output = run(&docker, &folder, &["--dry-run", "--publish", "alpha:1001"]);
    snapshot!("deploy_swarm_dry_run", output, folder);
    insta::assert_snapshot!("deploy_swarm_stack_file", folder.read("target/xtask/swarm/stack.yml"));
    assert_eq!(changes(&docker), Vec::<String>::new());
    let text =
        told(&output, &folder) + &folder.read("target/xtask/swarm/stack.yml") + &docker.calls().join("\n");
    assert!(!text.contains(KEYS), "{text}");
}

#[test]
fn a_registry_is_for_images_of_this_repository_only() {
    let mut services = services();
    services["db"] = json!({ "image": "postgres:16", "restart": "always", "networks": { "default": null } });
    let digest = format!("sha256:{}", "c".repeat(64));
    let pulled = json!([{ "Id": "sha256:i", "RepoTags": ["postgres:16"], "RepoDigests": [format!("postgres@{digest}")] }]);
    let (folder, docker) = (site(), without_services(manager(&services)));
    std::fs::write(docker.folder.0.join("00.args"), "image inspect *").unwrap();
    for (kind, text) in
        [("out", pulled.to_string()), ("err", "Error: No such image: x\n".into()), ("exit", "1".into())]
    {
        docker.folder.write(&format!("00.{kind}"), &text);
    }
    let output = run(&docker, &folder, &["--dry-run", "--registry", "r.example/t"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &folder));
    let file = folder.read("target/xtask/swarm/stack.yml");
    assert!(
        file.contains(&format!("postgres:16@{digest}")) && file.contains("r.example/t/fx-alpha:1@sha256:"),
        "{file}"
    );
}

#[test]
fn a_stack_that_swarm_cannot_run_is_refused_as_a_whole() {
    let mut services = services();
    services["alpha"]["privileged"] = json!(true);
    services["beta"]["image"] = json!("fx-gamma:1");
    let (folder, docker) = (site(), without_services(manager(&services)));
    snapshot!("deploy_swarm_refused", run(&docker, &folder, &["--publish", "beta:5"]), folder);
    assert_eq!(changes(&docker), Vec::<String>::new());
}

#[test]
fn only_a_manager_can_deploy() {
    for (name, swarm) in [
        ("deploy_swarm_no_swarm", json!({ "LocalNodeState": "inactive", "ControlAvailable": false })),
        (
            "deploy_swarm_worker",
            json!({ "LocalNodeState": "active", "ControlAvailable": false, "NodeID": "x" }),
        ),
    ] {
        let docker = FakeDocker::new().alive().on("info --format {{json .Swarm}}", 0, &swarm.to_string(), "");
        let folder = site();
        snapshot!(name, run(&docker, &folder, &[]), folder);
    }
}

#[test]
fn the_same_data_is_not_used_by_compose_and_swarm_at_once() {
    let container = json!([{ "Id": "c", "Config": { "Labels": { "com.docker.compose.service": "beta" } }, "State": { "Running": true } }]);
    let (folder, docker) =
        (site(), manager(&services()).on("container inspect *", 0, &container.to_string(), ""));
    std::fs::write(docker.folder.0.join("00.args"), "ps --all *").unwrap();
    for (kind, text) in [("out", "c\n"), ("err", ""), ("exit", "0")] {
        docker.folder.write(&format!("00.{kind}"), text);
    }
    let output = run(&docker, &folder, &[]);
    let text = told(&output, &folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("the Compose project p still runs on this engine: beta\nhelp: stop it with"),
        "{text}"
    );
    assert_eq!(changes(&docker), Vec::<String>::new());
}

#[test]
fn a_stack_file_that_docker_rejects_changes_nothing() {
    let docker = without_services(manager(&services())).on(
        "stack config *",
        1,
        "",
        "services.alpha.x is not allowed\n",
    );
    let folder = site();
    let output = run(&docker, &folder, &[]);
    let text = told(&output, &folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(
            "nothing was deployed: docker rejects [ROOT]/target/xtask/swarm/stack.yml: services.alpha.x"
        ),
        "{text}"
    );
    assert_eq!(changes(&docker), Vec::<String>::new());
}

#[test]
fn secrets_that_only_the_compose_file_has_are_masked() {
    let (password, url) = ("pa55-of-compose", format!("postgres://u:{}@db/x", "pa55-in-url"));
    let mut services = services();
    services["beta"]["environment"] = json!({ "DB_PASSWORD": password, "URL": url });
    let rejection = format!("invalid: {password} and {url}\n");
    let docker = without_services(manager(&services)).on("stack config *", 1, "", &rejection);
    let folder = site();
    let text = told(&run(&docker, &folder, &[]), &folder);
    assert!(text.contains("invalid: *** and ***"), "{text}");
    assert!(text.contains("environment.DB_PASSWORD, a secret (beta): part of"), "{text}");
    assert!(!text.contains("pa55"), "{text}");
}

#[test]
fn a_swarm_that_does_not_list_tasks_is_not_one_without_tasks() {
    let docker = without_services(manager(&services()))
        .on("stack config *", 0, "", "")
        .on("secret ls *", 0, "", "")
        .on("secret create *", 0, "id\n", "")
        .on("stack deploy *", 0, "", "")
        .on("stack ps *", 1, "", "Error response from daemon: the swarm does not have a leader\n");
    let folder = site();
    let output = run(&docker, &folder, &["--timeout", "1"]);
    let text = told(&output, &folder);
    assert_ne!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the swarm does not have a leader"), "{text}");
}

#[test]
fn a_rolled_back_service_is_reported_with_its_tasks_and_no_secret_is_in_a_command_line() {
    let image = |name: &str, digest: &str| format!("r.example/t/fx-{name}:1@sha256:{}", digest.repeat(64));
    let service = |name: &str, image: &str, state: &str| {
        json!({ "ID": format!("{name}-id"), "Spec": { "Name": format!("p_{name}"), "TaskTemplate": { "ContainerSpec": { "Image": image } } },
            "UpdateStatus": { "State": state, "Message": "as asked" } })
    };
    let task = |name: &str, image: &str, state: &str, err: &str| {
        json!({ "ID": format!("{name}-{state}"), "ServiceID": format!("{name}-id"), "NodeID": "node-1-of-the-swarm", "DesiredState": "running",
            "Spec": { "ContainerSpec": { "Image": image } }, "Status": { "State": state, "Err": err, "Timestamp": "2026-01-01T00:00:00Z" } })
    };
    let found = json!([
        service("alpha", &image("alpha", "0"), "rollback_completed"),
        service("beta", &image("beta", "b"), "paused")
    ]);
    let tasks = json!([
        task("alpha", &image("alpha", "a"), "failed", "task: non-zero exit (3)"),
        task("beta", &image("beta", "b"), "running", "")
    ]);
    let docker = manager(&services())
        .on("service ls *", 0, "alpha-id\nbeta-id\n", "")
        .on("inspect --type service *", 0, &found.to_string(), "")
        .on("stack config *", 0, "", "")
        .on("secret ls *", 0, "", "")
        .on("secret create *", 0, "id\n", "")
        .on("stack deploy --help", 0, "  --detach  Exit immediately\n", "")
        .on("stack deploy *", 0, "", "")
        .on("stack ps *", 0, "t1\nt2\n", "")
        .on("inspect --type task *", 0, &tasks.to_string(), "")
        .on("service logs *", 0, "", &format!("bad key {KEYS}\n"));
    let folder = site();
    snapshot!("deploy_swarm_rolled_back", run(&docker, &folder, &[]), folder);
    let calls = changes(&docker);
    assert!(calls[0].starts_with("secret create --label=com.docker.stack.namespace=p --label=images.swarm.content=alpha.ALPHA_KEYS p_alpha.ALPHA_KEYS_"), "{calls:?}");
    assert!(calls[0].ends_with(" -"), "{calls:?}");
    assert!(calls[2].contains("--with-registry-auth --prune --detach=true p"), "{calls:?}");
    assert!(!docker.calls().join("\n").contains(KEYS));
}

#[test]
fn options_of_one_cluster_are_not_options_of_the_other() {
    for (args, expected) in [
        (&["deploy", "--swarm", "--kubernetes"][..], "cannot be used with"),
        (&["deploy", "--swarm", "--apply"], "cannot be used with"),
        (&["deploy", "--publish", "alpha:1"], "--swarm"),
        (&["deploy", "--swarm", "--publish", "alpha"], "expected SERVICE:PORT"),
        (&["deploy", "--swarm", "update"], "--swarm has no subcommands"),
    ] {
        let folder = site();
        let output = FakeDocker::new().alive().run(&folder, args);
        let text = told(&output, &folder);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}
