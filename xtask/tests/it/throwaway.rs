//! Throwaway stacks and deployments with a fake docker: checks before anything is started, and retries.

use crate::support::{FakeDocker, Folder, bare_machine, repository, told, xtask};

/// A docker that knows the stack of `alpha`, of which nothing runs.
fn stack(configuration: &str) -> FakeDocker {
    let image = r#"[{"Id":"sha256:a","RepoTags":["p-alpha:latest-simple-optimized"]}]"#;
    FakeDocker::new()
        .alive()
        .on("compose * config --format json*", 0, configuration, "")
        .on("image inspect *", 0, image, "")
        .on("compose * ps --all *", 0, "", "")
        .on("ps --all *", 0, "", "")
        .on("network ls *", 0, "", "")
        .on("volume ls *", 0, "", "")
}

/// A repository whose Compose file has a name of its own.
fn home() -> Folder {
    let folder = repository("p");
    folder.write("compose.yaml", "services: {}\n");
    folder
}

const PLAIN: &str = r#"{"name":"p","services":{"alpha":{"image":"p-alpha:latest-simple-optimized"}}}"#;

fn ups(docker: &FakeDocker) -> usize {
    docker.calls().iter().filter(|call| call.contains(" up --detach")).count()
}

fn alpha(docker: &FakeDocker, repository: &Folder) -> (Option<i32>, String) {
    let output = docker.run(repository, &["test", "alpha"]);
    (output.status.code(), told(&output, repository))
}

#[test]
fn a_taken_port_is_retried_once() {
    let repository = home();
    let taken = "Error response from daemon: Bind for 127.0.0.1:20001 failed: port is already allocated\n";
    let docker = stack(PLAIN).on("compose * up --detach *", 1, "", taken);
    let (code, text) = alpha(&docker, &repository);
    assert_eq!((code, ups(&docker)), (Some(3), 2), "{text}");
    assert!(
        text.contains("port is already allocated") && text.contains("help: stop the process that uses"),
        "{text}"
    );

    let docker = stack(PLAIN).on("compose * up --detach *", 1, "", "Error response from daemon: no\n");
    let (code, text) = alpha(&docker, &repository);
    assert_eq!((code, ups(&docker)), (Some(1), 1), "{text}");
}

#[test]
fn a_failed_stack_shows_its_logs_without_its_secrets() {
    let repository = home();
    let manifest = repository.read("xtask/images.toml");
    let secret = "\n[service.alpha.secret]\nvariable = \"ALPHA_KEYS\"\nplain = \"ALPHA_KEY\"\ncommand = [\"make-key\"]\n";
    repository.write("xtask/images.toml", &format!("{manifest}{secret}"));
    let log = "using key c2VjcmV0 and \u{1b}[2J{\"hash\":\"sha\\\"256\"}\n";
    let docker = stack(PLAIN)
        .on("run --rm *", 0, "key: c2VjcmV0\nentry: sha\"256\n", "")
        .on("compose * up --detach *", 1, "", "cannot set ALPHA_KEYS=sha\"256\n")
        .on("logs *", 0, log, "");
    // A container that exits while Compose starts it.
    let ended = r#"[{"Id":"a1","Image":"sha256:a","RestartCount":0,
        "Config":{"Image":"p-alpha:latest-simple-optimized","Labels":{"com.docker.compose.service":"alpha"}},
        "State":{"Status":"exited","StartedAt":"2026-01-01T00:00:00Z","ExitCode":1}}]"#;
    let docker = docker.on("container inspect *", 0, ended, "").on("rm --force *", 0, "", "");
    let script = docker.folder.read("bin/docker");
    let appears = "case \"$*\" in *\" up --detach\"*) cd \"$FAKE_DOCKER\"; echo 'ps --all *' > 00.args; echo a1 > 00.out; : > 00.err; \
                   echo 0 > 00.exit ;; \"rm --force\"*) rm \"$FAKE_DOCKER/00.args\" ;; esac\n";
    docker.folder.write("bin/docker", &script.replacen('\n', &format!("\n{appears}"), 1));
    let (code, text) = alpha(&docker, &repository);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("using key *** and \\u{1b}[2J{\"hash\":\"***\"}"), "{text}");
    assert!(!text.contains("c2VjcmV0") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn logs_are_printed_without_secrets_and_control_characters() {
    let repository = home();
    let manifest = repository.read("xtask/images.toml");
    let secret = "\n[service.alpha.secret]\nvariable = \"ALPHA_KEYS\"\nplain = \"ALPHA_KEY\"\ncommand = [\"make-key\"]\n";
    repository.write("xtask/images.toml", &format!("{manifest}{secret}"));
    repository.write(".env", "ALPHA_KEY='open-sesame'\n");
    let docker = stack(PLAIN).on("compose * logs *", 0, "alpha  | open-sesame\u{1b}[2J\nalpha  | end", "");
    let output = docker.run(&repository, &["deploy", "logs", "alpha"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("alpha  | ***\\u{1b}[2J\nalpha  | end") && !text.contains("sesame"), "{text}");
    let failing = stack(PLAIN).on("compose * logs *", 1, "", "no such service: x\n");
    let output = failing.run(&repository, &["deploy", "logs", "alpha"]);
    let text = told(&output, &repository);
    assert!(output.status.code() == Some(1) && text.contains("no such service: x"), "{text}");
}

#[test]
fn shared_resources_are_refused_before_anything_is_started() {
    let repository = home();
    let docker = stack(
        r#"{"name":"p","services":{"alpha":{"image":"p-alpha:latest-simple-optimized","networks":{"corp":null},
            "volumes":[{"type":"volume","source":"kept","target":"/data"}],"volumes_from":["other","container:old:ro"]},
            "other":{"network_mode":"host"}},
            "volumes":{"kept":{"name":"kept-1","external":true},"unused":{"name":"unused-1","external":true}},
            "networks":{"corp":{"name":"corp","external":true},"unused":{"name":"unused","external":true}}}"#,
    );
    let (code, text) = alpha(&docker, &repository);
    assert_eq!((code, ups(&docker)), (Some(1), 0), "{text}");
    for fault in [
        "volume kept is external (kept-1)",
        "network corp is external (corp)",
        "service other uses the host's network",
        "service alpha uses the volumes of container old:ro",
    ] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
}

#[test]
fn stack_tests_need_a_local_engine_socket() {
    let repository = home();
    for (host, words) in [
        ("tcp://192.0.2.1:2375\n", "the engine at tcp://192.0.2.1:2375 is not a socket on this machine"),
        ("unix:///no/such/socket\n", "cannot access the engine's socket /no/such/socket"),
        ("unix:///etc/passwd\n", "the engine's address /etc/passwd is not a socket"),
    ] {
        let docker = stack(PLAIN).on("context inspect *", 0, host, "");
        let output = docker.run(&repository, &["test", "--stack-tests"]);
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(3), "{text}");
        assert!(text.contains(words) && text.contains("help: "), "{text}");
        let busy = docker.calls().into_iter().find(|call| call.contains("compose") || call.contains("build"));
        assert_eq!(busy, None);
    }
}

#[test]
fn invalid_arguments_are_reported_without_an_engine() {
    let (machine, repository) = (bare_machine(), repository("p"));
    let code = |edition: &str| {
        let args = ["deploy", "install", "--edition", edition];
        let output = xtask(&machine.0, &repository, &args).output().unwrap();
        (output.status.code(), told(&output, &repository))
    };
    let (bogus, text) = code("bogus");
    assert_eq!(bogus, Some(2), "{text}");
    assert_eq!(code("simple").0, Some(3));
}

#[test]
fn a_stack_has_the_files_that_compose_itself_would_use() {
    let repository = home();
    let docker = stack(PLAIN).on("compose * up --detach *", 1, "", "Error response from daemon: no\n");
    alpha(&docker, &repository);
    let files = |docker: &FakeDocker| {
        let calls = docker.calls();
        let up = calls.iter().find(|call| call.contains(" up --detach")).unwrap().clone();
        let files = up.split(" --file ").skip(1).map(|rest| rest.split(' ').next().unwrap_or_default());
        files.map(|file| file.rsplit('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(files(&docker), ["compose.yaml", "override.yml"]);

    repository.write("compose.override.yaml", "services: {}\n");
    let docker = stack(PLAIN).on("compose * up --detach *", 1, "", "Error response from daemon: no\n");
    alpha(&docker, &repository);
    assert_eq!(files(&docker), ["compose.yaml", "compose.override.yaml", "override.yml"]);

    for name in ["compose.yaml", "compose.override.yaml"] {
        std::fs::remove_file(repository.0.join(name)).unwrap();
    }
    let docker = stack(PLAIN);
    let (code, text) = alpha(&docker, &repository);
    assert_eq!((code, ups(&docker)), (Some(1), 0), "{text}");
    assert!(
        text.contains("no Compose file in [ROOT]\nhelp: add compose.yaml, or set COMPOSE_FILE"),
        "{text}"
    );
}

#[test]
fn without_probes_the_health_check_answers_and_silence_is_no_success() {
    let repository = home();
    for (health, code, said) in [
        ("", 1, "nothing was probed: alpha (no probe, no health check)\nhelp: declare [[service."),
        ("healthy", 0, "alpha    health check  passed"),
        ("unhealthy", 1, "the container is unhealthy (running)"),
    ] {
        let running = format!(
            r#"{{"Service":"alpha","ID":"a1","State":"running","Health":"{health}","Publishers":[]}}"#
        );
        let inspected = r#"[{"Id":"a1","Image":"sha256:a","Config":{},"HostConfig":{},"State":{}}]"#;
        let docker = FakeDocker::new()
            .alive()
            .on("compose * ps --all *", 0, &running, "")
            .on("compose * config *", 0, PLAIN, "")
            .on("container inspect *", 0, inspected, "");
        let output = docker.run(&repository, &["smoke", "alpha"]);
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn the_health_check_goes_before_the_path_and_services_with_neither_are_listed() {
    let repository = home();
    let manifest = repository.read("xtask/images.toml");
    // alpha is healthy, so its path is not requested; beta has no health check.
    let running = "{\"Service\":\"alpha\",\"ID\":\"a1\",\"State\":\"running\",\"Health\":\"healthy\",\"Publishers\":[]}\n\
                   {\"Service\":\"beta\",\"ID\":\"b1\",\"State\":\"running\",\"Health\":\"\",\"Publishers\":[]}\n";
    let inspected = r#"[{"Id":"a1","Image":"sha256:a","Config":{},"HostConfig":{},"State":{}}]"#;
    let docker = || {
        FakeDocker::new()
            .alive()
            .on("compose * ps --all *", 0, running, "")
            .on("compose * config *", 0, PLAIN, "")
            .on("container inspect *", 0, inspected, "")
    };
    let with_health = |text: &str, service: &str| {
        let head = format!("[service.{service}]\n");
        text.replace(&head, &format!("{head}health = \"/nowhere\"\n"))
    };
    let alpha = with_health(&manifest, "alpha");
    for (name, text, code) in [
        ("smoke_health_check_and_none", alpha.clone(), 0),
        ("smoke_health_without_publishing", with_health(&alpha, "beta"), 1),
        ("smoke_health_without_port", with_health(&alpha, "beta").replace("port = 1002\n", ""), 1),
    ] {
        repository.write("xtask/images.toml", &text);
        let junit = repository.0.join("smoke.xml").display().to_string();
        let output = docker().run(&repository, &["smoke", "--junit", &junit]);
        assert_eq!(output.status.code(), Some(code), "{}", told(&output, &repository));
        insta::with_settings!({
            filters => vec![(r" +\d+ ms", " [MS]"), (r"VERDICT +TIME", "VERDICT  TIME")],
            omit_expression => true,
            prepend_module_to_snapshot => false,
        }, {
            insta::assert_snapshot!(name, told(&output, &repository));
        });
        let is_listed =
            repository.read("smoke.xml").contains("<skipped message=\"no probe, no health check\"/>");
        assert_eq!(is_listed, code == 0, "{name}");
    }
}
