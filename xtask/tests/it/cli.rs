//! The whole command line as people meet it: exit status, stdout and stderr, with a docker that replays what a real
//! one said.

use crate::support::{FakeDocker, Folder, bare_machine, on_stand_ins, repository, xtask};

const FAILURE: &str = include_str!("transcripts/bake-failure.txt");
const SUCCESS: &str = include_str!("transcripts/bake-success.txt");
const FAILING_DOCKERFILE: &str =
    "FROM debian:trixie-slim\nARG EDITION\nRUN echo about to fail && \\\n    cat /nonexistent\n";

/// What `docker image inspect` says of images by reference; equal IDs are one image with several tags.
fn inspected(images: &[(&str, &str, u64)]) -> String {
    let mut ids: Vec<&str> = images.iter().map(|(_, id, _)| *id).collect();
    ids.dedup();
    let entry = |id: &&str| {
        let tags: Vec<&str> =
            images.iter().filter(|(_, other, _)| other == id).map(|(tag, ..)| *tag).collect();
        let size = images.iter().find(|(_, other, _)| other == id).unwrap().2;
        serde_json::json!({"Id": id, "RepoTags": tags, "Size": size, "RootFS": {"Layers": [format!("{id}-layer")]},
            "Config": {"Labels": {"fixture.images.bases": "stand-in"}}})
    };
    serde_json::to_string(&ids.iter().map(entry).collect::<Vec<_>>()).unwrap()
}

fn history(size: u64) -> String {
    format!("{}\n", serde_json::json!({"CreatedBy": "COPY x / # buildkit", "Size": size.to_string()}))
}

#[test]
fn no_docker_at_all() {
    let (repository, machine) = (repository("fx"), bare_machine());
    let output = xtask(&machine.0, &repository, &["build-images"]).output().unwrap();
    snapshot!("no_docker_at_all", output, repository);
}

#[test]
fn doctor_on_a_bare_machine() {
    let (repository, machine) = (repository("fx"), bare_machine());
    let output =
        xtask(&machine.0, &repository, &["doctor"]).env("SSL_CERT_FILE", "/nowhere").output().unwrap();
    let text = crate::support::told(&output, &repository);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for line in [
        "MISSING  Docker CLI",
        "MISSING  Docker Buildx",
        "MISSING  Docker Compose",
        "MISSING  daemon",
        "--with-engine",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn a_daemon_that_is_silent() {
    let repository = repository("fx");
    let silent =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
    let docker = FakeDocker::new()
        .on("version --format*", 1, "", silent)
        .on("info*", 1, "{\"ServerErrors\":[\"Cannot connect to the Docker daemon\"],\"ClientInfo\":{\"Version\":\"28.2.2\"}}", silent);
    snapshot!("a_daemon_that_is_silent", docker.run(&repository, &["compare"]), repository);
}

#[test]
fn unknown_names() {
    let repository = repository("fx");
    let docker = FakeDocker::new();
    snapshot!("unknown_service", docker.run(&repository, &["build-images", "alhpa", "gamma"]), repository);
    snapshot!(
        "unknown_edition",
        docker.run(&repository, &["build-images", "--edition", "simpel"]),
        repository
    );
    snapshot!("bad_tag", docker.run(&repository, &["compare", "--tag", "a b"]), repository);
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn push_without_a_registry() {
    let repository = repository("fx");
    let docker = FakeDocker::new();
    snapshot!("push_without_a_registry", docker.run(&repository, &["build-images", "--push"]), repository);
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn outside_of_any_repository() {
    let (nowhere, docker) = (Folder::new(), FakeDocker::new());
    snapshot!("outside_of_any_repository", docker.run(&nowhere, &["compare"]), nowhere);
}

#[test]
fn schema_1_is_read_with_one_note() {
    let repository = repository("fx");
    let (docker, manifest) = (FakeDocker::new(), repository.read("xtask/images.toml"));
    let now = docker.run(&repository, &["completions", "bash"]);
    let (head, tail) = manifest.split_once("editions = ").unwrap();
    let (_, tail) = tail.split_once("env-prefix = \"SUTRA_\"\n").unwrap();
    let old =
        format!("{head}{tail}").replace("schema = 2", "schema = 1").replace("\ndockerfile", "\noriginal");
    repository.write("xtask/images.toml", &old);
    let before = docker.run(&repository, &["completions", "bash"]);
    let stderr = String::from_utf8(before.stderr).unwrap();
    assert_eq!((before.status.code(), before.stdout), (Some(0), now.stdout), "{stderr}");
    assert!(now.stderr.is_empty());
    assert_eq!(stderr.matches("note: xtask/images.toml has schema 1").count(), 1, "{stderr}");
    for fix in ["`schema = 2`", "`original`", "`dockerfile`", "`editions = [", "`env-prefix = \"SUTRA_\"`"] {
        assert!(stderr.contains(fix), "{fix} is not in {stderr}");
    }
}

#[test]
fn every_fault_of_a_manifest() {
    let repository = repository("fx");
    repository.write("beta/Dockerfile", "FROM alpine:3\n");
    repository.write(
        "xtask/images.toml",
        r#"schema = 3
project = "fixture"
version = 3
source-date-epoch = 1767225600
editions = ["simple", "community", "enterprise"]
colour = "blue"

[upstream.debian]
reference = "debian:trixie-slim"
stand-in = { bootstrap = "trixie" }

[service.alpha]
image = "fx-same"
compose = "alpha"
port = 70000
dockerfile = "../outside/Dockerfile"
optimized = "alpha/Dockerfile.gone"
imagee = "x"

[service.alpha.sizes]
simpel = { target = "50MB" }
simple = { target = "much", goal = "1.5.2MB" }

[service.beta]
image = "fx-same"
compose = "beta"
port = 1002
dockerfile = "beta/Dockerfile"
optimized = "beta/Dockerfile.optimized"
run = { tmpfs = ["tmp"] }

[service.beta.editions]
simple = { packages = ["numpy"], limits = { texts = 1 } }
community = { packages = ["numpy"], capabilities = "fly", limits = { texts = -2, questions = 3 } }
"#,
    );
    snapshot!("every_fault_of_a_manifest", FakeDocker::new().run(&repository, &["compare"]), repository);
}

#[test]
fn a_manifest_that_is_no_toml() {
    let repository = repository("fx");
    repository.write("xtask/images.toml", "schema = 1\nproject = \"fixture\nversion = \"1\"\n");
    snapshot!("a_manifest_that_is_no_toml", FakeDocker::new().run(&repository, &["compare"]), repository);
}

#[test]
fn ci_lists_its_steps_and_full_appends_the_long_ones() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let said = |args: &[&str]| {
        let output = docker.run(&repository, args);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let (usual, full) = (said(&["ci", "--dry-run"]), said(&["ci", "--full", "--dry-run"]));
    assert!(usual.ends_with("check every image\n"), "{usual}");
    let added = full.strip_prefix(&usual).unwrap();
    assert!(added.contains("long tests\n") && added.contains("bounds under load\n"), "{added}");
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn dry_run_prints_plan_and_definition() {
    let (repository, docker) = (on_stand_ins(), FakeDocker::new());
    let args = ["build-images", "alpha", "--variant", "both", "--edition", "all", "--dry-run"];
    let output = xtask(&docker.folder.0.join("bin"), &repository, &args)
        .env("FAKE_DOCKER", &docker.folder.0)
        .env("SUTRA_VERSION", "2.0-optimized")
        .env("HTTPS_PROXY", "http://user:secret@proxy.example")
        .env("SSL_CERT_FILE", "/nowhere")
        .output()
        .unwrap();
    assert!(
        !crate::support::told(&output, &repository).contains("secret@"),
        "a proxy's password was printed"
    );
    // Which bundle this machine has decides over the secret; it is no part of the plan's shape.
    let definition: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let target = &definition["target"]["alpha-enterprise-optimized"];
    assert_eq!(target["args"]["EDITION"], "enterprise");
    assert_eq!(target["args"]["HTTPS_PROXY"], "${HTTPS_PROXY}");
    assert_eq!(target["labels"]["org.opencontainers.image.version"], "2.0");
    assert_eq!(
        definition["target"]["alpha-simple-original"]["contexts"]["debian:trixie-slim"],
        "target:upstream-debian"
    );
    assert_eq!(definition["group"]["default"]["targets"].as_array().unwrap().len(), 6);
    insta::assert_snapshot!("dry_run_narration", String::from_utf8_lossy(&output.stderr));
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn a_build_that_succeeds_moves_every_tag() {
    let repository = on_stand_ins();
    let docker = FakeDocker::new()
        .alive()
        .nothing_built()
        .on("buildx bake*", 0, "", SUCCESS)
        // Before the move only the run's tags stand; the comparison then sees the moved ones.
        .on(
            "image inspect*latest-simple fx*",
            1,
            &inspected(&[
                ("fx-alpha:latest-simple-optimized", "sha256:a", 8_100_000),
                ("fx-beta:latest-simple-optimized", "sha256:b", 61_000_000),
            ]),
            "Error: No such image: x\n",
        )
        .on("history*sha256:a*", 0, &history(8_100_000), "")
        .on("history*sha256:b*", 0, &history(61_000_000), "")
        .on("tag *", 0, "", "")
        .on("image rm *", 0, "", "");
    // Tags of the run have names that are known only while it runs, so docker answers with what it was asked.
    let script = docker.folder.read("bin/docker").replace(
        "for args in",
        "case \"$*\" in \"image inspect\"*run-*) sep=; printf '['; for ref in \"$@\"; do case \"$ref\" in *:run-*) \
         printf '%s{\"Id\":\"sha256:%.8s\",\"RepoTags\":[\"%s\"]}' \"$sep\" \"$ref\" \"$ref\"; sep=,;; esac; done; echo ']'; \
         echo 'Error: No such image: x' >&2; exit 1;; esac\nfor args in",
    );
    docker.folder.write("bin/docker", &script);
    snapshot!("a_build_that_succeeds", docker.run(&repository, &["build-images"]), repository);
    let tagged: Vec<String> = docker.calls().into_iter().filter(|call| call.starts_with("tag ")).collect();
    assert_eq!(
        tagged,
        [
            "tag sha256:fx-alpha fx-alpha:latest-simple-optimized",
            "tag sha256:fx-alpha fx-alpha:latest-optimized",
            "tag sha256:fx-beta: fx-beta:latest-simple-optimized",
            "tag sha256:fx-beta: fx-beta:latest-optimized"
        ]
    );
    assert!(docker.calls().contains(&"rm lock-id".to_owned()), "the lock was not removed");
    assert!(repository.read("target/xtask/logs/alpha-simple-optimized.log").contains("COPY alpha/hello"));
}

#[test]
fn a_build_that_fails_names_everything_and_moves_nothing() {
    let repository = on_stand_ins();
    repository.write("alpha/Dockerfile.optimized", FAILING_DOCKERFILE);
    let docker = FakeDocker::new().alive().nothing_built().on("buildx bake*", 1, "", FAILURE).on(
        "image rm *",
        0,
        "",
        "",
    );
    snapshot!("a_build_that_fails", docker.run(&repository, &["build-images", "--quiet"]), repository);
    assert!(docker.calls().iter().all(|call| !call.starts_with("tag ")));
    assert!(
        repository.read("target/xtask/logs/alpha-simple-optimized.log").contains("No such file or directory")
    );
}

#[test]
fn a_full_disk_is_the_environments_fault_and_is_not_tried_again() {
    let repository = on_stand_ins();
    let full = FAILURE.replace(
        "Y2F0OiAvbm9uZXhpc3RlbnQ6IE5vIHN1Y2ggZmlsZSBvciBkaXJlY3RvcnkK",
        "Y3A6IGVycm9yIHdyaXRpbmcgJy9iaWcnOiBObyBzcGFjZSBsZWZ0IG9uIGRldmljZQo=",
    );
    assert!(full != FAILURE, "the transcript lost its last words");
    let docker = FakeDocker::new().alive().nothing_built().on("buildx bake*", 1, "", &full).on(
        "image rm *",
        0,
        "",
        "",
    );
    let output = docker.run(&repository, &["build-images", "--quiet"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cause:  disk"));
    assert_eq!(docker.calls().iter().filter(|call| call.starts_with("buildx bake")).count(), 1);
}

#[test]
fn a_network_that_fails_is_tried_three_times() {
    let repository = on_stand_ins();
    let text = "ERROR: failed to solve: failed to do request: dial tcp 127.0.0.1:5000: connect: connection refused\n";
    let docker = FakeDocker::new()
        .alive()
        .nothing_built()
        .on("buildx bake*", 1, "", text)
        .on("buildx version*", 0, "github.com/docker/buildx 0.13.1 x\n", "")
        .on("image rm *", 0, "", "");
    snapshot!("a_network_that_fails", docker.run(&repository, &["build-images"]), repository);
    assert_eq!(docker.calls().iter().filter(|call| call.starts_with("buildx bake")).count(), 3);
}

#[test]
fn an_old_buildx_is_named() {
    let repository = on_stand_ins();
    let docker = FakeDocker::new()
        .alive()
        .nothing_built()
        .on("buildx bake*", 1, "", "ERROR: invalid progress mode: rawjson\n")
        .on("buildx version*", 0, "github.com/docker/buildx v0.10.0 x\n", "")
        .on("image rm *", 0, "", "");
    snapshot!("an_old_buildx_is_named", docker.run(&repository, &["build-images"]), repository);
}

#[test]
fn an_old_engine_is_named_before_anything_is_built() {
    let repository = on_stand_ins();
    let docker = FakeDocker::new().on("version --format*", 0, "20.10.24\n", "");
    snapshot!("an_old_engine_is_named", docker.run(&repository, &["build-images"]), repository);
}

#[test]
fn bases_are_asked_for_and_only_a_missing_registry_means_stand_ins() {
    let said = |text: &str| {
        let repository = repository("fx");
        repository.write("target/xtask/bootstrap/trixie/rootfs.tar", "");
        let docker = FakeDocker::new()
            .alive()
            .on("buildx build*", 1, "", text)
            .on("buildx version*", 0, "github.com/docker/buildx 0.13.1 x\n", "")
            .on("buildx bake*", 1, "", FAILURE)
            .on("image rm *", 0, "", "");
        let output = docker.run(&repository, &["build-images", "--variant", "original"]);
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            repository.read("target/xtask/bases.json"),
        )
    };
    let (code, text, remembered) = said("ERROR: failed to solve: dial tcp: lookup r.example: no such host\n");
    assert!(code == Some(1) && text.contains("stand-ins") && remembered.contains("stand-in"), "{text}");
    for (trouble, cause) in [
        ("ERROR: 429 Too Many Requests\n", "rate limit"),
        ("ERROR: x509: certificate signed by unknown authority\n", "certificate"),
    ] {
        let (code, text, remembered) = said(trouble);
        assert!(code == Some(3) && text.contains(cause) && text.contains("--bases stand-in"), "{text}");
        assert_eq!(remembered, "", "a trouble was remembered as a choice");
    }
}

#[test]
fn compare_in_every_format() {
    let repository = repository("fx");
    let images = inspected(&[
        ("fx-alpha:latest-simple", "sha256:o", 120_000_000),
        ("fx-alpha:latest-simple-optimized", "sha256:a", 8_123_456),
    ]);
    let docker = FakeDocker::new()
        .alive()
        .on("image inspect*", 1, &images, "Error: No such image: fx-beta:latest-simple\n")
        .on("history*", 0, &history(8_123_456), "");
    for format in ["table", "markdown", "json"] {
        let output = docker.run(&repository, &["compare", "--format", format]);
        snapshot!(format!("compare_{format}"), output, repository);
    }
    // History is asked for once: what an image holds never changes.
    assert_eq!(docker.calls().iter().filter(|call| call.starts_with("history")).count(), 1);
}

#[test]
fn two_runs_do_not_meet() {
    let repository = on_stand_ins();
    repository.write("target/xtask/build.lock", "");
    let lock = std::fs::File::open(repository.0.join("target/xtask/build.lock")).unwrap();
    lock.lock().unwrap();
    let output = FakeDocker::new().alive().run(&repository, &["build-images"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another run"));
}
