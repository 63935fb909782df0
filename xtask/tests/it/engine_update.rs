//! Deployments on a real engine: slow shutdowns, crash loops, replicas, signals and rollback.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::time::Duration;

use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use host::interrupt::Interrupt;
use host::paths::Repository;
use host::process::Runner;
use host::terminal::{Color, Terminal, Verbosity};

use crate::support::load::Load;
use crate::support::tiny::Tiny;
use crate::support::{docker, program, signal};

const TWO: &str =
    "  alpha:\n    image: IMAGE-alpha\n  beta:\n    image: IMAGE-beta\n    depends_on: [alpha]\n";

/// Two healthy services that shut down slowly.
fn two(test: &str) -> Tiny {
    let tiny = Tiny::new(test);
    tiny.compose(TWO);
    tiny.images();
    tiny.done(&["install"]);
    tiny
}

fn both_run(tiny: &Tiny, images: &[String; 2]) {
    assert_eq!([tiny.running("alpha"), tiny.running("beta")], *images);
    let names = ["alpha", "beta"].map(|service| format!("{}-{service}-1 running", tiny.name));
    assert_eq!(tiny.containers("{{.Names}} {{.State}}"), names);
}

/// `ci --campaign updates` runs 200 of them.
#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn updates_in_a_row_on_busy_cores_lose_nothing() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = two("busy");
    let _load = Load::on_every_core();
    for _ in 0..5 {
        let images = tiny.images();
        let text = tiny.done(&["update"]);
        assert!(text.contains("all 2 services are healthy"), "{text}");
        both_run(&tiny, &images);
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn rollback_returns_to_previous_images_and_can_be_undone() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = two("back");
    let old = [tiny.running("alpha"), tiny.running("beta")];
    let new = tiny.images();
    tiny.done(&["update"]);
    both_run(&tiny, &new);
    // An update without changes keeps the saved images.
    tiny.done(&["update"]);
    // Only the rollback tags keep the old images.
    assert!(docker(&["image", "ls", &format!("{}-rollback", tiny.name), "--quiet"]).lines().count() == 2);
    tiny.done(&["rollback"]);
    both_run(&tiny, &old);
    tiny.done(&["rollback", "beta"]);
    both_run(&tiny, &[old[0].clone(), new[1].clone()]);
    let ids = tiny.containers("{{.ID}}");
    tiny.done(&["restart", "alpha"]);
    assert_eq!(tiny.containers("{{.ID}}"), ids);
    tiny.done(&["rollback"]);
    both_run(&tiny, &[new[0].clone(), old[1].clone()]);
    // Updating one service changes only that service and its dependencies.
    let newer = tiny.images();
    tiny.done(&["update", "alpha"]);
    both_run(&tiny, &[newer[0].clone(), old[1].clone()]);
}

/// After an engine restart, health checks start over.
#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_that_was_healthy_when_deployed_is_kept_for_a_rollback() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = Tiny::new("again");
    tiny.compose(
        "  alpha:\n    image: IMAGE-alpha\n    healthcheck: {test: [CMD, /usr/bin/perl, -e, 'exit(-e q(/ill))'], \
         start_period: 1h, start_interval: 100ms}\n",
    );
    tiny.images();
    tiny.done(&["install"]);
    let [second, _] = tiny.images();
    tiny.done(&["update"]);
    let container = format!("{}-alpha-1", tiny.name);
    docker(&["exec", &container, "/usr/bin/perl", "-e", "mkdir q(/ill)"]);
    docker(&["restart", &container]);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Health.Status}}", &container]), "starting");
    tiny.images();
    tiny.done(&["update"]);
    tiny.done(&["rollback"]);
    assert_eq!(tiny.running("alpha"), second);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_init_container_that_fails_is_reported_and_everything_else_is_started() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = Tiny::new("init");
    let compose = |code: u32| {
        tiny.compose(&format!(
            "  alpha:\n    image: IMAGE-alpha\n    depends_on: {{prepare: {{condition: service_completed_successfully}}}}\n  \
             beta:\n    image: IMAGE-beta\n  prepare:\n    image: IMAGE-alpha\n    healthcheck: {{disable: true}}\n    \
             command: [/usr/bin/perl, -e, 'print \"said it\"; exit {code}']\n  \
             none:\n    image: IMAGE-none\n    deploy: {{replicas: 0}}\n  \
             debug:\n    image: IMAGE-alpha\n    profiles: [debug]\n"
        ));
    };
    tiny.images();
    compose(3);
    let (code, text) = tiny.deploy(&["install"]);
    assert_eq!(code, Some(1), "{text}");
    for line in [
        "not healthy: alpha, prepare",
        "alpha (not started, needs prepare)",
        "prepare (ended, exit code 3)",
        "said it",
        "running: beta\n  not running: alpha, prepare",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(tiny.deploy(&["status"]).0, Some(1));
    compose(0);
    assert!(tiny.done(&["update"]).contains("prepare            completed"));
    let text = tiny.done(&["status"]);
    assert!(text.contains("no replicas") && !text.contains("debug"), "{text}");
    let text = tiny.done(&["update", "--profile", "debug"]);
    assert!(text.contains("debug              healthy"), "{text}");
    assert_eq!(tiny.containers("{{.Names}}").len(), 4);
    tiny.done(&["down"]);
    assert_eq!(tiny.containers("{{.Names}}"), [""; 0]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn late_exits_crash_loops_and_one_bad_replica_are_not_healthy() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = Tiny::new("ill");
    tiny.images();
    let fails = |more: &str, line: &str| {
        tiny.compose(&format!("  alpha:\n    image: IMAGE-alpha\n{more}"));
        let (code, text) = tiny.deploy(&["update"]);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(line), "{text}");
        assert_eq!(tiny.deploy(&["status"]).0, Some(1));
    };
    let unchecked = "    healthcheck: {disable: true}\n    command: [/usr/bin/perl, -e, 'sleep 2; exit 4']\n";
    fails(unchecked, "alpha (ended, exit code 4)");
    fails(
        "    restart: always\n    healthcheck: {disable: true}\n    command: [/usr/bin/perl, -e, 'exit 5']\n",
        "alpha (crash loop",
    );
    // Only the first of two replicas can start.
    let replicas = "    scale: 2\n    volumes: [\"shared:/shared\"]\n    command: [/usr/bin/perl, -e, 'mkdir q(/shared/a) or mkdir q(/ill); sleep 1 while 1']\n    \
                    healthcheck: {test: [CMD, /usr/bin/perl, -e, 'exit(-e q(/ill))'], interval: 200ms, retries: 1}\nvolumes: {shared: {}}\n";
    fails(replicas, "alpha (unhealthy, 1 of 2 replicas)");
}

/// Starts a deployment, and returns once Compose has begun to replace containers.
fn begun(tiny: &Tiny, action: &str) -> Child {
    let before = tiny.containers("{{.ID}}");
    let mut child = tiny.command(&[action]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while tiny.containers("{{.ID}}") == before {
        assert_eq!(child.try_wait().unwrap(), None, "it ended without a change");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_signal_does_not_leave_an_update_half_done() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = two("signal");
    for name in ["TERM", "INT", "HUP"] {
        let images = tiny.images();
        let update = begun(&tiny, "update");
        signal(name, update.id());
        let (code, text) = tiny.told(&update.wait_with_output().unwrap());
        // Compose finished, so every container is new; they may not be healthy yet.
        both_run(&tiny, &images);
        match code {
            Some(0) => assert!(text.contains("all 2 services are healthy"), "{text}"),
            Some(130) => {
                assert!(
                    text.contains("interrupted; not healthy: ") && text.contains("running: alpha, beta"),
                    "{text}"
                );
                assert!(text.contains("help: to continue: `cargo xtask deploy update`"), "{text}");
            }
            _ => panic!("{text}"),
        }
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn tags_that_move_during_an_update_do_not_mix_two_builds() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = two("moves");
    let newest = tiny.images();
    let new = tiny.images();
    let update = begun(&tiny, "update");
    // Compose has replaced alpha, whose shutdown takes a second, but not beta.
    for (service, image) in ["alpha", "beta"].into_iter().zip(&newest) {
        docker(&["tag", image, &tiny.tag(service)]);
    }
    let (code, text) = tiny.told(&update.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    let running = [tiny.running("alpha"), tiny.running("beta")];
    assert!(running == newest || running == new, "{running:?}: {text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_next_run_completes_a_killed_one() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = two("killed");
    let old = [tiny.running("alpha"), tiny.running("beta")];
    let new = tiny.images();
    let kill = |action: &str| {
        let mut child = begun(&tiny, action);
        child.kill().unwrap();
        child.wait().unwrap();
        tiny.done(&[action]);
    };
    kill("update");
    both_run(&tiny, &new);
    // The second run continues the rollback instead of undoing it.
    kill("rollback");
    both_run(&tiny, &old);
    tiny.done(&["rollback"]);
    both_run(&tiny, &new);
    let tags = docker(&["image", "ls", &format!("{}-rollback", tiny.name), "--format", "{{.Tag}}"]);
    assert_eq!(tags.split_whitespace().collect::<BTreeSet<_>>(), BTreeSet::from(["alpha", "beta"]));
}

/// Probes and checks use the same values as the containers.
#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn values_of_dot_env_are_those_of_the_container() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = Tiny::new("values");
    tiny.image("alpha", "sleep 1 while 1");
    let dot_env = "BASE=1.2\nTAG=${BASE}-rc\nHASH=\"abc$HOMEx#9\"\nDOLLARS=abc$$def99\nCOLON: 1\nLINES=\"one\n$BASE\ttwo\" # c\n\
                   SINGLE='it\\'s $BASE\nB=no'\nDEFAULT=${NONE:-x}\nBLANK= # none\nexport LAST = a b # c\n";
    tiny.folder.write(".env", dot_env);
    let names = ["BASE", "TAG", "HASH", "DOLLARS", "COLON", "LINES", "SINGLE", "DEFAULT", "BLANK", "LAST"];
    let fields = names.map(|name| format!("      X{name}: \"${{{name}}}\"\n")).concat();
    tiny.compose(&format!("  alpha:\n    image: IMAGE-alpha\n    environment:\n{fields}"));
    tiny.done(&["install"]);
    let env = docker(&["inspect", "--format", "{{json .Config.Env}}", &format!("{}-alpha-1", tiny.name)]);
    let env: Vec<String> = serde_json::from_str(&env).unwrap();
    let context = Context {
        repository: Repository::locate(Some(&tiny.folder.0)).unwrap(),
        docker: Docker::new(Runner::default()),
        terminal: Terminal::detect(Color::Never, Verbosity::Quiet, &Interrupt::default()),
        with_engine: false,
    };
    let variables: BTreeMap<String, String> = Variables::read(&context)
        .unwrap()
        .all()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for name in names {
        let value = env.iter().find_map(|line| line.strip_prefix(&format!("X{name}="))).unwrap();
        assert_eq!(variables[name], value, "{name}");
    }
    assert_eq!((variables["TAG"].as_str(), variables["LINES"].as_str()), ("1.2-rc", "one\n1.2\ttwo"));
    assert_eq!(tiny.folder.read(".env"), dot_env);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_volume_that_the_user_cannot_write_to_is_named() {
    let _turn = crate::support::turn::take(module_path!());
    let tiny = Tiny::new("locked");
    let writes = "open F, '>', '/data/x' or die qq(cannot write: $!\\n); sleep 1 while 1";
    // Both have the volume, but beta does not write to it.
    for (service, program) in [("alpha", writes), ("beta", "sleep 1 while 1")] {
        tiny.image(service, program);
        docker(&["tag", &tiny.tag(service), &format!("{}-{service}:latest-simple-optimized", tiny.name)]);
    }
    let service = |name: &str| {
        format!("  {name}:\n    user: \"65532\"\n    volumes: [\"data:/data\"]\n    image: IMAGE-{name}\n")
    };
    // Otherwise alpha may exit before beta is healthy, and deploy names both.
    let after = "    depends_on: {beta: {condition: service_healthy}}\n";
    tiny.compose(&format!("{}{}{after}volumes: {{data: {{}}}}\n", service("beta"), service("alpha")));
    let cause = "service alpha: user 65532 cannot write to volume /data: its folder is not in the image";
    let (code, text) = tiny.deploy(&["install"]);
    assert!(code == Some(1) && text.contains(cause) && !text.contains("service beta: user"), "{text}");
    let mut test = program();
    test.args(["test", "--timeout", "20", "--root"]).arg(&tiny.folder.0);
    let (code, text) = tiny.told(&test.output().unwrap());
    assert!(code == Some(1) && text.contains(cause) && !text.contains("service beta: user"), "{text}");
}
