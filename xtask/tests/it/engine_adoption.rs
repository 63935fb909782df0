//! `init` on what public monorepos contain, with the docker of this machine: files that Docker refuses, several Compose files,
//! definitions that are not committed, Windows line endings, submodules.

use std::fs;

use serde_json::Value;

use crate::engine_monorepos::{init, run};
use crate::support::{Folder, told};

/// A folder with a Dockerfile that copies a file.
fn image(folder: &Folder, name: &str) {
    folder.write(&format!("{name}/Dockerfile"), "FROM scratch\r\nCOPY x /\r\n");
    folder.write(&format!("{name}/x"), "");
}

/// The targets that `build-images` would build.
fn targets(folder: &Folder) -> Value {
    let output = run(folder, &["build-images", "--dry-run"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, folder));
    let definition: Value = serde_json::from_slice(&output.stdout).unwrap();
    definition["target"].clone()
}

fn names(targets: &Value) -> Vec<&str> {
    targets.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
#[ignore = "needs docker"]
fn a_bake_file_with_newer_syntax_does_not_stop_the_others() {
    let folder = Folder::new();
    for name in ["api", "tool"] {
        image(&folder, name);
    }
    folder.write("compose.yaml", "services: {api: {build: api}}\r\n");
    // `no_such_function` stands for what only a newer Buildx knows.
    folder.write("docker-bake.hcl", "target \"default\" {\r\n  args = { A = no_such_function(1) }\r\n}\r\n");
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "api    Compose     api ",
        "tool   Dockerfile  tool ",
        "note: bake files: left out: Buildx refuses docker-bake.hcl: docker-bake.hcl:2",
        "no_such_function",
        "newer than this Buildx (",
        "then add `bake = [\"docker-bake.hcl\"]` to the manifest",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    assert_eq!(names(&targets(&folder)), ["api", "tool"]);
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
}

#[test]
#[ignore = "needs docker"]
fn a_compose_file_that_docker_refuses_does_not_stop_the_others() {
    let folder = Folder::new();
    for name in ["api", "baked"] {
        image(&folder, name);
    }
    folder.write(
        "compose.yaml",
        "services:\n  api:\n    build: {context: ., dockerfile: api/Dockerfile}\n    buildd: x\n",
    );
    folder.write("docker-bake.hcl", "target \"default\" {\n  context = \"baked\"\n}\n");
    folder.write("x", "");
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "note: Compose files: left out: Docker Compose refuses the Compose files: ",
        "buildd",
        "then remove `compose = []` from the manifest",
        // Its context is still the best guess.
        "api: name and context chosen, because its folder has this name, and compose.yaml builds it there",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    let planned = targets(&folder);
    assert_eq!(names(&planned), ["api", "default"]);
    assert!(!planned["api"]["context"].as_str().unwrap().ends_with("/api"), "{planned}");
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
}

#[test]
#[ignore = "needs docker"]
fn builds_are_read_although_definitions_are_not_committed() {
    let folder = Folder::new();
    image(&folder, "api");
    folder.write("compose.yaml", "services:\n  api: {build: api, secrets: [db], env_file: local.env}\n");
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("api    Compose  api "), "{text}");
    assert!(
        text.contains("note: Compose files: their builds are read, although Docker Compose refuses the Compose files: service \"api\" refers to undefined secret db"),
        "{text}"
    );
    assert_eq!(names(&targets(&folder)), ["api"]);
}

#[test]
#[ignore = "needs docker"]
fn several_compose_files_with_windows_line_endings_are_merged() {
    let folder = Folder::new();
    for name in ["api", "web"] {
        image(&folder, name);
    }
    folder.write("job/x", "");
    folder
        .write(".env", "COMPOSE_FILE=base.yml:more.yml\r\nCOMPOSE_PATH_SEPARATOR=:\r\nLEVEL=7\r\nSTAGE=\r\n");
    folder.write(
        "base.yml",
        "x-build: &build\r\n  args:\r\n    LEVEL: ${LEVEL}\r\n    OTHER: \"${NOT_SET:-a b}\"\r\nservices:\r\n  api:\r\n    \
         build: {context: api, <<: *build}\r\n  web:\r\n    extends: {service: api}\r\n    profiles: [front]\r\n",
    );
    folder.write(
        "more.yml",
        "services:\r\n  web:\r\n    build:\r\n      context: web\r\n      additional_contexts: {api: 'service:api', lib: ./job}\r\n  \
         job:\r\n    build:\r\n      context: job\r\n      target: ${STAGE:-}\r\n      dockerfile_inline: |\r\n        \
         FROM scratch\r\n        COPY x /\r\n",
    );
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("verified: Buildx resolves 3 of 3 builds as planned\n"), "{text}");
    assert!(text.contains("verified: 3 of 3 COPY sources exist\n") && !text.contains("note:"), "{text}");
    let planned = targets(&folder);
    // The build that `web` takes as a context has a target of its own, which stores no image.
    assert_eq!(names(&planned), ["api", "context-api", "job", "web"]);
    let web = &planned["web"];
    assert_eq!((&web["args"]["LEVEL"], &web["args"]["OTHER"]), (&"7".into(), &"a b".into()), "{web}");
    assert!(web["context"].as_str().unwrap().ends_with("/web"), "{web}");
    assert_eq!(web["contexts"]["api"], "target:context-api", "{web}");
    assert!(planned["job"]["dockerfile-inline"].as_str().unwrap().contains("COPY x /"), "{planned}");
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
}

#[test]
#[ignore = "needs docker"]
fn a_service_in_a_submodule_that_was_not_fetched_is_reported_alone() {
    let folder = Folder::new();
    image(&folder, "api");
    folder.write(
        "compose.yaml",
        "services:\n  api: {build: api}\n  gone: {build: sub/gone}\n  lib: {build: sub}\n  late: {build: {context: api, dockerfile: Late}}\n",
    );
    folder.write(".gitmodules", "[submodule \"sub\"]\r\n\tpath = sub\r\n\turl = https://git.example/sub\r\n[submodule \"other\"]\r\n\tpath=other\r\n");
    fs::create_dir(folder.0.join("sub")).unwrap();
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "note: gone: its context does not exist: sub/gone\n",
        "note: lib: its Dockerfile does not exist: sub/Dockerfile\n",
        "note: late: its Dockerfile does not exist: api/Late\n",
        "note: sub: the git submodule is empty\n",
        "note: other: the git submodule is empty\n",
    ] {
        assert!(text.contains(line), "`{line}` is missing:\n{text}");
    }
    assert_eq!(
        text.matches("help: create it, fix its path, or run `git submodule update --init`").count(),
        1,
        "{text}"
    );
    assert_eq!(names(&targets(&folder)), ["api"]);
}

#[test]
#[ignore = "needs docker"]
fn an_image_of_many_services_has_one_plain_name() {
    let folder = Folder::new();
    image(&folder, "shop");
    let service = |name: &str| format!("  {name}: {{build: shop, image: acme/app, command: [{name}]}}\n");
    folder.write("compose.yaml", &format!("services:\n{}{}", service("cron"), service("worker")));
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("shop: also the image of ")), (Some(0), true), "{text}");
    let planned = targets(&folder);
    assert!(planned["shop"]["tags"][0].as_str().unwrap().starts_with("acme/app:"), "{planned}");
    folder.write("compose.yaml", &format!("services:\n{}{}", service("cron"), service("app")));
    assert_eq!(names(&targets(&folder)), ["app"]);
}

#[test]
#[ignore = "needs docker"]
fn a_bake_file_in_another_folder_is_read_if_it_is_meant_for_the_root() {
    let folder = Folder::new();
    for name in ["docker", "tool"] {
        image(&folder, name);
    }
    let bake = |context: &str| {
        format!("target \"server\" {{\n  context = \"{context}\"\n  args = {{ A = \"1\" }}\n}}\n")
    };
    folder.write("docker/docker-bake.hcl", &bake("docker"));
    folder.write("hack/docker-bake.hcl", &bake("docker"));
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("server  bake        docker ")), (Some(0), true), "{text}");
    assert!(
        text.contains("docker/docker-bake.hcl: the bake file to read, because ") && !text.contains("note:"),
        "{text}"
    );
    assert!(folder.read("images.toml").contains("\nbake = [\"docker/docker-bake.hcl\"]\n"));
    let planned = targets(&folder);
    assert_eq!((names(&planned), &planned["server"]["args"]["A"]), (vec!["server", "tool"], &"1".into()));
    let (code, text) = init(&folder, &[]);
    assert_eq!((code, text.contains("images.toml: up to date")), (Some(0), true), "{text}");
    // From the root, this context does not exist.
    fs::remove_file(folder.0.join("images.toml")).unwrap();
    folder.write("docker/docker-bake.hcl", &bake("src"));
    let (code, text) = init(&folder, &[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("note: docker/docker-bake.hcl: not read: a bake file's contexts depend on the folder"),
        "{text}"
    );
    assert!(!folder.read("images.toml").contains("bake"));
}
