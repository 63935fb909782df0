//! Finds secrets in a stack.

use std::collections::BTreeMap;

use anyhow::Result;

use contents::scan::Scanner;
use contents::scan::names::is_secret;
use engine::compose::cluster::ClusterProject;
use host::secrets::Secrets;
use model::manifest::Manifest;

/// Values shorter than this are ignored, because they occur in ordinary text.
const SHORTEST: usize = 4;

/// Recognizes secrets by name, value or format.
pub struct SecretFinder {
    scanner: Scanner,
    names: Vec<String>,
    values: Vec<String>,
}

impl SecretFinder {
    /// Takes the manifest's secrets, and variables whose names look like secrets.
    ///
    /// # Errors
    /// When the scanner cannot be created.
    pub fn new(manifest: &Manifest, variables: &BTreeMap<String, String>) -> Result<SecretFinder> {
        let declared = manifest.services.iter().flat_map(|service| &service.secrets);
        let names: Vec<String> =
            declared.flat_map(|secret| [secret.variable.clone(), secret.plain.clone()]).collect();
        let values = variables.iter().filter(|(name, _)| is_secret(name) || names.contains(name));
        let values = values.map(|(_, value)| value.trim().to_owned());
        let values = values.filter(|value| value.len() >= SHORTEST && !["true", "false"].contains(&&**value));
        Ok(SecretFinder { scanner: Scanner::new(&[])?, values: values.collect(), names })
    }

    /// Masks the services' variables that are, or may be, secret in further output.
    pub fn mask(&self, project: &ClusterProject, secrets: &Secrets) {
        let all = project.services.values().flat_map(|service| &service.environment);
        let set = all.filter_map(|(name, value)| Some((name, value.as_ref()?.reveal())));
        set.filter(|(name, value)| self.is_secret(name, value)).for_each(|(_, value)| secrets.add(value));
    }

    /// Whether a variable is, or may be, secret.
    pub(crate) fn is_secret(&self, name: &str, value: &str) -> bool {
        !value.is_empty()
            && (is_secret(name) || self.names.iter().any(|known| known == name) || self.holds_secret(value))
    }

    /// Whether `text` contains a known secret, a token, a private key, or a URL with a password.
    pub(crate) fn holds_secret(&self, text: &str) -> bool {
        self.values.iter().any(|secret| text.contains(secret))
            // For this file name, the scanner also reports passwords in URLs.
            || !self.scanner.lines(".git-credentials", text.as_bytes()).is_empty()
    }
}
