//! Chooses one image of an index: by name, then by platform.

use anyhow::{Result, bail};
use host::failure::{Failure, FailureClass};

use super::{Descriptor, Document, Platform};

/// Indexes inside of indexes; more is a cycle.
const MAX_DEPTH: usize = 8;
/// Images of all indexes together.
const MAX_IMAGES: usize = 2000;

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
        FailureClass::Usage,
        format!("{place} has {} images: {}", names.len(), listed(names)),
        format!("choose one: `{place}:{first}`"),
    )
}

/// No image has the name.
pub(crate) fn none_called(name: &str, place: &str, names: &[&str]) -> Failure {
    let known = if names.is_empty() {
        "its images have no names".to_owned()
    } else {
        format!("it has {}", listed(names))
    };
    Failure::usage(format!("no image `{name}` in {place}: {known}"))
}

fn listed(names: &[&str]) -> String {
    const MOST: usize = 20;
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

fn is_no_image(one: &Descriptor) -> bool {
    let unknown = |platform: &Platform| platform.os() == "unknown" && platform.architecture() == "unknown";
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
            Err(Failure::new(FailureClass::Usage, what, help).into())
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
}
