//! Names of services and templates of tags for builds that Docker's parsers found.

use std::collections::{BTreeMap, BTreeSet};

use super::NamedBuild;
use model::image_ref::{name_of, repository_of};

/// The place of the user's tag in a template.
const TAG: &str = "{tag}";

/// A name with lower-case letters, digits and `-` only, as build targets and log files have it.
pub fn plain_name(name: &str) -> String {
    let name = name.to_lowercase();
    let parts = name.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "image".to_owned() } else { parts.join("-") }
}

/// The name, with a number appended if it is taken.
pub fn free_name(name: &str, taken: &mut BTreeSet<String>) -> String {
    let name = plain_name(name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name));
    let free = free.unwrap_or(name);
    taken.insert(free.clone());
    free
}

/// Folder names too generic to name an image.
pub const GENERIC_FOLDERS: [&str; 7] =
    ["docker", "build", "src", "deploy", "deployment", "container", "image"];

/// The name of a build that several services share equally: the folder's name, else the image's name.
pub(super) fn shared_name(build: &NamedBuild) -> String {
    let folder = build.build.context.rsplit('/').next();
    let folder = folder.filter(|name| *name != "." && !GENERIC_FOLDERS.contains(name));
    folder.or_else(|| build.image.as_deref().map(name_of)).unwrap_or(&build.name).to_owned()
}

/// Fills in the services' names and, where several builds share a repository, the templates of their tags.
pub(super) fn name_all(builds: &mut [NamedBuild]) {
    let mut taken = BTreeSet::new();
    // The name of a single service takes precedence over a name shared by several services.
    let (own, found): (Vec<_>, Vec<_>) = builds.iter_mut().partition(|build| build.service.is_empty());
    for build in own {
        build.service = free_name(&build.name, &mut taken);
    }
    for build in found {
        build.service = free_name(&build.service, &mut taken);
    }
    let mut shared: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, build) in builds.iter().enumerate() {
        if let Some(image) = &build.image {
            shared.entry(repository_of(image).to_owned()).or_default().push(at);
        }
    }
    for group in shared.into_values().filter(|group| group.len() > 1) {
        let tags: Vec<String> = group.iter().map(|at| tag_of(builds[*at].image.as_deref())).collect();
        let found = templates(&tags);
        for (at, template) in group.into_iter().zip(found) {
            let template = template.unwrap_or_else(|| format!("{TAG}-{}", builds[at].service));
            builds[at].tag = Some(template);
        }
    }
}

fn tag_of(image: Option<&str>) -> String {
    let image = image.unwrap_or_default();
    let rest = image[repository_of(image).len()..].split('@').next().unwrap_or_default();
    rest.strip_prefix(':').unwrap_or_default().to_owned()
}

/// `1.2-api` and `1.2-web` become `{tag}-api` and `{tag}-web`; `api-1.2` and `web-1.2` become `api-{tag}` and `web-{tag}`. None if the
/// tags have nothing in common or are not distinct.
fn templates(tags: &[String]) -> Vec<Option<String>> {
    let separators = ['-', '_', '.'];
    let first = tags.first().map_or("", String::as_str);
    let boundaries = || (1..first.len()).filter(|at| first.is_char_boundary(*at));
    let is_after = |tag: &str, at: usize| tag[at..].starts_with(separators) && tag.len() > at + 1;
    // The part in common stops at a separator, which belongs to the template.
    let before = boundaries()
        .rev()
        .find(|at| tags.iter().all(|tag| tag.starts_with(&first[..*at]) && is_after(tag, *at)));
    let after = boundaries().find(|at| {
        let rest = |tag: &String| tag.strip_suffix(&first[*at..]).map(str::to_owned);
        tags.iter().all(|tag| rest(tag).is_some_and(|rest| rest.len() > 1 && rest.ends_with(separators)))
    });
    let distinct: BTreeSet<&String> = tags.iter().collect();
    let template = |tag: &String| match (before, after) {
        _ if distinct.len() < tags.len() => None,
        (Some(at), _) => Some(format!("{TAG}{}", &tag[at..])),
        (None, Some(at)) => Some(format!("{}{TAG}", tag.strip_suffix(&first[at..])?)),
        (None, None) => None,
    };
    tags.iter().map(template).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_plain_and_distinct() {
        let mut taken = BTreeSet::new();
        let found = ["Web.API", "web_api", "--", "vote"].map(|name| free_name(name, &mut taken));
        assert_eq!(found, ["web-api", "web-api-2", "image", "vote"]);
    }

    #[test]
    fn tags_of_one_repository_become_templates() {
        let of = |tags: &[&str]| -> Vec<String> {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            templates(&tags).into_iter().flatten().collect()
        };
        assert_eq!(of(&["1.2-ad", "1.2-accounting"]), ["{tag}-ad", "{tag}-accounting"]);
        assert_eq!(of(&["ad-1.2", "cart-1.2"]), ["ad-{tag}", "cart-{tag}"]);
        assert!(of(&["ad", "cart"]).is_empty());
        assert!(of(&["1-a", "1-a"]).is_empty());
    }

    #[test]
    fn services_of_one_repository_have_templates() {
        let build = |name: &str, image: &str| NamedBuild {
            name: name.to_owned(),
            image: Some(image.to_owned()),
            ..NamedBuild::default()
        };
        let mut builds = vec![
            build("ad", "h:5000/x/demo:2-ad"),
            build("cart", "h:5000/x/demo:2-cart"),
            build("other", "x/other:1"),
        ];
        name_all(&mut builds);
        let tags: Vec<Option<&str>> = builds.iter().map(|build| build.tag.as_deref()).collect();
        assert_eq!(tags, [Some("{tag}-ad"), Some("{tag}-cart"), None]);
    }
}
