//! Paths in the repository. No other module joins paths to the root.

use std::hash::{BuildHasher as _, RandomState};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A checkout.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    has_manifest: bool,
}

/// The file that marks the root, relative to it.
const MANIFEST: &str = "xtask/images.toml";

/// Accepted sizes, relative to the root.
const SIZES_LOCK: &str = "xtask/sizes.lock.toml";

/// What each version changed, relative to the root.
const CHANGELOG: &str = "CHANGELOG.md";

/// Asks package registries for newer versions; relative to the root.
const NEWEST: &str = "packages/bases/newest/Dockerfile";

impl Repository {
    /// The checkout at `root`, or the nearest one at or above the current folder.
    ///
    /// # Errors
    /// When there is no manifest.
    pub fn locate(root: Option<&Path>) -> Result<Repository> {
        if let Some(root) = root {
            let root =
                std::path::absolute(root).with_context(|| format!("cannot resolve {}", root.display()))?;
            if !root.join(MANIFEST).is_file() {
                bail!("no {MANIFEST} in {}", root.display());
            }
            return Ok(Repository { root, has_manifest: true });
        }
        let here = std::env::current_dir().context("cannot find the current folder")?;
        match here.ancestors().find(|dir| dir.join(MANIFEST).is_file()) {
            Some(root) => Ok(Repository { root: root.to_owned(), has_manifest: true }),
            None => bail!(
                "no {MANIFEST} in {} or above\nhelp: run this inside the repository, use --root DIR, or write a manifest with `init`",
                here.display()
            ),
        }
    }

    /// No checkout: for commands that need no manifest. What cannot go without state gets an empty temporary folder, which is not
    /// created before something is written to it.
    pub fn outside() -> Repository {
        // Nobody can guess the name, so nobody else can have made the folder.
        let id = RandomState::new().hash_one(std::process::id());
        Repository { root: std::env::temp_dir().join(format!("images-{id:016x}")), has_manifest: false }
    }

    /// Whether there is a manifest; only [`Repository::outside`] has none.
    pub fn has_manifest(&self) -> bool {
        self.has_manifest
    }

    /// The root; the context of every build.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(MANIFEST)
    }

    /// The manifest, relative to the root.
    pub fn manifest_name(&self) -> &'static str {
        MANIFEST
    }

    /// A file by its path in the manifest; `None` when the path leaves the repository.
    pub fn file(&self, relative: &str) -> Option<PathBuf> {
        let path = Path::new(relative);
        let inside = !relative.is_empty()
            && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        inside.then(|| self.root.join(path))
    }

    /// Whether a file is a symbolic link to a file outside of the repository.
    pub fn is_link_outside(&self, file: &Path) -> bool {
        let is_inside = match (file.canonicalize(), self.root.canonicalize()) {
            (Ok(target), Ok(root)) => target.starts_with(root),
            _ => false,
        };
        file.is_symlink() && !is_inside
    }

    /// The changelog, relative to the root.
    pub fn changelog_name(&self) -> &'static str {
        CHANGELOG
    }

    /// The changelog; committed.
    pub fn changelog(&self) -> PathBuf {
        self.root.join(CHANGELOG)
    }

    /// The Dockerfile of a build that asks package registries for newer versions, relative to the root.
    pub fn newest_dockerfile(&self) -> &'static str {
        NEWEST
    }

    /// The answers of package registries to one question.
    pub fn newest(&self, question: &str) -> PathBuf {
        self.state("newest").join(question)
    }

    /// Downloaded databases of known vulnerabilities; safe to delete.
    pub fn advisories(&self) -> PathBuf {
        self.state("advisories")
    }

    /// Accepted sizes of images; committed.
    pub fn sizes_lock(&self) -> PathBuf {
        self.root.join(SIZES_LOCK)
    }

    /// The lock of accepted sizes, relative to the root.
    pub fn sizes_lock_name(&self) -> &'static str {
        SIZES_LOCK
    }

    /// A command's record of one edition's images.
    pub fn record(&self, kind: &str, edition: &str) -> PathBuf {
        self.state("records").join(format!("{kind}-{edition}.json"))
    }

    /// Full build logs, one file per target.
    pub fn logs(&self) -> PathBuf {
        self.state("logs")
    }

    /// The last switch of Compose files, for undo.
    pub fn compose_journal(&self) -> PathBuf {
        self.state("compose-switch.json")
    }

    /// The registries that switches have written to Compose files.
    pub fn switched_registries(&self) -> PathBuf {
        self.state("compose-registries.json")
    }

    /// Held while Compose files change.
    pub fn compose_lock(&self) -> PathBuf {
        self.state("compose-switch.lock")
    }

    /// The Compose file, for throwaway stacks.
    pub fn compose_file(&self) -> PathBuf {
        self.root.join("docker-compose.yml")
    }

    /// Data about the deployment for services; the Compose file mounts it.
    pub fn deployed(&self) -> PathBuf {
        self.state("deployed")
    }

    /// The images of the last deployment.
    pub fn deployed_images(&self) -> PathBuf {
        self.deployed().join("images.json")
    }

    /// The image of each service's last healthy deployment.
    pub fn healthy_images(&self) -> PathBuf {
        self.state("healthy-images.json")
    }

    /// Lock held during a deployment, also by a Compose process that outlives its run.
    pub fn deploy_lock(&self) -> PathBuf {
        self.state("deploy.lock")
    }

    /// Compose override file with the images of a rollback.
    pub fn rollback_file(&self) -> PathBuf {
        self.state("rollback.json")
    }

    /// The log and screenshots of a stack test.
    pub fn stack_test(&self, name: &str) -> PathBuf {
        self.state("stack-tests").join(name)
    }

    /// Throwaway stacks, a folder each; the next run removes leftovers.
    pub fn throwaway_stacks(&self) -> PathBuf {
        self.state("trials")
    }

    /// Held briefly while a throwaway stack's folder is created, removed or inspected by another run.
    pub fn throwaway_lock(&self) -> PathBuf {
        self.state("trials.lock")
    }

    /// Recorded answers of original images, by edition and group of probes; committed.
    pub fn parity_record(&self, edition: &str, group: &str) -> PathBuf {
        self.root.join("xtask/parity").join(edition).join(format!("{group}.json"))
    }

    /// The result of the last smoke test of the running stack.
    pub fn smoke_record(&self) -> PathBuf {
        self.state("smoke.json")
    }

    /// The report page.
    pub fn report(&self) -> PathBuf {
        self.state("report.html")
    }

    /// The last measurement.
    pub fn measure_record(&self) -> PathBuf {
        self.state("measure.json")
    }

    /// Held during measurements, which would disturb each other.
    pub fn measure_lock(&self) -> PathBuf {
        self.state("measure.lock")
    }

    /// Temporary files of measuring runs, a folder each; the next run removes leftovers.
    pub fn measurements(&self) -> PathBuf {
        self.state("measure")
    }

    /// Unpacked programs of the distribution that are not installed.
    pub fn programs(&self) -> PathBuf {
        self.state("programs")
    }

    /// Compose's `.env`; git-ignored.
    pub fn dot_env(&self) -> PathBuf {
        self.root.join(".env")
    }

    /// Held while images are built or moved.
    pub fn lock(&self) -> PathBuf {
        self.state("build.lock")
    }

    /// Digests of pushed images.
    pub fn digests(&self) -> PathBuf {
        self.state("digests.json")
    }

    /// Records the local registry tags set by a push, so that the next push can remove those of a killed one.
    pub fn push_journal(&self) -> PathBuf {
        self.state("push.json")
    }

    /// Held during pushes, which share the record of digests.
    pub fn push_lock(&self) -> PathBuf {
        self.state("push.lock")
    }

    /// The last choice of upstream bases.
    pub fn base_choice(&self) -> PathBuf {
        self.state("bases.json")
    }

    /// The build context of a bootstrapped stand-in.
    pub fn bootstrap(&self, suite: &str) -> PathBuf {
        self.state("bootstrap").join(suite)
    }

    /// When Debian packages were last refreshed on request.
    pub fn package_refresh(&self) -> PathBuf {
        self.state("packages-as-of")
    }

    /// The bake definition of the last run.
    pub fn bake_definition(&self) -> PathBuf {
        self.state("bake.json")
    }

    /// Cache of layer sizes by image ID; safe to delete.
    pub fn layer_cache(&self) -> PathBuf {
        self.state("layers.json")
    }

    /// Cache of layer contents; safe to delete. `None` without a manifest.
    pub fn contents_cache(&self) -> Option<PathBuf> {
        self.has_manifest.then(|| self.state("contents"))
    }

    /// The log of an engine that xtask started.
    pub fn engine_log(&self) -> PathBuf {
        self.state("dockerd.log")
    }

    /// State is kept in Cargo's target folder, which git ignores.
    fn state(&self, name: &str) -> PathBuf {
        self.root.join("target/xtask").join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_outside_of_the_repository_are_rejected() {
        let repository = Repository { root: PathBuf::from("/r"), has_manifest: true };
        assert_eq!(repository.file("packages/x/Dockerfile"), Some(PathBuf::from("/r/packages/x/Dockerfile")));
        for outside in ["", "/etc/passwd", "../x", "packages/../../x"] {
            assert_eq!(repository.file(outside), None, "{outside}");
        }
    }
}
