//! An image reference as written in a Compose file, parsed without interpolating its variables (Compose Specification,
//! "Interpolation"): `${HUB:-hub.example:5000}/team/sutra-api:${SUTRA_VERSION:-latest}-optimized`.

use std::ops::Range;

use model::edition::Edition;
use model::image_ref::{Registry, Tag};
use model::variant::{OPTIMIZED_SUFFIX, Variant};

/// A reference and the positions of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ComposeImage<'a> {
    text: &'a str,
    name: Range<usize>,
    /// A variable directly before the name, as in `${REGISTRY:-}sutra-api`.
    variable: Range<usize>,
    tag: Option<Range<usize>>,
    digest: Option<Range<usize>>,
}

/// What references are to become. `None` keeps what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchRequest {
    /// The variant.
    pub variant: Variant,
    /// The edition in the tag.
    pub edition: Option<Edition>,
    /// The tag before edition and variant.
    pub tag: Option<Tag>,
    /// The registry before the name.
    pub registry: Option<Registry>,
    /// The manifest's editions: how tags may end.
    pub editions: Vec<Edition>,
}

/// Without a tag, switching back could not tell that there was none.
const NO_TAG: &str = "no tag: add one, such as :${SUTRA_VERSION:-latest}";
const PINNED: &str = "pinned to one variant by its digest: add --pin to update the digest, or remove it";
const VARIANT_IN_VARIABLE: &str =
    "the variant is inside a variable's default: move -optimized after the closing brace";
const EDITION_IN_VARIABLE: &str = "the edition is inside a variable's default: move it after the closing brace, or give both --tag and --edition";
pub(super) const MALFORMED: &str = "not an image reference";

impl<'a> ComposeImage<'a> {
    /// Parses a reference; `None` if the text is not one.
    pub(super) fn parse(text: &'a str) -> Option<ComposeImage<'a>> {
        let outside = outside_of_variables(text)?;
        let at = |byte: u8| outside.iter().copied().filter(move |&i| text.as_bytes()[i] == byte);
        let digest = at(b'@').next();
        let end = digest.unwrap_or(text.len());
        let name_start = at(b'/').take_while(|&i| i < end).last().map_or(0, |slash| slash + 1);
        // A colon before the last slash belongs to a registry's port.
        let colon = at(b':').find(|&i| i >= name_start && i < end);
        let last = name_start..colon.unwrap_or(end);
        let is_plain = |from: &usize| !text[*from..last.end].contains('$');
        let plain = outside.iter().copied().find(|i| last.contains(i)).filter(is_plain);
        let name = plain.unwrap_or(last.start)..last.end;
        (!name.is_empty()).then(|| ComposeImage {
            text,
            variable: last.start..name.start,
            name,
            tag: colon.map(|colon| colon + 1..end),
            digest: digest.map(|at| at + 1..text.len()),
        })
    }

    /// The image's name without registry, tag and digest.
    pub(super) fn name(&self) -> &'a str {
        &self.text[self.name.clone()]
    }

    /// The tag, without its colon.
    pub(super) fn tag(&self) -> Option<&'a str> {
        self.tag.clone().map(|tag| &self.text[tag])
    }

    /// The variable directly before the name; empty if there is none. It may hold a registry with a slash at its end.
    pub(super) fn variable(&self) -> &'a str {
        &self.text[self.variable.clone()]
    }

    /// The text before [`ComposeImage::variable`]; empty if there is no variable.
    pub(super) fn before_variable(&self) -> &'a str {
        if self.variable.is_empty() { "" } else { &self.text[..self.variable.start] }
    }

    /// Whether the tag has an edition or a variant before the last ones.
    pub(super) fn has_second_ending(&self, editions: &[Edition]) -> bool {
        self.tag().is_some_and(|tag| {
            let (base, _) = parts(tag, editions);
            parts(base, editions).0 != base
        })
    }

    /// The tag before edition and variant; empty without a tag.
    pub(super) fn base_tag(&self, editions: &[Edition]) -> &'a str {
        self.tag().map_or("", |tag| parts(tag, editions).0)
    }

    /// The registry and path before the name, without a slash at the end.
    pub(super) fn registry(&self) -> &'a str {
        self.text[..self.name.start].trim_end_matches('/')
    }

    /// The variant that its tag names.
    pub(super) fn variant(&self) -> Variant {
        let is_optimized = self.tag.clone().is_some_and(|tag| self.text[tag].ends_with(OPTIMIZED_SUFFIX));
        if is_optimized { Variant::Optimized } else { Variant::Original }
    }

    /// The requested reference with the digest it has, or why it cannot be edited safely.
    pub(super) fn switched(&self, request: &SwitchRequest) -> Result<String, &'static str> {
        let plain = self.unpinned(request)?;
        match &self.digest {
            None => Ok(plain),
            // Already as requested, so the digest is still right.
            Some(digest) if self.text[..digest.start - 1] == plain => Ok(self.text.to_owned()),
            Some(_) => Err(PINNED),
        }
    }

    /// The requested reference without a digest, or why it cannot be edited safely.
    pub(super) fn unpinned(&self, request: &SwitchRequest) -> Result<String, &'static str> {
        let Some(tag) = self.tag.clone() else { return self.with_first_tag(request) };
        let tag = &self.text[tag];
        let bytes = self.text.as_bytes();
        let is_broken = |i: usize| bytes[i].is_ascii_whitespace() || bytes[i..].starts_with(b"$$");
        let broken = outside_of_variables(self.text).is_none_or(|outside| outside.into_iter().any(is_broken));
        if tag.is_empty() || broken {
            return Err(MALFORMED);
        }
        let (base, edition) = parts(tag, &request.editions);
        if base.is_empty() {
            return Err(MALFORMED);
        }
        if base.ends_with('}') {
            let inside = base.trim_end_matches('}');
            if request.tag.is_none() && inside.ends_with(OPTIMIZED_SUFFIX) {
                return Err(VARIANT_IN_VARIABLE);
            }
            // With a new edition alone, the tag would have two editions; with a new tag alone, it would lose its edition.
            let is_split = matches!((&request.tag, request.edition), (None, Some(_)) | (Some(_), None));
            if is_split && parts(inside, &request.editions).1.is_some() {
                return Err(EDITION_IN_VARIABLE);
            }
        }
        let base = request.tag.as_ref().map_or(base, Tag::as_str);
        Ok(self.with_tag(base, request.edition.or(edition), request))
    }

    /// The requested reference if this one has no tag: with the requested tag, or the original as it is.
    fn with_first_tag(&self, request: &SwitchRequest) -> Result<String, &'static str> {
        match (&request.tag, request.variant, request.edition) {
            (Some(tag), ..) => Ok(self.with_tag(tag.as_str(), request.edition, request)),
            (None, Variant::Original, None) if self.digest.is_none() => {
                Ok(format!("{}{}", self.prefix(request), self.name()))
            }
            _ => Err(NO_TAG),
        }
    }

    fn with_tag(&self, base: &str, edition: Option<Edition>, request: &SwitchRequest) -> String {
        let edition = edition.map(Edition::suffix).unwrap_or_default();
        format!("{}{}:{base}{edition}{}", self.prefix(request), self.name(), request.variant.suffix())
    }

    /// The registry and path, with a slash.
    fn prefix(&self, request: &SwitchRequest) -> String {
        match &request.registry {
            Some(registry) => format!("{registry}/"),
            None => self.text[..self.name.start].to_owned(),
        }
    }
}

/// Splits a tag into its base and its edition; drops the variant.
fn parts<'t>(tag: &'t str, editions: &[Edition]) -> (&'t str, Option<Edition>) {
    let bare = tag.strip_suffix(OPTIMIZED_SUFFIX).unwrap_or(tag);
    for edition in editions.iter().copied().filter(|edition| !edition.is_none()) {
        if let Some(base) = bare.strip_suffix(edition.name()).and_then(|rest| rest.strip_suffix('-')) {
            return (base, Some(edition));
        }
    }
    (bare, None)
}

/// The positions outside of `${…}`; `None` if a brace is never closed.
fn outside_of_variables(text: &str) -> Option<Vec<usize>> {
    let bytes = text.as_bytes();
    let mut outside = Vec::with_capacity(bytes.len());
    let mut depth = 0_usize;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'$' if bytes.get(i + 1) == Some(&b'$') => {
                // An escaped dollar sign: not allowed in a reference, so its position is kept for the check.
                outside.extend((depth == 0).then_some(i));
                i += 2;
                continue;
            }
            b'$' if bytes.get(i + 1) == Some(&b'{') => {
                depth += 1;
                i += 2;
                continue;
            }
            // Compose counts every brace inside of a variable.
            b'{' if depth > 0 => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            _ if depth == 0 => outside.push(i),
            _ => {}
        }
        i += 1;
    }
    (depth == 0).then_some(outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editions() -> Vec<Edition> {
        ["simple", "community", "enterprise"].map(Edition::named).into()
    }

    fn to(variant: Variant) -> SwitchRequest {
        SwitchRequest { variant, edition: None, tag: None, registry: None, editions: editions() }
    }

    fn switched(text: &str, request: &SwitchRequest) -> Result<String, &'static str> {
        ComposeImage::parse(text).ok_or(MALFORMED)?.switched(request)
    }

    #[test]
    fn switching_back_restores_the_reference() {
        for original in [
            "sutra-api:latest",
            "sutra-api:${SUTRA_VERSION:-latest}",
            "sutra-api:${SUTRA_VERSION:?say which version}",
            "sutra-api:$TAG",
            "sutra-api:${A:-${B:-2.0}}",
            "sutra-api:${V:?costs $$5}",
            "sutra-api:latest-community",
            "hub.example:5000/team/sutra-api:nightly_2026",
            "${HUB:-hub.example:5000}/sutra-api:2.0.0-rc.1",
        ] {
            let optimized = switched(original, &to(Variant::Optimized)).unwrap();
            assert_eq!(optimized, format!("{original}-optimized"));
            assert_eq!(switched(&optimized, &to(Variant::Original)).as_deref(), Ok(original));
            assert_eq!(switched(&optimized, &to(Variant::Optimized)), Ok(optimized));
        }
    }

    #[test]
    fn edition_tag_and_registry_are_set() {
        let all = SwitchRequest {
            variant: Variant::Optimized,
            edition: Some(Edition::named("enterprise")),
            tag: Some("2.1".parse().unwrap()),
            registry: Some("hub.example:5000/team".parse().unwrap()),
            editions: editions(),
        };
        for before in ["sutra-api:${V:-latest}", "old.example/sutra-api:1-simple-optimized@sha256:11"] {
            let image = ComposeImage::parse(before).unwrap();
            assert_eq!(
                image.unpinned(&all).as_deref(),
                Ok("hub.example:5000/team/sutra-api:2.1-enterprise-optimized")
            );
        }
    }

    #[test]
    fn a_reference_without_a_tag_is_the_original_and_gets_a_requested_tag() {
        assert_eq!(switched("sutra-api", &to(Variant::Original)).as_deref(), Ok("sutra-api"));
        let tagged = SwitchRequest { tag: Some("1.2.3".parse().unwrap()), ..to(Variant::Optimized) };
        assert_eq!(switched("h:5000/sutra-api", &tagged).as_deref(), Ok("h:5000/sutra-api:1.2.3-optimized"));
        let moved = SwitchRequest { registry: Some("r.example/t".parse().unwrap()), ..to(Variant::Original) };
        assert_eq!(switched("sutra-api", &moved).as_deref(), Ok("r.example/t/sutra-api"));
    }

    #[test]
    fn ambiguous_references_are_refused() {
        let optimized = to(Variant::Optimized);
        for (text, reason) in [
            ("sutra-api", NO_TAG),
            ("hub.example:5000/sutra-api", NO_TAG),
            ("sutra-api:1@sha256:11", PINNED),
            ("sutra-api@sha256:11", NO_TAG),
            ("sutra-api:${V:-latest-optimized}", VARIANT_IN_VARIABLE),
            ("sutra-api:", MALFORMED),
            ("sutra-api:-optimized", MALFORMED),
            ("sutra-api:$$x", MALFORMED),
            ("sutra-api:${V", MALFORMED),
        ] {
            assert_eq!(switched(text, &optimized), Err(reason), "{text}");
        }
        let community =
            SwitchRequest { edition: Some(Edition::named("community")), ..to(Variant::Optimized) };
        assert_eq!(switched("sutra-api:${V:-1-simple}", &community), Err(EDITION_IN_VARIABLE));
        let tagged = SwitchRequest { tag: Some("2".parse().unwrap()), ..to(Variant::Optimized) };
        assert_eq!(switched("sutra-api:${V:-1-simple}", &tagged), Err(EDITION_IN_VARIABLE));
        let both = SwitchRequest { tag: tagged.tag, ..community };
        assert_eq!(
            switched("sutra-api:${V:-1-simple}", &both).as_deref(),
            Ok("sutra-api:2-community-optimized")
        );
        assert_eq!(
            switched("sutra-api:1-optimized@sha256:11", &optimized).as_deref(),
            Ok("sutra-api:1-optimized@sha256:11")
        );
    }

    #[test]
    fn the_name_excludes_path_and_tag() {
        let name = |text| ComposeImage::parse(text).map(|image| image.name().to_owned());
        assert_eq!(name("hub.example:5000/a/b:c"), Some("b".into()));
        assert_eq!(name("${IMAGE}"), Some("${IMAGE}".into()));
        assert_eq!(name("${HUB:+$HUB/}api:1"), Some("api".into()));
        assert_eq!(name("h/${A}${B:-}api:${V}"), Some("api".into()));
        assert_eq!(name("${A}-${B}:1"), Some("${A}-${B}".into()));
        assert_eq!(name(""), None);
    }
}
