//! Looks up the images behind Compose references in the engine.

use anyhow::{Result, bail};
use host::program::PROGRAM;

use build::push::digests::Digests;
use engine::docker::Docker;
use engine::images::Image;
use engine::registry::RegistryReader;
use engine::variables::Variables;

/// Refuses references to images that this engine does not have.
///
/// # Errors
/// All missing images, or variables that are not set.
pub fn refuse_missing(references: &[&str], variables: &Variables, docker: &Docker) -> Result<()> {
    let mut resolved = Vec::new();
    let mut unresolved = Vec::new();
    for &reference in references {
        match variables.resolve(reference) {
            Ok(name) => resolved.push((reference, name)),
            Err(reason) => unresolved.push(format!("`{reference}`: {reason}")),
        }
    }
    if !unresolved.is_empty() {
        unresolved.dedup();
        bail!(
            "cannot resolve {}; no file was changed\nhelp: set the missing variables, or add --allow-missing",
            unresolved.join(", ")
        );
    }
    let names: Vec<String> = resolved.iter().map(|(_, name)| name.clone()).collect();
    let images = docker.inspect(&names)?;
    let mut missing: Vec<&str> =
        resolved.iter().filter(|(_, name)| !images.contains_key(name)).map(|(text, _)| *text).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "images not found: {}; no file was changed\nhelp: build them with `{PROGRAM} build-images`, or add --allow-missing",
        missing.join(", ")
    )
}

/// The registry digest of a referenced image, from the engine, the record of pushes or the registry.
///
/// # Errors
/// Why there is none, and how to fix that.
pub fn digest_of(
    reference: &str,
    variables: &Variables,
    docker: &Docker,
    pushed: &Digests,
) -> Result<String, String> {
    let name = variables.resolve(reference)?;
    let images = docker.inspect(std::slice::from_ref(&name)).map_err(|error| format!("{error:#}"))?;
    let image = images.get(&name);
    // The engine only knows the digest of the image for its platform.
    if let Some(index) = pushed.index_of(&name, image) {
        return Ok(index.to_owned());
    }
    let digest = image.and_then(|image| image.digest_at(&name));
    // The containerd store lists an image's digest under all its names, even if it was never pushed or pulled.
    let is_own = digest.is_some() && digest == image.map(|image| image.id.as_str());
    if let Some(digest) = digest.filter(|_| !is_own).or_else(|| pushed.digest_of(&name, image)) {
        return Ok(digest.to_owned());
    }
    match image {
        None => Err(format!("{name} was neither built here nor pushed: build and push it first")),
        Some(image) if is_own => in_registry(image, &name, docker),
        Some(_) => Err(format!("{name} has no registry digest: {}", push_it())),
    }
}

fn push_it() -> String {
    format!("push it first ({PROGRAM} push), and name the registry with --registry")
}

/// The digest of an image in its registry.
fn in_registry(image: &Image, name: &str, docker: &Docker) -> Result<String, String> {
    match RegistryReader::new(docker).look(name) {
        Ok(Some(found)) if found.is(image) => Ok(found.digest),
        Ok(Some(_)) => Err(format!("the registry has another image as {name}: {}", push_it())),
        Ok(None) => Err(format!("the registry does not have {name}: {}", push_it())),
        Err(error) => Err(format!("cannot check whether {name} was pushed: {error}; {}", push_it())),
    }
}
