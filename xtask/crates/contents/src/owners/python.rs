//! Python's distributions: what they record, the byte-code of it, and what their folders hold besides.

use std::collections::HashMap;

use crate::facts::{Note, Package, Says};
use crate::owner::OwnerKind;
use crate::owners::claims::Claims;
use crate::owners::encoded;
use crate::tree::Tree;

/// Claims what distributions record. Returns how many there are.
pub fn claim(tree: &Tree<'_>, notes: &[&Note], claims: &mut Claims<'_, '_>) -> u64 {
    let folder =
        |note: &Note| note.path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();
    let local: Vec<String> =
        notes.iter().filter(|note| note.says == Says::DistIsLocal).map(|note| folder(note)).collect();
    let mut owners: HashMap<String, usize> = HashMap::new();
    for note in notes {
        let Says::Dist(package) = &note.says else { continue };
        let folder = folder(note);
        // Debian's Python packages are distributions too, and dpkg's.
        if claims.lister(&note.path).is_some() {
            continue;
        }
        let kind = if local.contains(&folder) { OwnerKind::Own } else { OwnerKind::Python };
        let owner = describe(claims, kind, package);
        owners.insert(folder, owner);
    }
    for (folder, &owner) in &owners {
        claims.list(format!("{folder}/"), owner);
    }
    claims.offer(|file, _| owners.get(file.path.rsplit_once('/')?.0).copied());
    for note in notes {
        let Says::DistFiles(files) = &note.says else { continue };
        let folder = folder(note);
        let Some(&owner) = owners.get(&folder) else { continue };
        let site = folder.rsplit_once('/').map_or("", |(site, _)| site);
        for file in files {
            let path = joined(site, file);
            if let Some(at) = tree.file_at(&path) {
                claims.claim(at, owner);
            }
            claims.list(path, owner);
        }
    }
    owners.len() as u64
}

fn describe(claims: &mut Claims<'_, '_>, kind: OwnerKind, package: &Package) -> usize {
    let owner = claims.version(kind, &package.name, &package.version);
    let about = claims.about(owner);
    about.licence.clone_from(&package.licence);
    // What was installed from a folder is on no index.
    if kind == OwnerKind::Python {
        let name = package.name.to_lowercase().replace(['_', '.'], "-");
        about.purl = Some(format!("pkg:pypi/{}@{}", encoded(&name), encoded(&package.version)));
    }
    owner
}

/// A recorded path: relative to the folder of the distribution's own, or absolute.
fn joined(site: &str, file: &str) -> String {
    let whole = if file.starts_with('/') { file.to_owned() } else { format!("{site}/{file}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Byte-code belongs to whom its source does, even where that is gone: `__pycache__/x.cpython-313.pyc` and `x.pyc` are `x.py`.
pub fn byte_code(claims: &mut Claims<'_, '_>) {
    claims.offer(|file, claims| claims.lister(&source_of(file.path)?));
}

/// The path of the source that byte-code comes from.
pub fn source_of(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let stem = name.strip_suffix(".pyc")?;
    match folder.strip_suffix("/__pycache__") {
        Some(above) => Some(format!("{above}/{}.py", stem.split('.').next()?)),
        None => Some(format!("{folder}/{stem}.py")),
    }
}

/// What lies in a folder in which one distribution alone has files is that distribution's.
pub fn folders(claims: &mut Claims<'_, '_>) {
    let mut exclusive: HashMap<String, Option<usize>> = HashMap::new();
    for (path, owner) in claims.all_listed() {
        if !matches!(claims.owners()[owner].kind, OwnerKind::Python | OwnerKind::Own) {
            continue;
        }
        let mut rest = path;
        while let Some((folder, _)) = rest.rsplit_once('/') {
            if is_site(folder) {
                break;
            }
            match exclusive.get_mut(folder) {
                Some(Some(other)) if *other == owner => break,
                Some(shared) => *shared = None,
                None => drop(exclusive.insert(folder.to_owned(), Some(owner))),
            }
            rest = folder;
        }
    }
    claims.offer(|file, _| {
        let mut rest = file.path;
        // Only below a folder of packages: `usr/local/bin` is nobody's.
        if !rest.split('/').any(is_site) {
            return None;
        }
        while let Some((folder, _)) = rest.rsplit_once('/') {
            if is_site(folder) {
                return None;
            }
            if let Some(owner) = exclusive.get(folder) {
                return *owner;
            }
            rest = folder;
        }
        None
    });
}

/// Whether a folder holds packages.
fn is_site(folder: &str) -> bool {
    matches!(folder.rsplit('/').next(), Some("site-packages" | "dist-packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_names_its_source() {
        assert_eq!(source_of("a/__pycache__/b.cpython-313.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source_of("a/b.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source_of("a/b.py"), None);
    }

    #[test]
    fn recorded_paths_never_leave_the_image() {
        assert_eq!(joined("usr/lib/python3/dist-packages", "../../../bin/x"), "usr/bin/x");
        assert_eq!(joined("a", "../../../../etc/passwd"), "etc/passwd");
        assert_eq!(joined("a", "/opt/x"), "opt/x");
    }
}
