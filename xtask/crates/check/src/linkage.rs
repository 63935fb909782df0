//! Checks that every program and library finds the libraries it needs, with the loader's search order (ld.so(8)): RPATH of the
//! file and of its loaders, `LD_LIBRARY_PATH`, RUNPATH, the folders of `ld.so.conf` if ldconfig has run, the default folders.
//! Libraries that are loaded at run time (dlopen) are not covered.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use contents::facts::{Dynamic, EntryKind, Metadata, MetadataFile};
use contents::tree::{EntryId, Tree};

/// A program or library (`path`) that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkFault {
    /// A needed library is not in the image.
    Missing { path: String, needs: String },
    /// A needed library is in the image, but not on the search path; loading it by its path beforehand works.
    OffPath { path: String, needs: String, at: String },
    /// The program's loader (ELF interpreter) is not in the image.
    Loader { path: String, loader: String },
    /// The file is built for another architecture than the image.
    Architecture { path: String },
}

/// Architectures: ELF machine number, OCI name, Debian multiarch triplet.
const MACHINES: [(u16, &str, &str); 7] = [
    (62, "amd64", "x86_64-linux-gnu"),
    (183, "arm64", "aarch64-linux-gnu"),
    (3, "386", "i386-linux-gnu"),
    (40, "arm", "arm-linux-gnueabihf"),
    (243, "riscv64", "riscv64-linux-gnu"),
    (21, "ppc64le", "powerpc64le-linux-gnu"),
    (22, "s390x", "s390x-linux-gnu"),
];

/// All link faults of an image, sorted.
pub fn link_faults(
    tree: &Tree<'_>,
    notes: &[&MetadataFile],
    env: &[String],
    architecture: &str,
) -> Vec<LinkFault> {
    let linker = Linker::of(tree, notes, env);
    let mut found = BTreeSet::new();
    let machine = MACHINES.iter().find(|(_, oci, _)| *oci == architecture).map(|(number, ..)| *number);
    let (mut met, mut unmet) = (BTreeSet::new(), BTreeSet::new());
    for (&at, (path, dynamic)) in &linker.objects {
        if machine.is_some_and(|machine| machine != dynamic.machine) {
            found.insert(LinkFault::Architecture { path: (*path).to_owned() });
            continue;
        }
        if let Some(loader) = &dynamic.interpreter
            && linker.object(loader).is_none()
        {
            found.insert(LinkFault::Loader { path: (*path).to_owned(), loader: loader.clone() });
        }
        linker.load(at, &mut met, &mut unmet);
    }
    for (at, needs) in unmet.difference(&met) {
        let Some((path, dynamic)) = linker.objects.get(at) else { continue };
        let (path, needs) = ((*path).to_owned(), needs.clone());
        found.insert(match linker.anywhere(&needs, dynamic) {
            Some(at) => LinkFault::OffPath { path, needs, at },
            None => LinkFault::Missing { path, needs },
        });
    }
    found.into_iter().collect()
}

struct Linker<'t, 'f> {
    tree: &'t Tree<'f>,
    /// Dynamically linked files with their paths.
    objects: BTreeMap<EntryId, (&'f str, &'f Dynamic)>,
    library_path: Vec<String>,
    /// Folders of `ld.so.conf`.
    listed: Vec<String>,
    /// Paths by file name.
    names: HashMap<&'f str, Vec<&'f str>>,
}

/// A loaded file with the RPATHs that apply to its libraries.
struct Loaded {
    at: EntryId,
    rpaths: Vec<String>,
}

impl<'t, 'f> Linker<'t, 'f> {
    fn of(tree: &'t Tree<'f>, notes: &[&MetadataFile], env: &[String]) -> Linker<'t, 'f> {
        let mut objects = BTreeMap::new();
        for file in tree.files() {
            if let Some(dynamic) = file.elf.and_then(|elf| elf.dynamic.as_ref()) {
                objects.insert(file.at, (file.path, dynamic.as_ref()));
            }
        }
        let mut names: HashMap<&str, Vec<&str>> = HashMap::new();
        for path in tree.paths() {
            names.entry(path.rsplit('/').next().unwrap_or(path)).or_default().push(path);
        }
        // The loader reads ldconfig's cache, never the list itself.
        let has_cache = tree.file_at("etc/ld.so.cache").is_some();
        let lists = notes.iter().filter_map(|note| match &note.metadata {
            Metadata::LoaderFolders(folders) if has_cache => Some(folders),
            _ => None,
        });
        let library_path = env.iter().find_map(|line| line.strip_prefix("LD_LIBRARY_PATH="));
        Linker {
            tree,
            objects,
            library_path: library_path.map(|path| split(path, "")).unwrap_or_default(),
            listed: lists.flatten().cloned().collect(),
            names,
        }
    }

    /// The ELF file at a path.
    fn object(&self, path: &str) -> Option<EntryId> {
        let real = self.tree.real(&format!("{path}/."));
        self.tree.file_at(&real).filter(|at| {
            self.objects.contains_key(at)
                // A statically linked loader, such as musl's.
                || matches!(&self.tree.entry(*at).kind, EntryKind::File { elf: Some(_), .. })
        })
    }

    /// Loads a file and everything it needs; records which needs were met.
    fn load(
        &self,
        root: EntryId,
        met: &mut BTreeSet<(EntryId, String)>,
        unmet: &mut BTreeSet<(EntryId, String)>,
    ) {
        let mut names: HashMap<String, EntryId> = HashMap::new();
        let mut queue = VecDeque::from([Loaded { at: root, rpaths: Vec::new() }]);
        while let Some(Loaded { at, rpaths: above }) = queue.pop_front() {
            let Some((path, dynamic)) = self.objects.get(&at) else { continue };
            let origin = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let mut rpaths = Vec::new();
            if dynamic.runpath.is_none() {
                rpaths.extend(dynamic.rpath.iter().flat_map(|path| split(path, origin)));
            }
            rpaths.extend(above);
            for needs in &dynamic.needed {
                let found = names.get(needs).copied().or_else(|| self.find(needs, dynamic, origin, &rpaths));
                let Some(found) = found else {
                    unmet.insert((at, needs.clone()));
                    continue;
                };
                met.insert((at, needs.clone()));
                if names.insert(needs.clone(), found).is_none() {
                    let soname = self.objects.get(&found).and_then(|(_, dynamic)| dynamic.soname.clone());
                    names.extend(soname.map(|soname| (soname, found)));
                    queue.push_back(Loaded { at: found, rpaths: rpaths.clone() });
                }
            }
        }
    }

    fn find(&self, needs: &str, who: &Dynamic, origin: &str, rpaths: &[String]) -> Option<EntryId> {
        let fits = |path: &str| {
            let at = self.object(path)?;
            self.objects
                .get(&at)
                .is_none_or(|(_, found)| (found.machine, found.wide) == (who.machine, who.wide))
                .then_some(at)
        };
        if needs.contains('/') {
            return fits(needs);
        }
        // RUNPATH disables RPATH.
        let rpaths = if who.runpath.is_some() { &[] } else { rpaths };
        let runpath = who.runpath.iter().flat_map(|path| split(path, origin));
        let folders = rpaths.iter().cloned().chain(self.library_path.clone()).chain(runpath);
        folders
            .chain(self.listed.clone())
            .chain(default_folders(who))
            .find_map(|folder| fits(&format!("{folder}/{needs}")))
    }

    /// The path of a library outside the search path.
    fn anywhere(&self, needs: &str, who: &Dynamic) -> Option<String> {
        let fits = |path: &&&str| {
            let found = self.object(path).and_then(|at| self.objects.get(&at));
            found.is_some_and(|(_, found)| (found.machine, found.wide) == (who.machine, who.wide))
        };
        self.names.get(needs)?.iter().find(fits).map(|path| (*path).to_owned())
    }
}

/// The absolute folders of a search path, without leading `/`.
fn split(path: &str, origin: &str) -> Vec<String> {
    let whole = path.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", &format!("/{origin}"));
    whole
        .split([':', ';'])
        .filter(|folder| folder.starts_with('/'))
        .map(|folder| folder.trim_matches('/').to_owned())
        .collect()
}

/// Default folders: glibc's (Debian and others) and musl's.
fn default_folders(who: &Dynamic) -> Vec<String> {
    let mut folders = Vec::new();
    if let Some((.., triplet)) = MACHINES.iter().find(|(number, ..)| *number == who.machine) {
        folders.extend([format!("lib/{triplet}"), format!("usr/lib/{triplet}")]);
    }
    let wide = if who.wide { ["lib64", "usr/lib64"].as_slice() } else { &[] };
    folders.extend(wide.iter().chain(&["lib", "usr/lib"]).map(|folder| (*folder).to_owned()));
    let is_musl = |name: &String| name.contains("musl");
    if who.interpreter.iter().chain(&who.needed).any(is_musl) {
        folders.push("usr/local/lib".to_owned());
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{file, link};
    use contents::facts::{Elf, LayerEntry, LayerFacts};

    fn object(path: &str, needed: &[&str], change: impl FnOnce(&mut Dynamic)) -> LayerEntry {
        let mut dynamic = Dynamic {
            machine: 62,
            wide: true,
            needed: needed.iter().map(ToString::to_string).collect(),
            ..Dynamic::default()
        };
        change(&mut dynamic);
        let elf = Elf { dynamic: Some(Box::new(dynamic)), ..Elf::default() };
        LayerEntry {
            path: path.into(),
            mode: 0o755,
            owner: [0; 2],
            kind: EntryKind::File { bytes: 1, hash: None, elf: Some(Box::new(elf)) },
        }
    }

    fn of(entries: Vec<LayerEntry>, env: &[&str], folders: &[&str]) -> Vec<LinkFault> {
        let layer = LayerFacts { entries, metadata: Vec::new() };
        let env: Vec<String> = env.iter().map(ToString::to_string).collect();
        let metadata = Metadata::LoaderFolders(folders.iter().map(ToString::to_string).collect());
        let note = MetadataFile { path: "etc/ld.so.conf".into(), metadata };
        link_faults(&Tree::of(&[&layer]), &[&note], &env, "amd64")
    }

    fn missing(path: &str, needs: &str) -> LinkFault {
        LinkFault::Missing { path: path.into(), needs: needs.into() }
    }

    #[test]
    fn libraries_are_found_through_links_and_default_folders_and_reported_if_missing() {
        let program = || {
            object("usr/bin/x", &["liba.so.1"], |it| {
                it.interpreter = Some("/lib64/ld-linux-x86-64.so.2".into())
            })
        };
        let rest = || {
            vec![
                link("lib", "usr/lib"),
                link("lib64", "usr/lib64"),
                link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld.so"),
                object("usr/lib/x86_64-linux-gnu/ld.so", &[], |_| {}),
                link("usr/lib/x86_64-linux-gnu/liba.so.1", "liba.so.1.2"),
            ]
        };
        let library = object("usr/lib/x86_64-linux-gnu/liba.so.1.2", &["libz.so.1"], |_| {});
        let all = [rest(), vec![program(), library]].concat();
        assert_eq!(of(all, &[], &[]), [missing("usr/lib/x86_64-linux-gnu/liba.so.1.2", "libz.so.1")]);
        assert_eq!(of([rest(), vec![program()]].concat(), &[], &[]), [missing("usr/bin/x", "liba.so.1")]);
        let loader = "/lib64/ld-linux-x86-64.so.2".to_owned();
        let library = object("usr/lib/x86_64-linux-gnu/liba.so.1", &[], |_| {});
        assert_eq!(
            of(vec![program(), library], &[], &[]),
            [LinkFault::Loader { path: "usr/bin/x".into(), loader }]
        );
    }

    #[test]
    fn rpath_is_inherited_and_runpath_is_not() {
        let tree = |rpath: bool| {
            vec![
                object("opt/bin/x", &["liba.so"], |it| {
                    let path = Some("$ORIGIN/../lib".to_owned());
                    if rpath { it.rpath = path } else { it.runpath = path }
                }),
                object("opt/lib/liba.so", &["libb.so"], |_| {}),
                object("opt/lib/libb.so", &[], |_| {}),
            ]
        };
        assert_eq!(of(tree(true), &[], &[]), []);
        let off_path = LinkFault::OffPath {
            path: "opt/lib/liba.so".into(),
            needs: "libb.so".into(),
            at: "opt/lib/libb.so".into(),
        };
        assert_eq!(of(tree(false), &[], &[]), [off_path]);
        assert_eq!(of(tree(false), &["LD_LIBRARY_PATH=/opt/lib"], &[]), []);
    }

    #[test]
    fn folders_of_ld_so_conf_count_if_ldconfig_has_run() {
        let tree = || vec![object("bin/x", &["liba.so"], |_| {}), object("srv/liba.so", &[], |_| {})];
        assert_eq!(of(tree(), &[], &["srv"]).len(), 1);
        assert_eq!(of([tree(), vec![file("etc/ld.so.cache", 0o644)]].concat(), &[], &["srv"]), []);
    }

    #[test]
    fn a_loaded_library_is_found_by_its_name() {
        let tree = vec![
            object("bin/x", &["liba.so", "libb.so"], |it| it.rpath = Some("/p:/q".into())),
            object("p/liba.so", &[], |_| {}),
            object("q/libb.so", &["liba.so"], |it| it.runpath = Some("/q".into())),
        ];
        assert_eq!(of(tree, &[], &[]), []);
    }

    #[test]
    fn a_library_of_another_architecture_does_not_count() {
        let tree =
            vec![object("bin/x", &["liba.so"], |_| {}), object("lib/liba.so", &[], |it| it.machine = 183)];
        assert_eq!(
            of(tree, &[], &[]),
            [missing("bin/x", "liba.so"), LinkFault::Architecture { path: "lib/liba.so".into() }]
        );
    }
}
