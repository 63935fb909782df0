//! Missing Python modules: listed in a distribution's RECORD and imported by a file in the image, but not there.

use std::collections::{BTreeMap, BTreeSet};

use crate::prune_finding::PruneFinding;
use contents::facts::{Metadata, MetadataFile};
use contents::tree::Tree;

/// Missing modules, and `site-packages` folders without package records.
pub(crate) fn findings(tree: &Tree<'_>, notes: &[&MetadataFile]) -> Vec<PruneFinding> {
    let mut found = without_records(tree);
    let missing = missing(tree, notes);
    if missing.is_empty() {
        return found;
    }
    let sites: BTreeSet<&str> = records(notes).map(|(site, _)| site).collect();
    let mut importers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for note in notes {
        let Metadata::PythonImports(imports) = &note.metadata else { continue };
        if is_test(&note.path) {
            continue;
        }
        for import in imports {
            let places = places(import, &note.path, &sites);
            if let Some((module, _)) = places.iter().find_map(|place| missing.get_key_value(place)) {
                importers.entry(module).or_default().push(&note.path);
            }
        }
    }
    for (module, files) in importers {
        let more = match files.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let what = format!("/{}{more} imports /{module}, which {} lists", files[0], missing[module]);
        let remedy = "keep the module, or delete what imports it";
        found.push(PruneFinding { path: Some(module.to_owned()), ..PruneFinding::new(None, what, remedy) });
    }
    found
}

/// The RECORD files: the folder that their paths are relative to, and the file itself (PyPA, "Recording installed projects").
fn records<'n>(notes: &[&'n MetadataFile]) -> impl Iterator<Item = (&'n str, &'n MetadataFile)> {
    notes.iter().filter_map(|note| {
        let is_record = matches!(note.metadata, Metadata::DistFiles { .. });
        let folder = note.path.rsplit_once('/').filter(|_| is_record)?.0;
        Some((folder.rsplit_once('/').map_or("", |(site, _)| site), *note))
    })
}

/// Recorded modules that are missing from the image: path without extension → RECORD file.
fn missing(tree: &Tree<'_>, notes: &[&MetadataFile]) -> BTreeMap<String, String> {
    let (mut missing, mut present) = (BTreeMap::new(), BTreeSet::new());
    for (site, record) in records(notes) {
        let Metadata::DistFiles { files, .. } = &record.metadata else { continue };
        for file in files {
            let Some(module) = module(file) else { continue };
            let path = format!("{site}/{file}");
            // Python also imports byte-code without its source.
            if tree.file_at(&path).is_some() || tree.file_at(&format!("{path}c")).is_some() {
                present.insert(format!("{site}/{module}"));
            } else {
                missing.insert(format!("{site}/{module}"), format!("/{}", record.path));
            }
        }
    }
    missing.retain(|module, _| !present.contains(module));
    missing
}

/// The module in a recorded file, as a path without extension; for a package, its folder.
fn module(file: &str) -> Option<&str> {
    let name = file.rsplit('/').next()?;
    let module = match name.strip_suffix(".py") {
        Some("__init__") => file.strip_suffix("/__init__.py")?,
        Some(_) => file.strip_suffix(".py")?,
        // PEP 3149: NAME.cpython-313-x86_64-linux-gnu.so, NAME.abi3.so
        None if name.ends_with(".so") => &file[..file.len() - name.len() + name.find('.')?],
        None => return None,
    };
    let is_name = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !part.starts_with(char::is_numeric)
    };
    module.split('/').all(is_name).then_some(module)
}

/// Possible paths of an imported module: relative to the importing file, or in any `site-packages` folder.
fn places(import: &str, importer: &str, sites: &BTreeSet<&str>) -> Vec<String> {
    let absolute = import.trim_start_matches('.');
    let level = import.len() - absolute.len();
    let path = absolute.replace('.', "/");
    if level == 0 {
        return sites.iter().map(|site| format!("{site}/{path}")).collect();
    }
    let mut folder = importer;
    for _ in 0..level {
        let Some((above, _)) = folder.rsplit_once('/') else { return Vec::new() };
        folder = above;
    }
    vec![if path.is_empty() { folder.to_owned() } else { format!("{folder}/{path}") }]
}

/// Whether a file is test code.
fn is_test(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "test" | "testing" | "conftest.py"))
}

/// `site-packages` folders without any package record. Scanners and `importlib.metadata` find nothing there.
fn without_records(tree: &Tree<'_>) -> Vec<PruneFinding> {
    let (mut packages, mut recorded) = (BTreeMap::new(), BTreeSet::new());
    for path in tree.paths() {
        let Some((site, rest)) = site_of(path) else { continue };
        let (package, file) = rest.split_once('/').unwrap_or((rest, ""));
        if package.ends_with(".dist-info") || package.ends_with(".egg-info") {
            recorded.insert(site);
        } else if matches!(file, "__init__.py" | "__init__.pyc") {
            packages.entry(site).or_insert(package);
        }
    }
    let unrecorded = packages.into_iter().filter(|(site, _)| !recorded.contains(site));
    let finding = |(site, package): (&str, &str)| {
        let what = format!("no package in /{site} has a `*.dist-info` folder (for example `{package}`)");
        let remedy = "keep the `*.dist-info` folders: scanners and `importlib.metadata` read them";
        PruneFinding { path: Some(site.to_owned()), ..PruneFinding::new(None, what, remedy) }
    };
    unrecorded.map(finding).collect()
}

/// Splits a path into its `site-packages` folder and the rest.
fn site_of(path: &str) -> Option<(&str, &str)> {
    let site = |marker: &str| path.find(marker).map(|at| path.split_at(at + marker.len()));
    let (site, rest) = site("/site-packages/").or_else(|| site("/dist-packages/"))?;
    Some((site.trim_end_matches('/'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::file;
    use contents::facts::LayerFacts;

    const SITE: &str = "usr/lib/python3/dist-packages";

    fn found(files: &[&str], recorded: &[&str], imports: &[(&str, &[&str])]) -> Vec<String> {
        let note = |path: &str, metadata| MetadataFile { path: format!("{SITE}/{path}"), metadata };
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let record = Metadata::DistFiles { files: texts(recorded), sha256: Vec::new() };
        let imports = imports.iter().map(|(path, names)| note(path, Metadata::PythonImports(texts(names))));
        let layer = LayerFacts {
            entries: files.iter().map(|path| file(&format!("{SITE}/{path}"), 0o644)).collect(),
            metadata: imports.chain([note("scipy-1.dist-info/RECORD", record)]).collect(),
        };
        let notes: Vec<&MetadataFile> = layer.metadata.iter().collect();
        findings(&Tree::of(&[&layer]), &notes).into_iter().map(|finding| finding.what).collect()
    }

    const RECORDED: [&str; 5] = [
        "scipy/__init__.py",
        "scipy/sparse/__init__.py",
        "scipy/sparse/csgraph/__init__.py",
        "scipy/sparse/csgraph/_tools.cpython-313-x86_64-linux-gnu.so",
        "scipy/unused/__init__.py",
    ];
    const KEPT: [&str; 3] = ["scipy/__init__.py", "scipy/sparse/__init__.pyc", "scipy-1.dist-info/RECORD"];

    #[test]
    fn an_imported_module_that_a_record_lists_must_be_there() {
        let missing =
            |name: &str| format!("imports /{SITE}/{name}, which /{SITE}/scipy-1.dist-info/RECORD lists");
        for (import, name) in [
            ("scipy.sparse.csgraph", "scipy/sparse/csgraph"),
            ("scipy.sparse.csgraph._tools", "scipy/sparse/csgraph/_tools"),
        ] {
            let app = format!("/{SITE}/sklearn/a.py {}", missing(name));
            assert_eq!(found(&KEPT, &RECORDED, &[("sklearn/a.py", &["os", import, "not.recorded"])]), [app]);
        }
        let relative: [(&str, &[&str]); 2] =
            [("scipy/sparse/__init__.py", &[".csgraph", "."]), ("scipy/sparse/a.py", &["..sparse.csgraph"])];
        let both = format!("/{SITE}/scipy/sparse/__init__.py and 1 more {}", missing("scipy/sparse/csgraph"));
        assert_eq!(found(&KEPT, &RECORDED, &relative), [both]);
    }

    #[test]
    fn modules_that_nothing_imports_or_only_tests_may_go() {
        assert_eq!(found(&KEPT, &RECORDED, &[("a.py", &["scipy", "scipy.sparse"])]), [""; 0]);
        assert_eq!(found(&KEPT, &RECORDED, &[("scipy/tests/test_a.py", &["scipy.unused"])]), [""; 0]);
        let all = ["scipy/__init__.py", "scipy/sparse/csgraph/__init__.pyc", "scipy-1.dist-info/RECORD"];
        assert_eq!(found(&all, &RECORDED, &[("a.py", &["scipy.sparse.csgraph"])]), [""; 0]);
    }

    #[test]
    fn packages_need_records() {
        let layer = |files: &[&str]| LayerFacts {
            entries: files.iter().map(|path| file(path, 0o644)).collect(),
            metadata: Vec::new(),
        };
        let count = |files: &[&str]| findings(&Tree::of(&[&layer(files)]), &[]).len();
        assert_eq!(
            count(&[
                "usr/lib/python3/dist-packages/a/__init__.py",
                "opt/v/lib/python3.13/site-packages/b/__init__.pyc"
            ]),
            2
        );
        assert_eq!(
            count(&["v/lib/site-packages/a/__init__.py", "v/lib/site-packages/a-1.dist-info/METADATA"]),
            0
        );
        assert_eq!(
            count(&["v/lib/site-packages/a.egg-info/PKG-INFO", "v/lib/site-packages/a/__init__.py"]),
            0
        );
        assert_eq!(
            count(&["usr/lib/python3/dist-packages/README", "usr/lib/python3/dist-packages/one.py"]),
            0
        );
    }
}
