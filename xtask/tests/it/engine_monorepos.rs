//! `init` on small monorepos, with the docker of this machine.

use std::fs;
use std::process::{Command, Output};

use crate::init::{keys, monorepo};
use crate::support::{Folder, program, told};

const ALL: [&str; 5] = ["bake", "compose", "skaffold", "thirty", "workspace"];

/// xtask with this machine's docker and none of its settings.
pub fn command(repository: &Folder, args: &[&str]) -> Command {
    let mut command = program();
    command.args(args).arg("--root").arg(&repository.0).env_clear();
    for name in ["PATH", "HOME", "DOCKER_HOST"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command
}

pub fn run(repository: &Folder, args: &[&str]) -> Output {
    command(repository, args).output().unwrap()
}

pub fn init(repository: &Folder, args: &[&str]) -> (Option<i32>, String) {
    let all: Vec<&str> = ["init"].into_iter().chain(args.iter().copied()).collect();
    let output = run(repository, &all);
    (output.status.code(), told(&output, repository))
}

#[test]
#[ignore = "needs docker"]
fn init_writes_a_short_manifest_and_changes_nothing_again() {
    for name in ALL {
        let (_outer, repository) = monorepo(name);
        let (code, text) = init(&repository, &[]);
        assert_eq!(code, Some(0), "{text}");
        let manifest = repository.read("images.toml");
        assert!(keys(&manifest) <= 12, "{manifest}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("init_{name}"), format!("{text}----- images.toml -----\n{manifest}"));
        });
        let (code, text) = init(&repository, &[]);
        assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
        assert_eq!(repository.read("images.toml"), manifest);
    }
}

/// A repository with many kinds of Compose files.
fn unusual() -> Folder {
    let folder = Folder::new();
    for name in ["a", "b", "sub", "Web.API"] {
        folder.write(&format!("{name}/Dockerfile"), "FROM scratch\r\nCOPY x \\\r\n  y /\r\n");
        folder.write(&format!("{name}/x"), "");
        folder.write(&format!("{name}/y"), "");
    }
    folder.write(
        "compose.yaml",
        "include: [sub/compose.yaml]\r\nservices:\r\n  a:\r\n    extends: {file: base.yml, service: base}\r\n    build: a\r\n    \
         profiles: [never]\r\n    env_file: not-committed.env\r\n  b:\r\n    build:\r\n      context: b\r\n      \
         additional_contexts: {more: ./a, other: 'service:a', base: 'docker-image://debian:trixie'}\r\n  Web.API: {build: ./Web.API}\r\n  \
         inline:\r\n    build:\r\n      context: .\r\n      args: {V: 'x$$y%{z}'}\r\n      dockerfile_inline: |\r\n        FROM scratch\r\n        \
         ARG V\r\n        COPY a/x /$${V}\r\n  gone: {build: gone}\r\n  outside: {build: ..}\r\n  remote: {build: 'https://git.example/x.git'}\r\n  \
         unset: {build: {context: a, args: {A: '${NEEDED:?}'}}}\r\n",
    );
    folder.write("sub/compose.yaml", "services:\n  sub: {build: .}\n");
    folder.write("base.yml", "services:\n  base: {environment: {KEY: hunter2-secret}}\n");
    folder
}

#[test]
#[ignore = "needs docker"]
fn unusual_compose_files_are_read_and_their_faults_reported() {
    let repository = unusual();
    let (code, text) = init(&repository, &["--verbose"]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "a        Compose  a        a/Dockerfile",
        "inline   Compose  .        inline",
        "sub      Compose  sub      sub/Dockerfile",
        "web-api  Compose  Web.API  Web.API/Dockerfile",
        "note: gone: its context does not exist: gone\n",
        "note: outside: its context is outside of the repository: ",
        "note: remote: its context is remote: https://git.example/x.git\n",
        "note: unset: its build or image needs a variable that is not set: NEEDED\n",
        "verified: Buildx resolves 5 of 5 builds as planned\n",
        "verified: 9 of 9 COPY sources exist\n",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
#[ignore = "needs docker"]
fn three_hundred_services() {
    let folder = Folder::new();
    let mut compose = "services:\n".to_owned();
    for at in 0..300 {
        folder.write(&format!("s{at}/Dockerfile"), "FROM scratch\nCOPY x /\n");
        folder.write(&format!("s{at}/x"), "");
        compose += &format!("  s{at}: {{build: s{at}}}\n");
    }
    folder.write("compose.yaml", &compose);
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Buildx resolves 300 of 300 builds as planned"), "{text}");
    assert!(folder.read("images.toml").lines().count() < 10);
}

#[test]
#[ignore = "needs docker"]
fn bake_targets_without_a_default_group() {
    let folder = Folder::new();
    folder.write("Dockerfile", "FROM scratch AS one\nFROM scratch AS two\n");
    folder.write(
        "docker-bake.hcl",
        "target \"one\" {\n  target = \"one\"\n}\ntarget \"two\" {\n  target = \"two\"\n}\n",
    );
    let (code, text) = init(&folder, &["--dry-run"]);
    assert_eq!((code, text.contains("Buildx resolves 2 of 2")), (Some(0), true), "{text}");
}

#[test]
#[ignore = "needs docker"]
fn only_what_git_shows_is_adopted() {
    let folder = Folder::new();
    folder.write("app/Dockerfile", "FROM scratch\n");
    folder.write("ignored/Dockerfile", "FROM scratch\n");
    folder.write("node_modules/x/Dockerfile", "FROM scratch\n");
    folder.write(".gitignore", "ignored/\n");
    folder.write(".gitmodules", "[submodule \"sub\"]\n\tpath = sub\n\turl = https://git.example/sub\n");
    fs::create_dir(folder.0.join("sub")).unwrap();
    let git = Command::new("git").args(["init", "-q"]).current_dir(&folder.0).status().unwrap();
    assert!(git.success());
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("note: sub: the git submodule is empty\nhelp: run `git submodule update --init`"),
        "{text}"
    );
    let manifest = folder.read("images.toml");
    assert!(
        manifest.contains("[service.app]")
            && !manifest.contains("ignored")
            && !manifest.contains("[service.x]"),
        "{manifest}"
    );
}

/// The images of a fixture under a tag of this run, removed when the test ends.
struct Tagged<'r> {
    repository: &'r Folder,
    tag: String,
}

impl Tagged<'_> {
    fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let all: Vec<&str> = args.iter().copied().chain(["--tag", &self.tag]).collect();
        let output = run(self.repository, &all);
        (output.status.code(), told(&output, self.repository))
    }
}

impl Drop for Tagged<'_> {
    fn drop(&mut self) {
        self.run(&["clean"]);
    }
}

#[test]
#[ignore = "needs docker"]
fn adopted_images_are_built_checked_explained_and_switched() {
    for (name, first) in
        [("bake", "base"), ("compose", "api"), ("skaffold", "cart"), ("thirty", "ad"), ("workspace", "relay")]
    {
        let (_outer, repository) = monorepo(name);
        let (code, text) = init(&repository, &[]);
        assert_eq!(code, Some(0), "{text}");
        let manifest = repository.read("images.toml");
        let tagged = Tagged { repository: &repository, tag: format!("xt-{}", std::process::id()) };
        for args in [
            &["build-images"][..],
            &["check", "--accept", "--reason", "first sizes"],
            &["check"],
            &["analyze", first],
            &["build-images", first],
        ] {
            let (code, text) = tagged.run(args);
            assert_eq!(code, Some(0), "{name}: {args:?}\n{text}");
        }
        let (code, text) = tagged.run(&["compose-switch", "original"]);
        match name {
            "compose" | "thirty" => {
                assert_eq!(code, Some(0), "{text}");
                assert!(text.contains(&format!(":{}", tagged.tag)), "{text}");
            }
            _ => assert_eq!((code, text.contains("no Compose file")), (Some(2), true), "{text}"),
        }
        assert_eq!(repository.read("images.toml"), manifest);
    }
}

#[test]
#[ignore = "needs docker"]
fn an_adopted_build_is_what_docker_builds() {
    let (_outer, repository) = monorepo("compose");
    init(&repository, &[]);
    let output = run(&repository, &["build-images", "--dry-run"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let json = &text[text.find('{').unwrap()..];
    let ours: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut docker = Command::new("docker");
    let command =
        docker.args(["compose", "--profile", "*", "config", "--format", "json"]).current_dir(&repository.0);
    let theirs: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    for (service, target) in [("web", "web"), ("api", "api"), ("Admin.UI", "admin-ui")] {
        let (theirs, ours) = (&theirs["services"][service]["build"], &ours["target"][target]);
        assert_eq!(theirs["context"], ours["context"], "{service}");
        assert_eq!(theirs["target"], ours["target"], "{service}");
        assert_eq!(theirs["args"], ours["args"], "{service}");
        let context = std::path::Path::new(theirs["context"].as_str().unwrap());
        let file = |build: &serde_json::Value| context.join(build["dockerfile"].as_str().unwrap());
        assert_eq!(file(theirs), file(ours), "{service}");
    }
}

#[test]
#[ignore = "needs docker"]
fn prove_builds_and_accepts_only_what_the_user_agrees_to() {
    let (_outer, repository) = monorepo("workspace");
    // Without `--tag`, so the names must belong to this test.
    let image = format!("xt-prove-{}", std::process::id());
    fs::rename(repository.0.join("crates/relay"), repository.0.join(format!("crates/{image}"))).unwrap();
    let path = format!("crates/{image}/Dockerfile");
    let dockerfile = repository.read(&path).replace("crates/relay", &format!("crates/{image}"));
    repository.write(&path, &dockerfile);
    let (code, text) = init(&repository, &["--prove", &image]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("stdin is not a terminal; use --yes"), "{text}");
    assert!(!repository.0.join("sizes.lock.toml").exists());
    let (code, text) = init(&repository, &["--prove", &image, "--yes"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("as accepted") && text.contains("no breaches"), "{text}");
    assert!(repository.read("sizes.lock.toml").contains(&format!("[{image}]")));
    run(&repository, &["clean", &image]);
}

#[test]
#[ignore = "needs docker"]
fn a_build_can_be_ignored_and_still_be_a_context() {
    let folder = Folder::new();
    for name in ["web", "tools"] {
        folder.write(&format!("{name}/Dockerfile"), "FROM scratch\nCOPY x /\n");
        folder.write(&format!("{name}/x"), "");
    }
    folder.write(
        "compose.yaml",
        "services:\n  web:\n    build: {context: web, additional_contexts: {tools: 'service:dev.tools'}}\n  \
         dev.tools: {build: tools}\n  gone: {build: gone}\n",
    );
    let targets = |ignore: &str| {
        folder.write("images.toml", &format!("schema = 2\nproject = \"shop\"\nignore = [{ignore}]\n"));
        let output = run(&folder, &["build-images", "--dry-run"]);
        let text = told(&output, &folder);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), text, json)
    };
    let (code, text, json) = targets("");
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(json["group"]["default"]["targets"], serde_json::json!(["dev-tools", "web"]));
    assert!(text.contains("note: gone: its context does not exist: gone\n"), "{text}");
    let (code, text, json) = targets("\"dev.tools\", \"gone\"");
    assert_eq!((code, text.contains("gone")), (Some(0), false), "{text}");
    assert_eq!(json["group"]["default"]["targets"], serde_json::json!(["web"]));
    assert_eq!(json["target"]["web"]["contexts"]["tools"], "target:context-dev-tools");
    let (code, text, _) = targets("\"webb\"");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("error: images.toml: ignore: unknown build `webb`; did you mean `web`?"), "{text}");
}
