//! Python distributions: the files that they record, their byte-code, and the rest of their folders.

use std::collections::HashMap;

use crate::attribution::claims::{Claims, folders_above};
use crate::facts::{Metadata, MetadataFile, Package};
use crate::owner::OwnerKind;
use crate::paths::joined;
use crate::purl;
use crate::tree::Tree;

/// Claims the files that distributions record. Returns the number of distributions.
pub fn claim(tree: &Tree<'_>, metadata: &[&MetadataFile], claims: &mut Claims<'_, '_>) -> u64 {
    let folder = |file: &MetadataFile| file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let local = metadata.iter().filter(|file| file.metadata == Metadata::DistIsLocal);
    let local: Vec<String> = local.map(|file| folder(file)).collect();
    let mut owners: HashMap<String, usize> = HashMap::new();
    for file in metadata {
        let Metadata::Dist(package) = &file.metadata else { continue };
        // Debian's Python packages are distributions too, but belong to dpkg.
        if claims.lister(&file.path).is_some() {
            continue;
        }
        let folder = folder(file);
        let kind = if local.contains(&folder) { OwnerKind::Own } else { OwnerKind::Python };
        owners.insert(folder, describe(claims, kind, package));
    }
    for (folder, &owner) in &owners {
        claims.list(format!("{folder}/"), owner);
    }
    claims.offer(|file, _| owners.get(file.path.rsplit_once('/')?.0).copied());
    for file in metadata {
        let Metadata::DistFiles { files, .. } = &file.metadata else { continue };
        let folder = folder(file);
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
    let owner = claims.owner_of_version(kind, &package.name, &package.version);
    let filled = claims.owner_mut(owner);
    filled.licence.clone_from(&package.licence);
    // A distribution from a local folder is not on PyPI.
    if kind == OwnerKind::Python {
        filled.purl = Some(purl::pypi(package));
    }
    owner
}

/// Byte-code belongs to its source's owner, even if the source is gone.
pub fn byte_code(claims: &mut Claims<'_, '_>) {
    claims.offer(|file, claims| claims.lister(&source_of(file.path)?));
}

/// The source of byte-code: `x.py` for `__pycache__/x.cpython-313.pyc` and `x.pyc`.
pub fn source_of(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let stem = name.strip_suffix(".pyc")?;
    match folder.strip_suffix("/__pycache__") {
        Some(above) => Some(format!("{above}/{}.py", stem.split('.').next()?)),
        None => Some(format!("{folder}/{stem}.py")),
    }
}

/// Claims everything in folders where a single distribution has files.
pub fn folders(claims: &mut Claims<'_, '_>) {
    let exclusive = claims.exclusive_folders(&[OwnerKind::Python, OwnerKind::Own], is_site);
    // Only below a folder of packages: `usr/local/bin` belongs to everyone.
    let is_below_site = |path: &str| folders_above(path).any(is_site);
    claims.offer(|file, _| is_below_site(file.path).then(|| exclusive.owner(file.path)).flatten());
}

/// Whether a folder is one that distributions are installed into.
fn is_site(folder: &str) -> bool {
    matches!(folder.rsplit('/').next(), Some("site-packages" | "dist-packages"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_has_a_source() {
        assert_eq!(source_of("a/__pycache__/b.cpython-313.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source_of("a/b.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source_of("a/b.py"), None);
    }
}
