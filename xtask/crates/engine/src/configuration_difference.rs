//! What differs between the configurations of two images with equal layers.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::docker::Docker;

/// Keys of `docker image inspect` that identify the image or its storage in the engine.
const NOT_CONFIGURATION: [&str; 11] = [
    "Container",
    "ContainerConfig",
    "Descriptor",
    "GraphDriver",
    "Id",
    "Metadata",
    "Parent",
    "RepoDigests",
    "RepoTags",
    "RootFS",
    "VirtualSize",
];

impl Docker {
    /// The settings that differ between two images, such as `Config.Env`; `Created` is the build time. Empty if only their histories
    /// differ.
    ///
    /// # Errors
    /// When docker fails.
    pub fn differing_settings(&self, ids: [&str; 2]) -> Result<Vec<String>> {
        let images: Vec<Map<String, Value>> = self.inspect_existing("image", ids)?;
        Ok(match images.as_slice() {
            [first, second] => differing(first, second),
            _ => Vec::new(),
        })
    }
}

fn differing(first: &Map<String, Value>, second: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    let differing = keys.into_iter().filter(|key| first.get(*key) != second.get(*key));
    let mut found = Vec::new();
    for key in differing.filter(|key| !NOT_CONFIGURATION.contains(&key.as_str())) {
        match (first.get(key), second.get(key)) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                found.extend(differing_in(one, other).into_iter().map(|inner| format!("{key}.{inner}")));
            }
            _ => found.push(key.clone()),
        }
    }
    found
}

fn differing_in(first: &Map<String, Value>, second: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    keys.into_iter().filter(|key| first.get(*key) != second.get(*key)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_named_and_names_and_places_are_ignored() {
        let of = |value: Value| value.as_object().cloned().unwrap();
        let first =
            of(json!({"Id": "1", "Created": "a", "Config": {"Env": ["A=1"], "Cmd": null}, "Os": "linux"}));
        let second = of(json!({"Id": "2", "Created": "b", "Config": {"Env": ["A=2"]}, "Os": "linux"}));
        assert_eq!(differing(&first, &second), ["Config.Cmd", "Config.Env", "Created"]);
        assert_eq!(differing(&first, &first), [""; 0]);
    }
}
