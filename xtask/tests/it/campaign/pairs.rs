//! Pairs: two checkouts of one project use one engine at the same time. Afterwards, all tags, all containers, the registry and the
//! record of a test must have the images of one checkout, and nothing may be left behind.
//!
//! Some cases leave the order of events to chance, with all cores busy. In the others, one run pauses before one of its docker calls until the
//! other one has ended or waits, so the result does not depend on the machine's speed.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::world::World;
use super::{Case, run, seed, sites};
use crate::support::load::Load;
use crate::support::pair::Wrapper;
use crate::support::registry::Registry;
use crate::support::{Folder, Site};

/// Number of cases per pair that are left to chance: each starts the second run in another phase of the first one.
const PHASES: u32 = 8;

/// The last docker call of each command to pause at; after it, a run only cleans up or reports.
fn last_pause(command: &[&str]) -> usize {
    if command == TEST { 30 } else { 22 }
}

/// How long a paused run waits for the other one to end or to wait.
const PATIENCE: Duration = Duration::from_mins(2);

/// The message of a run that waits for the other one.
const WAITS: &str = "Waiting for another run that is moving tags";

const BUILD: &[&str] = &["build-images"];
const TEST: &[&str] = &["test"];

/// The commands of the first and of the second checkout.
const PAIRS: [[&[&str]; 2]; 6] = [
    [BUILD, BUILD],
    [BUILD, &["push", "--registry", "REGISTRY"]],
    [BUILD, &["clean"]],
    [BUILD, TEST],
    [BUILD, &["deploy", "install"]],
    [TEST, TEST],
];

/// How the two runs meet.
#[derive(Debug, Clone, Copy)]
enum Meeting {
    /// The second run begins in this phase of the first one.
    Chance(u32),
    /// The run of this checkout pauses before its docker call of this number.
    Pause(usize, usize),
}

impl Meeting {
    /// All for one pair. Every second call is left to the next seed.
    fn all(commands: [&[&str]; 2]) -> impl Iterator<Item = Meeting> {
        let pauses = [0, 1].into_iter().flat_map(move |who| {
            let calls = (2..=last_pause(commands[who])).filter(|call| call % 2 == (seed() % 2) as usize);
            calls.map(move |call| Meeting::Pause(who, call))
        });
        (0..PHASES).map(Meeting::Chance).chain(pauses)
    }

    fn name(self) -> String {
        match self {
            Meeting::Chance(phase) => format!("phase {phase}"),
            Meeting::Pause(0, call) => format!("the first pauses at call {call:02}"),
            Meeting::Pause(_, call) => format!("the second pauses at call {call:02}"),
        }
    }
}

#[test]
#[ignore = "takes many minutes: cargo xtask ci --campaign pairs"]
fn campaign() {
    let pair = Pair::new();
    let cases = PAIRS.iter().flat_map(|commands| {
        let pair = &pair;
        let names = commands.map(|args| args.join(" ")).join(" beside ");
        Meeting::all(*commands).map(move |meeting| {
            Case::new(format!("{names}, {}", meeting.name()), move || pair.case(*commands, meeting))
        })
    });
    run("pairs", cases.collect());
}

struct Pair {
    /// Two checkouts of one project: same names, different sources.
    checkouts: [Site; 2],
    /// Tags after each checkout has built alone.
    alone: [BTreeMap<String, String>; 2],
    /// Started by the first push.
    registry: OnceCell<Registry>,
}

impl Pair {
    fn new() -> Pair {
        let checkouts = [sites::site("pair"), sites::site("pair")];
        let alone = [("first", 0), ("second", 1)].map(|(generation, at)| {
            sites::generation(&checkouts[at], generation);
            sites::all(&checkouts[at], &[BUILD]);
            tags(&checkouts[at])
        });
        assert!(alone[0].iter().all(|(tag, id)| alone[1].get(tag).is_some_and(|other| other != id)));
        Pair { checkouts, alone, registry: OnceCell::new() }
    }

    fn case(&self, commands: [&[&str]; 2], meeting: Meeting) -> Result<(), String> {
        let [first, second] = &self.checkouts;
        // Push to an empty path: otherwise, nothing is sent.
        let path = meeting.name().replace(' ', "-");
        let args = commands.map(|args| {
            let arg = |arg: &&str| match *arg {
                "REGISTRY" => format!("{}/{path}", self.registry().address()),
                arg => arg.to_owned(),
            };
            args.iter().map(arg).collect::<Vec<String>>()
        });
        let begun = Instant::now();
        // Start with the second checkout's images to give the first one tags to move.
        sites::all(second, &[BUILD]);
        let outputs = match meeting {
            Meeting::Chance(phase) => self.by_chance(&args, phase, begun.elapsed()),
            Meeting::Pause(who, call) => self.paused(&args, who, call),
        };
        let result = self.holds(&outputs, commands[1][0], &path);
        if commands[1][0] == "deploy" {
            second.run(&["deploy", "down"]);
        }
        self.forget_pushes();
        result.map_err(|what| {
            self.checkouts.iter().for_each(sites::clear);
            format!("{what}\n{}\n{}", first.told(&outputs[0]), second.told(&outputs[1]))
        })
    }

    /// `build`: how long a build takes; the first run takes about as long, so the phases cover all of it.
    fn by_chance(&self, args: &[Vec<String>; 2], phase: u32, build: Duration) -> [Output; 2] {
        let _load = Load::on_every_core();
        let part = f64::from(phase) + Rng::with_seed(seed() + u64::from(phase)).f64();
        let first = Running::start(command(&self.checkouts[0], &args[0]));
        std::thread::sleep(build.mul_f64(part / f64::from(PHASES)));
        let second = Running::start(command(&self.checkouts[1], &args[1]));
        [first, second].map(Running::end)
    }

    /// Pauses the run of the checkout `who` before its docker call number `call`, until the other run has ended or waits.
    fn paused(&self, args: &[Vec<String>; 2], who: usize, call: usize) -> [Output; 2] {
        let signs = Folder::new();
        let (reached, go) = (signs.0.join("reached"), signs.0.join("go"));
        let script =
            format!(": > {}; while [ ! -e {} ]; do sleep 0.05; done", reached.display(), go.display());
        let wrapper = Wrapper::new("*", call, &script);
        let mut paused = command(&self.checkouts[who], &args[who]);
        paused.env("PATH", wrapper.path());
        let other = command(&self.checkouts[1 - who], &args[1 - who]);
        let mut paused = Running::start(paused);
        paused.until(|_| reached.exists());
        let mut other = Running::start(other);
        other.until(|told| told.contains(WAITS));
        fs::write(go, "").unwrap();
        let outputs = [paused, other].map(Running::end);
        let [paused, other] = outputs;
        if who == 0 { [paused, other] } else { [other, paused] }
    }

    /// Runs wait for each other, so both must succeed.
    fn holds(&self, outputs: &[Output; 2], other: &str, path: &str) -> Result<(), String> {
        if let Some(output) = outputs.iter().find(|output| !output.status.success()) {
            return Err(format!("exit code {:?}", output.status.code()));
        }
        let second = &self.checkouts[1];
        let tags = tags(second);
        match other {
            "clean" if tags.is_empty() => {}
            _ => self.of_one_checkout("tags", &tags)?,
        }
        match other {
            "push" => self.of_one_checkout("registry", &self.pushed(path))?,
            "test" => self.of_one_checkout("tested images", &tested(second))?,
            "deploy" => self.of_one_checkout("containers", &running(second))?,
            _ => {}
        }
        self.nothing_is_left(other)
    }

    /// Fails unless `found` matches one checkout: all of its tags, or for what runs, some of them.
    fn of_one_checkout(&self, what: &str, found: &BTreeMap<String, String>) -> Result<(), String> {
        let is_of =
            |alone: &BTreeMap<String, String>| found.iter().all(|(tag, id)| alone.get(tag) == Some(id));
        let runs = ["containers", "tested images"].contains(&what);
        let is_whole = runs || found.len() == self.alone[0].len();
        if is_whole && found.len() > 1 && self.alone.iter().any(is_of) {
            return Ok(());
        }
        Err(format!(
            "{what} do not match one checkout: {found:?}\n  first  {:?}\n  second {:?}",
            self.alone[0], self.alone[1]
        ))
    }

    /// Fails if a lock, a part of a throwaway stack or an untagged image is left.
    fn nothing_is_left(&self, other: &str) -> Result<(), String> {
        let mut left = Vec::new();
        for site in &self.checkouts {
            let world = World::of(&site.folder, &site.prefix);
            let all = world.containers.into_iter().chain(world.resources);
            left.extend(all.filter(|name| name.starts_with(&site.prefix)));
            // Containers may have used an image when it lost its tags.
            if !["test", "deploy"].contains(&other) {
                left.extend(world.untagged);
            }
        }
        if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
    }

    /// Image ID by tag in the registry: the digest of a manifest's `config` (OCI image specification, "Image Manifest").
    fn pushed(&self, path: &str) -> BTreeMap<String, String> {
        let image = |tag: &String| {
            let (name, version) = tag.split_once(':').unwrap();
            let manifest = self.registry().says(&format!("/v2/{path}/{name}/manifests/{version}"));
            (tag.clone(), manifest["config"]["digest"].as_str().unwrap().to_owned())
        };
        self.alone[0].keys().map(image).collect()
    }

    fn registry(&self) -> &Registry {
        self.registry.get_or_init(|| Registry::start("pairs"))
    }

    /// Removes the local tags and the record of pushes, which would keep images and slow down `clean`.
    fn forget_pushes(&self) {
        let second = &self.checkouts[1];
        let tags = World::of(&second.folder, &second.prefix).tags;
        let pushed: Vec<String> = tags.into_keys().filter(|tag| tag.contains('/')).collect();
        if !pushed.is_empty() {
            Command::new("docker").args(["image", "rm"]).args(pushed).output().unwrap();
            fs::remove_file(second.folder.0.join("target/xtask/digests.json")).ok();
        }
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

/// Image ID by tag in the record of the last test.
fn tested(site: &Site) -> BTreeMap<String, String> {
    let record: Value =
        serde_json::from_str(&site.folder.read("target/xtask/records/test-simple.json")).unwrap();
    let images = record["record"]["report"]["images"].as_object().unwrap();
    let image = |(service, id): (&String, &Value)| {
        let tag = format!("{}-{service}:latest-simple-optimized", site.prefix);
        (tag, id.as_str().unwrap().to_owned())
    };
    images.iter().map(image).collect()
}

fn command(site: &Site, args: &[String]) -> Command {
    site.command(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A run whose output can be read before it ends.
struct Running {
    child: Child,
    /// Holds stdout and stderr.
    folder: Folder,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let folder = Folder::new();
        let file = |name: &str| File::create(folder.0.join(name)).unwrap();
        command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        Running { child: command.spawn().unwrap(), folder }
    }

    /// Waits until it has ended, `has_come` holds for its stderr, or [`PATIENCE`] is over.
    fn until(&mut self, has_come: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none()
            && !has_come(&self.folder.read("err"))
            && begun.elapsed() < PATIENCE
        {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(mut self) -> Output {
        let status = self.child.wait().unwrap();
        let read = |name: &str| fs::read(self.folder.0.join(name)).unwrap();
        Output { status, stdout: read("out"), stderr: read("err") }
    }
}
