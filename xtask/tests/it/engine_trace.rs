//! `trace` on a real engine: which files are opened, when, and that nothing is left behind.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use contents::used::{UsePhase, UseRecord};

use crate::support::containers::said;
use crate::support::second_engine::SecondEngine;
use crate::support::tiny::{self, Tiny};
use crate::support::{program, signal, told};

/// Answers every request on port 1001, and opens a file for one path, one at its start, and one at its end.
const SERVE: &str = r#"$SIG{TERM} = sub { open F, "<", "/data/stop"; exit };
open F, "<", "/data/start"; <F>;
socket S, 2, 1, 6; setsockopt S, 1, 2, 1; bind S, pack "S n a4 x8", 2, 1001, "\0\0\0\0"; listen S, 16;
while (accept C, S) {
    $request = <C>;
    while (<C>) { last if /^\r?$/ }
    if ($request =~ m,/probe,) { open F, "<", "/data/z-probe"; <F> }
    print C "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close C;
}"#;

const PROBES: &str = "[[service.alpha.probe]]\nname = \"plain\"\nrequest = { get = \"/\" }\n\
                      [[service.alpha.probe]]\nname = \"reads\"\nrequest = { get = \"/probe\" }\n";

/// A checkout with one service, and files that it opens at different times.
fn site(test: &str, probes: &str) -> Tiny {
    let tiny = Tiny::new(test);
    let name = &tiny.name;
    let manifest = format!(
        "schema = 2\nproject = \"{name}\"\nversion = \"0.1.0\"\n\
         [service.alpha]\nimage = \"{name}-alpha\"\nport = 1001\ncompose = \"alpha\"\n\
         dockerfile = \"alpha/Dockerfile\"\noptimized = \"alpha/Dockerfile.optimized\"\n{probes}"
    );
    tiny.folder.write("xtask/images.toml", &manifest);
    let check = r#"["CMD", "/usr/bin/perl", "-e", "open F, q{<}, q{/data/check}"]"#;
    tiny.compose(&format!(
        "  alpha:\n    image: IMAGE-alpha\n    ports: [\"127.0.0.1:0:1001\"]\n    healthcheck:\n      test: {check}\n      \
         interval: 100ms\n      start_interval: 100ms\n      start_period: 5s"
    ));
    let root = tiny.folder.0.join("target/root");
    for name in ["start", "z-probe", "stop", "never", "check"] {
        tiny.folder.write(&format!("target/root/data/{name}"), &name.repeat(100));
    }
    fs::hard_link(root.join("data/z-probe"), root.join("data/a-name")).unwrap();
    let archive = tiny.folder.0.join("target/perl.tar");
    tiny::perl(&archive);
    let added = Command::new("tar").arg("-rf").arg(&archive).arg("-C").arg(&root).arg("data").status();
    assert!(added.unwrap().success());
    tiny.image("alpha", SERVE);
    tiny
}

fn command(tiny: &Tiny, args: &[&str]) -> Command {
    let mut command = program();
    command.args(args).arg("--root").arg(&tiny.folder.0);
    for name in ["SUTRA_EDITION", "SUTRA_VERSION", "COMPOSE_PROFILES"] {
        command.env_remove(name);
    }
    command
}

/// Exit code and everything printed.
fn run(tiny: &Tiny, args: &[&str]) -> (Option<i32>, String) {
    let output = command(tiny, args).output().unwrap();
    (output.status.code(), told(&output, &tiny.folder))
}

/// The stored records.
fn records(tiny: &Tiny) -> Vec<UseRecord> {
    let Ok(entries) = fs::read_dir(tiny.folder.0.join("target/xtask/uses")) else { return Vec::new() };
    let read = |path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// The files under `data`, with the phases in which they were opened.
fn data(record: &UseRecord) -> BTreeMap<&str, Vec<usize>> {
    record
        .files
        .iter()
        .filter_map(|(path, usage)| {
            Some((path.strip_prefix("data/")?, usage.phases.iter().copied().collect()))
        })
        .collect()
}

/// What [`data`] must be. A hard link has the first of its names; the health check belongs to the start.
fn expected() -> BTreeMap<&'static str, Vec<usize>> {
    BTreeMap::from([("a-name", vec![3]), ("check", vec![0]), ("start", vec![0]), ("stop", vec![4])])
}

/// Containers, networks and folders of the test's stacks.
fn left(tiny: &Tiny) -> Vec<String> {
    let prefix = format!("{}-test-", tiny.name);
    let lists =
        [said(&["ps", "--all", "--format", "{{.Names}}"]), said(&["network", "ls", "--format", "{{.Name}}"])];
    let names = lists.iter().flat_map(|text| text.lines()).filter(|name| name.starts_with(&prefix));
    let trials = fs::read_dir(tiny.folder.0.join("target/xtask/trials")).into_iter().flatten();
    let trials = trials.map(|entry| entry.unwrap().path().display().to_string());
    names.map(str::to_owned).chain(trials).collect()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn files_of_the_start_of_one_probe_and_of_no_use_are_told_apart() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = site("trace", PROBES);
    let (code, text) = run(&tiny, &["trace", "--idle", "1"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(left(&tiny), [""; 0]);

    let [record] = records(&tiny).try_into().unwrap();
    let probe = |name: &str| UsePhase::Probe { group: "alpha".to_owned(), probe: name.to_owned() };
    let phases = [UsePhase::Start, UsePhase::Idle, probe("plain"), probe("reads"), UsePhase::Stop];
    assert_eq!(record.phases, phases);
    assert_eq!(data(&record), expected());
    assert!(record.files["data/start"].read);

    // What the first process opens before it runs its own code: itself, the loader and libc.
    let linked = Command::new("ldd").arg("/usr/bin/perl").output().unwrap();
    let linked = String::from_utf8(linked.stdout).unwrap();
    let linked = linked.split_whitespace().filter(|word| word.starts_with('/')).chain(["/usr/bin/perl"]);
    for path in linked.map(|path| path.trim_start_matches('/')) {
        let start = record.files.get(path).is_some_and(|usage| usage.phases.contains(&0));
        assert!(start, "{path} is not in {:?}", record.files.keys());
    }

    let (code, text) = run(&tiny, &["analyze", "alpha", "--used"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("alpha · reads") && text.contains("Slacker"), "{text}");
    let json = command(&tiny, &["analyze", "alpha", "--used", "--format", "json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["bytes"]["never"], &json["bytes"]["probes"]), (&500.into(), &700.into()), "{json}");

    // The record says nothing about another image.
    tiny.image("alpha", SERVE);
    let (code, text) = run(&tiny, &["analyze", "alpha", "--used"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("trace alpha") && text.contains("another image"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_trace_with_a_failed_probe_is_discarded() {
    let _turn = crate::support::turn::take(module_path!());
    let wrong = "[[service.alpha.probe]]\nname = \"wrong\"\nrequest = { get = \"/\" }\nstatus = 404\n";
    let tiny = site("trace-wrong", wrong);
    let (code, text) = run(&tiny, &["trace", "alpha", "--idle", "0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the trace was discarded: alpha · wrong"), "{text}");
    assert_eq!((left(&tiny), records(&tiny)), (vec![], vec![]));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_interrupted_trace_leaves_nothing_behind() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = site("trace-end", PROBES);
    // Once its container runs, it waits for the end of a long idle time.
    let mut trace = command(&tiny, &["trace", "--idle", "1000"]);
    let mut child = trace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let filter = format!("name={}-test-", tiny.name);
    while said(&["ps", "--quiet", "--filter", &filter]).is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "the trace ended before its container appeared");
    }
    signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((left(&tiny), records(&tiny)), (vec![], vec![]));
    // Other containers start as before: nothing holds the runtime.
    said(&["run", "--rm", "--network", "none", &tiny.tag("alpha"), "/usr/bin/perl", "-e", "exit"]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_containerd_image_store_is_traced_too() {
    let _turn = crate::support::turn::take(module_path!());
    let (engine, tiny) = (SecondEngine::start(), site("trace-store", PROBES));
    let archive = tiny.folder.0.join("target/image.tar").display().to_string();
    said(&["save", "--output", &archive, &tiny.tag("alpha")]);
    assert!(engine.docker(&["load", "--input", &archive]).output().unwrap().status.success());
    // Its ports are in a network namespace of its own.
    let trace = command(&tiny, &["trace", "--idle", "0"]);
    let mut inside = Command::new("nsenter");
    inside.args(["--net", "--target", &engine.daemon.id().to_string()]);
    inside.arg(trace.get_program()).args(trace.get_args()).env("DOCKER_HOST", engine.host());
    for name in ["SUTRA_EDITION", "SUTRA_VERSION", "COMPOSE_PROFILES"] {
        inside.env_remove(name);
    }
    let output = inside.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &tiny.folder));
    let [record] = records(&tiny).try_into().unwrap();
    assert_eq!(data(&record), expected());
}
