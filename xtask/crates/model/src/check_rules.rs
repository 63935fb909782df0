//! The rules of `check` that a project may relax: `[check]` and `[[check.allow]]`.

use serde::{Deserialize, Serialize};

/// The category of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// The image is not built.
    Missing,
    /// The size target or goal.
    Target,
    /// The accepted size in the lock.
    Baseline,
    /// The declared differences between editions.
    Edition,
    /// A needed file that was pruned.
    Pruned,
    /// A secret in a layer, the history or the configuration of an image, or in a file that git tracks.
    Secret,
    /// The user the image runs as.
    User,
    /// A volume that this user cannot write to.
    Volume,
}

impl FindingKind {
    /// The label in tables.
    pub fn label(self) -> &'static str {
        match self {
            FindingKind::Missing => "not built",
            FindingKind::Target => "size",
            FindingKind::Baseline => "baseline",
            FindingKind::Edition => "edition",
            FindingKind::Pruned => "pruned too far",
            FindingKind::Secret => "secret",
            FindingKind::User => "user",
            FindingKind::Volume => "volume",
        }
    }
}

/// What a project relaxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckRules {
    /// Kinds of findings that are notes and fail nothing.
    pub warnings: Vec<FindingKind>,
    /// Allowed findings.
    pub allowances: Vec<Allowance>,
}

/// An allowed finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Its kind.
    pub kind: FindingKind,
    /// Its place in the image, or a path relative to the repository. A path that ends with `/` covers everything below it.
    pub path: String,
    /// The services whose images may have it; empty means all.
    pub services: Vec<String>,
    /// Why it is allowed.
    pub reason: String,
}

impl FindingKind {
    /// The name in JSON and in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Missing => "missing",
            FindingKind::Target => "target",
            FindingKind::Baseline => "baseline",
            FindingKind::Edition => "edition",
            FindingKind::Pruned => "pruned",
            FindingKind::Secret => "secret",
            FindingKind::User => "user",
            FindingKind::Volume => "volume",
        }
    }
}

impl Allowance {
    /// Whether it covers a finding of this kind at this place in a service's image.
    pub fn covers(&self, kind: FindingKind, path: &str, service: &str) -> bool {
        let is_below = || self.path.ends_with('/') && path.starts_with(&self.path);
        self.kind == kind && self.concerns(service) && (path == self.path || is_below())
    }

    /// Whether it covers a finding of this kind in a file of the repository.
    pub fn covers_file(&self, kind: FindingKind, path: &str) -> bool {
        self.is_in_repository() && self.covers(kind, path, "")
    }

    /// Whether it is for files in the repository: its path is relative and does not name a place in an image's configuration.
    pub fn is_in_repository(&self) -> bool {
        const PLACES: [&str; 3] = ["history", "command", "healthcheck"];
        let is_in_image = ["/", "env:", "label:"].iter().any(|start| self.path.starts_with(start));
        !is_in_image && !PLACES.contains(&self.path.as_str())
    }

    /// Whether it applies to a service.
    pub fn concerns(&self, service: &str) -> bool {
        self.services.is_empty() || self.services.iter().any(|name| name == service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_covers_its_path_or_everything_below_its_folder() {
        let allowance = |path: &str, services: &[&str]| Allowance {
            kind: FindingKind::Secret,
            path: path.into(),
            services: services.iter().map(ToString::to_string).collect(),
            reason: "r".into(),
        };
        let file = allowance("/etc/key", &[]);
        assert!(file.covers(FindingKind::Secret, "/etc/key", "api"));
        assert!(!file.covers(FindingKind::Secret, "/etc/key2", "api"));
        assert!(!file.covers(FindingKind::Pruned, "/etc/key", "api"));
        let folder = allowance("/usr/share/", &["api"]);
        assert!(folder.covers(FindingKind::Secret, "/usr/share/a/b", "api"));
        assert!(!folder.covers(FindingKind::Secret, "/usr/share/a/b", "nlg"));
        assert!(!folder.covers(FindingKind::Secret, "/usr/shared", "api"));
        let tests = allowance("app/tests/", &[]);
        assert!(tests.covers_file(FindingKind::Secret, "app/tests/keys.py"));
        assert!(!tests.covers_file(FindingKind::Secret, "app/keys.py"));
        for in_image in ["/etc/key", "env:TOKEN", "label:x", "history", "command", "healthcheck"] {
            assert!(!allowance(in_image, &[]).covers_file(FindingKind::Secret, in_image), "{in_image}");
        }
    }
}
