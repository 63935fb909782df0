//! SLSA provenance (v1) of an image, from its labels: the same for the same image, whenever and wherever it is pushed.

use serde_json::{Value, json};

use crate::request::ServiceImage;
use engine::images::Image;
use engine::labels;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use model::manifest::Manifest;

/// BuildKit's definition of the fields; this is a subset.
const BUILD_TYPE: &str = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md";
/// What built the image. The owner of the key vouches for it.
const BUILDER: &str = "https://github.com/moby/buildkit";

/// The provenance of an image. `source`: the location of the repository with its commit.
///
/// # Errors
/// When the image was not built from a commit.
pub(super) fn of(
    tag: &str,
    image: &Image,
    service_image: &ServiceImage,
    manifest: &Manifest,
    source: Option<&str>,
) -> Result<Value, Failure> {
    let commit = commit(tag, image)?;
    let project = &manifest.project;
    let service = manifest.services.iter().find(|service| service.name == service_image.service);
    let dockerfile = service.and_then(|service| service.dockerfile(service_image.variant));
    let mut config = json!({"digest": {"sha1": commit}});
    let mut dependency = json!({"name": "source", "digest": {"gitCommit": commit}});
    if let Some(source) = source {
        config["uri"] = source.into();
        dependency["uri"] = source.into();
    }
    if let Some(dockerfile) = dockerfile {
        config["path"] = dockerfile.into();
    }
    let label = |name: &str| image.label(name).map(str::to_owned);
    let internal = json!({
        "service": service_image.service,
        "variant": service_image.variant,
        "edition": label(&labels::edition(project)),
        "platform": image.platform().to_string(),
        "bases": label(&labels::bases(project)),
        "fingerprint": label(&labels::fingerprint(project)),
        "packagesAsOf": label(&labels::packages_as_of(project)),
    });
    Ok(json!({
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"configSource": config, "request": {"frontend": "dockerfile.v0"}},
            "internalParameters": without_nulls(internal),
            "resolvedDependencies": [dependency],
        },
        "runDetails": {"builder": {"id": BUILDER}},
    }))
}

/// The commit that a provenance predicate names.
pub(super) fn commit_of(predicate: &Value) -> Option<&str> {
    predicate["buildDefinition"]["externalParameters"]["configSource"]["digest"]["sha1"].as_str()
}

fn commit<'i>(tag: &str, image: &'i Image) -> Result<&'i str, Failure> {
    let revision = image.label(labels::REVISION).unwrap_or_default();
    let is_commit =
        matches!(revision.len(), 40 | 64) && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit {
        return Ok(revision);
    }
    let (from, first) = match revision.strip_suffix("-dirty") {
        Some(_) => ("from uncommitted changes", "commit them"),
        None => ("outside a git checkout", "clone the repository"),
    };
    let what = format!("nothing was pushed: {tag} was built {from}, so provenance cannot name its sources");
    let help = format!("{first}, run `{PROGRAM} build-images`, then push again");
    Err(Failure::new(FailureClass::Failed, what, help))
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// A repository's address as an SPDX download location (SPDX 2.3, 7.7), without an account. `None` for a local path.
pub(super) fn source(url: &str) -> Option<String> {
    if let Some((scheme, rest)) = url.split_once("://") {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit('@').next().unwrap_or(host);
        return (scheme != "file").then(|| format!("git+{scheme}://{host}/{path}"));
    }
    // `git@host:path` (git-clone(1), "GIT URLS").
    let (host, path) = url.split_once(':').filter(|(host, _)| !host.contains('/'))?;
    let host = host.rsplit('@').next().unwrap_or(host);
    Some(format!("git+ssh://{host}/{}", path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_not_part_of_the_source() {
        let hidden = "pass-word";
        for (url, expected) in [
            (format!("https://user:{hidden}@git.example/t/x.git"), Some("git+https://git.example/t/x.git")),
            ("https://git.example/t/x".to_owned(), Some("git+https://git.example/t/x")),
            ("ssh://git@git.example:22/t/x".to_owned(), Some("git+ssh://git.example:22/t/x")),
            ("git@git.example:t/x.git".to_owned(), Some("git+ssh://git.example/t/x.git")),
            ("/srv/x.git".to_owned(), None),
            ("../x:y".to_owned(), None),
            ("file:///srv/x.git".to_owned(), None),
        ] {
            assert_eq!(source(&url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn an_image_of_uncommitted_changes_is_refused() {
        let image = |revision: &str| -> Image {
            serde_json::from_value(json!({"Config": {"Labels": {labels::REVISION: revision}}})).unwrap()
        };
        let id = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit("x:1", &image(id)).unwrap(), id);
        let dirty = commit("x:1", &image(&format!("{id}-dirty"))).unwrap_err().what;
        assert!(dirty.contains("x:1 was built from uncommitted changes"), "{dirty}");
        for other in ["unknown", "", "0123"] {
            assert!(commit("x:1", &image(other)).unwrap_err().what.contains("built outside a git checkout"));
        }
    }
}
