//! `compose-switch` as a process, and on generated files.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use crate::support::{FakeDocker, Folder, repository, told};
use model::variant::Variant;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use stack::switch::edits::{apply, plan};
use stack::switch::own_images::OwnImages;
use stack::switch::reference::SwitchRequest;

pub const COMPOSE: &str = "# fx-alpha:latest in a comment stays\r
x-image: &image \"fx-alpha:${SUTRA_VERSION:-latest}\" # shared\r
services:\r
  one: {image: *image}\r
  two:\r
    image: *image\r
\r
  three:\r
    image:   'hub.example:5000/team/fx-beta:${SUTRA_VERSION:?which}'\r
    environment: {IMAGE: fx-beta:latest}\r
  db:\r
    image: postgres:17@sha256:00 # none of ours\r
";

pub fn with(compose: &str) -> Folder {
    let repository = repository("fx");
    repository.write("docker-compose.yml", compose);
    let manifest = repository.read("xtask/images.toml");
    repository.write("xtask/images.toml", &format!("registries = [\"hub.example:5000/team\"]\n{manifest}"));
    repository
}

pub fn run(repository: &Folder, args: &str) -> (i32, String) {
    let args: Vec<&str> = ["compose-switch"].into_iter().chain(args.split(' ')).collect();
    let output = FakeDocker::new().run(repository, &args);
    (output.status.code().unwrap(), told(&output, repository))
}

pub fn done(repository: &Folder, args: &str) -> String {
    let (code, text) = run(repository, args);
    assert_eq!(code, 0, "{text}");
    text
}

#[test]
fn switching_back_restores_the_file() {
    let repository = with(COMPOSE);
    done(&repository, "optimized --allow-missing");
    let switched = repository.read("docker-compose.yml");
    assert_eq!(switched.matches("-optimized").count(), 2);
    assert_eq!(switched.replace("-optimized", ""), COMPOSE);
    assert!(done(&repository, "optimized --allow-missing").contains("nothing to change: 2 references"));
    assert_eq!(repository.read("docker-compose.yml"), switched);
    done(&repository, "original --allow-missing");
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
}

#[test]
fn a_dry_run_prints_a_diff_and_changes_nothing() {
    let repository = with(&COMPOSE.replace('\r', ""));
    let output = FakeDocker::new()
        .run(&repository, &["compose-switch", "optimized", "--edition", "community", "--dry-run"]);
    snapshot!("compose_switch_dry_run", output, repository);
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE.replace('\r', ""));
}

#[test]
fn check_fails_if_something_would_change() {
    let repository = with(COMPOSE);
    let (code, text) = run(&repository, "optimized --check");
    assert_eq!((code, text.contains("2 references would change")), (1, true), "{text}");
    assert_eq!(run(&repository, "original --check").0, 0);
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
}

#[test]
fn references_that_cannot_be_switched_are_listed_with_line_and_reason() {
    let repository = with(
        "services:\n  bare: {image: fx-alpha}\n  pinned: {image: 'fx-alpha:1@sha256:00'}\n  folded:\n    image: >-\n      fx-beta:1\n  inside: {image: 'fx-beta:${V:-1-optimized}'}\n  fine: {image: 'fx-beta:1'}\n",
    );
    let output = FakeDocker::new().run(&repository, &["compose-switch", "optimized", "--allow-missing"]);
    snapshot!("compose_switch_left_alone", output, repository);
    assert!(repository.read("docker-compose.yml").contains("fx-beta:1-optimized'}\n"));
}

#[test]
fn missing_images_are_refused() {
    let compose = COMPOSE.replace(":?which", ":-latest");
    let repository = with(&compose);
    repository.write(".env", "SUTRA_VERSION=2.0-optimized # pinned\n");
    let docker = FakeDocker::new().alive().on("image inspect*", 1, "[]", "Error: No such image: x\n");
    let output = docker.run(&repository, &["compose-switch", "optimized"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("images not found: fx-alpha:${SUTRA_VERSION:-latest}-optimized"), "{text}");
    assert!(text.contains("build-images"), "{text}");
    let inspected = docker.calls().into_iter().find(|call| call.starts_with("image inspect")).unwrap();
    assert!(inspected.contains("fx-alpha:2.0-optimized"), "{inspected}");
    assert_eq!(repository.read("docker-compose.yml"), compose);
}

#[test]
fn an_unset_variable_is_reported_before_docker_is_asked() {
    let repository = with(COMPOSE);
    let docker = FakeDocker::new().alive();
    let output = docker.run(&repository, &["compose-switch", "optimized"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(
            "SUTRA_VERSION is not set: which; no file was changed\nhelp: set the missing variables"
        ),
        "{text}"
    );
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
}

#[test]
fn references_are_pinned_to_registry_digests_all_or_none() {
    let compose = "services: {a: {image: 'fx-alpha:1'}, b: {image: 'fx-beta:1'}}\n";
    let repository = with(compose);
    let image = |name: &str, digests: &str| {
        format!("[{{\"Id\":\"sha256:1\",\"RepoTags\":[\"{name}\"],\"RepoDigests\":[{digests}]}}]")
    };
    let known = image("hub.example/fx-alpha:1-optimized", "\"hub.example/fx-alpha@sha256:ab\"");
    let elsewhere = image("hub.example/fx-beta:1-optimized", "\"other.example/fx-beta@sha256:cd\"");
    let docker = FakeDocker::new()
        .alive()
        .on("image inspect -- hub.example/fx-alpha:1-optimized", 0, &known, "")
        .on("image inspect *", 0, &elsewhere, "");
    let args = ["compose-switch", "optimized", "--registry", "hub.example", "--pin", "--allow-missing"];
    let output = docker.run(&repository, &args[..5]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("hub.example/fx-beta:1-optimized has no registry digest: push it first"), "{text}");
    assert_eq!(repository.read("docker-compose.yml"), compose);

    assert_eq!(docker.run(&repository, &args).status.code(), Some(1));
    let file = repository.read("docker-compose.yml");
    assert!(
        file.contains("'hub.example/fx-alpha:1-optimized@sha256:ab'}, b: {image: 'fx-beta:1'}"),
        "{file}"
    );
}

#[test]
fn a_name_inside_a_variable_is_reported() {
    let repository =
        with("services: {a: {image: '${IMAGE:-fx-alpha:1}'}, b: {image: 'other/fx-alpha-x:1'}}\n");
    let (code, text) = run(&repository, "optimized --check");
    assert_eq!((code, text.contains("is fx-alpha, named by a variable")), (1, true), "{text}");
}

#[test]
fn an_image_without_a_tag_is_the_original_and_other_names_are_not_ours() {
    let repository =
        with("services:\n  a: {image: fx-alpha}\n  b: {image: '${HUB:-h}/fx-alpha-docs:${V:-1}'}\n");
    done(&repository, "original --check");
    done(&repository, "optimized --tag 1.2.3 --allow-missing");
    assert!(repository.read("docker-compose.yml").contains("{image: fx-alpha:1.2.3-optimized}"));
    done(&repository, "optimized --check");
}

#[test]
fn mode_and_symlinks_are_kept_and_files_outside_are_refused() {
    let repository = repository("fx");
    repository.write("deploy/stack.yml", COMPOSE);
    let file = repository.0.join("deploy/stack.yml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("deploy/stack.yml", repository.0.join("docker-compose.yml")).unwrap();
    let owner = fs::metadata(&file).unwrap().uid();
    done(&repository, "optimized --allow-missing");
    let now = fs::metadata(&file).unwrap();
    assert_eq!((now.mode() & 0o777, now.uid()), (0o640, owner));
    assert!(fs::symlink_metadata(repository.0.join("docker-compose.yml")).unwrap().is_symlink());
    assert!(repository.read("deploy/stack.yml").contains("-optimized"));

    let elsewhere = Folder::new();
    elsewhere.write("compose.yml", COMPOSE);
    fs::remove_file(repository.0.join("docker-compose.yml")).unwrap();
    symlink(elsewhere.0.join("compose.yml"), repository.0.join("docker-compose.yml")).unwrap();
    let (code, text) = run(&repository, "optimized --allow-missing");
    assert_eq!((code, text.contains("is outside of")), (1, true), "{text}");
    assert_eq!(elsewhere.read("compose.yml"), COMPOSE);
}

#[test]
fn invalid_yaml_is_reported_with_its_line() {
    let (code, text) = run(&with("services:\n  a: [1, 2\nb: c\n"), "optimized --allow-missing");
    assert_eq!((code, text.contains("docker-compose.yml: line 3")), (1, true), "{text}");
    let (code, text) = run(&with("services:\n  a: {!, image: fx-alpha:1}\n"), "optimized --allow-missing");
    assert_eq!(code, 1, "{text}");
    let what = "docker-compose.yml: line 2 or later: invalid YAML: a tag before a comma";
    assert!(text.contains(what) && !text.contains("panicked"), "{text}");
}

fn switched(text: &str, variant: Variant) -> Option<String> {
    let request = SwitchRequest {
        variant,
        edition: None,
        tag: None,
        registry: None,
        editions: crate::support::editions().into(),
    };
    let fill = |text: &str| Ok(text.to_owned());
    let own = OwnImages::of(["fx-alpha", "fx-beta"], ["hub.example:5000/team".to_owned()]);
    let plan = plan(text, &own, &request, None, &fill).ok()?;
    for edit in &plan.edits {
        assert_eq!(text[edit.bytes.clone()], edit.before, "an edit outside of its reference");
        let (longer, shorter) = if edit.after.len() > edit.before.len() {
            (&edit.after, &edit.before)
        } else {
            (&edit.before, &edit.after)
        };
        assert_eq!(longer.as_str(), format!("{shorter}-optimized"));
    }
    Some(apply(text, &plan.edits))
}

/// A reference, ours or not.
fn reference() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "fx-alpha:1",
        "fx-alpha:${V:-latest}",
        "hub.example:5000/team/fx-beta:${V:?which}",
        "${HUB:-hub.example}/fx-beta:2.0-community",
        "fx-beta:1-optimized",
        "fx-beta:1@sha256:00",
        "fx-alpha",
        "${IMAGE:-fx-alpha:1}",
        "other:1",
        "fx-alpha-x:1",
    ])
}

/// One service; `{n}` is its number, `{}` its reference.
fn service() -> impl Strategy<Value = String> {
    let form = prop::sample::select(vec![
        "  s{n}:\n    image: {}\n",
        "  s{n}:\n    image:   '{}'   # fx-alpha:1 stays\n",
        "  s{n}: {image: \"{}\", labels: {über: fx-beta:1}}\n\n",
        "  s{n}:\n    image: &i{n} {}\n  t{n}: {image: *i{n}}\n",
        "  s{n}: &m{n}\n    image: !!str \"{}\"\n  t{n}:\n    <<: *m{n}\n",
        "  s{n}: &m{n}\n    image: {}\n    environment: {IMAGE: fx-alpha:1}\n  t{n}: *m{n}\n",
        "  s{n}:\n    image: >-\n      {}\n    command: echo fx-alpha:1\n",
        "  s{n}:\n    environment: {IMAGE: &e{n} {}}\n    image: *e{n}\n",
        "  s{n}: {image: fx-alpha:1, image: {}}\n",
    ]);
    (form, reference()).prop_map(|(form, reference)| form.replace("{}", reference))
}

/// A Compose file, possibly with a byte order mark, CRLF, and a few random characters.
fn file() -> impl Strategy<Value = String> {
    let services = prop::collection::vec(service(), 1..8);
    let typos = prop::collection::vec((any::<prop::sample::Index>(), "[ -~\\t\\nü]"), 0..3);
    (services, any::<bool>(), any::<bool>(), typos).prop_map(|(services, mark, crlf, typos)| {
        let numbered = services.iter().enumerate().map(|(n, text)| text.replace("{n}", &n.to_string()));
        let mut text = format!("# fx-alpha:1 in a comment\nservices:\n{}", numbered.collect::<String>());
        for (index, typed) in typos {
            let at = index.index(text.chars().count());
            let byte = text.char_indices().nth(at).map_or(0, |(byte, _)| byte);
            text.insert_str(byte, &typed);
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        if mark { format!("\u{feff}{text}") } else { text }
    })
}

fn cases(count: u32) -> TestRunner {
    TestRunner::new(ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn no_byte_outside_of_references_changes() {
    let changed = Cell::new(0);
    let result = cases(2000).run(&file(), |text| {
        if let Some(optimized) = switched(&text, Variant::Optimized) {
            changed.set(changed.get() + u32::from(optimized != text));
            // Switching again changes nothing, and switching back restores a file in which no reference was optimized.
            prop_assert_eq!(switched(&optimized, Variant::Optimized), Some(optimized.clone()));
            if !text.contains("-optimized") {
                prop_assert_eq!(switched(&optimized, Variant::Original), Some(text));
            }
        }
        Ok(())
    });
    result.unwrap();
    // Unchanged files prove nothing.
    assert!(changed.get() >= 500, "only {} of the files were changed", changed.get());
}

#[test]
fn no_text_panics() {
    let switch = |text: String| {
        switched(&text, Variant::Optimized);
        Ok(())
    };
    cases(2000).run(&"\\PC{0,200}", switch).unwrap();
}
