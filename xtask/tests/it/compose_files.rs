//! Which files `compose-switch` reads.

use crate::compose_switch::{COMPOSE, done, run, with};

#[test]
fn compose_file_selects_the_files() {
    let repository = with(COMPOSE);
    repository.write(".env", "COMPOSE_FILE=one.yml:two.yml\n");
    repository.write("one.yml", "services: {a: {image: 'fx-alpha:1'}}\n");
    repository.write("two.yml", "services: {b: {image: 'fx-beta:1'}}\n");
    done(&repository, "optimized --allow-missing");
    assert!(repository.read("one.yml").contains("fx-alpha:1-optimized"));
    assert!(repository.read("two.yml").contains("fx-beta:1-optimized"));
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
}

#[test]
fn override_and_included_files_are_switched_too() {
    let repository = with("include: [parts/one.yml, gone.yml, 'oci://hub.example/x']\nservices: {}\n");
    // Compose reads this override beside any main file.
    repository.write("compose.override.yml", "services: {a: {image: 'fx-alpha:1'}}\n");
    repository.write("parts/one.yml", "services: {b: {extends: {file: two.yml, service: c}}}\n");
    repository.write("parts/two.yml", "services: {c: {image: 'fx-beta:1'}}\n");
    let (code, text) = run(&repository, "optimized --allow-missing");
    assert_eq!(code, 1, "{text}");
    assert!(repository.read("compose.override.yml").contains("fx-alpha:1-optimized"));
    assert!(repository.read("parts/two.yml").contains("fx-beta:1-optimized"));
    assert!(text.contains("error: 2 files were not read"), "{text}");
    assert!(text.contains("`gone.yml` was not read: it does not exist"), "{text}");
    assert!(text.contains("`oci://hub.example/x` was not read"), "{text}");
}

#[test]
fn a_file_named_by_a_variable_is_read_and_a_missing_one_is_a_usage_error() {
    let repository = with("include: ['${PART:-one}.yml']\nservices: {}\n");
    repository.write(".env", "PART=parts/two\n");
    repository.write("parts/two.yml", "services: {c: {image: 'fx-beta:1'}}\n");
    done(&repository, "optimized --allow-missing");
    assert!(repository.read("parts/two.yml").contains("fx-beta:1-optimized"));
    let (code, text) = run(&repository, "optimized --check --file gone.yml");
    assert_eq!((code, text.contains("--file gone.yml: no such file")), (2, true), "{text}");
}
