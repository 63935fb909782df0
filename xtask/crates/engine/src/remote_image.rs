//! Images in a registry, by reference and without their layers.

use anyhow::Result;

use crate::blob;
use crate::images::Image;
use crate::oci::Choice;
use crate::registry_client::{RegistryClient, RemoteReference};
use crate::stored_image::described;
use host::process::Runner;
use model::platform::Platform;

/// An image in a registry.
#[derive(Debug, Clone)]
pub struct RemoteImage {
    /// Digest of the manifest or index that the reference names.
    pub digest: String,
    /// The image, as the engine would describe it. Its ID is the digest of its configuration, as in the classic store.
    pub image: Image,
}

/// The digest of a manifest or index.
pub fn digest_of(manifest: &[u8]) -> String {
    blob::sha256(manifest)
}

impl RemoteImage {
    /// The image that a reference names; in an index, the image for this platform, or for this machine's platform. `None` if the
    /// registry does not have it.
    ///
    /// # Errors
    /// When the registry does not answer or denies access, no image fits, or a digest is wrong.
    pub fn look(
        reference: &str,
        platform: Option<&Platform>,
        runner: &Runner,
    ) -> Result<Option<RemoteImage>> {
        let remote: RemoteReference = reference.parse()?;
        let client = RegistryClient::new(remote.clone(), runner);
        let Some(bytes) = client.find_manifest(remote.version())? else { return Ok(None) };
        let choice = Choice { name: None, platform: platform.cloned() };
        let found = client.image(&bytes, &choice)?;
        let image = described(found.id, &found.config, found.names);
        Ok(Some(RemoteImage { digest: digest_of(&bytes), image }))
    }
}
