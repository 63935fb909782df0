//! The sizes of npm and Python packages, as their registries state them. Asking tells a registry the names of the packages, so it is
//! done only on request.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Result;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::fetch::{Answer, Fetcher};
use crate::registries;
use build::estimate::{DownloadSize, Estimate, PackageVersion};
use build::lock_files::download_sizes;
use contents::owner::OwnerKind;
use engine::context::Context;
use host::plural::count;
use host::process::Runner;
use model::bytes::Bytes;

/// Most versions to ask a registry about. A lock file can list tens of thousands.
const MOST: usize = 200;

/// What npm's registry says about a version (npm's registry API, "Package metadata").
#[derive(Deserialize)]
struct NpmVersion {
    dist: NpmDist,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NpmDist {
    /// Missing for versions of before 2018.
    unpacked_size: Option<u64>,
}

/// What Python's index says about a release (Warehouse's documentation, "JSON API").
#[derive(Deserialize)]
struct PythonRelease {
    urls: Vec<PythonFile>,
}

#[derive(Deserialize)]
struct PythonFile {
    filename: String,
    size: Option<u64>,
}

/// A registry that states sizes.
struct Registry {
    kind: OwnerKind,
    name: &'static str,
    root: fn(&Runner) -> Result<String, String>,
    /// The address of a version below the root.
    path: fn(&str, &str) -> String,
    /// Adds the size from a response. Returns whether the response was valid.
    read: fn(&[u8], &mut PackageVersion) -> bool,
}

const REGISTRIES: [Registry; 2] = [
    Registry {
        kind: OwnerKind::Npm,
        name: "npm's registry",
        root: registries::npm,
        path: |name, version| format!("{}/{version}", name.replace('/', "%2F")),
        read: |bytes, version| {
            let answer: Option<NpmVersion> = parsed(bytes);
            version.published = answer.as_ref().and_then(|answer| answer.dist.unpacked_size).map(Bytes);
            answer.is_some()
        },
    },
    Registry {
        kind: OwnerKind::Python,
        name: "pip's index",
        root: registries::python,
        path: |name, version| format!("{name}/{version}/json"),
        read: |bytes, version| {
            let answer: Option<PythonRelease> = parsed(bytes);
            let files = answer
                .as_ref()
                .map(|answer| answer.urls.iter().map(|file| (file.filename.clone(), file.size)));
            let sizes = files.and_then(|files| download_sizes(&files.collect::<Vec<_>>()));
            version.download = sizes.map(|(smallest, largest)| DownloadSize { smallest, largest });
            answer.is_some()
        },
    },
];

/// A version whose size is wanted.
type Wanted<'e> = (OwnerKind, &'e str, &'e mut PackageVersion);

/// Queries registries for unknown sizes. If a registry does not answer, its sizes stay unknown and a note says why.
///
/// # Errors
/// When a file cannot be written, or the user interrupts.
pub fn ask(estimate: &mut Estimate, context: &Context) -> Result<()> {
    for registry in REGISTRIES {
        let is_wanted = |(kind, name, version): &Wanted<'_>| {
            *kind == registry.kind
                && version.download.is_none()
                && is_plain(name)
                && is_plain(&version.version)
        };
        let wanted: Vec<Wanted<'_>> = estimate.unknown().filter(is_wanted).collect();
        if wanted.is_empty() {
            continue;
        }
        let Ok(root) = (registry.root)(&context.docker.runner) else {
            let why = "its address is unknown, or contains a password";
            context.terminal.warn(format!("{} was not asked: {why}", registry.name));
            continue;
        };
        let url = |(_, name, version): &Wanted<'_>| {
            format!("{root}/{}", (registry.path)(name, &version.version.replace('+', "%2B")))
        };
        let mut by_url: BTreeMap<String, Vec<Wanted<'_>>> = BTreeMap::new();
        for one in wanted {
            by_url.entry(url(&one)).or_default().push(one);
        }
        for note in fill(&registry, by_url, context)? {
            context.terminal.warn(format!("{} {note}", registry.name));
        }
    }
    estimate.sort();
    Ok(())
}

/// Fills in the sizes that a registry reports. Returns notes about missing sizes.
fn fill(
    registry: &Registry,
    mut wanted: BTreeMap<String, Vec<Wanted<'_>>>,
    context: &Context,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let urls: Vec<String> = wanted.keys().take(MOST).cloned().collect();
    if wanted.len() > MOST {
        notes.push(format!("was queried for {MOST} packages; {} more were skipped", wanted.len() - MOST));
    }
    let fetcher = Fetcher { context, folder: context.repository.advisories(), now: SystemTime::now() };
    // Query one package first, so that an unreachable registry costs only one timeout.
    let (first, rest) = urls.split_at(1);
    let mut answers = fetcher.all(first)?;
    if !rest.is_empty() && !matches!(answers.first(), Some(Answer::Failed(_))) {
        answers.extend(fetcher.all(rest)?);
    }
    let (mut answered, mut why) = (0, None);
    for (url, answer) in urls.iter().zip(answers) {
        let failure = match answer {
            Answer::Found(bytes) => {
                let mut is_read = true;
                for (_, _, version) in wanted.get_mut(url).into_iter().flatten() {
                    is_read &= (registry.read)(&bytes, version);
                }
                (!is_read).then(|| "the answer has another form".to_owned())
            }
            Answer::Status(text) | Answer::Failed(text) => Some(text),
        };
        answered += usize::from(failure.is_none());
        why = why.or(failure);
    }
    if let Some(why) = why {
        notes.push(format!("did not state the size of {}: {why}", count(urls.len() - answered, "package")));
    }
    Ok(notes)
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Whether a name or a version may stand in an address: lock files can be hostile.
fn is_plain(text: &str) -> bool {
    let (scope, name) = match text.strip_prefix('@').and_then(|rest| rest.split_once('/')) {
        Some((scope, name)) => (scope, name),
        None => ("scope", text),
    };
    let is_word = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+~".contains(c))
    };
    is_word(scope) && is_word(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_asked_about() {
        for plain in ["lodash", "@scope/name", "1.2.3-rc.1+local", "_private", "typing-extensions"] {
            assert!(is_plain(plain), "{plain}");
        }
        for hostile in
            ["", "..", "../x", "a/b", "@a/../b", "@../b", "a?b", "a#b", "a b", "-o", "a\nb", "@a/b/c", "é"]
        {
            assert!(!is_plain(hostile), "{hostile:?}");
        }
    }
}
