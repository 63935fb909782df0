//! The newest versions of packages.

use anyhow::{Result, bail};

use crate::checklist::context::CheckContext;
use build::newest;

/// A registry, named after the Dockerfile stage that asks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackageRegistry {
    /// The archive in the Debian base image's sources.
    Debian,
    /// The package index of pip.
    Python,
}

impl PackageRegistry {
    fn stage(self) -> &'static str {
        match self {
            PackageRegistry::Debian => "debian",
            PackageRegistry::Python => "python",
        }
    }
}

/// A package version compared with its registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageVersion {
    pub(super) name: String,
    pub(super) used: String,
    pub(super) state: VersionState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VersionState {
    Current,
    /// The registry has this newer version.
    Newer(String),
    /// The registry no longer has the package.
    Gone,
}

/// Asks for the newest versions of packages given as name and used version.
///
/// # Errors
/// When the build that asks fails: no network, no registry.
pub(super) fn ask<'p>(
    checks: &CheckContext<'_>,
    registry: PackageRegistry,
    packages: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<Vec<PackageVersion>> {
    let packages: Vec<String> = packages.map(|(name, version)| format!("{name}={version}")).collect();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let found = parse(&newest::ask(checks.manifest, registry.stage(), &packages, checks.context)?)?;
    if found.len() != packages.len() {
        bail!("incomplete answer from {}: {} of {} packages", registry.stage(), found.len(), packages.len());
    }
    Ok(found)
}

/// Parses the answer, one package per line: `STATE NAME USED NEWEST`.
fn parse(text: &str) -> Result<Vec<PackageVersion>> {
    let one = |line: &str| {
        let (state, name, used) = match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["current", name, used, _] => (VersionState::Current, *name, *used),
            ["newer", name, used, newest] => (VersionState::Newer((*newest).to_owned()), *name, *used),
            ["gone", name, used, _] => (VersionState::Gone, *name, *used),
            _ => bail!("invalid line in a registry's answer: `{line}`"),
        };
        Ok(PackageVersion { name: name.to_owned(), used: used.to_owned(), state })
    };
    text.lines().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_one_package_per_line() {
        let text = "current libc6 2.41-12 2.41-12\nnewer zlib1g 1:1.3 1:1.4\ngone libold 1 -\n";
        let found = parse(text).unwrap();
        let states: Vec<_> = found.iter().map(|one| (one.name.as_str(), &one.state)).collect();
        let newer = VersionState::Newer("1:1.4".into());
        assert_eq!(
            states,
            [("libc6", &VersionState::Current), ("zlib1g", &newer), ("libold", &VersionState::Gone)]
        );
        for invalid in ["older a 1 2", "current a 1", "E: unable"] {
            assert!(parse(invalid).is_err(), "{invalid}");
        }
    }
}
