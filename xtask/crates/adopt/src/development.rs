//! Dockerfiles for development and tests, which `init` leaves out unless a Compose, bake or Skaffold file builds them.

use std::collections::BTreeSet;

/// Words in the name of a Dockerfile that is not for production.
const FILE_WORDS: [&str; 9] =
    ["base", "ci", "debug", "dev", "develop", "development", "devcontainer", "local", "test"];

/// Folders of tests, documentation, code generators and developers' scripts.
const FOLDERS: [&str; 8] =
    ["codegen", "cypress", "devcontainer", "docs", "e2e", "genproto", "hack", "testing"];

/// Last words of folders with tests, such as `ui-tests`.
const TESTS: [&str; 2] = ["test", "tests"];

/// Why a Dockerfile is probably not for production.
pub(crate) fn development(path: &str) -> Option<String> {
    let mut folders: Vec<&str> = path.split('/').collect();
    let name = folders.pop().unwrap_or_default().to_lowercase();
    if let Some(hidden) = folders.iter().find(|folder| folder.starts_with('.')) {
        return Some(format!("it is in the hidden folder {hidden}"));
    }
    if let Some(folder) = folders.into_iter().find(|folder| is_development(folder)) {
        return Some(format!("a folder named `{folder}` rarely contains images that are shipped"));
    }
    let rest =
        name.strip_prefix("dockerfile.").or_else(|| name.strip_suffix(".dockerfile")).unwrap_or_default();
    let words: BTreeSet<&str> = rest.split(['.', '-', '_']).collect();
    let word = FILE_WORDS.into_iter().find(|word| words.contains(word))?;
    Some(format!("`{word}` in its name suggests that it is not shipped"))
}

fn is_development(folder: &str) -> bool {
    let folder = folder.to_lowercase();
    let last = folder.rsplit(['.', '-', '_']).next().unwrap_or_default();
    FOLDERS.contains(&folder.as_str()) || TESTS.contains(&last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfiles_for_development_are_left_out() {
        for path in [
            ".devcontainer/Dockerfile",
            "a/Dockerfile.dev",
            "a/test-x.Dockerfile",
            "develop.Dockerfile",
            "hack/dockerfiles/lint.Dockerfile",
            "src/checkout/genproto/Dockerfile",
            "web/cypress/Dockerfile",
            "web/src/test/resources/Dockerfile",
            "ui-tests/Dockerfile",
            "Docs/Dockerfile",
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
