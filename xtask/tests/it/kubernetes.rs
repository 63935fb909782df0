//! `deploy --kubernetes` with a fake docker and a fake kubectl: the written tree, applying it, and errors.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Output;

use serde_json::{Value, json};

use crate::support::service::{answer, service};
use crate::support::{FakeDocker, Folder, bare_machine, repository, told, xtask};

/// The fixture with a secret and probes.
pub fn stack() -> Folder {
    let folder = repository("fx");
    let more = "health = \"/up\"\nsecret = { variable = \"ALPHA_KEYS\", plain = \"ALPHA_KEY\", command = [\"new-key\"] }\n";
    let manifest = folder.read("xtask/images.toml").replace("port = 1001\n", &format!("port = 1001\n{more}"));
    folder.write("xtask/images.toml", &manifest);
    folder.write("docker-compose.yml", "services: {}\n");
    folder.write(".env", "ALPHA_KEYS=hashed-sesame\nALPHA_KEY=open-sesame\n");
    folder
}

pub fn services() -> Value {
    json!({
        "alpha": { "image": "fx-alpha:latest-optimized", "networks": { "default": null }, "read_only": true,
            "environment": { "ALPHA_KEYS": "hashed-sesame", "MODE": "plain" },
            "ports": [{ "target": 1001, "published": "1001", "host_ip": "127.0.0.1", "protocol": "tcp" }],
            "volumes": [{ "type": "volume", "source": "data", "target": "/data" }] },
        "beta": { "image": "fx-beta:latest-optimized", "networks": { "default": null },
            "ports": [{ "target": 1002, "published": "80", "protocol": "tcp" }],
            "depends_on": { "alpha": { "condition": "service_healthy" } } },
    })
}

const IMAGES: &str = r#"[
    {"Id":"sha256:a","RepoTags":["fx-alpha:latest-optimized"],"Config":{"User":"65532:65532"}},
    {"Id":"sha256:b","RepoTags":["fx-beta:latest-optimized"],"Config":{"User":"65532:65532","Healthcheck":{"Test":["CMD","/check"]}}}]"#;

/// A fake docker with this stack, and a fake kubectl that replays the same transcripts.
pub fn docker(services: &Value) -> FakeDocker {
    let config = json!({ "name": "fixture", "services": services }).to_string();
    let fake = FakeDocker::new()
        .alive()
        .on("compose * config --format json*", 0, &config, "")
        .on("image inspect *", 0, IMAGES, "")
        .on("buildx imagetools inspect *", 1, "", "ERROR: hub.example/t: not found\n");
    let kubectl = fake.folder.0.join("bin/kubectl");
    std::fs::write(&kubectl, "#!/bin/sh\nexec \"${0%kubectl}docker\" kubectl \"$@\"\n").unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink("/usr/bin/setsid", fake.folder.0.join("bin/setsid")).unwrap();
    fake.on("kubectl version *", 0, r#"{"clientVersion":{"major":"1","minor":"32+"}}"#, "")
        .on("kubectl config get-contexts *", 0, "staging\nproduction\n", "")
        .on("kubectl config current-context", 0, "staging\n", "")
}

/// Records both images as pushed.
fn pushed(folder: &Folder, alpha: &str) {
    let entry = |id: &str, service: &str, digit: &str| {
        json!({ "digest": format!("sha256:{}", digit.repeat(64)), "image": id, "service": service,
            "edition": "simple", "variant": "optimized" })
    };
    let images = json!({ "hub.example/t/fx-alpha:latest-optimized": entry(alpha, "alpha", "a"),
        "hub.example/t/fx-beta:latest-optimized": entry("sha256:b", "beta", "b") });
    folder.write("target/xtask/digests.json", &json!({ "schema": 1, "images": images }).to_string());
}

fn run(docker: &FakeDocker, folder: &Folder, args: &[&str]) -> (Output, String) {
    let all = [&["deploy", "--kubernetes", "--registry", "hub.example/t"], args].concat();
    let output = docker.run(folder, &all);
    let text = told(&output, folder);
    assert!(!text.contains("sesame"), "{text}");
    (output, text)
}

/// All `kubectl apply` calls, including dry runs.
fn applies(docker: &FakeDocker) -> Vec<String> {
    docker
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("kubectl") && call.contains(" apply "))
        .collect()
}

#[test]
fn the_tree_has_the_pushed_digests_and_the_report_what_kubernetes_cannot_express() {
    let folder = stack();
    pushed(&folder, "sha256:a");
    let (output, _) = run(&docker(&services()), &folder, &["--namespace", "demo"]);
    snapshot!("kubernetes_written", output, folder);
    let all: String = ["base/kustomization.yaml", "base/alpha.yaml", "base/beta.yaml"]
        .iter()
        .chain(&["overlays/production/kustomization.yaml", "overlays/production/.gitignore"])
        .map(|name| format!("==> {name}\n{}", folder.read(&format!("kubernetes/{name}"))))
        .collect();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("kubernetes_tree", all);
    });
    let secrets = folder.0.join("kubernetes/overlays/production/secrets/alpha.env");
    assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(&secrets).unwrap().ends_with("\nALPHA_KEYS=hashed-sesame\n"));
}

#[test]
fn images_without_a_digest_are_named_and_nothing_is_written() {
    let folder = stack();
    pushed(&folder, "sha256:older");
    let docker = docker(&services());
    let output = docker.run(&folder, &["deploy", "--kubernetes"]);
    snapshot!("kubernetes_without_registry", output, folder);
    let (output, text) = run(&docker, &folder, &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("alpha: fx-alpha:latest-optimized was rebuilt after hub.example/t/fx-alpha:latest-optimized was pushed"),
        "{text}"
    );
    assert!(!folder.0.join("kubernetes").exists());
    let (output, text) = run(&docker, &folder, &["--by-tag"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        folder.read("kubernetes/overlays/production/kustomization.yaml").contains("newTag: latest-optimized")
    );
}

#[test]
fn an_image_that_is_not_the_one_in_the_registry_was_not_pushed() {
    let folder = stack();
    pushed(&folder, "sha256:a");
    let record = folder.read("target/xtask/digests.json").replace("t/fx-beta:", "other/fx-beta:");
    folder.write("target/xtask/digests.json", &record);
    for (config, code) in [("sha256:b", 0), ("sha256:newer", 1)] {
        let raw = json!({ "schemaVersion": 2, "config": { "digest": config }, "layers": [] }).to_string();
        let docker = first(docker(&services()), "buildx imagetools inspect *", 0, &raw, "");
        let (output, text) = run(&docker, &folder, &[]);
        assert_eq!(output.status.code(), Some(code), "{text}");
        let refused = "beta: the local image was not pushed: the registry has a different image at hub.example/t/fx-beta:latest-optimized";
        assert_eq!(text.contains(refused), code == 1, "{text}");
    }
}

#[test]
fn wrong_usage_is_refused_before_anything_is_asked_or_written() {
    let folder = stack();
    for (args, what) in [
        (&["--overlay", "../x"][..], "--overlay: invalid name `../x`"),
        (&["--namespace", "Demo"], "--namespace: invalid name `Demo`"),
        (&["--volume-size", "big"], "--volume-size: invalid size `big`"),
        (&["--apply", "--context", "nope"], "kubectl has no context `nope`; nothing was applied"),
        (&["install"], "--kubernetes has no subcommands"),
    ] {
        let docker = docker(&services());
        let (output, text) = run(&docker, &folder, args);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(what) && text.contains("help: "), "{text}");
        assert!(!docker.calls().iter().any(|call| call.contains("compose")), "{:?}", docker.calls());
    }
    assert!(!folder.0.join("kubernetes").exists());
}

#[test]
fn without_kubectl_or_a_context_nothing_is_written() {
    let folder = stack();
    let bin = bare_machine();
    let args = ["deploy", "--kubernetes", "--by-tag", "--registry", "hub.example/t", "--apply"];
    let output = xtask(&bin.0, &folder, &args).output().unwrap();
    let text = told(&output, &folder);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("not installed: kubectl\nhelp: run `apt-get install kubernetes-client`"), "{text}");
    for (pattern, exit, stdout, what) in [
        (
            "kubectl version *",
            0,
            r#"{"clientVersion":{"major":"1","minor":"20"}}"#,
            "kubectl 1.20 is too old: 1.22 or newer is needed",
        ),
        ("kubectl config current-context", 1, "", "kubectl has no current context; nothing was applied"),
    ] {
        let docker = first(docker(&services()), pattern, exit, stdout, "");
        let (output, text) = run(&docker, &folder, &["--by-tag", "--apply"]);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(what) && text.contains("help: "), "{text}");
    }
    assert!(!folder.0.join("kubernetes").exists());
}

/// Adds a response that takes precedence over all others.
fn first(docker: FakeDocker, pattern: &str, exit: i32, stdout: &str, stderr: &str) -> FakeDocker {
    for (kind, text) in [("args", pattern), ("exit", &exit.to_string()), ("out", stdout), ("err", stderr)] {
        docker.folder.write(&format!("00.{kind}"), text);
    }
    docker
}

#[test]
fn a_dry_run_that_fails_changes_nothing() {
    let folder = stack();
    let refused = "Error from server (Forbidden): pods \"alpha\" is forbidden: violates PodSecurity\n";
    let unreachable = "The connection to the server 10.0.0.1:6443 was refused - connection refused\n";
    for (stderr, code) in [(refused, 1), (unreachable, 3)] {
        let docker = docker(&services()).on("kubectl * apply *", 1, "", stderr);
        let (output, text) = run(&docker, &folder, &["--by-tag", "--apply", "--context", "production"]);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("the dry run on production failed; nothing was applied\n"), "{text}");
        assert!(text.contains(stderr.trim()) && text.contains("help: "), "{text}");
        let calls = applies(&docker);
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert!(calls[0].contains(" --dry-run=server "), "{calls:?}");
    }
}

/// A cluster that accepts all objects and forwards ports to these services.
fn cluster(alpha: u16, beta: u16) -> FakeDocker {
    let forwarding = |port: u16, target: u16| format!("Forwarding from 127.0.0.1:{port} -> {target}\n");
    docker(&services())
        .on("kubectl * apply *", 0, "statefulset.apps/alpha serverside-applied\n", "")
        .on("kubectl * port-forward * service/alpha :1001", 0, &forwarding(alpha, 1001), "")
        .on("kubectl * port-forward * service/beta :1002", 0, &forwarding(beta, 1002), "")
}

#[test]
fn what_was_accepted_is_applied_rolled_out_and_probed() {
    let folder = stack();
    let healthy = service(|request| {
        let status = if request.starts_with("GET /up HTTP/1.1") { 200 } else { 404 };
        answer(status, "text/plain", b"ok")
    });
    let docker = cluster(healthy, healthy).on("kubectl * rollout status *", 0, "", "");
    let (output, text) =
        run(&docker, &folder, &["--by-tag", "--apply", "--namespace", "demo", "--timeout", "60"]);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("applied 1 object to staging\nalpha is ready\nbeta is ready\n"), "{text}");
    let folder = folder.0.join("kubernetes/overlays/production").display().to_string();
    let apply = "kubectl --context staging --namespace demo apply --server-side --validate=false --field-manager=images";
    assert_eq!(
        applies(&docker),
        [format!("{apply} --dry-run=server --kustomize {folder}"), format!("{apply} --kustomize {folder}")]
    );
    let rollouts: Vec<String> =
        docker.calls().into_iter().filter(|call| call.contains(" rollout ")).collect();
    assert!(
        rollouts[0].ends_with(" statefulset/alpha") && rollouts[1].ends_with(" deployment/beta"),
        "{rollouts:?}"
    );
}

#[test]
fn probes_that_fail_on_the_cluster_fail_the_command() {
    let folder = stack();
    let broken = service(|_| answer(503, "text/plain", b"down"));
    let docker = cluster(broken, broken).on("kubectl * rollout status *", 0, "", "");
    let (output, text) = run(&docker, &folder, &["--by-tag", "--apply", "--timeout", "1"]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("probes did not pass: alpha · health check"), "{text}");
}

#[test]
fn a_workload_that_is_not_ready_is_shown_with_pods_logs_and_events() {
    let folder = stack();
    let docker = cluster(1, 1)
        .on("kubectl * rollout status * statefulset/alpha", 0, "", "")
        .on("kubectl * rollout status *", 1, "", "Waiting…\nerror: timed out waiting for the condition\n")
        .on("kubectl * get pods *", 0, "NAME     READY   STATUS\nbeta-1   0/1     ImagePullBackOff\n", "")
        .on("kubectl * logs *", 0, "[pod/beta-1] key open-sesame, cert mounted-sesame\n", "")
        .on("kubectl * get events *", 0, "alpha-0   Pulled   other\nbeta-1   Failed   cannot pull\n", "");
    let mut services = services();
    services["beta"]["secrets"] = json!([{ "source": "cert", "target": "cert" }]);
    let secrets = json!({ "cert": { "name": "fixture_cert", "content": "mounted-sesame" } });
    let config = json!({ "name": "fixture", "services": services, "secrets": secrets }).to_string();
    let docker = first(docker, "compose * config --format json*", 0, &config, "");
    let (output, _) = run(&docker, &folder, &["--by-tag", "--apply", "--namespace", "demo"]);
    snapshot!("kubernetes_not_ready", output, folder);
}
