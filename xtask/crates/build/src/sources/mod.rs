//! The sources of an image as one hash: its Dockerfile and every file of its build context. In a Cargo workspace only the
//! members that are built count, so that a new dependency of another member changes nothing.

mod cargo;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::context_files::{ContextFileKind, ContextFiles};
use engine::dockerignore::IgnoreFile;
use host::paths::Repository;
use model::manifest::Service;
use model::variant::Variant;

/// The label with the hash of an original's sources.
pub fn label(project: &str) -> String {
    format!("{project}.images.sources")
}

/// The hash of a Dockerfile and its context, in hexadecimal.
///
/// # Errors
/// When a file cannot be read, or the `.dockerignore` is not an allow-list.
pub fn hash(dockerfile: &str, repository: &Repository) -> Result<String> {
    let path =
        repository.file(dockerfile).with_context(|| format!("`{dockerfile}` is outside the repository"))?;
    let ignore = IgnoreFile::of(repository.root(), Some(&path))?;
    if !ignore.is_allow_list() {
        let remedy = "begin with `*`, then include what the build needs with `!PATH` lines";
        bail!("{dockerfile}.dockerignore: not an allow-list\nhelp: {remedy}");
    }
    let sent = ContextFiles::filtered(repository.root(), &ignore)?;
    let is_material =
        |kind: &ContextFileKind| matches!(kind, ContextFileKind::File(_) | ContextFileKind::Link(_));
    let files = sent.files().iter().filter(|file| is_material(&file.kind));
    let mut found: Vec<PathBuf> = files.map(|file| repository.root().join(&file.path)).collect();
    found.push(path);
    let material = Material::read(&found, repository.root())?;
    let mut hash = Sha256::new();
    for (name, file) in &material.0 {
        // Each part is preceded by its length, so that different trees never give the same bytes.
        hash.update([file.kind]);
        for part in [name.to_string_lossy().as_bytes(), &file.content] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The ignore file of a Dockerfile in the repository's context, if it is an allow-list, so that the same commit has the same hash
/// everywhere.
pub fn allow_list(dockerfile: &str, repository: &Repository) -> Option<IgnoreFile> {
    let path = repository.file(dockerfile);
    let ignore = path.and_then(|path| IgnoreFile::of(repository.root(), Some(&path)).ok());
    ignore.filter(IgnoreFile::is_allow_list)
}

/// The hash of a service's original.
///
/// # Errors
/// As for [`hash`], and when the service has no Dockerfile for its original.
pub fn of_original(service: &Service, repository: &Repository) -> Result<String> {
    let dockerfile = service.dockerfile(Variant::Original);
    hash(
        dockerfile.with_context(|| format!("{} has no Dockerfile for an original", service.name))?,
        repository,
    )
}

/// The files that can change an image, by name.
struct Material(BTreeMap<PathBuf, File>);

struct File {
    /// 0 file, 1 executable file, 2 symbolic link. Git stores no other mode bits.
    kind: u8,
    content: Vec<u8>,
}

impl Material {
    fn read(found: &[PathBuf], root: &Path) -> Result<Material> {
        let name = |file: &Path| file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
        let names: BTreeSet<String> = found.iter().map(|file| name(file)).collect();
        let idle = cargo::idle_manifests(&names);
        let mut files = BTreeMap::new();
        for name in names.difference(&idle) {
            let file = File::read(&root.join(name)).with_context(|| format!("cannot read {name}"))?;
            files.insert(PathBuf::from(name), file);
        }
        let text = |file: &File| String::from_utf8_lossy(&file.content).into_owned();
        let manifests = files.iter().filter(|(name, _)| name.ends_with(cargo::MANIFEST));
        let roots: BTreeSet<String> = manifests.filter_map(|(_, file)| cargo::package(&text(file))).collect();
        if let Some(lock) = files.get_mut(Path::new(cargo::LOCK))
            && let Some(closure) = cargo::closure(&text(lock), &roots)
        {
            lock.content = closure.into_bytes();
        }
        Ok(Material(files))
    }
}

impl File {
    fn read(path: &Path) -> std::io::Result<File> {
        let about = fs::symlink_metadata(path)?;
        if about.is_symlink() {
            let target = fs::read_link(path)?.to_string_lossy().into_owned();
            return Ok(File { kind: 2, content: target.into_bytes() });
        }
        let kind = u8::from(about.permissions().mode() & 0o100 != 0);
        Ok(File { kind, content: fs::read(path)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, ignore: &str) -> Tree {
            let root = std::env::temp_dir().join(format!("xtask-sources-{name}-{}", std::process::id()));
            fs::remove_dir_all(&root).ok();
            let tree = Tree(root);
            for (path, text) in [
                ("xtask/images.toml", ""),
                ("p/Dockerfile", "FROM scratch"),
                ("p/Dockerfile.dockerignore", ignore),
                ("p/src/a.py", "a"),
                ("p/src/deep/b.py", "b"),
                ("p/src/__pycache__/a.pyc", "junk"),
                ("p/x-1.lock", "1"),
                ("p/README.md", "read me"),
            ] {
                tree.write(path, text);
            }
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn hash(&self) -> Result<String> {
            hash("p/Dockerfile", &Repository::locate(Some(&self.0)).unwrap())
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    const LIST: &str = "# only\n*\n!p/src\n!p/*.lock\n!p/gone\n**/__pycache__\np/src/left.out\n";

    #[test]
    fn only_files_of_the_image_change_the_hash() {
        let tree = Tree::new("changes", LIST);
        let first = tree.hash().unwrap();
        for same in ["p/README.md", "p/src/__pycache__/a.pyc", "p/src/left.out", "p/other"] {
            tree.write(same, "changed");
            assert_eq!(tree.hash().unwrap(), first, "{same}");
        }
        let mut seen = vec![first];
        for other in
            ["p/Dockerfile", "p/src/a.py", "p/src/deep/b.py", "p/x-1.lock", "p/x-2.lock", "p/src/new"]
        {
            tree.write(other, "changed");
            let now = tree.hash().unwrap();
            assert!(!seen.contains(&now), "{other}");
            seen.push(now);
        }
    }

    #[test]
    fn moving_a_byte_between_files_changes_the_hash() {
        let tree = Tree::new("moved", LIST);
        tree.write("p/src/a.py", "ab");
        tree.write("p/src/b.py", "c");
        let first = tree.hash().unwrap();
        tree.write("p/src/a.py", "a");
        tree.write("p/src/b.py", "bc");
        assert_ne!(tree.hash().unwrap(), first);
    }

    #[test]
    fn only_allow_lists_are_accepted() {
        for (ignore, words) in
            [("**/target\n", "not an allow-list"), ("", "not an allow-list"), ("*\n!p/[a\n", "`!p/[a`")]
        {
            let error = format!("{:#}", Tree::new("refused", ignore).hash().unwrap_err());
            assert!(error.contains(words) && error.contains("p/Dockerfile.dockerignore"), "{error}");
        }
    }

    #[test]
    fn the_last_line_decides() {
        let tree = Tree::new("order", "*\n!p\np/src/deep\n!p/**/b.py\n");
        let first = tree.hash().unwrap();
        tree.write("p/src/deep/c.py", "new");
        assert_eq!(tree.hash().unwrap(), first);
        tree.write("p/src/deep/b.py", "changed");
        assert_ne!(tree.hash().unwrap(), first);
    }

    #[test]
    fn every_dockerignore_of_this_repository_is_supported() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        let repository = Repository::locate(Some(root)).unwrap();
        let manifest = model::reader::load(&repository).unwrap();
        let services = manifest.services.iter().flat_map(|service| service.dockerfiles());
        for dockerfile in services.chain(manifest.bases.iter().map(|base| base.dockerfile.as_str())) {
            hash(dockerfile, &repository).unwrap();
        }
    }
}
