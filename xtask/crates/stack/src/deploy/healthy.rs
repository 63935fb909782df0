//! Records the image of each service's last healthy deployment. After an engine restart, services take a while to become healthy
//! again, even on a good image.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use host::files;
use host::paths::Repository;

const SCHEMA: u32 = 1;

/// Image IDs by Compose project and service.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct HealthyImages {
    schema: u32,
    projects: BTreeMap<String, BTreeMap<String, String>>,
}

impl HealthyImages {
    /// A missing or unreadable record counts as empty; [`super::rollback`] then uses only the current health.
    pub(super) fn read(repository: &Repository) -> HealthyImages {
        HealthyImages::parse(&std::fs::read(repository.healthy_images()).unwrap_or_default())
    }

    fn parse(bytes: &[u8]) -> HealthyImages {
        let record: HealthyImages = serde_json::from_slice(bytes).unwrap_or_default();
        if record.schema == SCHEMA { record } else { HealthyImages::default() }
    }

    /// Whether this is the image of the service's last healthy deployment.
    pub(super) fn has(&self, project: &str, service: &str, image: &str) -> bool {
        self.projects.get(project).and_then(|services| services.get(service)).is_some_and(|id| id == image)
    }

    /// Replaces these services' entries.
    pub(super) fn with(
        mut self,
        project: &str,
        images: impl IntoIterator<Item = (String, String)>,
    ) -> HealthyImages {
        self.projects.entry(project.to_owned()).or_default().extend(images);
        HealthyImages { schema: SCHEMA, ..self }
    }

    /// # Errors
    /// When the record cannot be written.
    pub(super) fn write(&self, repository: &Repository) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).context("the record of healthy images")?;
        files::write_atomically(&repository.healthy_images(), &json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_other_services_and_projects_stay_and_a_damaged_record_is_empty() {
        let mut record = HealthyImages::parse(b"{");
        for (project, service, id) in [("p", "a", "1"), ("p", "b", "1"), ("q", "a", "3"), ("p", "a", "2")] {
            record = record.with(project, [(service.to_owned(), id.to_owned())]);
        }
        let record = HealthyImages::parse(&serde_json::to_vec(&record).unwrap());
        assert!(record.has("p", "a", "2") && record.has("p", "b", "1") && record.has("q", "a", "3"));
        assert!(!record.has("p", "a", "1") && !record.has("q", "b", "1"));
        let newer = HealthyImages { schema: SCHEMA + 1, ..record };
        assert!(!HealthyImages::parse(&serde_json::to_vec(&newer).unwrap()).has("p", "b", "1"));
    }
}
