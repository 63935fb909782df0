//! Every object round-trips through the typed Kubernetes API.

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::yaml::tests::read;

/// Unknown fields are lost in the round trip, so the result differs.
fn assert_typed(object: &Value) {
    fn through<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
        let typed: T =
            serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object:#}"));
        serde_json::to_value(typed).unwrap()
    }
    let typed = match object["kind"].as_str().unwrap() {
        "Deployment" => through::<Deployment>(object),
        "StatefulSet" => through::<StatefulSet>(object),
        "Job" => through::<Job>(object),
        "Service" => through::<Service>(object),
        "PersistentVolumeClaim" => through::<PersistentVolumeClaim>(object),
        "NetworkPolicy" => through::<NetworkPolicy>(object),
        kind => panic!("no type for {kind}"),
    };
    assert_eq!(typed, *object);
}

#[test]
fn a_field_that_the_api_does_not_have_is_noticed() {
    let plan = services(json!({ "a": { "image": "a" } }));
    let mut object = object(&plan, "Deployment", "a");
    assert_typed(&object);
    object["spec"]["template"]["spec"]["containers"][0]["imagePolicy"] = json!("Always");
    assert!(std::panic::catch_unwind(|| assert_typed(&object)).is_err());
}

#[test]
fn every_object_of_a_file_with_everything_is_one_of_the_api() {
    let config: Value = serde_json::from_str(EVERYTHING).unwrap();
    let mut config = config;
    // The secret's file does not exist on this machine.
    config["secrets"]["s1"] = json!({ "name": "s1", "environment": "DB_PASSWORD" });
    config["configs"]["c1"]["content"] = json!("plain");
    config["services"]["job"] =
        json!({ "image": "j", "volumes": [{"type": "volume", "source": "data", "target": "/d"}] });
    config["services"]["b"]["depends_on"] =
        json!({ "job": { "condition": "service_completed_successfully" } });
    config["networks"]["default"]["internal"] = json!(true);
    config["services"]["c"] = json!({ "image": "c", "networks": { "n": null }, "volumes": [
        {"type": "volume", "source": "own", "target": "/d", "read_only": true}] });
    let images = BTreeMap::from([(
        "c".to_owned(),
        image(
            json!({ "User": "nobody", "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "Volumes": { "/v": {} },
            "Healthcheck": { "Test": ["CMD-SHELL", "test -e /up"], "Interval": 1_500_000_000_u64 } }),
        ),
    )]);
    let plan = try_plan(&config, &images).unwrap();
    let objects = objects(&plan);
    objects.values().for_each(assert_typed);
    let kinds: Vec<String> = objects.keys().map(|(kind, name)| format!("{kind} {name}")).collect();
    assert_eq!(
        kinds,
        [
            "Deployment a",
            "Deployment b",
            "Job job",
            "NetworkPolicy a",
            "NetworkPolicy b",
            "NetworkPolicy c",
            "NetworkPolicy job",
            "PersistentVolumeClaim data",
            "Service a",
            "Service a-public",
            "Service c",
            "Service z",
            "StatefulSet c",
        ]
    );
}

#[test]
fn the_text_of_every_object_reads_back_as_the_object() {
    let mut config: Value = serde_json::from_str(EVERYTHING).unwrap();
    config["secrets"]["s1"] = json!({ "name": "s1", "environment": "DB_PASSWORD" });
    config["configs"]["c1"]["content"] = json!("plain");
    let plan = try_plan(&config, &BTreeMap::new()).unwrap();
    for document in documents(&plan, &common()).values().flatten() {
        assert_eq!(read(&document.text().unwrap()), *document);
    }
}
