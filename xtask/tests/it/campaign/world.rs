//! Everything a run may leave behind: tags, containers, networks, volumes, processes and files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::{Folder, docker};

/// State of one site, without anything that varies between equal runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// Image IDs by tag.
    pub tags: BTreeMap<String, String>,
    /// IDs of the site's untagged images.
    pub untagged: BTreeSet<String>,
    /// `name image state`.
    pub containers: BTreeSet<String>,
    /// Networks and volumes.
    pub resources: BTreeSet<String>,
    /// Command lines of processes that contain the site's folder.
    pub processes: BTreeSet<String>,
    /// Contents of user-visible files by name.
    pub files: BTreeMap<String, String>,
    /// Names of files under `target`, except [`VARYING`].
    pub state: BTreeSet<String>,
    /// Contents of the files [`RECORDS`].
    pub records: BTreeMap<String, String>,
}

impl World {
    /// State of the site in `folder` with image names that begin with `prefix`.
    pub fn of(folder: &Folder, prefix: &str) -> World {
        let mut world = World {
            tags: BTreeMap::new(),
            untagged: BTreeSet::new(),
            containers: containers(folder, prefix),
            resources: resources(folder, prefix),
            processes: processes(folder),
            files: BTreeMap::new(),
            state: BTreeSet::new(),
            records: BTreeMap::new(),
        };
        images(folder, prefix, &mut world);
        files(&folder.0, &folder.0, &mut world);
        world
    }

    /// Differences from the expected world; empty if equal.
    pub fn differences(&self, expected: &World) -> Vec<String> {
        let mut lines = maps("tag", &self.tags, &expected.tags);
        lines.extend(maps("file", &self.files, &expected.files));
        lines.extend(maps("record", &self.records, &expected.records));
        for (what, found, expected) in [
            ("untagged image", &self.untagged, &expected.untagged),
            ("container", &self.containers, &expected.containers),
            ("resource", &self.resources, &expected.resources),
            ("process", &self.processes, &expected.processes),
            ("state", &self.state, &expected.state),
        ] {
            lines.extend(found.difference(expected).map(|one| format!("{what} left behind: {one}")));
            lines.extend(expected.difference(found).map(|one| format!("{what} missing: {one}")));
        }
        lines
    }

    /// What is in none of these worlds.
    pub fn left_behind(&self, worlds: &[&World]) -> Vec<String> {
        let known: BTreeSet<String> = worlds.iter().flat_map(|world| world.names()).collect();
        self.names().difference(&known).map(|name| format!("left behind: {name}")).collect()
    }

    /// Everything that a run may leave behind, each with its kind.
    fn names(&self) -> BTreeSet<String> {
        let kinds = [
            ("untagged image", &self.untagged),
            ("container", &self.containers),
            ("resource", &self.resources),
            ("process", &self.processes),
            ("state", &self.state),
        ];
        let named = kinds.iter().flat_map(|(kind, names)| names.iter().map(move |name| (*kind, name)));
        let tags = self.tags.keys().map(|tag| ("tag", tag));
        named.chain(tags).map(|(kind, name)| format!("{kind} {name}")).collect()
    }

    /// Fails with the differences.
    pub fn must_be(&self, expected: &World) -> Result<(), String> {
        let lines = self.differences(expected);
        if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
    }
}

fn maps(what: &str, found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
    let line = |name: &&String| {
        let (found, expected) = (found.get(*name), expected.get(*name));
        (found != expected).then(|| format!("{what} {name}: {found:?}, expected {expected:?}"))
    };
    names.iter().filter_map(line).collect()
}

fn images(folder: &Folder, prefix: &str, world: &mut World) {
    let kept = format!("{}-rollback:", folder.0.file_name().unwrap().to_str().unwrap());
    let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
    let tagged = docker(&["image", "ls", "--no-trunc", "--format", format]);
    let ours = |line: &&str| (line.contains(prefix) || line.starts_with(&kept)) && !line.contains("<none>");
    let pairs = tagged.lines().filter(ours).filter_map(|line| line.split_once(' '));
    world.tags = pairs.map(|(tag, id)| (tag.to_owned(), id.to_owned())).collect();
    let label = format!("label={prefix}.images.variant");
    let dangling = ["image", "ls", "--no-trunc", "--quiet", "--filter", "dangling=true", "--filter", &label];
    world.untagged = docker(&dangling).lines().map(str::to_owned).collect();
}

fn containers(folder: &Folder, prefix: &str) -> BTreeSet<String> {
    let project = folder.0.file_name().unwrap().to_str().unwrap();
    let text =
        docker(&["ps", "--all", "--no-trunc", "--format", "{{.Names}} {{.Image}} {{.State}} {{.Labels}}"]);
    let ours = text.lines().filter(|line| line.contains(prefix) || line.contains(project));
    // Without the labels.
    ours.map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect()
}

fn resources(folder: &Folder, prefix: &str) -> BTreeSet<String> {
    let project = folder.0.file_name().unwrap().to_str().unwrap();
    let of = |kind: &str| docker(&[kind, "ls", "--format", "{{.Name}} {{.Labels}}"]);
    let text = of("network") + "\n" + &of("volume");
    let ours = text.lines().filter(|line| line.contains(prefix) || line.contains(project));
    ours.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Processes whose command line contains the site's folder, such as children of a killed run.
fn processes(folder: &Folder) -> BTreeSet<String> {
    let folder = folder.0.to_str().unwrap();
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = fs::read_to_string(entry.path().join("cmdline")) else { continue };
        if line.contains(folder) {
            found.insert(line.replace('\0', " "));
        }
    }
    found
}

/// Logs and records contain times and durations, and caches grow.
const VARYING: [&str; 7] = [
    "target/xtask/logs",
    "target/xtask/records",
    "target/xtask/layers.json",
    "target/xtask/contents",
    "target/xtask/bases.json",
    "target/xtask/bootstrap",
    "target/xtask/bake.json",
];

/// Records of what was pushed, deployed and switched, equal after equal runs.
const RECORDS: [&str; 3] =
    ["target/xtask/digests.json", "target/xtask/deployed/images.json", "target/xtask/compose-switch.json"];

fn files(dir: &Path, root: &Path, world: &mut World) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if VARYING.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            files(&path, root, world);
            continue;
        }
        let text = || String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        if RECORDS.contains(&name.as_str()) {
            world.records.insert(name, text());
        } else if name.starts_with("target/") {
            world.state.insert(name);
        } else {
            world.files.insert(name, text());
        }
    }
}
