//! `pnpm-lock.yaml`. pnpm writes one layout: the keys below `packages:` are indented by two spaces and name package and version.

use anyhow::{Result, bail};

use super::LockFile;
use contents::owner::OwnerKind;

/// Reads the packages.
pub fn read(text: &str) -> Result<LockFile> {
    if !text.lines().any(|line| line.starts_with("lockfileVersion:")) {
        bail!("no lockfileVersion");
    }
    let (mut found, mut is_inside, mut current) = (LockFile::default(), false, None);
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && !line.is_empty() {
            is_inside = line == "packages:";
        }
        let Some(rest) = line.strip_prefix("  ").filter(|_| is_inside) else { continue };
        if !rest.starts_with(' ') {
            add(current.take(), false, &mut found);
            current = rest.strip_suffix(':').or_else(|| rest.strip_suffix(": {}")).and_then(package);
        } else if rest == "  dev: true" {
            add(current.take(), true, &mut found);
        }
    }
    add(current, false, &mut found);
    Ok(found)
}

fn add(package: Option<(&str, &str)>, is_dev: bool, found: &mut LockFile) {
    if let Some((name, version)) = package {
        found.add(OwnerKind::Npm, name, version, is_dev);
    }
}

/// Name and version of `name@1.0.0`, `/name@1.0.0(peer@2.0.0)` or `/name/1.0.0_peer@2.0.0`, with or without quotes.
fn package(key: &str) -> Option<(&str, &str)> {
    let key = key.trim_matches(['\'', '"']);
    let is_old = key.starts_with('/');
    let key = key.trim_start_matches('/');
    let key = key.split_once('(').map_or(key, |(key, _)| key);
    // The first `@` behind that of a scope.
    let at = key.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at);
    let slashes = if key.starts_with('@') { 2 } else { 1 };
    let slash = key.match_indices('/').nth(slashes - 1).map(|(at, _)| at).filter(|_| is_old);
    match (at, slash) {
        (at, Some(slash)) if at.is_none_or(|at| slash < at) => {
            let version = key.get(slash + 1..)?;
            Some((key.get(..slash)?, version.split_once('_').map_or(version, |(version, _)| version)))
        }
        (Some(at), _) => Some((key.get(..at)?, key.get(at + 1..)?)),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn every_version_of_the_format_is_read() {
        let nine = "lockfileVersion: '9.0'\n\nimporters:\n\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n\n\
                    packages:\n\n  '@s/b@2.0.0':\n    resolution: {integrity: x}\n\n  a@1.2.3:\n    resolution: {integrity: x}\n\n\
                    snapshots:\n\n  '@s/b@2.0.0(a@1.2.3)':\n    dependencies:\n      a: 1.2.3\n\n  a@1.2.3: {}\n";
        assert_eq!(listed(&read(nine).unwrap()), ["npm @s/b 2.0.0", "npm a 1.2.3"]);
        let six = "lockfileVersion: '6.0'\n\npackages:\n\n  /@s/b@2.0.0(a@1.2.3):\n    dev: true\n\n  /a@1.2.3:\n    dev: false\n";
        assert_eq!(listed(&read(six).unwrap()), ["npm @s/b 2.0.0 (dev)", "npm a 1.2.3"]);
        let five = "lockfileVersion: 5.4\n\npackages:\n\n  /@s/b/2.0.0_a@1.2.3:\n    dev: false\n\n  /a/1.2.3:\n    dev: true\n";
        assert_eq!(listed(&read(five).unwrap()), ["npm @s/b 2.0.0", "npm a 1.2.3 (dev)"]);
        assert!(read("packages:\n  a@1:\n").is_err());
    }
}
