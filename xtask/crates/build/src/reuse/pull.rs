//! Pulls images with the wanted fingerprints instead of building them. A tag only says where to look; the labels of the pulled image
//! decide.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use anyhow::Result;

use crate::built_tag;
use crate::fingerprint::Fingerprint;
use crate::package_date::PackageDate;
use crate::plan::{BuildPlan, PlannedImage};
use crate::push::digests::Digests;
use crate::reuse::Reuse;
use crate::reuse::packages::{Dates, Packages};
use engine::context::Context;
use engine::images::Image;
use engine::known_images::ListedTags;
use engine::push::PushError;
use engine::registry::RegistryReader;
use engine::registry_client::{RegistryClient, RegistryScheme};
use model::image_ref::Registry;
use model::platform::Platform;

/// The maximum number of images that are looked up and pulled in parallel.
const JOBS: usize = 8;

/// An image in the registry, found by its tag.
#[derive(Debug, Clone)]
struct Candidate {
    image: PlannedImage,
    /// Without tag and digest.
    repository: String,
    tag: String,
    /// Digest of the manifest or index.
    digest: String,
    /// Operating system and architecture.
    platform: Platform,
    week: Option<PackageDate>,
}

/// An image that was pulled and verified. It has its temporary tag.
#[derive(Debug)]
pub(crate) struct PulledImage {
    pub image: PlannedImage,
    /// Digest of the manifest or index.
    digest: String,
    id: String,
    week: Option<PackageDate>,
}

/// The state that the lookups of a run share.
struct Lookup<'a> {
    reader: RegistryReader<'a>,
    scheme: RegistryScheme,
    /// The first failure.
    failure: Mutex<Option<PushError>>,
}

impl Candidate {
    fn name(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

impl Reuse<'_> {
    /// Pulls the images of a plan that the registry has, sets their temporary tags, and removes them from the plan. If the registry
    /// fails, only warns.
    ///
    /// # Errors
    /// When docker fails, or the user interrupts.
    pub fn pull(
        &self,
        plan: &mut BuildPlan,
        prints: &BTreeMap<String, Fingerprint>,
        registry: &Registry,
        context: &Context,
    ) -> Result<Vec<PulledImage>> {
        if !self.uses_engine {
            let what = "--pull-built ignored: it works only with the engine's own builder";
            context
                .terminal
                .warn(format!("{what}\nhelp: omit --pull-built, or choose the builder `default`"));
            return Ok(Vec::new());
        }
        let (candidates, before) = self.fetch(plan, prints, registry, context)?;
        let names: Vec<String> = candidates.iter().map(Candidate::name).collect();
        let found = self.docker.inspect(&names)?;
        let mut pulled = Vec::new();
        for candidate in candidates {
            let Some(image) = found.get(&candidate.name()) else { continue };
            let print = prints.get(&candidate.image.target);
            if !print.is_some_and(|print| self.is_wanted(plan, &candidate, print, image)) {
                let Candidate { repository, tag, .. } = &candidate;
                context.terminal.warn(format!(
                    "rejected {repository}:{tag}: the image does not match its tag\nhelp: remove this tag from the registry"
                ));
                continue;
            }
            let Candidate { image: planned, digest, week, .. } = candidate;
            pulled.push(PulledImage { image: planned, digest, id: image.id.clone(), week });
        }
        let failure = Mutex::new(None);
        each(pulled.iter(), |one: &PulledImage| {
            if let Err(error) = self.docker.tag(&one.id, &one.image.run_tag.to_string()) {
                lock(&failure).get_or_insert(error);
            }
        });
        if let Some(error) = inner(failure) {
            return Err(error.into());
        }
        // Without its digest reference, a pulled image is removed with its last tag, like a built one. This also removes rejected images.
        let names: Vec<String> = found.into_keys().filter(|name| !before.has(name)).collect();
        self.docker.remove_unused(&names)?;
        let is_left = |image: &PlannedImage| !pulled.iter().any(|pulled| pulled.image == *image);
        plan.keep(plan.images.iter().filter(|image| is_left(image)).cloned().collect());
        Ok(pulled)
    }

    /// Looks up a plan's images, and pulls each as soon as it is found. Stops at the first failed lookup, so that an unreachable
    /// registry costs one timeout. Returns what was found, and the tags that the engine had before.
    fn fetch(
        &self,
        plan: &BuildPlan,
        prints: &BTreeMap<String, Fingerprint>,
        registry: &Registry,
        context: &Context,
    ) -> Result<(Vec<Candidate>, ListedTags)> {
        let (own, before) = thread::scope(|scope| {
            let own = scope.spawn(|| self.docker.platform());
            let tags = self.docker.list_tags();
            (joined(own), tags)
        });
        let (own, before) = (own?, before?);
        let lookup = Lookup {
            reader: RegistryReader::new(self.docker),
            scheme: RegistryScheme::default(),
            failure: Mutex::new(None),
        };
        let (found, failures) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        each(plan.images.iter(), |image: &PlannedImage| {
            let print = prints.get(&image.target);
            let Some(candidate) =
                print.and_then(|print| self.look(plan, image, print, &own, registry, &lookup))
            else {
                return;
            };
            let name = candidate.name();
            if !before.has(&name)
                && let Err(error) = self.docker.pull(&name)
            {
                lock(&failures).push(format!("cannot pull {name}: {error}"));
            }
            lock(&found).push(candidate);
        });
        self.docker.runner.interrupt.check()?;
        for failure in inner(failures) {
            context.terminal.warn(failure);
        }
        if let Some(error) = inner(lookup.failure) {
            context
                .terminal
                .warn(format!("cannot look for built images in {registry}, so they are built here: {error}"));
        }
        Ok((inner(found), before))
    }

    /// Looks up an image by its possible tags, newest first.
    fn look(
        &self,
        plan: &BuildPlan,
        image: &PlannedImage,
        print: &Fingerprint,
        own: &Platform,
        registry: &Registry,
        lookup: &Lookup<'_>,
    ) -> Option<Candidate> {
        let declared = plan.definition.target.get(&image.target).map(|target| target.platforms.as_slice());
        let platform = match declared {
            Some([one]) => one.parse().unwrap_or_else(|_| own.clone()),
            _ => own.clone(),
        };
        // This architecture has several variants, and the image does not record which one it was built for.
        if platform.architecture() == "arm" {
            return None;
        }
        let repository = image.tagged.tags.first()?.at(registry).repository().to_owned();
        for (tag, week) in built_tag::wanted(print, plan, &platform, self.date, SystemTime::now()) {
            if lock(&lookup.failure).is_some() || self.docker.runner.interrupt.is_set() {
                return None;
            }
            match self.digest(&format!("{repository}:{tag}"), lookup) {
                Ok(None) => {}
                Ok(Some(digest)) => {
                    let image = image.clone();
                    return Some(Candidate { image, repository, tag, digest, platform, week });
                }
                Err(error) => drop(lock(&lookup.failure).get_or_insert(error)),
            }
        }
        None
    }

    /// The digest of a tag. Our client is faster than docker's, but does not know the engine's registry settings.
    fn digest(&self, reference: &str, lookup: &Lookup<'_>) -> Result<Option<String>, PushError> {
        let client = reference
            .parse()
            .map(|reference| RegistryClient::on(reference, lookup.scheme.clone(), &self.docker.runner));
        match client.map(|client| client.digest()) {
            Ok(Ok(found)) => Ok(found),
            _ => Ok(lookup.reader.look(reference)?.map(|manifest| manifest.digest)),
        }
    }

    fn is_wanted(&self, plan: &BuildPlan, candidate: &Candidate, print: &Fingerprint, image: &Image) -> bool {
        let week = candidate.week.clone().map(|week| (image.id.clone(), week));
        let dates = Dates(week.into_iter().collect());
        image.platform().is_wanted(&candidate.platform)
            && self.is_up_to_date(plan, &candidate.image, print, image, &dates)
    }

    /// Records the digests of pulled images, as a push does, and the dates of their packages. The caller holds the push lock.
    ///
    /// # Errors
    /// When a record cannot be read or written.
    pub fn record_pulled(
        &self,
        plan: &BuildPlan,
        prints: &BTreeMap<String, Fingerprint>,
        pulled: &[PulledImage],
        registry: &Registry,
    ) -> Result<()> {
        if pulled.is_empty() {
            return Ok(());
        }
        let mut digests = Digests::read(self.repository)?;
        let mut dates = Dates::read(self.repository)?;
        for PulledImage { image, digest, id, week } in pulled {
            // A plain tag of several platforms names their index.
            for tag in image.tagged.own_tags() {
                digests.add(&tag.at(registry).to_string(), &image.tagged.image, id, digest);
            }
            let print = prints.get(&image.target);
            if let (Some(week), Some(Packages::Dated)) = (week, print.map(|print| Packages::of(print, plan)))
            {
                dates.0.insert(id.clone(), week.clone());
            }
        }
        digests.write(self.repository)?;
        dates.write(self.repository)
    }
}

/// Processes the items, up to [`JOBS`] in parallel.
fn each<T: Send>(items: impl Iterator<Item = T>, work: impl Fn(T) + Sync) {
    let items: Mutex<VecDeque<T>> = Mutex::new(items.collect());
    let jobs = JOBS.min(lock(&items).len());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(item) = lock(&items).pop_front() else { return };
                    work(item);
                }
            });
        }
    });
}

/// Joins a thread; if it panicked, this thread panics, too.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
