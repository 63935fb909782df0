//! What items are asked of, and what several of them share: the engine's images, records, and what was found anew.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::checklist::Wanted;
use crate::checklist::report::Fault;
use crate::checklist::sizes::Checked;
use crate::checklist::stack::Tried;
use check::report::Subject;
use contents::record::Contents;
use engine::context::Context;
use engine::environment::require_engine;
use engine::images::Image;
use engine::provenance::Commit;
use engine::records;
use engine::records::{Freshness, RecordKind};
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The environment lacks what the answer needs.
    Unknown(String),
    /// What was asked is broken.
    Broken(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (NoAnswer::Unknown(why) | NoAnswer::Broken(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for NoAnswer {}

/// A value that is found once, and why it cannot be found as often as it is asked for.
pub(super) struct Once<T>(OnceCell<Result<T, NoAnswer>>);

impl<T> Once<T> {
    /// What was found before, if it was.
    pub(super) fn found(&self) -> Option<&T> {
        self.0.get()?.as_ref().ok()
    }

    pub(super) fn get(&self, find: impl FnOnce() -> Result<T>) -> Result<&T> {
        self.0.get_or_init(|| find().map_err(NoAnswer::from)).as_ref().map_err(|no| no.clone().into())
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Once(OnceCell::new())
    }
}

/// An optimized image that is there.
pub(super) struct Present<'a> {
    pub(super) service: &'a Service,
    pub(super) edition: Edition,
    pub(super) image: &'a Image,
}

impl Present<'_> {
    pub(super) fn subject(&self) -> Subject {
        Subject::new(&self.service.name, self.edition)
    }
}

/// Everything that an item may look at.
pub(super) struct Asked<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) wanted: &'a Wanted,
    pub(super) context: &'a Context,
    /// What is checked out.
    pub(super) commit: Option<Commit>,
    images: Once<BTreeMap<String, Image>>,
    pub(super) checked: Once<Checked>,
    pub(super) tried: Once<Tried>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(manifest: &'a Manifest, wanted: &'a Wanted, context: &'a Context) -> Result<Self> {
        Ok(Asked {
            manifest,
            wanted,
            context,
            commit: records::tree::commit(context)?,
            images: Once::default(),
            checked: Once::default(),
            tried: Once::default(),
        })
    }

    /// The optimized images of all editions that the engine has, by reference.
    pub(super) fn images(&self) -> Result<&BTreeMap<String, Image>> {
        self.images.get(|| {
            require_engine(self.context)?;
            let of = |service: &Service| Edition::ALL.map(|edition| self.reference(service, edition));
            let references: Vec<String> = self.manifest.services.iter().flat_map(of).collect();
            self.context.docker.inspect(&references)
        })
    }

    /// The optimized image of a service, as it is called here.
    pub(super) fn reference(&self, service: &Service, edition: Edition) -> String {
        reference(service, edition, &self.wanted.tag)
    }

    /// What is missing of some editions, a fault each, with the command that builds it.
    pub(super) fn missing(&self, editions: &[Edition]) -> Result<Vec<Fault>> {
        let there = self.images()?;
        let absent = |edition: Edition| -> Vec<&Service> {
            let is_absent = |service: &&Service| !there.contains_key(&self.reference(service, edition));
            self.manifest.services.iter().filter(is_absent).collect()
        };
        let of = |edition: &Edition| self.not_built(&absent(*edition), *edition);
        Ok(editions.iter().filter_map(of).collect())
    }

    /// Images of an edition that are not there; `None` where there is none of them.
    pub(super) fn not_built(&self, services: &[&Service], edition: Edition) -> Option<Fault> {
        let tag = match self.wanted.tag.as_str() {
            "latest" => String::new(),
            tag => format!(" --tag {tag}"),
        };
        let is_all = services.len() == self.manifest.services.len();
        let (what, names) = match services {
            [] => return None,
            _ if is_all => (format!("no image of {} {edition} is there", self.wanted.tag), String::new()),
            some => {
                let references: Vec<String> =
                    some.iter().map(|service| self.reference(service, edition)).collect();
                let names: String = some.iter().map(|service| format!(" {}", service.name)).collect();
                (format!("not there: {}", references.join(", ")), names)
            }
        };
        Some(Fault::new(what, format!("cargo xtask build-images{names} --edition {edition}{tag}")))
    }

    /// The images of the editions that are asked for, as far as they are there.
    pub(super) fn present(&self) -> Result<Vec<Present<'_>>> {
        let there = self.images()?;
        let mut found = Vec::new();
        for &edition in &self.wanted.editions {
            for service in &self.manifest.services {
                let image = there.get(&self.reference(service, edition));
                found.extend(image.map(|image| Present { service, edition, image }));
            }
        }
        Ok(found)
    }

    /// What is in them.
    pub(super) fn contents(&self, present: &[Present<'_>]) -> Result<Vec<Contents>> {
        let asked = |one: &Present<'_>| contents::Asked {
            reference: self.reference(one.service, one.edition),
            image: one.image.clone(),
        };
        let asked: Vec<_> = present.iter().map(asked).collect();
        contents::analyze(&asked, self.manifest, self.context)
    }

    /// A record that is fresh. One that is not is named with the reason, and not used.
    pub(super) fn record<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        edition: Edition,
    ) -> Result<Option<T>> {
        let (tag, context) = (&self.wanted.tag, self.context);
        let now = records::made_of(kind, self.manifest, edition, tag, self.images()?, context)?;
        match records::read(kind, edition, &context.repository)?.fresh(&now) {
            Freshness::Yes(record) => Ok(Some(record)),
            Freshness::No(why) => {
                let name = kind.name();
                context.terminal.warn(format!("record of {name}, {edition}: {why}; found out anew"));
                Ok(None)
            }
        }
    }
}

fn reference(service: &Service, edition: Edition, tag: &Tag) -> String {
    ImageRef::of(&service.image, tag, edition, Variant::Optimized).to_string()
}
