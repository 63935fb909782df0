//! Which files a service's builds can read. Contexts with an allow-list are hashed elsewhere; this module lists the files of all others.
//! Includes the builds of the project's own bases and of other services used as contexts.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources;
use crate::upstreams::references;
use engine::dockerignore::IgnoreFile;
use host::paths::Repository;
use model::dockerfile;
use model::manifest::{Build, Manifest, Service};
use model::variant::Variant;

/// What a service's builds can read.
pub struct Inputs<'m> {
    manifest: &'m Manifest,
    repository: &'m Repository,
    /// Contexts, relative to the repository: every file that they send counts, except what git ignores.
    folders: Vec<(&'m str, IgnoreFile)>,
    /// Dockerfiles with their ignore files, which need not be in the context.
    files: BTreeSet<String>,
    /// Services whose images are contexts of these builds.
    services: BTreeSet<&'m str>,
    bases: BTreeSet<&'m str>,
    /// Dockerfiles with an allow-list, whose contexts have a hash.
    hashed: BTreeMap<&'m str, IgnoreFile>,
    /// Every Dockerfile, and whether it is one of the project's own bases.
    dockerfiles: BTreeMap<&'m str, bool>,
}

impl<'m> Inputs<'m> {
    /// The inputs of a service's variants.
    pub fn of(
        service: &'m Service,
        variants: &[Variant],
        manifest: &'m Manifest,
        repository: &'m Repository,
    ) -> Inputs<'m> {
        let (folders, files, services, bases, hashed, dockerfiles) = Default::default();
        let mut inputs =
            Inputs { manifest, repository, folders, files, services, bases, hashed, dockerfiles };
        variants.iter().filter_map(|variant| service.build(*variant)).for_each(|build| inputs.build(build));
        inputs.services.remove(service.name.as_str());
        inputs
    }

    /// The services whose images are contexts of these builds.
    pub fn services(&self) -> impl Iterator<Item = &'m str> {
        self.services.iter().copied()
    }

    /// The Dockerfiles, and whether each is one of the project's own bases.
    pub fn dockerfiles(&self) -> impl Iterator<Item = (&'m str, bool)> {
        self.dockerfiles.iter().map(|(file, is_base)| (*file, *is_base))
    }

    /// Whether a changed file is among them. Git lists a changed submodule as its folder.
    pub fn contains(&self, file: &str) -> bool {
        let is_folder = self.repository.file(file).is_some_and(|path| path.is_dir());
        let is_sent = |(folder, ignore): &(&str, IgnoreFile)| match below(folder, file) {
            None => false,
            Some("") => true,
            Some(path) => !ignore.hides(path, is_folder),
        };
        self.files.contains(file) || self.folders.iter().any(is_sent)
    }

    /// Whether a build can read a file. Includes contexts with an allow-list.
    pub fn reads(&self, file: &str) -> bool {
        let is_sent =
            |(dockerfile, ignore): (&&str, &IgnoreFile)| file == *dockerfile || !ignore.hides(file, false);
        self.contains(file) || self.hashed.iter().any(is_sent)
    }

    fn build(&mut self, build: &'m Build) {
        self.dockerfiles.extend(build.file().map(|file| (file, false)));
        let file = build.file().filter(|_| build.context == ".");
        match file.and_then(|file| Some((file, sources::allow_list(file, self.repository)?))) {
            Some((file, ignore)) => drop(self.hashed.insert(file, ignore)),
            None => {
                self.folder(&build.context, build.file());
                self.files.extend(build.file().into_iter().flat_map(with_ignore_file));
            }
        }
        for context in build.contexts.values() {
            match context.strip_prefix("target:") {
                Some(name) => self.service(name),
                None => self.folder(context, None),
            }
        }
        let images = match &build.inline {
            Some(text) => dockerfile::references(text),
            None => references(self.repository, &build.dockerfile),
        };
        self.bases(&images);
    }

    /// A context in the repository. References with a scheme match no file. An invalid ignore file ignores nothing.
    fn folder(&mut self, folder: &'m str, dockerfile: Option<&str>) {
        let folder = folder.trim_end_matches('/');
        let path = |name: &str| self.repository.root().join(name);
        let ignore = IgnoreFile::of(&path(folder), dockerfile.map(path).as_deref());
        let ignore_file = if folder == "." { String::new() } else { format!("{folder}/") } + ".dockerignore";
        self.files.insert(ignore_file);
        self.folders.push((folder, ignore.unwrap_or_default()));
    }

    /// Another service, whose image is a context.
    fn service(&mut self, name: &str) {
        let Some(service) = self.manifest.services.iter().find(|service| service.name == name) else {
            // A build outside the manifest may read any file: an unneeded build does no harm.
            self.folders.push((".", IgnoreFile::default()));
            return;
        };
        if self.services.insert(&service.name)
            && let Some(build) = service.build(service.shipped())
        {
            self.build(build);
        }
    }

    /// The project's own bases among the images that a Dockerfile names. Their context is the repository.
    fn bases(&mut self, images: &BTreeSet<String>) {
        for base in self.manifest.bases.iter().filter(|base| images.contains(&base.reference)) {
            if !self.bases.insert(&base.name) {
                continue;
            }
            self.dockerfiles.insert(&base.dockerfile, true);
            match sources::allow_list(&base.dockerfile, self.repository) {
                Some(ignore) => drop(self.hashed.insert(&base.dockerfile, ignore)),
                None => {
                    self.folder(".", Some(&base.dockerfile));
                    self.files.extend(with_ignore_file(&base.dockerfile));
                }
            }
            self.bases(&references(self.repository, &base.dockerfile));
        }
    }
}

/// The path of a file relative to a folder; empty for the folder itself.
fn below<'f>(folder: &str, file: &'f str) -> Option<&'f str> {
    match file.strip_prefix(folder) {
        _ if folder == "." => Some(file),
        Some("") => Some(""),
        rest => rest?.strip_prefix('/'),
    }
}

fn with_ignore_file(dockerfile: &str) -> [String; 2] {
    [dockerfile.to_owned(), format!("{dockerfile}.dockerignore")]
}
