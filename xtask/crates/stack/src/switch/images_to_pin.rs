//! What an engine knows of the images that Compose files name.

use anyhow::{Result, bail};

use build::push::digests::Digests;
use engine::docker::Docker;
use engine::variables::Variables;

/// Refuses references that name no image of this engine.
///
/// # Errors
/// All of them, with what to do; or when docker cannot be asked.
pub fn refuse_missing(references: &[&str], variables: &Variables, docker: &Docker) -> Result<()> {
    let mut resolved = Vec::new();
    let mut unknown = Vec::new();
    for &reference in references {
        match variables.resolve(reference) {
            Ok(name) => resolved.push((reference, name)),
            Err(reason) => unknown.push(format!("`{reference}`: {reason}")),
        }
    }
    if !unknown.is_empty() {
        unknown.dedup();
        bail!(
            "cannot tell which image is meant: {}; set what is missing, or add --allow-missing; no file was changed",
            unknown.join(", ")
        );
    }
    let names: Vec<String> = resolved.iter().map(|(_, name)| name.clone()).collect();
    let there = docker.inspect(&names)?;
    let mut missing: Vec<&str> =
        resolved.iter().filter(|(_, name)| !there.contains_key(name)).map(|(text, _)| *text).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "not here: {}; build them (cargo xtask build-images) or add --allow-missing; no file was changed",
        missing.join(", ")
    )
}

/// The digest under which a registry knows the image of a reference: as the engine remembers it, else as the record of
/// pushes does.
///
/// # Errors
/// Why there is none, and what to do.
pub fn digest_of(
    reference: &str,
    variables: &Variables,
    docker: &Docker,
    pushed: &Digests,
) -> Result<String, String> {
    let name = variables.resolve(reference)?;
    let images = docker.inspect(std::slice::from_ref(&name)).map_err(|error| format!("{error:#}"))?;
    let image = images.get(&name);
    let known = image.and_then(|image| image.digest_at(&name)).or_else(|| pushed.digest_of(&name, image));
    known.map(str::to_owned).ok_or_else(|| match image {
        None => format!("there is no image {name} here to take a digest of, nor was one pushed: build and push it first"),
        Some(_) => {
            format!("no registry knows {name}: push it first (cargo xtask push), and name the registry with --registry")
        }
    })
}
