//! `deploy` with a fake docker: what Compose receives, and changes to `.env`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use host::files::Lock;
use serde_json::{Value, json};

use crate::support::{FakeDocker, Folder, bare_machine, repository, told, xtask};

const SECRET: &str =
    "secret = { variable = \"ALPHA_KEYS\", plain = \"ALPHA_KEY\", command = [\"new-key\"] }\n";

/// The fixture with a secret and a `.env`.
fn stack(dot_env: &str) -> Folder {
    let folder = repository("fx");
    let manifest =
        folder.read("xtask/images.toml").replace("port = 1001\n", &format!("port = 1001\n{SECRET}"));
    folder.write("xtask/images.toml", &manifest);
    folder.write("docker-compose.yml", "services: {}\n");
    folder.write(".env", dot_env);
    folder
}

/// A container as `docker container inspect` prints it, started on 2026-01-01.
fn container(service: &str, state: &str, exit_code: i32, restarts: u32) -> Value {
    json!({
        "Id": format!("{service}-1"), "Image": "sha256:a", "RestartCount": restarts,
        "Config": { "Image": "fx-alpha:1", "Labels": { "com.docker.compose.service": service } },
        "State": { "Status": state, "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": exit_code },
    })
}

/// A fake docker with this stack. `compose up` appends its ALPHA_KEYS and SUTRA_VERSION to `seen`.
fn docker(services: &Value, containers: &[Value]) -> FakeDocker {
    let image = r#"[{"Id":"sha256:a","RepoTags":["fx-alpha:1"]}]"#;
    let ids: String = containers.iter().map(|found| format!("{}\n", found["Id"].as_str().unwrap())).collect();
    let config = json!({ "name": "p", "services": services }).to_string();
    let fake = FakeDocker::new()
        .alive()
        .on("compose * config --format json*", 0, &config, "")
        .on("image inspect *", 0, image, "")
        .on("ps --all *", 0, &ids, "")
        .on("container inspect *", 0, &Value::from(containers).to_string(), "")
        .on("compose * ps --all *", 0, "", "")
        .on("compose * up --detach *", 0, "", "")
        .on("logs *", 0, "", "the last words\n");
    let script = fake.folder.read("bin/docker");
    let seen = "case \"$*\" in *\" up --detach\"*) echo \"$ALPHA_KEYS $SUTRA_VERSION\" >> \"$FAKE_DOCKER/seen\" ;; esac\n";
    std::fs::write(fake.folder.0.join("bin/docker"), script.replacen('\n', &format!("\n{seen}"), 1)).unwrap();
    fake
}

/// Adds an answer that takes precedence over all others.
fn first(docker: &FakeDocker, pattern: &str, exit: i32, stdout: &str, stderr: &str) {
    for (kind, text) in [("args", pattern), ("exit", &exit.to_string()), ("out", stdout), ("err", stderr)] {
        docker.folder.write(&format!("00.{kind}"), text);
    }
}

fn run(
    docker: &FakeDocker,
    folder: &Folder,
    args: &[&str],
    environment: &[(&str, &str)],
) -> (Output, String) {
    let mut command = xtask(&docker.folder.0.join("bin"), folder, &[&["deploy"], args].concat());
    command.env("FAKE_DOCKER", &docker.folder.0).envs(environment.iter().copied());
    let output = command.output().unwrap();
    let text = told(&output, folder);
    (output, text)
}

fn ups(docker: &FakeDocker) -> usize {
    docker.calls().iter().filter(|call| call.contains(" up --detach")).count()
}

#[test]
fn an_empty_variable_changes_nothing_in_dot_env_and_its_value_reaches_the_container() {
    let dot_env = "# mine\r\nALPHA_KEYS='ha$h'\r\nALPHA_KEY=open # sesame";
    let folder = stack(dot_env);
    let alpha = json!({ "alpha": { "image": "fx-alpha:1" } });
    let docker = docker(&alpha, &[container("alpha", "running", 0, 0)]);
    for action in ["install", "update"] {
        let (output, text) = run(&docker, &folder, &[action], &[("ALPHA_KEYS", ""), ("ALPHA_KEY", "")]);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(text.contains("all 1 services are healthy"), "{text}");
    }
    assert_eq!(folder.read(".env"), dot_env);
    assert_eq!(docker.folder.read("seen"), "ha$h latest\nha$h latest\n");
}

#[test]
fn images_that_change_while_compose_runs_are_deployed_again() {
    for (changes, ups_wanted, code) in [(1, 2, 0), (9, 3, 1)] {
        let folder = stack("ALPHA_KEYS=a\nALPHA_KEY=b\n");
        let alpha = json!({ "alpha": { "image": "fx-alpha:1" } });
        let docker = docker(&alpha, &[container("alpha", "running", 0, 0)]);
        first(&docker, "image inspect *", 0, r#"[{"Id":"sha256:a","RepoTags":["fx-alpha:1"]}]"#, "");
        docker.folder.write("n", &changes.to_string());
        let moves = r#"read n < "$FAKE_DOCKER/n"; echo $((n - 1)) > "$FAKE_DOCKER/n"
            [ $n -gt 0 ] && echo '[{"Id":"sha256:'$n'","RepoTags":["fx-alpha:1"]}]' > "$FAKE_DOCKER/00.out" ;; esac"#;
        let script = docker.folder.read("bin/docker").replacen(";; esac", &format!("\n{moves}"), 1);
        docker.folder.write("bin/docker", &script);
        let (output, text) = run(&docker, &folder, &["update"], &[]);
        assert_eq!((output.status.code(), ups(&docker)), (Some(code), ups_wanted), "{text}");
        assert!(text.contains("starting it again: fx-alpha:1"), "{text}");
        assert_eq!(text.contains("images changed during each of 3 Compose runs"), code == 1, "{text}");
    }
}

#[test]
fn a_plain_secret_of_the_user_is_not_replaced() {
    let folder = stack("ALPHA_KEY=mine\n");
    let docker = docker(&json!({ "alpha": { "image": "fx-alpha:1" } }), &[]);
    let (output, text) = run(&docker, &folder, &["install"], &[]);
    assert_eq!((output.status.code(), ups(&docker)), (Some(1), 0), "{text}");
    assert!(
        text.contains("ALPHA_KEY is set in .env, but ALPHA_KEYS is not") && text.contains("help: "),
        "{text}"
    );
    assert_eq!(folder.read(".env"), "ALPHA_KEY=mine\n");
}

#[test]
fn secrets_are_not_stored_in_a_dot_env_that_compose_does_not_read() {
    let folder = stack("MINE=1\n");
    folder.write("other.env", "MINE=2\n");
    let docker = docker(&json!({ "alpha": { "image": "fx-alpha:1" } }), &[]).on(
        "run --rm *",
        0,
        "key: s3cret-key\nentry: s3cret-entry\n",
        "",
    );
    let (output, text) = run(&docker, &folder, &["install"], &[("COMPOSE_ENV_FILES", "other.env")]);
    assert_eq!((output.status.code(), ups(&docker)), (Some(2), 0), "{text}");
    assert!(
        text.contains("cannot store ALPHA_KEYS, ALPHA_KEY in .env: COMPOSE_ENV_FILES replaces it\nhelp: "),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!((folder.read(".env").as_str(), folder.read("other.env").as_str()), ("MINE=1\n", "MINE=2\n"));
}

#[test]
fn secrets_of_services_that_are_not_updated_are_left_for_later() {
    let folder = stack("");
    let docker = docker(&json!({ "beta": { "image": "fx-alpha:1" } }), &[container("beta", "running", 0, 0)]);
    let (output, text) = run(&docker, &folder, &["update", "beta"], &[]);
    assert_eq!((output.status.code(), ups(&docker)), (Some(0), 1), "{text}");
    assert_eq!(folder.read(".env"), "");
}

#[test]
fn no_placeholder_reaches_a_container() {
    let folder = stack("");
    let services = json!({ "alpha": { "image": "fx-alpha:1", "environment": { "KEYS": "not-made-yet" } } });
    let docker = docker(&services, &[]);
    for action in ["restart", "rollback"] {
        let (output, text) = run(&docker, &folder, &[action], &[]);
        assert_eq!((output.status.code(), ups(&docker)), (Some(1), 0), "{text}");
        assert!(text.contains("alpha needs a variable that is not set: ALPHA_KEYS"), "{text}");
    }
    // Read-only commands may use the placeholder.
    assert_eq!(run(&docker, &folder, &["logs"], &[]).0.status.code(), Some(1));
    assert!(docker.calls().iter().any(|call| call.contains(" logs --tail 50")));
}

#[test]
fn a_tag_in_dot_env_may_expand_and_is_named_as_such() {
    let alpha = json!({ "alpha": { "image": "fx-alpha:1" } });
    let folder = stack("ALPHA_KEY=x\nALPHA_KEYS=y\nBASE=1.2\nSUTRA_VERSION=${BASE}-rc\n");
    let update = |version: &str| {
        let docker = docker(&alpha, &[container("alpha", "running", 0, 0)]);
        // ALPHA_KEY, BASE and SUTRA_VERSION, sorted by name; ALPHA_KEYS is in the environment.
        let values = json!({ "V0": "x", "V1": "1.2", "V2": version });
        let answer = json!({ "services": { "all": { "environment": values } } }).to_string();
        first(&docker, "compose --project-directory * --file - config *", 0, &answer, "");
        let (output, text) = run(&docker, &folder, &["update"], &[("ALPHA_KEYS", "")]);
        (output.status.code(), docker.folder.read("seen"), text)
    };
    let (code, seen, text) = update("1.2-rc");
    assert_eq!((code, seen.as_str()), (Some(0), "y 1.2-rc\n"), "{text}");
    let (code, seen, text) = update("no tag!");
    assert_eq!((code, seen.as_str()), (Some(2), ""), "{text}");
    assert!(text.contains("SUTRA_VERSION in .env: ") && !text.contains("--tag"), "{text}");
}

#[test]
fn a_dot_env_that_compose_cannot_read_is_reported_by_line_and_without_its_text() {
    let folder = stack("A=1\nALPHA_KEY=\"s3cret\n");
    let docker = docker(&json!({}), &[]);
    let error = "failed to read /x/.env: line 3: unterminated quoted value \"s3cret";
    first(&docker, "compose --project-directory * --file - config *", 1, "", error);
    let docker = docker.on("compose version --short", 0, "2.26.1\n", "");
    for action in ["install", "status", "down"] {
        let (output, text) = run(&docker, &folder, &[action], &[]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(".env:3: Compose cannot read it: a quote is not closed\nhelp: "), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
    }
}

#[test]
fn a_service_that_is_expected_to_end_is_fine_once_it_did_and_replicas_are_counted() {
    let services = json!({
        "none": { "image": "fx-alpha:1", "deploy": { "replicas": 0 } },
        "prepare": { "image": "fx-alpha:1" },
        "web": { "image": "fx-alpha:1", "scale": 2,
            "depends_on": { "prepare": { "condition": "service_completed_successfully" } } },
    });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let web = [container("web", "running", 0, 0), container("web", "running", 0, 0)];
    let status = |more: &[Value]| {
        let (output, text) = run(&docker(&services, more), &folder, &["status"], &[]);
        (output.status.code(), text)
    };
    let (code, text) = status(&[&web[..], &[container("prepare", "exited", 0, 0)]].concat());
    assert_eq!(code, Some(0), "{text}");
    for line in ["none     no replicas", "prepare  completed", "web      healthy, 2 of 2 replicas"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let (code, text) = status(&[&web[..1], &[container("prepare", "exited", 3, 0)]].concat());
    assert_eq!(code, Some(1), "{text}");
    for line in
        ["ended, exit code 3", "not started, 1 of 2 replicas, needs prepare", "not healthy: prepare, web"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_crash_loop_fails_with_the_command_to_continue() {
    let services = json!({ "alpha": { "image": "fx-alpha:1", "restart": "always" } });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let docker = docker(&services, &[container("alpha", "restarting", 7, 3)]);
    let (output, text) = run(&docker, &folder, &["update", "alpha", "--profile", "debug"], &[]);
    assert_eq!((output.status.code(), ups(&docker)), (Some(1), 1), "{text}");
    for line in [
        "  alpha (crash loop, exit code 7), image fx-alpha:1\n    the last words",
        "  running: nothing\n  not running: alpha\n",
        "help: fix the errors above, then run `cargo xtask deploy update alpha --profile debug` again",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let up = docker.calls().into_iter().find(|call| call.contains(" up ")).unwrap();
    assert!(up.contains("--profile debug") && up.ends_with("up --detach --no-build alpha"), "{up}");
}

#[test]
fn a_container_that_vanishes_under_compose_is_looked_for_again() {
    let services = json!({ "alpha": { "image": "fx-alpha:1" } });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    for (error, count) in
        [("Error response from daemon: No such container: 7", 3), ("x: No such container", 1)]
    {
        let fake = docker(&services, &[container("alpha", "running", 0, 0)]);
        first(&fake, "compose * up --detach *", 1, "", error);
        let (output, text) = run(&fake, &folder, &["update"], &[]);
        assert_eq!((output.status.code(), ups(&fake)), (Some(1), count), "{text}");
        assert!(
            text.contains("docker compose did not finish") && text.contains("No such container"),
            "{text}"
        );
    }
}

/// A docker whose `compose up` ends after the fourth inspection of its containers. `RUNNING`, `OLD` and `NEW` are the containers
/// before, while and after Compose replaces one.
const REPLACING: &str = r#"#!/bin/sh
case "$*" in
*" up --detach"*)
    trap 'echo > "$FAKE_DOCKER/interrupted"; exit 1' INT
    echo > "$FAKE_DOCKER/begun"
    cat "$FAKE_DOCKER/end"
    echo > "$FAKE_DOCKER/done" ;;
"container inspect"*)
    if [ -e "$FAKE_DOCKER/done" ]; then echo '[NEW]'; exit; fi
    if [ ! -e "$FAKE_DOCKER/begun" ]; then echo '[RUNNING]'; exit; fi
    echo x >> "$FAKE_DOCKER/looks"
    case $(cat "$FAKE_DOCKER/looks") in
    x) echo '[RUNNING]' ;;
    "x
x
x
x") echo '[OLD]'; echo > "$FAKE_DOCKER/end" ;;
    *) echo '[OLD]' ;;
    esac ;;
*) exec "$FAKE_DOCKER/bin/rest" "$@" ;;
esac
"#;

#[test]
fn compose_is_not_interrupted_because_an_old_container_ends_or_loops() {
    let services = json!({ "alpha": { "image": "fx-alpha:1" }, "other": { "image": "fx-alpha:1" } });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let with = |id: &str, mut found: Value, start: &str| {
        found["Id"] = json!(id);
        found["State"]["StartedAt"] = json!(start);
        found.to_string()
    };
    let other = container("other", "running", 0, 0).to_string();
    let start = "2026-01-01T00:00:00Z";
    let (running, restarting) = (container("alpha", "running", 0, 0), container("alpha", "restarting", 1, 5));
    for (before, old) in [
        (&running, with("1", container("alpha", "exited", 143, 0), start)),
        // The engine has restarted it.
        (&running, with("1", restarting.clone(), "2026-01-01T00:00:09Z")),
        // The engine had already counted this restart.
        (&restarting, with("1", container("alpha", "exited", 1, 5), "2026-01-01T00:00:09Z")),
        // The old container is gone, and the new one has not started yet.
        (&running, with("2", container("alpha", "created", 0, 0), "0001-01-01T00:00:00Z")),
    ] {
        let fake =
            docker(&services, &[container("alpha", "running", 0, 0), container("other", "running", 0, 0)]);
        let bin = fake.folder.0.join("bin");
        std::fs::rename(bin.join("docker"), bin.join("rest")).unwrap();
        let pairs = |alpha: String| format!("{alpha},{other}");
        let script = REPLACING
            .replace("RUNNING", &pairs(with("1", before.clone(), start)))
            .replace("OLD", &pairs(old))
            .replace("NEW", &pairs(with("2", container("alpha", "running", 0, 0), "2026-01-01T00:00:01Z")));
        fake.folder.write("bin/docker", &script);
        std::fs::set_permissions(bin.join("docker"), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(
            std::process::Command::new("mkfifo").arg(fake.folder.0.join("end")).status().unwrap().success()
        );
        let (output, text) = run(&fake, &folder, &["update"], &[]);
        assert_eq!(output.status.code(), Some(0), "{text}");
        assert!(!fake.folder.0.join("interrupted").exists());
        assert!(fake.folder.read("looks").lines().count() >= 4);
    }
}

#[test]
fn nothing_to_roll_back_to_is_said_with_help() {
    let services = json!({ "alpha": { "image": "fx-alpha:1" }, "other": { "image": "fx-alpha:1" } });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let docker = docker(&services, &[container("alpha", "running", 0, 0)]);
    let (output, text) = run(&docker, &folder, &["rollback", "alpha"], &[]);
    assert_eq!((output.status.code(), ups(&docker)), (Some(1), 0), "{text}");
    assert!(text.contains("no previous image to roll back to: alpha") && text.contains("help: "), "{text}");
}

#[test]
fn services_have_their_names_of_the_manifest_and_of_the_compose_file() {
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let manifest =
        folder.read("xtask/images.toml").replace("compose = \"beta\"", "compose = \"beta-server\"");
    folder.write("xtask/images.toml", &manifest);
    let services = json!({ "alpha": {}, "beta-server": {}, "helper": {} });
    let docker = docker(&services, &[]);
    run(&docker, &folder, &["logs", "beta", "helper", "beta-server"], &[]);
    let last = docker.calls().pop().unwrap();
    assert!(last.ends_with(" logs --tail 50 beta-server helper"), "{last}");
    for action in ["update", "restart", "rollback", "logs"] {
        let (output, text) = run(&docker, &folder, &[action, "halper"], &[]);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("unknown service `halper`; did you mean `helper`?"), "{text}");
    }
}

#[test]
fn a_deployment_waits_for_another_one_of_the_checkout() {
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let docker = docker(&json!({ "alpha": { "image": "fx-alpha:1" } }), &[]);
    let _held = Lock::take(&folder.0.join("target/xtask/deploy.lock")).unwrap();
    for action in ["install", "update", "restart", "rollback"] {
        let (output, text) = run(&docker, &folder, &[action, "--timeout", "0"], &[]);
        assert_eq!((output.status.code(), ups(&docker)), (Some(3), 0), "{text}");
        assert!(text.contains("waiting for another deployment") && text.contains("help: "), "{text}");
    }
}

#[test]
fn after_the_deadline_the_message_lists_the_state_of_services() {
    let services = json!({ "alpha": { "image": "fx-alpha:1" }, "other": { "image": "fx-alpha:1" } });
    let folder = stack("ALPHA_KEYS='x'\nALPHA_KEY='y'\n");
    let mut starting = container("alpha", "running", 0, 0);
    starting["State"]["Health"] = json!({ "Status": "starting" });
    let docker = docker(&services, &[starting, container("other", "created", 0, 0)]);
    let (output, text) = run(&docker, &folder, &["update", "--timeout", "0"], &[]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for line in [
        "not healthy: alpha, other\n  not all healthy within 0 s (--timeout)\n",
        "  running: alpha\n  not running: other\nhelp: ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn commands_without_docker_read_any_dot_env() {
    let folder = stack("BASE=1.2\nSUTRA_VERSION=\"${BASE}-rc\"\n");
    folder.write("docker-compose.yml", "services:\n  alpha:\n    image: fx-alpha:${SUTRA_VERSION}\n");
    let args = ["compose-switch", "optimized", "--allow-missing"];
    let output = xtask(&bare_machine().0, &folder, &args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &folder));
    assert!(folder.read("docker-compose.yml").contains("fx-alpha:${SUTRA_VERSION}-optimized"));
}
