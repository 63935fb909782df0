//! Measuring on a real engine: figures are recorded, and nothing remains on the machine however the run ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::containers::{root, said};
use crate::support::stack::Stack;
use crate::support::{Folder, Site, docker, signal, told, wait};
use measure::record::MeasureRecord;
use model::edition::Edition;
use model::quantity::Quantity;

/// Debian's registry, unpacked once for all tests and runs of this checkout.
fn lend_registry(folder: &Folder) {
    let ours = root().join("target/xtask/programs");
    if ours.is_dir() {
        fs::create_dir_all(folder.0.join("target/xtask")).unwrap();
        std::os::unix::fs::symlink(ours.canonicalize().unwrap(), folder.0.join("target/xtask/programs"))
            .unwrap();
    }
}

fn record(folder: &Folder) -> MeasureRecord {
    serde_json::from_str(&folder.read("target/xtask/measure.json")).unwrap()
}

/// The index of the machine's own bridge: a new index means that containers were cut off.
fn bridge() -> String {
    fs::read_to_string("/sys/class/net/docker0/ifindex").unwrap_or_default()
}

/// Everything that a `measure` of this checkout could leave on the machine.
fn remains(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    let mut sockets = Vec::new();
    for session in entries(&folder.0.join("target/xtask/measure")) {
        let name = session.file_name().unwrap().to_str().unwrap().to_owned();
        found.extend(
            said(&["ps", "--all", "--quiet", "--filter", &format!("label=xtask.measure={name}")])
                .lines()
                .map(str::to_owned),
        );
        sockets.push(std::env::temp_dir().join(&name));
        found.push(name);
    }
    found.extend(sockets.iter().filter(|path| path.exists()).map(|path| path.display().to_string()));
    found.extend(processes(folder));
    let place = folder.0.display().to_string();
    let alias = |link: &PathBuf| fs::read_to_string(link.join("ifalias")).unwrap_or_default();
    let bridges =
        entries(Path::new("/sys/class/net")).into_iter().filter(|link| alias(link).contains(&place));
    found.extend(bridges.map(|link| link.display().to_string()));
    found
        .extend(entries(&folder.0.join("target/xtask/trials")).iter().map(|path| path.display().to_string()));
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// Processes whose command line contains this checkout's path.
fn processes(folder: &Folder) -> Vec<String> {
    let place = folder.0.join("target/xtask/measure").display().to_string();
    let line =
        |path: PathBuf| fs::read_to_string(path.join("cmdline")).unwrap_or_default().replace('\0', " ");
    entries(Path::new("/proc")).into_iter().map(line).filter(|line| line.contains(&place)).collect()
}

fn tags_of(registry: &str) -> String {
    docker(&["image", "ls", "--quiet", "--filter", &format!("reference=127.0.0.1:*/{registry}*")])
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn pulls_go_into_a_second_engine_and_leave_nothing_behind() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("measure");
    lend_registry(&site.folder);
    let built = site.run(&["build-images", "alpha", "--variant", "both"]);
    assert!(built.status.success(), "{}", site.told(&built));
    let before = bridge();
    let measure = ["measure", "alpha", "--only", "pull", "--runs", "2", "--with-engine"];
    let output = site.run(&measure);
    let text = site.told(&output);
    assert!(output.status.success(), "{text}");
    let record = record(&site.folder);
    assert!(record.complete);
    let find = |quantity| record.find(Edition::named("simple"), "latest", "alpha", quantity).unwrap();
    for quantity in [Quantity::PullBytes, Quantity::Pull] {
        let entry = find(quantity);
        assert_eq!((entry.original.count(), entry.optimized.count()), (2, 2), "{quantity:?}");
    }
    let bytes = find(Quantity::PullBytes);
    // A Debian base against one file. The second pull transfers everything again.
    assert!(bytes.original.min().unwrap() > 10_000_000, "{text}");
    assert!(bytes.optimized.max().unwrap() < 100_000 && bytes.optimized.min().unwrap() > 500, "{text}");
    assert!(!bytes.comparison.unwrap().overlap);
    assert!(find(Quantity::Pull).of.optimized["alpha"].starts_with("sha256:"));
    assert_eq!((remains(&site.folder), tags_of(&site.prefix), bridge()), (vec![], String::new(), before));
}

/// Starts a run and sends it a signal once a condition holds.
fn stopped(site: &Site, args: &[&str], name: &str, when: impl Fn() -> bool) -> Option<i32> {
    let mut child: Child = site.command(args).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    wait::until("the moment of the signal", || {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it was stopped");
        when()
    });
    signal(name, child.id());
    child.wait().unwrap().code()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_interrupted_or_killed_run_leaves_nothing_on_the_machine() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("measure-stop");
    lend_registry(&site.folder);
    let built = site.run(&["build-images", "alpha", "--variant", "both"]);
    assert!(built.status.success(), "{}", site.told(&built));
    let before = bridge();
    let args = ["measure", "alpha", "--only", "pull", "--runs", "50", "--with-engine"];
    let session = || entries(&site.folder.0.join("target/xtask/measure")).pop();
    let has = |name: &str| session().is_some_and(|folder| folder.join(name).exists());
    let measured = || site.folder.read("target/xtask/measure.json").contains("\"pull\"");
    let moments: [(&str, &dyn Fn() -> bool); 4] = [
        ("the registry comes up", &|| has("registry/config.yml")),
        ("an image is pushed", &|| has("tags")),
        ("the second engine comes up", &|| has("engine/daemon.json")),
        ("an image is pulled", &measured),
    ];
    for (moment, when) in moments {
        fs::remove_file(site.folder.0.join("target/xtask/measure.json")).ok();
        assert_eq!(stopped(&site, &args, "INT", when), Some(130), "{moment}");
        assert_eq!((remains(&site.folder), tags_of(&site.prefix)), (vec![], String::new()), "{moment}");
    }
    // What was measured is kept, and says that it is not all.
    let kept = record(&site.folder);
    assert!(!kept.complete && !kept.entries.is_empty());

    // Nobody cleans up after a kill but the kernel, which ends the processes, and the next run.
    fs::remove_file(site.folder.0.join("target/xtask/measure.json")).unwrap();
    assert_eq!(stopped(&site, &args, "KILL", measured), None);
    wait::until("its processes end", || processes(&site.folder).is_empty());
    assert_ne!(remains(&site.folder), [""; 0], "the kill came too late to leave anything");
    let next = site.run(&["measure", "alpha", "--only", "pull", "--runs", "1"]);
    assert!(next.status.success(), "{}", site.told(&next));
    assert_eq!((remains(&site.folder), tags_of(&site.prefix), bridge()), (vec![], String::new(), before));
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_service_is_measured_alone_and_in_a_stack() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("measure");
    stack.folder.write("target/xtask/measure.json", "{\"schema\": 0, \"entries\": []}");
    let args = ["measure", "storage", "--runs", "2", "--settle", "0", "--only", "start,memory,cpu,request"];
    let output = stack.command(&args).output().unwrap();
    let text = told(&output, &stack.folder);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("measure.json cannot be used: it has schema 0, this program reads 2"), "{text}");
    let record = record(&stack.folder);
    let wanted: Vec<Quantity> = Quantity::ALL
        .into_iter()
        .filter(|quantity| {
            let part = measure::plan::Part::of(*quantity);
            part.is_some_and(|part| part != measure::plan::Part::Pull) && *quantity != Quantity::Up
        })
        .collect();
    for quantity in wanted {
        let entry = record.find(Edition::named("simple"), "latest", "storage", quantity);
        let entry = entry.unwrap_or_else(|| panic!("{quantity:?}: {text}"));
        assert_eq!((entry.original.count(), entry.optimized.count()), (2, 2), "{quantity:?}");
        assert!(entry.optimized.min().unwrap() > 0, "{quantity:?}: {text}");
    }
    assert_eq!(remains(&stack.folder), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn the_next_run_removes_containers_and_stacks_of_a_killed_one() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("measure-kill");
    let labelled = || {
        let sessions = entries(&stack.folder.0.join("target/xtask/measure"));
        let name = sessions.last().and_then(|path| path.file_name()?.to_str().map(str::to_owned));
        name.is_some_and(|name| {
            !said(&["ps", "--quiet", "--filter", &format!("label=xtask.measure={name}")]).is_empty()
        })
    };
    let trial = || {
        let names = entries(&stack.folder.0.join("target/xtask/trials"));
        let project = names.last().and_then(|path| path.file_name()?.to_str().map(str::to_owned));
        project.is_some_and(|name| {
            !said(&["ps", "--quiet", "--filter", &format!("label=com.docker.compose.project={name}")])
                .is_empty()
        })
    };
    let run = |only: &str, name: &str, when: &dyn Fn() -> bool| {
        let mut command: Command = stack.command(&["measure", "storage", "--settle", "60", "--only", only]);
        let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        wait::until("the moment of the signal", || {
            assert!(child.try_wait().unwrap().is_none(), "the run ended before it was stopped");
            when()
        });
        signal(name, child.id());
        child.wait().unwrap().code()
    };
    assert_eq!(run("memory", "INT", &labelled), Some(130));
    assert_eq!(remains(&stack.folder), [""; 0]);
    assert_eq!(run("request", "INT", &trial), Some(130));
    assert_eq!(remains(&stack.folder), [""; 0]);
    assert_eq!(run("memory", "KILL", &labelled), None);
    assert_eq!(run("request", "KILL", &trial), None);
    assert_ne!(remains(&stack.folder), [""; 0]);
    let output = stack.command(&["measure", "storage", "--runs", "1", "--only", "start"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert_eq!(remains(&stack.folder), [""; 0]);
}
