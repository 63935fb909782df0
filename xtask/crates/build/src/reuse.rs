//! Which images of a plan the engine already has, up to date: those with the fingerprint that a build would give them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::bake::BuildOptions;
use crate::context_files::{ContextFiles, FileDigests};
use crate::environment::BuildEnvironment;
use crate::fingerprint::{self, Fingerprint};
use crate::package_date::{self, PackageDate};
use crate::plan::{BuildPlan, PlannedImage};
use crate::request::TaggedImage;
use engine::context::Context;
use engine::docker::Docker;
use engine::dockerignore::IgnoreFile;
use engine::images::Image;
use engine::labels;
use host::file_state::Moment;
use host::files;
use host::paths::Repository;

/// A plan without the images that are up to date.
#[derive(Debug)]
pub(crate) struct Remaining {
    /// What must be built. Its images get their fingerprints as labels.
    pub plan: BuildPlan,
    /// The images that are up to date, with all their tags.
    pub kept: Vec<TaggedImage>,
}

/// What rustup records of a toolchain: the hashes of its release's components, and which are installed. They stand for 50,000 files.
const TOOLCHAIN: [&str; 2] = ["lib/rustlib/multirust-channel-manifest.toml", "lib/rustlib/components"];

/// Decides what to build.
pub(crate) struct Reuse<'a> {
    project: &'a str,
    /// Since when packages are wanted.
    date: &'a PackageDate,
    environment: &'a BuildEnvironment,
    /// Whether images may be kept; otherwise everything is built.
    keep: bool,
    repository: &'a Repository,
    docker: &'a Docker,
}

impl<'a> Reuse<'a> {
    /// For a run with these options.
    pub fn new(
        project: &'a str,
        environment: &'a BuildEnvironment,
        options: &BuildOptions,
        context: &'a Context,
    ) -> Reuse<'a> {
        Reuse {
            project,
            date: &environment.packages,
            environment,
            keep: options.keeps_images(),
            repository: &context.repository,
            docker: &context.docker,
        }
    }

    /// Removes images that are up to date from a plan. Asks the engine once.
    ///
    /// # Errors
    /// When docker fails, or a record cannot be read or written.
    pub fn remaining(&self, mut plan: BuildPlan) -> Result<Remaining> {
        let starts = fingerprint::images(&plan);
        let tags = plan.images.iter().flat_map(|image| &image.tagged.tags).map(ToString::to_string);
        let found = self.docker.inspect(&tags.chain(starts.iter().cloned()).collect::<Vec<_>>())?;
        let id = |name: &String| Some((name.clone(), found.get(name)?.id.clone()));
        let prints = self.fingerprints(&plan, &starts.iter().filter_map(id).collect())?;
        let dates = Dates::read(self.repository)?;
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for image in std::mem::take(&mut plan.images) {
            let print = prints.get(&image.target);
            let current = one_image(&image, &found);
            if let (Some(print), Some(current), true) = (print, current, self.keep)
                && self.is_up_to_date(&plan, &image, print, current, &dates)
            {
                kept.push(image.tagged);
                continue;
            }
            if let Some(print) = print {
                self.label(&mut plan, &image, print, current);
            }
            left.push(image);
        }
        plan.request(left.iter().map(|image| image.target.clone()).collect());
        plan.images = left;
        Ok(Remaining { plan, kept })
    }

    /// Reads each context once, and only files that have changed since an earlier run.
    fn fingerprints(
        &self,
        plan: &BuildPlan,
        ids: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Fingerprint>> {
        let mut digests = FileDigests::load(self.repository.file_digests(), Moment::now());
        let mut done: BTreeMap<(PathBuf, Option<PathBuf>), String> = BTreeMap::new();
        let prints = fingerprint::of_plan(plan, ids, &mut |folder: &Path, dockerfile: Option<&Path>| {
            let key = (folder.to_owned(), dockerfile.map(Path::to_owned));
            if let Some(hash) = done.get(&key) {
                return Ok(hash.clone());
            }
            let hash = self.context(folder, dockerfile, &mut digests)?;
            done.insert(key, hash.clone());
            Ok(hash)
        });
        digests.save()?;
        Ok(prints)
    }

    /// The hash of the files that a folder sends.
    fn context(&self, folder: &Path, dockerfile: Option<&Path>, digests: &mut FileDigests) -> Result<String> {
        if self.environment.host_contexts.values().any(|host| Path::new(host) == folder)
            && let [Some(release), Some(installed)] =
                TOOLCHAIN.map(|name| files::read(&folder.join(name)).ok())
        {
            return Ok(release + &installed);
        }
        let mut ignore = IgnoreFile::of(folder, dockerfile)?;
        // This program's own files change with every run.
        if let Some(own) = self.repository.state_folder().strip_prefix(folder).ok().and_then(Path::to_str) {
            ignore = ignore.ignoring(own)?;
        }
        Ok(ContextFiles::filtered(folder, &ignore)?.hash(digests)?.hash)
    }

    fn is_up_to_date(
        &self,
        plan: &BuildPlan,
        image: &PlannedImage,
        print: &Fingerprint,
        current: &Image,
        dates: &Dates,
    ) -> bool {
        let is_dirty = |revision: Option<&str>| revision.is_some_and(|text| text.ends_with("-dirty"));
        let planned = plan.definition.target.get(&image.target);
        let revision = planned.and_then(|target| target.labels.get(labels::REVISION)).map(String::as_str);
        let is_recent = |date: Option<PackageDate>| date.is_some_and(|date| date >= *self.date);
        let has_recent_packages = match Packages::of(print, plan) {
            Packages::None => true,
            Packages::Dated => is_recent(dates.0.get(&current.id).cloned()),
            Packages::Undated(_) => is_recent(self.packages_of(current)),
        };
        current.label(&labels::fingerprint(self.project)) == Some(&print.hash)
            // An image of a clean checkout is also one of a checkout with other changes, not the other way round.
            && (is_dirty(revision) || !is_dirty(current.label(labels::REVISION)))
            && has_recent_packages
    }

    /// Since when the packages of an image are, according to its label.
    fn packages_of(&self, image: &Image) -> Option<PackageDate> {
        image.label(&labels::packages_as_of(self.project)).and_then(PackageDate::recorded)
    }

    /// Adds the labels. Steps that got packages too long ago are built without the cache.
    fn label(
        &self,
        plan: &mut BuildPlan,
        image: &PlannedImage,
        print: &Fingerprint,
        current: Option<&Image>,
    ) {
        let mut added = vec![(labels::fingerprint(self.project), print.hash.clone())];
        if let Packages::Undated(targets) = Packages::of(print, plan) {
            let found = current.and_then(|image| self.packages_of(image));
            let date = match found {
                Some(date) if date >= *self.date => date,
                // The first image of a service gets what the cache has: its packages are of this week, or it is renewed next week.
                None => self.date.clone(),
                Some(_) => {
                    plan.fresh.extend(targets);
                    self.date.clone()
                }
            };
            added.push((labels::packages_as_of(self.project), date.as_str().to_owned()));
        }
        if let Some(target) = plan.definition.target.get_mut(&image.target) {
            target.labels.extend(added);
        }
    }

    /// Records the date of packages of images that were just built.
    ///
    /// # Errors
    /// When docker fails, or the record cannot be written.
    pub fn record(&self, plan: &BuildPlan, built: &[TaggedImage]) -> Result<()> {
        let dated = plan.images.iter().filter(|image| {
            let all = plan.with_dependencies(std::slice::from_ref(&image.target));
            built.contains(&image.tagged) && all.iter().any(|name| is_dated(plan, name))
        });
        let tags: Vec<String> =
            dated.filter_map(|image| image.tagged.tags.first()).map(ToString::to_string).collect();
        if tags.is_empty() {
            return Ok(());
        }
        let found = self.docker.inspect(&tags)?;
        let mut dates = Dates::read(self.repository)?;
        dates.0.extend(found.into_values().map(|image| (image.id, self.date.clone())));
        dates.write(self.repository)
    }
}

/// How an image gets packages and other things that may change with time.
#[derive(Debug, PartialEq, Eq)]
enum Packages {
    /// It does not.
    None,
    /// In steps that take the date of packages as an argument. They run again when the date changes; other steps of these Dockerfiles
    /// stay cached on purpose.
    Dated,
    /// In these targets, none of which takes the date: they must be built without the cache.
    Undated(BTreeSet<String>),
}

impl Packages {
    fn of(print: &Fingerprint, plan: &BuildPlan) -> Packages {
        let targets = &print.unpinned;
        if targets.iter().any(|name| is_dated(plan, name)) {
            return Packages::Dated;
        }
        if targets.is_empty() { Packages::None } else { Packages::Undated(targets.clone()) }
    }
}

fn is_dated(plan: &BuildPlan, target: &str) -> bool {
    plan.definition.target.get(target).is_some_and(|target| target.args.contains_key(package_date::ARGUMENT))
}

/// The image that all tags of a planned image point to.
fn one_image<'f>(image: &PlannedImage, found: &'f BTreeMap<String, Image>) -> Option<&'f Image> {
    let mut images = image.tagged.tags.iter().map(|tag| found.get(&tag.to_string()));
    let first = images.next()??;
    images.all(|other| other.is_some_and(|other| other.id == first.id)).then_some(first)
}

/// Since when the packages of images are, by image ID. No image contains the date: a new date alone does not change an image.
#[derive(Debug, Default, PartialEq)]
struct Dates(BTreeMap<String, PackageDate>);

/// How many dates are kept: more than an engine has images of a project.
const KEPT: usize = 2000;

impl Dates {
    /// Lines of an ID and a date. Others are ignored: a lost date costs a build that the cache answers.
    fn read(repository: &Repository) -> Result<Dates> {
        let text = files::read_if_there(&repository.package_dates())?.unwrap_or_default();
        let line = |line: &str| {
            let (id, date) = line.split_once(' ')?;
            Some((id.to_owned(), PackageDate::recorded(date)?))
        };
        Ok(Dates(text.lines().filter_map(line).collect()))
    }

    fn write(&self, repository: &Repository) -> Result<()> {
        let mut lines: Vec<(&PackageDate, &String)> = self.0.iter().map(|(id, date)| (date, id)).collect();
        lines.sort_by(|a, b| b.cmp(a));
        let lines = lines.into_iter().take(KEPT).map(|(date, id)| format!("{id} {}\n", date.as_str()));
        files::write_atomically(&repository.package_dates(), lines.collect::<String>().as_bytes())
    }
}
