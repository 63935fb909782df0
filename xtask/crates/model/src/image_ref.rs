//! Image references, tags and registries.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use host::failure::Failure;
use serde::{Serialize, Serializer};

use crate::platform::Platform;
use crate::variant::OPTIMIZED_SUFFIX;

/// A tag without the variant's suffix: `latest-optimized` is parsed as `latest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(String);

impl FromStr for Tag {
    type Err = Failure;

    /// The grammar of the OCI distribution specification; the length leaves room for edition and variant (128 - 28).
    fn from_str(text: &str) -> Result<Self, Failure> {
        let bare = text.strip_suffix(OPTIMIZED_SUFFIX).unwrap_or(text);
        let fits = bare.len() <= MAX_GIVEN_TAG && is_tag(bare);
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

    /// The tag with a template around it. It may have more than [`MAX_GIVEN_TAG`] characters: the limit leaves room for a template.
    #[must_use]
    pub fn map(&self, expand: impl FnOnce(&str) -> String) -> Tag {
        Tag(expand(&self.0))
    }
}

/// The most characters of a tag that a user gives; the rest is for a template, the edition and the variant.
pub const MAX_GIVEN_TAG: usize = 100;

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

/// Whether it is a repository as images are named: path components, after a registry's host where the first one is one (OCI
/// distribution specification, "Pulling manifests"; github.com/distribution/reference, `NameTotalLengthMax`).
pub fn is_repository(text: &str) -> bool {
    let (host, path) = split_host(text);
    text.len() <= MAX_REPOSITORY && host.is_none_or(is_domain) && path.split('/').all(is_path_component)
}

/// The most characters of a registry's host, a slash and a path together.
pub const MAX_REPOSITORY: usize = 255;

/// A repository's host, if the first component is one as docker decides, and its path.
fn split_host(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (Some(host), path),
        _ => (None, repository),
    }
}

/// A repository without a registry's host: `team/api` for `hub.example:5000/team/api`.
pub fn path_of(repository: &str) -> &str {
    split_host(repository).1
}

/// Whether it is a reference that can be pulled: a repository with an optional tag and an optional digest.
pub fn is_reference(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
    let repository = repository_of(name);
    let tag = name[repository.len()..].strip_prefix(':');
    let is_hex = |hex: &str| hex.len() == 64 && hex.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let is_digest = |digest: &str| digest.strip_prefix("sha256:").is_some_and(is_hex);
    is_repository(repository) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// The most characters of a tag.
pub const MAX_TAG: usize = 128;

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (OCI distribution specification, "Pulling manifests").
pub fn is_tag(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= MAX_TAG && text.starts_with(first) && text.chars().all(|c| first(c) || c == '.' || c == '-')
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

/// A reference as docker prints it: without Docker Hub's host, and without the namespace of its official images
/// (github.com/distribution/reference, `normalize.go`).
pub fn familiar(reference: &str) -> &str {
    let bare = ["docker.io/", "index.docker.io/"].iter().find_map(|host| reference.strip_prefix(host));
    let bare = bare.unwrap_or(reference);
    bare.strip_prefix("library/").filter(|name| !name.contains('/')).unwrap_or(bare)
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
    /// With the leading `@`; empty unless the reference names one.
    digest: String,
}

impl ImageRef {
    /// A reference from valid parts.
    pub fn new(repository: impl Into<String>, tag: impl Into<String>) -> Self {
        ImageRef { repository: repository.into(), tag: tag.into(), digest: String::new() }
    }

    /// A reference as it is written; without tag and digest, `latest` is meant.
    pub fn of_text(reference: &str) -> Self {
        let repository = repository_of(reference);
        let (tag, digest) = reference[repository.len()..].split_once('@').map_or_else(
            || (&reference[repository.len()..], String::new()),
            |(tag, digest)| (tag, format!("@{digest}")),
        );
        let tag = match tag.strip_prefix(':') {
            None if digest.is_empty() => "latest",
            tag => tag.unwrap_or_default(),
        };
        ImageRef { digest, ..ImageRef::new(repository, tag) }
    }

    /// The same image in a registry, which replaces the one in its name.
    pub fn at(&self, registry: &Registry) -> ImageRef {
        ImageRef { repository: format!("{}/{}", registry.0, path_of(&self.repository)), ..self.clone() }
    }

    /// The reference with the platform's suffix appended to its tag.
    #[must_use]
    pub fn on(&self, platform: Option<&Platform>) -> ImageRef {
        let suffix = platform.map(Platform::suffix).unwrap_or_default();
        ImageRef { tag: format!("{}{suffix}", self.tag), ..self.clone() }
    }

    /// The name without the tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag; empty if the reference has only a digest.
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.tag.is_empty() { "" } else { ":" };
        f.pad(&format!("{}{colon}{}{}", self.repository, self.tag, self.digest))
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
    fn repositories_follow_the_specification() {
        let long = |length: usize| format!("r.example/{}", "a".repeat(length - 10));
        for text in [
            "api",
            "team/api",
            "a.b/c",
            "a__b",
            "a-b--c/d.e_f",
            "localhost/x",
            "[::1]:5000/x/y",
            "0",
            &long(255),
        ] {
            assert!(is_repository(text), "{text}");
        }
        for text in
            ["", "/", "a/", "/a", "A", "a..b", "a___b", "a_-b", "-a", "a-", "a:b", "a.b:x/c", &long(256)]
        {
            assert!(!is_repository(text), "{text}");
        }
    }

    #[test]
    fn references_have_an_optional_tag_and_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in
            ["redis", "redis:7", "h:5000/team/x:1", &format!("redis@{digest}"), &format!("a/b:1@{digest}")]
        {
            assert!(is_reference(text), "{text}");
        }
        for text in ["", ":1", "redis:", "redis:a b", "redis@sha256:00", "Redis", "--help"] {
            assert!(!is_reference(text), "{text}");
        }
        let written = |text: &str| ImageRef::of_text(text).to_string();
        assert_eq!(written("redis"), "redis:latest");
        assert_eq!(written("h:5000/x:1"), "h:5000/x:1");
        for text in ["redis:7", "redis@sha256:00", "redis:7@sha256:00"] {
            assert_eq!(written(text), text);
        }
        let names = ["docker.io/library/redis:7", "library/redis:7", "index.docker.io/redis:7", "redis:7"];
        assert!(names.iter().all(|name| familiar(name) == "redis:7"));
        assert_eq!(familiar("docker.io/team/x"), "team/x");
        let moved = ImageRef::of_text("ghcr.io/team/x:1").at(&"r.example/own".parse().unwrap());
        assert_eq!(moved.to_string(), "r.example/own/team/x:1");
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
