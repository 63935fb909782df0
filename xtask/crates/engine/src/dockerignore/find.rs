//! Which ignore file a build reads.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

/// The ignore file of a context.
const NAME: &str = ".dockerignore";

/// The most links that are followed (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// A file's path and its bytes.
pub(super) type Found = (PathBuf, Vec<u8>);

/// The file next to the Dockerfile, or the one in the context.
pub(super) fn find(context: &Path, dockerfile: Option<&Path>) -> Result<Option<Found>, (PathBuf, io::Error)> {
    if let Some(dockerfile) = dockerfile {
        let mut name = dockerfile.file_name().unwrap_or_default().to_owned();
        name.push(NAME);
        let folder = dockerfile.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let Some(found) = read(folder, name)? {
            return Ok(Some(found));
        }
    }
    read(context, NAME.into())
}

/// Reads a file of a folder. BuildKit transfers the file with the targets of its links, but nothing from outside the folder, which
/// is the root for links.
fn read(root: &Path, name: OsString) -> Result<Option<Found>, (PathBuf, io::Error)> {
    let file = root.join(&name);
    match resolve(root, name).and_then(fs::read) {
        Ok(bytes) => Ok(Some((file, bytes))),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => Ok(None),
            _ => Err((file, error)),
        },
    }
}

fn resolve(root: &Path, name: OsString) -> io::Result<PathBuf> {
    let mut open = VecDeque::from([name]);
    let mut at = PathBuf::new();
    let mut links = 0;
    while let Some(part) = open.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let path = root.join(&at).join(&part);
        if !fs::symlink_metadata(&path)?.is_symlink() {
            at.push(part);
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(ErrorKind::NotFound.into());
        }
        let target = fs::read_link(&path)?;
        if target.is_absolute() {
            at = PathBuf::new();
        }
        let parts =
            target.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        let parts: Vec<OsString> = parts.map(|part| part.as_os_str().to_owned()).collect();
        parts.into_iter().rev().for_each(|part| open.push_front(part));
    }
    Ok(root.join(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn found(root: &Path, dockerfile: Option<&str>) -> Option<String> {
        let dockerfile = dockerfile.map(|name| root.join(name));
        let found = find(&root.join("context"), dockerfile.as_deref()).unwrap();
        found.map(|(_, bytes)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_file_beside_the_dockerfile_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("context/docker")).unwrap();
        fs::create_dir(root.join("docker")).unwrap();
        assert_eq!(found(root, Some("docker/Dockerfile")), None);
        fs::write(root.join("context/.dockerignore"), "context").unwrap();
        assert_eq!(found(root, Some("docker/Dockerfile")).unwrap(), "context");
        // Ignore a folder with that name.
        fs::create_dir(root.join("docker/Dockerfile.dockerignore")).unwrap();
        assert_eq!(found(root, Some("docker/Dockerfile")).unwrap(), "context");
        fs::write(root.join("docker/app.Dockerfile.dockerignore"), "").unwrap();
        assert_eq!(found(root, Some("docker/app.Dockerfile")).unwrap(), "", "an empty file counts");
        assert_eq!(found(root, None).unwrap(), "context", "a Dockerfile without a file");
    }

    #[test]
    fn links_are_followed_within_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("context/a")).unwrap();
        fs::write(root.join("context/a/rules"), "inside").unwrap();
        fs::write(root.join("rules"), "outside").unwrap();
        let ignore = root.join("context/.dockerignore");
        for (target, expected) in [
            ("a/rules", Some("inside")),
            ("/a/rules", Some("inside")),
            ("../../a/./rules", Some("inside")),
            ("../rules", None),
            (".dockerignore", None),
            ("missing", None),
        ] {
            symlink(target, &ignore).unwrap();
            assert_eq!(found(root, None).as_deref(), expected, "{target}");
            fs::remove_file(&ignore).unwrap();
        }
    }
}
