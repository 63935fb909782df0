//! Dockerfiles for development and tests, which `init` leaves out unless a Compose, bake or Skaffold file builds them.

use std::collections::BTreeSet;

/// Words in file names that mark a Dockerfile or Compose file as not intended for production.
const FILE_WORDS: [&str; 13] = [
    "base",
    "ci",
    "cypress",
    "debug",
    "dev",
    "develop",
    "development",
    "devcontainer",
    "e2e",
    "lint",
    "local",
    "test",
    "tests",
];

/// Further such words in names of Compose files.
const COMPOSE_WORDS: [&str; 3] = ["example", "override", "sample"];

/// Folders of tests, examples, documentation, code generators and developers' scripts.
const FOLDERS: [&str; 14] = [
    "benchmarks",
    "codegen",
    "cypress",
    "devcontainer",
    "docs",
    "e2e",
    "example",
    "examples",
    "fixtures",
    "genproto",
    "hack",
    "sample",
    "samples",
    "testing",
];

/// Last words of folders with tests, such as `ui-tests`.
const TESTS: [&str; 2] = ["test", "tests"];

/// First words of test-data folder names, such as `testfiles-negative`.
const TEST_DATA: [&str; 7] =
    ["testcase", "testcases", "testfile", "testfiles", "testimages", "testutil", "testutils"];

/// Why a Dockerfile is probably not for production.
pub(crate) fn development(path: &str) -> Option<String> {
    let (folders, name) = parts(path);
    if let Some(reason) = development_folder(&folders) {
        return Some(reason);
    }
    if name.starts_with('.') {
        return Some("it is a hidden file".to_owned());
    }
    let rest =
        name.strip_prefix("dockerfile.").or_else(|| name.strip_suffix(".dockerfile")).unwrap_or_default();
    let word = FILE_WORDS.into_iter().find(|word| words(rest).contains(word))?;
    Some(format!("`{word}` in its name suggests that it is not shipped"))
}

/// Whether a Compose or bake file is probably for development, tests or examples, or part of another one.
pub(crate) fn is_development_file(path: &str) -> bool {
    const FOLDERS: [&str; 4] = ["dev", "develop", "development", "local"];
    let (folders, name) = parts(path);
    let words = words(&name);
    development_folder(&folders).is_some()
        || folders.iter().any(|folder| FOLDERS.contains(&folder.to_lowercase().as_str()))
        || FILE_WORDS.iter().chain(&COMPOSE_WORDS).any(|word| words.contains(word))
}

/// The folders of a path, and its name in lower case.
fn parts(path: &str) -> (Vec<&str>, String) {
    let mut folders: Vec<&str> = path.split('/').collect();
    let name = folders.pop().unwrap_or_default().to_lowercase();
    (folders, name)
}

fn words(name: &str) -> BTreeSet<&str> {
    name.split(['.', '-', '_']).collect()
}

fn development_folder(folders: &[&str]) -> Option<String> {
    if let Some(hidden) = folders.iter().find(|folder| folder.starts_with('.')) {
        return Some(format!("it is in the hidden folder {hidden}"));
    }
    let folder = folders.iter().find(|folder| is_development(folder))?;
    Some(format!("a folder named `{folder}` rarely contains images that are shipped"))
}

fn is_development(folder: &str) -> bool {
    let folder = folder.to_lowercase();
    let words: Vec<&str> = folder.split(['.', '-', '_']).collect();
    FOLDERS.contains(&folder.as_str())
        || words.first().is_some_and(|first| TEST_DATA.contains(first))
        || words.last().is_some_and(|last| TESTS.contains(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_files_for_development_are_not_chosen() {
        for path in [
            "hack/compose.yaml",
            "docker-compose.dev.yml",
            "a/compose.override.yaml",
            "examples/a/compose.yaml",
        ] {
            assert!(is_development_file(path), "{path}");
        }
        for path in ["deploy/compose.yaml", "docker-compose.prod.yml", "devices/compose.yaml"] {
            assert!(!is_development_file(path), "{path}");
        }
    }

    #[test]
    fn dockerfiles_for_development_are_left_out() {
        for path in [
            ".devcontainer/Dockerfile",
            ".gitpod.Dockerfile",
            "a/Dockerfile.dev",
            "a/test-x.Dockerfile",
            "develop.Dockerfile",
            "hack/dockerfiles/lint.Dockerfile",
            "src/checkout/genproto/Dockerfile",
            "web/cypress/Dockerfile",
            "web/src/test/resources/Dockerfile",
            "ui-tests/Dockerfile",
            "Docs/Dockerfile",
            "examples/a/Dockerfile",
            "load-test/Dockerfile",
            "parser/testfiles-negative/a/Dockerfile",
            "web/Dockerfile.cypress",
        ] {
            assert!(development(path).is_some(), "{path}");
        }
        for path in [
            "Dockerfile",
            "dev/Dockerfile",
            "Dockerfile.developer",
            "contest.Dockerfile",
            "contest/Dockerfile",
            "test-runner-api/Dockerfile",
            "docs-api/Dockerfile",
        ] {
            assert!(development(path).is_none(), "{path}");
        }
    }
}
