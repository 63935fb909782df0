//! Whether image labels name the version, commit, edition, variant and bases.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use host::program::PROGRAM;

use crate::checklist::context::{BuiltImage, CheckContext};
use crate::checklist::listing::{grouped, images};
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::bases::BaseSource;
use build::changes;
use check::report::Subject;
use engine::labels;

pub(super) fn labels(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let (mut built, mut faults) = (checks.built_images()?, checks.missing_images(&checks.request.editions)?);
    built.retain(|one| one.service.pulled.is_none());
    let mut changed = Changed { checks, since: BTreeMap::new() };
    let wrong = built.iter().flat_map(|one| {
        wrong_labels(checks, one, &mut changed)
            .into_iter()
            .map(|what| (what, one.subject()))
            .collect::<Vec<_>>()
    });
    let wrong = grouped(wrong);
    let remedy = format!(
        "commit everything, then {PROGRAM} build-images{} --tag {}",
        checks.edition_option(),
        checks.request.tag
    );
    let fault = |(what, subjects): (String, Vec<Subject>)| {
        ItemFault::new(format!("{}: {what}", Subject::list(&subjects)), remedy.clone())
    };
    faults.extend(wrong.into_iter().map(fault));
    Ok(ItemAnswer::now(faults, vec![format!("labels of {} checked", images(built.len()))]))
}

/// Which services have changed since the commits that images were built from. `build-images` keeps an image while nothing that its
/// build reads changes.
struct Changed<'a> {
    checks: &'a CheckContext<'a>,
    /// By commit; `None` where git does not know the commit.
    since: BTreeMap<String, Option<BTreeSet<String>>>,
}

impl Changed<'_> {
    fn has(&mut self, service: &str, commit: &str) -> bool {
        let CheckContext { manifest, context, .. } = self.checks;
        let services = self.since.entry(commit.to_owned()).or_insert_with(|| {
            let changes = changes::since(commit, manifest, context).ok()?;
            Some(changes.services.into_iter().map(|change| change.service).collect())
        });
        services.as_ref().is_none_or(|services| services.contains(service))
    }
}

fn wrong_labels(checks: &CheckContext<'_>, one: &BuiltImage<'_>, changed: &mut Changed<'_>) -> Vec<String> {
    let BuiltImage { service, edition, image } = one;
    let (manifest, tag) = (checks.manifest, checks.request.tag.as_str());
    let version = if tag == "latest" { manifest.version.as_str() } else { tag };
    let mut expected = vec![
        (labels::TITLE.to_owned(), service.title()),
        (labels::VERSION.to_owned(), version),
        (labels::edition(&manifest.project), edition.name()),
        (labels::variant(&manifest.project), service.shipped().name()),
    ];
    // Labels that such a manifest gives no image.
    expected.retain(|(_, value)| !value.is_empty());
    let mut wrong = Vec::new();
    for (name, value) in expected {
        match image.label(&name) {
            Some(found) if found == value => {}
            Some(found) => wrong.push(format!("label {name} is `{found}`, expected `{value}`")),
            None => wrong.push(format!("label {name} is missing")),
        }
    }
    let bases = labels::bases(&manifest.project);
    let sources = [BaseSource::Upstream, BaseSource::StandIn].map(BaseSource::name);
    if !image.label(&bases).is_some_and(|found| sources.contains(&found)) {
        wrong.push(format!("label {bases} is missing or not one of {}", sources.join(", ")));
    }
    let head = checks.commit.as_ref().map(|commit| commit.id.as_str());
    wrong.extend(wrong_revision(image.label(labels::REVISION), head, |commit| {
        changed.has(&service.name, commit)
    }));
    wrong
}

/// What is wrong with the commit that an image names. `has_changed`: whether the service has changed since a commit.
fn wrong_revision(
    label: Option<&str>,
    head: Option<&str>,
    has_changed: impl FnOnce(&str) -> bool,
) -> Option<String> {
    let short = |id: &str| id.get(..8).unwrap_or(id).to_owned();
    match (label, head) {
        (None, _) => Some(format!("label {} is missing", labels::REVISION)),
        (Some(_), None) => Some("its commit cannot be compared: not a git checkout".to_owned()),
        (Some(label), Some(head)) => match label.strip_suffix("-dirty") {
            Some(id) => Some(format!("built from commit {} with uncommitted changes", short(id))),
            None if label == head || !has_changed(label) => None,
            None => Some(format!("built from commit {}, but {} is checked out", short(label), short(head))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_may_have_changed_since_the_commit_in_the_label() {
        let (head, other) = ("aaaaaaaaaa", "bbbbbbbbbb");
        assert_eq!(wrong_revision(Some(head), Some(head), |_| true), None);
        assert_eq!(wrong_revision(Some(other), Some(head), |commit| commit != other), None);
        let wrong = |label| wrong_revision(label, Some(head), |_| true).unwrap();
        assert_eq!(wrong(Some(other)), "built from commit bbbbbbbb, but aaaaaaaa is checked out");
        assert_eq!(wrong(Some("aaaaaaaaaa-dirty")), "built from commit aaaaaaaa with uncommitted changes");
        assert!(wrong(None).contains("is missing"));
        assert!(wrong_revision(Some(head), None, |_| true).unwrap().contains("not a git checkout"));
    }
}
