//! Images in the engine: inspecting, tagging, removing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::docker::Docker;
use crate::inspect::ContainerConfig;
use crate::labels;
use crate::signs::{failed, unexpected_error};
use host::process::ProcessError;
use model::bytes::Bytes;
use model::image_ref::{familiar, repository_of};
use model::platform::Platform;

/// The answer of `docker image inspect`, as far as it is used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Image {
    /// The ID.
    pub id: String,
    /// All tags.
    pub repo_tags: Option<Vec<String>>,
    /// `NAME@DIGEST` in every registry that it was pushed to or pulled from.
    pub repo_digests: Option<Vec<String>>,
    /// Bytes as the store counts them: unpacked only on the classic store.
    pub size: u64,
    /// Its layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    /// What its containers start with.
    pub config: Option<ContainerConfig>,
    /// Operating system.
    pub os: String,
    /// CPU architecture.
    pub architecture: String,
    /// The architecture's variant, such as `v7`; empty if it has none.
    pub variant: String,
    /// Where the classic store keeps its top layer.
    pub graph_driver: GraphDriver,
}

/// The storage driver of an image or a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GraphDriver {
    /// The driver's own values; none on the containerd store.
    pub data: Option<BTreeMap<String, serde_json::Value>>,
}

/// The layers of an image.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RootFs {
    /// Digests of the unpacked layers, base first.
    pub layers: Option<Vec<String>>,
}

impl Image {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.config.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The platform that it runs on.
    pub fn platform(&self) -> Platform {
        let text = format!("{}/{}/{}", self.os, self.architecture, self.variant);
        text.trim_end_matches('/').parse().unwrap_or_else(|_| Platform::new(&self.os, &self.architecture))
    }

    /// Whether its bases are stand-ins for upstream images.
    pub fn is_on_stand_ins(&self, project: &str) -> bool {
        self.label(&labels::bases(project)) == Some(labels::STAND_IN)
    }

    /// Its digest in the registry of a reference.
    pub fn digest_at(&self, reference: &str) -> Option<&str> {
        let repository = repository_of(familiar(reference));
        let digests = self.repo_digests.iter().flatten();
        digests.filter_map(|digest| digest.strip_prefix(repository)?.strip_prefix('@')).next()
    }

    /// Whether a digest is one of its registry digests or, on the containerd store, its ID.
    pub fn is_pushed_as(&self, digest: &str) -> bool {
        let mut names = self.repo_digests.iter().flatten();
        self.id == digest || names.any(|name| name.split_once('@').is_some_and(|(_, known)| known == digest))
    }

    /// The fields that builds and comparisons use and that the ID determines.
    pub(crate) fn lasting(&self) -> Image {
        let labels = self.config.as_ref().and_then(|config| config.labels.clone());
        Image {
            id: self.id.clone(),
            size: self.size,
            root_fs: self.root_fs.clone(),
            config: labels
                .map(|labels| ContainerConfig { labels: Some(labels), ..ContainerConfig::default() }),
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
            ..Image::default()
        }
    }

    /// Its tags and registry digests.
    pub fn names(&self) -> Vec<&str> {
        self.repo_tags.iter().chain(&self.repo_digests).flatten().map(String::as_str).collect()
    }

    /// The engine's folder, from that of a layer, `FOLDER/overlay2/ID/diff`; `None` for other drivers and the containerd store.
    pub fn engine_folder(&self) -> Option<&Path> {
        let upper = Path::new(self.graph_driver.data.as_ref()?.get("UpperDir")?.as_str()?);
        let driver = upper.ancestors().nth(2)?;
        driver.ends_with("overlay2").then(|| driver.parent())?
    }

    /// Digests of the unpacked layers, base first.
    pub fn layers(&self) -> &[String] {
        self.root_fs.layers.as_deref().unwrap_or_default()
    }
}

/// A reference as the engine lists it: with `latest` if it has neither tag nor digest, without the tag if it has a digest.
pub(crate) fn called(reference: &str) -> Cow<'_, str> {
    let reference = familiar(reference);
    let repository = repository_of(reference);
    match reference.split_once('@') {
        Some((_, digest)) => Cow::Owned(format!("{repository}@{digest}")),
        // An image ID.
        None if reference.starts_with("sha256:") => Cow::Borrowed(reference),
        None if repository == reference => Cow::Owned(format!("{reference}:latest")),
        None => Cow::Borrowed(reference),
    }
}

/// A line of `docker history`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryEntry {
    /// The instruction.
    pub created_by: String,
    /// Bytes, as text.
    pub size: String,
}

impl Docker {
    /// Inspects many references in one call; missing images are not in the result.
    ///
    /// # Errors
    /// When docker fails.
    pub fn inspect(&self, references: &[String]) -> Result<BTreeMap<String, Image>> {
        if let Some(registry) = &self.registry {
            let look = |name: &String| Ok(registry.look(name)?.map(|image| (name.clone(), image)));
            return references.iter().filter_map(|name| look(name).transpose()).collect();
        }
        if references.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.watch_tags()?;
        let images: Vec<Image> = self.inspect_existing("image", references)?;
        let names = |image| Image::names(image).into_iter().chain([image.id.as_str()]);
        let by_name: HashMap<&str, &Image> =
            images.iter().flat_map(|image| names(image).map(move |name| (name, image))).collect();
        let found = |reference: &String| {
            Some((reference.clone(), (*by_name.get(called(reference).as_ref())?).clone()))
        };
        Ok(references.iter().filter_map(found).collect())
    }

    /// Inspects one image by any reference; `None` when it is missing.
    ///
    /// # Errors
    /// When docker fails.
    pub fn look(&self, reference: &str) -> Result<Option<Image>> {
        if let Some(registry) = &self.registry {
            return registry.look(reference);
        }
        self.watch_tags()?;
        Ok(self.inspect_existing("image", [reference])?.pop())
    }

    /// The current digest of a reference in its registry (`docker buildx imagetools inspect`). The inner error is docker's
    /// message.
    ///
    /// # Errors
    /// When docker cannot be started or its output cannot be parsed.
    pub fn digest_in_registry(&self, reference: &str) -> Result<Result<String, String>> {
        #[derive(Deserialize)]
        struct Manifest {
            digest: String,
        }
        let cmd = self.cmd(["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", reference]);
        let output = cmd.capture()?;
        if !output.success() {
            return Ok(Err(output.stderr.trim().to_owned()));
        }
        let manifest: Manifest = serde_json::from_str(&output.stdout)
            .context("unexpected output of `docker buildx imagetools`")?;
        Ok(Ok(manifest.digest))
    }

    /// Pulls an image.
    ///
    /// # Errors
    /// When the registry does not have it or docker fails.
    pub fn pull(&self, reference: &str) -> Result<(), ProcessError> {
        self.cmd(["pull", "--quiet", reference]).long().read().map(drop)
    }

    /// Tags an image. Ignores Ctrl-C.
    ///
    /// # Errors
    /// When docker fails.
    pub fn tag(&self, id: &str, tag: &str) -> Result<(), ProcessError> {
        self.cmd(["tag", id, tag]).apart().read().map(drop)
    }

    /// Removes tags in one call. Removing the last tag deletes the image. Ignores missing tags and Ctrl-C.
    ///
    /// # Errors
    /// When docker fails for another reason.
    pub fn remove(&self, references: &[String]) -> Result<()> {
        match self.remove_unused(references)?.first() {
            Some(line) => bail!(failed("docker cannot remove tags", line)),
            None => Ok(()),
        }
    }

    /// Like [`Docker::remove`], but keeps the last tag of an image that a container uses. Returns docker's messages about these.
    ///
    /// # Errors
    /// When docker fails for another reason.
    pub fn remove_unused(&self, references: &[String]) -> Result<Vec<String>> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        let mut output = self.cmd(["image", "rm"]).args(references).apart().capture()?;
        let is_used = |line: &&str| line.contains("is using its referenced image");
        let used: Vec<String> = output.stderr.lines().filter(is_used).map(str::to_owned).collect();
        output.stderr = output.stderr.lines().filter(|line| !is_used(line)).collect::<Vec<_>>().join("\n");
        match unexpected_error(&output) {
            Some(line) => bail!(failed("docker cannot remove tags", line)),
            None => Ok(used),
        }
    }

    /// All images with a label, tagged or not.
    ///
    /// # Errors
    /// When docker fails.
    pub fn images_with_label(&self, label: &str) -> Result<Vec<Image>> {
        let cmd = self.cmd(["image", "ls", "--quiet", "--no-trunc", "--filter", &format!("label={label}")]);
        let ids: BTreeSet<String> = cmd.read()?.lines().map(str::to_owned).collect();
        Ok(self.inspect(&ids.into_iter().collect::<Vec<_>>())?.into_values().collect())
    }

    /// The tags of all images with a label.
    ///
    /// # Errors
    /// When docker fails.
    pub fn tags_with_label(&self, label: &str) -> Result<Vec<String>> {
        let cmd = self.cmd(["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        let text = cmd.args(["--filter", &format!("label={label}")]).read()?;
        Ok(text.lines().filter(|tag| !tag.contains("<none>")).map(str::to_owned).collect())
    }

    /// Removes one tag, and with the last one the image. Returns the digests that the engine deleted: on the classic store the
    /// image, then its unshared layers from the top down (moby, `daemon/images/image_delete.go`).
    ///
    /// # Errors
    /// When docker fails, for instance since a container uses the image.
    pub fn untag(&self, tag: &str) -> Result<Vec<String>, ProcessError> {
        // Untagged parents may belong to others.
        let text = self.cmd(["image", "rm", "--no-prune", tag]).read()?;
        Ok(text.lines().filter_map(|line| line.strip_prefix("Deleted: ")).map(str::to_owned).collect())
    }

    /// All images of the engine, by ID.
    ///
    /// # Errors
    /// When docker fails.
    pub fn all_images(&self) -> Result<BTreeMap<String, Image>> {
        let text = self.cmd(["image", "ls", "--all", "--quiet", "--no-trunc"]).read()?;
        let mut ids: Vec<String> = text.lines().map(str::to_owned).collect();
        ids.sort();
        ids.dedup();
        self.inspect(&ids)
    }

    /// The history of an image, newest first.
    ///
    /// # Errors
    /// When docker fails.
    pub fn history(&self, id: &str) -> Result<Vec<HistoryEntry>> {
        if let Some(registry) = &self.registry {
            return registry.history(id);
        }
        let text =
            self.cmd(["history", "--no-trunc", "--human=false", "--format", "{{json .}}", id]).read()?;
        text.lines()
            .map(|line| serde_json::from_str(line).context("unexpected output of `docker history`"))
            .collect()
    }
}

impl HistoryEntry {
    /// Size of the layer; `None` where docker prints no number.
    pub fn bytes(&self) -> Option<Bytes> {
        self.size.parse().ok().map(Bytes)
    }
}
