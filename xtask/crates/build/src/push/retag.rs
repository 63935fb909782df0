//! Sets tags in a registry on manifests that it already has: all of them, or none.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};

use crate::push::report::{PushFailure, PushReport, PushRow, PushState};
use crate::request::ServiceImage;
use engine::context::Context;
use engine::registry_client::RegistryClient;
use engine::remote_image::digest_of;
use host::failure::class_of;
use model::image_ref::{ImageRef, Registry};

/// A tag and the manifest or index that it is set on.
#[derive(Debug, Clone)]
pub(crate) struct RemoteMove {
    pub reference: ImageRef,
    pub service_image: ServiceImage,
    /// The image's ID; `None` for an index.
    pub id: Option<String>,
    /// The manifest's bytes.
    pub bytes: Vec<u8>,
    /// The digests of an index's images by platform.
    pub platforms: BTreeMap<String, String>,
}

/// A tag whose current manifest is known.
struct Planned<'m> {
    wanted: &'m RemoteMove,
    digest: String,
    client: RegistryClient,
    /// What the tag names before.
    before: Option<Vec<u8>>,
}

impl RemoteMove {
    fn row(&self, state: PushState) -> PushRow {
        PushRow {
            reference: self.reference.clone(),
            service_image: self.service_image.clone(),
            image: self.id.clone(),
            platforms: self.platforms.clone(),
            digest: None,
            state,
            replaced: None,
            tries: 1,
            layers_sent: 0,
            failure: None,
        }
    }
}

/// Reads the manifest with this digest, which a builder has pushed.
///
/// # Errors
/// When the registry does not have it, or does not answer.
pub(crate) fn pushed_manifest(tag: &ImageRef, digest: &str, context: &Context) -> Result<Vec<u8>> {
    let client = RegistryClient::new(tag.to_string().parse()?, &context.docker.runner);
    match client.find_manifest(digest)? {
        Some(bytes) => Ok(bytes),
        None => bail!(
            "the builder pushed {}@{digest}, but the registry does not have it\nhelp: use an address that means the same registry \
             on this machine and on the builder's",
            tag.repository()
        ),
    }
}

/// Sets the tags. If the registry rejects one, those before it are set back, and the report says so.
///
/// # Errors
/// When the registry does not answer before any tag is set, or the user interrupts before that.
pub(crate) fn all_or_none(moves: &[RemoteMove], registry: &Registry, context: &Context) -> Result<PushReport> {
    let planned = moves.iter().map(|one| plan(one, context)).collect::<Result<Vec<Planned<'_>>>>()?;
    context.docker.runner.interrupt.check()?;
    let mut rows: Vec<PushRow> = Vec::new();
    for (index, one) in planned.iter().enumerate() {
        match one.set() {
            Ok(row) => rows.push(row),
            Err(error) => {
                let restored = planned[..index].iter().rev().try_for_each(Planned::restore);
                let mut failed = one.wanted.row(PushState::Failed);
                failed.failure = Some(failure(&error, restored));
                let others = |planned: &[Planned<'_>]| -> Vec<PushRow> {
                    planned.iter().map(|one| one.wanted.row(PushState::NotTried)).collect()
                };
                rows = [others(&planned[..index]), vec![failed], others(&planned[index + 1..])].concat();
                break;
            }
        }
    }
    Ok(PushReport { schema: 1, registry: registry.to_string(), images: rows, unrecorded: None })
}

fn plan<'m>(wanted: &'m RemoteMove, context: &Context) -> Result<Planned<'m>> {
    let name = wanted.reference.to_string();
    let client = RegistryClient::new(name.parse()?, &context.docker.runner);
    let before = client.find_manifest(wanted.reference.tag()).with_context(|| format!("cannot look up {name}"))?;
    Ok(Planned { wanted, digest: digest_of(&wanted.bytes), client, before })
}

/// Why a tag was not set. `restored`: whether the tags before it were set back.
fn failure(error: &anyhow::Error, restored: Result<()>) -> PushFailure {
    let text = format!("{error:#}");
    let (what, help) = text.split_once("\nhelp: ").unwrap_or((&text, ""));
    let (after, remedy) = match restored {
        Ok(()) => ("no tag was changed".to_owned(), help),
        Err(error) => {
            (format!("tags set before it could not be set back: {error:#}"), "check the registry, then push again")
        }
    };
    let remedy = if remedy.is_empty() { "check the registry and the account, then push again" } else { remedy };
    PushFailure {
        message: format!("{what}; {after}"),
        remedy: remedy.to_owned(),
        environment: class_of(error).is_environment(),
    }
}

impl Planned<'_> {
    fn replaced(&self) -> Option<String> {
        self.before.as_deref().map(digest_of).filter(|before| *before != self.digest)
    }

    fn is_unchanged(&self) -> bool {
        self.before.as_deref().map(digest_of).as_ref() == Some(&self.digest)
    }

    fn set(&self) -> Result<PushRow> {
        let replaced = self.replaced();
        let state = match (self.is_unchanged(), &replaced) {
            (true, _) => PushState::Unchanged,
            (false, Some(_)) => PushState::Replaced,
            (false, None) => PushState::Pushed,
        };
        if state != PushState::Unchanged {
            self.put(&self.wanted.bytes)?;
        }
        Ok(PushRow { digest: Some(self.digest.clone()), replaced, ..self.wanted.row(state) })
    }

    /// Sets the tag back. A new tag is removed.
    fn restore(&self) -> Result<()> {
        match &self.before {
            _ if self.is_unchanged() => Ok(()),
            Some(before) => self.put(before),
            None => self.client.delete_manifest(self.wanted.reference.tag()),
        }
        .with_context(|| self.wanted.reference.to_string())
    }

    fn put(&self, bytes: &[u8]) -> Result<()> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            media_type: Option<String>,
        }
        let kind: Kind = serde_json::from_slice(bytes).context("unexpected manifest")?;
        // Optional in OCI manifests; BuildKit writes it.
        let media_type =
            kind.media_type.unwrap_or_else(|| "application/vnd.oci.image.manifest.v1+json".to_owned());
        self.client.put_manifest(self.wanted.reference.tag(), &media_type, bytes).map(drop)
    }
}
