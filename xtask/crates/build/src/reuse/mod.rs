//! Which images of a plan the engine already has, up to date: those with the fingerprint that a build would give them.

pub(crate) mod packages;
pub(crate) mod pull;
pub(crate) mod seen;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::bake::BuildOptions;
use crate::build_inputs;
use crate::context_files::FileDigests;
use crate::environment::BuildEnvironment;
use crate::fingerprint::{self, Fingerprint, StartImage};
use crate::package_date::{PackageDate, PackageDateChoice};
use crate::plan::{BuildPlan, PlannedImage};
use crate::request::TaggedImage;
use engine::context::Context;
use engine::docker::Docker;
use engine::images::Image;
use engine::known_images::{KnownImages, ListedTags};
use engine::labels;
use host::file_state::Moment;
use host::paths::Repository;
use packages::{Dates, Packages, PackagesLabel, is_dated};
use seen::Seen;

/// A plan from which up-to-date images were removed.
#[derive(Debug)]
pub(crate) struct Remaining {
    /// What must be built. Its images get their fingerprints as labels.
    pub plan: BuildPlan,
    /// The images that are up to date, with all their tags.
    pub kept: Vec<TaggedImage>,
    /// The fingerprints of all images by target.
    pub prints: BTreeMap<String, Fingerprint>,
    /// What the fingerprints were computed from.
    pub seen: Seen,
}

/// Decides what to build.
pub(crate) struct Reuse<'a> {
    project: &'a str,
    /// Packages must be from this date or later.
    date: &'a PackageDate,
    environment: &'a BuildEnvironment,
    /// Whether images may be kept; otherwise everything is built.
    keep: bool,
    /// Whether builds use the engine's images, if it has them.
    uses_engine: bool,
    /// Whether builds pull newer base images.
    pulls: bool,
    /// Whether the user set the maximum age of packages.
    has_given_age: bool,
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
            uses_engine: context.docker.builder.is_engines_own(),
            pulls: options.bake.pull,
            has_given_age: options.packages != PackageDateChoice::default(),
            repository: &context.repository,
            docker: &context.docker,
        }
    }

    /// Removes images that are up to date from a plan. Inspects all images in one call.
    ///
    /// # Errors
    /// When docker fails, or a record cannot be read or written.
    pub fn remaining(&self, plan: BuildPlan) -> Result<Remaining> {
        let starts = fingerprint::images(&plan);
        let found = self.docker.inspect(&references(&plan, &starts))?;
        self.split(plan, &starts, &found)
    }

    /// Like [`Reuse::remaining`], but for images in a registry, by their local tags.
    ///
    /// # Errors
    /// When docker fails, or a record cannot be read or written.
    pub fn remaining_in(&self, plan: BuildPlan, found: &BTreeMap<String, Image>) -> Result<Remaining> {
        let starts = fingerprint::images(&plan);
        let mut all = self.docker.inspect(&starts.iter().cloned().collect::<Vec<_>>())?;
        all.extend(found.iter().map(|(tag, image)| (tag.clone(), image.clone())));
        self.split(plan, &starts, &all)
    }

    /// Like [`Reuse::remaining`], but uses listed tags. Also returns their images and those of `others`.
    ///
    /// # Errors
    /// When docker fails, or a record cannot be read or written.
    pub fn remaining_of(
        &self,
        plan: BuildPlan,
        others: Vec<String>,
        tags: &ListedTags,
    ) -> Result<(Remaining, BTreeMap<String, Image>)> {
        let starts = fingerprint::images(&plan);
        let all = [references(&plan, &starts), others].concat();
        let mut known = KnownImages::load(self.repository.known_images());
        let found = self.docker.inspect_listed(&all, tags, &mut known)?;
        Ok((self.split(plan, &starts, &found)?, found))
    }

    fn split(
        &self,
        mut plan: BuildPlan,
        starts: &BTreeSet<String>,
        found: &BTreeMap<String, Image>,
    ) -> Result<Remaining> {
        let mut digests = FileDigests::load(self.repository.file_digests(), Moment::now());
        let seen = Seen::look(&plan, start_images(starts, found), self.environment, self.repository);
        let prints = seen.fingerprints(&plan, self.uses_engine, &mut digests)?;
        build_inputs::remember(prints.values(), self.repository)?;
        let dates = Dates::read(self.repository)?;
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for image in std::mem::take(&mut plan.images) {
            let print = prints.get(&image.target);
            let current = one_image(&image, found);
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
        plan.keep(left);
        Ok(Remaining { plan, kept, prints, seen })
    }

    /// Whether anything that the fingerprints cover was written since they were computed. An image may then hold a mixture of old and
    /// new files.
    ///
    /// # Errors
    /// When docker fails.
    pub fn has_changed(&self, plan: &BuildPlan, seen: &Seen) -> Result<bool> {
        let starts = fingerprint::images(plan);
        let found = self.docker.inspect(&starts.iter().cloned().collect::<Vec<_>>())?;
        Ok(Seen::look(plan, start_images(&starts, &found), self.environment, self.repository) != *seen)
    }

    /// Removes the fingerprints from a plan, so that the next run builds its images again.
    pub fn forget(&self, plan: &mut BuildPlan) {
        for target in plan.definition.target.values_mut() {
            target.labels.remove(&labels::fingerprint(self.project));
        }
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
            Packages::Undated(_) => is_recent(self.packages_of(current).map(|label| label.date)),
        };
        current.label(&labels::fingerprint(self.project)) == Some(&print.hash)
            // A clean image can serve a dirty checkout, but a dirty image cannot serve a clean one.
            && (is_dirty(revision) || !is_dirty(current.label(labels::REVISION)))
            && has_recent_packages
    }

    /// The date of an image's packages, from its label.
    fn packages_of(&self, image: &Image) -> Option<PackagesLabel> {
        PackagesLabel::parse(image.label(&labels::packages_as_of(self.project))?)
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
            let label = match found {
                Some(label) if label.date >= *self.date => label,
                // The first image may use the cache, whose age is unknown. The build of the next period renews its packages.
                None if !self.has_given_age => PackagesLabel { date: self.date.clone(), is_certain: false },
                _ => {
                    plan.fresh.extend(targets);
                    PackagesLabel { date: self.date.clone(), is_certain: true }
                }
            };
            added.push((labels::packages_as_of(self.project), label.to_string()));
        }
        if self.pulls {
            added.push((labels::newer_bases(self.project), "true".to_owned()));
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
        let dated = dated(plan, built);
        let tags: Vec<String> =
            dated.iter().filter_map(|image| image.tags.first()).map(ToString::to_string).collect();
        let found = self.docker.inspect(&tags)?;
        self.record_dates(found.into_values().map(|image| image.id).collect())
    }

    /// Like [`Reuse::record`], but for images in a registry.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record_images(&self, plan: &BuildPlan, built: &[(TaggedImage, Image)]) -> Result<()> {
        let tagged: Vec<TaggedImage> = built.iter().map(|(tagged, _)| tagged.clone()).collect();
        let dated = dated(plan, &tagged);
        let images = built.iter().filter(|(tagged, _)| dated.contains(&tagged));
        self.record_dates(images.map(|(_, image)| image.id.clone()).collect())
    }

    fn record_dates(&self, ids: Vec<String>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut dates = Dates::read(self.repository)?;
        dates.0.extend(ids.into_iter().map(|id| (id, self.date.clone())));
        dates.write(self.repository)
    }
}

/// The built images with packages of a given date.
fn dated<'p>(plan: &'p BuildPlan, built: &[TaggedImage]) -> Vec<&'p TaggedImage> {
    let is_dated = |image: &&PlannedImage| {
        let all = plan.with_dependencies(std::slice::from_ref(&image.target));
        built.contains(&image.tagged) && all.iter().any(|name| is_dated(plan, name))
    };
    plan.images.iter().filter(is_dated).map(|image| &image.tagged).collect()
}

/// The tags of a plan's images, and the images that its builds start from.
fn references(plan: &BuildPlan, starts: &BTreeSet<String>) -> Vec<String> {
    let tags = plan.images.iter().flat_map(|image| &image.tagged.tags).map(ToString::to_string);
    tags.chain(starts.iter().cloned()).collect()
}

/// The engine's images that builds start from.
fn start_images(starts: &BTreeSet<String>, found: &BTreeMap<String, Image>) -> BTreeMap<String, StartImage> {
    let start = |name: &String| {
        let image = found.get(name)?;
        Some((name.clone(), StartImage { id: image.id.clone(), platform: image.platform() }))
    };
    starts.iter().filter_map(start).collect()
}

/// The image that all tags of a planned image point to.
fn one_image<'f>(image: &PlannedImage, found: &'f BTreeMap<String, Image>) -> Option<&'f Image> {
    let mut images = image.tagged.tags.iter().map(|tag| found.get(&tag.to_string()));
    let first = images.next()??;
    images.all(|other| other.is_some_and(|other| other.id == first.id)).then_some(first)
}
