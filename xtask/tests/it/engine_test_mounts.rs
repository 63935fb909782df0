//! `test` on somebody else's repository: a stack that writes to host files, containers of a declared user, health of any kind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};

use crate::engine_monorepos::command;
use crate::init::monorepo;
use crate::support::containers::said;
use crate::support::{Folder, signal, tiny, told, wait};

/// The fixture `notes` with its images; both are removed when the test ends.
struct Notes {
    repository: Folder,
    _outer: Folder,
    /// The folder's name, which prefixes everything in the engine.
    project: String,
}

impl Notes {
    /// In a folder of its own name, because tests run at the same time.
    fn new(test: &str) -> Notes {
        let project = format!("xt-{test}-{}", std::process::id());
        let (outer, mut repository) = monorepo("notes");
        let folder = outer.0.join(&project);
        fs::rename(&repository.0, &folder).unwrap();
        repository.0 = folder;
        tiny::perl(&repository.0.join("web/perl.tar"));
        fs::copy(repository.0.join("web/perl.tar"), repository.0.join("worker/perl.tar")).unwrap();
        let at = |name: &str| repository.0.join("notes").join(name);
        repository.write("notes/key", "key");
        fs::hard_link(at("key"), at("second")).unwrap();
        let mode = |name: &str, mode| {
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        for name in ["", "key", "drafts", "../config/web.conf"] {
            // Only root can give files away.
            chown(at(name), Some(1234), Some(1235)).ok();
        }
        mode("key", 0o640);
        mode("drafts", 0o2770);
        mode("", 0o757);
        mode("../config/web.conf", 0o666);
        // A socket that a server left behind.
        UnixListener::bind(at("socket")).unwrap();
        let notes = Notes { repository, _outer: outer, project };
        notes.repository.write("images.toml", "schema = 2\n");
        let (code, text) = notes.run(&["build-images"]);
        assert_eq!(code, Some(0), "{text}");
        notes
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = command(&self.repository, args).output().unwrap();
        (output.status.code(), told(&output, &self.repository))
    }

    /// Runs `test` with this manifest.
    fn test(&self, manifest: &str, args: &[&str]) -> (Option<i32>, String) {
        self.repository.write("images.toml", &format!("schema = 2\n{manifest}"));
        self.run(&[&["test"], args].concat())
    }

    /// Every file outside of the tool's own folder: path, type, owner, mode, size and time.
    fn files(&self) -> String {
        let mut find = Command::new("find");
        let find = find.args([".", "-path", "./.images", "-prune", "-o", "-not", "-name", "images.toml"]);
        let find = find.args(["-not", "-path", ".", "-printf", "%p %y %U:%G %m %s %T@ %C@\n"]);
        let output = find.current_dir(&self.repository.0).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut lines: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines.join("\n")
    }

    /// The line that the server prints about one of its files.
    fn about(&self, target: &str, path: &str) -> String {
        let found = self.repository.0.join(path).metadata().unwrap();
        format!("{target} {:o} {}:{}", found.mode() & 0o7777, found.uid(), found.gid())
    }

    /// Starts `test` and waits for the first copy.
    fn start(&self) -> Child {
        let mut child = command(&self.repository, &["test"]).spawn().unwrap();
        wait::until("a copy appears", || {
            assert!(child.try_wait().unwrap().is_none(), "the run ended without a copy");
            !self.resources().is_empty()
        });
        child
    }

    /// The containers, volumes and networks of its throwaway stacks.
    fn resources(&self) -> String {
        let filter = format!("name={}-test-", self.project);
        let lists = [
            said(&["ps", "--all", "--filter", &filter, "--format", "{{.Names}}"]),
            said(&["volume", "ls", "--filter", &filter, "--format", "{{.Name}}"]),
            said(&["network", "ls", "--filter", &filter, "--format", "{{.Name}}"]),
        ];
        lists.join("\n").trim().to_owned()
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        self.run(&["clean"]);
    }
}

const HEALTH: &str = "[service.web]\nhealth = \"/healthz\"\n";

#[test]
#[ignore = "needs docker"]
fn a_stack_writes_to_copies_that_keep_owners_and_modes() {
    let _turn = crate::support::turn::take(module_path!());
    let notes = Notes::new("copies");
    let before = notes.files();
    let files = [
        ("/notes", "notes"),
        ("/notes/drafts", "notes/drafts"),
        ("/notes/key", "notes/key"),
        ("/notes/second", "notes/second"),
        ("/etc/web.conf", "config/web.conf"),
    ];
    let expected =
        files.map(|(target, path)| format!("{{ contains = \"{}\\n\" }}", notes.about(target, path)));
    let manifest = format!(
        "{HEALTH}[[service.web.probe]]\nname = \"files\"\nrequest = {{ get = \"/files\" }}\nexpect = [{}]\n\
         [[service.web.probe]]\nname = \"env file\"\nrequest = {{ get = \"/greeting\" }}\nexpect = [{{ contains = \"hello\" }}]\n",
        expected.join(", ")
    );
    let (code, text) = notes.test(&manifest, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "copying notes, which the stack may write to …\n",
        "copying config/web.conf, which the stack may write to …\n",
        "web      files     passed",
        "2 of 2 passed in project xt-copies-",
        "Not probed: worker (no probe, no health check).\n",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    assert_eq!(text.matches("copying notes,").count(), 1, "{text}");
    assert_eq!(notes.files(), before);
    assert_eq!(notes.resources(), "");
}

#[test]
#[ignore = "needs docker"]
fn copies_are_removed_after_an_interrupt_or_a_kill() {
    let _turn = crate::support::turn::take(module_path!());
    let notes = Notes::new("kill");
    notes.repository.write("images.toml", &format!("schema = 2\n{HEALTH}"));
    let before = notes.files();
    let mut child = notes.start();
    signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(notes.resources(), "");

    let mut child = notes.start();
    signal("KILL", child.id());
    child.wait().unwrap();
    assert!(notes.resources().contains("copy"), "the kill came too late: {}", notes.resources());
    let (code, text) = notes.test(HEALTH, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(notes.resources(), "");
    let folder = notes.repository.0.join(".images/trials");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    assert_eq!(notes.files(), before);
}

#[test]
#[ignore = "needs docker"]
fn what_cannot_be_copied_is_refused_by_name() {
    let _turn = crate::support::turn::take(module_path!());
    let notes = Notes::new("refused");
    let large = fs::File::create(notes.repository.0.join("static/large")).unwrap();
    large.set_len(2_000_000_000).unwrap();
    notes.repository.write(
        "compose.override.yaml",
        "services:\n  worker:\n    volumes: ['./notes/socket:/a', '/dev/null:/b', './static:/c']\n",
    );
    let (code, text) = notes.test(HEALTH, &[]);
    assert_eq!(code, Some(1), "{text}");
    for reason in [
        "/notes/socket is a socket",
        "/dev/null is or contains a device",
        "/static is too large: one stack copies at most 1GB and 200000 files",
        "help: mount it read-only, or use a named volume",
    ] {
        assert!(text.contains(reason), "`{reason}` is missing:\n{text}");
    }
    assert_eq!(notes.resources(), "");
}

#[test]
#[ignore = "needs docker"]
fn what_test_declares_is_compared_with_what_runs() {
    let _turn = crate::support::turn::take(module_path!());
    let notes = Notes::new("declared");
    let strict = "read-only = true\ncapabilities = []\n";
    for (service, rules, fault) in [
        ("web", "user = \"app\"\n", None),
        ("web", "user = 1234\n", None),
        ("worker", "user = 4321\n", None),
        ("web", strict, None),
        ("worker", strict, None),
        (
            "web",
            "user = 65532\n",
            Some("it starts as user `app`, expected 65532; processes run as user 1234,"),
        ),
        ("web", "user = \"nobody\"\n", Some("user `nobody` is not in the container's /etc/passwd")),
        ("worker", "user = \"app\"\n", Some("user `app` is not in the container's /etc/passwd")),
        ("web", "own-command = true\n", Some("its image has no HEALTHCHECK")),
    ] {
        let health =
            "[service.worker]\n[[service.worker.probe]]\nname = \"none\"\nrequest = { get = \"/\" }\n";
        let manifest = format!("{HEALTH}{health}[test]\n{rules}");
        let (_, text) = notes.test(&manifest, &[service]);
        let passed = text.contains(&format!("{service}  runs as [test] requires  passed"))
            || text.contains(&format!("{service}   runs as [test] requires  passed"))
            || text.contains(&format!("{service}      runs as [test] requires  passed"));
        assert_eq!(passed, fault.is_none(), "{service}: {rules}{text}");
        assert!(text.contains(fault.unwrap_or_default()), "{service}: {rules}{text}");
    }
    notes.repository.write(
        "compose.override.yaml",
        "services:\n  web: {read_only: false, cap_add: [NET_ADMIN], user: root}\n",
    );
    let manifest = format!("{HEALTH}[test]\nuser = \"app\"\n{strict}");
    let (code, text) = notes.test(&manifest, &["web"]);
    assert_eq!(code, Some(1), "{text}");
    for fault in [
        "it starts as user `root`, expected `app`",
        "processes run as user 0, expected `app`",
        "its root file system is writable",
        "it has added capabilities: NET_ADMIN",
    ] {
        assert!(text.contains(fault), "`{fault}` is missing:\n{text}");
    }
}

#[test]
#[ignore = "needs docker"]
fn health_comes_from_the_image_from_compose_or_from_a_path() {
    let _turn = crate::support::turn::take(module_path!());
    let notes = Notes::new("health");
    let of = |service: &str, manifest: &str| {
        let (code, text) = notes.test(manifest, &[service, "--format", "json"]);
        let json = text.split("----- stdout -----\n").nth(1).unwrap().split("----- stderr").next().unwrap();
        let report: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|_| panic!("{text}"));
        let outcome = &report["stacks"][0]["report"]["outcomes"][0];
        (code, outcome["verdict"].clone(), outcome["tries"].as_u64())
    };
    // A path is asked for at least once.
    let (code, verdict, tries) = of("web", HEALTH);
    assert_eq!((code, verdict == "passed"), (Some(0), true));
    assert!(tries >= Some(1), "{tries:?}");
    // The checks of Compose and of the image need no request, whatever the manifest says.
    let check = "[CMD, /usr/bin/perl, -e, exit]";
    let text = format!(
        "services:\n  worker: {{healthcheck: {{test: {check}, interval: 1s, start_interval: 1s}}}}\n"
    );
    notes.repository.write("compose.override.yaml", &text);
    let path = "[service.worker]\nhealth = \"/nowhere\"\n";
    assert_eq!(of("worker", path), (Some(0), "passed".into(), Some(0)));
    fs::remove_file(notes.repository.0.join("compose.override.yaml")).unwrap();
    // Without a port, a path cannot be asked for.
    let (code, text) = notes.test(path, &["worker"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("worker · health check: worker declares no port: add `port` to its table"),
        "{text}"
    );
    let dockerfile = notes.repository.read("worker/Dockerfile");
    let check = "HEALTHCHECK --interval=1s --start-interval=1s CMD [\"/usr/bin/perl\", \"-e\", \"exit\"]\n";
    notes.repository.write("worker/Dockerfile", &format!("{dockerfile}{check}"));
    let (code, text) = notes.run(&["build-images", "worker"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(of("worker", path), (Some(0), "passed".into(), Some(0)));
}
