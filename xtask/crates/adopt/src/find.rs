//! The files of a repository that define builds.

use std::path::Path;

use engine::compose::MAIN_FILES;
use host::git::Git;

/// Folders with third-party code or build output.
const VENDORED: [&str; 14] = [
    ".git",
    ".hg",
    ".terraform",
    ".tox",
    ".venv",
    "bower_components",
    "node_modules",
    "site-packages",
    "target",
    "testdata",
    "third-party",
    "third_party",
    "vendor",
    "venv",
];

/// Endings of files about Dockerfiles: templates, copies, notes, workflows.
const NOT_DOCKERFILES: [&str; 19] = [
    ".bak",
    ".dockerignore",
    ".erb",
    ".in",
    ".j2",
    ".jinja",
    ".jinja2",
    ".json",
    ".md",
    ".mustache",
    ".orig",
    ".rej",
    ".rst",
    ".template",
    ".tmpl",
    ".tpl",
    ".txt",
    ".yaml",
    ".yml",
];

/// The bake files that Buildx finds itself ("docker buildx bake", `--file`); the overriding ones come last.
const BAKE_FILES: [&str; 4] =
    ["docker-bake.json", "docker-bake.hcl", "docker-bake.override.json", "docker-bake.override.hcl"];

/// Maximum depth of folders where git does not list the files.
const MAX_DEPTH: usize = 12;

/// What was found, relative to the root and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildFiles {
    /// Files named like Dockerfiles.
    pub dockerfiles: Vec<String>,
    /// Files named like Compose files.
    pub compose: Vec<String>,
    /// Bake files at the root, in the order in which Buildx reads them.
    pub bake: Vec<String>,
    /// Bake files in other folders.
    pub nested_bake: Vec<String>,
    /// Files named like Skaffold's.
    pub skaffold: Vec<String>,
    /// Folders that git lists as submodules and that are empty.
    pub empty_submodules: Vec<String>,
}

/// Looks for them: among the files that git does not ignore, including those of submodules, else in all folders.
pub fn find(root: &Path, git: &Git) -> BuildFiles {
    let mut names = git.visible().unwrap_or_else(|| {
        let mut names = Vec::new();
        walk(root, "", 0, &mut names);
        names
    });
    names.sort();
    names.dedup();
    let mut found = BuildFiles::default();
    for path in names.iter().filter(|path| !is_vendored(path)) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let list = if is_dockerfile(name) {
            &mut found.dockerfiles
        } else if is_compose(name) {
            &mut found.compose
        } else if is_bake(name) {
            if path.contains('/') { &mut found.nested_bake } else { &mut found.bake }
        } else if matches!(name, "skaffold.yaml" | "skaffold.yml") {
            &mut found.skaffold
        } else {
            continue;
        };
        if root.join(path).is_file() {
            list.push(path.clone());
        }
    }
    let place = |file: &String| BAKE_FILES.iter().position(|name| name == file).unwrap_or(BAKE_FILES.len());
    found.bake.sort_by_key(place);
    found.empty_submodules = empty_submodules(root);
    found
}

fn walk(root: &Path, folder: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(folder)) else { return };
    for entry in entries.filter_map(Result::ok) {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        // A link to a folder may lead back.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                if depth < MAX_DEPTH && !VENDORED.contains(&name.as_str()) {
                    walk(root, &path, depth + 1, names);
                }
            }
            _ => names.push(path),
        }
    }
}

fn is_vendored(path: &str) -> bool {
    let mut folders: Vec<&str> = path.split('/').collect();
    folders.pop();
    folders.iter().any(|folder| VENDORED.contains(folder))
}

fn is_dockerfile(name: &str) -> bool {
    let lower = name.to_lowercase();
    let fits = lower == "dockerfile" || lower.starts_with("dockerfile.") || lower.ends_with(".dockerfile");
    fits && !NOT_DOCKERFILES.iter().any(|ending| lower.ends_with(ending))
}

fn is_compose(name: &str) -> bool {
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    stem.is_some_and(|stem| {
        ["compose", "docker-compose"].iter().any(|main| {
            stem.strip_prefix(main).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_']))
        })
    })
}

fn is_bake(name: &str) -> bool {
    BAKE_FILES.contains(&name) || (name.ends_with(".hcl") && name.contains("bake"))
}

/// The main Compose file of the root, if Compose would find one there.
pub fn main_compose(root: &Path) -> Option<&'static str> {
    MAIN_FILES.into_iter().find(|name| root.join(name).is_file())
}

/// Submodules that were not fetched: `.gitmodules` names them and their folders are empty or missing.
fn empty_submodules(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(root.join(".gitmodules")).unwrap_or_default();
    let paths =
        text.lines().filter_map(|line| line.trim().strip_prefix("path")?.trim_start().strip_prefix('='));
    let is_empty =
        |path: &&str| std::fs::read_dir(root.join(path)).map_or(true, |mut all| all.next().is_none());
    paths.map(str::trim).filter(is_empty).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_build_files() {
        for name in ["Dockerfile", "dockerfile", "Dockerfile.api", "api.Dockerfile"] {
            assert!(is_dockerfile(name), "{name}");
        }
        for name in
            ["Dockerfile.dockerignore", "Dockerfile.j2", "Dockerfiles", "my-dockerfile", "Dockerfile.md"]
        {
            assert!(!is_dockerfile(name), "{name}");
        }
        for name in ["compose.yaml", "docker-compose.yml", "docker-compose.prod.yml", "compose-dev.yaml"] {
            assert!(is_compose(name), "{name}");
        }
        for name in ["composer.yaml", "compose.json", "docker-composer.yml"] {
            assert!(!is_compose(name), "{name}");
        }
        assert!(is_vendored("a/node_modules/b/Dockerfile") && !is_vendored("a/vendor.Dockerfile"));
    }

    #[test]
    fn without_git_all_folders_are_searched() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "b/Dockerfile",
            "node_modules/x/Dockerfile",
            "docker-bake.override.hcl",
            "docker-bake.hcl",
            "a/docker-bake.hcl",
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/back")).unwrap();
        let mut names = Vec::new();
        walk(root, "", 0, &mut names);
        names.sort();
        assert_eq!(
            names,
            ["a/docker-bake.hcl", "b/Dockerfile", "b/back", "docker-bake.hcl", "docker-bake.override.hcl"]
        );
    }
}
