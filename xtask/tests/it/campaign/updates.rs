//! Updates: 200 cases of `deploy update` with all cores busy, on services with replicas, a one-shot dependency, and programs that
//! start slowly, fail at their first start, or exit slowly.

use std::collections::BTreeMap;
use std::fmt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use super::{Case, run, same, seed, sites};
use crate::support::load::Load;
use crate::support::{Site, docker};

const UPDATES: usize = 200;

/// A one-shot task, then the two services, one with three replicas. `never` and `none` have no containers, and `none` has no image.
const COMPOSE: &str = r#"services:
  prepare:
    image: PREFIX-alpha:latest-optimized
    command: ["perl", "-e", "exit 0"]
    healthcheck: { disable: true }
    read_only: true
    cap_drop: [ALL]
  alpha:
    image: PREFIX-alpha:latest-optimized
    depends_on: { prepare: { condition: service_completed_successfully } }
    read_only: true
    cap_drop: [ALL]
    ports: ["127.0.0.1::1001"]
  beta:
    image: PREFIX-beta:latest-optimized
    depends_on: { alpha: { condition: service_healthy } }
    deploy: { replicas: 3 }
    restart: on-failure
    healthcheck: { interval: 1s, retries: 60 }
    cap_drop: [ALL]
  never:
    image: PREFIX-beta:latest-optimized
    profiles: [never]
  none:
    image: PREFIX-none:latest-optimized
    deploy: { replicas: 0 }
"#;

/// A service with containers, after an update.
struct Service {
    name: &'static str,
    image: &'static str,
    replicas: usize,
    /// Status, exit code and health of each container.
    state: &'static str,
    /// What the update prints.
    report: &'static str,
}

const SERVICES: [Service; 3] = [
    Service { name: "prepare", image: "alpha", replicas: 1, state: "exited 0", report: "completed (" },
    Service { name: "alpha", image: "alpha", replicas: 1, state: "running 0 healthy", report: "healthy (" },
    Service {
        name: "beta",
        image: "beta",
        replicas: 3,
        state: "running 0 healthy",
        report: "healthy, 3 of 3 replicas (",
    },
];

/// Start of the program of `beta`: it fails at its first start, then takes up to four seconds.
const STARTS_SLOWLY: &str = "unless (-e '/tmp/started') { open my $file, '>', '/tmp/started' or die $!; exit 1 }\n\
                             select undef, undef, undef, rand 4;\n";

/// An update must leave it unchanged.
const DOT_ENV: &str = "# the user's own settings\nOTHER='kept'\n";

/// Words for failures in the output; a successful update reports none.
const FAILURES: [&str; 4] = ["unhealthy", "ended, exit code", "crash loop", "paused"];

/// What distinguishes an update from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    NewImages,
    NothingNew,
    /// A replica was stopped before the update.
    Stopped,
    /// A container is removed while Compose replaces it.
    Vanishing,
    /// A container of `docker compose run` is running.
    OneOff,
    /// `alpha` is updated before the others.
    AlphaFirst,
}

const KINDS: [Kind; 6] =
    [Kind::NewImages, Kind::NothingNew, Kind::Stopped, Kind::Vanishing, Kind::OneOff, Kind::AlphaFirst];

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::NewImages => "new images",
            Kind::NothingNew => "nothing new",
            Kind::Stopped => "a stopped replica",
            Kind::Vanishing => "a container vanishes",
            Kind::OneOff => "a one-off container",
            Kind::AlphaFirst => "alpha first",
        })
    }
}

#[test]
#[ignore = "takes most of an hour: cargo xtask ci --campaign updates"]
fn campaign() {
    let stack = Stack::new();
    let load = Load::on_every_core();
    let case = |number: usize| {
        let (stack, kind) = (&stack, KINDS[number % KINDS.len()]);
        Case::new(format!("update {number}: {kind}"), move || stack.case(number, kind))
    };
    run("updates", (1..=UPDATES).map(case).collect());
    drop(load);
    sites::all(&stack.site, &[&["deploy", "down", "--volumes"]]);
}

/// The site and its stack, removed on drop.
struct Stack {
    site: Site,
}

impl Drop for Stack {
    fn drop(&mut self) {
        sites::clear(&self.site);
    }
}

/// A container as docker describes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Container {
    id: String,
    /// Its image's ID.
    image: String,
    /// State, exit code and health.
    state: String,
}

type Containers = BTreeMap<String, Vec<Container>>;

impl Stack {
    fn new() -> Stack {
        let stack = Stack { site: sites::site("updates") };
        let folder = &stack.site.folder;
        folder.write("docker-compose.yml", &COMPOSE.replace("PREFIX", &stack.site.prefix));
        folder.write(".env", DOT_ENV);
        let program = folder.read("beta/serve").replace("my $door", &format!("{STARTS_SLOWLY}my $door"));
        folder.write("beta/serve", &program);
        sites::generation(&stack.site, "first");
        sites::all(&stack.site, &[&["build-images"]]);
        stack
    }

    /// Installs the stack unless it is there, builds images, updates, and checks everything with docker.
    fn case(&self, number: usize, kind: Kind) -> Result<(), String> {
        if self.containers().is_empty() {
            self.deploy(&["install"], &["prepare", "alpha", "beta"], |_| {})?;
        }
        if kind != Kind::NothingNew {
            self.change_sources(&mut Rng::with_seed(seed() ^ number as u64));
        }
        sites::all(&self.site, &[&["build-images"]]);
        let all = ["prepare", "alpha", "beta"];
        let replica = self.containers()["beta"][0].id.clone();
        match kind {
            Kind::NewImages | Kind::NothingNew => self.deploy(&["update"], &all, |_| {}),
            Kind::Stopped => {
                docker(&["stop", &replica]);
                self.deploy(&["update"], &all, |_| {})
            }
            Kind::Vanishing => self.deploy(&["update"], &all, |child| self.remove_once_busy(&replica, child)),
            Kind::OneOff => {
                let _one_off = OneOff::start(&self.site);
                self.deploy(&["update"], &all, |_| {})
            }
            Kind::AlphaFirst => {
                self.deploy(&["update", "alpha"], &["prepare", "alpha"], |_| {})?;
                self.deploy(&["update"], &all, |_| {})
            }
        }
    }

    /// Gives both services another generation. Their programs exit at once on SIGTERM, or after a second.
    fn change_sources(&self, rng: &mut Rng) {
        let text = self.site.folder.read("alpha/serve");
        let current = text.trim_end().rsplit(' ').next();
        let others: Vec<&str> =
            ["first", "second", "third"].into_iter().filter(|name| Some(*name) != current).collect();
        sites::generation(&self.site, others[rng.usize(0..others.len())]);
        let slowly = rng.bool();
        for name in ["alpha", "beta"] {
            let path = format!("{name}/serve");
            let (at_once, later) = ("sub { exit }", "sub { sleep 1; exit }");
            let text = self.site.folder.read(&path).replace(later, at_once);
            let text = if slowly { text.replace(at_once, later) } else { text };
            self.site.folder.write(&path, &text);
        }
    }

    /// Runs `deploy ARGS…`, and checks that it updates the services in `scope` and nothing else.
    fn deploy(&self, args: &[&str], scope: &[&str], during: impl FnOnce(&mut Child)) -> Result<(), String> {
        let (before, kept) = (self.containers(), self.kept());
        let mut command = self.site.command(&[&["deploy"], args].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        during(&mut child);
        let output = child.wait_with_output().unwrap();
        let told = self.site.told(&output);
        let result = if output.status.success() {
            self.check(&before, &kept, scope).and_then(|()| reports(&told, scope))
        } else {
            Err("it failed".to_owned())
        };
        result.map_err(|text| {
            let left = self.containers();
            // The next case installs the stack again.
            let ids = docker(&["ps", "--all", "--quiet", &self.label()]);
            Command::new("docker").args(["rm", "--force"]).args(ids.lines()).output().unwrap();
            format!("deploy {args:?}: {text}\n{told}\ncontainers: {left:?}\nbefore: {before:?}")
        })
    }

    fn check(&self, before: &Containers, kept: &Kept, scope: &[&str]) -> Result<(), String> {
        let (found, mut expected_kept) = (self.containers(), kept.clone());
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        same("services with containers", &names, &vec!["alpha", "beta", "prepare"])?;
        for Service { name: service, image, replicas, state, .. } in SERVICES {
            let is_updated = scope.contains(&service);
            let old = before.get(service).and_then(|containers| containers.first());
            let image_id = match old {
                Some(old) if !is_updated => old.image.clone(),
                _ => self.image(image),
            };
            let all: Vec<_> =
                found[service].iter().map(|one| (one.image.as_str(), one.state.as_str())).collect();
            same(service, &all, &vec![(image_id.as_str(), state); replicas])?;
            match old {
                Some(old) if old.image == image_id => {
                    let ids = |containers: &[Container]| -> Vec<String> {
                        containers.iter().map(|one| one.id.clone()).collect()
                    };
                    same(&format!("containers of {service}"), &ids(&found[service]), &ids(&before[service]))?;
                }
                Some(old) => drop(expected_kept.insert(service.to_owned(), old.image.clone())),
                None => {}
            }
            if is_updated && service != "prepare" {
                let program = docker(&["exec", &found[service][0].id, "cat", "/serve"]);
                let source = self.site.folder.read(&format!("{service}/serve"));
                same(&format!("program of {service}"), &program.as_str(), &source.trim())?;
            }
        }
        same("images kept for a rollback", &self.kept(), &expected_kept)?;
        same(
            "record of deployed images",
            &self.record(),
            &["alpha", "beta"].map(|name| self.tag(name)).into(),
        )?;
        same(".env", &self.site.folder.read(".env").as_str(), &DOT_ENV)
    }

    fn tag(&self, name: &str) -> String {
        format!("{}-{name}:latest-optimized", self.site.prefix)
    }

    fn image(&self, name: &str) -> String {
        docker(&["image", "inspect", "--format", "{{.Id}}", &self.tag(name)])
    }

    fn label(&self) -> String {
        format!("--filter=label=com.docker.compose.project={}", sites::project(&self.site))
    }

    /// The containers of every service, sorted by ID.
    fn containers(&self) -> Containers {
        let one_off = "--filter=label=com.docker.compose.oneoff=False";
        let ids = docker(&["ps", "--all", "--quiet", &self.label(), one_off]);
        if ids.is_empty() {
            return Containers::new();
        }
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}}|{{.ID}}|{{.Image}}|{{.State.Status}} \
                      {{.State.ExitCode}} {{if .State.Health}}{{.State.Health.Status}}{{end}}";
        let inspect = ["inspect", "--format", format].into_iter().chain(ids.lines());
        let mut found = Containers::new();
        for line in docker(&inspect.collect::<Vec<_>>()).lines() {
            let parts: Vec<String> = line.trim().splitn(4, '|').map(str::to_owned).collect();
            let [service, id, image, state] = parts.try_into().unwrap();
            found.entry(service).or_default().push(Container { id, image, state });
        }
        found.values_mut().for_each(|containers| containers.sort());
        found
    }

    /// The images kept for a rollback, by service.
    fn kept(&self) -> Kept {
        let image = format!("{}-rollback", sites::project(&self.site));
        let tags = docker(&["image", "ls", "--no-trunc", "--format", "{{.Tag}} {{.ID}}", &image]);
        let pairs = tags.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(tag, id)| (tag.to_owned(), id.to_owned())).collect()
    }

    /// The tags in the record of deployed images.
    fn record(&self) -> Vec<String> {
        let text = self.site.folder.read("target/xtask/deployed/images.json");
        let record: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
        let images = record["images"].as_array().into_iter().flatten();
        images.map(|image| image["image"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Removes a container as soon as Compose has created another one, at the latest when `child` ends.
    fn remove_once_busy(&self, id: &str, child: &mut Child) {
        let ids = || docker(&["ps", "--all", "--quiet", &self.label()]);
        let before = ids();
        while child.try_wait().unwrap().is_none() && ids().lines().all(|id| before.contains(id)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Command::new("docker").args(["rm", "--force", id]).output().unwrap();
    }
}

/// Checks that the output reports each service in `scope` as healthy or completed, and no failure.
fn reports(told: &str, scope: &[&str]) -> Result<(), String> {
    if let Some(word) = FAILURES.iter().find(|word| told.contains(**word)) {
        return Err(format!("it reported a failure: {word}"));
    }
    for Service { name, report, .. } in SERVICES.iter().filter(|service| scope.contains(&service.name)) {
        let has = |line: &str| {
            line.split_once(' ')
                .is_some_and(|(first, rest)| first == *name && rest.trim_start().starts_with(report))
        };
        if !told.lines().any(has) {
            return Err(format!("it did not report {name} as {report}…)"));
        }
    }
    Ok(())
}

/// Image IDs by service.
type Kept = BTreeMap<String, String>;

/// A running container of `docker compose run` that is not healthy, removed on drop.
struct OneOff(String);

impl OneOff {
    fn start(site: &Site) -> OneOff {
        let folder = site.folder.0.to_str().unwrap();
        let run = ["compose", "--project-directory", folder, "run", "--detach", "--no-deps", "alpha"];
        OneOff(docker(&[&run[..], &["perl", "-e", "sleep 1000"]].concat()))
    }
}

impl Drop for OneOff {
    fn drop(&mut self) {
        Command::new("docker").args(["rm", "--force", &self.0]).output().ok();
    }
}
