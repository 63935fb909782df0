//! Platforms on the command line: plans, tags and errors.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::{FakeDocker, Folder};
use serde_json::{Value, json};

const BOTH: &str = "[defaults]\nplatforms = [\"linux/amd64\", \"linux/aarch64\"]\n";

/// A project with a base of its own.
fn repository(manifest: &str) -> Folder {
    let folder = Folder::new();
    let services = "[base.own]\nimage = \"shop-own\"\n\n[service.web]\ncontext = \"web\"\n";
    folder.write("xtask/images.toml", &format!("schema = 2\nproject = \"shop\"\n{manifest}{services}"));
    folder.write("web/Dockerfile", "FROM shop-own\nRUN make\n");
    folder.write("bases/own/Dockerfile", "FROM alpine\n");
    folder
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn planned(repository: &Folder, args: &[&str]) -> (Value, String) {
    let output = FakeDocker::new().run(repository, &[&["build-images", "--dry-run"], args].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let definition: Value = serde_json::from_slice(&output.stdout).unwrap();
    (definition["target"].clone(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_platform_has_targets_and_a_tag_of_its_own() {
    let (targets, told) = planned(&repository(BOTH), &[]);
    let names: Vec<&String> = targets.as_object().unwrap().keys().collect();
    assert_eq!(names, ["base-own-amd64", "base-own-arm64", "web-amd64", "web-arm64"]);
    for (suffix, platform) in [("amd64", "linux/amd64"), ("arm64", "linux/arm64")] {
        let [base, web] = ["base-own", "web"].map(|name| &targets[format!("{name}-{suffix}")]);
        assert_eq!((&base["platforms"], &web["platforms"]), (&json!([platform]), &json!([platform])));
        assert_eq!(web["contexts"], json!({"shop-own": format!("target:base-own-{suffix}")}));
        assert!(web["tags"][0].as_str().unwrap().ends_with(&format!("-{suffix}")), "{web}");
        assert!(
            told.contains(&format!(
                "web-{suffix} from web/Dockerfile for {platform} as web:latest-{suffix}\n"
            ))
        );
    }
    assert!(told.contains("The image for the engine's own platform also becomes web:latest\n"), "{told}");
}

/// BuildKit looks for a context named `NAME::PLATFORM` first, then for `NAME`.
#[test]
fn stages_on_the_builders_platform_have_bases_for_it() {
    let native = "FROM --platform=$BUILDPLATFORM shop-own AS tools\n";
    for (dockerfile, contexts) in [
        (
            format!("{native}FROM shop-own\nCOPY --from=tools /a /b\n"),
            json!({"shop-own": "target:base-own", "shop-own::linux/arm64": "target:base-own-arm64"}),
        ),
        (format!("{native}FROM scratch\nCOPY --from=tools /a /b\n"), json!({"shop-own": "target:base-own"})),
    ] {
        let repository = repository(BOTH);
        repository.write("web/Dockerfile", &dockerfile);
        let (targets, _) = planned(&repository, &["--platform", "linux/arm64"]);
        assert_eq!(targets["web-arm64"]["contexts"], contexts);
        assert!(targets["base-own"].get("platforms").is_none(), "{targets}");
        let is_built_for_arm = targets.get("base-own-arm64").is_some();
        assert_eq!(is_built_for_arm, contexts.as_object().unwrap().len() == 2, "{targets}");
    }
}

/// Compilers are slow under emulation.
#[test]
fn this_repositorys_compilers_run_on_the_builder() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packages");
    let folders = |dir: &Path| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let services = folders(&packages).map(|folder| folder.join("Dockerfile.optimized"));
    let bases = folders(&packages.join("bases")).map(|folder| folder.join("Dockerfile"));
    let mut compilers = 0;
    for path in services.chain(bases) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let is_compiler = line.starts_with("FROM ") && (line.contains("rust:") || line.contains("node:"));
            let on_builder = line.starts_with("FROM --platform=$BUILDPLATFORM ");
            assert!(!is_compiler || on_builder, "{}: {line}", path.display());
            compilers += usize::from(is_compiler);
            let names_one = ["x86_64", "x86-64", "amd64"].into_iter().any(|name| line.contains(name));
            assert!(!names_one, "{} names one architecture: {line}", path.display());
        }
    }
    assert!(compilers >= 2, "the Dockerfiles were not found");
}

#[test]
fn one_platform_has_the_plain_tag_and_an_option_chooses_among_several() {
    let one = "[defaults]\nplatforms = [\"linux/arm64\"]\n";
    for (manifest, args, targets) in [
        (one, &[][..], json!({"web": "web:latest"})),
        (one, &["--platform", "linux/arm64"], json!({"web": "web:latest"})),
        (BOTH, &["--platform", "linux/arm64"], json!({"web-arm64": "web:latest-arm64"})),
        ("", &["--platform", "linux/arm/v7"], json!({"web-arm-v7": "web:latest-arm-v7"})),
    ] {
        let repository = repository(manifest);
        let (planned, told) = planned(&repository, args);
        for (name, tag) in targets.as_object().unwrap() {
            assert!(planned[name]["platforms"][0].as_str().unwrap().starts_with("linux/arm"), "{planned}");
            assert!(told.contains(&format!(" as {}\n", tag.as_str().unwrap())), "{told}");
        }
        let images = planned.as_object().unwrap().keys().filter(|name| name.starts_with("web"));
        assert_eq!(images.count(), 1, "{planned}");
    }
    // Without declared platforms, the plan does not depend on the machine.
    let (targets, _) = planned(&repository(""), &[]);
    assert!(targets.as_object().unwrap().values().all(|target| target.get("platforms").is_none()));
}

#[test]
fn a_service_may_have_other_platforms_than_the_default() {
    let own =
        repository(&format!("{BOTH}[service.job]\ncontext = \"web\"\nimage = \"job\"\nplatforms = []\n"));
    let (targets, _) = planned(&own, &["job"]);
    assert!(targets["job"].get("platforms").is_none(), "{targets}");
}

#[test]
fn unknown_and_unwanted_platforms_are_refused_before_docker_is_asked() {
    let clash = "editions = [\"small\", \"arm64\"]\n";
    for (manifest, args, message) in [
        (
            "",
            &["--platform", "arm64"][..],
            "--platform: invalid platform `arm64`: use OS/ARCHITECTURE, such as linux/arm64",
        ),
        (
            BOTH,
            &["--platform", "linux/s390x"],
            "`web` is not built for linux/s390x, only for linux/amd64, linux/arm64\nhelp: use one of these",
        ),
        ("[defaults]\nplatforms = [\"arm\"]\n", &[], "defaults.platforms: invalid platform `arm`"),
        (
            "[defaults]\nplatforms = [\"linux/arm64\", \"linux/arm64/v8\"]\n",
            &[],
            "defaults.platforms: `linux/arm64/v8` is listed twice: remove one",
        ),
        (
            &format!("{clash}{BOTH}"),
            &[],
            "tags of edition `arm64` end in `-arm64`, like tags of linux/arm64: rename the edition",
        ),
        (
            clash,
            &["--edition", "all", "--platform", "linux/arm64"],
            "tag conflict: web:latest-arm64 names both",
        ),
    ] {
        let docker = FakeDocker::new();
        let output = docker.run(&repository(manifest), &[&["build-images"], args].concat());
        assert_eq!(output.status.code(), Some(2), "{message}: {}", text(&output));
        assert!(text(&output).contains(message), "{message} is not in {}", text(&output));
        assert_eq!(docker.calls(), [""; 0]);
    }
}

/// A build of the arm64 image that fails with an error, on a builder for these platforms.
fn failure(error: &str, builder: &str, images: &str) -> Output {
    let repository = repository(BOTH);
    repository.write("web/Dockerfile", "FROM alpine\nRUN make\n");
    let vertex = json!({"vertexes": [{"digest": "d", "name": "[2/2] RUN make", "started": "t", "completed": "t", "error": error}]});
    let bake = format!(
        "{vertex}\nDockerfile:2\n--------------------\n   2 | >>> RUN make\n--------------------\nERROR: failed to solve: {error}\n"
    );
    let docker = FakeDocker::new()
        .unlocked()
        .on("version --format {{.Server.Os}}*", 0, "linux/amd64\n", "")
        .alive()
        .on("image inspect -- alpine*", 0, images, "")
        .on("image inspect*", 1, "[]\n", "Error: No such image: x\n")
        .on("buildx version*", 0, "github.com/docker/buildx 0.13.1 x\n", "")
        .on(
            "buildx inspect*",
            0,
            &format!("Name: default\nDriver: docker\nNodes:\nStatus: running\nPlatforms: {builder}\n"),
            "",
        )
        .on("image rm *", 0, "", "")
        .on("buildx bake*", 1, "", &bake);
    docker.run(&repository, &["build-images", "--platform", "linux/arm64"])
}

#[test]
fn an_engine_without_emulation_is_not_the_project_s_fault() {
    let error = "failed to create shim task: exec /bin/sh: exec format error";
    let output = failure(error, "linux/amd64, linux/386", "[]\n");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let help = "help:   enable emulation of linux/arm64 on the engine's machine: `cargo xtask doctor --with-engine` as root";
    assert!(text(&output).contains(help), "{}", text(&output));
    assert!(text(&output).contains("web-arm64 failed at web/Dockerfile:2"), "{}", text(&output));
    // With emulation, the cause is a program for yet another architecture.
    let output = failure(error, "linux/amd64, linux/arm64", "[]\n");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains(
            "the failed program was built for another architecture; install its linux/arm64 version"
        )
    );
}

#[test]
fn a_base_without_the_platform_is_named() {
    let output =
        failure("alpine: no match for platform in manifest sha256:00: not found", "linux/arm64", "[]\n");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let help =
        "start from an image that its registry has for linux/arm64, or remove linux/arm64 from `platforms`";
    assert!(text(&output).contains(help), "{}", text(&output));

    // The engine has the base for another platform, so BuildKit asks a registry, which does not answer.
    let error = "alpine: failed to resolve source metadata for docker.io/library/alpine:latest: dial tcp: lookup r.example: no such host";
    let image =
        json!([{"Id": "sha256:1", "RepoTags": ["alpine:latest"], "Os": "linux", "Architecture": "amd64"}]);
    let output = failure(error, "linux/arm64", &image.to_string());
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let help = "the engine has alpine only for linux/amd64: make its registry reachable, with an image for linux/arm64";
    assert!(text(&output).contains(help), "{}", text(&output));
}

#[test]
fn a_platform_that_is_only_emulated_has_a_stand_in_of_its_own() {
    let stand_in = "[upstream.tool]\nreference = \"tool:1\"\nstand-in = { dockerfile = \"tool/Dockerfile\", emulated = \"tool/emulated\" }\n";
    // No machine that runs these tests has this architecture.
    let repository = repository(&format!("[defaults]\nplatforms = [\"linux/riscv64\"]\n{stand_in}"));
    repository.write("web/Dockerfile", "FROM tool:1\n");
    repository.write("tool/Dockerfile", "FROM scratch\nCOPY native /\n");
    repository.write("tool/emulated", "FROM scratch\nCOPY packages /\n");
    let (targets, _) = planned(&repository, &["--bases", "stand-in"]);
    assert_eq!(targets["upstream-tool-riscv64"]["dockerfile"], "tool/emulated", "{targets}");

    repository.write("tool/emulated", "FROM tool:1\n");
    let output = FakeDocker::new().run(&repository, &["build-images", "--dry-run"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("the image depends on itself: tool:1"), "{}", text(&output));
}

#[test]
fn doctor_names_the_platforms_that_a_machine_cannot_build() {
    let check = |platforms: &str| {
        let info = json!({"ServerVersion": "26.1.5", "DockerRootDir": "/nowhere", "ClientInfo": {"Version": "28.2.2", "Plugins": [
            {"Name": "buildx", "Version": "0.13.1"}, {"Name": "compose", "Version": "2.26.1"}]}});
        let about =
            format!("Name: default\nDriver: docker\nNodes:\nStatus: running\nPlatforms: {platforms}\n");
        let docker = FakeDocker::new().on("info --format {{json .}}", 0, &info.to_string(), "").on(
            "buildx inspect*",
            0,
            &about,
            "",
        );
        let output = docker.run(&repository(BOTH), &["doctor", "--format", "json"]);
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
        report["checks"]
            .as_array()
            .unwrap()
            .iter()
            .find(|check| check["name"] == "platforms")
            .unwrap()
            .clone()
    };
    let missing = check("linux/amd64, linux/amd64/v2, linux/386");
    assert_eq!(
        (&missing["state"], &missing["found"]),
        (&json!("missing"), &json!("cannot run programs for linux/arm64"))
    );
    assert!(
        missing["remedy"].as_str().unwrap().contains("apt-get install qemu-user-static binfmt-support"),
        "{missing}"
    );
    let found = check("linux/amd64, linux/amd64/v2, linux/arm64");
    assert_eq!((&found["state"], &found["found"]), (&json!("ok"), &json!("linux/amd64, linux/arm64")));
}

#[test]
fn an_index_that_cannot_be_looked_up_stops_a_push_that_keeps_tags() {
    let image =
        |suffix: &str| json!({"Id": format!("sha256:{suffix}"), "RepoTags": [format!("web:1-{suffix}")]});
    let images = json!([image("amd64"), image("arm64")]).to_string();
    let docker = FakeDocker::new()
        .alive()
        .on("buildx imagetools*hub.example/t/web:1-*", 1, "", "ERROR: hub.example/t/web:1: not found\n")
        .on(
            "buildx imagetools*hub.example/t/web:1",
            1,
            "",
            "ERROR: unexpected status: 500 Internal Server Error\n",
        )
        .on("image inspect*", 0, &images, "");
    let args = ["push", "--tag", "1", "--registry", "hub.example/t", "--no-overwrite"];
    let output = docker.run(&repository(BOTH), &args);
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("cannot push hub.example/t/web:1: ") && text.contains("500 Internal"), "{text}");
    assert!(!docker.calls().iter().any(|call| call.starts_with("push")), "{:?}", docker.calls());
}
