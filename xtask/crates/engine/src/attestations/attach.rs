//! Attaches a signature and attestations to an image. Documents already signed by the same key are not signed again, so repeating the
//! call after a failure resumes.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{
    Artifact, BUNDLE, CONFIG, COSIGN_SIGNATURE, DSSE, EMPTY, Envelope, Layer, MANIFEST, MOST, PREDICATE_TYPE,
    SIGNATURE, SIMPLE_SIGNING, Subject, bundles, signatures,
};
use crate::blob;
use crate::registry_client::{Referrer, RegistryClient};

/// How to sign.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// Returns a signature in base64.
    pub sign: &'a dyn Fn(&[u8]) -> Result<String>,
    /// Whether the same key created a signature.
    pub is_signed: &'a dyn Fn(&[u8], &str) -> Result<bool>,
    /// Identifies the key in Sigstore bundles.
    pub hint: &'a str,
}

/// What a call attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attached {
    /// The number of new signatures; 0 if everything was already attached.
    pub signed: usize,
    /// Whether the list of referrers is stored under a tag, because the registry has no referrers API.
    pub is_listed_under_tag: bool,
}

/// Attaches a signature of an image and signed statements about it, by predicate type. `name`: its repository, including the registry.
///
/// # Errors
/// When the registry rejects a request or does not answer, and errors of `signing`. Anything attached before the error stays.
pub fn attach(
    client: &RegistryClient,
    subject: &Subject,
    name: &str,
    predicates: &[(&str, &Value)],
    signing: Signing<'_>,
) -> Result<Attached> {
    let mut run = Run { client, subject, signing, attached: Attached::default() };
    let mut envelopes = Vec::new();
    for (kind, predicate) in predicates {
        let statement = subject.statement(name, kind, predicate)?;
        envelopes.push((*kind, run.bundle(kind, &statement)?));
    }
    if !envelopes.is_empty() {
        run.cosign_attestations(&envelopes)?;
    }
    // Last, so that an image with a signature also has its attestations.
    run.signature(&subject.simple_signing(name)?)?;
    Ok(run.attached)
}

struct Run<'a> {
    client: &'a RegistryClient,
    subject: &'a Subject,
    signing: Signing<'a>,
    attached: Attached,
}

impl Run<'_> {
    fn sign(&mut self, bytes: &[u8]) -> Result<String> {
        self.attached.signed += 1;
        (self.signing.sign)(bytes)
    }

    /// Attaches the statement as a referrer that holds a Sigstore bundle.
    fn bundle(&mut self, kind: &str, statement: &[u8]) -> Result<Envelope> {
        for envelope in bundles(self.client, self.subject, kind)? {
            if envelope.payload()? == statement && envelope.is_signed(self.signing.is_signed)? {
                return Ok(envelope);
            }
        }
        self.attached.signed += 1;
        let envelope = Envelope::sign(statement, self.signing.sign)?;
        let layer = self.layer(&envelope.bundle(self.signing.hint)?, BUNDLE, &[])?;
        let annotations = BTreeMap::from([
            ("dev.sigstore.bundle.content".to_owned(), "dsse-envelope".to_owned()),
            (PREDICATE_TYPE.to_owned(), kind.to_owned()),
        ]);
        let config = self.layer(b"{}", EMPTY, &[])?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": config,
            "layers": [layer],
            "subject": self.subject,
            "annotations": annotations,
        });
        self.refer(&serde_json::to_vec(&manifest)?, BUNDLE, annotations)?;
        Ok(envelope)
    }

    fn refer(&mut self, manifest: &[u8], kind: &str, annotations: BTreeMap<String, String>) -> Result<()> {
        let referrer = Referrer {
            media_type: MANIFEST.to_owned(),
            digest: blob::sha256(manifest),
            size: manifest.len() as u64,
            artifact_type: Some(kind.to_owned()),
            annotations,
        };
        let put = self.client.put_referrer(&self.subject.digest, &referrer, manifest)?;
        self.attached.is_listed_under_tag |= put.subject.is_none();
        Ok(())
    }

    /// Adds the envelopes under cosign's tag, after any existing ones.
    fn cosign_attestations(&self, envelopes: &[(&str, Envelope)]) -> Result<()> {
        let tag = self.subject.tag("att")?;
        let mut layers = Artifact::find(self.client, &tag)?.layers;
        let before = layers.len();
        for (kind, envelope) in envelopes {
            let annotations = [(SIGNATURE, ""), ("predicateType", kind)];
            let layer = self.layer(&serde_json::to_vec(envelope)?, DSSE, &annotations)?;
            if !layers.iter().any(|known| known.digest == layer.digest) {
                layers.push(layer);
            }
        }
        if layers.len() == before {
            return Ok(());
        }
        let manifest = self.cosign_manifest(&layers)?;
        self.client.put_manifest(&tag, MANIFEST, &serde_json::to_vec(&manifest)?).map(drop)
    }

    /// Adds the signature under cosign's tag, after any existing ones, and as a referrer.
    fn signature(&mut self, payload: &[u8]) -> Result<()> {
        for known in signatures(self.client, self.subject)? {
            if known.payload == payload && (self.signing.is_signed)(payload, &known.signature)? {
                return Ok(());
            }
        }
        let signature = self.sign(payload)?;
        let tag = self.subject.tag("sig")?;
        let mut layers = Artifact::find(self.client, &tag)?.layers;
        layers.push(self.layer(payload, SIMPLE_SIGNING, &[(SIGNATURE, &signature)])?);
        let mut manifest = self.cosign_manifest(&layers)?;
        manifest["artifactType"] = COSIGN_SIGNATURE.into();
        manifest["subject"] = serde_json::to_value(self.subject)?;
        let manifest = serde_json::to_vec(&manifest)?;
        self.refer(&manifest, COSIGN_SIGNATURE, BTreeMap::new())?;
        self.client.put_manifest(&tag, MANIFEST, &manifest).map(drop)
    }

    /// A manifest that cosign reads as an image whose layers are documents.
    fn cosign_manifest(&self, layers: &[Layer]) -> Result<Value> {
        let digests: Vec<&String> = layers.iter().map(|layer| &layer.digest).collect();
        let config = json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": digests},
        });
        let config = self.layer(&serde_json::to_vec(&config)?, CONFIG, &[])?;
        Ok(json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
    }

    /// Uploads a document and returns its descriptor.
    fn layer(&self, bytes: &[u8], media_type: &str, annotations: &[(&str, &str)]) -> Result<Layer> {
        if bytes.len() as u64 > MOST {
            bail!("the attestation has {} bytes, but cosign reads at most {MOST}", bytes.len());
        }
        let (digest, _) = self.client.deliver_bytes(bytes)?;
        let annotations = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Layer {
            media_type: media_type.to_owned(),
            digest,
            size: bytes.len() as u64,
            annotations: annotations.collect(),
        })
    }
}
