//! References to images in registries (github.com/distribution/reference).

use std::fmt;
use std::str::FromStr;

use host::failure::Failure;
use model::image_ref::{Registry, Tag, is_path_component, repository_of};

use crate::oci;

/// The registry that a reference without a host means.
const HUB: &str = "docker.io";

/// An image in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteReference {
    /// Host and port as in the reference; `docker.io` by default.
    pub(super) host: String,
    /// The repository on that host.
    pub(super) repository: String,
    /// A tag or a digest.
    pub(super) version: String,
}

impl RemoteReference {
    /// The tag or digest.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl FromStr for RemoteReference {
    type Err = Failure;

    fn from_str(text: &str) -> Result<RemoteReference, Failure> {
        let invalid = |why: &str| Failure::usage(format!("invalid image reference `{text}`: {why}"));
        let name = repository_of(text);
        let first = name.split_once('/').filter(|(host, _)| host.parse::<Registry>().is_ok());
        let (host, path) = match first {
            Some((host, path)) => (host, path.to_owned()),
            None if name.contains('/') => (HUB, name.to_owned()),
            None => (HUB, format!("library/{name}")),
        };
        let host = if host == "index.docker.io" { HUB } else { host };
        let path = if host == HUB && !path.contains('/') { format!("library/{path}") } else { path };
        if path.len() > 255 || !path.split('/').all(is_path_component) {
            return Err(invalid(
                "a repository has lowercase letters and digits, separated by `.`, `_`, `-` or `/`",
            ));
        }
        let rest = &text[name.len()..];
        let (tag, digest) = rest.split_once('@').map_or((rest, None), |(tag, digest)| (tag, Some(digest)));
        let tag = tag.strip_prefix(':');
        let is_tag =
            |tag: &str| tag.len() <= 128 && tag.chars().take(100).collect::<String>().parse::<Tag>().is_ok();
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(invalid("a tag has at most 128 letters, digits, `_`, `.` and `-`"));
        }
        if digest.is_some_and(|digest| oci::hex(digest).is_err()) {
            return Err(invalid("a digest is `sha256:` and 64 hexadecimal digits"));
        }
        // The digest decides where both stand.
        let version = digest.or(tag).unwrap_or("latest").to_owned();
        Ok(RemoteReference { host: host.to_owned(), repository: path, version })
    }
}

impl RemoteReference {
    /// The digest, if the reference has one.
    pub(super) fn digest(&self) -> Option<&str> {
        self.version.contains(':').then_some(self.version.as_str())
    }

    /// The host that answers.
    pub(super) fn api_host(&self) -> &str {
        if self.host == HUB { "registry-1.docker.io" } else { &self.host }
    }

    /// The names under which docker may keep credentials for the host.
    pub(super) fn account_keys(&self) -> Vec<String> {
        if self.host == HUB {
            return ["https://index.docker.io/v1/", "index.docker.io", HUB].map(str::to_owned).into();
        }
        let host = &self.host;
        vec![
            host.clone(),
            format!("https://{host}"),
            format!("https://{host}/v1/"),
            format!("https://{host}/v2/"),
        ]
    }

    /// Whether the host is this machine, where docker allows plain HTTP.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether `HOST[:PORT]` is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for RemoteReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.digest().is_some() { '@' } else { ':' };
        write!(f, "{}/{}{separator}{}", self.host, self.repository, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_docker_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, full) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("nginx:1.26", "docker.io/library/nginx:1.26".to_owned()),
            ("docker.io/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("index.docker.io/team/x:1", "docker.io/team/x:1".to_owned()),
            ("team/x", "docker.io/team/x:latest".to_owned()),
            ("hub.example/x", "hub.example/x:latest".to_owned()),
            ("localhost/x", "localhost/x:latest".to_owned()),
            ("localhost:5000/a/b:2", "localhost:5000/a/b:2".to_owned()),
            ("[::1]:5000/a:2", "[::1]:5000/a:2".to_owned()),
            (&format!("hub.example/x:1@{digest}"), format!("hub.example/x@{digest}")),
        ] {
            assert_eq!(text.parse::<RemoteReference>().unwrap().to_string(), full, "{text}");
        }
        for wrong in
            ["", "Nginx", "a//b", "x:", "x:a/b:c", "x@sha256:1", "../x", "x:.a", "h.example/..", "a b"]
        {
            assert!(wrong.parse::<RemoteReference>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        let is_loopback = |text: &str| text.parse::<RemoteReference>().unwrap().is_loopback();
        assert!(["localhost:5000/x", "127.0.0.1:5000/x", "[::1]:5000/x"].into_iter().all(is_loopback));
        assert!(
            !["hub.example/x", "nginx", "localhost.example/x", "10.0.0.1:5000/x"]
                .into_iter()
                .any(is_loopback)
        );
    }
}
