//! `analyze` and `why` on what a real engine holds: the images of this repository, and one whose layers hide each other.

use std::process::Command;

use crate::support::containers::{image, root, said, the_manifest};
use crate::support::pair::Wrapper;
use crate::support::registry::Registry;
use crate::support::{Folder, Site, docker, program};
use contents::difference::Difference;
use contents::record::Contents;
use model::edition::Edition;
use model::manifest::Service;
use model::variant::Variant;
use serde_json::Value;

fn xtask(args: &[&str]) -> Vec<u8> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_xtask")).args(args).arg("--root").arg(root()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What docker itself counts; on the containerd store that is something else.
fn docker_counts(reference: &str) -> Option<u64> {
    let driver = said(&["info", "--format", "{{json .DriverStatus}}"]);
    let size = said(&["image", "inspect", "--format", "{{.Size}}", reference]);
    (!driver.contains("containerd")).then(|| size.parse().unwrap())
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn every_byte_of_every_image_has_an_owner() {
    let _turn = crate::support::turn::take(module_path!());
    for service in &the_manifest().services {
        for edition in crate::support::editions() {
            has_an_owner(service, edition, Variant::Optimized);
        }
        if !service.large_original {
            has_an_owner(service, Edition::named("simple"), Variant::Original);
            // In the same test: what takes time is reading the original, and it is cached now.
            why_accounts_for_every_byte(service);
        }
    }
}

fn has_an_owner(service: &Service, edition: Edition, variant: Variant) {
    let reference = image(service, edition, variant);
    let contents: Contents =
        serde_json::from_slice(&xtask(&["analyze", &reference, "--format", "json"])).unwrap();
    println!("{reference}: {} unowned of {}", contents.unowned(), contents.bytes);
    assert!(contents.adds_up(), "{reference}");
    assert!(contents.unowned().0 * 100 <= contents.bytes.0, "{reference}: {}", contents.unowned());
    if let Some(counted) = docker_counts(&reference) {
        assert_eq!(contents.bytes.0, counted, "{reference}");
    }
    let last = contents.layers.last().unwrap();
    assert!(last.origin.as_ref().is_some_and(|origin| !origin.base), "{reference}: {last:?}");
}

fn why_accounts_for_every_byte(service: &Service) {
    let difference: Difference =
        serde_json::from_slice(&xtask(&["why", &service.name, "--edition", "simple", "--format", "json"]))
            .unwrap();
    assert_eq!(difference.owners.iter().map(|owner| owner.bytes).sum::<i64>(), difference.bytes);
    assert_eq!(difference.lines.iter().map(|line| line.bytes).sum::<i64>(), difference.bytes);
    println!("{}", difference.sentence);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn layers_that_hide_each_other_add_up_to_what_docker_counts() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("hide");
    let dockerfile = "FROM debian:trixie-slim\n\
        RUN mkdir -p /a/b /c && head -c 300000 /dev/zero > /a/b/one && ln /a/b/one /a/two && head -c 50000 /dev/urandom > /c/x \\\n\
         && truncate -s 70000 /c/holes\n\
        RUN rm -r /a/b /c && mkdir /c && head -c 4000 /dev/urandom > /c/new && rm /usr/share/common-licenses/GPL-3 \\\n\
         && mkdir -p /d/e && echo f > /d/e/f\n\
        RUN rm -r /d && echo file > /d && rm /c/new && mkdir /c/new && cp /a/two /c/new/copy\n";
    site.folder.write("alpha/Dockerfile", dockerfile);
    assert!(site.run(&["build-images", "alpha", "--variant", "original"]).status.success());
    let reference = format!("{}-alpha:latest-simple", site.prefix);
    let read = || -> Contents {
        let output = site.run(&["analyze", "alpha", "--variant", "original", "--format", "json"]);
        assert!(output.status.success(), "{}", site.told(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let contents = read();
    assert!(contents.adds_up(), "{contents:#?}");
    assert_eq!(docker_counts(&reference).unwrap_or(contents.bytes.0), contents.bytes.0);
    let hidden =
        |path: &str| contents.waste.largest.iter().find(|file| file.path == path).map(|file| file.bytes.0);
    assert_eq!(hidden("c/holes"), Some(70_000));
    assert_eq!(hidden("c/x"), Some(50_000));
    assert_eq!(hidden("c/new"), Some(4_000));
    assert_eq!(hidden("d/e/f"), Some(2));
    assert!(hidden("usr/share/common-licenses/GPL-3").is_some());
    assert_eq!(hidden("a/b/one").or(hidden("a/two")), None, "one of its names is left");
    assert_eq!(contents.duplicates.largest[0].paths, ["a/two", "c/new/copy"]);
    let lines: Vec<usize> =
        contents.layers.iter().filter_map(|layer| Some(layer.origin.as_ref()?.line)).collect();
    assert_eq!(lines, [2, 4, 6]);
    assert_eq!(read(), contents);
    assert!(docker(&["image", "ls", "--quiet", &reference]).len() > 5);
}

/// The record, without the name that was given.
fn record(folder: &Folder, image: &str) -> Value {
    record_by(program(), folder, image)
}

/// The record of a run in which a docker subcommand fails.
fn record_without(subcommand: &str, folder: &Folder, image: &str) -> Value {
    let docker = Wrapper::new(&format!("{subcommand}*"), 1, "exit 1");
    let mut command = program();
    command.env("PATH", docker.path());
    record_by(command, folder, image)
}

fn record_by(mut command: Command, folder: &Folder, image: &str) -> Value {
    let output =
        command.args(["analyze", image, "--format", "json"]).current_dir(&folder.0).output().unwrap();
    assert!(output.status.success(), "{image}: {}", String::from_utf8_lossy(&output.stderr));
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["image"] = Value::Null;
    json
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_has_the_same_record_in_engine_archive_layout_and_registry() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("sources");
    let site = Site::new("sources");
    let dockerfile = "FROM debian:trixie-slim\n\
        WORKDIR /srv\n\
        RUN head -c 300000 /dev/urandom > /a && ln /a /b && rm /usr/share/common-licenses/GPL-3\n\
        ENV A=b\n\
        RUN rm /a && mkdir c\n";
    site.folder.write("alpha/Dockerfile", dockerfile);
    assert!(site.run(&["build-images", "alpha", "--variant", "original"]).status.success());
    let reference = format!("{}-alpha:latest-simple", site.prefix);
    let folder = Folder::new();
    let mut expected = record(&folder, &reference);

    // Through the engine's socket, and through `docker save`, which is used for engines on other machines.
    for broken in ["save", "context"] {
        assert_eq!(record_without(broken, &folder, &reference), expected, "without `docker {broken}`");
    }

    let path = |name: &str| folder.0.join(name).display().to_string();
    docker(&["save", "--output", &path("saved.tar"), &reference]);
    let saved = record(&folder, "saved.tar");
    // The containerd store has other IDs, of indexes, and counts other sizes in its history.
    if docker(&["info", "--format", "{{json .DriverStatus}}"]).contains("containerd") {
        expected["id"] = saved["id"].clone();
    }
    assert_eq!(saved, expected, "archive");
    std::fs::create_dir(folder.0.join("layout")).unwrap();
    let unpacked =
        Command::new("tar").args(["-xf", &path("saved.tar"), "-C", &path("layout")]).status().unwrap();
    assert!(unpacked.success());
    assert_eq!(record(&folder, "layout"), expected, "layout");
    let remote = format!("{}/{reference}", registry.address());
    docker(&["tag", &reference, &remote]);
    docker(&["push", "--quiet", &remote]);
    docker(&["image", "rm", &remote]);
    assert_eq!(record(&folder, &remote), expected, "registry");
}

mod full {
    use super::*;

    #[test]
    #[ignore = "needs the large originals: cargo xtask ci --full"]
    fn every_byte_of_the_large_originals_has_an_owner() {
        let _turn = crate::support::turn::take(module_path!());
        for service in the_manifest().services.iter().filter(|service| service.large_original) {
            has_an_owner(service, Edition::named("simple"), Variant::Original);
            why_accounts_for_every_byte(service);
        }
    }
}
