//! Signs pushed images and attaches bills of materials and provenance to them.

mod inputs;
mod provenance;
pub mod verify;
mod verify_report;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Error, Result};
use serde_json::Value;

use crate::push::report::{PushReport, PushRow};
use crate::request::TaggedImage;
use contents::analysis::analyze;
use contents::image::ImageToAnalyze;
use contents::sbom;
use engine::attestations::{self, CYCLONEDX, PROVENANCE, Signing, Subject};
use engine::context::Context;
use engine::cosign::Signer;
use engine::programs;
use engine::registry_client::{RegistryClient, RemoteReference};
use host::failure::{Failure, class_of};
use host::plural::count;
use model::manifest::Manifest;

/// The program that signs.
const COSIGN: &str = "cosign";

/// The predicates of images, created before the push: an image that cannot be described is not pushed.
#[derive(Debug)]
pub struct Attestor {
    signer: Signer,
    hint: String,
    /// By local image ID.
    predicates: BTreeMap<String, Predicates>,
}

#[derive(Debug)]
struct Predicates {
    bill_of_materials: Value,
    provenance: Value,
}

/// A manifest or index that was pushed under one or more tags.
#[derive(Debug, Clone, Copy)]
struct Pushed<'r> {
    /// The first row with this digest in this repository.
    row: &'r PushRow,
    digest: &'r str,
}

impl Attestor {
    /// Checks the key and describes the images in the engine. Missing images are left for the push to report.
    ///
    /// # Errors
    /// When cosign is missing or cannot use the key, an image cannot be read, or its commit is unknown.
    pub fn prepare(
        key: &str,
        images: &[TaggedImage],
        manifest: &Manifest,
        context: &Context,
    ) -> Result<Attestor> {
        programs::require(&[COSIGN], context)?;
        let signer = Signer::new(key, &context.docker.runner)?;
        let hint = signer.hint()?;
        let tag = |image: &TaggedImage| image.tags.first().map(ToString::to_string);
        let tags: Vec<String> = images.iter().filter_map(tag).collect();
        let found = context.docker.inspect(&tags)?;
        let origin = context.git().origin().and_then(|url| provenance::source(&url));
        let mut predicates = BTreeMap::new();
        for (tagged, tag) in images.iter().filter_map(|image| Some((image, tag(image)?))) {
            let Some(image) = found.get(&tag).filter(|image| !predicates.contains_key(&image.id)) else {
                continue;
            };
            let mut provenance = provenance::of(&tag, image, &tagged.image, manifest, origin.as_deref())?;
            inputs::add(&mut provenance, &tag, image, manifest, context)?;
            let to_analyze = ImageToAnalyze { reference: tag.clone(), image: image.clone() };
            let contents = analyze(std::slice::from_ref(&to_analyze), manifest, context)?;
            let contents = contents.first().with_context(|| format!("{tag} was not analyzed"))?;
            let bill_of_materials = sbom::cyclonedx(contents, &manifest.project);
            predicates.insert(image.id.clone(), Predicates { bill_of_materials, provenance });
        }
        Ok(Attestor { signer, hint, predicates })
    }

    /// Signs everything in a report, by digest. Existing signatures are kept, so a repeat after a failure resumes.
    ///
    /// # Errors
    /// The first image that fails; the message lists which images are attested and which are not.
    pub fn attest(&self, report: &PushReport, context: &Context) -> Result<()> {
        let all = pushed(report);
        for (index, pushed) in all.iter().enumerate() {
            let attested = context.docker.runner.interrupt.check().map_err(Error::from);
            if let Err(error) = attested.and_then(|()| self.one(*pushed, context)) {
                return Err(unfinished(&error, &all[..index], &all[index..]));
            }
        }
        Ok(())
    }

    fn one(&self, pushed: Pushed<'_>, context: &Context) -> Result<()> {
        let Pushed { row, digest } = pushed;
        let name = row.reference.repository();
        let remote: RemoteReference = format!("{name}@{digest}").parse()?;
        let client = RegistryClient::new(remote, &context.docker.runner);
        let (subject, _) = Subject::find(&client, digest)?
            .with_context(|| format!("the registry no longer has {digest}"))?;
        let verifier = self.signer.verifier();
        let signing = Signing {
            sign: &|bytes| self.signer.sign(bytes),
            is_signed: &|bytes, signature| verifier.verify(bytes, signature),
            hint: &self.hint,
        };
        let predicates = match &row.image {
            Some(image) => {
                let made = self.predicates.get(image);
                let made = made.with_context(|| format!("{} was rebuilt in the meantime", row.reference))?;
                vec![(CYCLONEDX, &made.bill_of_materials), (PROVENANCE, &made.provenance)]
            }
            // An index has no documents; each of its images does.
            None => Vec::new(),
        };
        let attached = attestations::attach(&client, &subject, name, &predicates, signing)?;
        let what = match (attached.signed, row.image.is_some()) {
            (0, _) => "unchanged",
            (_, true) => "signature, bill of materials, provenance",
            (_, false) => "signature",
        };
        context.terminal.say(format!("attested {}  {digest}: {what}", row.reference));
        if attached.is_listed_under_tag {
            let tag = digest.replace(':', "-");
            context.terminal.say(format!(
                "  the registry has no referrers API: referrers are listed under the tag {tag}"
            ));
        }
        Ok(())
    }
}

/// Everything that a push sent to or found in the registry, with each digest of a repository once. Fingerprint tags are skipped: an
/// existing one may refer to an image that was never compared with ours.
fn pushed(report: &PushReport) -> Vec<Pushed<'_>> {
    let mut all: Vec<Pushed<'_>> = Vec::new();
    for row in report.images.iter().filter(|row| !row.is_built) {
        let Some(digest) = row.digest.as_deref() else { continue };
        let is_same = |other: &Pushed<'_>| {
            other.digest == digest && other.row.reference.repository() == row.reference.repository()
        };
        if !all.iter().any(is_same) {
            all.push(Pushed { row, digest });
        }
    }
    all
}

/// The error for the first of `missing`. Everything was pushed, but only `done` is fully attested.
fn unfinished(error: &Error, done: &[Pushed<'_>], missing: &[Pushed<'_>]) -> Error {
    let first = missing.first().map(ToString::to_string).unwrap_or_default();
    let names = |all: &[Pushed<'_>]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut what =
        format!("cannot attest {first}: {error:#}\npushed, but not fully attested: {}", names(missing));
    if !done.is_empty() {
        what.push_str(&format!("\nattested: {} ({})", count(done.len(), "image"), names(done)));
    }
    let help = "fix this, then run the same command again: it signs only what is missing";
    Failure::new(class_of(error), what, help).into()
}

impl fmt::Display for Pushed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.row.reference.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::report::PushState;
    use crate::request::ServiceImage;
    use host::failure::FailureClass;
    use model::edition::Edition;
    use model::image_ref::ImageRef;
    use model::variant::Variant;

    fn row(tag: &str, digest: Option<&str>) -> PushRow {
        PushRow {
            reference: ImageRef::new("r.example/x", tag),
            service_image: ServiceImage {
                service: "x".into(),
                edition: Edition::NONE,
                variant: Variant::Optimized,
                platform: None,
            },
            image: Some("id".into()),
            platforms: BTreeMap::new(),
            digest: digest.map(str::to_owned),
            state: PushState::Pushed,
            replaced: None,
            tries: 1,
            layers_sent: 0,
            failure: None,
            is_built: false,
        }
    }

    #[test]
    fn a_digest_is_attested_once_and_a_failure_lists_what_is_missing() {
        let images = vec![
            row("1", Some("sha256:a")),
            row("2", Some("sha256:a")),
            row("3", None),
            PushRow { is_built: true, ..row("built-1", Some("sha256:foreign")) },
            row("4", Some("sha256:b")),
        ];
        let report = PushReport { schema: 1, registry: "r.example".into(), images, unrecorded: None };
        let all = pushed(&report);
        assert_eq!(
            all.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["r.example/x:1", "r.example/x:4"]
        );
        let refused = || Error::from(Failure::new(FailureClass::Network, "the registry failed (500)", ""));
        let error = unfinished(&refused(), &all[..1], &all[1..]);
        let expected = "cannot attest r.example/x:4: the registry failed (500)\n\
                        pushed, but not fully attested: r.example/x:4\nattested: 1 image (r.example/x:1)";
        let failure: &Failure = error.downcast_ref().unwrap();
        assert_eq!((failure.what.as_str(), class_of(&error)), (expected, FailureClass::Network));
        assert!(!unfinished(&refused(), &[], &all).to_string().contains("\nattested:"));
    }
}
