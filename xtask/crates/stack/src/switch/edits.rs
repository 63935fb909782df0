//! The edits that switch the image references of one Compose file, computed from its text alone.

use std::ops::Range;

use anyhow::{Result, bail};

use crate::switch::document::Document;
use crate::switch::images::{FileReference, ImageText, ServiceKey, images, referenced_files, service_keys};
use crate::switch::own_images::OwnImages;
use crate::switch::reference::{ComposeImage, MALFORMED, SwitchRequest};

/// The longest tag (OCI Distribution Specification, "Pulling manifests").
const MAX_TAG: usize = 128;

/// The replacement of one image reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceEdit {
    /// The bytes of the file to replace.
    pub bytes: Range<usize>,
    /// From 1.
    pub line: usize,
    /// The old reference.
    pub before: String,
    /// The new reference.
    pub after: String,
    /// Whether to put it in quotes, because the old one has none and YAML would read the new one as a list.
    pub quoted: bool,
}

/// A reference to one of our images that differs from the request but cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedReference {
    /// From 1.
    pub line: usize,
    /// The reference as written.
    pub text: String,
    /// Why it is skipped, and how to fix that.
    pub reason: String,
    /// Whether the only obstacle is that the image has no digest to pin.
    pub unpinned: bool,
}

/// A reference with one of our image names in an unknown registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignReference {
    /// From 1.
    pub line: usize,
    /// The reference as written.
    pub text: String,
}

/// What a switch does to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePlan {
    /// In the order of the file.
    pub edits: Vec<ReferenceEdit>,
    /// The references to our images that already are as requested.
    pub unchanged: Vec<String>,
    /// References that cannot be edited safely.
    pub skipped: Vec<SkippedReference>,
    /// References that are left alone because they are probably someone else's.
    pub foreign: Vec<ForeignReference>,
    /// Values with a variable that is required.
    pub requiring: Vec<String>,
    /// Files that this one includes or extends.
    pub referenced_files: Vec<FileReference>,
    /// Where services set keys that concern their images' contents.
    pub service_keys: Vec<ServiceKey>,
}

/// Returns the digest (`sha256:…`) to pin a reference to, or why there is none.
pub type DigestOf<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Interpolates variables; the error says which one is missing or invalid.
pub type Fill<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Plans the switch of a file's references to our images. `digest_of` pins them.
///
/// # Errors
/// Invalid YAML.
pub fn plan(
    source: &str,
    own: &OwnImages<'_>,
    request: &SwitchRequest,
    digest_of: Option<DigestOf<'_>>,
    fill: Fill<'_>,
) -> Result<FilePlan> {
    // A byte order mark is not part of the YAML text, and the parser does not skip it.
    let bom = if source.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let document = Document::parse(&source[bom..])?;
    let mut plan = FilePlan {
        referenced_files: referenced_files(&document),
        service_keys: service_keys(&document),
        requiring: document.values().filter(|value| value.contains('?')).map(str::to_owned).collect(),
        ..FilePlan::default()
    };
    let mut wanted = Vec::new();
    for image in images(&document) {
        wanted.push(image.value.clone());
        let result = match owner(&image.value, own, fill) {
            Owner::Us => edit(&image, own, request, digest_of, fill),
            Owner::Unclear(reason) => Err(reason.into()),
            Owner::Foreign => {
                plan.foreign.push(ForeignReference { line: image.line, text: image.value });
                continue;
            }
            Owner::Others => continue,
        };
        let (line, text) = (image.line, image.value);
        match result {
            Ok(Some((at, after))) => {
                let bytes = at.start + bom..at.end + bom;
                let quoted = after.starts_with('[') && !source[..bytes.start].ends_with(['\'', '"']);
                wanted.splice(wanted.len() - 1.., [after.clone()]);
                plan.edits.push(ReferenceEdit { bytes, line, before: text, after, quoted });
            }
            Ok(None) => plan.unchanged.push(text),
            Err(Skip { reason, unpinned }) => {
                plan.skipped.push(SkippedReference { line, text, reason, unpinned });
            }
        }
    }
    plan.edits.sort_by_key(|edit| edit.bytes.start);
    let switched = apply(source, &plan.edits);
    let found = Document::parse(&switched[bom..]).map(|document| images(&document));
    if !found.is_ok_and(|found| found.iter().map(|image| &image.value).eq(&wanted)) {
        bail!("cannot be switched without breaking it; this is a bug: please report it with the file");
    }
    Ok(plan)
}

/// The text with all edits applied.
pub fn apply(text: &str, edits: &[ReferenceEdit]) -> String {
    let mut out = String::with_capacity(text.len() + edits.len() * 16);
    let mut from = 0;
    for edit in edits {
        out.push_str(&text[from..edit.bytes.start]);
        let quote = if edit.quoted { "\"" } else { "" };
        out.extend([quote, &edit.after, quote]);
        from = edit.bytes.end;
    }
    out.push_str(&text[from..]);
    out
}

/// Whose image a reference is.
enum Owner {
    Us,
    /// Ours or possibly ours, but the name is in a variable. Contains the reason to skip it.
    Unclear(String),
    /// Same name as one of our images, but in an unknown registry.
    Foreign,
    Others,
}

fn owner(text: &str, own: &OwnImages<'_>, fill: Fill<'_>) -> Owner {
    let Some(image) = ComposeImage::parse(text) else { return Owner::Others };
    let unclear = || {
        let reason = |name| format!("may be {name}, depending on a variable: write the name in full");
        own.name_in(text).map_or(Owner::Others, |name| Owner::Unclear(reason(name)))
    };
    if own.has_name(&image) {
        let Ok(value) = fill(image.variable()) else { return unclear() };
        if !(value.is_empty() || value.ends_with('/')) {
            return Owner::Others;
        }
        // After a registry that is written out, the variable holds at most a part of its path.
        let is_ours = match image.before_variable() {
            "" => own.owns_written(&image),
            before if before.contains('$') => true,
            before => own.owns(&format!("{before}{value}{}", image.name())),
        };
        return if is_ours { Owner::Us } else { Owner::Foreign };
    }
    if !image.name().contains('$') {
        return Owner::Others;
    }
    let Ok(filled) = fill(text) else { return unclear() };
    match ComposeImage::parse(&filled) {
        Some(image) if own.owns(&filled) => {
            Owner::Unclear(format!("is {}, named by a variable: write the name in full", image.name()))
        }
        Some(image) if own.has_name(&image) => Owner::Foreign,
        _ => Owner::Others,
    }
}

struct Skip {
    reason: String,
    unpinned: bool,
}

impl<T: Into<String>> From<T> for Skip {
    fn from(reason: T) -> Skip {
        Skip { reason: reason.into(), unpinned: false }
    }
}

/// The bytes to replace and the new reference; `None` if nothing has to change.
fn edit(
    image: &ImageText,
    own: &OwnImages<'_>,
    request: &SwitchRequest,
    digest_of: Option<DigestOf<'_>>,
    fill: Fill<'_>,
) -> Result<Option<(Range<usize>, String)>, Skip> {
    let parsed = ComposeImage::parse(&image.value).ok_or(MALFORMED)?;
    let request = &own.request_for(&parsed, request);
    let plain = parsed.unpinned(request)?;
    if let Some(filled) = wrong_when_filled(&image.value, &plain, request, fill) {
        let help = match (&request.tag, request.edition) {
            (None, Some(_)) | (Some(_), None) => "remove it there, or give both --tag and --edition",
            _ => "remove it there",
        };
        let what = format!("a variable's value contains an edition, a variant or a digest (`{filled}`)");
        return Err(format!("{what}: {help}").into());
    }
    let after = match digest_of {
        None => parsed.switched(request)?,
        Some(digest_of) => {
            let digest = digest_of(&plain).map_err(|reason| Skip { reason, unpinned: true })?;
            format!("{plain}@{digest}")
        }
    };
    if after == image.value {
        return Ok(None);
    }
    let filled = fill(&plain).unwrap_or_default();
    if ComposeImage::parse(&filled).and_then(|image| image.tag()).is_some_and(|tag| tag.len() > MAX_TAG) {
        return Err(format!("the tag would be longer than {MAX_TAG} characters").into());
    }
    if image.shared {
        return Err("its anchor is also used for something other than images: write the image out".into());
    }
    match &image.bytes {
        Some(bytes) => Ok(Some((bytes.clone(), after))),
        None => Err("uses escapes or spans several lines: write it plainly on one line".into()),
    }
}

/// The current reference with its variables replaced, if the new one would not be as requested because of a variable's value.
/// References that cannot be interpolated are accepted here; the proof checks them.
fn wrong_when_filled(before: &str, after: &str, request: &SwitchRequest, fill: Fill<'_>) -> Option<String> {
    let has_variable = ComposeImage::parse(after)?.tag().is_some_and(|tag| tag.contains('$'));
    let (before, after) = (fill(before).ok()?, fill(after).ok()?);
    let wanted = ComposeImage::parse(&before)?.unpinned(request).ok()?;
    if has_variable && ComposeImage::parse(&after)?.has_second_ending(&request.editions) {
        return Some(before);
    }
    // A digest in a value may stay as long as the rest is as requested, like one in the file.
    let plain = after.split_once('@').map_or(after.as_str(), |(plain, _)| plain);
    (wanted != plain).then_some(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::edition::Edition;
    use model::variant::Variant;

    fn editions() -> Vec<Edition> {
        ["simple", "community", "enterprise"].map(Edition::named).into()
    }

    fn optimized_request() -> SwitchRequest {
        SwitchRequest {
            variant: Variant::Optimized,
            edition: None,
            tag: None,
            registry: None,
            editions: editions(),
        }
    }

    fn switched(text: &str, variant: Variant) -> (String, FilePlan) {
        let own = OwnImages::of(["sutra-api", "sutra-client"], ["hub.example:5000".to_owned()]);
        let request =
            SwitchRequest { variant, edition: None, tag: None, registry: None, editions: editions() };
        let plan = plan(text, &own, &request, None, &|text| Ok(text.to_owned())).unwrap();
        (apply(text, &plan.edits), plan)
    }

    const FILE: &str = "\u{feff}# sutra-api:latest in a comment stays\r\nx-api: &api \"sutra-api:${SUTRA_VERSION:-latest}\"\r\nservices:\r\n\r\n  a: {image: *api}\r\n  b:\r\n    image:   'hub.example:5000/sutra-client:${V:?no}'   # keep\r\n    command: echo sutra-api:latest\r\n  db:\r\n    image: postgres:17\r\n  odd:\r\n    image: \"sutra-api:\\u0031\"\r\n  bare:\r\n    image: sutra-api\r\n";

    #[test]
    fn a_name_behind_a_variable_is_ours_if_it_becomes_one_of_ours() {
        let own = OwnImages::of(["sutra-api"], ["h".to_owned()]);
        let request = optimized_request();
        let fill = |text: &str| match text {
            "${IMG}" => Ok("h/sutra-api:1".to_owned()),
            "${OTHER}:1" => Ok("postgres:1".to_owned()),
            text => Err(format!("{text}: not set")),
        };
        let reason = |image: &str| {
            let text = format!("services: {{a: {{image: \"{image}\"}}}}");
            plan(&text, &own, &request, None, &fill).unwrap().skipped.pop().map(|skip| skip.reason)
        };
        assert_eq!(
            reason("${IMG}").as_deref(),
            Some("is sutra-api, named by a variable: write the name in full")
        );
        assert!(reason("${X:?}sutra-api:1").is_some_and(|reason| reason.starts_with("may be sutra-api")));
        for other in ["${OTHER}:1", "${HUB:-h}/sutra-api-docs:${V:-1}", "my-sutra-api:${V:-1}", "${X}"] {
            assert_eq!(reason(other), None, "{other}");
        }
    }

    #[test]
    fn a_variable_before_the_name_may_hold_a_registry() {
        let own = OwnImages::of(["sutra-api"], []);
        let request = optimized_request();
        for (value, edits) in [("", 1), ("hub.example/", 1), ("my-", 0), ("hub.example", 0)] {
            let fill = |text: &str| Ok(text.replace("${HUB:-}", value));
            let text = "services: {a: {image: \"${HUB:-}sutra-api:1\"}}";
            let plan = plan(text, &own, &request, None, &fill).unwrap();
            assert_eq!((plan.edits.len(), plan.skipped.len()), (edits, 0), "{value}");
        }
        let fill = |text: &str| Ok(text.replace("${HUB:-}", ""));
        let text = "services: {a: {image: \"other.example/${HUB:-}sutra-api:1\"}}";
        assert_eq!(plan(text, &own, &request, None, &fill).unwrap().foreign.len(), 1);
        let own = OwnImages::of(["sutra-api"], ["other.example/team".to_owned()]);
        let fill = |text: &str| Ok(text.replace("${HUB:-}", "team/"));
        assert_eq!(plan(text, &own, &request, None, &fill).unwrap().edits.len(), 1);
    }

    #[test]
    fn a_value_that_contains_an_edition_or_a_variant_is_left() {
        let own = OwnImages::of(["sutra-api"], []);
        let is_left = |value: &str, variant, edition: Option<&str>, tag: Option<&str>| {
            let edition = edition.map(Edition::named);
            let tag = tag.map(|tag| tag.parse().unwrap());
            let request = SwitchRequest { variant, edition, tag, registry: None, editions: editions() };
            let fill = |text: &str| Ok(text.replace("$V", value));
            let text = "services: {a: {image: \"sutra-api:$V\"}}";
            let skipped = plan(text, &own, &request, None, &fill).unwrap().skipped;
            skipped.iter().any(|skip| skip.reason.contains("a variable's value"))
        };
        let (optimized, original) = (Variant::Optimized, Variant::Original);
        assert!(!is_left("1", optimized, Some("simple"), None));
        assert!(!is_left("1-community", optimized, None, None));
        assert!(is_left("1-community", optimized, Some("simple"), None));
        assert!(is_left("1-community", optimized, None, Some("2")));
        assert!(!is_left("1-community", optimized, Some("simple"), Some("2")));
        assert!(
            is_left("1-optimized", optimized, None, None) && is_left("1-optimized", original, None, None)
        );
        assert!(!is_left("1-optimized", original, None, Some("2")));
        assert!(is_left("1-optimized-optimized", original, None, None));
        assert!(
            is_left("1@sha256:11", optimized, None, None) && !is_left("1@sha256:11", original, None, None)
        );
    }

    #[test]
    fn only_references_change_and_switching_back_restores_them() {
        let (optimized, plan) = switched(FILE, Variant::Optimized);
        let expected =
            FILE.replace("latest}\"", "latest}-optimized\"").replace("${V:?no}'", "${V:?no}-optimized'");
        assert_eq!(optimized, expected);
        assert_eq!(plan.edits.len(), 2);
        let skipped: Vec<_> = plan.skipped.iter().map(|skip| (skip.line, skip.reason.as_str())).collect();
        assert!(
            matches!(skipped[..], [(12, escapes), (14, tag)] if escapes.contains("escapes") && tag.contains("no tag"))
        );
        let (again, plan) = switched(&optimized, Variant::Optimized);
        assert_eq!((again.as_str(), plan.edits.len(), plan.unchanged.len()), (optimized.as_str(), 0, 2));
        assert_eq!(switched(&optimized, Variant::Original).0, FILE);
    }
}
