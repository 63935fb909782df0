//! The record of `check`: what every renderer reads.

use serde::{Deserialize, Serialize};

use build::comparison::Verdict;
use build::fleet::Fleet;
use model::baseline::{Drift, Weights};
use model::bytes::Bytes;
use model::edition::Edition;

/// Everything that was looked at, and everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub schema: u32,
    /// The tag looked at, without the variant's suffix.
    pub tag: String,
    /// The editions looked at.
    pub editions: Vec<Edition>,
    /// One row an image, in the manifest's order.
    pub images: Vec<Row>,
    /// What must not be.
    pub breaches: Vec<Finding>,
    /// What a person should know, and what breaks nothing.
    pub notes: Vec<Finding>,
    /// Figures of all images together, an edition each; only where they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<Fleet>,
}

impl Report {
    /// What of it speaks of one edition, and what is so of the repository whatever the edition.
    pub fn of_edition(&self, edition: Edition) -> Report {
        let part = |findings: &[Finding]| -> Vec<Finding> {
            let of = |finding: &Finding| {
                let is_here = |subject: &&Subject| subject.edition == edition.name();
                let images: Vec<Subject> = finding.images.iter().filter(is_here).cloned().collect();
                let speaks = finding.images.is_empty() || !images.is_empty();
                speaks.then(|| Finding { images, ..finding.clone() })
            };
            findings.iter().filter_map(of).collect()
        };
        Report {
            schema: self.schema,
            tag: self.tag.clone(),
            editions: vec![edition],
            images: self.images.iter().filter(|row| row.edition == edition).cloned().collect(),
            breaches: part(&self.breaches),
            notes: part(&self.notes),
            fleet: self.fleet.iter().filter(|fleet| fleet.edition == edition).cloned().collect(),
        }
    }
}

/// One image's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The service.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// Its reference.
    pub image: String,
    /// What was measured; `None` where it is not built.
    pub measured: Option<Measured>,
    /// What the lock holds for it.
    pub baseline: Option<Weights>,
    /// The guide's target.
    pub target: Option<Bytes>,
    /// Our goal.
    pub goal: Option<Bytes>,
    /// How it stands against both.
    pub verdict: Verdict,
    /// How its own layers stand against the baseline.
    pub own: Option<Drift>,
    /// How the layers below them do.
    pub base: Option<Drift>,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its ID.
    pub id: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Its unpacked bytes.
    pub weights: Weights,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No image.
    Missing,
    /// The guide's target, or a goal of ours.
    Target,
    /// The committed baseline.
    Baseline,
    /// What editions are declared to add.
    Edition,
    /// Something that was pruned and is needed.
    Pruned,
    /// A secret in a layer or in the image's configuration.
    Secret,
    /// Who the image runs as.
    User,
}

impl Kind {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Missing => "not built",
            Kind::Target => "size",
            Kind::Baseline => "baseline",
            Kind::Edition => "edition",
            Kind::Pruned => "pruned too far",
            Kind::Secret => "secret",
            Kind::User => "user",
        }
    }
}

/// Something found, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// Of which images; none where it is about a file of the repository.
    pub images: Vec<Subject>,
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: String,
    /// Where in the repository, as far as there is a place.
    pub place: Option<Place>,
}

/// An image that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The service.
    pub service: String,
    /// The edition; a row of the lock may name one that is none.
    pub edition: String,
}

impl Subject {
    /// An image by its service and edition.
    pub fn new(service: impl Into<String>, edition: impl ToString) -> Subject {
        Subject { service: service.into(), edition: edition.to_string() }
    }
}

impl Finding {
    /// Which images it is about, or which file: `api, nlg (simple, community); hybrid (simple)`.
    pub fn about(&self) -> String {
        if self.images.is_empty() {
            return self
                .place
                .as_ref()
                .map_or_else(|| "the repository".to_owned(), |place| place.file.clone());
        }
        Subject::told(&self.images)
    }
}

impl Subject {
    /// Several images as a person would name them: `api, nlg (simple, community); hybrid (simple)`.
    pub fn told(images: &[Subject]) -> String {
        // Services that have it in the same editions stand together, in the order in which they were found.
        let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for Subject { service, .. } in images {
            if seen.contains(&service.as_str()) {
                continue;
            }
            seen.push(service);
            let of_it = images.iter().filter(|subject| subject.service == *service);
            let editions: Vec<&str> = of_it.map(|subject| subject.edition.as_str()).collect();
            match groups.iter_mut().find(|(_, other)| *other == editions) {
                Some((services, _)) => services.push(service),
                None => groups.push((vec![service], editions)),
            }
        }
        let told = |(services, editions): &(Vec<&str>, Vec<&str>)| {
            let every = editions.len() == Edition::ALL.len();
            let editions = if every { "every edition".to_owned() } else { editions.join(", ") };
            format!("{} ({editions})", services.join(", "))
        };
        groups.iter().map(told).collect::<Vec<_>>().join("; ")
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Relative to the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_speaks_of_its_edition_and_of_the_repository() {
        let finding = |images: &[(&str, Edition)]| Finding {
            kind: Kind::Pruned,
            images: images.iter().map(|(service, edition)| Subject::new(*service, edition)).collect(),
            what: String::new(),
            remedy: String::new(),
            place: None,
        };
        let both = finding(&[("api", Edition::Simple), ("nlg", Edition::Community)]);
        let report = Report {
            schema: 1,
            tag: "latest".into(),
            editions: vec![Edition::Simple, Edition::Community],
            images: Vec::new(),
            breaches: vec![both, finding(&[]), finding(&[("api", Edition::Community)])],
            notes: Vec::new(),
            fleet: Vec::new(),
        };
        let part = report.of_edition(Edition::Simple);
        assert_eq!(part.editions, [Edition::Simple]);
        assert_eq!(part.breaches, [finding(&[("api", Edition::Simple)]), finding(&[])]);
    }

    #[test]
    fn images_are_named_as_a_person_would() {
        let about = |images: &[(&str, &str)]| {
            let images = images.iter().map(|(service, edition)| Subject::new(*service, edition)).collect();
            Finding { kind: Kind::Pruned, images, what: String::new(), remedy: String::new(), place: None }
                .about()
        };
        let all = |service| ["simple", "community", "enterprise"].map(|edition| (service, edition));
        assert_eq!(about(&[("api", "simple")]), "api (simple)");
        assert_eq!(about(&[all("api"), all("nlg")].concat()), "api, nlg (every edition)");
        assert_eq!(
            about(&[("api", "simple"), ("hybrid", "community"), ("nlg", "simple"), ("hybrid", "enterprise")]),
            "api, nlg (simple); hybrid (community, enterprise)"
        );
        assert_eq!(about(&[]), "the repository");
    }
}
