//! Debian's packages: what they list, what their installation makes, and what they left in images without lists.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::facts::{Note, Package, Says};
use crate::owner::OwnerKind;
use crate::owners::claims::Claims;
use crate::owners::{encoded, release};
use crate::tree::Tree;

/// What no package lists, since its installation or its programs write it.
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

/// The name under which packages stand together that left no list of their files.
pub const UNLISTED: &str = "packages without file lists";

/// Nobody's folders by the Filesystem Hierarchy Standard: packages put nothing there.
const LOCAL: [&str; 9] = ["usr/local", "opt", "srv", "home", "root", "tmp", "var/tmp", "app", "var/www"];

/// Claims what packages list, and their own records. Returns how many packages are installed.
pub fn claim(tree: &Tree<'_>, notes: &[&Note], claims: &mut Claims<'_, '_>) -> u64 {
    let release = release(notes);
    let installed = installed(notes);
    for package in installed.values() {
        let owner = claims.owner(OwnerKind::Dpkg, &package.name);
        let (id, distro) = release.clone().unwrap_or_else(|| ("debian".to_owned(), String::new()));
        let mut qualifiers: Vec<String> = Vec::new();
        qualifiers.extend(package.architecture.as_ref().map(|name| format!("arch={}", encoded(name))));
        qualifiers.extend(
            Some(distro).filter(|name| !name.is_empty()).map(|name| format!("distro={}", encoded(&name))),
        );
        let about = claims.about(owner);
        about.version = Some(package.version.clone());
        about.purl = Some(format!(
            "pkg:deb/{}/{}@{}{}{}",
            encoded(&id),
            encoded(&package.name),
            encoded(&package.version),
            if qualifiers.is_empty() { "" } else { "?" },
            qualifiers.join("&")
        ));
    }
    let mut folders = HashMap::new();
    for note in notes {
        let Says::DpkgFiles { package, files } = &note.says else { continue };
        let owner = claims.owner(OwnerKind::Dpkg, package);
        for path in files {
            let real = real(tree, path, &mut folders);
            if let Some(at) = tree.file_at(&real) {
                claims.claim(at, owner);
            }
            claims.list(real, owner);
        }
    }
    installed.len() as u64
}

/// Lists may name `/lib/x` where `/lib` is a link to `usr/lib`.
fn real(tree: &Tree<'_>, path: &str, folders: &mut HashMap<String, String>) -> String {
    if tree.file_at(path).is_some() {
        return path.to_owned();
    }
    let Some((folder, name)) = path.rsplit_once('/') else { return path.to_owned() };
    // The folder and what is in it: only folders' links are followed.
    let found = folders
        .entry(folder.to_owned())
        .or_insert_with(|| tree.real(&format!("{folder}/.")).trim_end_matches('/').to_owned());
    if found.is_empty() { name.to_owned() } else { format!("{found}/{name}") }
}

fn installed<'n>(notes: &[&'n Note]) -> BTreeMap<&'n str, &'n Package> {
    let packages = notes.iter().filter_map(|note| match &note.says {
        Says::Dpkg(packages) => Some(packages),
        _ => None,
    });
    packages.flatten().map(|package| (package.name.as_str(), package)).collect()
}

/// Claims what installing packages makes, their records, and what lies in folders that one package alone brings.
pub fn generated(notes: &[&Note], claims: &mut Claims<'_, '_>) {
    if installed(notes).is_empty() {
        return;
    }
    let database = claims.owner(OwnerKind::Dpkg, "dpkg");
    let exclusive = exclusive_folders(claims);
    claims.offer(|file, claims| {
        let package = |name: &str| claims.known(OwnerKind::Dpkg, name);
        if let Some(name) = file.path.strip_prefix("var/lib/dpkg/") {
            return record_of(name).and_then(package).or(Some(database));
        }
        if let Some(rest) = file.path.strip_prefix("usr/share/doc/") {
            return package(rest.split('/').next()?);
        }
        let made = GENERATED.iter().find(|(prefix, _)| file.path.starts_with(prefix));
        if let Some(owner) = made.and_then(|(_, name)| package(name)).or_else(|| zipped(file.path, claims)) {
            return Some(owner);
        }
        if LOCAL.iter().any(|local| file.path.strip_prefix(local).is_some_and(|rest| rest.starts_with('/'))) {
            return None;
        }
        let mut folder = file.path;
        while let Some((above, _)) = folder.rsplit_once('/') {
            // `usr/lib` and its like are everybody's, even where one package alone is left to name them.
            if above.matches('/').count() < 2 {
                return None;
            }
            if let Some(owner) = exclusive.get(above) {
                return *owner;
            }
            folder = above;
        }
        None
    });
}

/// The package of a file in dpkg's own folder.
fn record_of(name: &str) -> Option<&str> {
    let file = name.strip_prefix("status.d/").or_else(|| name.strip_prefix("info/"))?;
    let known = [
        ".md5sums",
        ".list",
        ".postinst",
        ".preinst",
        ".postrm",
        ".prerm",
        ".conffiles",
        ".shlibs",
        ".symbols",
        ".triggers",
        ".templates",
        ".config",
    ];
    let stem = known.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(file);
    stem.split(':').next()
}

/// CPython looks for its library in an archive first; whoever packs it into one changes nothing about whose it is.
fn zipped(path: &str, claims: &Claims<'_, '_>) -> Option<usize> {
    let digits = path.strip_prefix("usr/lib/python")?.strip_suffix(".zip")?;
    let (major, minor) = digits.split_at_checked(1)?;
    claims.known(OwnerKind::Dpkg, &format!("libpython{major}.{minor}-stdlib"))
}

/// Paths that packages list, with the one package that does; nothing where several do.
fn exclusive_folders(claims: &Claims<'_, '_>) -> HashMap<String, Option<usize>> {
    let mut folders: HashMap<String, Option<usize>> = HashMap::new();
    for (path, owner) in claims.all_listed() {
        if claims.owners()[owner].kind != OwnerKind::Dpkg {
            continue;
        }
        let mut rest = path;
        while let Some((folder, _)) = rest.rsplit_once('/') {
            match folders.get_mut(folder) {
                Some(Some(other)) if *other == owner => break,
                Some(shared) => *shared = None,
                None => drop(folders.insert(folder.to_owned(), Some(owner))),
            }
            rest = folder;
        }
    }
    folders
}

/// Claims what is left below `/usr` for packages that left no list of files: a library by the name that Debian's policy
/// gives its package, and the rest for all of them together.
pub fn unlisted(notes: &[&Note], claims: &mut Claims<'_, '_>) {
    let listed: HashSet<&str> = notes
        .iter()
        .filter_map(|note| match &note.says {
            Says::DpkgFiles { package, .. } => Some(package.as_str()),
            _ => None,
        })
        .collect();
    let without: Vec<&str> = installed(notes).into_keys().filter(|name| !listed.contains(name)).collect();
    if without.is_empty() {
        return;
    }
    let all = claims.owner(OwnerKind::Dpkg, UNLISTED);
    claims.offer(|file, claims| {
        let below = file.path.strip_prefix("usr/").or_else(|| file.path.strip_prefix("etc/"))?;
        if below.starts_with("local/") || file.path.starts_with("usr/share/") {
            return None;
        }
        let name = file.path.rsplit('/').next()?;
        let by_name = library_packages(name).into_iter().find(|name| without.contains(&name.as_str()));
        by_name.and_then(|name| claims.known(OwnerKind::Dpkg, &name)).or(Some(all))
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

/// Where a program holds a package's code, only the package's copyright file may be there.
pub fn copyright(claims: &mut Claims<'_, '_>) {
    for file in claims.free() {
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
    fn a_librarys_package_is_named_by_policy() {
        assert!(library_packages("libstdc++.so.6.0.33").contains(&"libstdc++6".to_owned()));
        assert!(library_packages("libpcre2-8.so.0").contains(&"libpcre2-8-0".to_owned()));
        assert!(library_packages("libx.so").is_empty());
    }

    #[test]
    fn records_name_their_package() {
        assert_eq!(record_of("status.d/libc6.md5sums"), Some("libc6"));
        assert_eq!(record_of("info/libc6:amd64.list"), Some("libc6"));
        assert_eq!(record_of("status"), None);
    }
}
