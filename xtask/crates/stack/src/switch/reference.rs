//! An image reference as a Compose file writes it, with variables in it (Compose Specification, "Interpolation"), taken
//! apart without being interpolated: `${HUB:-hub.example:5000}/team/sutra-api:${SUTRA_VERSION:-latest}-optimized`.

use std::fmt;
use std::ops::Range;

use model::edition::Edition;
use model::image_ref::{Registry, Tag};
use model::variant::{OPTIMIZED_SUFFIX, Variant};

/// A reference and where its parts stand in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeImage<'a> {
    text: &'a str,
    name: Range<usize>,
    tag: Option<Range<usize>>,
    digest: Option<Range<usize>>,
}

/// What to make of references to one image. `None` keeps what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The variant.
    pub variant: Variant,
    /// The edition in the tag.
    pub edition: Option<Edition>,
    /// The tag before edition and variant.
    pub tag: Option<Tag>,
    /// The registry before the name.
    pub registry: Option<Registry>,
}

/// Why a reference to one of our images cannot be changed without guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsafe {
    /// Switching back could not know that there was none.
    NoTag,
    /// The digest would go on naming the image of the other variant.
    Pinned,
    /// A variable's own text says which variant it is.
    VariantInVariable,
    /// A variable's own text says which edition it is, and another one is wanted.
    EditionInVariable,
    /// Not a reference at all.
    Malformed,
}

impl fmt::Display for Unsafe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsafe::NoTag => "it has no tag: write one, such as :${SUTRA_VERSION:-latest}",
            Unsafe::Pinned => {
                "its digest pins it to one variant: add --pin to pin it anew, or remove the digest"
            }
            Unsafe::VariantInVariable => {
                "the variant stands inside a variable's default: move -optimized behind the closing brace"
            }
            Unsafe::EditionInVariable => {
                "the edition stands inside a variable's default: move it behind the closing brace"
            }
            Unsafe::Malformed => "it is no image reference",
        })
    }
}

impl<'a> ComposeImage<'a> {
    /// Takes a reference apart; `None` for a text that is none.
    pub fn parse(text: &'a str) -> Option<ComposeImage<'a>> {
        let outside = outside_of_variables(text)?;
        let at = |wanted: u8| outside.iter().copied().filter(move |&i| text.as_bytes()[i] == wanted);
        let digest = at(b'@').next();
        let end = digest.unwrap_or(text.len());
        let name_start = at(b'/').take_while(|&i| i < end).last().map_or(0, |slash| slash + 1);
        // A colon before the last slash belongs to a registry's port.
        let colon = at(b':').find(|&i| i >= name_start && i < end);
        let name = name_start..colon.unwrap_or(end);
        (!name.is_empty()).then(|| ComposeImage {
            text,
            name,
            tag: colon.map(|colon| colon + 1..end),
            digest: digest.map(|at| at + 1..text.len()),
        })
    }

    /// The image's name without registry, tag and digest.
    pub fn name(&self) -> &'a str {
        &self.text[self.name.clone()]
    }

    /// The reference as it is wanted, with the digest it has; equal to this one where nothing has to change.
    ///
    /// # Errors
    /// Why it cannot be changed safely.
    pub fn switched(&self, wanted: &Wanted) -> Result<String, Unsafe> {
        let plain = self.unpinned(wanted)?;
        match &self.digest {
            None => Ok(plain),
            // Already what is wanted: nothing has to change, and the digest is no lie.
            Some(digest) if self.text[..digest.start - 1] == plain => Ok(self.text.to_owned()),
            Some(_) => Err(Unsafe::Pinned),
        }
    }

    /// The reference as it is wanted, without any digest.
    ///
    /// # Errors
    /// Why it cannot be changed safely.
    pub fn unpinned(&self, wanted: &Wanted) -> Result<String, Unsafe> {
        let tag = &self.text[self.tag.clone().ok_or(Unsafe::NoTag)?];
        let bytes = self.text.as_bytes();
        let is_broken = |i: usize| bytes[i].is_ascii_whitespace() || bytes[i..].starts_with(b"$$");
        let broken = outside_of_variables(self.text).is_none_or(|outside| outside.into_iter().any(is_broken));
        if tag.is_empty() || broken {
            return Err(Unsafe::Malformed);
        }
        let (base, edition) = parts(tag);
        if base.is_empty() {
            return Err(Unsafe::Malformed);
        }
        if wanted.tag.is_none() && base.ends_with('}') {
            let inside = base.trim_end_matches('}');
            if inside.ends_with(OPTIMIZED_SUFFIX) {
                return Err(Unsafe::VariantInVariable);
            }
            if wanted.edition.is_some() && parts(inside).1.is_some() {
                return Err(Unsafe::EditionInVariable);
            }
        }
        let base = wanted.tag.as_ref().map_or(base, Tag::as_str);
        let prefix = match &wanted.registry {
            Some(registry) => format!("{registry}/"),
            None => self.text[..self.name.start].to_owned(),
        };
        let edition = match wanted.edition.or(edition) {
            Some(edition) => format!("-{edition}"),
            None => String::new(),
        };
        Ok(format!("{prefix}{}:{base}{edition}{}", self.name(), wanted.variant.suffix()))
    }
}

/// A tag without edition and variant, and its edition.
fn parts(tag: &str) -> (&str, Option<Edition>) {
    let bare = tag.strip_suffix(OPTIMIZED_SUFFIX).unwrap_or(tag);
    for edition in Edition::ALL {
        if let Some(base) = bare.strip_suffix(edition.name()).and_then(|rest| rest.strip_suffix('-')) {
            return (base, Some(edition));
        }
    }
    (bare, None)
}

/// The positions that are in no `${…}`; `None` when a brace is never closed.
fn outside_of_variables(text: &str) -> Option<Vec<usize>> {
    let bytes = text.as_bytes();
    let mut outside = Vec::with_capacity(bytes.len());
    let mut depth = 0_usize;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'$' if bytes.get(i + 1) == Some(&b'$') => {
                // Outside it stands for a sign that no reference may hold.
                outside.extend((depth == 0).then_some(i));
                i += 2;
                continue;
            }
            b'$' if bytes.get(i + 1) == Some(&b'{') => {
                depth += 1;
                i += 2;
                continue;
            }
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

    fn to(variant: Variant) -> Wanted {
        Wanted { variant, edition: None, tag: None, registry: None }
    }

    fn switched(text: &str, wanted: &Wanted) -> Result<String, Unsafe> {
        ComposeImage::parse(text).ok_or(Unsafe::Malformed)?.switched(wanted)
    }

    #[test]
    fn there_and_back_gives_the_same_bytes() {
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
        let all = Wanted {
            variant: Variant::Optimized,
            edition: Some(Edition::Enterprise),
            tag: Some("2.1".parse().unwrap()),
            registry: Some("hub.example:5000/team".parse().unwrap()),
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
    fn what_would_be_a_guess_is_refused() {
        let optimized = to(Variant::Optimized);
        for (text, why) in [
            ("sutra-api", Unsafe::NoTag),
            ("hub.example:5000/sutra-api", Unsafe::NoTag),
            ("sutra-api:1@sha256:11", Unsafe::Pinned),
            ("sutra-api@sha256:11", Unsafe::NoTag),
            ("sutra-api:${V:-latest-optimized}", Unsafe::VariantInVariable),
            ("sutra-api:", Unsafe::Malformed),
            ("sutra-api:-optimized", Unsafe::Malformed),
            ("sutra-api:$$x", Unsafe::Malformed),
            ("sutra-api:${V", Unsafe::Malformed),
        ] {
            assert_eq!(switched(text, &optimized), Err(why), "{text}");
        }
        let community = Wanted { edition: Some(Edition::Community), ..to(Variant::Optimized) };
        assert_eq!(switched("sutra-api:${V:-1-simple}", &community), Err(Unsafe::EditionInVariable));
        assert_eq!(
            switched("sutra-api:1-optimized@sha256:11", &optimized).as_deref(),
            Ok("sutra-api:1-optimized@sha256:11")
        );
    }

    #[test]
    fn a_name_is_what_stands_between_path_and_tag() {
        let name = |text| ComposeImage::parse(text).map(|image| image.name().to_owned());
        assert_eq!(name("hub.example:5000/a/b:c"), Some("b".into()));
        assert_eq!(name("${IMAGE}"), Some("${IMAGE}".into()));
        assert_eq!(name(""), None);
    }
}
