//! What an image is made from, as one hash: its Dockerfile and every file of its build context.
//!
//! The context is an allow-list (`*`, then `!PATH` lines, then exceptions to them); its form is the one that this repository's
//! `.dockerignore` files have, and anything else is refused rather than misread. Of a Cargo workspace only what the image is
//! built from counts (`cargo`): a new dependency of another member changes no image.

pub mod cargo;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use host::files;
use host::paths::Repository;

/// The hash of a Dockerfile and its context, in hexadecimal.
///
/// # Errors
/// When a file cannot be read, or the `.dockerignore` is no allow-list.
pub fn hash(dockerfile: &str, repository: &Repository) -> Result<String> {
    let path =
        repository.file(dockerfile).with_context(|| format!("`{dockerfile}` leads out of the repository"))?;
    let ignore = format!("{dockerfile}.dockerignore");
    let list = repository.file(&ignore).with_context(|| format!("`{ignore}` leads out of the repository"))?;
    let list = AllowList::parse(&files::read(&list)?).with_context(|| ignore.clone())?;
    let mut found = list.files(repository.root())?;
    found.push(path);
    let material = Material::read(&found, repository.root())?;
    let mut hash = Sha256::new();
    for (name, file) in &material.0 {
        // Lengths stand before contents, so that no two trees give one stream of bytes. Git keeps of the mode only whether
        // a file can be run.
        hash.update([file.kind]);
        for part in [name.to_string_lossy().as_bytes(), &file.content] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part);
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a build is given, as far as it can change an image; by name.
struct Material(BTreeMap<PathBuf, File>);

struct File {
    /// 0 a file, 1 one that can be run, 2 a link.
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

#[derive(Debug, PartialEq, Eq)]
struct AllowList {
    /// Paths that are let in, by their parts; `*` stands for any run of characters within one part.
    allowed: Vec<Vec<String>>,
    /// What is kept out of them.
    refused: Vec<Refused>,
}

/// What is kept out, with all that is below it.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    /// Below any folder (`**/`), or the root alone.
    anywhere: bool,
    parts: Vec<String>,
}

impl AllowList {
    fn parse(text: &str) -> Result<AllowList> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        if lines.next() != Some("*") {
            bail!("it is no allow-list: begin with `*`, then let in what the build needs with `!PATH`");
        }
        let mut list = AllowList { allowed: Vec::new(), refused: Vec::new() };
        for line in lines {
            match line.strip_prefix('!') {
                // To Docker the last line that fits decides; here order means nothing.
                Some(_) if !list.refused.is_empty() => {
                    bail!("`{line}` stands below what is kept out: let in first, then keep out")
                }
                Some(path) => list.allowed.push(parts(path)?),
                None => {
                    let below = line.strip_prefix("**/");
                    let parts = parts(below.unwrap_or(line))?;
                    list.refused.push(Refused { anywhere: below.is_some(), parts });
                }
            }
        }
        Ok(list)
    }

    fn files(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for pattern in &self.allowed {
            self.expand(root, root, pattern, &mut found)?;
        }
        Ok(found)
    }

    fn expand(&self, root: &Path, at: &Path, parts: &[String], found: &mut Vec<PathBuf>) -> Result<()> {
        let Some((first, rest)) = parts.split_first() else {
            return self.walk(root, at, found);
        };
        if !first.contains('*') {
            let next = at.join(first);
            // What is let in and is not there is let in all the same, as Docker has it.
            return if next.symlink_metadata().is_ok() {
                self.expand(root, &next, rest, found)
            } else {
                Ok(())
            };
        }
        for next in entries(at)? {
            let name = next.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if fits(first, &name) {
                self.expand(root, &next, rest, found)?;
            }
        }
        Ok(())
    }

    fn walk(&self, root: &Path, at: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        if self.refuses(at.strip_prefix(root).unwrap_or(at)) {
            return Ok(());
        }
        if at.is_symlink() || at.is_file() {
            found.push(at.to_owned());
        } else if at.is_dir() {
            for next in entries(at)? {
                self.walk(root, &next, found)?;
            }
        }
        Ok(())
    }

    /// Whether a path, or a folder that it is in, is kept out.
    fn refuses(&self, path: &Path) -> bool {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        self.refused.iter().any(|refused| {
            let count = refused.parts.len();
            let mut starts =
                0..(parts.len() + 1).saturating_sub(count).min(if refused.anywhere { usize::MAX } else { 1 });
            starts.any(|start| refused.parts.iter().zip(&parts[start..]).all(|(part, name)| fits(part, name)))
        })
    }
}

/// The parts of a path in a list.
fn parts(path: &str) -> Result<Vec<String>> {
    let parts: Vec<String> = path.trim().trim_matches('/').split('/').map(str::to_owned).collect();
    let is_strange = |part: &String| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.contains("**")
            || part.contains(['?', '[', '\\'])
    };
    if parts.iter().any(is_strange) {
        bail!("`{path}` has a pattern that is not read here: name paths, with `*` within a part");
    }
    Ok(parts)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| format!("cannot list {}", dir.display()))
}

/// Whether a part of a path fits a pattern in which `*` is any run of characters.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(tail, &rest[at..]))
        }),
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
    fn what_the_image_is_made_from_changes_the_hash_and_nothing_else_does() {
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
    fn a_moved_byte_is_a_change() {
        let tree = Tree::new("moved", LIST);
        tree.write("p/src/a.py", "ab");
        tree.write("p/src/b.py", "c");
        let first = tree.hash().unwrap();
        tree.write("p/src/a.py", "a");
        tree.write("p/src/b.py", "bc");
        assert_ne!(tree.hash().unwrap(), first);
    }

    #[test]
    fn what_is_no_allow_list_is_refused() {
        for (ignore, words) in [
            ("**/target\n", "no allow-list"),
            ("*\n!p/**/x\n", "`p/**/x`"),
            ("*\n!**/x\n", "`**/x`"),
            ("*\n!p/[a]\n", "`p/[a]`"),
            ("*\n!p/src/../x\n", "`p/src/../x`"),
            ("*\n!p\np/src\n!p/src/a.py\n", "`!p/src/a.py` stands below what is kept out"),
        ] {
            let error = format!("{:#}", Tree::new("refused", ignore).hash().unwrap_err());
            assert!(error.contains(words) && error.contains("p/Dockerfile.dockerignore"), "{error}");
        }
    }

    #[test]
    fn what_is_kept_out_is_what_docker_keeps_out() {
        let out = |list: &str, path: &str| {
            AllowList::parse(&format!("*\n!p\n{list}\n")).unwrap().refuses(Path::new(path))
        };
        // A star ends with its part.
        assert!(out("p/*.pyc", "p/a.pyc") && !out("p/*.pyc", "p/src/a.pyc"));
        assert!(out("p/*/a.py", "p/src/a.py") && !out("p/*/a.py", "p/src/deep/a.py"));
        // What is in a folder that is kept out is kept out with it, and so is what was let in below it.
        assert!(out("p/src", "p/src/deep/b.py") && !out("p/src", "q/p/src"));
        // Two stars are any folders, none too, before all of what follows.
        assert!(out("**/src/a.py", "p/src/a.py") && out("**/src/a.py", "src/a.py"));
        assert!(!out("**/src/a.py", "p/a.py") && !out("**/src/a.py", "p/src/deep/a.py"));
        assert!(out("**/__pycache__", "p/src/__pycache__/x/a.pyc"));
    }

    #[test]
    fn a_path_let_in_below_a_folder_that_is_kept_out_is_out() {
        let tree = Tree::new("below", "*\n!p/src/deep\np/src\n");
        let first = tree.hash().unwrap();
        tree.write("p/src/deep/b.py", "changed");
        assert_eq!(tree.hash().unwrap(), first);
    }

    #[test]
    fn every_context_of_this_repository_has_a_list_that_is_read() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."));
        let repository = Repository::locate(Some(root)).unwrap();
        let manifest = model::reader::load(&repository).unwrap();
        let services = manifest.services.iter().flat_map(|service| [&service.original, &service.optimized]);
        for dockerfile in services.chain(manifest.bases.iter().map(|base| &base.dockerfile)) {
            hash(dockerfile, &repository).unwrap();
        }
    }
}
