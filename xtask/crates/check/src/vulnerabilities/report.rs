//! The report of `vulnerabilities`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::{Component, Ecosystem};
use crate::vulnerabilities::severity::FailOn;
use crate::vulnerabilities::source::SourceReport;
use model::edition::Edition;

/// The known vulnerabilities of some images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VulnerabilityReport {
    /// Version of this format.
    pub schema: u32,
    /// The tag of the images, without the variant's suffix.
    pub tag: String,
    /// What fails the command.
    pub fail_on: FailOn,
    /// The images, in the manifest's order.
    pub images: Vec<ImageVulnerabilities>,
    /// Every source, asked or not.
    pub sources: Vec<SourceReport>,
}

/// The known vulnerabilities of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageVulnerabilities {
    /// The service.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The image reference.
    pub image: String,
    /// The image's ID.
    pub id: String,
    /// What is in it.
    pub components: Vec<Component>,
    /// What no source can be asked about, with the reason.
    pub unnamed: Vec<String>,
    /// The most severe first.
    pub vulnerabilities: Vec<Advisory>,
}

impl ImageVulnerabilities {
    /// `3 Debian, 20 PyPI`.
    pub fn counts(&self) -> String {
        let ecosystems: BTreeSet<Ecosystem> = self.components.iter().map(|one| one.ecosystem).collect();
        let count = |ecosystem: &Ecosystem| {
            let of = self.components.iter().filter(|one| one.ecosystem == *ecosystem).count();
            format!("{of} {}", ecosystem.name())
        };
        ecosystems.iter().map(count).collect::<Vec<_>>().join(", ")
    }
}

impl VulnerabilityReport {
    /// The fixable vulnerabilities that fail the command, each once however many images have it.
    pub fn failures(&self) -> BTreeSet<(&str, &Component)> {
        let all = self.images.iter().flat_map(|image| &image.vulnerabilities);
        let fails = |one: &&Advisory| !one.fixed_in.is_empty() && self.fail_on.covers(one.severity);
        all.filter(fails).map(|one| (one.id.as_str(), &one.component)).collect()
    }

    /// The sources that leave gaps.
    pub fn gaps(&self) -> Vec<&SourceReport> {
        self.sources.iter().filter(|source| source.is_gap()).collect()
    }

    /// The names of sources that leave gaps for an image.
    pub fn gaps_of(&self, image: &ImageVulnerabilities) -> Vec<&'static str> {
        let ecosystem = |gap: &SourceReport| gap.source.ecosystem();
        let concerns =
            |gap: &&SourceReport| image.components.iter().any(|one| one.ecosystem == ecosystem(gap));
        self.gaps().into_iter().filter(concerns).map(|gap| gap.source.name()).collect()
    }

    /// The images that name nothing that a source could know.
    pub fn unknown_images(&self) -> Vec<&str> {
        let unknown = self.images.iter().filter(|image| image.components.is_empty());
        unknown.map(|image| image.image.as_str()).collect()
    }
}
