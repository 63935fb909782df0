//! Attestations on registries with and without the referrers API.

use std::cell::RefCell;
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::fake::{Fake, State};
use super::{Referrer, RegistryClient};
use crate::attestations::{Attached, CYCLONEDX, PROVENANCE, Signing, Subject, attach, bundles, signatures};
use crate::blob;

const REPOSITORY: &str = "x";
const NAME: &str = "hub.example/team/x";

/// A registry with an image, a client, and the image.
fn registry(has_referrers: bool) -> (Fake, RegistryClient, Subject) {
    let fake = Fake::start(State { has_referrers, ..State::default() });
    let client = fake.client(REPOSITORY);
    let kind = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": {}, "layers": []}).to_string();
    client.put_manifest("1", kind, manifest.as_bytes()).unwrap();
    let (subject, _) = Subject::find(&client, "1").unwrap().unwrap();
    assert_eq!(
        (subject.media_type.as_str(), subject.digest.clone()),
        (kind, blob::sha256(manifest.as_bytes()))
    );
    client.put_manifest(&subject.digest, kind, manifest.as_bytes()).unwrap();
    (fake, client, subject)
}

/// A signature that differs each time, like ECDSA signatures.
fn signature(key: &str, number: usize, bytes: &[u8]) -> String {
    format!("{key} {number} {}", blob::sha256(bytes))
}

/// Attaches with a key that fails after `most` signatures.
fn attach_with(key: &str, most: usize, client: &RegistryClient, subject: &Subject) -> Result<Attached> {
    let made = RefCell::new(0);
    let sign = |bytes: &[u8]| {
        *made.borrow_mut() += 1;
        if *made.borrow() > most {
            bail!("the key is gone");
        }
        Ok(signature(key, *made.borrow(), bytes))
    };
    let is_signed = |bytes: &[u8], found: &str| {
        Ok(found.starts_with(&format!("{key} ")) && found.ends_with(&blob::sha256(bytes)))
    };
    let signing = Signing { sign: &sign, is_signed: &is_signed, hint: "hint" };
    let (bom, provenance) = (json!({"components": []}), json!({"buildDefinition": {}}));
    attach(client, subject, NAME, &[(CYCLONEDX, &bom), (PROVENANCE, &provenance)], signing)
}

fn manifest(fake: &Fake, version: &str) -> Value {
    let state = fake.state();
    let found = state.manifests.get(&(REPOSITORY.to_owned(), version.to_owned()));
    found.map(|(_, bytes)| serde_json::from_slice(bytes).unwrap()).unwrap_or_default()
}

fn tag(subject: &Subject, suffix: &str) -> String {
    format!("{}{suffix}", subject.digest.replace(':', "-"))
}

#[test]
fn a_registry_without_the_api_lists_referrers_under_a_tag() {
    let (fake, client, subject) = registry(false);
    let image = manifest(&fake, "1");
    let attached = attach_with("a", 9, &client, &subject).unwrap();
    assert_eq!(attached, Attached { signed: 3, is_listed_under_tag: true });
    let list = manifest(&fake, &tag(&subject, ""));
    let kinds: Vec<&str> = list["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["artifactType"].as_str().unwrap())
        .collect();
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(kinds, [bundle, bundle, "application/vnd.dev.cosign.artifact.sig.v1+json"]);
    for one in list["manifests"].as_array().unwrap() {
        let referrer = manifest(&fake, one["digest"].as_str().unwrap());
        assert_eq!(referrer["subject"], serde_json::to_value(&subject).unwrap());
    }
    assert_eq!(manifest(&fake, "1"), image, "the image changed");
    assert_eq!(manifest(&fake, &tag(&subject, ".att"))["layers"].as_array().unwrap().len(), 2);
    let signature = signatures(&client, &subject).unwrap().remove(0);
    assert!(signature.is_of(&subject) && signature.signature.starts_with("a 3 "));
    let statement = bundles(&client, &subject, PROVENANCE).unwrap().remove(0).statement().unwrap();
    assert_eq!(statement["subject"][0]["name"], NAME);
    assert_eq!(statement["subject"][0]["digest"]["sha256"], subject.digest.trim_start_matches("sha256:"));
}

#[test]
fn a_registry_with_the_api_gets_no_list() {
    let (fake, client, subject) = registry(true);
    let attached = attach_with("a", 9, &client, &subject).unwrap();
    assert_eq!(attached, Attached { signed: 3, is_listed_under_tag: false });
    assert_eq!(client.referrers(&subject.digest).unwrap().len(), 3);
    assert_eq!(manifest(&fake, &tag(&subject, "")), Value::Null);
    assert_eq!(bundles(&client, &subject, CYCLONEDX).unwrap().len(), 1);
}

#[test]
fn a_repeat_signs_only_what_is_missing() {
    for most in 0..3 {
        let (fake, client, subject) = registry(false);
        let error = attach_with("a", most, &client, &subject).unwrap_err();
        assert_eq!(error.to_string(), "the key is gone");
        assert_eq!(attach_with("a", 9, &client, &subject).unwrap().signed, 3 - most);
        let before = fake.state().manifests.clone();
        assert_eq!(attach_with("a", 0, &client, &subject).unwrap().signed, 0);
        assert_eq!(fake.state().manifests, before);
        assert_eq!(client.referrers(&subject.digest).unwrap().len(), 3);
    }
}

#[test]
fn a_second_key_signs_beside_the_first() {
    let (fake, client, subject) = registry(false);
    attach_with("a", 9, &client, &subject).unwrap();
    assert_eq!(attach_with("b", 9, &client, &subject).unwrap().signed, 3);
    assert_eq!(signatures(&client, &subject).unwrap().len(), 2);
    assert_eq!(manifest(&fake, &tag(&subject, ".att"))["layers"].as_array().unwrap().len(), 4);
    assert_eq!(bundles(&client, &subject, CYCLONEDX).unwrap().len(), 2);
    // Each key still finds its signatures.
    for key in ["a", "b"] {
        assert_eq!(attach_with(key, 0, &client, &subject).unwrap().signed, 0);
    }
}

#[test]
fn a_damaged_attestation_is_an_error() {
    let (fake, client, subject) = registry(true);
    attach_with("a", 9, &client, &subject).unwrap();
    let mut state = fake.state();
    let bundles_of = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains("dsseEnvelope");
    state.blobs.values_mut().filter(|bytes| bundles_of(bytes)).for_each(|bytes| bytes.reverse());
    drop(state);
    let error = format!("{:#}", bundles(&client, &subject, CYCLONEDX).unwrap_err());
    assert!(error.contains("wrong digest"), "{error}");
}

/// Attaches another tool's document as a Sigstore bundle.
fn attach_other(client: &RegistryClient, subject: &Subject, bundle: &[u8], size: usize) {
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let (digest, _) = client.deliver_bytes(bundle).unwrap();
    put_other(client, subject, &json!({"layers": [{"mediaType": kind, "digest": digest, "size": size}]}));
}

fn put_other(client: &RegistryClient, subject: &Subject, manifest: &Value) {
    let manifest = manifest.to_string();
    let referrer = Referrer {
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        digest: blob::sha256(manifest.as_bytes()),
        size: manifest.len() as u64,
        artifact_type: Some("application/vnd.dev.sigstore.bundle.v0.3+json".to_owned()),
        annotations: BTreeMap::new(),
    };
    client.put_referrer(&subject.digest, &referrer, manifest.as_bytes()).unwrap();
}

#[test]
fn what_other_tools_attached_is_skipped() {
    let (_fake, client, subject) = registry(false);
    let envelope =
        json!({"payloadType": "application/vnd.in-toto+json", "payload": "eA==", "signatures": []});
    for bundle in [
        json!({"messageSignature": {"signature": "eA=="}}),
        json!({"dsseEnvelope": envelope}),
        json!("not a bundle"),
    ] {
        let bundle = bundle.to_string();
        attach_other(&client, &subject, bundle.as_bytes(), bundle.len());
    }
    put_other(&client, &subject, &json!({"layers": null}));
    assert_eq!(attach_with("a", 9, &client, &subject).unwrap().signed, 3);
    assert_eq!(bundles(&client, &subject, CYCLONEDX).unwrap().len(), 1);
}

#[test]
fn the_total_size_is_limited() {
    let (fake, client, subject) = registry(false);
    attach_with("a", 9, &client, &subject).unwrap();
    let (digest, size) = (blob::sha256(b"x"), 1 << 20);
    client.deliver_bytes(b"x").unwrap();
    let with_layers = |count: usize, size: u64| {
        let mut sig = manifest(&fake, &tag(&subject, ".sig"));
        let kind = "application/vnd.dev.cosign.simplesigning.v1+json";
        let layer = json!({"mediaType": kind, "digest": digest, "size": size});
        sig["layers"].as_array_mut().unwrap().extend(vec![layer; count]);
        let kind = "application/vnd.oci.image.manifest.v1+json";
        client.put_manifest(&tag(&subject, ".sig"), kind, sig.to_string().as_bytes()).unwrap();
    };
    // Too large for a signature: not read.
    with_layers(1, size + 1);
    assert_eq!(signatures(&client, &subject).unwrap().len(), 1);
    with_layers(16, size);
    let error = format!("{:#}", signatures(&client, &subject).unwrap_err());
    assert!(error.contains("together they are larger than 16777216 bytes"), "{error}");
    for number in 0..3 {
        attach_other(&client, &subject, format!("{number}").as_bytes(), 128 << 20);
    }
    let error = format!("{:#}", bundles(&client, &subject, CYCLONEDX).unwrap_err());
    assert!(error.contains("together they are larger than 268435456 bytes"), "{error}");
}

#[test]
fn a_signature_of_another_type_does_not_count() {
    let (_fake, client, subject) = registry(true);
    attach_with("a", 9, &client, &subject).unwrap();
    let mut signature = signatures(&client, &subject).unwrap().remove(0);
    assert!(signature.is_of(&subject));
    let payload = String::from_utf8(signature.payload).unwrap();
    signature.payload =
        payload.replace("cosign container image signature", "atomic container signature").into();
    assert!(!signature.is_of(&subject));
}
