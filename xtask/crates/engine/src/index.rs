//! Image indexes: the images of several platforms under one tag (OCI image specification, "Image Index"). `docker buildx imagetools
//! create` runs on the client, with the credentials of `docker login`, and allows plain HTTP on loopback.

use crate::blob;
use crate::docker::Docker;
use crate::push::PushError;
use crate::signs::Cause;
use host::process::{Cmd, tail};
use model::image_ref::ImageRef;

impl Docker {
    /// The digest of an index of these manifests. Pushes nothing.
    ///
    /// # Errors
    /// When a manifest is not in the registry, or the registry does not answer.
    pub fn digest_of_index(&self, manifests: &[String]) -> Result<String, PushError> {
        Ok(blob::sha256(self.index_of(manifests)?.as_bytes()))
    }

    /// An index of these manifests. Pushes nothing.
    ///
    /// # Errors
    /// When a manifest is not in the registry, or the registry does not answer.
    pub fn index_of(&self, manifests: &[String]) -> Result<String, PushError> {
        let index = output(&self.cmd(["buildx", "imagetools", "create", "--dry-run"]).args(manifests))?;
        // The command appends a line break.
        let index = index.strip_suffix('\n').unwrap_or(&index);
        match index.starts_with('{') {
            true => Ok(index.to_owned()),
            false => Err(PushError::new(format!("expected an index, got {}", tail(index, 3)))),
        }
    }

    /// Pushes an index of manifests that exist in the tag's repository. The registry moves the tag atomically.
    ///
    /// # Errors
    /// When the registry rejects it or does not answer.
    pub fn push_index(&self, tag: &ImageRef, manifests: &[String]) -> Result<(), PushError> {
        let cmd = self.cmd(["buildx", "imagetools", "create", "--progress=plain", "--tag"]);
        output(&cmd.arg(tag.to_string()).args(manifests)).map(drop)
    }
}

/// The output of a successful command.
fn output(cmd: &Cmd) -> Result<String, PushError> {
    let engine = |error: String| PushError { cause: Cause::Engine, output: error };
    let output = cmd.clone().long().capture().map_err(|error| engine(error.to_string()))?;
    match output.success() {
        true => Ok(output.stdout),
        false => Err(PushError::new(tail(&output.stderr, 3))),
    }
}
