//! Debian packages: the files that they list, what their installation generates, and their files in images without lists.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::attribution::claims::Claims;
use crate::facts::{Metadata, MetadataFile, Package};
use crate::owner::OwnerKind;
use crate::purl;
use crate::tree::Tree;

/// Paths that no package lists: installation or the package's programs write them.
const GENERATED: [(&str, &str); 22] = [
    ("usr/share/common-licenses/", "base-files"),
    ("etc/ssl/certs/", "ca-certificates"),
    ("etc/ca-certificates", "ca-certificates"),
    ("var/lib/apt/", "apt"),
    ("var/cache/apt/", "apt"),
    ("var/log/apt/", "apt"),
    ("var/cache/debconf/", "debconf"),
    ("var/cache/man/", "man-db"),
    ("var/cache/fontconfig/", "fontconfig"),
    ("var/lib/systemd/", "systemd"),
    ("var/lib/pam/", "libpam-runtime"),
    ("etc/pam.d/common-", "libpam-runtime"),
    ("etc/ld.so.cache", "libc-bin"),
    ("var/cache/ldconfig/", "libc-bin"),
    ("usr/lib/locale/", "locales"),
    ("usr/share/mime/", "shared-mime-info"),
    ("usr/share/info/dir", "install-info"),
    ("etc/machine-id", "systemd"),
    ("etc/passwd", "base-passwd"),
    ("etc/group", "base-passwd"),
    ("var/log/dpkg.log", "dpkg"),
    ("var/log/alternatives.log", "dpkg"),
];

/// The owner of files whose package is unknown because packages have no file lists.
pub const UNLISTED: &str = "packages without file lists";

/// Folders that packages leave alone (Filesystem Hierarchy Standard).
const LOCAL: [&str; 9] = ["usr/local", "opt", "srv", "home", "root", "tmp", "var/tmp", "app", "var/www"];

/// Claims the files that packages list. Returns the number of installed packages.
pub fn claim(tree: &Tree<'_>, metadata: &[&MetadataFile], claims: &mut Claims<'_, '_>) -> u64 {
    let release = metadata.iter().find_map(|file| match &file.metadata {
        Metadata::Os { id, version, .. } => Some((id.as_str(), version.as_str())),
        _ => None,
    });
    let installed = installed(metadata);
    for package in installed.values() {
        let owner = claims.owner(OwnerKind::Dpkg, &package.name);
        let owner = claims.owner_mut(owner);
        owner.version = Some(package.version.clone());
        owner.purl = Some(purl::deb(package, release));
        owner.source.clone_from(&package.source);
    }
    let mut folders = HashMap::new();
    for file in metadata {
        let Metadata::DpkgFiles { package, files, .. } = &file.metadata else { continue };
        let owner = claims.owner(OwnerKind::Dpkg, package);
        for path in files {
            let real = tree.listed(path, &mut folders);
            if let Some(at) = tree.file_at(&real) {
                claims.claim(at, owner);
            }
            claims.list(real, owner);
        }
    }
    installed.len() as u64
}

fn installed<'f>(metadata: &[&'f MetadataFile]) -> BTreeMap<&'f str, &'f Package> {
    let packages = metadata.iter().filter_map(|file| match &file.metadata {
        Metadata::Dpkg(packages) => Some(packages),
        _ => None,
    });
    packages.flatten().map(|package| (package.name.as_str(), package)).collect()
}

/// Claims what packages generate, dpkg's own files, and everything in folders of a single package.
pub fn generated(metadata: &[&MetadataFile], claims: &mut Claims<'_, '_>) {
    if installed(metadata).is_empty() {
        return;
    }
    let database = claims.owner(OwnerKind::Dpkg, "dpkg");
    // `usr/lib` and the like belong to everyone, even if a single package is left that lists them.
    let exclusive = claims.exclusive_folders(&[OwnerKind::Dpkg], |folder| folder.matches('/').count() < 2);
    claims.offer(|file, claims| {
        let package = |name: &str| claims.existing(OwnerKind::Dpkg, name);
        if let Some(name) = file.path.strip_prefix("var/lib/dpkg/") {
            return record_of(name).and_then(package).or(Some(database));
        }
        if let Some(rest) = file.path.strip_prefix("usr/share/doc/") {
            return package(rest.split('/').next()?);
        }
        let generated = GENERATED.iter().find(|(prefix, _)| file.path.starts_with(prefix));
        if let Some(owner) =
            generated.and_then(|(_, name)| package(name)).or_else(|| zipped(file.path, claims))
        {
            return Some(owner);
        }
        let is_local =
            |local: &&str| file.path.strip_prefix(*local).is_some_and(|rest| rest.starts_with('/'));
        if LOCAL.iter().any(is_local) { None } else { exclusive.owner(file.path) }
    });
}

/// The package that a file below `var/lib/dpkg` describes.
fn record_of(name: &str) -> Option<&str> {
    let file = name.strip_prefix("status.d/").or_else(|| name.strip_prefix("info/"))?;
    let endings = ".md5sums .list .postinst .preinst .postrm .prerm .conffiles .shlibs .symbols .triggers .templates .config";
    let stem = endings.split(' ').find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    stem.split(':').next()
}

/// CPython can load its library from `usr/lib/python313.zip`, which belongs to the library's package.
fn zipped(path: &str, claims: &Claims<'_, '_>) -> Option<usize> {
    let digits = path.strip_prefix("usr/lib/python")?.strip_suffix(".zip")?;
    let (major, minor) = digits.split_at_checked(1)?;
    claims.existing(OwnerKind::Dpkg, &format!("libpython{major}.{minor}-stdlib"))
}

/// Claims the rest below `/usr` for packages without file lists: libraries by the package name that Debian's policy gives
/// them, everything else for all such packages together.
pub fn unlisted(metadata: &[&MetadataFile], claims: &mut Claims<'_, '_>) {
    let listed: HashSet<&str> = metadata
        .iter()
        .filter_map(|file| match &file.metadata {
            Metadata::DpkgFiles { package, files, .. } if !files.is_empty() => Some(package.as_str()),
            _ => None,
        })
        .collect();
    let without: Vec<&str> = installed(metadata).into_keys().filter(|name| !listed.contains(name)).collect();
    if without.is_empty() {
        return;
    }
    let all = claims.owner(OwnerKind::Dpkg, UNLISTED);
    claims.offer(|file, claims| {
        let below = file.path.strip_prefix("usr/").or_else(|| file.path.strip_prefix("etc/"))?;
        if below.starts_with("local/") || file.path.starts_with("usr/share/") {
            return None;
        }
        let by_name = library_packages(file.name()).into_iter().find(|name| without.contains(&name.as_str()));
        by_name.and_then(|name| claims.existing(OwnerKind::Dpkg, &name)).or(Some(all))
    });
    copyright(claims);
}

/// `libstdc++.so.6.0.33` is in `libstdc++6` (Debian Policy, 8.1), or in `libstdc++6t64`.
fn library_packages(file: &str) -> Vec<String> {
    let Some((stem, version)) = file.split_once(".so.") else { return Vec::new() };
    let major = version.split('.').next().unwrap_or_default();
    let dash = if stem.ends_with(|last: char| last.is_ascii_digit()) { "-" } else { "" };
    let name = format!("{}{dash}{major}", stem.to_lowercase().replace('_', "-"));
    vec![format!("{name}t64"), name]
}

/// Of a package that is linked into a program, only the copyright file may be in the image.
pub fn copyright(claims: &mut Claims<'_, '_>) {
    for file in claims.unclaimed() {
        let package =
            file.path.strip_prefix("usr/share/doc/").and_then(|rest| rest.strip_suffix("/copyright"));
        if let Some(package) = package.filter(|name| !name.contains('/')) {
            let owner = claims.owner(OwnerKind::Dpkg, package);
            claims.claim(file.at, owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_belong_to_the_package_of_debians_policy() {
        assert!(library_packages("libstdc++.so.6.0.33").contains(&"libstdc++6".to_owned()));
        assert!(library_packages("libpcre2-8.so.0").contains(&"libpcre2-8-0".to_owned()));
        assert!(library_packages("libx.so").is_empty());
    }

    #[test]
    fn dpkg_files_name_their_package() {
        assert_eq!(record_of("status.d/libc6.md5sums"), Some("libc6"));
        assert_eq!(record_of("info/libc6:amd64.list"), Some("libc6"));
        assert_eq!(record_of("status"), None);
    }
}
