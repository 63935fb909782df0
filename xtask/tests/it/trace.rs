//! `trace` with a fake docker: what it refuses before anything is started.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::support::{FakeDocker, Folder, repository, told};

const PROBE: &str = "\n[[service.alpha.probe]]\nname = \"p\"\nrequest = { get = \"/\" }\n";

fn home(probes: &str) -> Folder {
    let folder = repository("p");
    let manifest = folder.read("xtask/images.toml");
    folder.write("xtask/images.toml", &format!("{manifest}{probes}"));
    folder
}

fn refused(docker: &FakeDocker, repository: &Folder, args: &[&str]) -> (Option<i32>, String) {
    let output = docker.run(repository, &[&["trace"], args].concat());
    assert!(!docker.calls().iter().any(|call| call.starts_with("compose")), "{:?}", docker.calls());
    (output.status.code(), told(&output, repository))
}

#[test]
fn a_start_without_probes_proves_nothing() {
    for (probes, services) in [("", &[][..]), (PROBE, &["beta"])] {
        let (code, text) = refused(&FakeDocker::new().alive(), &home(probes), services);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("no probe asks") && text.contains("[[service.NAME.probe]]"), "{text}");
    }
}

#[test]
fn a_remote_or_rootless_engine_is_refused() {
    let remote = FakeDocker::new().alive().on("context inspect *", 0, "ssh://other\n", "");
    let (code, text) = refused(&remote, &home(PROBE), &["alpha"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("remote engine: the engine at ssh://other"), "{text}");

    let folder = Folder::new();
    let path = folder.0.join("docker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let rootless =
        FakeDocker::new().alive().on("context inspect *", 0, &format!("unix://{}\n", path.display()), "").on(
            "info --format {{json .}}",
            0,
            "{\"SecurityOptions\":[\"name=seccomp\",\"name=rootless\"]}\n",
            "",
        );
    let (code, text) = refused(&rootless, &home(PROBE), &["alpha"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("rootless engine"), "{text}");
}

#[test]
fn without_root_nothing_is_started() {
    let (folder, repository) = (Folder::new(), home(PROBE));
    let path = folder.0.join("docker.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let docker = FakeDocker::new()
        .alive()
        .on("context inspect *", 0, &format!("unix://{}\n", path.display()), "")
        .on("info --format {{json .}}", 0, "{\"SecurityOptions\":null}\n", "");
    // Also for a test that root runs.
    let traced = docker.command(&repository, &["trace", "alpha"]);
    let mut command = Command::new("/usr/bin/setpriv");
    command.arg("--bounding-set=-sys_admin").arg(traced.get_program()).args(traced.get_args()).env_clear();
    command.envs(traced.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("cannot use fanotify") && text.contains("CAP_SYS_ADMIN"), "{text}");
}
