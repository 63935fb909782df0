//! Verifies signatures and attestations of images in registries: that they are there, signed with a key, about this image, and true.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

use super::{COSIGN, provenance};
use contents::image::ImageSource;
use contents::sbom;
use contents::sources::analyze_source;
use engine::attestations::{CYCLONEDX, PROVENANCE, Subject, bundles, signatures};
use engine::context::Context;
use engine::cosign::Verifier;
use engine::labels;
use engine::oci::{Choice, Platform};
use engine::programs;
use engine::registry_client::{RegistryClient, RemoteReference};
use engine::stored_image::StoredImage;
use host::failure::{Failure, FailureClass};
use host::plural::count;
use host::program::PROGRAM;
use host::render::Render;
use host::table::{Align, Table};
use model::image_ref::repository_of;
use model::manifest::Manifest;

/// The result of a verification.
#[derive(Debug, Serialize)]
pub struct VerifyReport {
    /// Version of this format.
    pub schema: u32,
    /// The images, an index's images one by one.
    pub images: Vec<VerifiedImage>,
}

/// One image.
#[derive(Debug, Serialize)]
pub struct VerifiedImage {
    /// The reference that was requested.
    pub reference: String,
    /// The digest of the image's manifest; `None` if the registry does not have it.
    pub digest: Option<String>,
    /// The platform, for an image of an index.
    pub platform: Option<String>,
    /// The number of components in its bill of materials.
    pub components: Option<usize>,
    /// The commit in its provenance.
    pub commit: Option<String>,
    /// What is wrong, with what fixes it; empty if everything is right.
    pub faults: Vec<Fault>,
}

/// Something that is wrong.
#[derive(Debug, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// What fixes it.
    pub help: String,
}

/// What to verify against.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The key that must have signed.
    pub key: Verifier,
    /// The commit that provenance must name; `None` for the commit in the image's label.
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

/// A reference that is verified.
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
            let (own, _) = found.with_context(|| format!("{} lacks its image {digest}", self.reference))?;
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
            self.commit(&provenance, built_from.as_deref(), &mut image);
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
        for signature in &found {
            if key.verify(&signature.payload, &signature.signature)? {
                if !signature.is_of(subject) {
                    let what = "the signature is for another image".to_owned();
                    image.fault(what, "push the image again, or restore the one that was signed");
                }
                return Ok(());
            }
        }
        let what = format!("signed, but not with the key {}", key.key());
        image.fault(what, "use the publisher's public key; if it is right, do not trust the image");
        Ok(())
    }

    /// The predicate of a kind that the key signed about this image.
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
        let hex = subject.digest.trim_start_matches("sha256:");
        let mut is_of_other = false;
        // The newest is the last.
        for envelope in found.iter().rev() {
            if !envelope.is_signed(&|bytes, signature| key.verify(bytes, signature))? {
                continue;
            }
            let mut statement = envelope.statement()?;
            let subjects = statement["subject"].as_array().cloned().unwrap_or_default();
            if subjects.iter().any(|one| one["digest"]["sha256"] == hex) {
                return Ok(Some(statement["predicate"].take()));
            }
            is_of_other = true;
        }
        match is_of_other {
            true => image.fault(format!("the {name} is about another image"), &attest()),
            false => image.fault(
                format!("the {name} is not signed with the key {}", key.key()),
                "use the publisher's public key; if it is right, do not trust the image",
            ),
        }
        Ok(None)
    }

    /// Checks the commit that provenance names.
    fn commit(&self, provenance: &Value, label: Option<&str>, image: &mut VerifiedImage) {
        let named = provenance::commit_of(provenance);
        image.commit = named.map(str::to_owned);
        let named = named.unwrap_or("no commit");
        if let Some(label) = label.filter(|label| *label != named) {
            let what = format!("provenance names {named}, but the image's label {label}");
            image.fault(what, "build the image again and push it with its attestations");
        }
        if let Some(expected) = self.expected.commit.filter(|expected| *expected != named) {
            let what = format!("provenance names {named}, not {expected}");
            image.fault(what, "deploy an image of that commit, or give the commit of this one");
        }
    }
}

fn attest() -> String {
    format!("attest it: `{PROGRAM} push --attest --key cosign.key`")
}

/// The names of a bill's components.
fn components(bill: &Value) -> BTreeSet<&str> {
    let all = bill["components"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(|component| component["bom-ref"].as_str()).collect()
}

/// Compares an attached bill of materials with the image's contents. Only components with a package URL count: names of others
/// depend on the checkout.
fn compare_bills(attached: &Value, found: &Value, image: &mut VerifiedImage) {
    let (attached, found) = (components(attached), components(found));
    image.components = Some(attached.len());
    let differing = |one: &BTreeSet<&str>, other: &BTreeSet<&str>| -> Vec<String> {
        let packages = one.difference(other).filter(|name| name.starts_with("pkg:"));
        packages.map(|name| (*name).to_owned()).collect()
    };
    let help = "push the image again with its attestations, using the same version of this program";
    for (names, what) in [
        (differing(&found, &attached), "the bill of materials lacks packages of the image"),
        (differing(&attached, &found), "the bill of materials names packages that the image lacks"),
    ] {
        if let Some(first) = names.first() {
            image.fault(format!("{what}: {}, such as {first}", names.len()), help);
        }
    }
}

impl VerifiedImage {
    fn fault(&mut self, what: String, help: &str) {
        self.faults.push(Fault { what, help: help.to_owned() });
    }
}

impl VerifyReport {
    /// Fails if an image has a fault.
    ///
    /// # Errors
    /// All faults in one message.
    pub fn check(&self) -> Result<()> {
        let mut lines = Vec::new();
        for image in &self.images {
            for fault in &image.faults {
                lines.push(format!("{image}: {}\nhelp: {}", fault.what, fault.help));
            }
        }
        match lines.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(FailureClass::Failed, lines.join("\n"), "").into()),
        }
    }

    fn table(&self) -> Table {
        let columns = [
            ("image", Align::Left),
            ("platform", Align::Left),
            ("digest", Align::Left),
            ("components", Align::Right),
            ("commit", Align::Left),
            ("verified", Align::Left),
        ];
        let mut table = Table::new(&columns);
        let shown = |text: Option<&str>| text.unwrap_or("–").to_owned();
        for image in &self.images {
            table.row(vec![
                image.reference.clone(),
                shown(image.platform.as_deref()),
                shown(image.digest.as_deref()),
                image.components.map_or_else(|| "–".to_owned(), |number| number.to_string()),
                shown(image.commit.as_deref().map(|commit| commit.get(..12).unwrap_or(commit))),
                match image.faults.len() {
                    0 => "yes".to_owned(),
                    faults => format!("NO: {}", count(faults, "fault")),
                },
            ]);
        }
        table
    }
}

impl fmt::Display for VerifiedImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)?;
        self.platform.iter().try_for_each(|platform| write!(f, " ({platform})"))
    }
}

impl Render for VerifyReport {
    fn text(&self) -> String {
        self.table().text()
    }

    fn markdown(&self) -> String {
        self.table().markdown()
    }
}
