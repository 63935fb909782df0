//! `init`: finds the images of a repository that has no manifest, and writes one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{FakeDocker, Folder, bare_machine, told, xtask};

/// The fixtures, each a small monorepo.
pub fn monorepos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monorepos")
}

/// A copy of a fixture, in a folder of the same name.
pub fn monorepo(name: &str) -> (Folder, Folder) {
    let outer = Folder::new();
    let inner = outer.0.join(name);
    copy(&monorepos().join(name), &inner);
    (outer, Folder(inner))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

const ACTION: &str = "--github=example/images@0123abc";

/// The keys of a manifest: all but the names of tables.
pub fn keys(text: &str) -> usize {
    fn count(value: &toml::Value) -> usize {
        match value.as_table() {
            Some(table) => table.values().map(count).sum(),
            None => 1,
        }
    }
    count(&toml::Value::Table(text.parse().unwrap()))
}

fn plain(repository: &Folder, args: &[&str]) -> (Option<i32>, String) {
    let mut all = vec!["init"];
    all.extend(args);
    let output = xtask(&bare_machine().0, repository, &all).output().unwrap();
    (output.status.code(), told(&output, repository))
}

#[test]
fn a_manifest_without_docker() {
    for name in ["skaffold", "workspace"] {
        let (_outer, repository) = monorepo(name);
        let (code, text) = plain(&repository, &["--no-docker"]);
        assert_eq!(code, Some(0), "{text}");
        let manifest = repository.read("images.toml");
        assert!(keys(&manifest) <= 12, "{manifest}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(format!("init_{name}_without_docker"), format!("{text}----- images.toml -----\n{manifest}"));
        });
        let (code, text) = plain(&repository, &["--no-docker"]);
        assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
        assert_eq!(repository.read("images.toml"), manifest);
    }
}

#[test]
fn what_only_docker_can_read_is_listed() {
    let (_outer, repository) = monorepo("compose");
    let (code, text) = plain(&repository, &["--no-docker", "--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("not verified: docker-compose.yml: profiles, include, extends"), "{text}");
    assert!(text.contains("admin-ui  Compose"), "{text}");
    assert!(!text.contains("Buildx resolves"), "{text}");
    let (_outer, repository) = monorepo("bake");
    let (_, text) = plain(&repository, &["--no-docker", "--dry-run"]);
    assert!(text.contains("not verified: docker-bake.hcl: only Buildx reads bake files"), "{text}");
}

#[test]
fn a_dry_run_prints_a_diff_and_writes_nothing() {
    let (_outer, repository) = monorepo("workspace");
    let output = xtask(&bare_machine().0, &repository, &["init", "--no-docker", "--dry-run", ACTION])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("--- /dev/null\n+++ b/images.toml\n@@ -0,0 "), "{stdout}");
    assert!(stdout.contains("+[service.relay]\n"), "{stdout}");
    assert!(stdout.contains("+++ b/.github/workflows/images.yml\n"), "{stdout}");
    assert!(!repository.0.join("images.toml").exists() && !repository.0.join(".github").exists());
}

#[test]
fn a_manifest_that_exists_is_never_overwritten() {
    let (_outer, repository) = monorepo("workspace");
    let before = "schema = 2\n\n[service.own]\ndockerfile = \"crates/relay/Dockerfile\"\n";
    repository.write("images.toml", before);
    let (code, text) = plain(&repository, &["--no-docker"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--- a/images.toml\n+++ b/images.toml\n"), "{text}");
    assert!(text.contains("+[service.store]\n") && !text.contains("+[service.relay]"), "{text}");
    assert!(
        text.contains(
            "error: images.toml already exists, but without the lines above; nothing was overwritten\nhelp: "
        ),
        "{text}"
    );
    assert_eq!(repository.read("images.toml"), before);
    repository.write("images.toml", "schema = \n");
    let (code, text) = plain(&repository, &["--no-docker"]);
    assert_eq!(
        (code, text.contains("error: images.toml: TOML parse error at line 1")),
        (Some(2), true),
        "{text}"
    );
}

#[test]
fn a_workflow_that_exists_is_never_overwritten() {
    let (_outer, repository) = monorepo("skaffold");
    let (code, text) = plain(&repository, &["--no-docker", ACTION]);
    assert_eq!((code, text.contains("wrote .github/workflows/images.yml")), (Some(0), true), "{text}");
    // The action fetches a release, which a commit does not name.
    let version = env!("CARGO_PKG_VERSION");
    let uses =
        format!("\n      - uses: example/images@0123abc\n        with:\n          version: {version}\n");
    assert!(repository.read(".github/workflows/images.yml").ends_with(&uses));
    let (code, text) = plain(&repository, &["--no-docker", "--github=images"]);
    assert_eq!(
        (code, text.contains("error: invalid action: `images`\nhelp: specify it: ")),
        (Some(2), true),
        "{text}"
    );
    repository.write(".github/workflows/images.yml", "name: own\n");
    let (code, text) = plain(&repository, &["--no-docker", ACTION]);
    assert_eq!((code, text.contains("images.yml: exists, left unchanged")), (Some(0), true), "{text}");
    assert_eq!(repository.read(".github/workflows/images.yml"), "name: own\n");
}

#[test]
fn nothing_to_adopt_and_no_docker_are_explained() {
    let folder = Folder::new();
    let (code, text) = plain(&folder, &["--no-docker"]);
    assert_eq!(
        (code, text.contains("error: no Compose file, bake file or Dockerfile in [ROOT]\nhelp: ")),
        (Some(2), true),
        "{text}"
    );
    folder.write("Dockerfile", "FROM scratch\n");
    let (code, text) = plain(&folder, &[]);
    assert_eq!(
        (code, text.contains("error: no `docker` on PATH\nhelp: install Docker")),
        (Some(3), true),
        "{text}"
    );
    assert!(!folder.0.join("images.toml").exists());
}

/// What Compose 2.26 prints for a service with a secret.
fn composed(root: &Path, build: &str) -> String {
    format!(
        r#"{{"name":"x","services":{{"api":{{"build":{{"context":"{}",{build}}},"environment":{{"KEY":"hunter2-secret"}}}}}}}}"#,
        root.join("api").display()
    )
}

#[test]
fn secrets_in_compose_s_output_are_neither_shown_nor_stored() {
    let folder = Folder::new();
    folder.write("api/Dockerfile", "FROM scratch\n");
    folder.write("compose.yaml", "services: {api: {build: api}}\n");
    for (build, code) in [(r#""dockerfile":"Dockerfile""#, 0), (r#""dockerfile":7"#, 0), ("", 1)] {
        let printed = format!(
            r#"{{"target":{{"t0":{{"context":"{0}","dockerfile":"{0}/Dockerfile"}}}}}}"#,
            folder.0.join("api").display()
        );
        let docker = FakeDocker::new()
            .on("compose --profile \\* config --format json", 0, &composed(&folder.0, build), "")
            .on("buildx bake --print --file - t0", 0, &printed, "");
        let output = docker.run(&folder, &["init", "--verbose", "--dry-run"]);
        let text = told(&output, &folder);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// What Buildx 0.13 prints for the root's Dockerfile.
fn resolved(root: &Path) -> String {
    let root = root.display();
    format!(r#"{{"target":{{"t0":{{"context":"{root}","dockerfile":"{root}/Dockerfile"}}}}}}"#)
}

#[test]
fn what_docker_refuses_is_left_out_with_its_message_and_a_remedy() {
    let folder = Folder::new();
    folder.write("Dockerfile", "FROM scratch\n");
    folder.write("compose.yaml", "services: {api: {buildd: .}}\n");
    let docker = FakeDocker::new()
        .on(
            "compose --profile \\* config --format json",
            15,
            "",
            "services.api Additional property buildd is not allowed\n",
        )
        .on("compose version --short", 0, "2.26.1\n", "")
        .on("buildx bake --print --file - t0", 0, &resolved(&folder.0), "");
    let text = told(&docker.run(&folder, &["init"]), &folder);
    assert!(text.starts_with("exit: 0\n"), "{text}");
    assert!(
        text.contains("Docker Compose refuses the Compose files: services.api Additional prop"),
        "{text}"
    );
    assert!(text.contains("help: fix the file until `docker compose config --quiet` succeeds"), "{text}");
    assert!(text.contains("then remove `compose = []` from the manifest\n"), "{text}");
    // No other command asks Compose again.
    assert!(folder.read("images.toml").contains("schema = 2\ncompose = []\n\n[service."));
    fs::remove_file(folder.0.join("compose.yaml")).unwrap();
    fs::remove_file(folder.0.join("images.toml")).unwrap();
    folder.write("docker-bake.hcl", "target \"default\" {\n  attest = [{ type = \"sbom\" }]\n}\n");
    let refused = "#1 [internal] load local bake definitions\nERROR: docker-bake.hcl:2,13-14: element 0: string required\n";
    let docker = FakeDocker::new()
        .on("buildx bake --print --file docker-bake.hcl", 1, "", refused)
        .on("buildx version", 0, "github.com/docker/buildx 0.13.1 0.13.1-3\n", "")
        .on("buildx bake --print --file - t0", 0, &resolved(&folder.0), "");
    let text = told(&docker.run(&folder, &["init"]), &folder);
    assert!(text.starts_with("exit: 0\n"), "{text}");
    assert!(text.contains("Buildx refuses docker-bake.hcl: ERROR: docker-bake.hcl:2,13-14"), "{text}");
    assert!(text.contains("newer than this Buildx (0.13.1), update Buildx"), "{text}");
    assert!(text.contains("then add `bake = [\"docker-bake.hcl\"]` to the manifest\n"), "{text}");
    assert!(!folder.read("images.toml").contains("bake"));
}

#[test]
fn what_the_manifest_declares_is_neither_guessed_nor_left_out_again() {
    let (_outer, repository) = monorepo("workspace");
    repository.write("hack/Dockerfile", "FROM scratch\n");
    let (code, text) = plain(&repository, &["--no-docker"]);
    assert_eq!((code, text.contains("hack/Dockerfile: left out")), (Some(0), true), "{text}");
    let manifest = format!("{}\n[service.hack]\ncontext = \"hack\"\n", repository.read("images.toml"));
    let manifest = manifest.replace("[service.relay]\n", "[service.relay]\ncontext = \"crates\"\n");
    repository.write("images.toml", &manifest);
    let (code, text) = plain(&repository, &["--no-docker"]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
    assert!(text.contains("relay  manifest  crates "), "{text}");
    assert!(!text.contains("left out") && !text.contains("chosen"), "{text}");
}

#[test]
fn builds_that_the_manifest_ignores_are_not_adopted() {
    let folder = Folder::new();
    // `jobs` has no Dockerfile; that problem is ignored, too.
    for name in ["api", "tools"] {
        folder.write(&format!("{name}/Dockerfile"), "FROM scratch\n");
    }
    folder
        .write("compose.yaml", "services: {api: {build: api}, tools: {build: tools}, jobs: {build: jobs}}\n");
    let manifest = "schema = 2\nignore = [\"tools\", \"jobs\"]\n";
    folder.write("images.toml", manifest);
    let check = |(code, text): (Option<i32>, String)| {
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains("images.toml: up to date") && text.contains("api "), "{text}");
        assert!(!text.contains("tools") && !text.contains("jobs"), "{text}");
        assert_eq!(folder.read("images.toml"), manifest);
    };
    check(plain(&folder, &["--no-docker"]));
    let build = |name: &str| {
        let context = folder.0.join(name);
        format!(r#""{name}":{{"build":{{"context":"{}","dockerfile":"Dockerfile"}}}}"#, context.display())
    };
    let builds = [build("api"), build("tools"), build("jobs")];
    let composed = format!(r#"{{"name":"x","services":{{{}}}}}"#, builds.join(","));
    let docker = FakeDocker::new().on("compose --profile \\* config --format json", 0, &composed, "").on(
        "buildx bake --print --file - t0",
        0,
        &resolved(&folder.0.join("api")),
        "",
    );
    let output = docker.run(&folder, &["init"]);
    check((output.status.code(), told(&output, &folder)));
}

#[test]
fn dockerfiles_that_defaults_name_are_declared() {
    let folder = Folder::new();
    let defaults =
        "[defaults]\ndockerfile = \"apps/{name}/Dockerfile\"\nbase = \"bases/{name}/Dockerfile\"\n";
    folder.write(
        "images.toml",
        &format!("schema = 2\n{defaults}[service.api]\n[base.own]\nimage = \"x-own\"\n"),
    );
    for name in ["apps/api", "bases/own", "apps/new"] {
        folder.write(&format!("{name}/Dockerfile"), "FROM scratch\n");
    }
    let (code, text) = plain(&folder, &["--no-docker"]);
    assert_eq!((code, text.contains("\n+[service.new]\n")), (Some(1), true), "{text}");
    assert!(text.contains("api    manifest    . ") && !text.contains("[service.own]"), "{text}");
}

#[test]
fn many_compose_projects_are_listed_and_none_is_chosen() {
    let folder = Folder::new();
    for name in ["blog", "shop", "hack"] {
        folder.write(&format!("{name}/compose.yaml"), "services: {app: {build: app}, web: {image: nginx}}\n");
        folder.write(&format!("{name}/app/Dockerfile"), "FROM scratch\nCOPY x /\n");
        folder.write(&format!("{name}/app/x"), "");
    }
    let (code, text) = plain(&folder, &["--no-docker"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(
            "note: Compose files: none is read, because none has more builds than all others together: \
             blog/compose.yaml (1), shop/compose.yaml (1)\nhelp: to read one, add `compose = [\"blog/compose.yaml\"]` to the manifest\n"
        ),
        "{text}"
    );
    assert!(text.contains("hack/app/Dockerfile: left out"), "{text}");
    let manifest = folder.read("images.toml");
    assert!(manifest.contains("context = \"blog/app\"") && !manifest.contains("compose ="), "{manifest}");
    // The user's choice is used and kept.
    folder.write(
        "images.toml",
        "schema = 2\ncompose = [\"shop/compose.yaml\"]\n[service.blog]\ncontext = \"blog/app\"\n",
    );
    let (code, text) = plain(&folder, &["--no-docker"]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
    assert!(text.contains("app    Compose   shop/app "), "{text}");
}
