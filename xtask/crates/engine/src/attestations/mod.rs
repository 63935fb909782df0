//! Signatures and attestations of images in registries, in the forms that tools look for:
//!
//! - cosign 2: a signature under the tag `sha256-HEX.sig`, attestations under `sha256-HEX.att` (cosign, `specs/SIGNATURE_SPEC.md` and
//!   `specs/ATTESTATION_SPEC.md`)
//! - OCI 1.1: each attestation as a referrer that holds a Sigstore bundle, where cosign 3 looks for it; the signature is a referrer, too.
//!
//! The image does not change: all of these refer to its digest.

mod attach;
mod envelope;
mod read;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::attach::{Attached, Signing, attach};
pub use self::envelope::Envelope;
pub use self::read::{ReadSignature, bundles, signatures};
use crate::oci;
use crate::registry_client::{RegistryClient, media_type_of};

/// The predicate type of a CycloneDX bill of materials (in-toto attestation framework).
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";
/// The predicate type of SLSA provenance 1.0 and its compatible successors.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const COSIGN_SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The type of an in-toto statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of the payload that cosign signs for an image.
const IMAGE_SIGNATURE: &str = "cosign container image signature";
/// The annotation that holds a layer's signature, in base64.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
/// The annotation that holds the predicate type, on a bundle's manifest.
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Maximum size of an attestation in bytes; cosign's limit.
const MOST: u64 = 128 << 20;

/// The manifest or index to sign, as stored in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Of the manifest.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// Bytes of the manifest.
    pub size: u64,
}

impl Subject {
    /// The manifest with this digest, or under this tag; `None` if the registry does not have it.
    ///
    /// # Errors
    /// When the registry does not answer, denies access or returns other content.
    pub fn find(client: &RegistryClient, version: &str) -> Result<Option<(Subject, Vec<u8>)>> {
        let Some(bytes) = client.find_manifest(version)? else { return Ok(None) };
        let (media_type, digest) = (media_type_of(&bytes)?, crate::blob::sha256(&bytes));
        Ok(Some((Subject { media_type, digest, size: bytes.len() as u64 }, bytes)))
    }

    /// The tag under which cosign keeps this manifest's signatures (`sig`) or attestations (`att`).
    fn tag(&self, suffix: &str) -> Result<String> {
        Ok(format!("sha256-{}.{suffix}", oci::hex(&self.digest)?))
    }

    /// The in-toto statement (v1) of a predicate about this manifest. `name`: its repository.
    ///
    /// # Errors
    /// An invalid digest.
    pub fn statement(&self, name: &str, predicate_type: &str, predicate: &Value) -> Result<Vec<u8>> {
        let statement = json!({
            "_type": STATEMENT,
            "subject": [{"name": name, "digest": {"sha256": oci::hex(&self.digest)?}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        });
        Ok(serde_json::to_vec(&statement)?)
    }

    /// The payload that cosign signs for an image (containers/image, "simple signing").
    fn simple_signing(&self, name: &str) -> Result<Vec<u8>> {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": name},
                "image": {"docker-manifest-digest": self.digest},
                "type": IMAGE_SIGNATURE,
            },
            "optional": null,
        });
        Ok(serde_json::to_vec(&payload)?)
    }
}

/// The parts of an artifact's manifest that are used here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Artifact {
    layers: Vec<Layer>,
}

/// A layer of an artifact: a document. When a manifest is written again, unknown fields from other tools are lost, except for
/// annotations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Artifact {
    /// The artifact under a tag; without layers if the registry does not have it.
    fn find(client: &RegistryClient, tag: &str) -> Result<Artifact> {
        let Some(bytes) = client.find_manifest(tag)? else { return Ok(Artifact::default()) };
        Artifact::parse(&bytes).with_context(|| format!("invalid manifest {tag}"))
    }

    fn parse(bytes: &[u8]) -> Result<Artifact> {
        let artifact: Artifact = serde_json::from_slice(bytes)?;
        if artifact.layers.len() > 1000 {
            bail!("{} layers, more than any real artifact", artifact.layers.len());
        }
        Ok(artifact)
    }
}
