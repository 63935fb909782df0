//! Writes manifests and indexes (OCI distribution specification 1.1, "Pushing Manifests").

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Ask, Method, RegistryClient, verify};
use crate::blob;

/// A manifest or index that the registry accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutManifest {
    /// `sha256:…`, of the bytes that were sent.
    pub digest: String,
    /// The digest in `OCI-Subject`: the registry lists the manifest as a referrer of this digest. `None` if the registry has no
    /// referrers API.
    pub subject: Option<String>,
}

/// The media type of a manifest or index. OCI makes the field optional; without it, `manifests` identifies an index.
///
/// # Errors
/// When the bytes are not a manifest.
pub fn media_type_of(manifest: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        #[serde(default)]
        media_type: String,
        #[serde(default)]
        manifests: Option<IgnoredAny>,
    }
    let kind: Kind = serde_json::from_slice(manifest).context("invalid manifest")?;
    let media_type = match (kind.media_type.as_str(), &kind.manifests) {
        ("", Some(_)) => "application/vnd.oci.image.index.v1+json",
        ("", None) => "application/vnd.oci.image.manifest.v1+json",
        (stated, _) => stated,
    };
    Ok(media_type.to_owned())
}

impl RegistryClient {
    /// Stores a manifest or index under a tag or its own digest. Its blobs must be in the repository. Tries again if the registry
    /// fails.
    ///
    /// # Errors
    /// When the registry rejects it, fails several times in a row or stores different content, or `version` is a different digest.
    pub fn put_manifest(&self, version: &str, media_type: &str, bytes: &[u8]) -> Result<PutManifest> {
        let digest = blob::sha256(bytes);
        if version.contains(':') {
            verify(bytes, version, "the manifest")?;
        }
        let mut file = tempfile::NamedTempFile::new().context("cannot create a temporary file")?;
        file.write_all(bytes).context("cannot write a temporary file")?;
        self.allow_push();
        let path = format!("manifests/{version}");
        let ask = Ask {
            method: Method::Put,
            path: &path,
            headers: vec![("Content-Type", media_type.to_owned())],
            body: Some(file.path()),
            ..Ask::default()
        };
        self.patiently(|| self.put_once(&ask, version, &digest))
    }

    fn put_once(&self, ask: &Ask<'_>, version: &str, digest: &str) -> Result<PutManifest> {
        let response = self.ask(ask)?;
        if response.status != 201 {
            bail!(self.rejection(response, &format!("manifest {version}")));
        }
        let stored = response.headers("docker-content-digest").find(|stored| stored.starts_with("sha256:"));
        match stored {
            Some(stored) if stored == digest => {}
            Some(stored) => bail!("the registry stored {stored} under {version}, expected {digest}"),
            // The registry does not report the digest, so the manifest is read back.
            None => drop(self.manifest(digest)?),
        }
        let subject = response.headers("oci-subject").next().map(str::to_owned);
        Ok(PutManifest { digest: digest.to_owned(), subject })
    }

    /// Removes a manifest or index, or only a tag. Registries may not support this. Does nothing if it is missing.
    ///
    /// # Errors
    /// When the registry rejects it or does not answer.
    pub fn delete_manifest(&self, version: &str) -> Result<()> {
        self.allow(format!("repository:{}:delete,pull", self.reference.repository));
        let path = format!("manifests/{version}");
        let response = self.ask(&Ask { method: Method::Delete, path: &path, ..Ask::default() })?;
        match response.status {
            202 | 404 => Ok(()),
            _ => bail!(self.rejection(response, &format!("the removal of {version}"))),
        }
    }

    /// The bytes of a manifest or index by tag or digest; `None` if the registry does not have it. A digest is verified.
    ///
    /// # Errors
    /// When the registry does not answer, denies access, or returns other content.
    pub fn find_manifest(&self, version: &str) -> Result<Option<Vec<u8>>> {
        let response = self.get(&format!("manifests/{version}"), Some(super::MANIFESTS))?;
        match response.status {
            404 => Ok(None),
            _ => self.manifest_in(response, version).map(Some),
        }
    }

    /// A whole blob of at most `most` bytes, verified.
    ///
    /// # Errors
    /// When the registry does not have the blob or does not answer, or the blob is larger or has a different digest.
    pub fn read_blob(&self, digest: &str, most: u64) -> Result<Vec<u8>> {
        crate::oci::hex(digest)?;
        let response = self.get(&format!("blobs/{digest}"), None)?;
        if response.status != 200 {
            bail!(self.refusal(response, digest));
        }
        let bytes = response.bytes(most)?;
        verify(&bytes, digest, &format!("blob {digest}"))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, State};
    use super::*;

    const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

    #[test]
    fn a_manifest_is_stored_under_a_tag_and_its_digest() {
        let fake = Fake::start(State::default());
        let client = fake.client("a");
        let bytes = br#"{"schemaVersion":2}"#;
        let digest = blob::sha256(bytes);
        assert_eq!(client.find_manifest("1").unwrap(), None);
        let put = client.put_manifest("1", KIND, bytes).unwrap();
        assert_eq!(put, PutManifest { digest: digest.clone(), subject: None });
        assert_eq!(client.find_manifest("1").unwrap().as_deref(), Some(bytes.as_slice()));
        assert_eq!(fake.state().manifests[&("a".to_owned(), "1".to_owned())].0, KIND);
        client.put_manifest(&digest, KIND, bytes).unwrap();
        let other = client.put_manifest(&digest, KIND, b"{}").unwrap_err().to_string();
        assert!(other.contains("wrong digest"), "{other}");
        client.delete_manifest("1").unwrap();
        client.delete_manifest("1").unwrap();
        assert_eq!(client.find_manifest("1").unwrap(), None);
    }

    #[test]
    fn an_index_without_a_media_type_is_known_by_its_manifests() {
        let kinds = [r#"{"manifests":[]}"#, r#"{"layers":[]}"#, r#"{"mediaType":"a/b","manifests":[]}"#]
            .map(|text| media_type_of(text.as_bytes()).unwrap());
        assert_eq!(kinds, ["application/vnd.oci.image.index.v1+json", KIND, "a/b"]);
        assert!(media_type_of(b"x").is_err());
    }

    #[test]
    fn a_blob_is_read_only_if_it_is_the_right_one() {
        let fake = Fake::start(State::default());
        let client = fake.client("a");
        let (digest, _) = client.deliver_bytes(b"text").unwrap();
        assert_eq!(client.read_blob(&digest, 4).unwrap(), b"text");
        assert!(client.read_blob(&digest, 3).unwrap_err().to_string().contains("larger than 3 bytes"));
        fake.state().blobs.insert(("a".to_owned(), digest.clone()), b"lies".to_vec());
        assert!(client.read_blob(&digest, 4).unwrap_err().to_string().contains("wrong digest"));
    }
}
