//! The report of `check`, which is also its record.

use serde::{Deserialize, Serialize};

use build::comparison::Verdict;
use build::fleet::Fleet;
use model::baseline::{Drift, Weights};
use model::bytes::Bytes;
pub use model::check_rules::FindingKind;
use model::edition::Edition;

/// All checked images and all findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Version of this format.
    pub schema: u32,
    /// The checked tag, without the variant's suffix.
    pub tag: String,
    /// The checked editions.
    pub editions: Vec<Edition>,
    /// One row per image, in the manifest's order.
    pub images: Vec<CheckRow>,
    /// Faults: any of them fails the check.
    pub breaches: Vec<Finding>,
    /// Remarks that fail nothing.
    pub notes: Vec<Finding>,
    /// Fleet figures by edition, if requested.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fleet: Vec<Fleet>,
}

impl CheckReport {
    /// The part about one edition, including findings about the repository.
    pub fn of_edition(&self, edition: Edition) -> CheckReport {
        let part = |findings: &[Finding]| -> Vec<Finding> {
            let of = |finding: &Finding| {
                let is_here = |subject: &&Subject| subject.edition == edition.name();
                let images: Vec<Subject> = finding.images.iter().filter(is_here).cloned().collect();
                let applies = finding.images.is_empty() || !images.is_empty();
                applies.then(|| Finding { images, ..finding.clone() })
            };
            findings.iter().filter_map(of).collect()
        };
        CheckReport {
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

/// An image's size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckRow {
    /// The service.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The image reference.
    pub image: String,
    /// The measured image; `None` if it is not built.
    pub measured: Option<MeasuredImage>,
    /// The accepted size from the lock.
    pub baseline: Option<Weights>,
    /// The size target of guide.md.
    pub target: Option<Bytes>,
    /// Our goal.
    pub goal: Option<Bytes>,
    /// The size against target and goal.
    pub verdict: Verdict,
    /// The image's own layers against the baseline.
    pub own: Option<Drift>,
    /// The bases' layers against the baseline.
    pub base: Option<Drift>,
}

/// A built image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredImage {
    /// The image ID.
    pub id: String,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
    /// The unpacked bytes.
    pub weights: Weights,
}

/// A fault or remark, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The category.
    pub kind: FindingKind,
    /// The images concerned; empty if it is about a file of the repository.
    pub images: Vec<Subject>,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub remedy: String,
    /// The place in the image that `[[check.allow]]` names: an absolute path, or `env:NAME` and the like for secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line in the repository, if there is one.
    pub place: Option<Place>,
}

/// The image a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The service.
    pub service: String,
    /// The edition as written; a row of the lock may name an unknown one.
    pub edition: String,
}

impl Subject {
    /// The image of a service in an edition.
    pub fn new(service: impl Into<String>, edition: impl ToString) -> Subject {
        Subject { service: service.into(), edition: edition.to_string() }
    }
}

impl Finding {
    /// A finding without a line in the repository.
    pub fn new(
        kind: FindingKind,
        images: Vec<Subject>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        Finding { kind, images, what: what.into(), remedy: remedy.into(), path: None, place: None }
    }

    /// Joins equal findings of several images: a fault in a base is reported once.
    pub fn merged(findings: Vec<Finding>) -> Vec<Finding> {
        let mut merged: Vec<Finding> = Vec::new();
        for finding in findings {
            let is_same = |other: &&mut Finding| {
                (other.kind, &other.what, &other.remedy, &other.path, &other.place)
                    == (finding.kind, &finding.what, &finding.remedy, &finding.path, &finding.place)
            };
            match merged.iter_mut().find(is_same) {
                Some(other) => other.images.extend(finding.images),
                None => merged.push(finding),
            }
        }
        merged
    }

    /// The images or the file concerned: `api, nlg (simple, community); hybrid (simple)`.
    pub fn about(&self) -> String {
        if self.images.is_empty() {
            return self.place.as_ref().map_or("the repository", |place| &place.file).to_owned();
        }
        Subject::list(&self.images)
    }
}

impl Subject {
    /// Several images as one phrase: `api, nlg (simple, community); hybrid (simple)`.
    pub fn list(images: &[Subject]) -> String {
        // Services with the same editions are grouped.
        let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for Subject { service, .. } in images {
            if seen.contains(&service.as_str()) {
                continue;
            }
            seen.push(service);
            let of_service = images.iter().filter(|subject| subject.service == *service);
            let editions: Vec<&str> = of_service.map(|subject| subject.edition.as_str()).collect();
            match groups.iter_mut().find(|(_, other)| *other == editions) {
                Some((services, _)) => services.push(service),
                None => groups.push((vec![service], editions)),
            }
        }
        let phrase = |(services, editions): &(Vec<&str>, Vec<&str>)| {
            let editions: Vec<&str> = editions.iter().copied().filter(|name| !name.is_empty()).collect();
            let editions =
                if editions.is_empty() { String::new() } else { format!(" ({})", editions.join(", ")) };
            format!("{}{editions}", services.join(", "))
        };
        groups.iter().map(phrase).collect::<Vec<_>>().join("; ")
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The path relative to the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(images: &[(&str, &str)]) -> Finding {
        let images = images.iter().map(|(service, edition)| Subject::new(*service, edition)).collect();
        Finding::new(FindingKind::Pruned, images, "", "")
    }

    #[test]
    fn the_report_of_an_edition_keeps_findings_about_the_repository() {
        let report = CheckReport {
            schema: 1,
            tag: "latest".into(),
            editions: vec![Edition::named("simple"), Edition::named("community")],
            images: Vec::new(),
            breaches: vec![
                finding(&[("api", "simple"), ("nlg", "community")]),
                finding(&[]),
                finding(&[("api", "community")]),
            ],
            notes: Vec::new(),
            fleet: Vec::new(),
        };
        let part = report.of_edition(Edition::named("simple"));
        assert_eq!(part.editions, [Edition::named("simple")]);
        assert_eq!(part.breaches, [finding(&[("api", "simple")]), finding(&[])]);
    }

    #[test]
    fn images_are_grouped_by_their_editions() {
        let about = |images: &[(&str, &str)]| finding(images).about();
        let all = |service| ["simple", "community", "enterprise"].map(|edition| (service, edition));
        assert_eq!(about(&[("api", "simple")]), "api (simple)");
        assert_eq!(about(&[all("api"), all("nlg")].concat()), "api, nlg (simple, community, enterprise)");
        assert_eq!(
            about(&[("api", "simple"), ("hybrid", "community"), ("nlg", "simple"), ("hybrid", "enterprise")]),
            "api, nlg (simple); hybrid (community, enterprise)"
        );
        assert_eq!(about(&[]), "the repository");
    }

    #[test]
    fn equal_findings_of_several_images_are_merged() {
        let finding = |service: &str, what: &str| {
            Finding::new(
                FindingKind::Pruned,
                vec![Subject::new(service, Edition::named("simple"))],
                what,
                "r",
            )
        };
        let found = Finding::merged(vec![finding("a", "x"), finding("a", "y"), finding("b", "x")]);
        assert_eq!(found.iter().map(Finding::about).collect::<Vec<_>>(), ["a, b (simple)", "a (simple)"]);
    }
}
