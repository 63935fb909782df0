//! Pairs: two checkouts of one project use one engine at the same time, with all cores busy. Afterwards, all tags, all containers
//! and the registry must have the images of one checkout.

use std::collections::BTreeMap;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use fastrand::Rng;

use super::world::World;
use super::{Case, run, seed, sites};
use crate::support::Site;
use crate::support::load::Load;
use crate::support::registry::Registry;

/// Number of pairs per command in [`OTHERS`].
const OF_EACH: u64 = 20;

/// Commands for the second checkout while the first one builds.
const OTHERS: [&[&str]; 5] =
    [&["build-images"], &["push", "--registry", "REGISTRY"], &["clean"], &["test"], &["deploy", "install"]];

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign pairs"]
fn campaign() {
    let pair = Pair::new();
    let _load = Load::on_every_core();
    let cases = OTHERS.iter().flat_map(|args| {
        let pair = &pair;
        (0..OF_EACH).map(move |number| {
            Case::new(format!("build-images beside {}, {number}", args.join(" ")), move || {
                let result = pair.case(args, number);
                pair.checkouts[1].run(&["deploy", "down"]);
                result
            })
        })
    });
    run("pairs", cases.collect());
}

struct Pair {
    /// Two checkouts of one project: same names, different sources.
    checkouts: [Site; 2],
    /// Tags after each checkout has built alone.
    alone: [BTreeMap<String, String>; 2],
    registry: Registry,
}

impl Pair {
    fn new() -> Pair {
        let checkouts = [sites::site("pair"), sites::site("pair")];
        let alone = [("first", 0), ("second", 1)].map(|(generation, at)| {
            sites::generation(&checkouts[at], generation);
            sites::all(&checkouts[at], &[&["build-images"]]);
            tags(&checkouts[at])
        });
        assert!(alone[0].iter().all(|(tag, id)| alone[1].get(tag).is_some_and(|other| other != id)));
        Pair { checkouts, alone, registry: Registry::start("pairs") }
    }

    fn case(&self, other: &[&str], number: u64) -> Result<(), String> {
        let [first, second] = &self.checkouts;
        let registry = self.registry.address();
        // Start with the second checkout's images to give the first one tags to move.
        sites::all(second, &[&["build-images"]]);
        let args: Vec<&str> =
            other.iter().map(|arg| if *arg == "REGISTRY" { registry.as_str() } else { arg }).collect();
        let builds = start(first, &["build-images"]);
        std::thread::sleep(Duration::from_millis(Rng::with_seed(seed() + number).u64(0..1500)));
        let beside = start(second, &args);
        let outputs = [builds, beside].map(|child| child.wait_with_output().unwrap());
        let told = format!("{}\n{}", first.told(&outputs[0]), second.told(&outputs[1]));
        self.holds(&outputs, other[0]).map_err(|what| format!("{what}\n{told}"))
    }

    fn holds(&self, outputs: &[Output; 2], other: &str) -> Result<(), String> {
        for output in outputs {
            // 3: the other run holds a lock. Images removed by `clean` must not fail a run.
            if !matches!(output.status.code(), Some(0 | 3)) {
                return Err(format!("exit code {:?}", output.status.code()));
            }
        }
        let second = &self.checkouts[1];
        let tags = tags(second);
        match other {
            "clean" if tags.is_empty() => {}
            _ => self.of_one_checkout("tags", &tags)?,
        }
        match other {
            "push" if outputs[1].status.success() => self.of_one_checkout("registry", &self.pushed()),
            "deploy" if outputs[1].status.success() => self.of_one_checkout("containers", &running(second)),
            _ => Ok(()),
        }
    }

    /// Fails unless `found` matches one checkout: all of its tags, or for containers, some of them.
    fn of_one_checkout(&self, what: &str, found: &BTreeMap<String, String>) -> Result<(), String> {
        let is_of =
            |alone: &BTreeMap<String, String>| found.iter().all(|(tag, id)| alone.get(tag) == Some(id));
        let is_whole = what == "containers" || found.len() == self.alone[0].len();
        if is_whole && found.len() > 1 && self.alone.iter().any(is_of) {
            return Ok(());
        }
        Err(format!(
            "{what} do not match one checkout: {found:?}\n  first  {:?}\n  second {:?}",
            self.alone[0], self.alone[1]
        ))
    }

    /// Image ID by tag in the registry: the digest of a manifest's `config` (OCI image specification, "Image Manifest").
    fn pushed(&self) -> BTreeMap<String, String> {
        let image = |tag: &String| {
            let (name, version) = tag.split_once(':').unwrap();
            let manifest = self.registry.says(&format!("/v2/{name}/manifests/{version}"));
            (tag.clone(), manifest["config"]["digest"].as_str().unwrap().to_owned())
        };
        self.alone[0].keys().map(image).collect()
    }
}

/// Image ID by tag, without registry and rollback tags.
fn tags(site: &Site) -> BTreeMap<String, String> {
    let tags = World::of(&site.folder, &site.prefix).tags;
    tags.into_iter().filter(|(tag, _)| !tag.contains('/') && !tag.contains("rollback")).collect()
}

/// Image IDs of running containers by the tag in the Compose file.
fn running(site: &Site) -> BTreeMap<String, String> {
    let label = format!("--filter=label=com.docker.compose.project={}", sites::project(site));
    let ids = crate::support::docker(&["ps", "--quiet", &label]);
    let line = |id: &str| {
        let text = crate::support::docker(&["inspect", "--format", "{{.Config.Image}} {{.Image}}", id]);
        text.split_once(' ').map(|(tag, id)| (tag.to_owned(), id.to_owned())).unwrap()
    };
    ids.lines().map(line).collect()
}

fn start(site: &Site, args: &[&str]) -> Child {
    site.command(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}
