//! Builds an image at older commits, each in its own work tree and under temporary tags. Work trees and tags are removed
//! afterwards; the next run removes what a killed run left. Tags of services do not move.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Error, Result};

use crate::bake::{BuildOptions, bake};
use crate::bases::BasesMode;
use crate::bootstrap::ROOT_FS;
use crate::changes::between::manifest_of;
use crate::environment::BuildEnvironment;
use crate::image_sizes::image_sizes;
use crate::package_date::PackageDateChoice;
use crate::planner::Planner;
use crate::publish::moves::MissingImage;
use crate::publish::run_tags;
use crate::request::BuildRequest;
use crate::upstreams;
use contents::difference::Difference;
use contents::image::{ImageSource, ImageToAnalyze};
use contents::sources::compare;
use engine::context::Context;
use engine::environment::require_engine;
use host::failure::{FailureClass, class_of};
use host::files::{self, Lock};
use host::git::short;
use host::paths::Repository;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::repository_of;
use model::manifest::Manifest;
use model::platform::Platform;

/// Which image to build at every commit.
#[derive(Debug, Clone)]
pub struct OldImage {
    /// The project; used to find images that a killed run left.
    pub project: String,
    /// The service's names over time.
    pub names: Vec<String>,
    /// The edition.
    pub edition: String,
    /// The platform; empty for the engine's own.
    pub platform: String,
}

/// An image built at a commit.
#[derive(Debug, Clone)]
pub struct BuiltCommit {
    /// The commit.
    commit: String,
    image: ImageToAnalyze,
    /// Its unpacked bytes.
    pub bytes: Bytes,
}

/// Builds of older commits; one run at a time. Dropping it removes its work trees and tags.
#[derive(Debug)]
pub struct OldCommits<'c> {
    context: &'c Context,
    wanted: OldImage,
    tags: BTreeSet<String>,
    _lock: Lock,
}

/// Removes work trees that a killed run left, unless a run is active.
///
/// # Errors
/// When a folder cannot be removed.
pub fn remove_leftovers(context: &Context) -> Result<()> {
    if !context.repository.old_commits().exists() {
        return Ok(());
    }
    match Lock::take(&context.repository.old_commits_lock()) {
        Ok(_lock) => remove_worktrees(context),
        Err(_) => Ok(()),
    }
}

fn remove_worktrees(context: &Context) -> Result<()> {
    let all = context.repository.old_commits();
    let folders: Vec<PathBuf> =
        fs::read_dir(&all).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files::remove_dir(&all)?;
    folders.iter().for_each(|folder| context.git().forget_worktree(folder));
    Ok(())
}

/// A commit checked out into the state folder; removed when dropped.
struct Worktree<'c> {
    context: &'c Context,
    /// The command's context in this folder.
    inside: Context,
}

impl<'c> Worktree<'c> {
    fn new(commit: &str, context: &'c Context) -> Result<Worktree<'c>> {
        let top: PathBuf = context.repository.old_commits().join(commit.get(..12).unwrap_or(commit));
        files::create_dir(&context.repository.old_commits())?;
        context.git().add_worktree(&top, commit)?;
        // The checkout may be a subfolder of the repository.
        let root = context.repository.root();
        let below = context.git().top().and_then(|top| root.strip_prefix(top).ok().map(PathBuf::from));
        let mut tree = Worktree { context, inside: context.clone() };
        tree.inside.repository = Repository::locate(Some(&top.join(below.unwrap_or_default())))?;
        share_choice(&tree.context.repository, &tree.inside.repository)?;
        share_stand_ins(&tree.context.repository, &tree.inside.repository)?;
        Ok(tree)
    }
}

/// Reuses the choice of bases, which may ask registries.
fn share_choice(from: &Repository, to: &Repository) -> Result<()> {
    if let Some(choice) = files::read_bytes_if_there(&from.base_choice())? {
        files::write_atomically(&to.base_choice(), &choice)?;
    }
    Ok(())
}

/// Reuses the root file systems of stand-ins, which are slow to create.
fn share_stand_ins(from: &Repository, to: &Repository) -> Result<()> {
    let Ok(suites) = fs::read_dir(from.bootstrap("")) else { return Ok(()) };
    for name in suites.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        files::create_dir(&to.bootstrap(&name))?;
        // Without it, the build makes one.
        fs::hard_link(from.bootstrap(&name).join(ROOT_FS), to.bootstrap(&name).join(ROOT_FS)).ok();
    }
    Ok(())
}

impl Drop for Worktree<'_> {
    fn drop(&mut self) {
        if let Err(error) = remove_worktrees(self.context) {
            self.context.terminal.warn(format!("{error:#}"));
        }
    }
}

impl<'c> OldCommits<'c> {
    /// Prepares builds.
    ///
    /// # Errors
    /// Without an engine, or while another run builds older commits.
    pub fn new(wanted: OldImage, context: &'c Context) -> Result<OldCommits<'c>> {
        let lock = Lock::take(&context.repository.old_commits_lock())?;
        remove_worktrees(context)?;
        require_engine(context)?;
        context.docker.remove_unused(&run_tags::left(&wanted.project, &context.docker)?)?;
        Ok(OldCommits { context, wanted, tags: BTreeSet::new(), _lock: lock })
    }

    /// Builds the image at a commit. The inner error says why this commit does not build; other commits may.
    ///
    /// # Errors
    /// When this machine cannot build, or the user interrupts.
    pub fn build(&mut self, commit: &str) -> Result<Result<BuiltCommit, String>> {
        let built = Worktree::new(commit, self.context)
            .and_then(|tree| {
                let image = self.build_in(&tree.inside)?;
                // Not the choice of bases: it covers one service of an old commit.
                share_stand_ins(&tree.inside.repository, &self.context.repository)?;
                Ok(image)
            })
            .and_then(|image| Ok((image_sizes(&[&image.image], self.context)?, image)));
        self.context.docker.runner.interrupt.check()?;
        match built {
            Ok((bytes, image)) => {
                Ok(Ok(BuiltCommit { commit: commit.to_owned(), image, bytes: bytes.into_iter().sum() }))
            }
            Err(error) => match class_of(&error) {
                FailureClass::Failed | FailureClass::Manifest | FailureClass::Usage => {
                    let why = format!("{error:#}");
                    Ok(Err(why.lines().next().unwrap_or("does not build").to_owned()))
                }
                _ => Err(error),
            },
        }
    }

    fn build_in(&mut self, inside: &Context) -> Result<ImageToAnalyze> {
        let _lock = Lock::take(&inside.repository.lock())?;
        let mut manifest = manifest_of(&inside.repository, inside)?;
        manifest.services.retain(|service| self.wanted.names.contains(&service.name));
        let request = self.request(&manifest)?;
        let upstreams = upstreams::of_request(&manifest, &request, &inside.repository);
        let options = BuildOptions::default();
        let environment = BuildEnvironment::prepare(
            &manifest,
            &upstreams,
            BasesMode::Auto,
            &PackageDateChoice::default(),
            inside,
        )?;
        let plan = Planner::new(&manifest, &environment, &inside.repository).images(&request);
        let planned = plan.images.first().context("this commit does not build the service")?;
        let (run_tag, target) = (planned.run_tag.to_string(), planned.target.clone());
        self.tags.insert(run_tag.clone());
        bake(&plan, &options, inside)?.check(false)?;
        let found = inside.docker.inspect(std::slice::from_ref(&run_tag))?.remove(&run_tag);
        let image = found.ok_or_else(|| Error::from(MissingImage(target)))?;
        // The next commit's image takes over the run's tag.
        let reference = run_tags::name_to_remove(&image.id, repository_of(&run_tag), &inside.docker)?;
        self.tags.insert(reference.clone());
        Ok(ImageToAnalyze { reference, image })
    }

    fn request<'m>(&self, manifest: &'m Manifest) -> Result<BuildRequest<'m>> {
        let service = manifest.services.first().context("this commit does not have the service")?;
        let edition = manifest.editions.iter().find(|edition| edition.name() == self.wanted.edition);
        let edition = match (edition, self.wanted.edition.as_str()) {
            (Some(edition), _) => *edition,
            (None, "") => Edition::NONE,
            (None, name) => anyhow::bail!("this commit does not have edition {name}"),
        };
        let engine = self.context.docker.platform()?;
        let other = Some(&self.wanted.platform).filter(|one| !one.is_empty() && **one != engine.to_string());
        let platform = other.map(|one| one.parse::<Platform>().map_err(Error::msg)).transpose()?;
        Ok(BuildRequest {
            services: vec![service],
            editions: vec![edition],
            variants: vec![service.shipped()],
            tag: "latest".parse().map_err(Error::msg)?,
            default_edition: edition,
            platforms: platform.into_iter().collect(),
        })
    }

    /// The difference between two built images, named by their commits. Dockerfile lines refer to the second commit.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn difference(&self, before: &BuiltCommit, after: &BuiltCommit) -> Result<Difference> {
        let tree = Worktree::new(&after.commit, self.context)?;
        let manifest = manifest_of(&tree.inside.repository, &tree.inside)?;
        let source = |built: &BuiltCommit| ImageSource::Engine(Box::new(built.image.clone()));
        let mut difference = compare([&source(before), &source(after)], Some(&manifest), &tree.inside)?;
        let named = [(before, &mut difference.before), (after, &mut difference.after)];
        for (built, side) in named {
            difference.sentence = difference.sentence.replace(&side.image, short(&built.commit));
            short(&built.commit).clone_into(&mut side.image);
        }
        Ok(difference)
    }
}

impl Drop for OldCommits<'_> {
    fn drop(&mut self) {
        let tags: Vec<String> = self.tags.iter().cloned().collect();
        if let Err(error) = self.context.docker.remove_unused(&tags) {
            self.context.terminal.warn(format!("{error:#}"));
        }
    }
}
