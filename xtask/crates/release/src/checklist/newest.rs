//! What registries have newest of some packages: a build asks, since builds get at registries wherever images are built.

use anyhow::{Context as _, Result, bail};

use crate::checklist::asked::Asked;
use build::builds;
use build::planner::BuildQuery;
use host::files;

/// Who is asked: the last stage of the Dockerfile that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registry {
    /// Debian's archive, as the Debian base has it in its list of sources.
    Debian,
    /// The index that pip uses.
    Python,
}

impl Registry {
    fn stage(self) -> &'static str {
        match self {
            Registry::Debian => "debian",
            Registry::Python => "python",
        }
    }
}

/// What a registry said of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Newest {
    /// Its name.
    pub(super) name: String,
    /// The version that was asked about.
    pub(super) used: String,
    /// How that stands to what the registry has.
    pub(super) state: State,
}

/// How a version stands to the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It is the newest.
    Current,
    /// This one is newer.
    Newer(String),
    /// The registry has none.
    Gone,
}

/// Asks about packages, by name and version.
///
/// # Errors
/// When the build that asks fails: no network, no registry.
pub(super) fn ask<'p>(
    asked: &Asked<'_>,
    registry: Registry,
    packages: impl Iterator<Item = (&'p str, &'p str)>,
) -> Result<Vec<Newest>> {
    let repository = &asked.context.repository;
    let packages: Vec<String> = packages.map(|(name, version)| format!("{name}={version}")).collect();
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let folder = repository.newest(registry.stage());
    files::create_dir(&folder)?;
    let answer = folder.join("answer");
    files::remove(&answer)?;
    let query = BuildQuery {
        dockerfile: repository.newest_dockerfile(),
        stage: registry.stage(),
        args: vec![("PACKAGES", packages.join(" "))],
        output: &folder,
    };
    builds::query(asked.manifest, &query, asked.context)
        .with_context(|| format!("cannot ask what is newest ({})", registry.stage()))?;
    let found = answers(&files::read(&answer)?)?;
    if found.len() != packages.len() {
        bail!("{} packages were asked about, and {} answers came", packages.len(), found.len());
    }
    Ok(found)
}

/// Reads the answer, a line a package.
fn answers(text: &str) -> Result<Vec<Newest>> {
    let one = |line: &str| match line.split(' ').collect::<Vec<_>>().as_slice() {
        [state, name, used, newest] => {
            let state = match *state {
                "current" => State::Current,
                "newer" => State::Newer((*newest).to_owned()),
                "gone" => State::Gone,
                _ => bail!("`{line}` is no answer"),
            };
            Ok(Newest { name: (*name).to_owned(), used: (*used).to_owned(), state })
        }
        _ => bail!("`{line}` is no answer"),
    };
    text.lines().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_line_a_package() {
        let text = "current libc6 2.41-12 2.41-12\nnewer zlib1g 1:1.3 1:1.4\ngone libold 1 -\n";
        let found = answers(text).unwrap();
        let states: Vec<_> = found.iter().map(|one| (one.name.as_str(), &one.state)).collect();
        let newer = State::Newer("1:1.4".into());
        assert_eq!(states, [("libc6", &State::Current), ("zlib1g", &newer), ("libold", &State::Gone)]);
        for wrong in ["older a 1 2", "current a 1", "E: unable"] {
            assert!(answers(wrong).is_err(), "{wrong}");
        }
    }
}
