//! Which steps of our Dockerfiles get newer Debian packages each week, and that plans pass them the date.

use std::fs;
use std::path::{Path, PathBuf};

use model::dockerfile::instructions;

use crate::support::{FakeDocker, repository, told};

/// The Dockerfiles of optimized images and their bases. Stand-ins are made anew with their root file system, and the questions
/// to registries are never cached.
fn dockerfiles() -> Vec<PathBuf> {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages");
    let bases = fs::read_dir(packages.join("bases")).unwrap().map(|entry| entry.unwrap().path());
    let bases = bases.filter(|path| !path.ends_with("newest")).map(|path| path.join("Dockerfile"));
    let services =
        fs::read_dir(&packages).unwrap().map(|entry| entry.unwrap().path().join("Dockerfile.optimized"));
    bases.chain(services).filter(|path| path.is_file()).collect()
}

#[test]
fn steps_that_get_debian_packages_for_an_image_run_again_each_week() {
    let (mut dated, mut tools) = (0, 0);
    for path in dockerfiles() {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut is_dated = false;
        for (line, instruction) in instructions(&text) {
            match instruction.split_whitespace().next().unwrap_or_default() {
                "FROM" => is_dated = false,
                "ARG" if instruction.contains("PACKAGES_AS_OF") => is_dated = true,
                "RUN" if instruction.contains("apt-get") => {
                    let is_tool =
                        lines[line - 2].starts_with('#') && lines[line - 2].contains("in the image");
                    let place = format!("{}:{line}", path.display());
                    assert!(
                        is_dated || is_tool,
                        "{place}: declare ARG PACKAGES_AS_OF, or say what it is for"
                    );
                    dated += usize::from(is_dated);
                    tools += usize::from(is_tool);
                }
                _ => {}
            }
        }
    }
    assert!(dated >= 3 && tools >= 4, "{dated} and {tools}: the Dockerfiles were not found");
}

#[test]
fn only_dockerfiles_that_declare_it_get_the_date() {
    let repository = repository("fx");
    let dated = "FROM debian:trixie-slim AS build\nARG PACKAGES_AS_OF\nRUN apt-get update\nFROM scratch\n";
    repository.write("alpha/Dockerfile.optimized", dated);
    let plan = |args: &[&str]| -> serde_json::Value {
        let output = FakeDocker::new().run(&repository, &[&["build-images", "--dry-run"], args].concat());
        assert!(output.status.success(), "{}", told(&output, &repository));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let date =
        |plan: &serde_json::Value, target: &str| plan["target"][target]["args"]["PACKAGES_AS_OF"].clone();
    let given = plan(&["--packages-as-of", "2026-01-05"]);
    assert_eq!(date(&given, "alpha-simple-optimized"), "2026-01-05");
    assert_eq!(date(&given, "beta-simple-optimized"), serde_json::Value::Null);
    let monday = date(&plan(&[]), "alpha-simple-optimized");
    assert_eq!(monday.as_str().unwrap().len(), "2026-01-05".len());
    let now = date(&plan(&["--refresh"]), "alpha-simple-optimized");
    assert!(now.as_str().unwrap().ends_with('Z') && now.as_str() > monday.as_str(), "{now}");
    assert_eq!(date(&plan(&[]), "alpha-simple-optimized"), monday, "a dry run is not remembered");
}

#[test]
fn an_invalid_date_is_wrong_usage() {
    for (args, words) in [
        (&["--packages-as-of", "today"][..], "--packages-as-of: `today` is not a date such as 2026-01-05"),
        (&["--packages-as-of", "2026-01-05", "--refresh"], "cannot be used with"),
    ] {
        let repository = repository("fx");
        let output = FakeDocker::new().run(&repository, &[&["build-images", "--dry-run"], args].concat());
        let text = told(&output, &repository);
        assert!(output.status.code() == Some(2) && text.contains(words), "{text}");
    }
}
