//! Indexes, manifests and configurations of images (OCI image specification; Docker's schema 2 has the same fields), and the
//! choice of one image among several.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use host::failure::Failure;
use serde::Deserialize;

use crate::inspect::ContainerConfig;

/// Limit for one JSON file; a configuration with a long history has some hundred kilobytes.
pub(crate) const MOST_JSON: u64 = 4_000_000;
/// Indexes inside of indexes; more is a cycle.
const MAX_DEPTH: usize = 8;
/// Images of all indexes together.
const MAX_IMAGES: usize = 2000;
/// Layers of an image; Docker allows 127.
const MAX_LAYERS: usize = 1000;

/// A reference to a blob by its digest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    /// Bytes; `None` where it is not stated.
    pub(crate) size: Option<u64>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) platform: Option<Platform>,
}

/// An index, or the manifest of an image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Document {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    /// Of a manifest.
    pub(crate) config: Option<Descriptor>,
    /// Of a manifest.
    pub(crate) layers: Option<Vec<Descriptor>>,
    /// Of an index.
    pub(crate) manifests: Option<Vec<Descriptor>>,
}

/// Operating system, CPU architecture and its variant: `linux/arm/v7`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// The configuration of an image, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ImageConfig {
    #[serde(flatten)]
    pub(crate) platform: Platform,
    pub(crate) config: Option<ContainerConfig>,
    pub(crate) rootfs: RootFs,
    pub(crate) history: Option<Vec<HistoryLine>>,
}

/// The layers of a configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    /// Digests of the unpacked layers, base first.
    pub(crate) diff_ids: Vec<String>,
}

/// An instruction in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HistoryLine {
    /// The instruction.
    pub created_by: String,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

/// Which image of several.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Its name or digest.
    pub name: Option<String>,
    /// Its platform; by default this machine's, or that of the only image.
    pub platform: Option<Platform>,
}

/// The image that was chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// Its manifest.
    pub(crate) manifest: Descriptor,
    /// Its name, if it has one.
    pub(crate) name: Option<String>,
}

impl Platform {
    /// Linux on this machine's processor.
    pub fn of_this_machine() -> Platform {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            "powerpc64" => "ppc64le",
            other => other,
        };
        Platform { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// Operating system.
    pub fn os(&self) -> &str {
        &self.os
    }

    /// CPU architecture.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// Whether an image of this platform is wanted; the variant only counts if it is asked for.
    pub(crate) fn is_wanted(&self, wanted: &Platform) -> bool {
        let same = self.os == wanted.os && self.architecture == wanted.architecture;
        same && (wanted.variant.is_none() || self.full_variant() == wanted.full_variant())
    }

    /// The variant, with the default of its architecture (containerd, `platforms/defaults.go`).
    fn full_variant(&self) -> &str {
        match (self.variant.as_deref(), self.architecture.as_str()) {
            (Some(variant), _) if !variant.is_empty() => variant,
            (_, "arm64") => "v8",
            (_, "arm") => "v7",
            _ => "",
        }
    }
}

impl FromStr for Platform {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Platform, Failure> {
        let is_word = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let words: Vec<&str> = text.split('/').collect();
        match words.as_slice() {
            [os, architecture, variant @ ..]
                if variant.len() < 2 && words.iter().all(|word| is_word(word)) =>
            {
                Ok(Platform {
                    os: (*os).to_owned(),
                    architecture: (*architecture).to_owned(),
                    variant: variant.first().map(|text| (*text).to_owned()),
                })
            }
            _ => Err(Failure::usage(format!(
                "invalid platform `{text}`: use OS/ARCHITECTURE, such as linux/arm64"
            ))),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

impl Descriptor {
    /// Whether it is an attestation for an image (BuildKit, `docs/attestations/attestation-storage.md`).
    pub(crate) fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Its name in an image layout: docker and containerd write whole references, others a tag.
    fn name(&self) -> Option<&str> {
        self.annotation("io.containerd.image.name")
            .or_else(|| self.annotation("org.opencontainers.image.ref.name"))
    }

    fn is_called(&self, name: &str) -> bool {
        let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
        self.digest == name
            || names.iter().filter_map(|key| self.annotation(key)).any(|own| is_same_name(own, name))
    }

    fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }

    /// Whether its content is elsewhere by design, such as the layers of Windows.
    pub(crate) fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }
}

/// Whether two names mean the same image: Docker Hub and the tag `latest` may be left out.
pub(crate) fn is_same_name(one: &str, other: &str) -> bool {
    fn full(name: &str) -> String {
        let short = ["docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/"]
            .iter()
            .find_map(|hub| name.strip_prefix(hub))
            .unwrap_or(name);
        let last = short.rsplit('/').next().unwrap_or(short);
        if last.contains([':', '@']) { short.to_owned() } else { format!("{short}:latest") }
    }
    one == other || full(one) == full(other)
}

impl Document {
    /// # Errors
    /// When it is neither an index nor a manifest.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Document> {
        let document: Document = serde_json::from_slice(bytes).with_context(|| format!("damaged {what}"))?;
        if document.schema_version == 1 {
            bail!(
                "{what} has the format of Docker before 1.10 (schema 1), which has no digests of layers\n\
                 help: push the image again with a newer Docker"
            );
        }
        if document.manifests.is_none() && document.config.is_none() {
            bail!("{what} is neither an image manifest nor an index");
        }
        Ok(document)
    }

    /// Configuration and layers of a manifest.
    ///
    /// # Errors
    /// When it is no manifest of an image.
    pub(crate) fn image(&self) -> Result<(&Descriptor, &[Descriptor])> {
        let Some(config) = &self.config else { bail!("an index where an image manifest was expected") };
        let layers = self.layers.as_deref().unwrap_or_default();
        if layers.len() > MAX_LAYERS {
            bail!("the image has {} layers, more than any real image", layers.len());
        }
        Ok((config, layers))
    }
}

impl ImageConfig {
    /// # Errors
    /// When it is no configuration of an image.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<ImageConfig> {
        let config: ImageConfig = serde_json::from_slice(bytes).with_context(|| format!("damaged {what}"))?;
        if config.platform.os.is_empty() && config.rootfs.diff_ids.is_empty() {
            bail!("{what} is not the configuration of an image, but of another artifact");
        }
        Ok(config)
    }
}

/// The hexadecimal part of a SHA-256 digest.
///
/// # Errors
/// For anything else: digests become file names and URLs.
pub(crate) fn hex(digest: &str) -> Result<&str> {
    match digest.strip_prefix("sha256:") {
        Some(hex)
            if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) =>
        {
            Ok(hex)
        }
        _ => bail!("unsupported digest `{digest}`: only SHA-256 is supported"),
    }
}

/// Chooses an image of an index. `json` reads nested indexes; `place` is where the index is, for `help:` lines.
///
/// # Errors
/// When no image fits, or several do.
pub(crate) fn choose(
    index: &[Descriptor],
    choice: &Choice,
    place: &str,
    json: &mut dyn FnMut(&Descriptor) -> Result<Vec<u8>>,
) -> Result<Chosen> {
    let mut images: Vec<&Descriptor> = index.iter().filter(|one| !is_no_image(one)).collect();
    let mut names: Vec<&str> = images.iter().filter_map(|one| one.name()).collect();
    names.sort_unstable();
    names.dedup();
    match &choice.name {
        Some(name) => images.retain(|one| one.is_called(name)),
        None if names.len() > 1 => return Err(several(place, &names).into()),
        None => {}
    }
    if images.is_empty() {
        return Err(match &choice.name {
            Some(name) => none_called(name, place, &names).into(),
            None => Failure::usage(format!("no image in {place}")).into(),
        });
    }
    let mut found = Vec::new();
    flatten(&images, json, MAX_DEPTH, &mut found)?;
    let name = images.iter().find_map(|one| one.name()).map(str::to_owned);
    Ok(Chosen { manifest: of_platform(&found, choice.platform.as_ref(), place)?, name })
}

/// Several images, none of which was chosen.
pub(crate) fn several(place: &str, names: &[&str]) -> Failure {
    let first = names.first().copied().unwrap_or_default();
    Failure::new(
        host::failure::FailureClass::Usage,
        format!("{place} has {} images: {}", names.len(), listed(names)),
        format!("choose one: `{place}:{first}`"),
    )
}

/// No image has the name.
pub(crate) fn none_called(name: &str, place: &str, names: &[&str]) -> Failure {
    let known =
        if names.is_empty() { "it names none".to_owned() } else { format!("it has {}", listed(names)) };
    Failure::usage(format!("no image `{name}` in {place}: {known}"))
}

fn listed(names: &[&str]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

fn is_no_image(one: &Descriptor) -> bool {
    let unknown = |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
    one.is_attestation() || one.platform.as_ref().is_some_and(unknown)
}

/// All images of nested indexes.
fn flatten(
    list: &[&Descriptor],
    json: &mut dyn FnMut(&Descriptor) -> Result<Vec<u8>>,
    depth: usize,
    found: &mut Vec<Descriptor>,
) -> Result<()> {
    for one in list.iter().filter(|one| !is_no_image(one)) {
        if found.len() >= MAX_IMAGES {
            bail!("more than {MAX_IMAGES} images in an index");
        }
        if !one.is_index() {
            found.push((*one).clone());
            continue;
        }
        let Some(deeper) = depth.checked_sub(1) else {
            bail!("indexes are nested more than {MAX_DEPTH} deep");
        };
        let document = Document::parse(&json(one)?, &format!("index {}", one.digest))?;
        let nested = document.manifests.unwrap_or_default();
        flatten(&nested.iter().collect::<Vec<_>>(), json, deeper, found)?;
    }
    Ok(())
}

fn of_platform(images: &[Descriptor], wanted: Option<&Platform>, place: &str) -> Result<Descriptor> {
    // Without a stated platform, the configuration decides later.
    if let [only] = images
        && (wanted.is_none() || only.platform.is_none())
    {
        return Ok(only.clone());
    }
    let this_machine = Platform::of_this_machine();
    let platform = wanted.unwrap_or(&this_machine);
    let fits = |one: &&Descriptor| one.platform.as_ref().is_some_and(|own| own.is_wanted(platform));
    let mut fitting: Vec<&Descriptor> = images.iter().filter(fits).collect();
    // Without a variant, the architecture's usual one comes before others.
    let is_usual = |one: &Descriptor| {
        one.platform.as_ref().is_some_and(|own| own.full_variant() == platform.full_variant())
    };
    if fitting.iter().any(|one| is_usual(one)) {
        fitting.retain(|one| is_usual(one));
    }
    fitting.dedup_by(|a, b| a.digest == b.digest);
    match fitting.as_slice() {
        [one] => Ok((*one).clone()),
        [] => {
            let mut platforms: Vec<String> = images
                .iter()
                .map(|one| one.platform.as_ref().map_or("unknown".to_owned(), ToString::to_string))
                .collect();
            platforms.sort();
            platforms.dedup();
            let known: Vec<&str> = platforms.iter().map(String::as_str).collect();
            let help = match known.first() {
                Some(first) => format!("choose one with --platform, such as `--platform {first}`"),
                None => String::new(),
            };
            let what = format!("no image for {platform} in {place}: it has {}", listed(&known));
            Err(Failure::new(host::failure::FailureClass::Usage, what, help).into())
        }
        all => Err(several(place, &all.iter().map(|one| one.digest.as_str()).collect::<Vec<_>>()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn index(value: serde_json::Value) -> Vec<Descriptor> {
        serde_json::from_value(value).unwrap()
    }

    fn of(digest: &str, os: &str, architecture: &str, variant: Option<&str>) -> serde_json::Value {
        json!({"digest": digest, "platform": {"os": os, "architecture": architecture, "variant": variant}})
    }

    fn chosen(list: &[Descriptor], name: Option<&str>, platform: Option<&str>) -> Result<String, String> {
        let choice =
            Choice { name: name.map(str::to_owned), platform: platform.map(|text| text.parse().unwrap()) };
        let found = choose(list, &choice, "x.tar", &mut |_| bail!("there is no nested index"));
        found.map(|chosen| chosen.manifest.digest).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_platform_is_chosen_and_attestations_are_no_images() {
        let list = index(json!([
            of("amd", "linux", "amd64", None),
            of("v5", "linux", "arm", Some("v5")),
            of("v7", "linux", "arm", Some("v7")),
            of("arm", "linux", "arm64", Some("v8")),
            {"digest": "proof", "platform": {"os": "unknown", "architecture": "unknown"}},
            {"digest": "sbom", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        ]));
        for (platform, digest) in [
            ("linux/amd64", "amd"),
            ("linux/arm64", "arm"),
            ("linux/arm64/v8", "arm"),
            ("linux/arm", "v7"),
            ("linux/arm/v5", "v5"),
        ] {
            assert_eq!(chosen(&list, None, Some(platform)).as_deref(), Ok(digest), "{platform}");
        }
        let error = chosen(&list, None, Some("linux/s390x")).unwrap_err();
        assert_eq!(
            error,
            "no image for linux/s390x in x.tar: it has linux/amd64, linux/arm/v5, linux/arm/v7, linux/arm64/v8\n\
             help: choose one with --platform, such as `--platform linux/amd64`"
        );
    }

    #[test]
    fn the_only_image_is_taken_whatever_this_machine_is() {
        let list = index(json!([of("a", "windows", "s390x", None)]));
        assert_eq!(chosen(&list, None, None).as_deref(), Ok("a"));
        assert!(chosen(&list, None, Some("linux/amd64")).is_err());
        assert_eq!(chosen(&index(json!([{"digest": "b"}])), None, Some("linux/amd64")).as_deref(), Ok("b"));
    }

    #[test]
    fn several_names_need_a_choice() {
        let named =
            |digest: &str, key: &str, name: &str| json!({"digest": digest, "annotations": {key: name}});
        let list = index(json!([
            named("one", "io.containerd.image.name", "docker.io/library/one:1"),
            named("two", "org.opencontainers.image.ref.name", "2.0"),
        ]));
        let error = chosen(&list, None, None).unwrap_err();
        assert_eq!(error, "x.tar has 2 images: 2.0, docker.io/library/one:1\nhelp: choose one: `x.tar:2.0`");
        assert_eq!(chosen(&list, Some("one:1"), None).as_deref(), Ok("one"));
        assert_eq!(chosen(&list, Some("2.0"), None).as_deref(), Ok("two"));
        assert_eq!(chosen(&list, Some("two"), None).as_deref(), Ok("two"), "by digest");
        assert!(
            chosen(&list, Some("three"), None).unwrap_err().contains("no image `three` in x.tar: it has 2.0")
        );
    }

    #[test]
    fn indexes_inside_of_indexes_end() {
        let nested = json!({"digest": "sha256:n", "mediaType": "application/vnd.oci.image.index.v1+json"});
        let list = index(json!([nested]));
        let inner =
            json!({"schemaVersion": 2, "manifests": [of("inner", "linux", "amd64", None)]}).to_string();
        let found = choose(&list, &Choice::default(), "x", &mut |_| Ok(inner.clone().into_bytes())).unwrap();
        assert_eq!(found.manifest.digest, "inner");
        let cycle = json!({"schemaVersion": 2, "manifests": [nested]}).to_string();
        let error = choose(&list, &Choice::default(), "x", &mut |_| Ok(cycle.clone().into_bytes()));
        assert!(error.unwrap_err().to_string().contains("nested more than 8 deep"));
    }

    #[test]
    fn only_sha_256_digests_name_blobs() {
        assert!(hex(&format!("sha256:{}", "a1".repeat(32))).is_ok());
        for wrong in
            ["sha256:../../etc/passwd", "sha512:00", "", "sha256:", &format!("sha256:{}", "A".repeat(64))]
        {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }
}
