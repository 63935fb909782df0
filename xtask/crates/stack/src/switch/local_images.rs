//! Looks up the images behind Compose references in the engine.

use anyhow::{Result, bail};

use build::push::digests::Digests;
use engine::docker::Docker;
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
        "images not found: {}; no file was changed\nhelp: build them with `cargo xtask build-images`, or add --allow-missing",
        missing.join(", ")
    )
}

/// The registry digest of a referenced image: from the engine, else from the record of pushes.
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
    let digest = image.and_then(|image| image.digest_at(&name)).or_else(|| pushed.digest_of(&name, image));
    digest.map(str::to_owned).ok_or_else(|| match image {
        None => format!("{name} was neither built here nor pushed: build and push it first"),
        Some(_) => format!(
            "{name} has no registry digest: push it first (cargo xtask push), and name the registry with --registry"
        ),
    })
}
