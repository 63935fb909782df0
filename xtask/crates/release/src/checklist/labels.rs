//! Whether image labels name the version, commit, edition, variant and bases.

use anyhow::Result;
use host::program::PROGRAM;

use crate::checklist::context::{BuiltImage, CheckContext};
use crate::checklist::listing::{grouped, images};
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::bases::BaseSource;
use check::report::Subject;
use engine::labels;

pub(super) fn labels(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let (mut built, mut faults) = (checks.built_images()?, checks.missing_images(&checks.request.editions)?);
    built.retain(|one| one.service.pulled.is_none());
    let wrong = built.iter().flat_map(|one| {
        wrong_labels(checks, one).into_iter().map(|what| (what, one.subject())).collect::<Vec<_>>()
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

fn wrong_labels(checks: &CheckContext<'_>, one: &BuiltImage<'_>) -> Vec<String> {
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
    wrong.extend(wrong_revision(image.label(labels::REVISION), head));
    wrong
}

/// What is wrong with the commit that an image names.
fn wrong_revision(label: Option<&str>, head: Option<&str>) -> Option<String> {
    let short = |id: &str| id.get(..8).unwrap_or(id).to_owned();
    match (label, head) {
        (None, _) => Some(format!("label {} is missing", labels::REVISION)),
        (Some(_), None) => Some("its commit cannot be compared: not a git checkout".to_owned()),
        (Some(label), Some(head)) => match label.strip_suffix("-dirty") {
            Some(id) => Some(format!("built from commit {} with uncommitted changes", short(id))),
            None if label == head => None,
            None => Some(format!("built from commit {}, but {} is checked out", short(label), short(head))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_label_must_be_the_checked_out_commit() {
        let (head, other) = ("aaaaaaaaaa", "bbbbbbbbbb");
        assert_eq!(wrong_revision(Some(head), Some(head)), None);
        let wrong = |label| wrong_revision(label, Some(head)).unwrap();
        assert_eq!(wrong(Some(other)), "built from commit bbbbbbbb, but aaaaaaaa is checked out");
        assert_eq!(wrong(Some("aaaaaaaaaa-dirty")), "built from commit aaaaaaaa with uncommitted changes");
        assert!(wrong(None).contains("is missing"));
        assert!(wrong_revision(Some(head), None).unwrap().contains("not a git checkout"));
    }
}
