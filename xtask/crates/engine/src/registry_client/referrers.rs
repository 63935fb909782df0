//! Referrers: manifests whose `subject` is another manifest, such as signatures (OCI distribution specification 1.1, "Listing
//! Referrers"). For registries without that API, clients keep the list in an index under a tag ("Referrers Tag Schema").

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{PutManifest, RegistryClient};
use crate::oci::{self, MOST_JSON};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The most entries of all pages together: a page could link to itself.
const MOST_REFERRERS: usize = 1000;

/// A manifest that refers to another manifest (OCI image specification, "Content Descriptors").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Referrer {
    /// Of the manifest.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// Bytes of the manifest.
    pub size: u64,
    /// What the manifest is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Of the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Referrer>,
}

/// The tag of the list if the registry has no referrers API.
fn fallback_tag(subject: &str) -> Result<String> {
    Ok(format!("sha256-{}", oci::hex(subject)?))
}

impl RegistryClient {
    /// The manifests that refer to the manifest with this digest, which may be missing in the registry.
    ///
    /// # Errors
    /// When the registry does not answer, denies access or returns an invalid list.
    pub fn referrers(&self, subject: &str) -> Result<Vec<Referrer>> {
        oci::hex(subject)?;
        let mut found = Vec::new();
        let mut path = format!("referrers/{subject}");
        loop {
            let response = self.get(&path, Some(INDEX))?;
            let next = response.headers("link").find_map(next_page);
            match response.status {
                200 => {}
                404 => return self.listed_under_tag(subject),
                _ => bail!(self.refusal(response, &format!("the referrers of {subject}"))),
            }
            let bytes = response.bytes(MOST_JSON)?;
            let page: Index = serde_json::from_slice(&bytes)
                .with_context(|| format!("invalid list of the referrers of {subject}"))?;
            if page.manifests.is_empty() && next.is_some() {
                bail!("the registry's list of referrers of {subject} never ends");
            }
            found.extend(page.manifests);
            if found.len() > MOST_REFERRERS {
                bail!("the registry lists more than {MOST_REFERRERS} referrers of {subject}");
            }
            match next {
                Some(next) => path = next,
                None => return Ok(found),
            }
        }
    }

    fn listed_under_tag(&self, subject: &str) -> Result<Vec<Referrer>> {
        let tag = fallback_tag(subject)?;
        let Some(bytes) = self.find_manifest(&tag)? else { return Ok(Vec::new()) };
        let index: Index = serde_json::from_slice(&bytes).with_context(|| format!("invalid index {tag}"))?;
        Ok(index.manifests)
    }

    /// Stores a manifest whose `subject` is another manifest, and adds it to the list under the tag if the registry has no referrers API.
    /// If two clients do this at the same time, an entry may be lost: the specification has no locking.
    ///
    /// # Errors
    /// See [`RegistryClient::put_manifest`].
    pub fn put_referrer(&self, subject: &str, referrer: &Referrer, bytes: &[u8]) -> Result<PutManifest> {
        let put = self.put_manifest(&referrer.digest, &referrer.media_type, bytes)?;
        if put.subject.is_some() {
            return Ok(put);
        }
        let tag = fallback_tag(subject)?;
        let found = self.find_manifest(&tag)?;
        if let Some(index) =
            with_entry(found.as_deref(), referrer).with_context(|| format!("invalid index {tag}"))?
        {
            self.put_manifest(&tag, INDEX, &index)?;
        }
        Ok(put)
    }
}

/// An index with an entry added and everything else unchanged; `None` if it already has the entry.
fn with_entry(index: Option<&[u8]>, referrer: &Referrer) -> Result<Option<Vec<u8>>> {
    let mut json = match index {
        Some(bytes) => serde_json::from_slice(bytes)?,
        None => json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}),
    };
    let entries = json.get_mut("manifests").and_then(Value::as_array_mut).context("it has no `manifests`")?;
    if entries.iter().any(|entry| entry["digest"] == referrer.digest.as_str()) {
        return Ok(None);
    }
    entries.push(serde_json::to_value(referrer)?);
    Ok(Some(serde_json::to_vec(&json)?))
}

/// The next page in `Link: </v2/…>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    (rest.contains("rel=\"next\"") || rest.contains("rel=next")).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, State};
    use super::*;
    use crate::blob;

    const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

    /// A manifest that refers to `subject`.
    fn manifest(subject: &str, number: u32) -> (Referrer, Vec<u8>) {
        let bytes = serde_json::json!({"schemaVersion": 2, "subject": {"digest": subject}, "number": number})
            .to_string()
            .into_bytes();
        let referrer = Referrer {
            media_type: KIND.to_owned(),
            digest: blob::sha256(&bytes),
            size: bytes.len() as u64,
            artifact_type: Some("test".to_owned()),
            ..Referrer::default()
        };
        (referrer, bytes)
    }

    #[test]
    fn referrers_are_listed_under_a_tag_without_the_api() {
        let fake = Fake::start(State::default());
        let (client, subject) = (fake.client("a"), blob::sha256(b"subject"));
        assert_eq!(client.referrers(&subject).unwrap(), []);
        let [first, second] = [1, 2].map(|number| manifest(&subject, number));
        for (referrer, bytes) in [&first, &second, &first] {
            client.put_referrer(&subject, referrer, bytes).unwrap();
        }
        assert_eq!(client.referrers(&subject).unwrap(), [first.0, second.0]);
        let tag = subject.replace(':', "-");
        assert_eq!(fake.state().manifests[&("a".to_owned(), tag)].0, INDEX);
    }

    #[test]
    fn entries_of_other_tools_stay_as_they_are() {
        let (referrer, _) = manifest("x", 1);
        let theirs =
            br#"{"annotations":{"a":"b"},"manifests":[{"data":"e30=","digest":"y"}],"schemaVersion":2}"#;
        let both = with_entry(Some(theirs), &referrer).unwrap().unwrap();
        let text = String::from_utf8(both.clone()).unwrap();
        assert!(
            text.starts_with(r#"{"annotations":{"a":"b"},"manifests":[{"data":"e30=","digest":"y"},"#),
            "{text}"
        );
        assert_eq!(with_entry(Some(&both), &referrer).unwrap(), None);
        for wrong in ["[]", "{}", "x"] {
            assert!(with_entry(Some(wrong.as_bytes()), &referrer).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_registry_with_the_api_needs_no_tag() {
        let fake = Fake::start(State { has_referrers: true, ..State::default() });
        let subject = blob::sha256(b"subject");
        let (referrer, bytes) = manifest(&subject, 1);
        let put = fake.client("a").put_referrer(&subject, &referrer, &bytes).unwrap();
        assert_eq!(put.subject.as_deref(), Some(subject.as_str()));
        assert_eq!(fake.client("a").referrers(&subject).unwrap(), [referrer]);
        assert!(!fake.state().manifests.keys().any(|(_, version)| version.starts_with("sha256-")));
    }

    #[test]
    fn a_list_without_an_end_is_an_error() {
        let fake = Fake::start(State { has_referrers: true, repeats_referrers: true, ..State::default() });
        let subject = blob::sha256(b"subject");
        for number in 0..400 {
            let (referrer, bytes) = manifest(&subject, number);
            fake.state().manifests.insert(("a".to_owned(), referrer.digest), (KIND.to_owned(), bytes));
        }
        let error = fake.client("a").referrers(&subject).unwrap_err().to_string();
        assert!(error.contains("more than 1000 referrers"), "{error}");
        assert_eq!(fake.count("GET"), 3);
    }

    #[test]
    fn the_next_page_is_in_the_link() {
        let link = "</v2/a/referrers/sha256:1?last=x>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("/v2/a/referrers/sha256:1?last=x"));
        assert_eq!(next_page("</v2/a>; rel=\"prev\""), None);
    }
}
