//! The OCI runtimes of an engine on this machine: the programs that start containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::docker::Docker;

/// Folders that may be only on the engine's PATH.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The runtimes of an engine (moby, `system.Info`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Runtimes {
    runtimes: BTreeMap<String, Runtime>,
    security_options: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Runtime {
    path: String,
}

impl Docker {
    /// The engine's runtimes.
    ///
    /// # Errors
    /// When docker fails.
    pub fn runtimes(&self) -> Result<Runtimes> {
        let text = self.cmd(["info", "--format", "{{json .}}"]).read()?;
        serde_json::from_str(&text).context("unexpected output of `docker info`")
    }
}

impl Runtimes {
    /// Whether the engine runs without root.
    pub fn is_rootless(&self) -> bool {
        self.security_options.iter().flatten().any(|option| option.contains("name=rootless"))
    }

    /// The candidates for this runtime's program: every existing file with its name. Empty for a runtime that is a containerd
    /// shim, such as Kata Containers.
    pub fn programs(&self, runtime: &str) -> BTreeSet<PathBuf> {
        let path = self.runtimes.get(runtime).map_or("", |runtime| runtime.path.as_str());
        let candidates = match path {
            "" => Vec::new(),
            path if path.starts_with('/') => vec![PathBuf::from(path)],
            name => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let folders = std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from));
                folders.map(|folder| folder.join(name)).collect()
            }
        };
        candidates.into_iter().filter_map(|path| path.canonicalize().ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_files_that_exist() {
        let runtimes: Runtimes = serde_json::from_str(
            r#"{"Runtimes": {"a": {"path": "sh"}, "b": {"path": "/bin/sh"}, "c": {"path": "/missing/x"},
                "io.containerd.kata.v2": {}}, "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"]}"#,
        )
        .unwrap();
        let shell = PathBuf::from("/bin/sh").canonicalize().unwrap();
        assert!(runtimes.programs("a").contains(&shell));
        assert_eq!(runtimes.programs("b"), BTreeSet::from([shell]));
        for missing in ["c", "io.containerd.kata.v2", "unknown"] {
            assert!(runtimes.programs(missing).is_empty(), "{missing}");
        }
        assert!(runtimes.is_rootless() && !Runtimes::default().is_rootless());
    }
}
