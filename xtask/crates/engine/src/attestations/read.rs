//! Reads the signatures and attestations of an image.

use anyhow::{Context as _, Result};

use super::{Artifact, BUNDLE, Envelope, MOST, PREDICATE_TYPE, SIGNATURE, SIMPLE_SIGNING, Subject};
use crate::registry_client::RegistryClient;

/// A signature of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSignature {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signature, in base64.
    pub signature: String,
}

impl ReadSignature {
    /// Whether the payload names this image.
    pub fn is_of(&self, subject: &Subject) -> bool {
        let payload: serde_json::Value = serde_json::from_slice(&self.payload).unwrap_or_default();
        payload["critical"]["image"]["docker-manifest-digest"] == subject.digest.as_str()
    }
}

/// The signatures of an image, under cosign's tag.
///
/// # Errors
/// When the registry does not answer or denies access, or a signature is damaged.
pub fn signatures(client: &RegistryClient, subject: &Subject) -> Result<Vec<ReadSignature>> {
    let artifact = Artifact::find(client, &subject.tag("sig")?)?;
    let layers = artifact.layers.iter().filter(|layer| layer.media_type == SIMPLE_SIGNING);
    let read = layers.map(|layer| {
        let payload = client.read_blob(&layer.digest, MOST)?;
        let signature = layer.annotations.get(SIGNATURE).cloned().unwrap_or_default();
        Ok(ReadSignature { payload, signature })
    });
    read.collect::<Result<_>>().with_context(|| format!("cannot read the signatures of {}", subject.digest))
}

/// The signed statements with a predicate type that refer to an image.
///
/// # Errors
/// When the registry does not answer or denies access, or a bundle is damaged.
pub fn bundles(client: &RegistryClient, subject: &Subject, predicate_type: &str) -> Result<Vec<Envelope>> {
    let mut found = Vec::new();
    for referrer in client.referrers(&subject.digest)? {
        let is_bundle = referrer.artifact_type.as_deref() == Some(BUNDLE);
        // Other tools may omit the annotation.
        let stated = referrer.annotations.get(PREDICATE_TYPE);
        if !is_bundle || stated.is_some_and(|stated| stated != predicate_type) {
            continue;
        }
        let artifact = Artifact::find(client, &referrer.digest)?;
        for layer in artifact.layers.iter().filter(|layer| layer.media_type == BUNDLE) {
            let bytes = client.read_blob(&layer.digest, MOST)?;
            let envelope = Envelope::of_bundle(&bytes)
                .with_context(|| format!("invalid attestation {} of {}", layer.digest, subject.digest))?;
            if envelope.statement()?["predicateType"] == predicate_type {
                found.push(envelope);
            }
        }
    }
    Ok(found)
}
