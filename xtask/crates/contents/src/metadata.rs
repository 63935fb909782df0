//! Parses metadata files: dpkg's database and its distroless form, Python distributions, npm packages, os-release,
//! ld.so.conf, the first lines of scripts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use crate::facts::{Metadata, Package, SourcePackage};

/// The largest metadata file that is read: PyTorch's RECORD has about two megabytes.
pub const MAX_BYTES: u64 = 16_000_000;

/// Whether a file at this path may be a metadata file.
pub fn is_read(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let dpkg = || match folder {
        "var/lib/dpkg" => name == "status",
        "var/lib/dpkg/info" => name.ends_with(".list") || name.ends_with(".md5sums"),
        "var/lib/dpkg/status.d" => true,
        _ => false,
    };
    let dist = || {
        (folder.ends_with(".dist-info") && matches!(name, "METADATA" | "RECORD" | "direct_url.json"))
            || (folder.ends_with(".egg-info") && name == "PKG-INFO")
    };
    dpkg()
        || dist()
        || is_loader_list(path)
        || (name == "package.json" && npm_root(path) == Some(folder))
        || is_release(path)
}

fn is_release(path: &str) -> bool {
    matches!(path, "usr/lib/os-release" | "etc/os-release")
}

fn is_loader_list(path: &str) -> bool {
    path == "etc/ld.so.conf" || (path.starts_with("etc/ld.so.conf.d/") && path.ends_with(".conf"))
}

/// The longest first line of a script that Linux reads (`BINPRM_BUF_SIZE`, linux/binfmts.h).
pub const MAX_SHEBANG: usize = 256;

/// The words of a script's first line, from the script's first bytes: the interpreter and its arguments (execve(2)).
pub fn script(head: &[u8]) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(head.strip_prefix(b"#!")?);
    // Without its end the line may name only the start of a path.
    let (line, _) = text.split_once('\n')?;
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(words)
}

/// The folder of the innermost npm package around a path: `…/node_modules/NAME` or `…/node_modules/@SCOPE/NAME`.
pub fn npm_root(path: &str) -> Option<&str> {
    let marker = "node_modules/";
    let start = match path.rfind("/node_modules/") {
        Some(at) => at + 1,
        None => path.starts_with(marker).then_some(0)?,
    } + marker.len();
    let rest = &path[start..];
    let mut ends = rest.match_indices('/').map(|(at, _)| at);
    let end = if rest.starts_with('@') { ends.nth(1)? } else { ends.next()? };
    (!rest.starts_with('.')).then(|| &path[..start + end])
}

/// What a metadata file says; `None` if it cannot be parsed.
pub fn read(path: &str, bytes: &[u8]) -> Option<Metadata> {
    let text = String::from_utf8_lossy(bytes);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if is_release(path) {
        return release(&text);
    }
    if is_loader_list(path) {
        let folders = text.lines().map(str::trim).filter(|line| line.starts_with('/'));
        return Some(Metadata::LoaderFolders(folders.map(relative).collect()));
    }
    match (folder, name) {
        (_, "package.json") => npm(bytes),
        ("var/lib/dpkg/info", name) => {
            let (package, kind) = name.rsplit_once('.')?;
            // `NAME:ARCHITECTURE` where several architectures can be installed.
            let package = package.split(':').next()?.to_owned();
            let paths = || text.lines().map(relative).filter(|path| !path.is_empty());
            // The `.list` file already has the paths.
            let (files, md5) = match kind {
                "list" => (paths().collect(), Vec::new()),
                _ => (Vec::new(), md5_sums(&text).collect()),
            };
            Some(Metadata::DpkgFiles { package, files, md5 })
        }
        ("var/lib/dpkg/status.d", name) if name.ends_with(".md5sums") => {
            let lines = text.lines().filter_map(|line| line.split_once("  "));
            Some(Metadata::DpkgFiles {
                package: name.trim_end_matches(".md5sums").to_owned(),
                files: lines.map(|(_, path)| relative(path)).collect(),
                md5: md5_sums(&text).collect(),
            })
        }
        (_, "status") | ("var/lib/dpkg/status.d", _) => Some(Metadata::Dpkg(packages(&text))),
        (_, "RECORD") => Some(Metadata::DistFiles {
            files: text.lines().filter_map(recorded).collect(),
            sha256: text.lines().filter_map(recorded_hash).collect(),
        }),
        (_, "direct_url.json") => local(bytes),
        _ => dist(&text),
    }
}

/// A path without leading and trailing slashes and dots: `/.` is the root.
fn relative(path: &str) -> String {
    path.trim_start_matches("./").trim_matches('/').trim_end_matches("/.").trim_matches('.').to_owned()
}

/// The installed packages in a control file (deb-control(5)).
fn packages(text: &str) -> Vec<Package> {
    let mut found = Vec::new();
    for paragraph in text.split("\n\n") {
        let field = |name: &str| field(paragraph, name).map(str::to_owned);
        let (Some(name), Some(version)) = (field("Package"), field("Version")) else { continue };
        let status = field("Status").unwrap_or_default();
        // Paragraphs of status.d have no status. Removed packages that left their configuration keep a paragraph.
        if status.is_empty() || status.ends_with(" installed") || status.contains("triggers-") {
            let architecture = field("Architecture");
            let source = Some(source(field("Source").as_deref(), &name, &version));
            found.push(Package { name, version, architecture, source, ..Package::default() });
        }
    }
    found
}

/// The source package: `Source: NAME` or `Source: NAME (VERSION)`, which is left out where name or version are the binary
/// package's (deb-control(5)). A binary rebuild's version ends with `+bN`.
fn source(field: Option<&str>, name: &str, version: &str) -> SourcePackage {
    let (source, stated) = match field.and_then(|field| field.split_once(' ')) {
        Some((source, stated)) => (source, Some(stated.trim().trim_matches(['(', ')']))),
        None => (field.unwrap_or(name), None),
    };
    SourcePackage { name: source.to_owned(), version: stated.unwrap_or(version).to_owned() }
}

fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    fields(text, name).next()
}

/// The values of a one-line field, which may occur several times.
fn fields<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    text.lines()
        // The body of a METADATA file may contain lines that look like fields.
        .take_while(|line| !line.is_empty())
        .filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
        .filter(|value| !value.is_empty())
}

/// The path in a line of RECORD (a CSV file: Python packaging specification, "Recording installed projects").
fn recorded(line: &str) -> Option<String> {
    let path = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once("\",")?.0.replace("\"\"", "\""),
        None => line.split(',').next()?.to_owned(),
    };
    (!path.is_empty()).then_some(path)
}

/// The SHA-256 sum in a line of RECORD.
fn recorded_hash(line: &str) -> Option<[u8; 32]> {
    let (_, rest) = line.rsplit_once(",sha256=")?;
    URL_SAFE_NO_PAD.decode(rest.split(',').next()?).ok()?.try_into().ok()
}

/// The sums in a file of md5sum(1).
fn md5_sums(text: &str) -> impl Iterator<Item = [u8; 16]> {
    text.lines().filter_map(|line| {
        let (sum, _) = line.split_once("  ").filter(|(sum, _)| sum.len() == 32)?;
        Some(u128::from_str_radix(sum, 16).ok()?.to_be_bytes())
    })
}

fn dist(text: &str) -> Option<Metadata> {
    let field = |name: &str| field(text, name).map(str::to_owned);
    // Some projects put the whole licence text here.
    let licence = field("License-Expression").or_else(|| field("License").filter(|words| words.len() < 60));
    Some(Metadata::Dist(Package {
        name: field("Name")?,
        version: field("Version")?,
        licence,
        licence_files: fields(text, "License-File").map(str::to_owned).collect(),
        ..Package::default()
    }))
}

fn local(bytes: &[u8]) -> Option<Metadata> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    value.get("dir_info").is_some().then_some(Metadata::DistIsLocal)
}

fn npm(bytes: &[u8]) -> Option<Metadata> {
    #[derive(Deserialize)]
    struct Json {
        name: String,
        #[serde(default)]
        version: String,
        #[serde(default)]
        license: Option<serde_json::Value>,
    }
    let json: Json = serde_json::from_slice(bytes).ok()?;
    let licence = json.license.and_then(|value| value.as_str().map(str::to_owned));
    Some(Metadata::Npm(Package { name: json.name, version: json.version, licence, ..Package::default() }))
}

/// os-release(5).
fn release(text: &str) -> Option<Metadata> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let id = value("ID")?;
    let name = value("PRETTY_NAME").unwrap_or_else(|| id.clone());
    let (version, codename) = (value("VERSION_ID").unwrap_or_default(), value("VERSION_CODENAME"));
    Some(Metadata::Os { id, version, name, codename })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_npm_package_is_found() {
        for (path, root) in [
            ("app/node_modules/a/lib/x.js", Some("app/node_modules/a")),
            ("node_modules/@s/b/x.js", Some("node_modules/@s/b")),
            ("x/node_modules/a/node_modules/c/d/e.js", Some("x/node_modules/a/node_modules/c")),
            ("x/node_modules/.package-lock.json", None),
            ("x/node_modules/.bin/tool", None),
            ("x/node_modules/@s/b", None),
            ("x/modules/a", None),
        ] {
            assert_eq!(npm_root(path), root, "{path}");
        }
    }

    #[test]
    fn only_installed_packages_count() {
        let status = "Package: a\nStatus: install ok installed\nVersion: 1\n\n\
                      Package: b\nStatus: deinstall ok config-files\nVersion: 2\n\nPackage: c\nVersion: 3\n";
        let names: Vec<String> = packages(status).into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[test]
    fn the_source_package_may_have_another_name_and_version() {
        for (lines, name, version) in [
            ("", "a", "1:2-3"),
            ("Source: b\n", "b", "1:2-3"),
            ("Source: gcc-14 (14.2.0-19)\n", "gcc-14", "14.2.0-19"),
        ] {
            let found = packages(&format!("Package: a\n{lines}Version: 1:2-3\n"));
            let expected = SourcePackage { name: name.into(), version: version.into() };
            assert_eq!(found[0].source, Some(expected), "{lines}");
        }
    }

    #[test]
    fn paths_are_normalized() {
        for (form, path) in [("/.", ""), ("/usr", "usr"), ("./usr/bin/x", "usr/bin/x"), ("/etc/", "etc")] {
            assert_eq!(relative(form), path, "{form}");
        }
        assert_eq!(recorded("\"a,b.py\",sha256=x,3").as_deref(), Some("a,b.py"));
        assert_eq!(recorded("../../bin/x,,").as_deref(), Some("../../bin/x"));
    }

    #[test]
    fn checksums_are_read() {
        let sums = "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x y\nbroken  z\n";
        let md5: Vec<[u8; 16]> = md5_sums(sums).collect();
        assert_eq!((md5.len(), md5[0][0]), (1, 0xd4));
        let hash = recorded_hash("a/b.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0");
        assert_eq!(hash.map(|hash| hash[..2].to_vec()), Some(vec![0xe3, 0xb0]));
        assert_eq!(recorded_hash("a/RECORD,,"), None);
    }

    #[test]
    fn fields_in_a_description_are_ignored() {
        let Some(Metadata::Dist(found)) = dist("Name: x\nVersion: 1\nLicense-Expression: MIT\n\nName: y\n")
        else {
            panic!("nothing read")
        };
        assert_eq!((found.name.as_str(), found.licence.as_deref()), ("x", Some("MIT")));
        assert_eq!(local(br#"{"url":"file:///src","dir_info":{}}"#), Some(Metadata::DistIsLocal));
        assert_eq!(local(br#"{"url":"file:///x.whl","archive_info":{}}"#), None);
    }
}
