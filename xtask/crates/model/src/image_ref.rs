//! Image references, tags and registries.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use host::failure::Failure;
use serde::{Serialize, Serializer};

use crate::edition::Edition;
use crate::variant::{OPTIMIZED_SUFFIX, Variant};

/// A tag without the variant's suffix: `latest-optimized` is parsed as `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl FromStr for Tag {
    type Err = Failure;

    /// The grammar of the OCI distribution specification; the length leaves room for edition and variant (128 - 28).
    fn from_str(text: &str) -> Result<Self, Failure> {
        let bare = text.strip_suffix(OPTIMIZED_SUFFIX).unwrap_or(text);
        let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let fits = bare.len() <= 100
            && bare.chars().next().is_some_and(first)
            && bare.chars().all(|c| first(c) || c == '.' || c == '-');
        fits.then(|| Tag(bare.to_owned())).ok_or_else(|| {
            Failure::usage(format!(
                "invalid tag `{text}`: use at most 100 letters, digits, `_`, `.` and `-`, starting with a letter, a digit or `_`"
            ))
        })
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tag {
    /// The tag without the variant's suffix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registry with an optional path: `registry.company.com:5000/team`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry(String);

impl FromStr for Registry {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let bare = text.trim_end_matches('/');
        let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
        // Without a dot or a port, and unless it is `localhost`, docker takes the first part for a path on Docker Hub.
        let is_host = host.contains('.') || host.contains(':') || host == "localhost";
        let path_ok = !bare.contains('/') || path.split('/').all(is_path_component);
        if is_host && is_domain(host) && path_ok {
            Ok(Registry(bare.to_owned()))
        } else {
            Err(Failure::usage(format!(
                "invalid registry `{text}`: use HOST[:PORT][/PATH] without a scheme, such as registry.company.com:5000/team"
            )))
        }
    }
}

/// Whether it is a host with an optional port (github.com/distribution/reference, `reference.go`: `domain`). Such a text never
/// starts with a hyphen, so docker cannot mistake it for an option.
fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => {
            ("localhost", rest.strip_prefix(':').or(rest.is_empty().then_some("0")))
        }
        Some(_) => return false,
        None => text.split_once(':').map_or((text, Some("0")), |(host, port)| (host, Some(port))),
    };
    let is_label = |label: &str| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_port = |port: &str| !port.is_empty() && port.chars().all(|c| c.is_ascii_digit());
    host.split('.').all(is_label) && port.is_some_and(is_port)
}

/// Whether it matches `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as in the OCI distribution specification ("Pulling manifests").
pub fn is_path_component(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let edges = [text.chars().next(), text.chars().next_back()];
    let mut separators = text.split(is_plain).filter(|separator| !separator.is_empty());
    edges.iter().all(|edge| edge.is_some_and(is_plain))
        && separators
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.chars().all(|c| c == '-'))
}

impl Registry {
    /// Host and port, as for `docker login`.
    pub fn host(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(host, _)| host)
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference without tag and digest: `hub.example:5000/team/api` for `hub.example:5000/team/api:1@sha256:…`.
pub fn repository_of(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    // A colon before the last slash belongs to a registry's port.
    name[last..].find(':').map_or(name, |colon| &name[..last + colon])
}

/// The last component of a reference's name, without tag and digest: `api` for `hub.example:5000/team/api:1@sha256:…`.
pub fn name_of(reference: &str) -> &str {
    repository_of(reference).rsplit('/').next().unwrap_or_default()
}

/// An image reference: `sutra-api:latest-simple-optimized`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    repository: String,
    tag: String,
}

impl ImageRef {
    /// A reference from valid parts.
    pub fn new(repository: impl Into<String>, tag: impl Into<String>) -> Self {
        ImageRef { repository: repository.into(), tag: tag.into() }
    }

    /// The tag of exactly this edition and variant: `NAME:TAG-EDITION[-optimized]`.
    pub fn of(name: &str, tag: &Tag, edition: Edition, variant: Variant) -> Self {
        ImageRef::new(name, format!("{tag}-{edition}{}", variant.suffix()))
    }

    /// The tag without an edition, for the default edition: `NAME:TAG[-optimized]`.
    pub fn plain(name: &str, tag: &Tag, variant: Variant) -> Self {
        ImageRef::new(name, format!("{tag}{}", variant.suffix()))
    }

    /// All tags of a built image.
    pub fn all_of(name: &str, tag: &Tag, edition: Edition, variant: Variant, default: Edition) -> Vec<Self> {
        let mut refs = vec![ImageRef::of(name, tag, edition, variant)];
        if edition == default {
            refs.push(ImageRef::plain(name, tag, variant));
        }
        refs
    }

    /// The same image in a registry.
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
    fn the_repository_includes_the_registry() {
        for (text, repository) in [
            ("api", "api"),
            ("api:1", "api"),
            ("h:5000/team/api:1@sha256:00", "h:5000/team/api"),
            ("[::1]:5000/api", "[::1]:5000/api"),
            ("h:5000/api@sha256:00", "h:5000/api"),
        ] {
            assert_eq!(repository_of(text), repository, "{text}");
        }
    }

    #[test]
    fn the_name_is_the_last_component() {
        for text in ["api", "api:1", "h:5000/team/api:1@sha256:00", "[::1]:5000/api", "api@sha256:00"] {
            assert_eq!(name_of(text), "api", "{text}");
        }
    }

    #[test]
    fn the_default_edition_also_gets_the_plain_tag() {
        assert_eq!(
            tags("latest", Edition::Simple, Variant::Optimized),
            ["sutra-x:latest-simple-optimized", "sutra-x:latest-optimized"]
        );
        assert_eq!(tags("2.0", Edition::Enterprise, Variant::Original), ["sutra-x:2.0-enterprise"]);
    }

    #[test]
    fn the_suffix_of_a_given_tag_is_ignored() {
        assert_eq!(
            tags("latest-optimized", Edition::Simple, Variant::Optimized),
            tags("latest", Edition::Simple, Variant::Optimized)
        );
    }

    #[test]
    fn invalid_tags_are_refused() {
        for text in ["", "-optimized", ".x", "a b", "a:b", "a/b", &"x".repeat(101)] {
            assert!(text.parse::<Tag>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_registry_needs_a_host() {
        for text in [
            "registry.company.com",
            "127.0.0.1:5000",
            "localhost/team",
            "r.example:5000/a/b/",
            "[::1]:5000/a",
            "a-b.c-d/x__y.z---1",
            "HUB.example",
        ] {
            assert!(text.parse::<Registry>().is_ok(), "{text}");
        }
        for text in [
            "",
            "team",
            "https://r.example",
            "r.example/Team",
            "r.example//x",
            "r.example/-x",
            "r.example/a..b",
            "r.example:",
            "r.example:x",
            "a..b",
            "[::1",
            "[x]:1",
            "[::1]x",
            "r.example/a/../b",
            "r.example:1:2",
            // Docker would parse these as options.
            "-r.example",
            "--config=x.y",
            "-H:5000",
            "-.x",
        ] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
        let image = ImageRef::new("sutra-x", "1").at(&"r.example:5000/team/".parse().unwrap());
        assert_eq!(image.to_string(), "r.example:5000/team/sutra-x:1");
    }
}
