//! The files of a kustomize tree.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::kubernetes::network_objects;
use crate::kubernetes::objects::{self, Common, MANAGER, environment_secret};
use crate::kubernetes::plan::{KubernetesPlan, Workload};
use crate::yaml::{Yaml, list, map};
use host::program::PROGRAM;

/// The key of a file in its ConfigMap or Secret.
pub(super) const FILE_KEY: &str = "file";

/// The image of a workload in an overlay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedImage {
    /// The repository with its registry.
    pub repository: String,
    /// What it is pinned to.
    pub pin: Pin,
}

/// What an image is pinned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// `sha256:…`.
    Digest(String),
    /// A tag, which may move.
    Tag(String),
}

/// An overlay.
#[derive(Debug)]
pub struct Overlay<'a> {
    /// The name of its folder.
    pub name: &'a str,
    /// The namespace of all objects.
    pub namespace: Option<&'a str>,
    /// Images by workload.
    pub images: &'a BTreeMap<String, PinnedImage>,
}

/// A file of the tree.
pub struct TreeFile {
    /// The content.
    pub content: Vec<u8>,
    /// Whether only its owner may read it.
    pub is_private: bool,
    /// Whether it starts with a comment that identifies the generator and the content's hash.
    pub is_marked: bool,
}

/// Files by path relative to a folder.
pub type TreeFiles = BTreeMap<PathBuf, TreeFile>;

/// A base and one overlay.
pub struct Tree {
    /// Files in `base`.
    pub base: TreeFiles,
    /// Files in `overlays/NAME`.
    pub overlay: TreeFiles,
}

impl Tree {
    /// Generates the files of a plan.
    ///
    /// # Errors
    /// When two objects have the same kind and name.
    pub fn new(plan: &KubernetesPlan, common: &Common, overlay: &Overlay<'_>) -> Result<Tree> {
        Ok(Tree { base: base(plan, common)?, overlay: overlay_files(plan, overlay)? })
    }
}

fn marked(documents: &[Yaml]) -> Result<TreeFile> {
    let texts = documents.iter().map(Yaml::text).collect::<Result<Vec<_>>>()?;
    Ok(TreeFile { content: texts.join("---\n").into_bytes(), is_private: false, is_marked: true })
}

fn plain(content: Vec<u8>, is_private: bool) -> TreeFile {
    TreeFile { content, is_private, is_marked: false }
}

/// All objects, by file.
pub(super) fn documents(plan: &KubernetesPlan, common: &Common) -> BTreeMap<String, Vec<Yaml>> {
    let mut files = BTreeMap::new();
    for workload in &plan.workloads {
        let mut documents = vec![objects::workload(workload, common)];
        documents.extend(network_objects::services(workload, common));
        documents.push(network_objects::policy(workload, common));
        files.insert(format!("{}.yaml", workload.name), documents);
    }
    if !plan.claims.is_empty() {
        let claims = plan.claims.iter().map(|claim| objects::claim(claim, common));
        // Workload names contain no dots, so this cannot collide.
        files.insert("volumes.shared.yaml".to_owned(), claims.collect());
    }
    files
}

fn base(plan: &KubernetesPlan, common: &Common) -> Result<TreeFiles> {
    let documents = documents(plan, common);
    refuse_duplicates(documents.values().flatten())?;
    let mut files = TreeFiles::new();
    let generators = plan.configs.iter().map(|config| {
        let file = format!("{FILE_KEY}=configs/{}", config.name);
        map([("name", config.name.as_str().into()), ("files", list([file]))])
    });
    let kustomization = map([
        ("apiVersion", "kustomize.config.k8s.io/v1beta1".into()),
        ("kind", "Kustomization".into()),
        ("resources", list(documents.keys())),
        ("configMapGenerator", list(generators)),
    ]);
    files.insert("kustomization.yaml".into(), marked(&[kustomization])?);
    for (name, documents) in documents {
        files.insert(name.into(), marked(&documents)?);
    }
    for config in &plan.configs {
        files.insert(format!("configs/{}", config.name).into(), plain(config.content.0.clone(), false));
    }
    Ok(files)
}

fn refuse_duplicates<'y>(documents: impl Iterator<Item = &'y Yaml>) -> Result<()> {
    let field = |document: &Yaml, key: &str| match document {
        Yaml::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone()),
        _ => None,
    };
    let mut seen = Vec::new();
    for document in documents {
        let kind = field(document, "kind");
        let name = field(document, "metadata").and_then(|metadata| field(&metadata, "name"));
        if let (Some(Yaml::Text(kind)), Some(Yaml::Text(name))) = (kind, name) {
            if seen.contains(&(kind.clone(), name.clone())) {
                bail!("duplicate {kind} `{name}`\nhelp: rename the service or volume in the Compose file");
            }
            seen.push((kind, name));
        }
    }
    Ok(())
}

fn overlay_files(plan: &KubernetesPlan, overlay: &Overlay<'_>) -> Result<TreeFiles> {
    let mut files = TreeFiles::new();
    let images = overlay.images.iter().map(|(name, image)| {
        let (digest, tag) = match &image.pin {
            Pin::Digest(digest) => (Some(digest), None),
            Pin::Tag(tag) => (None, Some(tag)),
        };
        map([
            ("name", name.into()),
            ("newName", image.repository.as_str().into()),
            ("newTag", tag.into()),
            ("digest", digest.into()),
        ])
    });
    let mut generators = Vec::new();
    for workload in plan.workloads.iter().filter(|workload| !workload.secret_environment.is_empty()) {
        generators.push(secret_generator(workload, &mut files));
    }
    for secret in &plan.secret_files {
        let file = format!("{FILE_KEY}=secrets/{}", secret.name);
        generators.push(map([("name", secret.name.as_str().into()), ("files", list([file]))]));
        files.insert(format!("secrets/{}", secret.name).into(), plain(secret.content.0.clone(), true));
    }
    let labels = map([
        ("app.kubernetes.io/part-of", plan.project.as_str().into()),
        ("app.kubernetes.io/managed-by", MANAGER.into()),
    ]);
    let kustomization = map([
        ("apiVersion", "kustomize.config.k8s.io/v1beta1".into()),
        ("kind", "Kustomization".into()),
        ("namespace", overlay.namespace.into()),
        ("resources", list(["../../base"])),
        ("labels", list([map([("pairs", labels)])])),
        ("images", list(images)),
        ("secretGenerator", list(generators)),
    ]);
    files.insert("kustomization.yaml".into(), marked(&[kustomization])?);
    let ignored = b"# Never commit these.\n/secrets/\n".to_vec();
    files.insert(".gitignore".into(), TreeFile { content: ignored, is_private: false, is_marked: true });
    Ok(files)
}

/// Single-line values go into one env file. Multi-line values go into separate files, since kustomize's env files cannot hold them.
fn secret_generator(workload: &Workload, files: &mut TreeFiles) -> Yaml {
    let name = &workload.name;
    let mut lines = format!("# Environment of {name}. Written by {PROGRAM} deploy --kubernetes.\n");
    let mut separate = Vec::new();
    for (variable, value) in &workload.secret_environment {
        let value = value.reveal();
        if value.contains(['\n', '\r']) {
            let path = format!("secrets/{name}.{variable}");
            separate.push(format!("{variable}={path}"));
            files.insert(path.into(), plain(value.as_bytes().to_vec(), true));
        } else {
            lines += &format!("{variable}={value}\n");
        }
    }
    let path = format!("secrets/{name}.env");
    files.insert(path.clone().into(), plain(lines.into_bytes(), true));
    map([("name", environment_secret(workload).into()), ("envs", list([path])), ("files", list(separate))])
}
