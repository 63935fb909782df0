//! `deploy --kubernetes` with the real kubectl: kustomize builds the tree, and kubectl applies it to a mock API server.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::kubernetes::{docker, services, stack};
use crate::support::service::{answer, service};
use crate::support::{Folder, program, told, xtask};

fn kustomize(folder: &Path) -> String {
    let output = Command::new("kubectl").arg("kustomize").arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn kustomize_builds_this_repositorys_own_stack() {
    let (root, out) = (Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), Folder::new());
    let folder = out.0.join("kubernetes");
    let mut command = program();
    command.args([
        "deploy",
        "--kubernetes",
        "--by-tag",
        "--registry",
        "hub.example/t",
        "--namespace",
        "sutra",
    ]);
    command.arg("--output").arg(&folder).arg("--root").arg(&root);
    for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_REGISTRY", "COMPOSE_PROFILES"] {
        command.env_remove(name);
    }
    let output = command
        .env("SUTRA_API_KEYS", "hashed-one")
        .env("SUTRA_CONTROL_USERS", "hashed-two")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &out));
    let built = kustomize(&folder.join("overlays/production"));
    insta::with_settings!({
        // Hashes in the names of Secrets, and their values.
        filters => vec![(r"(env-[a-z-]+)-[0-9a-z]{10}", "$1-[HASH]"), (r"(SUTRA_\w+): [0-9A-Za-z+/=]+\n", "$1: [BASE64]\n")],
        omit_expression => true,
        prepend_module_to_snapshot => false,
    }, {
        insta::assert_snapshot!("kubernetes_sutra", built);
    });
}

/// A mock API server for the kinds in this tree that rejects objects with one name. Returns its port and the changes it receives: method,
/// path and query.
fn api(refused: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let port = service(move |request| {
        let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
        let line = head.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
        let (method, path) = line.split_once(' ').unwrap_or_default();
        let (status, object) = match method {
            "PATCH" => {
                seen.lock().unwrap().push(line.to_owned());
                let name = path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                match name == refused {
                    true => {
                        (403, status(403, "Forbidden", &format!("{name} is forbidden: violates PodSecurity")))
                    }
                    false => (200, serde_json::from_str(body).unwrap()),
                }
            }
            _ => read(path),
        };
        answer(status, "application/json", object.to_string().as_bytes())
    });
    (port, changes)
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": message })
}

/// Kinds by API group and version, for discovery.
const KINDS: [(&str, &[(&str, &str)]); 3] = [
    ("v1", &[("services", "Service"), ("secrets", "Secret")]),
    ("apps/v1", &[("deployments", "Deployment"), ("statefulsets", "StatefulSet")]),
    ("networking.k8s.io/v1", &[("networkpolicies", "NetworkPolicy")]),
];

/// Answers discovery requests, and reports workloads as ready.
fn read(target: &str) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = path.trim_start_matches("/apis/").trim_start_matches("/api/");
    if let Some((version, kinds)) = KINDS.iter().find(|(version, _)| *version == group) {
        let resources = kinds.iter().map(|(name, kind)| {
            json!({ "name": name, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get", "list", "patch"] })
        });
        let resources: Vec<Value> = resources.collect();
        let list = json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": resources });
        return (200, list);
    }
    match parts.as_slice() {
        ["api"] => (200, json!({ "kind": "APIVersions", "versions": ["v1"] })),
        ["apis"] => {
            let groups = KINDS.iter().filter_map(|(version, _)| Some((version, version.split_once('/')?.0)));
            let groups = groups.map(|(version, name)| {
                let version = json!({ "groupVersion": version, "version": "v1" });
                json!({ "name": name, "versions": [version], "preferredVersion": version })
            });
            let groups: Vec<Value> = groups.collect();
            (200, json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups }))
        }
        ["apis", "apps", "v1", "namespaces", _, kind, name] => (200, ready(kind, name)),
        ["apis", "apps", "v1", "namespaces", _, kind] => {
            let name = query.split("metadata.name%3D").nth(1).unwrap_or_default();
            let object = ready(kind, name.split('&').next().unwrap_or_default());
            if query.contains("watch=") {
                return (200, json!({ "type": "MODIFIED", "object": object }));
            }
            let list = format!("{}List", object["kind"].as_str().unwrap_or_default());
            let metadata = json!({ "resourceVersion": "1" });
            (200, json!({ "kind": list, "apiVersion": "apps/v1", "metadata": metadata, "items": [object] }))
        }
        _ => (404, status(404, "NotFound", "not found")),
    }
}

fn ready(kind: &str, name: &str) -> Value {
    let is_set = kind == "statefulsets";
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": if is_set { "StatefulSet" } else { "Deployment" },
        "metadata": { "name": name, "namespace": "default", "generation": 1, "resourceVersion": "1" },
        "spec": { "replicas": 1 },
        "status": { "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1 },
    });
    if is_set {
        object["spec"]["updateStrategy"] = json!({ "type": "RollingUpdate" });
        object["status"]["currentRevision"] = json!("one");
        object["status"]["updateRevision"] = json!("one");
    }
    object
}

/// Applies the fixture's stack to the mock API server.
fn apply(port: u16) -> (Output, String) {
    let (folder, docker) = (stack(), docker(&services()));
    let config = json!({ "apiVersion": "v1", "kind": "Config", "current-context": "scripted",
        "clusters": [{ "name": "c", "cluster": { "server": format!("http://127.0.0.1:{port}") } }],
        "contexts": [{ "name": "scripted", "context": { "cluster": "c", "user": "u" } }],
        "users": [{ "name": "u", "user": {} }] });
    folder.write("kubeconfig", &config.to_string());
    let bin = docker.folder.0.join("bin");
    std::fs::remove_file(bin.join("kubectl")).unwrap();
    // The fake docker comes first on PATH; kubectl is the real one.
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let args =
        ["deploy", "--kubernetes", "--by-tag", "--registry", "hub.example/t", "--apply", "--timeout", "30"];
    let mut command = xtask(Path::new(&path), &folder, &args);
    command.env("FAKE_DOCKER", &docker.folder.0).env("HOME", &folder.0);
    let output = command.env("KUBECONFIG", folder.0.join("kubeconfig")).output().unwrap();
    let text = told(&output, &folder);
    (output, text)
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn one_refused_object_leaves_the_cluster_as_it_is() {
    let (port, changes) = api("beta");
    let (output, text) = apply(port);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("the dry run on scripted failed; nothing was applied\n"), "{text}");
    assert!(text.contains("beta is forbidden: violates PodSecurity") && !text.contains("sesame"), "{text}");
    let changes = changes.lock().unwrap().clone();
    assert!(changes.len() > 4 && changes.iter().all(|change| change.contains("dryRun=All")), "{changes:?}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn accepted_objects_are_applied_after_the_dry_run_of_all() {
    let (port, changes) = api("none");
    let (output, text) = apply(port);
    // The mock server does not support port forwarding.
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("applied 8 objects to scripted\nalpha is ready\nbeta is ready\n"), "{text}");
    assert!(text.contains("cannot forward a port to alpha: Error from server (NotFound)"), "{text}");
    let changes = changes.lock().unwrap().clone();
    let first_real = changes.iter().position(|change| !change.contains("dryRun=All")).unwrap();
    assert_eq!((changes.len(), first_real), (16, 8), "{changes:?}");
    assert!(changes[first_real..].iter().all(|change| !change.contains("dryRun")), "{changes:?}");
}
