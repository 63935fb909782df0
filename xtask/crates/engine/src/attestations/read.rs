//! Reads an image's attachments. Anyone who can push can attach something, so attachments from other tools are skipped, and the total
//! size is limited.

use anyhow::{Context as _, Result, bail};

use super::{
    Artifact, BUNDLE, Envelope, IMAGE_SIGNATURE, Layer, MOST, PREDICATE_TYPE, SIGNATURE, SIMPLE_SIGNING,
    Subject,
};
use crate::oci;
use crate::registry_client::RegistryClient;

/// Maximum size of a signature's payload in bytes. Real payloads are below 1 KB.
const MOST_OF_SIGNATURE: u64 = 1 << 20;

/// Maximum total size of an image's signatures in bytes.
const MOST_OF_SIGNATURES: u64 = 16 << 20;

/// Maximum total size of an image's attestations in bytes.
const MOST_OF_BUNDLES: u64 = 2 * MOST;

/// A signature of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSignature {
    /// The signed bytes.
    pub payload: Vec<u8>,
    /// The signature, in base64.
    pub signature: String,
}

impl ReadSignature {
    /// Whether the payload is a signature of this image.
    pub fn is_of(&self, subject: &Subject) -> bool {
        let payload: serde_json::Value = serde_json::from_slice(&self.payload).unwrap_or_default();
        let critical = &payload["critical"];
        critical["type"] == IMAGE_SIGNATURE
            && critical["image"]["docker-manifest-digest"] == subject.digest.as_str()
    }
}

/// The signatures of an image, under cosign's tag.
///
/// # Errors
/// When the registry does not answer or denies access, a payload is damaged, or their total size is too large.
pub fn signatures(client: &RegistryClient, subject: &Subject) -> Result<Vec<ReadSignature>> {
    let artifact = Artifact::find(client, &subject.tag("sig")?)?;
    let mut budget = Budget::new(MOST_OF_SIGNATURE, MOST_OF_SIGNATURES);
    let mut found = Vec::new();
    for layer in artifact.layers.iter().filter(|layer| layer.media_type == SIMPLE_SIGNING) {
        let payload = budget.read(client, layer);
        let payload = payload.with_context(|| format!("cannot read the signatures of {}", subject.digest))?;
        let signature = layer.annotations.get(SIGNATURE).cloned().unwrap_or_default();
        found.extend(payload.map(|payload| ReadSignature { payload, signature }));
    }
    Ok(found)
}

/// The signed statements with a predicate type that refer to an image.
///
/// # Errors
/// When the registry does not answer or denies access, a document is damaged, or their total size is too large.
pub fn bundles(client: &RegistryClient, subject: &Subject, predicate_type: &str) -> Result<Vec<Envelope>> {
    let mut budget = Budget::new(MOST, MOST_OF_BUNDLES);
    let mut found = Vec::new();
    for referrer in client.referrers(&subject.digest)? {
        let is_bundle = referrer.artifact_type.as_deref() == Some(BUNDLE);
        // Other tools may omit the annotation.
        let stated = referrer.annotations.get(PREDICATE_TYPE);
        if !is_bundle
            || stated.is_some_and(|stated| stated != predicate_type)
            || oci::hex(&referrer.digest).is_err()
        {
            continue;
        }
        let Some(manifest) = client.find_manifest(&referrer.digest)? else { continue };
        let Ok(artifact) = Artifact::parse(&manifest) else { continue };
        for layer in artifact.layers.iter().filter(|layer| layer.media_type == BUNDLE) {
            let bytes = budget.read(client, layer);
            let bytes =
                bytes.with_context(|| format!("cannot read the attestations of {}", subject.digest))?;
            found.extend(bytes.and_then(|bytes| statement(&bytes, predicate_type)));
        }
    }
    Ok(found)
}

/// The envelope of a bundle with a statement of this type. `None` for other bundles, such as one with a `messageSignature`.
fn statement(bundle: &[u8], predicate_type: &str) -> Option<Envelope> {
    let envelope = Envelope::of_bundle(bundle).ok()?;
    (envelope.statement().ok()?["predicateType"] == predicate_type).then_some(envelope)
}

/// How much may still be read.
struct Budget {
    most_of_one: u64,
    total: u64,
    left: u64,
}

impl Budget {
    fn new(most_of_one: u64, total: u64) -> Budget {
        Budget { most_of_one, total, left: total }
    }

    /// The document of a layer; `None` if its size or digest rules out a document that this program wrote.
    fn read(&mut self, client: &RegistryClient, layer: &Layer) -> Result<Option<Vec<u8>>> {
        if !(1..=self.most_of_one).contains(&layer.size) || oci::hex(&layer.digest).is_err() {
            return Ok(None);
        }
        let Some(left) = self.left.checked_sub(layer.size) else {
            bail!("together they are larger than {} bytes", self.total);
        };
        self.left = left;
        client.read_blob(&layer.digest, layer.size).map(Some)
    }
}
