//! Cleaning up on a real engine, where other people's images, containers and caches stand beside ours.

use std::process::{Command, Output};

use crate::support::{Site, docker};
use serde_json::Value;

/// Bytes of alpha's one file. Every byte of it is the run's own, so no other layer is equal.
const SIZE: usize = 300_000;

/// A site whose manifest and folders are its own too, so that its part of the build cache can be told apart.
fn site(test: &str) -> Site {
    let site = Site::new(test);
    let prefix = &site.prefix;
    let manifest = site.folder.read("xtask/images.toml").replace("\"fixture\"", &format!("\"{prefix}\""));
    let manifest = ["alpha", "beta"]
        .iter()
        .fold(manifest, |text, name| text.replace(&format!("\"{name}/"), &format!("\"{prefix}/{name}/")));
    site.folder.write("xtask/images.toml", &manifest);
    for name in ["alpha", "beta"] {
        let folder = format!("{prefix}/{name}");
        for (file, step) in
            [("Dockerfile.optimized", "FROM scratch"), ("Dockerfile", "FROM debian:trixie-slim")]
        {
            site.folder.write(&format!("{folder}/{file}"), &format!("{step}\nCOPY {folder}/hello /hello\n"));
            site.folder.write(&format!("{folder}/{file}.dockerignore"), &format!("*\n!{folder}/hello\n"));
        }
    }
    let unit = format!("{prefix} ");
    let large = unit.repeat(SIZE.div_ceil(unit.len()))[..SIZE].to_owned();
    site.folder.write(&format!("{prefix}/alpha/hello"), &large);
    site.folder.write(&format!("{prefix}/beta/hello"), &format!("beta of {prefix}"));
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
    assert_eq!(report["schema"], 1);
    report
}

/// Tags under the prefix, a stranger's included.
fn tags(site: &Site) -> Vec<String> {
    site.tag_names()
}

/// What is kept and why, as one text.
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
fn only_what_is_asked_for_goes_and_a_strangers_images_stay() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("clean");
    let prefix = &site.prefix;
    build(&site, &["--edition", "all", "--tag", "2.0"]);
    build(&site, &["alpha", "--tag", "3.0"]);
    build(&site, &["alpha", "--variant", "original", "--tag", "2.0"]);
    // A stranger's: ours under another name, one with the same layers, and one under our name that was not built here.
    docker(&["tag", &format!("{prefix}-beta:2.0-optimized"), &format!("{prefix}-backup:1")]);
    site.folder.write("strange/Dockerfile", &format!("FROM {prefix}-alpha:2.0-optimized\nLABEL mine=yes\n"));
    let context = site.folder.0.join("strange").display().to_string();
    docker(&["buildx", "build", "--quiet", "--tag", &format!("{prefix}-strange:1"), &context]);
    site.folder.write("strange/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    docker(&[
        "buildx",
        "build",
        "--quiet",
        "--tag",
        &format!("{prefix}-alpha:4.0-simple-optimized"),
        &context,
    ]);
    let before = tags(&site);

    let planned = clean(&site, &["--tag", "2.0", "--dry-run"]);
    assert_eq!(tags(&site), before, "a dry run removed something");
    let done = clean(&site, &["--tag", "2.0"]);
    let gone = |report: &Value| -> Vec<Value> {
        report["images"].as_array().unwrap().iter().map(|image| image["tags"].clone()).collect()
    };
    assert_eq!(gone(&planned), gone(&done), "the plan was another");
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

    // The image under our name without our labels stays, and is named.
    let other = clean(&site, &["--tag", "4.0"]);
    assert_eq!(
        kept(&other, &site),
        format!("P-alpha:4.0-simple-optimized: not built here: it has no label P.images.variant")
    );
    assert_eq!(tags(&site), expected);

    // All that is ours goes at last.
    for tag in ["2.0", "3.0"] {
        clean(&site, &["--edition", "all", "--variant", "both", "--tag", tag]);
    }
    assert_eq!(tags(&site), ["P-alpha:4.0-simple-optimized", "P-backup:1", "P-strange:1"]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_that_a_container_uses_stays_and_the_container_is_named() {
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
fn what_is_freed_is_what_the_engine_deleted() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("freed");
    build(&site, &[]);
    let (archive, alpha) =
        (site.folder.0.join("alpha.tar"), format!("{}-alpha:latest-optimized", site.prefix));
    docker(&["save", "--output", &archive.display().to_string(), &alpha]);

    // The build cache holds the layers: removing the images frees nothing, and says so.
    let first = clean(&site, &[]);
    assert_eq!(tags(&site), Vec::<String>::new());
    let beta = format!("beta of {}", site.prefix).len();
    assert_eq!(first["freed_bytes"], 0);
    assert_eq!(first["held_by_cache_bytes"], SIZE + beta);

    // This project's part of the cache goes, and nothing of another's: the base on which originals stand is such.
    build(&site, &["--variant", "original"]);
    build(&site, &["beta", "--tag", "keep"]);
    let stranger = format!("stranger-{}", std::process::id());
    site.folder.write(&format!("strange/{stranger}"), "a stranger's");
    let context = site.folder.0.join("strange").display().to_string();
    for base in ["scratch", &format!("{}-beta:keep-optimized", site.prefix)] {
        site.folder.write("strange/Dockerfile", &format!("FROM {base}\nCOPY {stranger} /x\n"));
        docker(&["buildx", "build", "--quiet", "--output=type=cacheonly", &context]);
    }
    // What a build still writes has an ID for that long only; these do not change on their own.
    let others = cache_ids(|record| {
        record.contains(&stranger)
            || ["ADD rootfs.tar", "exec.cachemount"].iter().any(|sign| record.contains(sign))
    });
    assert!(others.len() >= 3, "{others:?}");
    let cache = &clean(&site, &["--variant", "both", "--cache"])["cache"];
    assert!(cache["records"].as_u64().unwrap() >= 2, "{cache}");
    assert!(cache["freed_bytes"].as_u64().unwrap() >= SIZE as u64, "{cache}");
    let left = cache_ids(|_| true);
    let lost: Vec<&String> = others.iter().filter(|id| !left.contains(id)).collect();
    assert!(lost.is_empty(), "records of others went: {lost:?}");
    clean(&site, &["--tag", "keep", "--cache"]);
    assert_eq!(cache_ids(|line| line.contains(&format!("COPY {}", site.prefix))), Vec::<String>::new());

    // An image whose layers nothing else holds is freed to the byte.
    docker(&["load", "--input", &archive.display().to_string()]);
    let last = clean(&site, &[]);
    assert_eq!((&last["freed_bytes"], &last["held_by_cache_bytes"]), (&SIZE.into(), &0.into()), "{last}");
}

/// IDs of records of the build cache whose text fits.
fn cache_ids(fits: impl Fn(&str) -> bool) -> Vec<String> {
    let text = docker(&["buildx", "du", "--verbose"]);
    let records = text.split("ID:\t\t").skip(1);
    let id = |record: &str| record.split_whitespace().next().unwrap().trim_end_matches('*').to_owned();
    records.filter(|record| fits(record)).map(id).collect()
}
