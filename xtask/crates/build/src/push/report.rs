//! The result of a push, one row per tag.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::request::ServiceImage;
use host::failure::Failure;
use host::render::Render;
use host::table::{Align, Table};
use model::image_ref::ImageRef;

/// The result of a push.
#[derive(Debug, Clone, Serialize)]
pub struct PushReport {
    /// The version of this record's format.
    pub schema: u32,
    /// The registry and path that were pushed to.
    pub registry: String,
    /// The tags, in the manifest's order.
    pub images: Vec<PushRow>,
    /// Why the record of digests could not be written.
    #[serde(skip)]
    pub unrecorded: Option<Failure>,
}

/// The result for one tag.
#[derive(Debug, Clone, Serialize)]
pub struct PushRow {
    /// The reference in the registry.
    pub reference: ImageRef,
    /// Which image it is.
    #[serde(flatten)]
    pub service_image: ServiceImage,
    /// The image's local ID; `None` for an index.
    pub image: Option<String>,
    /// The digests of an index's images by platform; empty for an image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, String>,
    /// The manifest digest in the registry; `None` if the tag was not pushed.
    pub digest: Option<String>,
    /// What happened to it.
    pub state: PushState,
    /// Digest of the different image or index that the registry had under the reference.
    pub replaced: Option<String>,
    /// The number of attempts.
    pub tries: u32,
    /// The number of layers uploaded; the registry already had the others.
    pub layers_sent: usize,
    /// Why the push failed.
    pub failure: Option<PushFailure>,
    /// Whether it is a fingerprint tag. Existing fingerprint tags stay, so the digest may belong to another image.
    #[serde(skip)]
    pub is_built: bool,
}

/// What happened to one tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushState {
    /// Would be pushed (dry run).
    Planned,
    /// Pushed.
    Pushed,
    /// Pushed; the registry had a different image or index under the reference.
    Replaced,
    /// The registry had exactly this image, so nothing was sent.
    Unchanged,
    /// The push failed.
    Failed,
    /// Not tried because another push failed first.
    NotTried,
}

/// Why a tag was not pushed.
#[derive(Debug, Clone, Serialize)]
pub struct PushFailure {
    /// Docker's error message.
    #[serde(rename = "said")]
    pub message: String,
    /// What fixes it.
    pub remedy: String,
    /// Whether the environment is at fault rather than the project.
    pub environment: bool,
}

impl PushState {
    /// The state in tables and messages.
    pub fn label(self) -> &'static str {
        match self {
            PushState::Planned => "planned",
            PushState::Pushed => "pushed",
            PushState::Replaced => "replaced",
            PushState::Unchanged => "unchanged",
            PushState::Failed => "FAILED",
            PushState::NotTried => "not tried",
        }
    }
}

impl PushRow {
    pub(crate) fn new(
        reference: &ImageRef,
        service_image: &ServiceImage,
        image: Option<String>,
        state: PushState,
    ) -> PushRow {
        PushRow {
            reference: reference.clone(),
            service_image: service_image.clone(),
            image,
            platforms: BTreeMap::new(),
            digest: None,
            state,
            replaced: None,
            tries: 0,
            layers_sent: 0,
            failure: None,
            is_built: false,
        }
    }

    /// The state, with the digest that was or would be replaced.
    fn label(&self) -> String {
        match (&self.replaced, self.state) {
            (Some(digest), PushState::Planned) => format!("would replace {digest}"),
            (Some(digest), PushState::Replaced) => format!("replaced {digest}"),
            (_, state) => state.label().to_owned(),
        }
    }

    /// The terminal line for a tag that is in the registry.
    pub(super) fn narration(&self) -> String {
        let digest = self.digest.as_deref().unwrap_or_default();
        match &self.replaced {
            Some(replaced) => format!("pushed {}  {digest}; replaced {replaced}", self.reference),
            None => format!("{} {}  {digest}", self.state.label(), self.reference),
        }
    }
}

impl PushReport {
    /// Fails if a tag could not be pushed, or the digests could not be recorded. It is an environment failure if
    /// all push failures are.
    ///
    /// # Errors
    /// All failed tags in one message.
    pub fn check(&self) -> Result<()> {
        let failures: Vec<(&ImageRef, &PushFailure)> =
            self.images.iter().filter_map(|row| Some((&row.reference, row.failure.as_ref()?))).collect();
        if failures.is_empty() {
            return self.unrecorded.clone().map_or(Ok(()), |failure| Err(failure.into()));
        }
        let line = |(reference, failure): &(&ImageRef, &PushFailure)| {
            format!("cannot push {reference}: {}\nhelp: {}", failure.message, failure.remedy)
        };
        let not_tried = self.images.iter().filter(|row| row.state == PushState::NotTried).count();
        let skipped = (not_tried > 0).then(|| format!("tags not attempted after the failure: {not_tried}"));
        let unrecorded = self.unrecorded.iter().map(ToString::to_string);
        let lines = skipped.into_iter().chain(failures.iter().map(line)).chain(unrecorded);
        let text = lines.collect::<Vec<_>>().join("\n");
        if failures.iter().all(|(_, failure)| failure.environment) {
            return Err(Failure::machine(text, "").into());
        }
        bail!("{text}")
    }

    /// The report of a push that compared all tags, and pushed none because of these failures.
    pub(super) fn not_pushed(mut self) -> PushReport {
        for row in self.images.iter_mut().filter(|row| row.state == PushState::Planned) {
            (row.state, row.replaced) = (PushState::NotTried, None);
        }
        self
    }

    fn table(&self) -> Table {
        let columns = [
            ("image", Align::Left),
            ("digest", Align::Left),
            ("state", Align::Left),
            ("tries", Align::Right),
        ];
        let mut table = Table::new(&columns);
        for row in &self.images {
            table.row(vec![
                row.reference.to_string(),
                row.digest.clone().unwrap_or_else(|| "–".into()),
                row.label(),
                row.tries.to_string(),
            ]);
        }
        table
    }
}

impl Render for PushReport {
    fn text(&self) -> String {
        self.table().text()
    }

    fn markdown(&self) -> String {
        self.table().markdown()
    }
}
