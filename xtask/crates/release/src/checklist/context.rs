//! What every check can use: the request, the engine's images, saved records, and results that several checks share.

use host::program::PROGRAM;
use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::checklist::report::{ItemBasis, ItemFault};
use crate::checklist::request::ChecklistRequest;
use check::report::Subject;
use contents::record::Contents;
use engine::context::Context;
use engine::environment::require_engine;
use engine::images::Image;
use engine::provenance::Commit;
use engine::records::{self, Freshness, RecordKind};
use host::failure::{Failure, class_of};
use model::edition::Edition;
use model::manifest::{Manifest, Service};
use stack::probes::report::TestReport;

/// A result computed on first use. A failure is kept as well and returned to every later caller.
pub(super) type Once<T> = OnceCell<Result<T, Failure>>;

pub(super) fn once<T>(cell: &Once<T>, compute: impl FnOnce() -> Result<T>) -> Result<&T> {
    let kept = |error: anyhow::Error| Failure::new(class_of(&error), format!("{error:#}"), "");
    cell.get_or_init(|| compute().map_err(kept)).as_ref().map_err(|failure| failure.clone().into())
}

/// An optimized image in the engine.
pub(super) struct BuiltImage<'a> {
    pub(super) service: &'a Service,
    pub(super) edition: Edition,
    pub(super) image: &'a Image,
}

impl BuiltImage<'_> {
    pub(super) fn subject(&self) -> Subject {
        Subject::new(&self.service.name, self.edition)
    }
}

/// The reports of `check`, one per requested edition.
pub(super) struct GuardReports {
    pub(super) reports: Vec<check::report::CheckReport>,
    pub(super) basis: ItemBasis,
}

pub(super) struct CheckContext<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) request: &'a ChecklistRequest,
    pub(super) context: &'a Context,
    /// The checked-out commit; `None` outside of git.
    pub(super) commit: Option<Commit>,
    /// Whether the parity item runs: then the stack of the smoke item compares answers, too.
    pub(super) with_parity: bool,
    images: Once<BTreeMap<String, Image>>,
    pub(super) guard: Once<GuardReports>,
    pub(super) stack: Once<TestReport>,
}

impl<'a> CheckContext<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        request: &'a ChecklistRequest,
        with_parity: bool,
        context: &'a Context,
    ) -> Result<Self> {
        Ok(CheckContext {
            manifest,
            request,
            context,
            commit: records::tree::commit(context)?,
            with_parity,
            images: Once::default(),
            guard: Once::default(),
            stack: Once::default(),
        })
    }

    /// The engine's optimized images of every edition, by reference.
    pub(super) fn images(&self) -> Result<&BTreeMap<String, Image>> {
        once(&self.images, || {
            require_engine(self.context)?;
            let of = |edition: &Edition| {
                let services = self.manifest.services_in(*edition);
                services.map(|service| self.reference(service, *edition)).collect::<Vec<_>>()
            };
            let references: Vec<String> = self.manifest.editions.iter().flat_map(of).collect();
            self.context.docker.inspect(&references)
        })
    }

    /// The local reference of the image of a service that runs in production.
    pub(super) fn reference(&self, service: &Service, edition: Edition) -> String {
        service.shipped_reference(&self.request.tag, edition).to_string()
    }

    /// ` --edition …` that covers the request; empty without editions.
    pub(super) fn edition_option(&self) -> String {
        match self.request.editions.as_slice() {
            [one] => one.option(),
            _ => " --edition all".to_owned(),
        }
    }

    /// One fault per edition with missing images, with the command that builds them.
    pub(super) fn missing_images(&self, editions: &[Edition]) -> Result<Vec<ItemFault>> {
        let built = self.images()?;
        let missing = |edition: &Edition| {
            let is_missing = |service: &&Service| !built.contains_key(&self.reference(service, *edition));
            let services: Vec<&Service> = self.manifest.services_in(*edition).filter(is_missing).collect();
            (!services.is_empty()).then(|| self.missing_fault(&services, *edition))
        };
        Ok(editions.iter().filter_map(missing).collect())
    }

    pub(super) fn missing_fault(&self, services: &[&Service], edition: Edition) -> ItemFault {
        let tag = match self.request.tag.as_str() {
            "latest" => String::new(),
            tag => format!(" --tag {tag}"),
        };
        let (what, names) = if services.len() == self.manifest.services_in(edition).count() {
            let of_edition = if edition.is_none() { String::new() } else { format!(" of edition {edition}") };
            (format!("not built: any image{of_edition}, tag {}", self.request.tag), String::new())
        } else {
            let references: Vec<String> =
                services.iter().map(|service| self.reference(service, edition)).collect();
            let names = services.iter().map(|service| format!(" {}", service.name)).collect();
            (format!("not built: {}", references.join(", ")), names)
        };
        ItemFault::new(what, format!("{PROGRAM} build-images{names}{}{tag}", edition.option()))
    }

    /// The built images of the requested editions.
    pub(super) fn built_images(&self) -> Result<Vec<BuiltImage<'_>>> {
        let built = self.images()?;
        let mut found = Vec::new();
        for &edition in &self.request.editions {
            for service in self.manifest.services_in(edition) {
                let image = built.get(&self.reference(service, edition));
                found.extend(image.map(|image| BuiltImage { service, edition, image }));
            }
        }
        Ok(found)
    }

    pub(super) fn contents(&self, images: &[BuiltImage<'_>]) -> Result<Vec<Contents>> {
        let to_analyze = |one: &BuiltImage<'_>| contents::image::ImageToAnalyze {
            reference: self.reference(one.service, one.edition),
            image: one.image.clone(),
        };
        contents::analysis::analyze(
            &images.iter().map(to_analyze).collect::<Vec<_>>(),
            self.manifest,
            self.context,
        )
    }

    /// A fresh record. `None`, with a warning that says why, where the check has to run again.
    pub(super) fn record<T: DeserializeOwned>(
        &self,
        kind: RecordKind,
        edition: Edition,
    ) -> Result<Option<T>> {
        let (tag, context) = (&self.request.tag, self.context);
        let now = records::made_of(kind, self.manifest, edition, tag, self.images()?, context)?;
        match records::read(kind, edition, &context.repository)?.fresh(&now) {
            Freshness::Yes(record) => Ok(Some(record)),
            Freshness::No(why) => {
                let name = kind.name();
                let of_edition = if edition.is_none() { String::new() } else { format!(" ({edition})") };
                context.terminal.warn(format!("{name} record{of_edition} not used: {why}; checking again"));
                Ok(None)
            }
        }
    }
}
