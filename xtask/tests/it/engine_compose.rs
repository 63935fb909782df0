//! `compose-switch` with the real Compose as the judge.

use serde_json::{Value, json};

use crate::compose_switch::{COMPOSE, with};
use crate::support::{Folder, program, told};

fn run(repository: &Folder, args: &str, environment: &[(&str, &str)]) -> (i32, String) {
    let mut command = program();
    command.arg("compose-switch").args(args.split(' ')).arg("--root").arg(&repository.0);
    for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_REGISTRY", "COMPOSE_FILE", "COMPOSE_PROFILES"] {
        command.env_remove(name);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    (output.status.code().unwrap(), told(&output, repository))
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn anchors_merges_profiles_and_variables_are_switched_and_verified() {
    for (compose, environment) in [
        (COMPOSE, vec![("SUTRA_VERSION", "2.0")]),
        // A required variable that is not set.
        (COMPOSE, vec![]),
        (
            "x-base: &base\n  image: ${HUB:-hub.example}/fx-alpha:${V-1}\nservices:\n  a: {<<: *base}\n  \
             b: {<<: *base, profiles: [p], image: 'fx-beta:1'}\n  c:\n    image: other:${V:-1}\n    ports: ['${V:-1}:1']\n",
            vec![("V", "7")],
        ),
        ("services:\n  a:\n    image: fx-alpha:1\n    command: [\n      \"start\"\n    ]\n", vec![]),
    ] {
        let repository = with(compose);
        let (code, text) = run(&repository, "optimized --allow-missing", &environment);
        assert_eq!((code, text.contains("not verified")), (0, false), "{text}");
        let switched = repository.read("docker-compose.yml");
        assert_eq!(
            switched.matches("-optimized").count(),
            compose.matches("fx-").count().min(2),
            "{switched}"
        );
        assert_eq!(switched.replace("-optimized", ""), compose);
        let (code, text) = run(&repository, "optimized --check", &environment);
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn files_that_compose_rejects_are_not_changed() {
    for (compose, why) in [
        ("services: {a: {image: 'fx-alpha:1', wrong: 1}}\n", "wrong is not allowed"),
        ("services: {a: {image: 'fx-alpha:1', depends_on: [b]}}\n", "depends on undefined service"),
    ] {
        let repository = with(compose);
        let (code, text) = run(&repository, "optimized --allow-missing", &[]);
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("Compose rejects these files; no file was changed") && text.contains(why),
            "{text}"
        );
        assert_eq!(repository.read("docker-compose.yml"), compose);
    }
}

/// Paths in an included file are relative to its project directory (Compose Specification, "include").
#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn the_extended_file_that_compose_reads_is_switched() {
    let repository = with("include: [{path: sub/compose.yml, project_directory: .}]\n");
    repository.write("sub/compose.yml", "services: {a: {extends: {file: base.yml, service: b}}}\n");
    let base = "services: {b: {image: 'fx-alpha:1'}}\n";
    repository.write("base.yml", base);
    repository.write("sub/base.yml", base);
    let (code, text) = run(&repository, "optimized --allow-missing", &[]);
    assert_eq!(code, 0, "{text}");
    assert_eq!(repository.read("sub/base.yml"), base);
    assert!(repository.read("base.yml").contains("fx-alpha:1-optimized"), "{text}");
}

/// Compose reads the `.env` of its project directory, which is that of the first file.
#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn digests_are_those_of_the_tag_in_the_project_directorys_dot_env() {
    let repository = with("services: {}\n");
    let compose = "services: {a: {image: 'fx-alpha:${V:-latest}'}}\n";
    repository.write("deploy/compose.yml", compose);
    repository.write("deploy/.env", "V=9\n");
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let pushed = |tag: &str, digit: &str| {
        let image = json!({ "digest": digest(digit), "image": "", "service": "alpha", "edition": "simple",
            "variant": "optimized" });
        (format!("r.example/t/fx-alpha:{tag}-optimized"), image)
    };
    let images: serde_json::Map<String, Value> =
        [pushed("latest", "1"), pushed("9", "9")].into_iter().collect();
    repository.write("target/xtask/digests.json", &json!({ "schema": 1, "images": images }).to_string());
    let file = repository.0.join("deploy/compose.yml").display().to_string();
    let (code, text) =
        run(&repository, &format!("optimized --registry r.example/t --pin --file {file}"), &[]);
    assert_eq!(code, 0, "{text}");
    let reference = format!("r.example/t/fx-alpha:${{V:-latest}}-optimized@{}", digest("9"));
    assert_eq!(repository.read("deploy/compose.yml"), format!("services: {{a: {{image: '{reference}'}}}}\n"));
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn a_registry_by_its_ipv6_address_is_quoted() {
    for (before, after) in [
        ("{image: fx-alpha:1}", "{image: \"[::1]:5000/t/fx-alpha:1-optimized\"}"),
        ("{image: 'fx-alpha:1'}", "{image: '[::1]:5000/t/fx-alpha:1-optimized'}"),
    ] {
        let repository = with(&format!("services: {{a: {before}}}\n"));
        let (code, text) = run(&repository, "optimized --allow-missing --registry [::1]:5000/t", &[]);
        assert_eq!(code, 0, "{text}");
        assert_eq!(repository.read("docker-compose.yml"), format!("services: {{a: {after}}}\n"));
        assert_eq!(run(&repository, "original --allow-missing", &[]).0, 0);
    }
}
