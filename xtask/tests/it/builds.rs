//! Builds on the command line: single and multiple targets, cycles, builders, `.env`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{FakeDocker, on_stand_ins, told};

/// Bake's output for a single target: its steps do not name it.
const ALONE: &str = r#"{"vertexes":[{"digest":"d","name":"[2/2] RUN false","started":"t"}]}
{"logs":[{"vertex":"d","stream":1,"data":"YWJvdXQgdG8gZmFpbAo="}]}
{"vertexes":[{"digest":"d","name":"[2/2] RUN false","started":"t","completed":"t","error":"process \"/bin/sh -c false\" did not complete successfully: exit code: 1"}]}
Dockerfile.optimized:2
--------------------
   1 |     FROM scratch
   2 | >>> RUN false
--------------------
ERROR: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1
"#;

fn engine() -> FakeDocker {
    FakeDocker::new()
        .alive()
        .nothing_built()
        .on("buildx version*", 0, "github.com/docker/buildx 0.13.1 x\n", "")
        .on("image rm *", 0, "", "")
}

#[test]
fn the_only_target_of_a_bake_is_named() {
    let repository = on_stand_ins();
    repository.write("alpha/Dockerfile.optimized", "FROM scratch\nRUN false\n");
    let docker = engine().on("buildx bake*", 1, "", ALONE);
    let output = docker.run(&repository, &["build-images", "alpha"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("alpha-simple-optimized failed at alpha/Dockerfile.optimized:2\n"), "{text}");
    assert!(text.contains("\n  step:   [2/2] RUN false\n"), "{text}");
    assert!(text.contains("\n  log:    [ROOT]/target/xtask/logs/alpha-simple-optimized.log\n"), "{text}");
    assert!(repository.read("target/xtask/logs/alpha-simple-optimized.log").contains("about to fail"));
}

#[test]
fn an_image_made_from_itself_is_a_fault_of_the_manifest() {
    let base = |name: &str| format!("[base.{name}]\nimage = \"fx-{name}\"\ndockerfile = \"bases/{name}\"\n");
    let stand_in = "[upstream.tool]\nreference = \"tool:1\"\nstand-in = { dockerfile = \"bases/tool\" }\n";
    for (entries, files, place, cycle) in [
        (base("own"), &[("own", "FROM fx-own\n")][..], "base.own", "fx-own (bases/own) → fx-own (bases/own)"),
        (
            base("one") + &base("two"),
            &[("one", "FROM scratch\nCOPY --from=fx-two / /\n"), ("two", "FROM fx-one\n")],
            "base.one",
            "fx-one (bases/one) → fx-two (bases/two) → fx-one (bases/one)",
        ),
        (
            stand_in.to_owned(),
            &[("tool", "FROM tool:1\n")],
            "upstream.tool",
            "tool:1 (bases/tool) → tool:1 (bases/tool)",
        ),
    ] {
        let repository = on_stand_ins();
        let manifest = repository.read("xtask/images.toml");
        let line = manifest.lines().count() + 1;
        repository.write("xtask/images.toml", &(manifest + &entries));
        files.iter().for_each(|(name, text)| repository.write(&format!("bases/{name}"), text));
        for command in
            [&["build-images"][..], &["build-images", "--dry-run"], &["test"], &["ci"], &["doctor"]]
        {
            let docker = FakeDocker::new();
            let output = docker.run(&repository, command);
            let text = told(&output, &repository);
            assert_eq!(output.status.code(), Some(2), "{command:?}: {text}");
            let fault = format!("xtask/images.toml:{line}: {place}: the image depends on itself: {cycle}; ");
            assert!(text.contains(&fault), "{command:?}: {fault} is not in {text}");
            assert_eq!(docker.calls(), [""; 0]);
        }
    }
}

#[test]
fn a_builder_that_does_not_start_is_named_and_no_reason_for_stand_ins() {
    let refused = "ERROR: Error response from daemon: Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused\n";
    let down =
        "Name: far\nDriver: remote\n\nNodes:\nName: far0\nEndpoint: tcp://127.0.0.1:1\nStatus: inactive\n";
    let missing = "ERROR: no builder \"far\" found\n";
    let builds = |docker: FakeDocker, bases: &str| {
        let repository = on_stand_ins();
        if bases == "auto" {
            repository.write("target/xtask/bases.json", "");
        }
        let args = ["build-images", "--variant", "both", "--builder", "far", "--bases", bases];
        let output = docker.run(&repository, &args);
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains("error: the builder `far` does not work: "), "{text}");
        assert!(text.contains("\nhelp: ") && text.contains("docker buildx ls"), "{text}");
        let choice = repository.read("target/xtask/bases.json");
        assert!(
            bases != "auto" || choice.is_empty(),
            "a builder's failure was remembered as a choice: {choice}"
        );
        assert!(!text.contains("retry"), "{text}");
    };
    for bases in ["auto", "upstream", "stand-in"] {
        let fails = |text: &str| {
            engine().on("buildx --builder far build*", 1, "", text).on(
                "buildx --builder far bake*",
                1,
                "",
                text,
            )
        };
        builds(fails(refused).on("buildx --builder far inspect", 0, down, ""), bases);
        builds(fails(missing).on("buildx --builder far inspect", 1, "", missing), bases);
    }
}

/// `docker info` of a machine that meets the requirements for builds.
const INFO: &str = r#"{"ServerVersion":"26.1.5","ClientInfo":{"Version":"28.2.2","Plugins":[
    {"Name":"buildx","Version":"0.13.1"},{"Name":"compose","Version":"2.26.1"}]}}"#;

#[test]
fn doctor_shows_the_nodes_of_every_driver_and_what_does_not_work() {
    let node = |name: &str, rest: &str| format!("Name: {name}\nEndpoint: {name}.example\n{rest}\n");
    let running = "Status: running\nBuildKit version: v0.13.2\nPlatforms: linux/amd64, linux/arm64";
    let two = node("far0", running) + &node("far1", "Error: no route to host");
    for (driver, nodes, lines) in [
        (
            "docker-container",
            two,
            &[
                "ok       BuildKit        v0.13.2, driver docker-container, builder far",
                "far0 at far0.example: running, BuildKit v0.13.2, linux/amd64, linux/arm64",
                "far1 at far1.example: no route to host",
                "builds do not use this engine's images; built images are loaded into the engine",
            ][..],
        ),
        (
            "kubernetes",
            node("far0", "Status: inactive"),
            &[
                "unknown  BuildKit        builder far, driver kubernetes: not running; the next build starts it",
            ],
        ),
        (
            "remote",
            node("far0", "Status: inactive"),
            &["MISSING  BuildKit        the builder far is not running: node far0 at far0.example: inactive"],
        ),
    ] {
        let about = format!("Name: far\nDriver: {driver}\n\nNodes:\n{nodes}");
        let docker = engine().on("buildx --builder far inspect", 0, &about, "").on(
            "info --format {{json .}}",
            0,
            INFO,
            "",
        );
        let repository = on_stand_ins();
        let text = told(&docker.run(&repository, &["doctor", "--builder", "far"]), &repository);
        for line in lines {
            assert!(text.contains(line), "{driver}: {line} is not in\n{text}");
        }
    }
}

#[test]
fn every_command_that_builds_uses_the_chosen_builder() {
    let missing = "ERROR: no builder \"far\" found\n";
    for command in [
        &["build-images", "--no-cache"][..],
        &["build-images", "--bases", "stand-in", "--no-cache"],
        &["build-images", "--push", "--no-load", "--registry", "hub.example/t"],
        &["doctor"],
    ] {
        for by_option in [true, false] {
            let repository = on_stand_ins();
            let docker = engine()
                .on("buildx --builder far *", 1, "", missing)
                .on("container ls*", 0, "", "")
                .on("info --format {{json .}}", 0, INFO, "");
            let mut args = command.to_vec();
            if by_option {
                args.extend(["--builder", "far"]);
            }
            let env = if by_option { "" } else { "far" };
            let output = docker.command(&repository, &args).env("BUILDX_BUILDER", env).output().unwrap();
            let text = told(&output, &repository);
            assert_ne!(output.status.code(), Some(0), "{command:?}: {text}");
            assert!(text.contains("no builder \"far\" found"), "{command:?}: {text}");
            let own = ["buildx b", "buildx inspect", "buildx du", "buildx prune"];
            let others =
                docker.calls().into_iter().filter(|call| own.iter().any(|own| call.starts_with(own)));
            assert_eq!(others.collect::<Vec<_>>(), [""; 0], "{command:?} used another builder");
        }
    }
}

#[test]
fn options_that_would_have_no_effect_together_are_refused() {
    let no_load = ["--push", "--no-load", "--registry", "hub.example/t"];
    for (args, other) in [
        (&[&no_load[..], &["--dry-run"]].concat()[..], "--dry-run"),
        (&[&no_load[..], &["--break-lock"]].concat(), "--break-lock"),
        (&["--twice", "--dry-run"], "--dry-run"),
    ] {
        let (repository, docker) = (on_stand_ins(), engine());
        let output = docker.run(&repository, &[&["build-images"], args].concat());
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains("cannot be used with") && text.contains(other), "{args:?}: {text}");
        assert_eq!(docker.calls(), [""; 0], "{args:?}");
    }
}

#[test]
fn a_bake_that_is_too_large_for_the_machine_is_split() {
    let repository = on_stand_ins();
    let overload = "ERROR: failed to receive status: rpc error: code = NotFound desc = no such job abc\n";
    let docker = engine()
        .on("buildx bake*alpha-simple-optimized beta-simple-optimized", 1, "", overload)
        .on("buildx inspect", 0, "Name: default\nDriver: docker\n\nNodes:\nStatus: running\n", "")
        .on("buildx bake*", 0, "", "")
        .on("image inspect*", 0, "[]", "");
    docker.run(&repository, &["build-images"]);
    let last = |call: String| call.rsplit("bake.json ").next().map(str::to_owned);
    let bakes = docker.calls().into_iter().filter(|call| call.starts_with("buildx bake")).filter_map(last);
    // This engine never has the images, so the build is repeated.
    assert_eq!(
        bakes.take(3).collect::<Vec<_>>(),
        ["alpha-simple-optimized beta-simple-optimized", "alpha-simple-optimized", "beta-simple-optimized"]
    );
}

#[test]
fn bakes_run_beside_their_definition_where_no_env_file_is() {
    let repository = on_stand_ins();
    repository.write(".env", "X=${TEAM:?say it}\n");
    let docker = engine().on("buildx bake*", 1, "", ALONE);
    let script = docker
        .folder
        .read("bin/docker")
        .replace("for args in", "pwd -P > \"$FAKE_DOCKER/pwd.$2\"\nfor args in");
    docker.folder.write("bin/docker", &script);
    docker.run(&repository, &["build-images", "alpha"]);
    let folder = std::fs::canonicalize(repository.0.join("target/xtask")).unwrap();
    assert_eq!(docker.folder.read("pwd.bake").trim(), folder.display().to_string());
    assert!(!folder.join(".env").exists());
}

#[test]
fn a_secret_argument_is_masked_in_progress_logs_retries_and_errors() {
    let repository = on_stand_ins();
    let token = ["npm-", "words-", "4711"].concat();
    let manifest = repository.read("xtask/images.toml");
    let args = format!("[service.alpha]\nargs = {{ NPM_TOKEN = \"{token}\" }}\n");
    repository.write("xtask/images.toml", &manifest.replace("[service.alpha]\n", &args));
    let said = STANDARD.encode(format!("seen {token}\n"));
    let (step, error) = (format!("[2/2] RUN fetch {token}"), format!("fetch {token}: connection refused"));
    let bake = format!(
        "{{\"vertexes\":[{{\"digest\":\"c\",\"name\":\"[1/2] COPY {token} /\",\"started\":\"t\",\"completed\":\"t\"}},\
         {{\"digest\":\"d\",\"name\":\"{step}\",\"started\":\"t\"}}]}}\n\
         {{\"logs\":[{{\"vertex\":\"d\",\"stream\":1,\"data\":\"{said}\"}}]}}\n\
         {{\"vertexes\":[{{\"digest\":\"d\",\"name\":\"{step}\",\"started\":\"t\",\"completed\":\"t\",\"error\":\"{error}\"}}]}}\n\
         ERROR: failed to solve: {error}\n"
    );
    let docker = engine()
        .on("buildx inspect", 0, "Name: default\nDriver: docker\n\nNodes:\nStatus: running\n", "")
        .on("buildx bake*", 1, "", &bake);
    let output = docker.run(&repository, &["build-images", "alpha"]);
    let text = told(&output, &repository);
    for part in [
        "[1/2] COPY *** / (",
        "retry 1 of 2",
        "retry 2 of 2",
        "step:   [2/2] RUN fetch ***",
        "fetch ***: connection refused",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let log = repository.read("target/xtask/logs/alpha-simple-optimized.log");
    for part in ["  seen ***\n", "> [2/2] RUN fetch ***\n", "! [2/2] RUN fetch ***: fetch ***: "] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert!(!text.contains(&token) && !log.contains(&token), "{text}\n{log}");
}

#[test]
fn ci_repeats_at_its_end_why_a_step_failed() {
    use std::os::unix::fs::PermissionsExt as _;
    let repository = on_stand_ins();
    let docker = engine().on("*", 1, "", "Error response from daemon: something else");
    let script = "#!/bin/sh\n[ \"$1\" = fmt ] || exit 0\nexec >&2\ni=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo $i; done\necho 'test wrong ... FAILED'\nexit 101\n";
    docker.folder.write("bin/fake-cargo", script);
    let cargo = docker.folder.0.join("bin/fake-cargo");
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut ci = crate::support::xtask(&docker.folder.0.join("bin"), &repository, &["ci"]);
    let output = ci.env("FAKE_DOCKER", &docker.folder.0).env("CARGO", &cargo).output().unwrap();
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let (_, end) = text.split_once("  check every image\n").unwrap();
    assert!(end.contains("error: format: `"), "{text}");
    assert!(end.contains("2999\n3000\ntest wrong ... FAILED\n") && !end.contains("2000\n"), "{text}");
    assert!(end.contains("error: optimized images: ") && end.contains("something else"), "{text}");
}

#[test]
fn a_program_failing_on_a_full_disk_is_an_environment_failure() {
    use std::os::unix::fs::PermissionsExt as _;
    let runs = |free: u64| {
        let repository = on_stand_ins();
        let docker = engine().on("*", 1, "", "Error response from daemon: something else");
        let df = docker.folder.0.join("bin/df");
        std::fs::remove_file(&df).unwrap();
        docker.folder.write("bin/df", &format!("#!/bin/sh\necho Avail\necho {free}\n"));
        std::fs::set_permissions(&df, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut ci = crate::support::xtask(&docker.folder.0.join("bin"), &repository, &["ci"]);
        let output = ci.env("FAKE_DOCKER", &docker.folder.0).env("CARGO", "/bin/false").output().unwrap();
        (output.status.code(), told(&output, &repository))
    };
    let (code, text) = runs(0);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("error: format: `/bin/false fmt --all --check` failed: the disk of "), "{text}");
    assert!(text.contains("is full\nhelp: free disk space there"), "{text}");
    assert!(
        text.ends_with("`docker buildx prune` clears the build cache)\n"),
        "the summary has no help: {text}"
    );
    let (code, text) = runs(5_000_000_000);
    assert_eq!(code, Some(1), "{text}");
}
