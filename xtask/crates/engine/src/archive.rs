//! The archive of `docker save`, or of an OCI image layout, read as a stream: its layers, each as a plain tar.
//!
//! Reads the classic form (`ID/layer.tar`, engines before 25) and the OCI layout (`blobs/sha256/…`, also packed with gzip or zstd,
//! as the containerd store saves them). Docker lists the layers in `manifest.json`, other tools only in `index.json`.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::blob::{self, Packing, start_of};
use crate::oci::{self, Choice, Descriptor, Document, ImageConfig, MOST_JSON};

/// Limit for all JSON files that are kept.
const MOST_JSON_IN_ALL: u64 = 64_000_000;

/// The layers of an archive, by their names in it.
#[derive(Debug, Default)]
pub struct Index {
    manifest: Option<Vec<u8>>,
    json: HashMap<String, Vec<u8>>,
    /// Skipped JSON files and their sizes in bytes.
    too_large: HashMap<String, u64>,
    links: HashMap<String, String>,
    /// Names of layers, with the digests of the unpacked layers where they were verified.
    layers: BTreeMap<String, Option<String>>,
}

/// A layer by its digest and by its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedLayer {
    /// Digest of the unpacked layer.
    pub diff_id: String,
    /// The name that `visit` got.
    pub name: String,
}

/// An image of an archive.
#[derive(Debug)]
pub(crate) struct SavedImage {
    /// Its names, if any.
    pub(crate) names: Vec<String>,
    /// Digest of its configuration.
    pub(crate) id: String,
    /// Its configuration.
    pub(crate) config: ImageConfig,
    /// Base first.
    pub(crate) layers: Vec<SavedLayer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedManifest {
    config: String,
    layers: Vec<String>,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
}

/// What to verify of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Nothing: the engine did it when it stored the image.
    Nothing,
    /// The digests of all blobs and layers.
    Digests,
}

/// Reads an archive to its end in bounded memory; calls `visit` with each layer's name and plain tar.
///
/// # Errors
/// When the archive is damaged, truncated or compressed in an unsupported way, or a blob's digest does not match its name;
/// and errors of `visit`.
pub fn read(
    reader: impl Read,
    verify: Verify,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<Index> {
    let mut archive = tar::Archive::new(reader);
    let mut index = Index::default();
    let mut room = MOST_JSON_IN_ALL;
    for entry in archive.entries().context(UNREADABLE)? {
        let entry = entry.context(UNREADABLE)?;
        let name = entry.path().context(UNREADABLE)?.to_string_lossy().into_owned();
        let name = name.strip_prefix("./").map(str::to_owned).unwrap_or(name);
        if name.len() > 1024 {
            bail!("{DAMAGED}: a name has {} characters", name.len());
        }
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() {
            // A sparse file of a few bytes could expand to exabytes of zeros.
            bail!("{DAMAGED}: {name} is a sparse file; engines never write these");
        }
        if kind.is_symlink() || kind.is_hard_link() {
            // Engines before 25 link to layers that are already in the archive.
            if let Some(target) = entry.link_name().context(UNREADABLE)? {
                index.links.insert(name.clone(), resolve(&name, &target.to_string_lossy()));
            }
            continue;
        }
        // An empty file may be truncated; if the manifest lists it, it will be reported as missing.
        if entry.size() > 0 {
            read_entry(&name, entry, verify, &mut index, &mut room, visit)?;
        }
    }
    // Only the end of the stream tells whether its writer failed.
    drain(&mut archive.into_inner())?;
    if let (None, Some(bytes)) = (&index.manifest, index.too_large.get("manifest.json")) {
        bail!("{DAMAGED}: manifest.json has {bytes} bytes, more than any real image's");
    }
    if index.manifest.is_none() && (verify == Verify::Nothing || !index.json.contains_key(INDEX)) {
        let missing = if verify == Verify::Nothing {
            "no manifest.json"
        } else {
            "neither manifest.json nor index.json"
        };
        bail!("{DAMAGED}: it has {missing}, so it is truncated or not an image");
    }
    Ok(index)
}

const DAMAGED: &str = "damaged image archive";
const UNREADABLE: &str = "cannot read the image archive";
const INDEX: &str = "index.json";
/// Where archives and layouts keep blobs.
pub(crate) const BLOBS: &str = "blobs/sha256/";

fn read_entry<R: Read>(
    name: &str,
    entry: tar::Entry<'_, R>,
    verify: Verify,
    index: &mut Index,
    room: &mut u64,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let claimed = entry.size();
    let mut counted = Counted { inner: entry, bytes: 0 };
    let start = start_of(&mut counted).context(UNREADABLE)?;
    let packing = Packing::of(&start).or_else(|packing| {
        bail!(
            "unsupported compression of layer {name}: {packing}\nhelp: export the image uncompressed, with gzip or with zstd"
        )
    })?;
    let verify = verify == Verify::Digests;
    if let Some(packing) = packing {
        let read = blob::read_layer(packing, &start, &mut counted, verify, &mut |layer| visit(name, layer));
        let digests = read.with_context(|| format!("layer {name}"))?;
        if counted.bytes == claimed {
            is_named(name, digests.blob.as_deref())?;
        }
        index.layers.insert(name.to_owned(), digests.diff_id);
    } else if start.starts_with(b"{") || start.starts_with(b"[") {
        let mut whole = start.as_slice().chain(&mut counted);
        if claimed > MOST_JSON || claimed > *room {
            // Attestations can be large and are not needed. A configuration this large is an error later.
            drain(&mut whole)?;
            index.too_large.insert(name.to_owned(), claimed);
        } else {
            *room -= claimed;
            let mut json = Vec::new();
            whole.read_to_end(&mut json).context(UNREADABLE)?;
            if verify && counted.bytes == claimed {
                is_named(name, Some(&blob::sha256(&json)))?;
            }
            match name {
                "manifest.json" => index.manifest = Some(json),
                _ => drop(index.json.insert(name.to_owned(), json)),
            }
        }
    } else {
        drain(&mut counted)?;
    }
    if counted.bytes != claimed {
        bail!("{DAMAGED}: it ends in {name}, after {} of {claimed} bytes", counted.bytes);
    }
    Ok(())
}

/// Whether a blob has the digest that its name states.
fn is_named(name: &str, digest: Option<&str>) -> Result<()> {
    let (Some(stated), Some(digest)) = (name.strip_prefix(BLOBS), digest) else { return Ok(()) };
    if digest.strip_prefix("sha256:") != Some(stated) {
        bail!("{DAMAGED}: {name} has the wrong digest: {digest}");
    }
    Ok(())
}

fn drain(reader: &mut dyn Read) -> Result<()> {
    io::copy(reader, &mut io::sink()).context(UNREADABLE).map(drop)
}

/// Counts bytes: for the tar crate, the end of the stream is also the end of an entry.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
}

impl Index {
    /// The layers of every image in the archive, each image's base first.
    ///
    /// # Errors
    /// When the archive is inconsistent or a layer is missing.
    pub fn layers(&self) -> Result<Vec<SavedLayer>> {
        let mut all = Vec::new();
        for image in self.manifests()? {
            all.extend(self.layers_of(&self.config(&image.config)?.1, &image.layers)?);
        }
        Ok(all)
    }

    /// The image that is chosen; `place` names the archive in errors.
    ///
    /// # Errors
    /// When the archive is inconsistent, a layer is missing or has a wrong digest, no image fits, or several do.
    pub(crate) fn image(&self, choice: &Choice, place: &str) -> Result<SavedImage> {
        let image = match self.manifest {
            Some(_) => self.of_docker(choice, place)?,
            None => self.of_layout(choice, place)?,
        };
        for layer in &image.layers {
            let read = self.layers.get(&layer.name).and_then(Option::as_deref);
            if let Some(read) = read.filter(|read| *read != layer.diff_id) {
                bail!("{DAMAGED}: layer {} has the wrong digest: {read}", layer.diff_id);
            }
        }
        Ok(image)
    }

    fn of_docker(&self, choice: &Choice, place: &str) -> Result<SavedImage> {
        let manifests = self.manifests()?;
        let mut configs = Vec::new();
        for manifest in &manifests {
            configs.push((manifest, self.config(&manifest.config)?));
        }
        let called = |(manifest, (id, _)): &(&SavedManifest, (String, ImageConfig))| {
            let own = manifest.repo_tags.iter().flatten();
            choice
                .name
                .as_ref()
                .is_none_or(|name| id == name || own.clone().any(|own| oci::is_same_name(own, name)))
        };
        let names: Vec<&str> = manifests
            .iter()
            .flat_map(|manifest| manifest.repo_tags.iter().flatten())
            .map(String::as_str)
            .collect();
        let mut fitting: Vec<_> = configs.iter().filter(|one| called(one)).collect();
        if let (Some(name), []) = (&choice.name, fitting.as_slice()) {
            return Err(oci::none_called(name, place, &names).into());
        }
        // One image with several names, or one name for several platforms.
        fitting.dedup_by(|a, b| a.1.0 == b.1.0);
        let is_of_platform = |one: &&&(&SavedManifest, (String, ImageConfig))| {
            choice.platform.as_ref().is_none_or(|wanted| one.1.1.platform.is_wanted(wanted))
        };
        if fitting.len() > 1 && fitting.iter().any(|one| is_of_platform(&one)) {
            fitting.retain(|one| is_of_platform(&one));
        }
        let (manifest, (id, config)) = match fitting.as_slice() {
            [one] => one,
            [] => bail!("{DAMAGED}: manifest.json lists no image"),
            several => {
                let known = |one: &&&(&SavedManifest, (String, ImageConfig))| {
                    one.0.repo_tags.iter().flatten().next().unwrap_or(&one.1.0).clone()
                };
                let known: Vec<String> = several.iter().map(|one| known(&one)).collect();
                return Err(oci::several(place, &known.iter().map(String::as_str).collect::<Vec<_>>()).into());
            }
        };
        let layers = self.layers_of(config, &manifest.layers)?;
        let names = manifest.repo_tags.clone().unwrap_or_default();
        Ok(SavedImage { names, id: id.clone(), config: config.clone(), layers })
    }

    fn of_layout(&self, choice: &Choice, place: &str) -> Result<SavedImage> {
        let root = self.json.get(INDEX).map(Vec::as_slice).unwrap_or_default();
        let root = Document::parse(root, INDEX)?;
        let mut blob = |one: &Descriptor| self.blob(&one.digest).map(<[u8]>::to_vec);
        let chosen = oci::choose(root.manifests.as_deref().unwrap_or_default(), choice, place, &mut blob)?;
        let manifest = Document::parse(self.blob(&chosen.manifest.digest)?, &chosen.manifest.digest)?;
        let (config, layers) = manifest.image()?;
        let (id, config) = self.config(&format!("{BLOBS}{}", oci::hex(&config.digest)?))?;
        let mut names = Vec::new();
        for layer in layers {
            let name = format!("{BLOBS}{}", oci::hex(&layer.digest)?);
            if !self.layers.contains_key(&name) && layer.is_foreign() {
                return Err(oci::foreign(layer));
            }
            names.push(name);
        }
        let layers = self.layers_of(&config, &names)?;
        Ok(SavedImage { names: chosen.name.into_iter().collect(), id, config, layers })
    }

    fn manifests(&self) -> Result<Vec<SavedManifest>> {
        let manifest = self.manifest.as_deref().unwrap_or_default();
        serde_json::from_slice(manifest).with_context(|| format!("{DAMAGED}: manifest.json"))
    }

    /// The digest of a configuration, and its content.
    fn config(&self, name: &str) -> Result<(String, ImageConfig)> {
        let bytes = self.kept(name, "configuration")?;
        let id = blob::sha256(bytes);
        let config = ImageConfig::parse(bytes, name).context(DAMAGED)?;
        Ok((id, config))
    }

    /// The only image of an archive: its whole configuration, and its layers, base first.
    ///
    /// # Errors
    /// When the archive is inconsistent, a layer is missing, or it has no image or several.
    pub(crate) fn only_image(&self) -> Result<(serde_json::Value, Vec<SavedLayer>)> {
        let manifests = self.manifests()?;
        let [manifest] = manifests.as_slice() else {
            bail!("{DAMAGED}: manifest.json lists {} images, expected one", manifests.len());
        };
        let config =
            serde_json::from_slice(self.kept(&manifest.config, "configuration")?).context(DAMAGED)?;
        Ok((config, self.layers_of(&self.config(&manifest.config)?.1, &manifest.layers)?))
    }

    fn blob(&self, digest: &str) -> Result<&[u8]> {
        self.kept(&format!("{BLOBS}{}", oci::hex(digest)?), "manifest")
    }

    fn kept(&self, name: &str, what: &str) -> Result<&[u8]> {
        self.json.get(name).map(Vec::as_slice).with_context(|| match self.too_large.get(name) {
            Some(bytes) => format!("{DAMAGED}: {name} has {bytes} bytes, more than any real {what}"),
            None => format!("{DAMAGED}: missing {what} {name}"),
        })
    }

    fn layers_of(&self, config: &ImageConfig, names: &[String]) -> Result<Vec<SavedLayer>> {
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != names.len() {
            bail!("{DAMAGED}: an image has {} layers, but the archive lists {}", diff_ids.len(), names.len());
        }
        let layers = diff_ids.iter().zip(names);
        layers
            .map(|(diff_id, name)| Ok(SavedLayer { name: self.find(name)?, diff_id: diff_id.clone() }))
            .collect()
    }

    /// The name that `visit` got for a layer.
    fn find(&self, name: &str) -> Result<String> {
        let target = self.links.get(name).map_or(name, String::as_str);
        match self.layers.get_key_value(target) {
            Some((seen, _)) => Ok(seen.clone()),
            None => bail!("{DAMAGED}: missing layer {name}"),
        }
    }
}

/// The target of a link: `../ID/layer.tar` from `OTHER/layer.tar` is `ID/layer.tar`.
fn resolve(name: &str, target: &str) -> String {
    match (name.split_once('/'), target.strip_prefix("../")) {
        (Some(_), Some(rest)) => rest.to_owned(),
        _ => target.to_owned(),
    }
}
