//! The same image has the same size in both image stores, read by a second engine of the test's own.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::second_engine::SecondEngine;
use crate::support::{Folder, repository};

fn compared(repository: &Folder, host: Option<&str>) -> serde_json::Value {
    asked(repository, host, &["compare"])
}

/// What `analyze` says, but for the ID, which each store makes in its own way; read from the archive every time.
fn analyzed(repository: &Folder, host: Option<&str>) -> serde_json::Value {
    std::fs::remove_dir_all(repository.0.join("target/xtask/contents")).ok();
    let mut contents = asked(repository, host, &["analyze", "beta"]);
    contents.as_object_mut().unwrap().remove("id");
    contents
}

fn asked(repository: &Folder, host: Option<&str>, what: &[&str]) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(what).args(["--format", "json", "--tag", "latest", "--edition", "simple", "--root"]);
    command.arg(&repository.0);
    if let Some(host) = host {
        command.env("DOCKER_HOST", host);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", crate::support::told(&output, repository));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Writes layers whose size is easy to get wrong: hard and symbolic links, an empty layer, names longer than 100 characters.
fn write_layers(repository: &Folder) {
    repository.write(
        "alpha/Dockerfile.optimized",
        "FROM scratch AS base\nCOPY alpha/hello /dir/hello\nWORKDIR /work\nFROM base\nCOPY alpha/tree /\n",
    );
    repository.write("alpha/Dockerfile.optimized.dockerignore", "*\n!alpha/hello\n!alpha/tree\n");
    repository.write(&format!("alpha/tree/{}/file", "long".repeat(40)), &"x".repeat(70_001));
    let tree = repository.0.join("alpha/tree");
    std::fs::hard_link(tree.join("long".repeat(40)).join("file"), tree.join("hard")).unwrap();
    std::os::unix::fs::symlink("hard", tree.join("soft")).unwrap();
    let shared = std::fs::read_to_string(repository.0.join("alpha/Dockerfile.optimized")).unwrap();
    repository.write("beta/Dockerfile.optimized", &(shared + "COPY alpha/hello /more\n"));
    repository.write("beta/Dockerfile.optimized.dockerignore", "*\n!alpha/hello\n!alpha/tree\n");
}

/// Rebuilds an image as an index with zstd layers and an attestation.
fn pack_with_zstd(engine: &SecondEngine, image: &str) {
    let output = format!("--output=type=image,name={image},compression=zstd,force-compression=true");
    let args = ["buildx", "build", "--provenance=mode=max", "--pull=false", &output, "-"];
    let mut build = engine.docker(&args);
    let mut build = build.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    writeln!(build.stdin.take().unwrap(), "FROM {image}").unwrap();
    let built = build.wait_with_output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let saved = engine.docker(&["save", image]).output().unwrap().stdout;
    let zstd = [0x28, 0xb5, 0x2f, 0xfd];
    assert!(saved.chunks(512).any(|block| block.starts_with(&zstd)), "no layer is packed with zstd");
    let is_attested = |bytes: &[u8]| bytes.windows(20).any(|text| text == b"attestation-manifest");
    assert!(is_attested(&saved), "the image has no attestation");
}

/// The containerd store lists a digest for every image name, even if it was never pushed.
fn an_image_that_was_never_pushed_is_not_pinned(repository: &Folder, engine: &SecondEngine, image: &str) {
    let name = image.split(':').next().unwrap();
    let remote = format!("127.0.0.1:1/{name}:1-optimized");
    assert!(engine.docker(&["tag", image, &remote]).status().unwrap().success());
    let inspect = ["image", "inspect", "--format", "{{json .RepoDigests}}", &remote];
    let digests = String::from_utf8(engine.docker(&inspect).output().unwrap().stdout).unwrap();
    assert!(digests.contains(&format!("127.0.0.1:1/{name}@sha256:")), "{digests}");
    let compose = format!("services: {{a: {{image: '{name}:1'}}}}\n");
    repository.write("docker-compose.yml", &compose);
    let switch = ["compose-switch", "optimized", "--registry", "127.0.0.1:1", "--pin", "--root"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.args(switch).arg(&repository.0).env("DOCKER_HOST", engine.host()).output().unwrap();
    let text = crate::support::told(&output, repository);
    assert!(text.starts_with("exit: 1\n") && text.contains("push it first"), "{text}");
    assert_eq!(repository.read("docker-compose.yml"), compose);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn both_image_stores_give_the_same_number() {
    let _turn = crate::support::turn::take(module_path!());
    let prefix = format!("xt-store-{}", std::process::id());
    let repository = repository(&prefix);
    write_layers(&repository);
    let build = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["build-images", "--tag", "latest", "--edition", "simple", "--root"])
        .arg(&repository.0)
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", crate::support::told(&build, &repository));
    let first = Command::new("docker").args(["info", "--format", "{{json .DriverStatus}}"]).output().unwrap();
    assert!(
        !String::from_utf8_lossy(&first.stdout).contains("containerd"),
        "the first engine is on the containerd store"
    );
    let classic = compared(&repository, None);
    let explained = analyzed(&repository, None);

    let engine = SecondEngine::start();
    let images = ["alpha", "beta"].map(|name| format!("{prefix}-{name}:latest-simple-optimized"));
    let mut save = Command::new("docker").arg("save").args(&images).stdout(Stdio::piped()).spawn().unwrap();
    let load = engine.docker(&["load", "--quiet"]).stdin(save.stdout.take().unwrap()).output().unwrap();
    assert!(load.status.success(), "{}", String::from_utf8_lossy(&load.stderr));
    save.wait().unwrap();
    let driver = engine.docker(&["info", "--format", "{{json .DriverStatus}}"]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&driver.stdout).contains("containerd"),
        "the second engine is on the classic store"
    );
    let containerd = compared(&repository, Some(&engine.host()));

    for index in [0, 1] {
        let bytes =
            |record: &serde_json::Value| record["services"][index]["optimized"]["bytes"].as_u64().unwrap();
        assert!(bytes(&classic) > 70_000);
        assert_eq!(bytes(&classic), bytes(&containerd));
    }
    assert_eq!(classic["unique_bytes"], containerd["unique_bytes"]);
    let bytes = |row: &serde_json::Value| row["optimized"]["bytes"].as_u64().unwrap();
    let sum: u64 = classic["services"].as_array().unwrap().iter().map(bytes).sum();
    assert!(classic["unique_bytes"].as_u64().unwrap() < sum, "a shared layer counts twice");

    assert_eq!(
        explained,
        analyzed(&repository, Some(&engine.host())),
        "the stores' archives are read differently"
    );
    assert_eq!(explained["layers"].as_array().unwrap().len(), 4);

    pack_with_zstd(&engine, &images[1]);
    assert_eq!(explained, analyzed(&repository, Some(&engine.host())), "zstd layers are read differently");
    an_image_that_was_never_pushed_is_not_pinned(&repository, &engine, &images[0]);

    let mut command = Command::new("docker");
    command.args(["image", "rm", "--force"]).args(&images);
    command.args(["alpha", "beta"].map(|name| format!("{prefix}-{name}:latest-optimized"))).output().ok();
}
