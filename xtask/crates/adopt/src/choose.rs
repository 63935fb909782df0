//! Chooses the Compose file to name in the manifest of a repository where Compose finds none itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::development::{development, is_development_file};
use crate::plain_compose::PlainService;
use engine::compose::MAIN_FILES;
use model::manifest::Build;

/// Which Compose files to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ComposeChoice {
    /// The files in the manifest, or Compose's default files.
    Default,
    /// This one.
    One {
        /// Relative to the root.
        file: String,
        /// Why it was chosen.
        reason: String,
    },
    /// None, because several are equally good: each with the number of its builds, those with most first.
    Open(Vec<(String, usize)>),
}

/// Chooses among the files with builds. Files at the root come before others, files and Dockerfiles for development do not count, and a folder's
/// `compose.yaml` stands for all in that folder. Of several, one must have more builds than all others together.
pub(crate) fn choose(plain: &BTreeMap<String, Vec<PlainService>>) -> ComposeChoice {
    let builds = |file: &str| -> usize {
        let builds = plain[file].iter().map(|one| &one.build);
        let shipped = builds.filter(|build| development(&build.dockerfile).is_none());
        let parts = |build: &'_ Build| {
            (build.context.clone(), build.dockerfile.clone(), build.target.clone(), build.inline.clone())
        };
        shipped.map(parts).collect::<BTreeSet<_>>().len()
    };
    let shipped: Vec<&String> =
        plain.keys().filter(|file| !is_development_file(file) && builds(file) > 0).collect();
    let has_main = |file: &str| {
        let (folder, name) = split(file);
        !MAIN_FILES.contains(&name)
            && shipped
                .iter()
                .map(|one| split(one))
                .any(|(other, name)| other == folder && MAIN_FILES.contains(&name))
    };
    let mut candidates: Vec<(String, usize)> =
        shipped.iter().filter(|file| !has_main(file)).map(|file| ((*file).clone(), builds(file))).collect();
    if candidates.iter().any(|(file, _)| !file.contains('/')) {
        candidates.retain(|(file, _)| !file.contains('/'));
    }
    candidates.sort_by_key(|(_, builds)| std::cmp::Reverse(*builds));
    let all: usize = candidates.iter().map(|(_, builds)| builds).sum();
    let reason = match candidates.as_slice() {
        [] => return ComposeChoice::Default,
        [_] => "this is the only other one with builds to ship".to_owned(),
        [(_, most), ..] if 2 * most > all => {
            format!("this one has {most} of the {all} builds in Compose files")
        }
        _ => return ComposeChoice::Open(candidates),
    };
    let (file, _) = candidates.swap_remove(0);
    ComposeChoice::One { file, reason }
}

fn split(file: &str) -> (&str, &str) {
    file.rsplit_once('/').unwrap_or(("", file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(files: &[(&str, usize)]) -> Option<String> {
        let plain = files
            .iter()
            .map(|(file, builds)| {
                let build = |at: usize| Build { dockerfile: format!("{at}/Dockerfile"), ..Build::default() };
                let service = |at| PlainService { build: build(at), ..PlainService::default() };
                ((*file).to_owned(), (0..*builds).map(service).collect())
            })
            .collect();
        match choose(&plain) {
            ComposeChoice::One { file, .. } => Some(file),
            _ => None,
        }
    }

    #[test]
    fn a_nested_file_is_chosen_only_if_it_has_most_builds() {
        assert_eq!(chosen(&[("deploy/compose.yaml", 1)]).as_deref(), Some("deploy/compose.yaml"));
        assert_eq!(
            chosen(&[("a/compose.yaml", 2), ("b/compose.yaml", 3)]).as_deref(),
            Some("b/compose.yaml")
        );
        assert_eq!(chosen(&[("a/compose.yaml", 2), ("b/compose.yaml", 3), ("c/compose.yaml", 1)]), None);
        assert_eq!(chosen(&[("a/compose.yaml", 1), ("b/compose.yaml", 1)]), None);
        assert_eq!(chosen(&[("hack/compose.yaml", 9)]), None);
    }

    #[test]
    fn equal_builds_and_those_for_development_do_not_count() {
        let named = |dockerfile: &str| PlainService {
            build: Build { dockerfile: dockerfile.to_owned(), ..Build::default() },
            ..PlainService::default()
        };
        let plain = BTreeMap::from([
            ("a/compose.yaml".to_owned(), vec![named("a/Dockerfile"); 5]),
            ("b/compose.yaml".to_owned(), vec![named("b/x/Dockerfile"), named("b/y/Dockerfile")]),
            ("c/compose.yaml".to_owned(), vec![named("c/dev.dockerfile")]),
        ]);
        let reason = "this one has 2 of the 3 builds in Compose files".to_owned();
        assert_eq!(choose(&plain), ComposeChoice::One { file: "b/compose.yaml".to_owned(), reason });
    }

    #[test]
    fn variants_of_a_file_do_not_count() {
        let files = [("x/compose.yaml", 2), ("x/compose.prod.yaml", 4), ("x/compose.dev.yaml", 5)];
        assert_eq!(chosen(&files).as_deref(), Some("x/compose.yaml"));
        let files = [("docker-compose.prod.yml", 1), ("x/compose.yaml", 4), ("y/compose.yaml", 4)];
        assert_eq!(chosen(&files).as_deref(), Some("docker-compose.prod.yml"));
    }
}
