//! The repository's layout. No other module joins a path of its own to the root.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of a checkout, and where everything in it stands.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
}

/// What makes a folder the root, relative to it.
const MANIFEST: &str = "xtask/images.toml";

/// Accepted sizes, relative to the root.
const SIZES_LOCK: &str = "xtask/sizes.lock.toml";

/// What each version changed, relative to the root.
const CHANGELOG: &str = "CHANGELOG.md";

/// The build that asks what is newest, relative to the root.
const NEWEST: &str = "packages/bases/newest/Dockerfile";

impl Repository {
    /// The checkout at `root`, or the nearest one at or above the current folder.
    ///
    /// # Errors
    /// When there is no manifest to be found.
    pub fn locate(root: Option<&Path>) -> Result<Repository> {
        if let Some(root) = root {
            let root =
                std::path::absolute(root).with_context(|| format!("cannot resolve {}", root.display()))?;
            if !root.join(MANIFEST).is_file() {
                bail!("{} is no checkout of images: it has no {MANIFEST}", root.display());
            }
            return Ok(Repository { root });
        }
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        match here.ancestors().find(|dir| dir.join(MANIFEST).is_file()) {
            Some(root) => Ok(Repository { root: root.to_owned() }),
            None => bail!(
                "no {MANIFEST} here or above {}: run this inside the repository, or name it with --root",
                here.display()
            ),
        }
    }

    /// The root itself: the context of every build.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// The manifest's path as messages name it.
    pub fn manifest_name(&self) -> &'static str {
        MANIFEST
    }

    /// A file that the manifest names; `None` when the name leads out of the repository.
    pub fn file(&self, relative: &str) -> Option<PathBuf> {
        let path = Path::new(relative);
        let inside = !relative.is_empty()
            && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        inside.then(|| self.root.join(path))
    }

    /// The change log, as messages name it.
    pub fn changelog_name(&self) -> &'static str {
        CHANGELOG
    }

    /// What each version changed; committed.
    pub fn changelog(&self) -> PathBuf {
        self.root.join(CHANGELOG)
    }

    /// The Dockerfile of a build that asks package registries what is newest, relative to the root.
    pub fn newest_dockerfile(&self) -> &'static str {
        NEWEST
    }

    /// What registries answered to one question.
    pub fn newest(&self, question: &str) -> PathBuf {
        self.state("newest").join(question)
    }

    /// Accepted sizes of images; committed.
    pub fn sizes_lock(&self) -> PathBuf {
        self.root.join(SIZES_LOCK)
    }

    /// Its path as messages name it.
    pub fn sizes_lock_name(&self) -> &'static str {
        SIZES_LOCK
    }

    /// What a command found of one edition's images, by what it is and the edition.
    pub fn record(&self, kind: &str, edition: &str) -> PathBuf {
        self.state("records").join(format!("{kind}-{edition}.json"))
    }

    /// Full logs of builds, one file a target.
    pub fn logs(&self) -> PathBuf {
        self.state("logs")
    }

    /// What a run was about to move when it ended: read by the next one.
    pub fn journal(&self) -> PathBuf {
        self.state("journal.json")
    }

    /// Switches of Compose files that can be taken back.
    pub fn compose_journal(&self) -> PathBuf {
        self.state("compose-switch.json")
    }

    /// Held while Compose files change.
    pub fn compose_lock(&self) -> PathBuf {
        self.state("compose-switch.lock")
    }

    /// The stack's Compose file, for stacks beside the one that people run.
    pub fn compose_file(&self) -> PathBuf {
        self.root.join("docker-compose.yml")
    }

    /// What services are told about the deployment; the Compose file mounts it.
    pub fn deployed(&self) -> PathBuf {
        self.state("deployed")
    }

    /// The images of the last deployment.
    pub fn deployed_images(&self) -> PathBuf {
        self.deployed().join("images.json")
    }

    /// What a stack test said and left: its log, pictures of pages.
    pub fn stack_test(&self, name: &str) -> PathBuf {
        self.state("stack-tests").join(name)
    }

    /// Throwaway stacks, a folder each: what the next run removes if its own could not.
    pub fn trials(&self) -> PathBuf {
        self.state("trials")
    }

    /// Held for the moments in which a throwaway stack's folder comes, goes, or is looked at by a stranger.
    pub fn trials_lock(&self) -> PathBuf {
        self.state("trials.lock")
    }

    /// Answers of original images that stand in for them, by edition and group of probes; committed.
    pub fn parity_record(&self, edition: &str, group: &str) -> PathBuf {
        self.root.join("xtask/parity").join(edition).join(format!("{group}.json"))
    }

    /// What the last smoke test of the running stack came to.
    pub fn smoke_record(&self) -> PathBuf {
        self.state("smoke.json")
    }

    /// The page that shows what is known.
    pub fn report(&self) -> PathBuf {
        self.state("report.html")
    }

    /// What was measured last.
    pub fn measure_record(&self) -> PathBuf {
        self.state("measure.json")
    }

    /// Held while somebody measures: two at once would measure each other.
    pub fn measure_lock(&self) -> PathBuf {
        self.state("measure.lock")
    }

    /// What measuring needs while it runs, a folder a run: what the next run removes if its own could not.
    pub fn measurements(&self) -> PathBuf {
        self.state("measure")
    }

    /// Programs of the distribution's that are used without being installed.
    pub fn programs(&self) -> PathBuf {
        self.state("programs")
    }

    /// Values for variables in Compose files, as Compose itself reads them; git-ignored.
    pub fn dot_env(&self) -> PathBuf {
        self.root.join(".env")
    }

    /// Held while images change.
    pub fn lock(&self) -> PathBuf {
        self.state("build.lock")
    }

    /// Digests of what was pushed.
    pub fn digests(&self) -> PathBuf {
        self.state("digests.json")
    }

    /// Held while images are pushed: pushes share the record of digests.
    pub fn push_lock(&self) -> PathBuf {
        self.state("push.lock")
    }

    /// Where upstream bases came from at the last run.
    pub fn base_choice(&self) -> PathBuf {
        self.state("bases.json")
    }

    /// Context of a bootstrapped stand-in.
    pub fn bootstrap(&self, suite: &str) -> PathBuf {
        self.state("bootstrap").join(suite)
    }

    /// The generated bake definition of the last run.
    pub fn bake_definition(&self) -> PathBuf {
        self.state("bake.json")
    }

    /// Layer sizes by image ID; safe to delete.
    pub fn layer_cache(&self) -> PathBuf {
        self.state("layers.json")
    }

    /// What was learned of layers; safe to delete.
    pub fn contents_cache(&self) -> PathBuf {
        self.state("contents")
    }

    /// Output of an engine that this tool started.
    pub fn engine_log(&self) -> PathBuf {
        self.state("dockerd.log")
    }

    /// Cargo's own target folder is git-ignored and outlives runs: what this tool remembers stands there too.
    fn state(&self, name: &str) -> PathBuf {
        self.root.join("target/xtask").join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_repository() {
        let repository = Repository { root: PathBuf::from("/r") };
        assert_eq!(repository.file("packages/x/Dockerfile"), Some(PathBuf::from("/r/packages/x/Dockerfile")));
        for outside in ["", "/etc/passwd", "../x", "packages/../../x"] {
            assert_eq!(repository.file(outside), None, "{outside}");
        }
    }
}
