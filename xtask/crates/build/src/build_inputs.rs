//! What images were built from, by their fingerprints, for provenance. An image with the fingerprint has these inputs, wherever it was
//! built: the fingerprint is a hash of them, before secrets are masked and proxies left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::secret_arguments::without_secrets;
use contents::scan::Scanner;
use host::files;
use host::paths::Repository;

/// The maximum number of fingerprints that are remembered: each change of an image adds one.
const KEPT: usize = 2000;

/// Predefined build arguments that affect network access, not the result. Images do not store them either.
const PROXIES: [&str; 5] = ["http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"];

/// The inputs of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInputs {
    /// Its own build.
    pub own: TargetInputs,
    /// The builds that it depends on, such as the project's bases, by target.
    pub bases: BTreeMap<String, TargetInputs>,
    /// The images from outside the plan, and the frontend, as named; with the ID of the engine's image, if the build used it.
    pub images: BTreeMap<String, Option<String>>,
}

/// The inputs of one build, without the images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetInputs {
    /// SHA-256 of the Dockerfile, in hexadecimal.
    pub dockerfile: String,
    /// The hash of the files that the context sends.
    pub context: String,
    /// Build arguments. Recorded ones have no value if they are secret.
    pub args: BTreeMap<String, String>,
    /// The stage that is built; `None` for the last one.
    pub target: Option<String>,
    /// The image of the Dockerfile's frontend, if specified.
    pub frontend: Option<String>,
    /// The IDs of the secrets that steps can mount.
    pub secrets: Vec<String>,
}

impl BuildInputs {
    /// Adds the inputs of a build that this one depends on.
    pub(crate) fn add_base(&mut self, target: &str, base: BuildInputs) {
        self.bases.insert(target.to_owned(), base.own);
        self.bases.extend(base.bases);
        self.images.extend(base.images);
    }

    /// The inputs that this checkout recorded for a fingerprint.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn recorded(hash: &str, repository: &Repository) -> Result<Option<BuildInputs>> {
        let text = files::read_if_there(&repository.build_inputs())?.unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(hash)?.strip_prefix(' '));
        // A damaged line counts as missing.
        Ok(found.and_then(|inputs| serde_json::from_str(inputs).ok()))
    }

    fn without_secrets(&self, scanner: &Scanner) -> BuildInputs {
        let mut shown = self.clone();
        for inputs in shown.bases.values_mut().chain([&mut shown.own]) {
            inputs.args.retain(|name, _| !PROXIES.contains(&name.to_lowercase().as_str()));
            without_secrets(scanner, &mut inputs.args);
        }
        shown
    }
}

/// Records the inputs of fingerprints that are not recorded yet, one a line.
///
/// # Errors
/// When the record cannot be read or written.
pub(crate) fn remember<'p>(
    prints: impl Iterator<Item = &'p Fingerprint>,
    repository: &Repository,
) -> Result<()> {
    let text = files::read_if_there(&repository.build_inputs())?.unwrap_or_default();
    let known: BTreeSet<&str> = text.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    let new: BTreeMap<&str, &BuildInputs> = prints
        .map(|print| (print.hash.as_str(), &print.inputs))
        .filter(|(hash, _)| !known.contains(hash))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let scanner = Scanner::new(&[])?;
    let mut all: Vec<String> = text.lines().map(str::to_owned).collect();
    for (hash, inputs) in new {
        all.push(format!("{hash} {}", serde_json::to_string(&inputs.without_secrets(&scanner))?));
    }
    all.drain(..all.len().saturating_sub(KEPT));
    files::write_atomically(&repository.build_inputs(), (all.join("\n") + "\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_recorded_once_without_secrets_and_proxies() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::locate_or_here(Some(folder.path())).unwrap();
        let args = [("A", "1"), ("API_TOKEN", "c2VjcmV0LXdvcmRz"), ("https_proxy", "http://proxy.example:1")];
        let print = |hash: &str, args: &[(&str, &str)]| {
            let args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let own = TargetInputs { args, ..TargetInputs::default() };
            let mut inputs = BuildInputs::default();
            inputs.add_base("base", BuildInputs { own: own.clone(), ..BuildInputs::default() });
            Fingerprint {
                hash: hash.to_owned(),
                unpinned: BTreeSet::new(),
                has_moving_images: false,
                inputs: BuildInputs { own, ..inputs },
            }
        };
        remember([print("aa", &args), print("aa", &args)].iter(), &repository).unwrap();
        remember([print("aa", &[]), print("bb", &[("B", "2")])].iter(), &repository).unwrap();
        let text = files::read(&repository.build_inputs()).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        let recorded = |hash| BuildInputs::recorded(hash, &repository).unwrap();
        let first = recorded("aa").unwrap();
        for inputs in [&first.own, &first.bases["base"]] {
            let args: Vec<_> = inputs.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(args, ["A=1", "API_TOKEN=***"]);
        }
        assert_eq!(recorded("bb").unwrap().own.args["B"], "2");
        assert_eq!((recorded("a"), recorded("cc")), (None, None));
    }
}
