//! Images other than the services': upstreams, bases, stack tests, and the Dockerfiles of all.

use std::collections::{BTreeMap, BTreeSet};

use host::files;
use host::paths::Repository;

use crate::dockerfile;
use crate::file;
use crate::manifest::{Base, HostContext, StackTest, StandIn, Upstream};
use crate::names::Unknown;
use crate::reader::load::{is_plain, refuse_odd_name};
use crate::reader::place::Place;

/// The Dockerfile of a base, unless the manifest names another.
const BASE: &str = "bases/{name}/Dockerfile";

/// What Dockerfiles may name.
pub(super) struct Images<'a> {
    file: &'a file::Manifest,
    repository: &'a Repository,
    /// Schema 1 declares every image that a Dockerfile names.
    is_closed: bool,
    /// References of upstreams and bases with the entry that declares each.
    declared: Vec<(String, &'static str, &'a str)>,
}

impl<'a> Images<'a> {
    pub fn new(file: &'a file::Manifest, project: &str, schema: u32, repository: &'a Repository) -> Self {
        let upstreams = file.upstream.iter().map(|(name, entry)| (entry.reference.clone(), "upstream", name));
        let bases = file.base.iter().map(|(name, entry)| {
            let image = entry.image.clone().unwrap_or_else(|| format!("{project}-base-{name}"));
            (image, "base", name)
        });
        Images { file, repository, is_closed: schema == 1, declared: upstreams.chain(bases).collect() }
    }

    pub fn upstreams(&self, root: &Place<'_>) -> Vec<Upstream> {
        let table = root.key("upstream");
        let one = |(name, entry): (&str, &file::Upstream)| {
            let place = table.key(name);
            refuse_odd_name(name, &place);
            place.require(&["reference"]);
            self.claim("upstream", name, &place.key("reference"));
            let stand_in = self.stand_in(name, &entry.stand_in, &place)?;
            Some(Upstream { name: name.to_owned(), reference: entry.reference.clone(), stand_in })
        };
        self.file.upstream.iter().filter_map(one).collect()
    }

    fn stand_in(&self, name: &str, entry: &file::StandIn, place: &Place<'_>) -> Option<StandIn> {
        let inner = place.key("stand-in");
        if let Some(suite) = &entry.bootstrap {
            // The suite becomes a folder's name and an argument of mmdebstrap.
            if !is_plain(suite) {
                let text = format!("invalid suite `{suite}`: name a Debian suite, such as `trixie`");
                inner.key("bootstrap").fault(text);
            }
            if entry.dockerfile.is_some() || !entry.contexts.is_empty() || entry.emulated.is_some() {
                inner.fault("must have `bootstrap` or a Dockerfile, not both");
            }
            return Some(StandIn::Bootstrap { suite: suite.clone() });
        }
        let mut contexts = BTreeMap::new();
        for (key, value) in &entry.contexts {
            match value.as_str() {
                "rust-toolchain" => drop(contexts.insert(key.clone(), HostContext::RustToolchain)),
                other => inner.key("contexts").fault(Unknown::new("context", other, ["rust-toolchain"])),
            }
        }
        let default = self.file.defaults.stand_in.as_ref().map(|path| path.replace("{name}", name));
        let Some(path) = entry.dockerfile.clone().or(default) else {
            inner.fault("missing: add the replacement if no registry is reachable, { bootstrap = \"SUITE\" } or { dockerfile = \"PATH\" }");
            return None;
        };
        let named: Vec<&str> = contexts.keys().map(String::as_str).collect();
        let path = self.dockerfile(&path, &inner.key("dockerfile"), &named)?;
        let emulated = match &entry.emulated {
            Some(path) => Some(self.dockerfile(path, &inner.key("emulated"), &[])?),
            None => None,
        };
        Some(StandIn::Dockerfile { path, contexts, emulated })
    }

    pub fn bases(&self, root: &Place<'_>) -> Vec<Base> {
        let table = root.key("base");
        let default = self.file.defaults.base.as_deref().unwrap_or(BASE);
        let one = |(name, entry): (&str, &file::Base)| {
            let place = table.key(name);
            refuse_odd_name(name, &place);
            let reference = self.claim("base", name, &place.key("image"))?;
            let path = entry.dockerfile.clone().unwrap_or_else(|| default.replace("{name}", name));
            let dockerfile = self.dockerfile(&path, &place.key("dockerfile"), &[])?;
            Some(Base { name: name.to_owned(), reference, dockerfile })
        };
        self.file.base.iter().filter_map(one).collect()
    }

    pub fn stack_tests(&self, root: &Place<'_>) -> Vec<StackTest> {
        let table = root.key("stack-test");
        let one = |(name, entry): (&str, &file::StackTest)| {
            let place = table.key(name);
            refuse_odd_name(name, &place);
            if entry.dockerfile.is_empty() {
                place.require(&["dockerfile"]);
                return None;
            }
            let dockerfile = self.dockerfile(&entry.dockerfile, &place.key("dockerfile"), &[])?;
            Some(StackTest { name: name.to_owned(), dockerfile })
        };
        self.file.stack_test.iter().filter_map(one).collect()
    }

    /// The reference of an entry, which no earlier entry may have.
    fn claim(&self, table: &str, name: &str, place: &Place<'_>) -> Option<String> {
        let (position, (reference, ..)) =
            self.declared.iter().enumerate().find(|(_, (_, kind, of))| *kind == table && *of == name)?;
        if let Some(owner) = self.owner(reference, position).filter(|_| !reference.is_empty()) {
            place.fault(format!("`{reference}` is already the image of `{owner}`: choose another"));
        }
        Some(reference.clone())
    }

    fn owner(&self, image: &str, before: usize) -> Option<&'a str> {
        self.declared[..before].iter().find(|(reference, ..)| reference == image).map(|(.., name)| *name)
    }

    /// The upstream or base that has this image.
    pub fn owner_of(&self, image: &str) -> Option<&'a str> {
        self.owner(image, self.declared.len())
    }

    /// The text of a file that exists in the repository.
    pub fn text(&self, path: &str, place: &Place<'_>) -> Option<String> {
        let file = self.repository.file(path);
        match &file {
            None => place.fault(format!("`{path}` is outside of the repository: name a file in it")),
            Some(file) if !file.is_file() => {
                place.fault(format!("no file `{path}`: create it or correct the path"));
            }
            Some(file) if self.repository.is_link_outside(file) => {
                place.fault(format!(
                    "`{path}` is a link to a file outside of the repository: name a file in it"
                ));
            }
            Some(file) => match files::read(file) {
                Ok(text) => return Some(text),
                Err(error) => place.fault(format!("{error:#}")),
            },
        }
        None
    }

    /// Whether a build context is a folder of the repository; reports one that is not.
    pub fn is_folder(&self, path: &str, place: &Place<'_>) -> bool {
        match self.repository.file(path) {
            None => place.fault(format!("`{path}` is outside of the repository: name a folder in it")),
            Some(folder) if !folder.is_dir() => {
                place.fault(format!("no folder `{path}`: create it or correct the path"));
            }
            Some(_) => return true,
        }
        false
    }

    /// Whether there is such a file in the repository.
    pub fn has(&self, path: &str) -> bool {
        let file = self.repository.file(path);
        file.is_some_and(|file| file.is_file() && !self.repository.is_link_outside(&file))
    }

    /// A Dockerfile that exists. `contexts` are the names of its build contexts.
    pub fn dockerfile(&self, path: &str, place: &Place<'_>, contexts: &[&str]) -> Option<String> {
        let text = self.text(path, place)?;
        let declared = self.declared.iter().map(|(reference, ..)| reference.as_str());
        let known: Vec<&str> = declared.chain(contexts.iter().copied()).collect();
        let undeclared = dockerfile::references(&text).into_iter();
        for reference in undeclared.filter(|name| self.is_closed && !known.contains(&name.as_str())) {
            let unknown = Unknown::new("image", &reference, known.iter().copied());
            place.fault(format!("{path}: {unknown}; declare it as [upstream.NAME] or [base.NAME]"));
        }
        Some(path.to_owned())
    }
}

/// The images that a Dockerfile names; none if it cannot be read.
pub(super) fn references(repository: &Repository, path: &str) -> BTreeSet<String> {
    let text = repository.file(path).and_then(|file| files::read(&file).ok()).unwrap_or_default();
    dockerfile::references(&text)
}
