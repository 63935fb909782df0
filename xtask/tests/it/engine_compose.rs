//! `compose-switch` with the real Compose as the judge.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use serde_json::{Value, json};

use crate::compose_switch::{COMPOSE, with};
use crate::support::{Folder, docker, program, told};

pub fn run(repository: &Folder, args: &str, environment: &[(&str, &str)]) -> (i32, String) {
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

/// In its output, Compose escapes each `$` again.
#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn an_escaped_dollar_sign_is_not_in_the_way() {
    let compose = "services:\n  a: {image: 'localhost:5$$00/fx-alpha:1'}\n  b: {image: 'fx-beta:1', command: echo $$HOME}\n";
    let repository = with(compose);
    let (code, text) = run(&repository, "optimized --allow-missing", &[]);
    let switched = repository.read("docker-compose.yml");
    assert!(switched.contains("fx-beta:1-optimized"), "{code} {text}");
    assert_eq!(switched.replace("-optimized", ""), compose);
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

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn neither_unset_variables_nor_files_outside_are_in_the_way() {
    let repository = with("services: {}\n");
    for folder in ["alpha", "beta", "xtask"] {
        let (from, to) = (repository.0.join(folder), repository.0.join("inner").join(folder));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    repository.write("common.env", "A=b\n");
    let compose =
        "services:\n  a:\n    image: fx-alpha:$V\n    env_file: ../common.env\n    ports: ['${PORT:?}:80']\n";
    repository.write("inner/docker-compose.yml", compose);
    let mut command = program();
    command
        .args(["compose-switch", "optimized", "--allow-missing", "--root"])
        .arg(repository.0.join("inner"));
    let output = command.env_remove("V").output().unwrap();
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let switched = compose.replace("fx-alpha:$V", "fx-alpha:$V-optimized");
    assert_eq!(repository.read("inner/docker-compose.yml"), switched);
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn a_tag_left_empty_by_a_variable_is_as_requested() {
    let repository = with("services: {a: {image: 'fx-alpha:$V'}}\n");
    for args in ["original --check", "optimized --allow-missing", "optimized --check"] {
        let (code, text) = run(&repository, args, &[]);
        assert_eq!((code, text.contains("left unchanged")), (0, false), "{args}: {text}");
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn a_variable_that_contains_an_edition_is_reported() {
    let compose = "services: {a: {image: 'fx-alpha:$V'}}\n";
    let repository = with(compose);
    let (code, text) =
        run(&repository, "optimized --edition simple --allow-missing", &[("V", "1-community")]);
    let what = "docker-compose.yml:1: `fx-alpha:$V` left unchanged: a variable's value contains an edition";
    assert_eq!((code, text.contains(what)), (1, true), "{text}");
    assert_eq!(repository.read("docker-compose.yml"), compose);
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
fn the_variables_of_files_in_compose_file_are_those_that_compose_uses() {
    let repository = with("services: {}\n");
    let compose =
        "services: {a: {image: '$HUB/fx-alpha:$V', build: .}, b: {image: 'r.example/t/fx-beta:1'}}\n";
    let listed = "COMPOSE_FILE=deploy/stack.yml\n";
    for (root, beside, variables, value) in [
        (
            "V=0\n",
            "V=1-optimized\nHUB=h\n",
            &[("COMPOSE_FILE", "deploy/stack.yml")][..],
            "h/fx-alpha:1-optimized",
        ),
        (&format!("{listed}V=1-optimized\n"), "V=0\nHUB=h\n", &[], "h/fx-alpha:1-optimized"),
        // The second file may refer to the first one, which does not configure the docker client.
        (
            &format!("{listed}N=1-optimized\nDOCKER_CONTEXT=gone\n"),
            "V=${N}\nHUB=h\n",
            &[],
            "h/fx-alpha:1-optimized",
        ),
    ] {
        // xtask reads SUTRA_REGISTRY from the root's `.env`.
        repository.write(".env", &format!("{root}SUTRA_REGISTRY=r.example/t\n"));
        repository.write("deploy/.env", beside);
        repository.write("deploy/stack.yml", compose);
        let (code, text) = run(&repository, "original --check", variables);
        let left = "deploy/stack.yml:1: `$HUB/fx-alpha:$V` left unchanged: a variable's value contains";
        assert_eq!((code, text.contains(left), text.contains(value)), (1, true, true), "{text}");
        assert!(text.contains("error: 1 reference left unchanged"), "{text}");
        // The proof must use the same values, or it would refuse the switch.
        let plain = [root, beside].map(|text| text.replace("1-optimized", "1"));
        repository.write(".env", &format!("{}SUTRA_REGISTRY=r.example/t\n", plain[0]));
        repository.write("deploy/.env", &plain[1]);
        let (code, text) = run(&repository, "optimized --allow-missing", variables);
        let expected = compose.replace("$V", "$V-optimized").replace("fx-beta:1", "fx-beta:1-optimized");
        assert_eq!((code, repository.read("deploy/stack.yml")), (0, expected), "{text}");
    }
}

/// Compose prints `$` twice, and some paths with symlinks resolved.
#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn the_temporary_folder_may_have_any_name() {
    let outer = Folder::new();
    fs::create_dir(outer.0.join("a$b&c")).unwrap();
    symlink(outer.0.join("a$b&c"), outer.0.join("link")).unwrap();
    for folder in ["a$b&c", "link"] {
        let compose = "services: {a: {image: 'fx-alpha:1', build: ., volumes: ['.:/x'], develop: {watch: [{action: rebuild, path: .}]}}}\n";
        let repository = with(compose);
        let folder = outer.0.join(folder).display().to_string();
        let (code, text) = run(&repository, "optimized --allow-missing", &[("TMPDIR", &folder)]);
        assert_eq!(code, 0, "{text}");
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn files_may_be_named_from_any_folder_and_through_links() {
    let repository = with("services: {}\n");
    let compose = "services: {a: {image: 'fx-alpha:${V:-latest}'}}\n";
    repository.write("deploy/stack.yml", compose);
    symlink("deploy", repository.0.join("link")).unwrap();
    symlink("deploy/stack.yml", repository.0.join("stack.yml")).unwrap();
    repository.write("other/.env", "V=2\n");
    symlink("../deploy/stack.yml", repository.0.join("other/stack.yml")).unwrap();
    let outer = Folder::new();
    symlink(&repository.0, outer.0.join("root")).unwrap();
    for (folder, file) in [
        (repository.0.clone(), "stack.yml"),
        (repository.0.join("deploy"), "stack.yml"),
        (repository.0.clone(), "link/stack.yml"),
        (outer.0.clone(), "root/link/../stack.yml"),
        (repository.0.clone(), "other/stack.yml"),
    ] {
        let mut command = program();
        command.current_dir(&folder).args(["compose-switch", "optimized", "--allow-missing", "--file", file]);
        let output = command.arg("--root").arg(&repository.0).output().unwrap();
        let text = told(&output, &repository);
        assert_eq!(
            (output.status.code(), text.contains("deploy/stack.yml:1:")),
            (Some(0), true),
            "{file}: {text}"
        );
        assert!(repository.read("deploy/stack.yml").contains("-optimized"));
        repository.write("deploy/stack.yml", compose);
    }
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

/// An image with one program, under the tag of its test; removed on drop.
struct OneProgram(String);

impl OneProgram {
    fn new(test: &str) -> OneProgram {
        let folder = Folder::new();
        folder.write("app/serve", "");
        let serve = folder.0.join("app/serve");
        fs::set_permissions(&serve, fs::Permissions::from_mode(0o755)).unwrap();
        let archive = folder.0.join("image.tar").display().to_string();
        let root = folder.0.display().to_string();
        let status = Command::new("tar").args(["-C", &root, "-cf", &archive, "app"]).status().unwrap();
        assert!(status.success());
        let tag = format!("xt-{test}-{}", std::process::id());
        for name in names(&tag) {
            docker(&["import", &archive, &name]);
        }
        OneProgram(tag)
    }
}

impl Drop for OneProgram {
    fn drop(&mut self) {
        Command::new("docker").args(["image", "rm"]).args(names(&self.0)).output().ok();
    }
}

/// The image's references, with and without edition.
fn names(tag: &str) -> [String; 2] {
    ["-optimized", "-simple-optimized"].map(|end| format!("fx-alpha:{tag}{end}"))
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn programs_that_the_image_does_not_have_are_reported_before_anything_is_written() {
    let OneProgram(tag) = &OneProgram::new("programs");
    for (keys, what) in [
        ("healthcheck: {test: [CMD, curl, -f, 'http://localhost/']}", "healthcheck runs `curl`"),
        ("healthcheck: {test: 'nc -z localhost 80'}", "healthcheck runs `/bin/sh`"),
        ("healthcheck: {test: [CMD, bash, -c, 'true']}", "healthcheck runs `bash`"),
        ("command: [gone]", "command runs `gone`"),
        ("entrypoint: ['/app/serve']", ""),
        ("healthcheck: {test: [CMD, /app/serve]}", ""),
    ] {
        let compose = format!("services:\n  a:\n    image: fx-alpha:{tag}\n    {keys}\n");
        let repository = with(&compose);
        for args in ["optimized --dry-run", "optimized --check", "optimized"] {
            let (code, text) = run(&repository, args, &[]);
            let line = format!("docker-compose.yml:4: service a: {what}, which is not in the image");
            let has_failed = !what.is_empty() || args.ends_with("check");
            assert_eq!(
                (code, text.contains(&line)),
                (has_failed.into(), !what.is_empty()),
                "{args} {keys}: {text}"
            );
        }
        assert_eq!(repository.read("docker-compose.yml") == compose, !what.is_empty(), "{keys}");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn check_compares_the_compose_files_commands_with_the_images() {
    let OneProgram(tag) = &OneProgram::new("guard");
    let compose = "services:\n  alpha:\n    image: fx-alpha:${V:?}\n    healthcheck: {test: [CMD, curl, x]}\n    \
                   command: [/app/serve]\n";
    let repository = with(compose);
    let mut command = program();
    command.args(["check", "alpha", "--edition", "simple", "--tag", tag, "--root"]).arg(&repository.0);
    let text = told(&command.output().unwrap(), &repository);
    let breach = "in the Compose file, healthcheck runs `curl`, which is not in the image";
    assert!(text.contains(breach) && !text.contains("command runs"), "{text}");
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn a_build_of_another_variant_is_reported() {
    for (dockerfile, is_wrong) in [("alpha/Dockerfile", true), ("alpha/Dockerfile.optimized", false)] {
        let build = format!("build: {{context: ., dockerfile: {dockerfile}}}");
        let repository = with(&format!("services:\n  a:\n    image: fx-alpha:1\n    {build}\n"));
        let (code, text) = run(&repository, "optimized --allow-missing", &[]);
        let note = "note: docker-compose.yml:4: service a: `docker compose build` would build alpha/Dockerfile and tag it fx-alpha:1-optimized";
        assert_eq!((code, text.contains(note)), (0, is_wrong), "{text}");
    }
}

#[test]
#[ignore = "needs Compose: cargo xtask ci"]
fn images_of_others_with_our_names_stay() {
    let others = "  c: {image: 'other.example/someone-else/fx-alpha:3'}\n  d: {image: 'someone/fx-beta:1'}\n";
    let ours =
        "services:\n  a: {image: 'docker.io/fx-alpha:1'}\n  b: {image: '${HUB:-hub.example}/t/fx-beta:1'}\n";
    let repository = with(&format!("{ours}{others}"));
    let (code, text) = run(&repository, "optimized --registry r.example/t --allow-missing", &[]);
    assert_eq!(code, 0, "{text}");
    for (line, registry) in [(4, "other.example/someone-else"), (5, "someone")] {
        assert!(text.contains(&format!("docker-compose.yml:{line}: ")), "{text}");
        assert!(text.contains(&format!("{registry} is not one of the `registries`")), "{text}");
    }
    let switched = "services:\n  a: {image: 'r.example/t/fx-alpha:1-optimized'}\n  b: {image: 'r.example/t/fx-beta:1-optimized'}\n";
    assert_eq!(repository.read("docker-compose.yml"), format!("{switched}{others}"));
    // Another checkout does not know the registry.
    fs::remove_file(repository.0.join("target/xtask/compose-registries.json")).unwrap();
    let (code, text) = run(&repository, "original --check", &[]);
    assert_eq!((code, text.contains("r.example/t is not one of the `registries`")), (0, true), "{text}");
    let (code, text) = run(&repository, "original --allow-missing", &[("SUTRA_REGISTRY", "r.example/t")]);
    assert_eq!(code, 0, "{text}");
    assert!(!repository.read("docker-compose.yml").contains("-optimized"));
}
