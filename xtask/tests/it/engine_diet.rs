//! `diet` on a real engine: what it removes and keeps, and why; the Dockerfile; that nothing is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};

use serde_json::Value;

use host::process_name::ProcessName;

use crate::support::containers::said;
use crate::support::tiny::{self, Tiny};
use crate::support::{program, signal, told};

/// Reads one file on an error path, and asks for the size of another without opening it.
const ANSWER: &str = r#"if ($request =~ m,/wrong,) { $status = open(F, "<", "/opt/errors/lib.so") && <F> ? 400 : 500 }
if ($request =~ m,/size,) { $status = -s "/opt/seen/only-by-name" ? 200 : 500 }"#;

const PROBES: &str = "[[service.alpha.probe]]\nname = \"plain\"\nrequest = { get = \"/\" }\n\
                      [[service.alpha.probe]]\nname = \"error\"\nrequest = { get = \"/wrong\" }\nstatus = 400\n\
                      [[service.alpha.probe]]\nname = \"size\"\nrequest = { get = \"/size\" }\n";

/// Bytes of the planted library that nothing uses.
const UNUSED: usize = 20_000_000;

/// A checkout with one service and files that it needs in different ways, or does not need.
fn site(test: &str, probes: &str) -> Tiny {
    let tiny = Tiny::new(test);
    let name = &tiny.name;
    let manifest = format!(
        "schema = 2\nproject = \"{name}\"\nversion = \"0.1.0\"\n\
         [service.alpha]\nimage = \"{name}-alpha\"\nport = 1001\ncompose = \"alpha\"\n\
         dockerfile = \"alpha/Dockerfile\"\noptimized = \"alpha/Dockerfile.optimized\"\n{probes}"
    );
    tiny.folder.write("xtask/images.toml", &manifest);
    tiny.compose("  alpha:\n    image: IMAGE-alpha\n    ports: [\"127.0.0.1:0:1001\"]");
    let root = tiny.folder.0.join("target/root");
    for (path, bytes) in [
        ("unused/lib.so", UNUSED),
        ("errors/lib.so", 300_000),
        ("seen/only-by-name", 200_000),
        ("seen/other", 150_000),
    ] {
        tiny.folder.write(&format!("target/root/opt/{path}"), &"x".repeat(bytes));
    }
    fs::create_dir_all(root.join("opt/empty")).unwrap();
    fs::set_permissions(root.join("opt/errors/lib.so"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("/opt/errors/lib.so", root.join("opt/leads")).unwrap();
    symlink("unused/lib.so", root.join("opt/leads-nowhere")).unwrap();
    let archive = tiny.folder.0.join("target/perl.tar");
    tiny::perl(&archive);
    let added = Command::new("tar")
        .arg("-rf")
        .arg(&archive)
        .args(["--owner=7:7", "-C"])
        .arg(&root)
        .arg("opt")
        .status();
    assert!(added.unwrap().success());
    tiny.image("alpha", &tiny::server(ANSWER));
    tiny
}

fn command(tiny: &Tiny, args: &[&str]) -> Command {
    let mut command = program();
    command.args(["diet", "alpha"]).args(args).arg("--root").arg(&tiny.folder.0);
    for name in ["SUTRA_EDITION", "SUTRA_VERSION", "COMPOSE_PROFILES"] {
        command.env_remove(name);
    }
    command
}

/// Containers, networks and folders of the test's stacks.
fn left(tiny: &Tiny) -> Vec<String> {
    let prefix = format!("{}-test-", tiny.name);
    let lists =
        [said(&["ps", "--all", "--format", "{{.Names}}"]), said(&["network", "ls", "--format", "{{.Name}}"])];
    let names = lists.iter().flat_map(|text| text.lines()).filter(|name| name.starts_with(&prefix));
    let folders = fs::read_dir(tiny.folder.0.join("target/xtask/trials")).into_iter().flatten();
    let folders = folders.map(|entry| entry.unwrap().path().display().to_string());
    names.map(str::to_owned).chain(folders).collect()
}

/// The tags of a process's trial images. Tests of this file run at the same time.
fn trials(process: u32) -> Vec<String> {
    let tags = said(&["image", "ls", "--filter", "label=xtask.trial", "--format", "{{.Tag}}"]);
    let is_own = |tag: &&str| tag.parse::<ProcessName>().is_ok_and(|name| name.pid == process);
    tags.lines().filter(is_own).map(str::to_owned).collect()
}

/// `tar -tv` of an image's files, without those that docker adds to containers, and without folders that the image's tar does not
/// have.
fn listing(image: &str) -> BTreeSet<String> {
    let id = said(&["create", "--network", "none", image, "x"]);
    let mut export = Command::new("docker").args(["export", &id]).stdout(Stdio::piped()).spawn().unwrap();
    let list = ["--numeric-owner", "--full-time", "-tvf", "-"];
    let output = Command::new("tar").args(list).stdin(export.stdout.take().unwrap()).output().unwrap();
    assert!(export.wait().unwrap().success() && output.status.success());
    said(&["rm", &id]);
    let text = String::from_utf8(output.stdout).unwrap();
    let added = ["dev/", "etc/", "proc/", "sys/", ".dockerenv"];
    let is_added = |line: &&str| {
        let path = line.split_whitespace().nth(5).unwrap();
        added.iter().any(|added| path.starts_with(added))
            || line.starts_with('d') && !path.starts_with("opt/")
    };
    text.lines().filter(|line| !is_added(line)).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn what_nothing_uses_goes_and_what_a_probe_needs_stays() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = site("diet", PROBES);
    let file = tiny.folder.0.join("target/Dockerfile.diet");
    let output =
        command(&tiny, &["--format", "json", "--output", &file.display().to_string()]).output().unwrap();
    let text = told(&output, &tiny.folder);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(left(&tiny), [""; 0]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let before = report["before"].as_u64().unwrap();
    let after = report["after"].as_u64().unwrap();
    assert_eq!(before - after, UNUSED as u64 + 150_000, "{report}");
    let goes = report["goes"].as_array().unwrap();
    assert!(goes.iter().any(|row| row["change"].as_str().unwrap().contains("/opt/unused")), "{report}");
    let reasons: Vec<&str> =
        report["stays"].as_array().unwrap().iter().map(|row| row["because"].as_str().unwrap()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("alpha · size fails: status 500")), "{report}");
    let errors = fs::read_to_string(&file).unwrap();
    assert!(
        errors.contains("./opt/errors/lib.so\n") && errors.contains("./opt/seen/only-by-name\n"),
        "{errors}"
    );

    // The Dockerfile makes the same files.
    let helper = tiny.folder.0.join("target/helper.tar");
    let programs = ["/bin/sh", "/usr/bin/tar", "/usr/bin/mkdir"];
    tiny::programs(&helper, &programs);
    let (image, built) = (tiny.tag("helper"), tiny.tag("built"));
    said(&[
        "import",
        "--change",
        &format!("LABEL xtask.test={}", tiny.name),
        &helper.display().to_string(),
        &image,
    ]);
    let argument = format!("HELPER={image}");
    let file = file.display().to_string();
    let folder = tiny.folder.0.join("target/root").display().to_string();
    said(&[
        "build",
        "--quiet",
        // The cache ignores times: it would return the files of an earlier run.
        "--no-cache",
        "--network",
        "none",
        "--build-arg",
        &argument,
        "--tag",
        &built,
        "--file",
        &file,
        &folder,
    ]);
    let (original, small) = (listing(&tiny.tag("alpha")), listing(&built));
    let strange: Vec<&String> = small.difference(&original).collect();
    assert!(strange.is_empty(), "{strange:#?}");
    let gone: Vec<&str> =
        original.difference(&small).map(|line| line.split_whitespace().nth(5).unwrap()).collect();
    assert_eq!(gone, ["opt/seen/other", "opt/unused/lib.so", "opt/leads-nowhere"]);
    let config = |image: &str, part: &str| {
        said(&["image", "inspect", "--format", &format!("{{{{json .Config.{part}}}}}"), image])
    };
    for part in ["Cmd", "Labels", "Healthcheck.Test", "User"] {
        assert_eq!(config(&built, part), config(&tiny.tag("alpha"), part), "{part}");
    }
    said(&["image", "rm", "--force", &built]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_service_without_probes_and_an_answer_that_changes_prove_nothing() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = site("diet-none", "");
    let output = command(&tiny, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", told(&output, &tiny.folder));
    assert!(told(&output, &tiny.folder).contains("alpha has no probe"));
    drop(tiny);

    // Every process of the service answers with its own number.
    let tiny = site("diet-flaky", PROBES);
    let own = "open U, '<', '/proc/sys/kernel/random/uuid'; $own = <U>; ";
    let flaky = tiny::server(ANSWER)
        .replace("Content-Length: 0\\r\\nConnection: close\\r\\n\\r\\n", "Connection: close\\r\\n\\r\\n$own");
    assert!(flaky.contains("$own"));
    tiny.image("alpha", &format!("{own}{flaky}"));
    let output = command(&tiny, &[]).output().unwrap();
    let text = told(&output, &tiny.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("flaky: alpha · plain failed in one of two stacks of the same image"), "{text}");
    assert_eq!(left(&tiny), [""; 0]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn whatever_ends_a_diet_nothing_is_left_behind() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = site("diet-end", PROBES);
    let mut killed = 0;
    for name in ["INT", "KILL"] {
        let mut child = command(&tiny, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while trials(child.id()).is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "the diet ended before its first trial appeared");
        }
        signal(name, child.id());
        child.wait().unwrap();
        if name == "INT" {
            assert_eq!(trials(child.id()), [""; 0]);
            assert_eq!(left(&tiny), [""; 0]);
        }
        killed = child.id();
    }
    // The next run removes what was killed.
    let output = command(&tiny, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &tiny.folder));
    assert_eq!(trials(killed), [""; 0]);
    assert_eq!(left(&tiny), [""; 0]);
}
