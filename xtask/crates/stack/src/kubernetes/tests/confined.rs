//! Individual settings.

use super::*;

fn pod(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]
}

fn container(object: &Value) -> &Value {
    &pod(object)["containers"][0]
}

#[test]
fn a_pod_gets_no_token_no_links_no_privileges_and_the_images_user() {
    let images = BTreeMap::from([("a".to_owned(), image(json!({ "User": "65532:65532" })))]);
    let service = json!({ "image": "a", "read_only": true, "tmpfs": ["/tmp:size=64m"], "shm_size": "1024" });
    let plan = try_plan(&json!({ "name": "demo", "services": { "a": service } }), &images).unwrap();
    let object = object(&plan, "Deployment", "a");
    assert_eq!(pod(&object)["automountServiceAccountToken"], false);
    assert_eq!(pod(&object)["enableServiceLinks"], false);
    assert_eq!(
        pod(&object)["securityContext"],
        json!({ "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": { "type": "RuntimeDefault" } })
    );
    assert_eq!(
        container(&object)["securityContext"],
        json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] } })
    );
    assert_eq!(
        pod(&object)["volumes"],
        json!([{ "name": "temporary-tmp", "emptyDir": { "medium": "Memory", "sizeLimit": "64Mi" } },
            { "name": "temporary-dev-shm", "emptyDir": { "medium": "Memory", "sizeLimit": "1Ki" } }])
    );
}

#[test]
fn root_keeps_its_default_capabilities_and_is_reported() {
    let images = BTreeMap::from([("a".to_owned(), image(json!({ "User": "" })))]);
    let service =
        json!({ "image": "a", "cap_add": ["CAP_NET_ADMIN"], "privileged": true, "network_mode": "host" });
    let plan = try_plan(&json!({ "name": "demo", "services": { "a": service } }), &images).unwrap();
    let object = object(&plan, "Deployment", "a");
    assert_eq!(pod(&object)["securityContext"], json!({ "seccompProfile": { "type": "RuntimeDefault" } }));
    assert_eq!(pod(&object)["hostNetwork"], Value::Null);
    assert_eq!(container(&object)["securityContext"]["capabilities"], json!({ "add": ["NET_ADMIN"] }));
    assert_eq!(
        gaps(&plan),
        [
            "a: network_mode: host: the pod's own network",
            "a: no `restart`: always restarted",
            "a: no health check: a pod counts as ready once it runs",
            "a: privileged: true: runs unprivileged",
            "a: runs as root: the namespace must allow it",
        ]
    );
}

#[test]
fn probes_send_localhost_as_host_and_follow_the_images_times() {
    let check = json!({ "Test": ["CMD", "/check"], "Interval": 7_000_000_000_u64, "Timeout": 2_500_000_000_u64,
        "StartPeriod": 20_000_000_000_u64, "Retries": 4 });
    let images = BTreeMap::from([("a".to_owned(), image(json!({ "Healthcheck": check })))]);
    let both = json!({ "door": { "image": "a" }, "other": { "image": "a" },
        "off": { "image": "a", "healthcheck": { "disable": true } } });
    let plan = try_plan(&json!({ "name": "demo", "services": both }), &images).unwrap();
    let api = object(&plan, "Deployment", "door");
    let request =
        json!({ "path": "/health", "port": 8000, "httpHeaders": [{ "name": "Host", "value": "localhost" }] });
    assert_eq!(
        container(&api)["startupProbe"],
        json!({ "httpGet": request, "periodSeconds": 2, "timeoutSeconds": 3, "failureThreshold": 24 })
    );
    assert_eq!(
        container(&api)["readinessProbe"],
        json!({ "httpGet": request, "periodSeconds": 7, "timeoutSeconds": 3, "failureThreshold": 4 })
    );
    let other = object(&plan, "Deployment", "other");
    assert_eq!(container(&other)["livenessProbe"]["exec"], json!({ "command": ["/check"] }));
    let off = object(&plan, "Deployment", "off");
    assert_eq!(container(&off)["readinessProbe"], Value::Null);
}

#[test]
fn only_ports_published_on_all_addresses_leave_the_cluster() {
    let plan = services(json!({ "a": { "image": "a", "networks": { "default": null }, "ports": [
        { "target": 80, "published": "8080", "protocol": "tcp" },
        { "target": 81, "published": "8081", "host_ip": "127.0.0.1", "protocol": "tcp" },
        { "target": 82, "published": "8082", "host_ip": "10.0.0.5", "protocol": "tcp" }] },
        "b": { "image": "b", "networks": { "default": null, "back": null } },
        "c": { "image": "c", "networks": { "back": null } } }));
    let public = object(&plan, "Service", "a-public");
    assert_eq!(public["spec"]["type"], "LoadBalancer");
    assert_eq!(
        public["spec"]["ports"],
        json!([{ "name": "tcp-8080", "port": 8080, "targetPort": 80, "protocol": "TCP" }])
    );
    for place in ["loopback", "one address"] {
        let gap = format!("a: ports published on {place}: reachable inside the cluster only");
        assert!(gaps(&plan).iter().any(|found| found.starts_with(&gap)), "{:?}", gaps(&plan));
    }
    let ingress = |name: &str| object(&plan, "NetworkPolicy", name)["spec"]["ingress"].clone();
    let from = |rule: &Value| rule["from"][0]["podSelector"]["matchExpressions"][0]["values"].clone();
    assert_eq!(from(&ingress("a")[0]), json!(["a", "b"]));
    assert_eq!(ingress("a")[1], json!({ "ports": [{ "protocol": "TCP", "port": 80 }] }));
    assert_eq!(from(&ingress("c")[0]), json!(["b", "c"]));
    assert_eq!(ingress("c").as_array().unwrap().len(), 1);
}

#[test]
fn two_ports_of_one_name_get_two_names() {
    let ports = json!([{ "name": "web", "target": 80, "protocol": "tcp" }, { "name": "Web", "target": 81, "protocol": "tcp" }]);
    let plan = services(json!({ "a": { "image": "a", "ports": ports } }));
    let names: Vec<Value> = container(&object(&plan, "Deployment", "a"))["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["name"].clone())
        .collect();
    assert_eq!(names, ["web", "tcp-81"]);
    assert!(gaps(&plan).contains(&"a: two ports are named web: port 81 is named tcp-81".to_owned()));
}

#[test]
fn names_become_valid_and_are_reported() {
    let plan = services(json!({ "My_API": { "image": "a", "expose": ["80"] } }));
    assert_eq!(object(&plan, "Service", "my-api")["metadata"]["name"], "my-api");
    assert!(gaps(&plan).contains(
        &"My_API: invalid Kubernetes name: renamed to my-api; use my-api as the host name".to_owned()
    ));
}

#[test]
fn a_volume_of_one_service_is_its_own_and_one_of_several_is_shared() {
    let mount = |source: &str| json!({ "type": "volume", "source": source, "target": "/d" });
    let plan = services(json!({ "a": { "image": "a", "volumes": [mount("own"), mount("both")] },
        "b": { "image": "b", "volumes": [mount("both")] } }));
    let a = object(&plan, "StatefulSet", "a");
    assert_eq!(a["spec"]["volumeClaimTemplates"][0]["metadata"]["name"], "own");
    assert_eq!(
        pod(&a)["volumes"],
        json!([{ "name": "both", "persistentVolumeClaim": { "claimName": "both" } }])
    );
    object(&plan, "Deployment", "b");
    let claim = object(&plan, "PersistentVolumeClaim", "both");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
}

#[test]
fn a_secret_in_a_command_or_a_config_is_refused_without_its_value() {
    let config = json!({ "name": "demo", "configs": { "c": { "content": "password: open-sesame" } },
        "services": { "a": { "image": "a", "configs": [{ "source": "c", "target": "/c" }] } } });
    let command = json!({ "name": "demo", "services": { "a": { "image": "a", "command": ["--pass", "open-sesame"] } } });
    let check = json!({ "name": "demo", "services": { "a": { "image": "a",
        "healthcheck": { "test": ["CMD", "check", "open-sesame"] } } } });
    let whats = ["config c holds a secret", "a: command holds a secret", "a: healthcheck holds a secret"];
    for (config, what) in [config, command, check].iter().zip(whats) {
        let error = try_plan(config, &BTreeMap::new()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{what}; nothing was written\nhelp: ")), "{error}");
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn a_service_without_an_image_is_refused() {
    let config = json!({ "name": "demo", "services": { "a": { "build": { "context": "." } } } });
    let error = try_plan(&config, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("a has no image in the Compose file\nhelp: "), "{error}");
}

#[test]
fn each_path_is_mounted_once_and_each_folder_is_its_own() {
    let plan = services(json!({ "a": { "image": "a", "tmpfs": ["/a_b", "/a-b", "/a-b/"], "volumes": [
        { "type": "bind", "source": "/srv", "target": "/srv" },
        { "type": "bind", "source": "/etc/x", "target": "/x", "read_only": true }] } }));
    let object = object(&plan, "Deployment", "a");
    assert_eq!(
        container(&object)["volumeMounts"],
        json!([{ "name": "temporary-srv", "mountPath": "/srv" }, { "name": "temporary-a-b", "mountPath": "/a_b" },
            { "name": "temporary-2", "mountPath": "/a-b" }])
    );
    let gaps = gaps(&plan);
    assert!(gaps.contains(&"a: bind mount at /srv: an emptyDir, deleted with the pod".to_owned()));
    assert!(gaps.contains(&"a: bind mount at /x: not mounted".to_owned()), "{gaps:?}");
}

#[test]
fn restart_policies_that_differ_are_reported() {
    let plan = services(json!({
        "always": { "image": "a", "restart": "always" },
        "any": { "image": "a", "deploy": { "restart_policy": {} } },
        "failure": { "image": "a", "restart": "on-failure:3" },
        "job": { "image": "a" },
        "missing": { "image": "a" },
        "no": { "image": "a", "restart": "no", "depends_on": { "job": { "condition": "service_completed_successfully" } } },
        "policy": { "image": "a", "deploy": { "restart_policy": { "condition": "none" } } },
    }));
    let gaps: Vec<String> = gaps(&plan).into_iter().filter(|gap| gap.contains("restart")).collect();
    assert_eq!(
        gaps,
        [
            "no: `restart: no`: always restarted",
            "failure: `restart: on-failure:3`: always restarted",
            "policy: `restart_policy.condition: none`: always restarted",
            "missing: no `restart`: always restarted",
            "job: no `restart`: retried if it fails",
        ]
    );
}
