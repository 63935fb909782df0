//! NuGet's `packages.lock.json`.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use super::LockFile;
use contents::owner::OwnerKind;

#[derive(Deserialize)]
struct Lock {
    /// By framework and name.
    dependencies: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    /// `None` for projects of the repository.
    resolved: Option<String>,
}

/// Reads the packages.
pub fn read(text: &str) -> Result<LockFile> {
    let lock: Lock = serde_json::from_str(text)?;
    let mut found = LockFile::default();
    for (name, entry) in lock.dependencies.values().flatten() {
        if let Some(version) = &entry.resolved {
            found.add(OwnerKind::Nuget, name, version, false);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn packages_of_every_framework_are_read() {
        let text = r#"{"version": 1, "dependencies": {"net8.0": {
            "Newtonsoft.Json": {"type": "Direct", "requested": "[13, )", "resolved": "13.0.3"},
            "own": {"type": "Project"}}, "net9.0": {"Newtonsoft.Json": {"resolved": "13.0.4"}}}}"#;
        assert_eq!(
            listed(&read(text).unwrap()),
            ["nuget Newtonsoft.Json 13.0.3", "nuget Newtonsoft.Json 13.0.4"]
        );
    }
}
