//! The inputs of a build in its provenance: base images, arguments, Dockerfiles and contexts.

use anyhow::Result;
use serde_json::{Value, json};

use crate::build_inputs::{BuildInputs, TargetInputs};
use engine::context::Context;
use engine::images::Image;
use engine::labels;
use host::program::PROGRAM;
use model::image_ref::{ImageRef, familiar};
use model::manifest::Manifest;
use model::platform::Platform;

/// Adds the inputs of an image to its provenance, if this checkout recorded them.
///
/// # Errors
/// When the record cannot be read, or docker fails.
pub(super) fn add(
    provenance: &mut Value,
    tag: &str,
    image: &Image,
    manifest: &Manifest,
    context: &Context,
) -> Result<()> {
    let project = &manifest.project;
    let hash = image.label(&labels::fingerprint(project));
    let recorded = hash.map(|hash| BuildInputs::recorded(hash, &context.repository)).transpose()?.flatten();
    let Some(mut inputs) = recorded else {
        context.terminal.warn(format!(
            "provenance of {tag} lacks base images and build arguments: this checkout has no record of the build\n\
             help: to add them, run `{PROGRAM} build-images` with the same options here, then push"
        ));
        return Ok(());
    };
    if image.label(&labels::newer_bases(project)).is_some() {
        // The build may have pulled newer images than the fingerprint covers.
        inputs.images.values_mut().for_each(|id| *id = None);
    }
    let names: Vec<String> = inputs.images.keys().cloned().collect();
    let found = context.docker.inspect(&names)?;
    let dependencies = inputs.images.iter().map(|(name, id)| {
        let found = found.get(name).filter(|found| Some(&found.id) == id.as_ref());
        let platform = found.map(Image::platform);
        dependency(name, id.as_deref(), found.and_then(|found| found.digest_at(name)), platform.as_ref())
    });
    let definition = &mut provenance["buildDefinition"];
    if let Some(all) = definition["resolvedDependencies"].as_array_mut() {
        all.extend(dependencies);
    }
    definition["externalParameters"]["request"] = request(&inputs.own);
    definition["internalParameters"]["dockerfile"] = json!({"digest": {"sha256": inputs.own.dockerfile}});
    definition["internalParameters"]["contextFingerprint"] = inputs.own.context.as_str().into();
    if !inputs.bases.is_empty() {
        let base = |inputs: &TargetInputs| {
            let mut base = request(inputs);
            base["dockerfile"] = json!({"digest": {"sha256": inputs.dockerfile}});
            base["contextFingerprint"] = inputs.context.as_str().into();
            base
        };
        let bases = inputs.bases.iter().map(|(name, inputs)| (name.clone(), base(inputs)));
        definition["internalParameters"]["projectBases"] = Value::Object(bases.collect());
    }
    Ok(())
}

/// The request in BuildKit's form: arguments have the names of its frontend's options.
fn request(inputs: &TargetInputs) -> Value {
    let mut args = serde_json::Map::new();
    args.extend(inputs.args.iter().map(|(name, value)| (format!("build-arg:{name}"), value.as_str().into())));
    let others = [("target", &inputs.target), ("source", &inputs.frontend)];
    args.extend(
        others.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))),
    );
    let frontend = if inputs.frontend.is_some() { "gateway.v0" } else { "dockerfile.v0" };
    let mut request = json!({"frontend": frontend});
    if !args.is_empty() {
        request["args"] = Value::Object(args);
    }
    if !inputs.secrets.is_empty() {
        request["secrets"] = inputs.secrets.iter().map(|id| json!({"id": id})).collect();
    }
    request
}

/// An image that the build used. A registry image has a package URL; a local image has
/// only its ID.
fn dependency(name: &str, id: Option<&str>, digest: Option<&str>, platform: Option<&Platform>) -> Value {
    let reference = ImageRef::of_text(familiar(name));
    let pinned = name.split_once('@').map(|(_, digest)| digest);
    let sha256 = |digest: &str| json!({"sha256": digest.trim_start_matches("sha256:")});
    match (digest.or(pinned), id) {
        (None, Some(id)) => json!({
            "name": name,
            "digest": sha256(id),
            "annotations": {"source": "an image of the engine, by its ID"},
        }),
        (digest, _) => {
            let tag = match reference.tag() {
                "" => String::new(),
                tag => format!("@{tag}"),
            };
            // Stages on the builder's platform have another one than the image.
            let platform = platform.map(|platform| platform.to_string().replace('/', "%2F"));
            let platform = platform.map(|platform| format!("?platform={platform}")).unwrap_or_default();
            let uri = format!("pkg:docker/{}{tag}{platform}", reference.repository());
            let mut found = json!({"uri": uri});
            digest.into_iter().for_each(|digest| found["digest"] = sha256(digest));
            found
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_a_registry_has_a_package_url_and_an_image_of_the_engine_its_id() {
        let platform = Platform::new("linux", "amd64");
        let of = |name: &str, id: Option<&str>, digest: Option<&str>| {
            dependency(name, id, digest, digest.is_some().then_some(&platform))
        };
        let uri = "pkg:docker/debian@13?platform=linux%2Famd64";
        assert_eq!(
            of("docker.io/library/debian:13", Some("sha256:1d"), Some("sha256:d1")),
            json!({"uri": uri, "digest": {"sha256": "d1"}})
        );
        // Another builder resolved the tag.
        assert_eq!(of("debian:13", None, None), json!({"uri": "pkg:docker/debian@13"}));
        assert_eq!(
            of("hub.example:5000/t/x@sha256:d2", None, None),
            json!({"uri": "pkg:docker/hub.example:5000/t/x", "digest": {"sha256": "d2"}})
        );
        let local = of("debian:13", Some("sha256:1d"), None);
        assert_eq!((&local["name"], &local["digest"]["sha256"]), (&json!("debian:13"), &json!("1d")));
        assert!(local.get("uri").is_none());
    }

    #[test]
    fn a_request_has_buildkits_names() {
        let mut inputs = TargetInputs::default();
        assert_eq!(request(&inputs), json!({"frontend": "dockerfile.v0"}));
        inputs.args.insert("A".into(), "1".into());
        inputs.frontend = Some("docker/dockerfile:1".into());
        inputs.target = Some("app".into());
        inputs.secrets = vec!["ca".into()];
        let args = json!({"build-arg:A": "1", "source": "docker/dockerfile:1", "target": "app"});
        let expected = json!({"frontend": "gateway.v0", "args": args, "secrets": [{"id": "ca"}]});
        assert_eq!(request(&inputs), expected);
    }
}
