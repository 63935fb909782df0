//! The output of Compose 2.26 for a file with most settings that a cluster uses.

use super::*;

const ANSWER: &str = include_str!("compose-2.26.json");

#[test]
fn everything_in_the_answer_is_read() {
    let project = ClusterProject::read(ANSWER).unwrap();
    let service = &project.services["a"];
    let port = |at: usize| (service.ports[at].published.as_deref(), service.ports[at].is_loopback());
    assert_eq!([port(0), port(2), port(3)], [(Some("80"), true), (None, false), (Some("8000-8001"), false)]);
    assert_eq!(service.environment["A"].as_ref().map(Hidden::reveal), Some("b$c"));
    assert_eq!(service.environment["B"], None);
    assert_eq!(service.labels["price"], "$5");
    assert_eq!((service.replicas(), service.limits().cpus.as_deref()), (2, Some("0.5")));
    assert_eq!(service.reservations().memory.as_deref(), Some("10485760"));
    assert_eq!(service.ulimits["nofile"], Ulimit::Pair { soft: 1, hard: 2 });
    assert_eq!(service.volumes[2].tmpfs.size.as_deref(), Some("1048576"));
    assert_eq!(service.healthcheck.as_ref().unwrap().interval.as_deref(), Some("1m30s"));
    assert_eq!(service.networks["n"].aliases, ["z"]);
    assert!(project.networks["n"].internal && service.read_only && service.privileged);
    assert_eq!(project.services["b"].network_mode.as_deref(), Some("host"));
}

#[test]
fn keys_that_are_not_read_are_named_without_their_values() {
    let text = ANSWER.replacen("\"services\":", "\"models\": {}, \"x-mine\": 1, \"services\":", 1);
    let text = text.replacen("\"hostname\":", "\"credential_spec\": {\"file\": \"s\"}, \"hostname\":", 1);
    let found: Vec<String> = ClusterProject::read(&text)
        .unwrap()
        .unread()
        .into_iter()
        .map(|found| format!("{}: {}", found.service.unwrap_or_default(), found.key))
        .collect();
    assert_eq!(
        found,
        [
            ": models",
            "a: credential_spec",
            "a: networks.n.ipv4_address",
            "a: deploy.resources.reservations.devices"
        ]
    );
}

#[test]
fn no_value_of_the_environment_is_in_debug_output() {
    let project = ClusterProject::read(ANSWER).unwrap();
    assert!(!format!("{project:?}").contains("sesame"));
}

#[test]
fn only_ports_of_all_addresses_are_public() {
    let port = |address: &str| -> ClusterPort {
        serde_json::from_value(serde_json::json!({ "host_ip": address, "target": 80 })).unwrap()
    };
    for (address, public) in [
        ("", true),
        ("0.0.0.0", true),
        ("::", true),
        ("127.0.0.1", false),
        ("::1", false),
        ("10.0.0.5", false),
    ] {
        assert_eq!(port(address).is_public(), public, "{address}");
    }
    assert!(ClusterPort::default().is_public());
}
