//! Plans and trees of whole Compose files.

mod api;
mod confined;
mod written;

use std::collections::BTreeMap;

use engine::compose::cluster::ClusterProject;
use engine::images::Image;
use model::manifest::{Manifest, Secret, Service};
use serde_json::{Value, json};

use crate::kubernetes::objects::Common;
use crate::kubernetes::plan::KubernetesPlan;
use crate::kubernetes::planner::{PlanInput, plan};
use crate::kubernetes::tree::{Overlay, Pin, PinnedImage, Tree, documents};
use crate::secrecy::SecretFinder;

/// Output of Compose 2.26 for a file with most keys relevant to clusters.
const EVERYTHING: &str = include_str!("../../../../engine/src/compose/cluster/compose-2.26.json");

fn manifest() -> Manifest {
    let secret = Secret {
        variable: "API_USERS".into(),
        plain: "API_USER".into(),
        file_variable: None,
        command: vec!["new".into()],
    };
    let api = Service {
        name: "door".into(),
        compose: Some("door".into()),
        port: Some(8000),
        health: Some("/health".into()),
        secrets: vec![secret],
        ..Service::default()
    };
    Manifest { services: vec![api], ..Manifest::default() }
}

fn try_plan(config: &Value, images: &BTreeMap<String, Image>) -> anyhow::Result<KubernetesPlan> {
    let manifest = manifest();
    let variables = BTreeMap::from([("DB_PASSWORD".to_owned(), "open-sesame".to_owned())]);
    let secrets = SecretFinder::new(&manifest, &variables)?;
    plan(&PlanInput {
        project: &ClusterProject::read(&config.to_string())?,
        manifest: &manifest,
        images,
        variables: &variables,
        secrets: &secrets,
    })
}

/// A plan of these services.
fn services(services: Value) -> KubernetesPlan {
    try_plan(&json!({ "name": "demo", "services": services }), &BTreeMap::new()).unwrap()
}

fn image(config: Value) -> Image {
    serde_json::from_value(json!({ "Id": "sha256:1", "Config": config })).unwrap()
}

fn common() -> Common {
    Common { project: "demo".into(), volume_size: "1Gi".into(), pull_secrets: vec!["registry".into()] }
}

fn tree(plan: &KubernetesPlan) -> Tree {
    let images = plan.workloads.iter().map(|workload| {
        let pin = Pin::Digest(format!("sha256:{}", "0".repeat(64)));
        (workload.name.clone(), PinnedImage { repository: format!("hub.example/{}", workload.name), pin })
    });
    let images = images.collect();
    Tree::new(plan, &common(), &Overlay { name: "production", namespace: Some("demo"), images: &images })
        .unwrap()
}

/// All objects as JSON, by kind and name.
fn objects(plan: &KubernetesPlan) -> BTreeMap<(String, String), Value> {
    let documents = documents(plan, &common());
    let objects = documents.values().flatten().map(|document| document.json());
    objects
        .map(|object| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            ((text(&object["kind"]), text(&object["metadata"]["name"])), object)
        })
        .collect()
}

fn object(plan: &KubernetesPlan, kind: &str, name: &str) -> Value {
    let mut objects = objects(plan);
    objects.remove(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn gaps(plan: &KubernetesPlan) -> Vec<String> {
    plan.gaps.iter().map(ToString::to_string).collect()
}
