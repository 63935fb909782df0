//! Rules for files that stay even if never opened, each with its reason.

/// Files that stay in every image: paths, or folders that end with a slash.
pub(super) const ALWAYS: [(&str, &str); 15] = [
    ("etc/passwd", "engines look up the user in it"),
    ("etc/group", "engines look up the group in it"),
    ("etc/nsswitch.conf", "the C library resolves names by it"),
    ("etc/ld.so.cache", "the loader finds libraries by it"),
    ("etc/os-release", "scanners identify the system by it"),
    ("usr/lib/os-release", "scanners identify the system by it"),
    ("etc/alpine-release", "scanners identify the system by it"),
    ("etc/debian_version", "scanners identify the system by it"),
    ("etc/ssl/certs/ca-certificates.crt", "outgoing TLS needs it, and probes rarely make any"),
    ("etc/ssl/cert.pem", "outgoing TLS needs it, and probes rarely make any"),
    ("usr/share/common-licenses/", "copyright files refer to these licences"),
    ("var/lib/dpkg/status", "scanners and `analyze` read the package database"),
    ("lib/apk/db/installed", "scanners and `analyze` read the package database"),
    ("var/lib/rpm/", "scanners and `analyze` read the package database"),
    ("usr/lib/sysimage/rpm/", "scanners and `analyze` read the package database"),
];

/// The reason if a file shares the fate of its owner: metadata and licences.
pub(super) fn of_owner(path: &str) -> Option<&'static str> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_metadata = match folder {
        "var/lib/dpkg/info" => name.ends_with(".list") || name.ends_with(".md5sums"),
        "var/lib/dpkg/status.d" => true,
        _ => {
            let is_record = |part: &str| part.ends_with(".dist-info") || part.ends_with(".egg-info");
            path.split('/').any(is_record) || name == "package.json" && folder.contains("node_modules/")
        }
    };
    let upper = name.to_uppercase();
    let is_licence = name == "copyright"
        || ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|word| upper.starts_with(word));
    match (is_metadata, is_licence) {
        (true, _) => Some("scanners and `analyze` read the package's metadata"),
        (_, true) => Some("distributing the image requires the licence"),
        _ => None,
    }
}

/// A file that is used without being opened, together with one that stays; and the reason.
pub(super) fn companion(path: &str) -> Option<(String, &'static str)> {
    // FOLDER/__pycache__/NAME.cpython-313.pyc, also NAME.cpython-313.opt-1.pyc (PEP 3147, PEP 488).
    let (folder, name) = path.strip_suffix(".pyc")?.rsplit_once('/')?;
    let folder = folder.strip_suffix("__pycache__")?;
    let (module, _) = name.split_once('.')?;
    Some((
        format!("{folder}{module}.py"),
        "CPython checks the source's size and time before it uses byte-code",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_code_needs_its_source() {
        let source = |path: &str| companion(path).map(|(source, _)| source);
        assert_eq!(source("a/__pycache__/b.cpython-313.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source("a/__pycache__/b.cpython-313.opt-2.pyc").as_deref(), Some("a/b.py"));
        assert_eq!(source("__pycache__/b.cpython-313.pyc").as_deref(), Some("b.py"));
        assert_eq!(source("a/b.pyc"), None, "byte-code without source, which CPython imports as it is");
        assert_eq!(source("a/b.py"), None);
    }

    #[test]
    fn metadata_and_licences_follow_their_owner() {
        for path in [
            "var/lib/dpkg/info/libc6:amd64.list",
            "var/lib/dpkg/status.d/libc6",
            "usr/lib/python3/dist-packages/six.dist-info/licenses/LICENSE",
            "usr/share/doc/libc6/copyright",
            "app/node_modules/left-pad/package.json",
            "opt/tool/LICENSE.txt",
        ] {
            assert!(of_owner(path).is_some(), "{path}");
        }
        for path in ["var/lib/dpkg/info/libc6.postinst", "app/package.json", "usr/lib/libcopyright.so"] {
            assert_eq!(of_owner(path), None, "{path}");
        }
    }
}
