//! The images that this repository built keep the contract of their services, whichever variant and edition: read from the
//! manifest, so that a new service is tested as soon as it is declared.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::containers::{Running, docker, image, said, the_manifest, variants_of};
use model::edition::Edition;
use model::manifest::Service;
use model::variant::Variant;
use serde_json::Value;

fn keeps_the_contract(service: &Service, edition: Edition, variant: Variant) {
    let running = Running::start(service, edition, variant);
    running.wait_until_healthy();
    let (status, body) = running.get(service, "/health");
    let health: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
    assert_eq!(status, 200);
    assert_eq!(health["status"], "ok");
    assert_eq!(health["service"], service.name.as_str());
    assert_eq!(health["edition"], edition.name());
    adds_what_is_declared(service, edition, variant, &running, &health);
    assert_eq!(health["version"], the_manifest().version.as_str());
    let (status, body) = running.get(service, "/v1/there-is-no-such-path.json");
    let error: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    // A page server answers unknown page routes with its page; whoever answers with an error has the error's shape.
    assert!(status == 200 || error["error"]["code"].is_string(), "{status} {body}");

    assert_eq!(running.inspect("{{.Config.User}}").split(':').next(), Some("65532"));
    let label = |name: &str| {
        said(&[
            "image",
            "inspect",
            "--format",
            &format!("{{{{index .Config.Labels \"{name}\"}}}}"),
            &image(service, edition, variant),
        ])
    };
    assert_eq!(label("sutra.images.variant"), variant.name());
    assert_eq!(label("sutra.images.edition"), edition.name());
    assert_eq!(label("org.opencontainers.image.version"), the_manifest().version);
    let revision = label("org.opencontainers.image.revision");
    let commit = revision.trim_end_matches("-dirty");
    assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{revision}");

    // 137 would be the kill that docker sends when the ten seconds are over.
    said(&["stop", "--time=10", &running.id]);
    assert_eq!(running.inspect("{{.State.ExitCode}}"), "0", "{}", running.logs());
    for line in String::from_utf8_lossy(&docker(&["logs", &running.id]).stdout).lines() {
        assert!(
            serde_json::from_str::<Value>(line).is_ok_and(|log| log.is_object()),
            "no JSON log line: {line}"
        );
    }
}

/// What the manifest declares for an edition is what its image shows: limits, capabilities and packages, no less and no
/// more.
fn adds_what_is_declared(
    service: &Service,
    edition: Edition,
    variant: Variant,
    running: &Running,
    health: &Value,
) {
    let shown: BTreeMap<&str, u64> = health["limits"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            (name.as_str(), value.as_u64().unwrap_or_else(|| panic!("limit {name}: {value}")))
        })
        .collect();
    assert_eq!(service.editions.limits(edition), shown, "limits of {} {edition}", service.name);

    let capabilities = service.editions.capabilities(Edition::named("enterprise"));
    if !capabilities.is_empty() {
        let (status, body) = running.get(service, "/capabilities");
        assert_eq!(status, 200, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        let shown = body["capabilities"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        assert_eq!(service.editions.capabilities(edition), shown.collect::<BTreeSet<_>>());
    }

    if is_python(service) {
        let more = listed(service, edition, variant);
        let simple = listed(service, Edition::named("simple"), variant);
        let added: BTreeSet<String> = more.difference(&simple).cloned().collect();
        let declared: BTreeSet<String> =
            service.editions.packages(edition).into_iter().map(str::to_owned).collect();
        assert_eq!(declared, added, "what {edition} adds to {}", service.name);
        assert!(simple.is_subset(&more), "{} {edition} lacks what simple has", service.name);
    }
}

/// Whether the service is one in Python: its original says so.
fn is_python(service: &Service) -> bool {
    let dockerfile = std::fs::read_to_string(
        crate::support::containers::root().join(service.dockerfile(Variant::Original).unwrap()),
    )
    .unwrap();
    dockerfile.contains("FROM python:")
}

/// The packages that an image's own list names.
fn listed(service: &Service, edition: Edition, variant: Variant) -> BTreeSet<String> {
    let text = said(&["run", "--rm", &image(service, edition, variant), "pip", "list"]).to_lowercase();
    // Two lines of heading come first.
    text.lines().skip(2).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn every_image_keeps_its_services_contract() {
    let _turn = crate::support::turn::take(module_path!());
    let manifest = the_manifest();
    assert!(manifest.services.len() >= 3);
    for service in &manifest.services {
        for &variant in variants_of(service) {
            println!("{} {variant}", service.name);
            keeps_the_contract(service, Edition::named("simple"), variant);
        }
    }
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn optimized_images_of_the_other_editions_keep_it_too() {
    let _turn = crate::support::turn::take(module_path!());
    for service in &the_manifest().services {
        for edition in [Edition::named("community"), Edition::named("enterprise")] {
            println!("{} {edition}", service.name);
            keeps_the_contract(service, edition, Variant::Optimized);
        }
    }
}

fn answers_the_guides_commands(service: &Service, variant: Variant) {
    let image = image(service, Edition::named("simple"), variant);
    assert!(said(&["run", "--rm", &image, "python", "--version"]).starts_with("Python 3.13"));
    assert!(said(&["run", "--rm", &image, "pip", "list"]).to_lowercase().contains("fastapi"));
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn python_images_answer_the_guides_commands() {
    let _turn = crate::support::turn::take(module_path!());
    let mut asked = 0;
    for service in &the_manifest().services {
        if !is_python(service) {
            continue;
        }
        for &variant in variants_of(service) {
            asked += 1;
            answers_the_guides_commands(service, variant);
        }
    }
    assert!(asked > 0, "no Python image was found");
}

mod full {
    use super::*;

    #[test]
    #[ignore = "needs the large originals: cargo xtask ci --full"]
    fn large_originals_keep_the_contract_too() {
        let _turn = crate::support::turn::take(module_path!());
        for service in the_manifest().services.iter().filter(|service| service.large_original) {
            keeps_the_contract(service, Edition::named("simple"), Variant::Original);
            if is_python(service) {
                answers_the_guides_commands(service, Variant::Original);
            }
        }
    }
}
