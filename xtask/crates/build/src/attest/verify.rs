//! Verifies signatures and attestations of images in registries: they exist, are signed with a key, refer to this image, and are true.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::verify_report::{VerifiedImage, VerifyReport};
use super::{COSIGN, provenance};
use contents::image::ImageSource;
use contents::sbom;
use contents::sources::analyze_source;
use engine::attestations::{CYCLONEDX, Envelope, PROVENANCE, Subject, bundles, signatures};
use engine::context::Context;
use engine::cosign::Verifier;
use engine::labels;
use engine::oci::{Choice, Platform};
use engine::programs;
use engine::registry_client::{RegistryClient, RemoteReference};
use engine::stored_image::StoredImage;
use host::program::PROGRAM;
use model::image_ref::repository_of;
use model::manifest::Manifest;

/// What to verify against.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The key that must have made the signatures.
    pub key: Verifier,
    /// The commit that the provenance must name; `None` for the commit in the image's label.
    pub commit: Option<&'a str>,
}

/// Verifies images by reference.
///
/// # Errors
/// When cosign is missing or cannot use the key, or a registry does not answer. Faults of images are part of the report.
pub fn verify(
    references: &[String],
    expected: &Expected<'_>,
    manifest: Option<&Manifest>,
    context: &Context,
) -> Result<VerifyReport> {
    programs::require(&[COSIGN], context)?;
    let mut images = Vec::new();
    for reference in references {
        let remote: RemoteReference = reference.parse()?;
        let full = remote.to_string();
        let name = repository_of(&full).to_owned();
        let client = RegistryClient::new(remote, &context.docker.runner);
        let version = full.get(name.len() + 1..).unwrap_or_default();
        let place = Place { reference, name: &name, client: &client, expected, manifest, context };
        let Some((subject, bytes)) = Subject::find(&client, version)? else {
            let mut image = place.image(None, None);
            image.fault(format!("{reference} is not in the registry"), "check the name, or push it");
            images.push(image);
            continue;
        };
        images.extend(place.all(&subject, &bytes)?);
    }
    Ok(VerifyReport { schema: 1, images })
}

/// A reference to verify.
struct Place<'a> {
    reference: &'a str,
    name: &'a str,
    client: &'a RegistryClient,
    expected: &'a Expected<'a>,
    manifest: Option<&'a Manifest>,
    context: &'a Context,
}

impl Place<'_> {
    fn image(&self, digest: Option<&str>, platform: Option<String>) -> VerifiedImage {
        VerifiedImage {
            reference: self.reference.to_owned(),
            digest: digest.map(str::to_owned),
            platform,
            components: None,
            commit: None,
            faults: Vec::new(),
        }
    }

    /// The image, or an index and its images.
    fn all(&self, subject: &Subject, manifest: &[u8]) -> Result<Vec<VerifiedImage>> {
        let manifest: Value = serde_json::from_slice(manifest).context("invalid manifest")?;
        let Some(entries) = manifest["manifests"].as_array() else {
            return Ok(vec![self.one(subject, None)?]);
        };
        let mut index = self.image(Some(&subject.digest), Some("index".to_owned()));
        self.signature(subject, &mut index)?;
        let mut images = vec![index];
        for entry in entries {
            let platform: Platform = serde_json::from_value(entry["platform"].clone()).unwrap_or_default();
            let digest = entry["digest"].as_str().unwrap_or_default();
            // BuildKit's own attestations have no platform.
            if platform.os() == "unknown" {
                continue;
            }
            let found = Subject::find(self.client, digest)?;
            let (own, _) =
                found.with_context(|| format!("{} is missing its image {digest}", self.reference))?;
            images.push(self.one(&own, Some(platform.to_string()))?);
        }
        Ok(images)
    }

    fn one(&self, subject: &Subject, platform: Option<String>) -> Result<VerifiedImage> {
        let mut image = self.image(Some(&subject.digest), platform);
        self.signature(subject, &mut image)?;
        let bill = self.statement(subject, CYCLONEDX, "bill of materials", &mut image)?;
        let provenance = self.statement(subject, PROVENANCE, "provenance", &mut image)?;
        if bill.is_none() && provenance.is_none() {
            return Ok(image);
        }
        let remote: RemoteReference = format!("{}@{}", self.name, subject.digest).parse()?;
        let runner = &self.context.docker.runner;
        let stored = StoredImage::registry(&remote.to_string(), remote.clone(), Choice::default(), runner)??;
        if let Some(provenance) = provenance {
            let read = stored.read(&|_| true, &mut |_, _| Ok(()))?;
            let built_from = read.image.label(labels::REVISION).map(str::to_owned);
            check_commit(&provenance, built_from.as_deref(), self.expected.commit, &mut image);
        }
        if let Some(bill) = bill {
            let project = self.manifest.map_or("images", |manifest| &manifest.project);
            let contents =
                analyze_source(&ImageSource::Stored(Box::new(stored)), self.manifest, self.context)?;
            compare_bills(&bill, &sbom::cyclonedx(&contents, project), &mut image);
        }
        Ok(image)
    }

    /// Checks that the key signed the image.
    fn signature(&self, subject: &Subject, image: &mut VerifiedImage) -> Result<()> {
        let key = &self.expected.key;
        let found = signatures(self.client, subject)?;
        if found.is_empty() {
            image.fault("not signed".to_owned(), &attest());
            return Ok(());
        }
        let mut is_of_other = false;
        for signature in &found {
            if key.verify(&signature.payload, &signature.signature)? {
                if signature.is_of(subject) {
                    return Ok(());
                }
                is_of_other = true;
            }
        }
        if is_of_other {
            image.fault("the signature is for another image".to_owned(), &attest());
            return Ok(());
        }
        let what = format!("signed, but not with the key {}", key.key());
        image.fault(what, "use the publisher's public key; if it is right, do not trust the image");
        Ok(())
    }

    /// The predicate of this kind that the key signed for this image.
    fn statement(
        &self,
        subject: &Subject,
        kind: &str,
        name: &str,
        image: &mut VerifiedImage,
    ) -> Result<Option<Value>> {
        let key = &self.expected.key;
        let found = bundles(self.client, subject, kind)?;
        if found.is_empty() {
            image.fault(format!("no {name} is attached"), &attest());
            return Ok(None);
        }
        let fault = match predicate(&found, subject, &|bytes, signature| key.verify(bytes, signature))? {
            Signed::Predicate(predicate) => return Ok(Some(predicate)),
            Signed::OtherImage => (format!("the {name} is about another image"), attest()),
            Signed::ByNone => {
                let help = "use the publisher's public key; if it is right, do not trust the image";
                (format!("the {name} is not signed with the key {}", key.key()), help.to_owned())
            }
        };
        image.fault(fault.0, &fault.1);
        Ok(None)
    }
}

/// What a key signed among the attestations of one kind.
#[derive(Debug, PartialEq)]
enum Signed {
    /// A predicate about the image.
    Predicate(Value),
    /// Only statements about other images.
    OtherImage,
    ByNone,
}

/// The newest predicate about an image that a key signed.
fn predicate(
    found: &[Envelope],
    subject: &Subject,
    is_signed: &dyn Fn(&[u8], &str) -> Result<bool>,
) -> Result<Signed> {
    let hex = subject.digest.trim_start_matches("sha256:");
    let mut signed = Signed::ByNone;
    // The last is the newest.
    for envelope in found.iter().rev() {
        if !envelope.is_signed(is_signed)? {
            continue;
        }
        let Ok(mut statement) = envelope.statement() else { continue };
        let subjects = statement["subject"].as_array().map(Vec::as_slice).unwrap_or_default();
        if subjects.iter().any(|one| one["digest"]["sha256"] == hex) {
            return Ok(Signed::Predicate(statement["predicate"].take()));
        }
        signed = Signed::OtherImage;
    }
    Ok(signed)
}

/// Checks the commit that the provenance names. `label`: the commit in the image's label.
fn check_commit(provenance: &Value, label: Option<&str>, expected: Option<&str>, image: &mut VerifiedImage) {
    let named = provenance::commit_of(provenance);
    image.commit = named.map(str::to_owned);
    let named = named.unwrap_or("no commit");
    if let Some(label) = label.filter(|label| *label != named) {
        let what = format!("provenance names {named}, but the image's label says {label}");
        image.fault(what, "build the image again and push it with its attestations");
    }
    if let Some(expected) = expected.filter(|expected| *expected != named) {
        let what = format!("provenance names {named}, not {expected}");
        image.fault(what, "deploy an image built from that commit, or set --commit to this image's commit");
    }
}

fn attest() -> String {
    format!("attest it: `{PROGRAM} push --attest --key cosign.key`")
}

/// The names of the components in a bill of materials.
fn components(bill: &Value) -> BTreeSet<&str> {
    let all = bill["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|component| component["bom-ref"].as_str()).collect()
}

/// Compares an attached bill of materials with the image's contents. Only components with a package URL count: the names of other
/// components depend on the checkout.
fn compare_bills(attached: &Value, found: &Value, image: &mut VerifiedImage) {
    let (attached, found) = (components(attached), components(found));
    image.components = Some(attached.len());
    let differing = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| -> Vec<String> {
        let packages = one.difference(other).filter(|name| name.starts_with("pkg:"));
        packages.map(|name| (*name).to_owned()).collect()
    };
    let help = "push the image again with its attestations, using the same version of this program";
    for (names, what) in [
        (differing(&found, &attached), "the bill of materials omits packages in the image"),
        (differing(&attached, &found), "the bill of materials lists packages that are not in the image"),
    ] {
        if let Some(first) = names.first() {
            image.fault(format!("{what}: {}, such as {first}", names.len()), help);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn image() -> VerifiedImage {
        VerifiedImage {
            reference: "r.example/x:1".into(),
            digest: None,
            platform: None,
            components: None,
            commit: None,
            faults: Vec::new(),
        }
    }

    fn faults(image: &VerifiedImage) -> Vec<&str> {
        image.faults.iter().map(|fault| fault.what.as_str()).collect()
    }

    #[test]
    fn only_a_statement_about_the_image_counts() {
        let of_type = |kind: &str, payload: &str, key: &str| -> Envelope {
            let json = json!({"payloadType": kind, "payload": payload, "signatures": [{"sig": key}]});
            serde_json::from_value(json).unwrap()
        };
        let envelope = |payload: &str, key: &str| of_type("application/vnd.in-toto+json", payload, key);
        // {"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"HEX"}}],"predicate":N}
        let of_aa = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYWEifX1dLCJwcmVkaWNhdGUiOjF9";
        let of_bb = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYmIifX1dLCJwcmVkaWNhdGUiOjJ9";
        // Without `_type`.
        let other = "eyJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiYWEifX1dLCJwcmVkaWNhdGUiOjF9";
        let subject = Subject { media_type: "m".into(), digest: "sha256:aa".into(), size: 1 };
        let is_own = |_: &[u8], signature: &str| Ok(signature == "own");
        let found = |all: &[Envelope]| predicate(all, &subject, &is_own).unwrap();
        assert_eq!(found(&[envelope(of_aa, "own"), envelope(of_bb, "own")]), Signed::Predicate(json!(1)));
        assert_eq!(found(&[envelope(of_bb, "own"), envelope(of_aa, "other")]), Signed::OtherImage);
        assert_eq!(found(&[envelope(of_aa, "other")]), Signed::ByNone);
        assert_eq!(found(&[of_type("application/json", of_aa, "own")]), Signed::ByNone);
        assert_eq!(found(&[envelope(other, "own")]), Signed::ByNone);
    }

    #[test]
    fn the_commit_is_that_of_the_label_and_the_expected_one() {
        let provenance =
            json!({"buildDefinition": {"externalParameters": {"configSource": {"digest": {"sha1": "a1"}}}}});
        for (label, expected, fault) in [
            (Some("a1"), Some("a1"), None),
            (None, None, None),
            (Some("b2"), None, Some("provenance names a1, but the image's label says b2")),
            (Some("a1"), Some("c3"), Some("provenance names a1, not c3")),
        ] {
            let mut image = image();
            check_commit(&provenance, label, expected, &mut image);
            assert_eq!((faults(&image), image.commit.as_deref()), (fault.into_iter().collect(), Some("a1")));
        }
    }

    #[test]
    fn every_package_is_in_both_bills() {
        let bill = |names: &[&str]| {
            let components = names.iter().map(|name| json!({"bom-ref": name})).collect::<Vec<_>>();
            json!({"components": components})
        };
        let mut same = image();
        compare_bills(&bill(&["pkg:deb/a@1", "own:x"]), &bill(&["pkg:deb/a@1"]), &mut same);
        assert_eq!((faults(&same), same.components), (Vec::new(), Some(2)));
        let mut other = image();
        compare_bills(&bill(&["pkg:deb/a@1"]), &bill(&["pkg:deb/a@2", "pkg:deb/b@1"]), &mut other);
        assert_eq!(
            faults(&other),
            [
                "the bill of materials omits packages in the image: 2, such as pkg:deb/a@2",
                "the bill of materials lists packages that are not in the image: 1, such as pkg:deb/a@1"
            ]
        );
        let error = VerifyReport { schema: 1, images: vec![other] }.check().unwrap_err().to_string();
        assert!(error.starts_with("r.example/x:1: the bill of materials omits"), "{error}");
    }
}
