//! The images of a stack's services, by digest. Every node pulls them from a registry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::switch::own_images::OwnImages;
use build::push::digests::Digests;
use engine::compose::cluster::ClusterProject;
use engine::docker::Docker;
use engine::images::Image;
use host::program::PROGRAM;
use model::image_ref::{ImageRef, Registry};

/// Each service's image with its digest, or why it has none, followed by `help: ` and the remedy. `registry` applies only to images that
/// this repository builds.
///
/// # Errors
/// When docker fails.
pub fn pinned(
    project: &ClusterProject,
    own: &OwnImages<'_>,
    pushed: &Digests,
    registry: Option<&Registry>,
    docker: &Docker,
) -> Result<BTreeMap<String, Result<String, String>>> {
    let services = || project.services.iter().filter(|(_, service)| !service.image.is_empty());
    let references: BTreeSet<String> = services().map(|(_, service)| service.image.clone()).collect();
    let local = docker.inspect(&references.into_iter().collect::<Vec<_>>())?;
    let pin = |image: &String| pin(image, own.builds(image), local.get(image), pushed, registry);
    Ok(services().map(|(name, service)| (name.clone(), pin(&service.image))).collect())
}

/// A reference with its digest from the last push of this checkout, else from the last pull. `is_own`: whether this repository builds it.
fn pin(
    reference: &str,
    is_own: bool,
    local: Option<&Image>,
    pushed: &Digests,
    registry: Option<&Registry>,
) -> Result<String, String> {
    if reference.contains("@sha256:") {
        return Ok(reference.to_owned());
    }
    let with_digest = |reference: &str, digest: &str| format!("{reference}@{digest}");
    if let Some(digest) = pushed.digest_of(reference, local) {
        return Ok(with_digest(reference, digest));
    }
    let registry = registry.filter(|_| is_own);
    let at_registry = registry.map(|registry| ImageRef::of_text(reference).at(registry).to_string());
    let known: BTreeSet<&str> = pushed
        .tags_of(reference)
        .filter(|tag| is_own && at_registry.as_ref().is_none_or(|wanted| tag == wanted))
        .collect();
    let current: Vec<String> =
        known.iter().filter_map(|tag| Some(with_digest(tag, pushed.digest_of(tag, local)?))).collect();
    match current.as_slice() {
        [image] => return Ok(image.clone()),
        [] => {}
        several => {
            let names = several.iter().filter_map(|image| Some(image.split_once('@')?.0)).collect::<Vec<_>>();
            return Err(format!(
                "{reference} was pushed to several registries: {}\nhelp: choose one with --registry",
                names.join(", ")
            ));
        }
    }
    // The containerd store lists an image's digest under all its names, even if it was never pushed or pulled.
    let pulled = local.and_then(|image| image.digest_at(reference).filter(|digest| *digest != image.id));
    if let Some(digest) = pulled.filter(|_| registry.is_none()) {
        return Ok(with_digest(reference, digest));
    }
    let push = format!("\nhelp: push it first: `{PROGRAM} push --registry REGISTRY`");
    Err(match (known.is_empty(), local) {
        (false, _) => format!("{reference} was rebuilt after the last push{push}"),
        (true, Some(_)) => format!("{reference} was not pushed, so nodes cannot pull it{push}"),
        (true, None) => format!(
            "{reference} was neither pushed from this checkout nor pulled{push}, or, for a third-party image, \
             `docker pull {reference}`"
        ),
    })
}

#[cfg(test)]
mod tests {
    use build::request::ServiceImage;
    use model::edition::Edition;
    use model::variant::Variant;

    use super::*;

    fn pushed(references: &[&str]) -> Digests {
        let image = ServiceImage {
            platform: None,
            service: "a".into(),
            edition: Edition::named("simple"),
            variant: Variant::Optimized,
        };
        let mut digests = Digests::default();
        for reference in references {
            digests.add(reference, &image, "sha256:id", "sha256:d");
        }
        digests
    }

    fn image(text: &str) -> Image {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn images_of_this_checkout_are_pinned_to_their_push() {
        let record = pushed(&["r.example/t/fx-a:1"]);
        let same = image(r#"{"Id":"sha256:id"}"#);
        let expected = Ok("r.example/t/fx-a:1@sha256:d".to_owned());
        for reference in ["fx-a:1", "r.example/t/fx-a:1"] {
            assert_eq!(pin(reference, true, None, &record, None), expected);
            assert_eq!(pin(reference, true, Some(&same), &record, None), expected);
        }
        let rebuilt = pin("fx-a:1", true, Some(&image(r#"{"Id":"sha256:new"}"#)), &record, None).unwrap_err();
        assert_eq!(
            rebuilt,
            "fx-a:1 was rebuilt after the last push\nhelp: push it first: `cargo xtask push --registry REGISTRY`"
        );
        assert!(
            pin("fx-b:1", true, Some(&same), &record, None).unwrap_err().starts_with("fx-b:1 was not pushed")
        );
    }

    #[test]
    fn two_registries_need_a_choice() {
        let record = pushed(&["r.example/fx-a:1", "s.example/fx-a:1"]);
        assert!(
            pin("fx-a:1", true, None, &record, None)
                .unwrap_err()
                .contains("help: choose one with --registry")
        );
        let registry: Registry = "s.example".parse().unwrap();
        assert_eq!(pin("fx-a:1", true, None, &record, Some(&registry)).unwrap(), "s.example/fx-a:1@sha256:d");
    }

    #[test]
    fn pulled_images_are_pinned_to_their_pull() {
        let pulled = image(r#"{"Id":"sha256:id","RepoDigests":["postgres@sha256:p"]}"#);
        let record = Digests::default();
        assert_eq!(pin("postgres:16", false, Some(&pulled), &record, None).unwrap(), "postgres:16@sha256:p");
        // On the containerd store, the digest of a locally built image is its ID.
        let built = image(r#"{"Id":"sha256:p","RepoDigests":["postgres@sha256:p"]}"#);
        assert!(pin("postgres:16", false, Some(&built), &record, None).is_err());
        assert!(
            pin("postgres:16", false, None, &record, None).unwrap_err().contains("docker pull postgres:16")
        );
    }

    #[test]
    fn images_of_others_keep_their_name() {
        let registry: Registry = "r.example".parse().unwrap();
        let pulled = image(r#"{"Id":"sha256:id","RepoDigests":["postgres@sha256:p"]}"#);
        let record = pushed(&["r.example/t/fx-a:1"]);
        let found = pin("postgres:16", false, Some(&pulled), &record, Some(&registry));
        assert_eq!(found.unwrap(), "postgres:16@sha256:p");
        let pulled = image(r#"{"Id":"sha256:id","RepoDigests":["other.example/t/fx-a@sha256:p"]}"#);
        let found = pin("other.example/t/fx-a:1", false, Some(&pulled), &record, Some(&registry));
        assert_eq!(found.unwrap(), "other.example/t/fx-a:1@sha256:p");
        // An image of this repository must come from the registry.
        let pulled = image(r#"{"Id":"sha256:new","RepoDigests":["fx-a@sha256:p"]}"#);
        assert!(pin("fx-a:1", true, Some(&pulled), &record, Some(&registry)).is_err());
    }
}
