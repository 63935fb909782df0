//! What only a real engine can prove. Ignored in a plain `cargo test`; `cargo xtask ci` runs them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::{Site, docker};

const BOTH_BUILT: [&str; 4] = [
    "P-alpha:latest-optimized",
    "P-alpha:latest-simple-optimized",
    "P-beta:latest-optimized",
    "P-beta:latest-simple-optimized",
];

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn all_tags_move_or_none_does() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("all");
    assert_eq!(site.run(&["build-images"]).status.code(), Some(0));
    assert_eq!(site.tag_names(), BOTH_BUILT);
    let before = site.tags();

    let again = site.run(&["build-images"]);
    assert_eq!(again.status.code(), Some(0), "{}", site.told(&again));
    assert_eq!(site.tags(), before, "nothing changed, so nothing may move");

    site.folder.write("alpha/hello", "changed");
    site.folder
        .write("beta/Dockerfile.optimized", "FROM scratch\nCOPY beta/hello /hello\nCOPY beta/gone /gone\n");
    let failed = site.run(&["build-images"]);
    assert_eq!(failed.status.code(), Some(1), "{}", site.told(&failed));
    assert!(site.told(&failed).contains("beta/Dockerfile.optimized:3"), "{}", site.told(&failed));
    assert_eq!(site.tags(), before, "a failure moved a tag");

    let some = site.run(&["build-images", "--keep-going"]);
    assert_eq!(some.status.code(), Some(1), "{}", site.told(&some));
    let after = site.tags();
    assert_ne!(after[0], before[0], "what could be built was not");
    assert_eq!(after[2..], before[2..]);
    assert_eq!(site.tag_names(), BOTH_BUILT);
}

/// Waits until a file holds a text; the process under test must not end before.
pub fn wait_for(file: &Path, text: &str, child: &mut Child) {
    while !fs::read_to_string(file).unwrap_or_default().contains(text) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before `{text}` was in {}", file.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_interrupt_leaves_nothing_behind() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("int");
    site.folder
        .write("alpha/Dockerfile.optimized", "FROM debian:trixie-slim\nRUN echo waiting && sleep 600\n");
    let mut child =
        site.command(&["build-images"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&site.folder.0.join("target/xtask/logs/alpha-simple-optimized.log"), "waiting", &mut child);
    crate::support::signal("INT", child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", site.told(&output));
    assert_eq!(site.tag_names(), Vec::<String>::new());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn jobs_and_editions_and_variants_build_side_by_side() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("side");
    let output = site.run(&[
        "build-images",
        "alpha",
        "--edition",
        "all",
        "--variant",
        "both",
        "--tag",
        "2.0-optimized",
        "--jobs",
        "2",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    assert_eq!(
        site.tag_names(),
        [
            "P-alpha:2.0",
            "P-alpha:2.0-community",
            "P-alpha:2.0-community-optimized",
            "P-alpha:2.0-enterprise",
            "P-alpha:2.0-enterprise-optimized",
            "P-alpha:2.0-optimized",
            "P-alpha:2.0-simple",
            "P-alpha:2.0-simple-optimized"
        ]
    );
    let labels = docker(&[
        "image",
        "inspect",
        "--format",
        "{{json .Config.Labels}}",
        &format!("{}-alpha:2.0-community", site.prefix),
    ]);
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    assert_eq!(labels["org.opencontainers.image.version"], "2.0");
    assert_eq!(
        (&labels["fixture.images.edition"], &labels["fixture.images.variant"]),
        (&"community".into(), &"original".into())
    );
}

/// B2: the reader of the build's messages closes after one line.
#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_build_completes_when_nothing_reads_its_output() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("mute");
    let run = |step: &str| {
        let dockerfile = format!("FROM debian:trixie-slim\nRUN {step}\n");
        site.folder.write("alpha/Dockerfile.optimized", &dockerfile);
        let mut child = site
            .command(&["build-images", "alpha", "--no-cache", "--verbose"])
            .stderr(Stdio::piped())
            .stdout(std::io::pipe().unwrap().1)
            .spawn()
            .unwrap();
        // Read one line and close, like `head -1`.
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
        child.wait().unwrap().code()
    };
    assert_eq!(run("seq 20000 && exit 1"), Some(1));
    assert_eq!(run("seq 20000"), Some(0));
    assert_eq!(site.tag_names(), ["P-alpha:latest-optimized", "P-alpha:latest-simple-optimized"]);
}
