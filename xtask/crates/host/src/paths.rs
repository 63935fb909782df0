//! Paths in the repository. No other module joins paths to the root.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::layout::{self, Layout};
use crate::program::PROGRAM;

/// A checkout.
#[derive(Debug, Clone)]
pub struct Repository {
    root: PathBuf,
    layout: Layout,
}

/// What each version changed, relative to the root.
const CHANGELOG: &str = "CHANGELOG.md";

/// Asks package registries for newer versions; relative to the root.
const NEWEST: &str = "packages/bases/newest/Dockerfile";

impl Repository {
    /// The checkout at `root`, or the nearest one at or above the current folder, up to the top of the git work tree. Its
    /// manifest is `xtask/images.toml`, else `images.toml`.
    ///
    /// # Errors
    /// When there is no manifest.
    pub fn locate(root: Option<&Path>) -> Result<Repository> {
        let start = start(root)?;
        if let Some((root, layout)) = layout::find(&start, root.is_some()) {
            return Ok(Repository { root, layout });
        }
        let (name, here) = (Layout::Plain.manifest(), start.display());
        match root {
            Some(_) => bail!("no {name} in {here}"),
            None => {
                bail!(
                    "no {name} in {here} or above\nhelp: run this inside the repository, use --root DIR, or write a manifest with `{PROGRAM} init`"
                )
            }
        }
    }

    /// Like [`Repository::locate`], for commands that need no manifest: without one, the top of the git work tree, else the
    /// current folder. Its state is in the user's cache folder.
    ///
    /// # Errors
    /// When the current folder is unknown.
    pub fn locate_or_here(root: Option<&Path>) -> Result<Repository> {
        let start = start(root)?;
        let found = layout::find(&start, root.is_some()).unwrap_or_else(|| {
            let top = start.ancestors().find(|dir| root.is_none() && layout::is_work_tree(dir));
            (top.unwrap_or(&start).to_owned(), Layout::of_cache())
        });
        Ok(Repository { root: found.0, layout: found.1 })
    }

    /// Whether the manifest exists. [`Repository::locate`] has checked it.
    pub fn has_manifest(&self) -> bool {
        !matches!(self.layout, Layout::Cache(_))
    }

    /// Where its files are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The root; the context of every build.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join(self.manifest_name())
    }

    /// The manifest, relative to the root.
    pub fn manifest_name(&self) -> &'static str {
        self.layout.manifest()
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
        self.root.join(self.sizes_lock_name())
    }

    /// The lock of accepted sizes, relative to the root.
    pub fn sizes_lock_name(&self) -> &'static str {
        self.layout.sizes_lock()
    }

    /// A command's record of one edition's images; without editions, of all images.
    pub fn record(&self, kind: &str, edition: &str) -> PathBuf {
        let dash = if edition.is_empty() { "" } else { "-" };
        self.state("records").join(format!("{kind}{dash}{edition}.json"))
    }

    /// The records of `trace`: one file per image.
    pub fn uses(&self) -> PathBuf {
        self.state("uses")
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

    /// The stack file of the last deployment to a swarm.
    pub fn stack_file(&self) -> PathBuf {
        self.state("swarm").join("stack.yml")
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

    /// Work trees of older commits that are built to find a size's change; the next run removes leftovers.
    pub fn old_commits(&self) -> PathBuf {
        self.state("when")
    }

    /// Sizes of older commits that an unfinished search measured.
    pub fn old_commit_sizes(&self) -> PathBuf {
        self.state("when-sizes.json")
    }

    /// Held while older commits are built.
    pub fn old_commits_lock(&self) -> PathBuf {
        self.state("when.lock")
    }

    /// Held briefly while a throwaway stack's folder is created, removed or inspected by another run.
    pub fn throwaway_lock(&self) -> PathBuf {
        self.state("trials.lock")
    }

    /// Recorded answers of original images, by edition and group of probes; committed.
    pub fn parity_record(&self, edition: &str, group: &str) -> PathBuf {
        self.root.join(self.layout.parity()).join(edition).join(format!("{group}.json"))
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

    /// The cache of layers from registries.
    pub fn registry_layers(&self) -> PathBuf {
        self.state("registry-layers")
    }

    /// The digests of images that a builder has pushed, as written by bake.
    pub fn bake_metadata(&self) -> PathBuf {
        self.state("bake-metadata.json")
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

    /// The dates of the packages in built images.
    pub fn package_dates(&self) -> PathBuf {
        self.state("package-dates")
    }

    /// What images were built from, by fingerprint.
    pub fn build_inputs(&self) -> PathBuf {
        self.state("build-inputs")
    }

    /// The bake definition of the last run.
    pub fn bake_definition(&self) -> PathBuf {
        self.state("bake.json")
    }

    /// The durations of build steps.
    pub fn timings(&self) -> PathBuf {
        self.state("timings.json")
    }

    /// Cache of inspected images by ID; safe to delete.
    pub fn known_images(&self) -> PathBuf {
        self.state("images.json")
    }

    /// Cache of layer sizes by image ID; safe to delete.
    pub fn layer_cache(&self) -> PathBuf {
        self.state("layers.json")
    }

    /// Cache of the digests of files in build contexts; safe to delete.
    pub fn file_digests(&self) -> PathBuf {
        self.state("file-digests")
    }

    /// Cache of layer contents; safe to delete. `None` without a manifest.
    pub fn contents_cache(&self) -> Option<PathBuf> {
        self.has_manifest().then(|| self.state("contents"))
    }

    /// The log of an engine that xtask started.
    pub fn engine_log(&self) -> PathBuf {
        self.state("dockerd.log")
    }

    /// The folder of logs, records, caches and locks.
    pub fn state_folder(&self) -> PathBuf {
        self.layout.state(&self.root)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.state_folder().join(name)
    }
}

/// The folder where the search starts: `root`, or the current one.
fn start(root: Option<&Path>) -> Result<PathBuf> {
    match root {
        Some(root) => std::path::absolute(root).with_context(|| format!("cannot resolve {}", root.display())),
        None => std::env::current_dir().context("cannot find the current folder"),
    }
}

#[cfg(test)]
mod tests;
