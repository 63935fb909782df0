//! `package-lock.json` and `npm-shrinkwrap.json`, in every version of the format ("package-lock.json", docs.npmjs.com).

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;

use super::LockFile;
use contents::owner::OwnerKind;

#[derive(Deserialize)]
struct Lock {
    /// Since version 2: by folder.
    packages: Option<BTreeMap<String, Entry>>,
    /// Until version 2: by name, nested as in `node_modules`.
    dependencies: Option<BTreeMap<String, Entry>>,
    #[serde(rename = "lockfileVersion")]
    version: Option<u64>,
}

#[derive(Deserialize)]
struct Entry {
    /// The real name of an alias.
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    dev: bool,
    /// Whether it is a folder of the repository.
    #[serde(default)]
    link: bool,
    dependencies: Option<serde_json::Value>,
}

/// Reads the packages; folders of the repository are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let lock: Lock = serde_json::from_str(text)?;
    let mut found = LockFile::default();
    match (lock.packages, lock.dependencies) {
        (Some(packages), _) => {
            for (folder, entry) in packages {
                let Some((_, name)) = folder.rsplit_once("node_modules/") else { continue };
                if let Some(version) = entry.version.filter(|_| !entry.link) {
                    found.add(OwnerKind::Npm, entry.name.as_deref().unwrap_or(name), &version, entry.dev);
                }
            }
        }
        (None, Some(dependencies)) => nested(dependencies, &mut found),
        // A project without dependencies has neither.
        (None, None) if lock.version.is_none() => bail!("no lockfileVersion"),
        (None, None) => {}
    }
    Ok(found)
}

fn nested(dependencies: BTreeMap<String, Entry>, found: &mut LockFile) {
    for (name, entry) in dependencies {
        if let Some(version) = entry.version.filter(|version| !version.starts_with("file:")) {
            found.add(OwnerKind::Npm, &name, &version, entry.dev);
        }
        let below = entry.dependencies.and_then(|value| serde_json::from_value(value).ok());
        nested(below.unwrap_or_default(), found);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn both_forms_list_every_installed_version() {
        let new = r#"{"lockfileVersion": 3, "packages": {
            "": {"name": "app", "version": "1.0.0", "dependencies": {"a": "^1"}},
            "node_modules/a": {"version": "1.2.3"},
            "node_modules/@s/b": {"version": "2.0.0", "dev": true, "dependencies": {"a": "^3"}},
            "node_modules/@s/b/node_modules/a": {"version": "3.0.0"},
            "node_modules/alias": {"name": "real", "version": "1.0.0"},
            "node_modules/own": {"resolved": "packages/own", "link": true},
            "packages/own": {"version": "9.0.0"}}}"#;
        assert_eq!(
            listed(&read(new).unwrap()),
            ["npm @s/b 2.0.0 (dev)", "npm a 1.2.3", "npm a 3.0.0", "npm real 1.0.0"]
        );
        let old = r#"{"lockfileVersion": 1, "dependencies": {
            "a": {"version": "1.2.3", "requires": {"b": "^1"}, "dependencies": {"b": {"version": "1.0.0"}}},
            "g": {"version": "git+https://u:p@h/g.git#0123456789abcdef"},
            "own": {"version": "file:own"}}}"#;
        assert_eq!(listed(&read(old).unwrap()), ["npm a 1.2.3", "npm b 1.0.0", "npm g 0123456789ab"]);
        assert!(read(r#"{"lockfileVersion": 3}"#).unwrap().packages.is_empty());
        assert!(read(r#"{"name": "x"}"#).is_err());
    }
}
