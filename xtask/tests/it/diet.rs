//! `diet` with a fake docker: what it refuses before anything is started.

use crate::support::{FakeDocker, Folder, repository, told};

const PROBE: &str = "\n[[service.alpha.probe]]\nname = \"p\"\nrequest = { get = \"/\" }\n";

fn home(probes: &str) -> Folder {
    let folder = repository("p");
    let manifest = folder.read("xtask/images.toml");
    folder.write("xtask/images.toml", &format!("{manifest}{probes}"));
    folder
}

fn refused(docker: &FakeDocker, repository: &Folder, args: &[&str]) -> (Option<i32>, String) {
    let output = docker.run(repository, &[&["diet"], args].concat());
    let starts = |call: &String| call.starts_with("compose") || call.starts_with("load");
    assert!(!docker.calls().iter().any(starts), "{:?}", docker.calls());
    (output.status.code(), told(&output, repository))
}

#[test]
fn a_service_without_probes_is_refused() {
    for (probes, service) in [("", "alpha"), (PROBE, "beta")] {
        let (code, text) = refused(&FakeDocker::new().alive(), &home(probes), &[service]);
        assert_eq!(code, Some(1), "{text}");
        let what = format!("{service} has no probe: cannot tell which files it needs");
        assert!(text.contains(&what) && text.contains("[[service.NAME.probe]]"), "{text}");
    }
}

#[test]
fn a_remote_engine_and_an_unknown_service_are_refused() {
    let remote = FakeDocker::new().alive().on("context inspect *", 0, "ssh://other\n", "");
    let (code, text) = refused(&remote, &home(PROBE), &["alpha"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("remote engine: the engine at ssh://other"), "{text}");

    let (code, text) = refused(&FakeDocker::new().alive(), &home(PROBE), &["alhpa"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("alpha"), "{text}");
}

#[test]
fn any_image_needs_a_probe_but_no_manifest() {
    let folder = Folder::new();
    for (args, exit, what) in [
        (&["--image", "a:1"][..], 2, "no probe: --image needs requests or a command"),
        (&["web", "--image", "a:1", "--", "x"], 2, "--image takes no SERVICE"),
        (&["--image", "a:1", "--variant", "original", "--", "x"], 2, "cannot be used with"),
    ] {
        let (code, text) = refused(&FakeDocker::new().alive(), &folder, args);
        assert_eq!(code, Some(exit), "{text}");
        assert!(text.contains(what), "{text}");
    }
    folder.write("r.toml", "[[probe]]\nname = \"a\"\nrequest = { get = \"x\" }\n");
    let (code, text) = refused(
        &FakeDocker::new().alive(),
        &folder,
        &["--image", "a:1", "--requests", &folder.0.join("r.toml").display().to_string()],
    );
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("r.toml:3:") && text.contains("invalid path `x`"), "{text}");
}
