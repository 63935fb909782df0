//! Names for images of Dockerfiles that no other file mentions.

use std::path::Path;

use engine::builds::GENERIC_FOLDERS;

/// The names that a Dockerfile suggests, and why the first: its own, then longer ones with the folders around it.
pub(crate) fn service_names(dockerfile: &str, root: &Path) -> (Vec<String>, String) {
    let (folder, file) = dockerfile.rsplit_once('/').unwrap_or(("", dockerfile));
    let lower = file.to_lowercase();
    let named = match lower.strip_suffix(".dockerfile") {
        Some(stem) => Some(&file[..stem.len()]),
        None => lower.strip_prefix("dockerfile.").map(|rest| &file[file.len() - rest.len()..]),
    };
    let mut folders = folder.rsplit('/').filter(|name| !name.is_empty() && !GENERIC_FOLDERS.contains(name));
    let (first, why) = match named.or_else(|| folders.next()) {
        Some(name) if named.is_some() => (name.to_owned(), "its file has this name"),
        Some(name) => (name.to_owned(), "its folder has this name"),
        None => {
            let root = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (root, "the repository's folder has this name")
        }
    };
    let mut names = vec![first];
    for folder in folders {
        names.push(format!("{folder}-{}", names[names.len() - 1]));
    }
    (names, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_file_or_its_folder() {
        let names = |path: &str| service_names(path, Path::new("/x/shop")).0;
        let name = |path: &str| names(path).remove(0);
        assert_eq!(names("src/checkout/genproto/Dockerfile"), ["genproto", "checkout-genproto"]);
        assert_eq!(name("svc/api/Dockerfile"), "api");
        assert_eq!(name("svc/api/docker/Dockerfile"), "api");
        assert_eq!(name("docker/worker.Dockerfile"), "worker");
        assert_eq!(name("Dockerfile.Web"), "Web");
        assert_eq!(name("docker/Dockerfile"), "shop");
        assert_eq!(name("Dockerfile"), "shop");
    }
}
