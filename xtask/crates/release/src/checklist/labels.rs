//! What images say of themselves: version, commit, edition, variant, and what they stand on.

use anyhow::Result;

use crate::checklist::asked::{Asked, Present};
use crate::checklist::report::{Answer, Fault};
use build::bases::BaseSource;
use check::report::Subject;
use engine::labels;
use model::variant::Variant;

/// How many characters of a commit tell it from others.
const SHORT: usize = 8;

pub(super) fn labels(asked: &Asked<'_>) -> Result<Answer> {
    let (images, mut faults) = (asked.present()?, asked.missing(&asked.wanted.editions)?);
    let mut wrong: Vec<(String, Vec<Subject>)> = Vec::new();
    for one in &images {
        for what in lies(asked, one) {
            match wrong.iter_mut().find(|(other, _)| *other == what) {
                Some((_, subjects)) => subjects.push(one.subject()),
                None => wrong.push((what, vec![one.subject()])),
            }
        }
    }
    let edition = match asked.wanted.editions.as_slice() {
        [one] => one.name(),
        _ => "all",
    };
    let remedy =
        format!("cargo xtask build-images --edition {edition} --tag {}, on a clean tree", asked.wanted.tag);
    let fault = |(what, subjects): (String, Vec<Subject>)| {
        Fault::new(format!("{}: {what}", Subject::list(&subjects)), remedy.clone())
    };
    faults.extend(wrong.into_iter().map(fault));
    let evidence = vec![format!("labels of {} read", crate::checklist::images(images.len()))];
    Ok(Answer::now(faults, evidence))
}

/// Labels of an image that are absent or say something else than is so.
fn lies(asked: &Asked<'_>, one: &Present<'_>) -> Vec<String> {
    let Present { service, edition, image } = one;
    let (manifest, tag) = (asked.manifest, asked.wanted.tag.as_str());
    let version = if tag == "latest" { manifest.version.as_str() } else { tag };
    let expected = [
        (labels::TITLE.to_owned(), service.image.as_str()),
        (labels::VERSION.to_owned(), version),
        (labels::edition(&manifest.project), edition.name()),
        (labels::variant(&manifest.project), Variant::Optimized.name()),
    ];
    let mut lies = Vec::new();
    for (name, value) in expected {
        match image.label(&name) {
            Some(found) if found == value => {}
            Some(found) => lies.push(format!("{name} is `{found}`, not `{value}`")),
            None => lies.push(format!("there is no label {name}")),
        }
    }
    let bases = labels::bases(&manifest.project);
    if !matches!(image.label(&bases), Some(found) if [BaseSource::Upstream, BaseSource::StandIn].map(BaseSource::name).contains(&found))
    {
        lies.push(format!("there is no label {bases} that says what it stands on"));
    }
    lies.extend(other_commit(
        image.label(labels::REVISION),
        asked.commit.as_ref().map(|commit| commit.id.as_str()),
    ));
    lies
}

/// What is wrong with the commit that an image names.
fn other_commit(label: Option<&str>, head: Option<&str>) -> Option<String> {
    let short = |id: &str| id.get(..SHORT).unwrap_or(id).to_owned();
    match (label, head) {
        (None, _) => Some(format!("there is no label {}", labels::REVISION)),
        (Some(_), None) => {
            Some("this is no git checkout: nobody can tell whether its commit is this one".to_owned())
        }
        (Some(label), Some(head)) => match label.strip_suffix("-dirty") {
            Some(id) => Some(format!("built from commit {} with changes that nobody committed", short(id))),
            None if label == head => None,
            None => Some(format!("built from commit {}, and this is {}", short(label), short(head))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_of_the_commit_that_is_checked_out_or_says_why_not() {
        let (head, other) = ("aaaaaaaaaa", "bbbbbbbbbb");
        assert_eq!(other_commit(Some(head), Some(head)), None);
        let why = |label| other_commit(label, Some(head)).unwrap();
        assert_eq!(why(Some(other)), "built from commit bbbbbbbb, and this is aaaaaaaa");
        assert_eq!(
            why(Some("aaaaaaaaaa-dirty")),
            "built from commit aaaaaaaa with changes that nobody committed"
        );
        assert!(why(None).contains("no label"));
        assert!(other_commit(Some(head), None).unwrap().contains("no git checkout"));
    }
}
