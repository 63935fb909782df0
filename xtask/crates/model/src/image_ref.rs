//! Names of images, and the tag policy (DESIGN.md, "Tags").

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::edition::Edition;
use crate::variant::{OPTIMIZED_SUFFIX, Variant};

/// A tag as people give it, without the variant's suffix: `latest-optimized` means `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTag(String);

impl fmt::Display for BadTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a tag: use letters, digits, `_`, `.` and `-`, starting with a letter, a digit or `_`, at most 100 characters",
            self.0
        )
    }
}

impl std::error::Error for BadTag {}

impl FromStr for Tag {
    type Err = BadTag;

    /// The grammar of the OCI distribution specification, less the room that edition and variant need (128 - 28).
    fn from_str(text: &str) -> Result<Self, BadTag> {
        let bare = text.strip_suffix(OPTIMIZED_SUFFIX).unwrap_or(text);
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = bare.len() <= 100
            && bare.chars().next().is_some_and(first)
            && bare.chars().all(|c| first(c) || c == '.' || c == '-');
        if fits { Ok(Tag(bare.to_owned())) } else { Err(BadTag(text.to_owned())) }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tag {
    /// The tag itself, without a variant's suffix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registry and an optional path in it: `registry.company.com:5000/team`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry(String);

/// Why a text is no registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRegistry(String);

impl fmt::Display for BadRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a registry: write HOST[:PORT][/PATH] without a scheme, such as registry.company.com:5000/team",
            self.0
        )
    }
}

impl std::error::Error for BadRegistry {}

impl FromStr for Registry {
    type Err = BadRegistry;

    fn from_str(text: &str) -> Result<Self, BadRegistry> {
        let bare = text.trim_end_matches('/');
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        // Without a dot, a port or this one name, docker takes the first part for a path on the public registry.
        let is_host = host.contains('.') || host.contains(':') || host == "localhost";
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let is_whole = !host.ends_with(':') && !path.starts_with('/');
        let path_ok =
            path.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c))
                && !path.contains("//");
        if is_host && is_whole && host.chars().all(plain) && path_ok {
            Ok(Registry(bare.to_owned()))
        } else {
            Err(BadRegistry(text.to_owned()))
        }
    }
}

impl Registry {
    /// Host and port, as `docker login` wants them.
    pub fn host(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(host, _)| host)
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image with its tag, as docker is told: `sutra-api:latest-simple-optimized`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    repository: String,
    tag: String,
}

impl ImageRef {
    /// A reference from parts that are known to be well-formed.
    pub fn new(repository: impl Into<String>, tag: impl Into<String>) -> Self {
        ImageRef { repository: repository.into(), tag: tag.into() }
    }

    /// The one tag that always means this edition and variant: `NAME:TAG-EDITION[-optimized]`.
    pub fn of(name: &str, tag: &Tag, edition: Edition, variant: Variant) -> Self {
        ImageRef::new(name, format!("{tag}-{edition}{}", variant.suffix()))
    }

    /// The tag without an edition, which follows the default edition: `NAME:TAG[-optimized]`.
    pub fn plain(name: &str, tag: &Tag, variant: Variant) -> Self {
        ImageRef::new(name, format!("{tag}{}", variant.suffix()))
    }

    /// Every tag that moves when this image is built.
    pub fn all_of(name: &str, tag: &Tag, edition: Edition, variant: Variant, default: Edition) -> Vec<Self> {
        let mut refs = vec![ImageRef::of(name, tag, edition, variant)];
        if edition == default {
            refs.push(ImageRef::plain(name, tag, variant));
        }
        refs
    }

    /// The same image under a registry.
    pub fn at(&self, registry: &Registry) -> ImageRef {
        ImageRef::new(format!("{}/{}", registry.0, self.repository), self.tag.clone())
    }

    /// The name without the tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.repository, self.tag))
    }
}

impl Serialize for ImageRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tag: &str, edition: Edition, variant: Variant) -> Vec<String> {
        let tag: Tag = tag.parse().unwrap();
        let refs = ImageRef::all_of("sutra-x", &tag, edition, variant, Edition::Simple);
        refs.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn editions_stand_side_by_side_and_the_default_also_moves_the_plain_tag() {
        assert_eq!(
            tags("latest", Edition::Simple, Variant::Optimized),
            ["sutra-x:latest-simple-optimized", "sutra-x:latest-optimized"]
        );
        assert_eq!(tags("2.0", Edition::Enterprise, Variant::Original), ["sutra-x:2.0-enterprise"]);
    }

    #[test]
    fn a_tag_given_with_the_suffix_means_the_same_tag() {
        assert_eq!(
            tags("latest-optimized", Edition::Simple, Variant::Optimized),
            tags("latest", Edition::Simple, Variant::Optimized)
        );
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in ["", "-optimized", ".x", "a b", "a:b", "a/b", &"x".repeat(101)] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_is_a_host_and_never_the_public_registry_by_accident() {
        for text in ["registry.company.com", "127.0.0.1:5000", "localhost/team", "r.example:5000/a/b/"] {
            assert!(text.parse::<Registry>().is_ok(), "{text}");
        }
        for text in ["", "team", "https://r.example", "r.example/Team", "r.example//x"] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
        let image = ImageRef::new("sutra-x", "1").at(&"r.example:5000/team/".parse().unwrap());
        assert_eq!(image.to_string(), "r.example:5000/team/sutra-x:1");
    }
}
