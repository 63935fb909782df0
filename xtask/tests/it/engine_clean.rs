//! `clean` on a real engine, next to other projects' images, containers and caches.

use std::process::{Command, Output};

use crate::support::second_engine::SecondEngine;
use crate::support::{Site, docker, repository, told};
use serde_json::Value;

/// Size of alpha's only file. Its content is unique to the run, so no other layer is equal.
const SIZE: usize = 300_000;

/// A site whose file contents are unique to the run.
fn site(test: &str) -> Site {
    let site = Site::new(test);
    let unit = format!("{} ", site.prefix);
    let large = unit.repeat(SIZE.div_ceil(unit.len()))[..SIZE].to_owned();
    site.folder.write("alpha/hello", &large);
    site.folder.write("beta/hello", &format!("beta of {}", site.prefix));
    site
}

fn build(site: &Site, more: &[&str]) {
    let output = site.run(&[&["build-images"], more].concat());
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
}

fn clean(site: &Site, more: &[&str]) -> Value {
    let output = site.run(&[&["clean", "--format", "json"], more].concat());
    report(&output, site)
}

fn report(output: &Output, site: &Site) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", site.told(output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], 2);
    report
}

/// Tags under the prefix, including those not built by xtask.
fn tags(site: &Site) -> Vec<String> {
    site.tag_names()
}

/// The kept tags with their reasons.
fn kept(report: &Value, site: &Site) -> String {
    let kept = report["kept"].as_array().unwrap().iter();
    let line =
        |kept: &Value| format!("{}: {}", kept["reference"].as_str().unwrap(), kept["why"].as_str().unwrap());
    kept.map(line).collect::<Vec<_>>().join("\n").replace(&site.prefix, "P")
}

struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        Command::new("docker").args(["rm", "--force", &self.0]).output().ok();
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn only_requested_images_are_removed_and_other_images_are_kept() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("clean");
    let prefix = &site.prefix;
    build(&site, &["--edition", "all", "--tag", "2.0"]);
    build(&site, &["alpha", "--tag", "3.0"]);
    build(&site, &["alpha", "--variant", "original", "--tag", "2.0"]);
    // Images to keep: ours under another name, one with the same layers, and one under our name that xtask did not build.
    docker(&["tag", &format!("{prefix}-beta:2.0-optimized"), &format!("{prefix}-backup:1")]);
    site.folder.write("strange/Dockerfile", &format!("FROM {prefix}-alpha:2.0-optimized\nLABEL mine=yes\n"));
    let context = site.folder.0.join("strange").display().to_string();
    docker(&["buildx", "build", "--quiet", "--tag", &format!("{prefix}-strange:1"), &context]);
    site.folder.write("strange/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    let foreign = format!("{prefix}-alpha:4.0-simple-optimized");
    docker(&["buildx", "build", "--quiet", "--tag", &foreign, &context]);
    let before = tags(&site);

    let planned = clean(&site, &["--tag", "2.0", "--dry-run"]);
    assert_eq!(tags(&site), before, "a dry run removed something");
    let done = clean(&site, &["--tag", "2.0"]);
    let gone = |report: &Value| -> Vec<Value> {
        report["images"].as_array().unwrap().iter().map(|image| image["tags"].clone()).collect()
    };
    assert_eq!(gone(&planned), gone(&done), "the dry run differs");
    let expected: Vec<String> = before
        .iter()
        .filter(|tag| {
            let optimized = ["P-alpha:2.0", "P-beta:2.0"].iter().any(|name| {
                **tag == format!("{name}-optimized") || **tag == format!("{name}-simple-optimized")
            });
            !optimized
        })
        .cloned()
        .collect();
    assert_eq!(tags(&site), expected);
    assert_eq!(expected.len(), before.len() - 4);
    assert_eq!(done["images"][1]["still_called"], serde_json::json!([format!("{prefix}-backup:1")]));
    assert_eq!(done["freed_bytes"], 0, "every layer is another image's too");

    // The image under our name without our labels is kept and reported.
    let other = clean(&site, &["--tag", "4.0"]);
    assert_eq!(
        kept(&other, &site),
        format!(
            "P-alpha:4.0-simple-optimized: not built by this repository: no label fixture.images.variant"
        )
    );
    assert_eq!(tags(&site), expected);

    // Now everything built here is removed.
    for tag in ["2.0", "3.0"] {
        clean(&site, &["--edition", "all", "--variant", "both", "--tag", tag]);
    }
    assert_eq!(tags(&site), ["P-alpha:4.0-simple-optimized", "P-backup:1", "P-strange:1"]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_in_use_is_kept_and_its_container_reported() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("used");
    build(&site, &["--variant", "both"]);
    let before = tags(&site);
    let (running, stopped) = (format!("{}-runs", site.prefix), format!("{}-stopped", site.prefix));
    let original = format!("{}-alpha:latest-simple", site.prefix);
    let optimized = format!("{}-beta:latest-optimized", site.prefix);
    let _running = Container(running.clone());
    docker(&["run", "--detach", "--network=none", "--name", &running, &original, "sleep", "600"]);
    let _stopped = Container(stopped.clone());
    docker(&["create", "--name", &stopped, &optimized, "/hello"]);
    let done = clean(&site, &["--variant", "both"]);
    assert_eq!(
        kept(&done, &site),
        "P-alpha:latest-simple: in use by container P-runs\nP-beta:latest-simple-optimized: in use by container P-stopped"
    );
    let left: Vec<String> = before
        .into_iter()
        .filter(|tag| {
            let original = !tag.ends_with("-optimized");
            original == tag.starts_with("P-alpha")
        })
        .collect();
    assert_eq!(tags(&site), left);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &running]), "running");
    assert_eq!(docker(&["inspect", "--format", "{{.State.Status}}", &stopped]), "created");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn freed_bytes_are_what_the_engine_deleted() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("freed");
    build(&site, &[]);
    // The build cache still holds the layers, so removing the images frees nothing.
    let first = clean(&site, &[]);
    assert_eq!(tags(&site), Vec::<String>::new());
    let beta = format!("beta of {}", site.prefix).len();
    assert_eq!(first["freed_bytes"], 0);
    assert_eq!(first["held_by_cache_bytes"], SIZE + beta);

    // The build cache holds nothing of an imported image: all of its bytes are freed.
    let archive = site.folder.0.join("root.tar").display().to_string();
    let folder = site.folder.0.join("alpha").display().to_string();
    assert!(Command::new("tar").args(["-C", &folder, "-cf", &archive, "hello"]).status().unwrap().success());
    let alpha = format!("{}-alpha", site.prefix);
    let labels = format!(
        "LABEL fixture.images.edition=simple fixture.images.variant=optimized org.opencontainers.image.title={alpha}"
    );
    docker(&["import", "--change", &labels, &archive, &format!("{alpha}:latest-optimized")]);
    let last = clean(&site, &[]);
    assert_eq!((&last["freed_bytes"], &last["held_by_cache_bytes"]), (&SIZE.into(), &0.into()), "{last}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn cache_only_prunes_the_builders_whole_build_cache() {
    let _turn = crate::support::turn::take(module_path!());
    // On a second engine: the cache of the machine's own engine is not the test's to prune.
    let engine = SecondEngine::start();
    let repository = repository("fx");
    let content = "x".repeat(SIZE);
    repository.write("other/Dockerfile", "FROM scratch\nCOPY content /\n");
    repository.write("other/content", &content);
    let context = repository.0.join("other").display().to_string();
    let build = ["buildx", "build", "--quiet", "--output=type=cacheonly", &context];
    let output = engine.docker(&build).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let clean = |more: &[&str]| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["clean", "--cache-only", "--format", "json"]).args(more).arg("--root");
        let output = command.arg(&repository.0).env("DOCKER_HOST", engine.host()).output().unwrap();
        assert!(output.status.success(), "{}", told(&output, &repository));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["cache"].clone()
    };
    let bytes = |cache: &Value, name: &str| cache[name].as_u64().unwrap();
    let planned = clean(&["--dry-run"]);
    assert!(bytes(&planned, "size_bytes") >= SIZE as u64, "{planned}");
    assert_eq!(bytes(&planned, "freed_bytes"), 0);
    let pruned = clean(&[]);
    assert_eq!(pruned["size_bytes"], planned["size_bytes"], "the dry run pruned something");
    assert!(bytes(&pruned, "freed_bytes") >= SIZE as u64, "{pruned}");
    assert_eq!(bytes(&clean(&["--dry-run"]), "size_bytes"), 0);
}
