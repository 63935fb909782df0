//! Pushing what was built to a registry.

use anyhow::Result;
use serde::Serialize;

use super::build::plan::PlannedImage;
use super::context::Context;
use super::environment::Unfit;
use crate::docker::classify::{classify, is_transient};
use crate::domain::failure::FailureClass;
use crate::domain::image_ref::{ImageRef, Registry};

/// A tag that a registry has now.
#[derive(Debug, Clone, Serialize)]
pub struct Pushed {
    /// The tag, registry included.
    pub tag: ImageRef,
    /// `NAME@DIGEST` as the registry knows it.
    pub digest: String,
}

/// Pushes every tag of the images.
///
/// # Errors
/// The first tag that the registry refuses, after three tries where the network is to blame.
pub fn push(images: &[PlannedImage], registry: &Registry, context: &Context) -> Result<Vec<Pushed>> {
    let mut pushed = Vec::new();
    for tag in images.iter().flat_map(|image| &image.tags) {
        let there = tag.at(registry);
        context.docker.tag(&tag.to_string(), &there.to_string())?;
        context.terminal.say(format!("push {there} …"));
        let digest = push_one(&there, context)?;
        // Said at once too: a later tag may be refused.
        context.terminal.say(format!("  {digest}"));
        pushed.push(Pushed { tag: there, digest });
    }
    Ok(pushed)
}

fn push_one(tag: &ImageRef, context: &Context) -> Result<String> {
    let mut tries = 1;
    loop {
        match context.docker.push(tag) {
            Err(error) if tries < 3 && is_transient(classify(&format!("{error:#}"), "")) => {
                context.terminal.warn(format!("the push of {tag} failed, trying again: {error:#}"));
                tries += 1;
            }
            Err(error) => return Err(refused(tag, &error)),
            Ok(digest) => return Ok(digest),
        }
    }
}

/// A registry that does not answer, or does not let one in, is the environment's fault; what was built stays built.
fn refused(tag: &ImageRef, error: &anyhow::Error) -> anyhow::Error {
    let text = format!("{error:#}");
    let denied = ["denied", "unauthorized", "authentication required", "no basic auth"]
        .iter()
        .any(|sign| text.contains(sign));
    let class = classify(&text, "");
    let remedy = match class {
        _ if denied => "sign in with `docker login` to the registry; what was built is kept".to_owned(),
        FailureClass::Build => {
            "see what the registry said; what was built is kept, so the next run only pushes".to_owned()
        }
        class => format!("{}; what was built is kept", class.remedy()),
    };
    Unfit::new(format!("cannot push {tag}: {text}"), remedy).into()
}
