//! `check` on the files that git tracks.

use std::process::Command;

use serde_json::Value;

use crate::check::{holding, sound, sound_repository};
use crate::support::planted::{KNOWN, harmless, secret_files, secrets};
use crate::support::{FakeDocker, Folder, program, told};

const IMAGE: &str = "fx-alpha:latest-simple-optimized";

/// A valid git repository without commits.
fn tracked_repository(manifest: &str) -> Folder {
    let repository = sound_repository();
    let text = repository.read("xtask/images.toml");
    repository.write("xtask/images.toml", &format!("{text}\n{manifest}"));
    let lock = "schema = 1\n[alpha]\nsimple.\"linux/amd64\" = { own = 1, base = 0, accepted = \"2026-01-01\", reason = \"r\" }\n";
    repository.write("xtask/sizes.lock.toml", lock);
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["add", "--all"]);
    repository
}

fn git(repository: &Folder, args: &[&str]) {
    let output = Command::new("git").args(args).current_dir(&repository.0).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn docker() -> FakeDocker {
    holding(&[sound(IMAGE, 1)]).with_git()
}

/// The exit code and output of `check alpha`.
fn check(repository: &Folder) -> (Option<i32>, String) {
    let output = docker().run(repository, &["check", "alpha"]);
    (output.status.code(), told(&output, repository))
}

/// The breaches about files: path, line, and what it is.
fn breaches(repository: &Folder) -> Vec<(String, usize, String)> {
    let output = docker().run(repository, &["check", "alpha", "--format", "json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let breaches = report["breaches"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(!breaches.is_empty())));
    let of_file = breaches.iter().filter(|one| one["images"].as_array().is_some_and(Vec::is_empty));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_file
        .map(|one| {
            assert_eq!(
                (&one["kind"], &one["path"]),
                (&Value::from("secret"), &one["place"]["file"]),
                "{one}"
            );
            let line = one["place"]["line"].as_u64().unwrap();
            (text(&one["path"]), usize::try_from(line).unwrap(), text(&one["what"]))
        })
        .collect()
}

/// Places for a variable and its value: a path and a text.
fn places(name: &str, value: &str) -> [(&'static str, String); 14] {
    let quote = if value.contains('"') { '\'' } else { '"' };
    let quoted = format!("{quote}{value}{quote}");
    let assigned = format!("{quote}{name}={value}{quote}");
    let option = name.to_lowercase().replace('_', "-");
    let service = |keys: &str| format!("services:\n  a:\n    {keys}\n");
    [
        ("compose.yaml", service(&format!("environment:\n      {name}: {quoted}"))),
        ("docker-compose.prod.yml", service(&format!("environment:\n      - {assigned}"))),
        ("stacks/db.yml", service(&format!("build:\n      args: {{ {name}: {quoted} }}"))),
        ("compose.yml", service(&format!("build:\n      args:\n        - {assigned}"))),
        ("compose.override.yaml", service(&format!("command: [\"serve\", \"--{option}\", {quoted}]"))),
        ("compose.yaml", service(&format!("labels:\n      - {quote}com.internal.{name}={value}{quote}"))),
        ("Dockerfile", format!("FROM scratch\nENV A=1 \\\n    {name}={quoted}\n")),
        ("a/Dockerfile.optimized", format!("FROM scratch\nARG {name}={quoted}\n")),
        ("a/Containerfile", format!("FROM scratch\nRUN export {name}={quoted} && make\n")),
        ("b.dockerfile", format!("FROM scratch\nRUN <<EOF\nexport {name}={quoted}\nEOF\n")),
        ("scripts/deploy.sh", format!("{name}={quoted} exec serve\n")),
        ("entrypoint", format!("#!/bin/sh\nexec serve --{option}={quoted}\n")),
        (".env.example", format!("# comment\n{name}={quoted}\n")),
        (".env", format!("A=1\nexport {name}={quoted}\n")),
    ]
}

/// Writes every variable into every place. Returns the files with their contents and values.
fn planted(repository: &Folder, all: &[(&str, String)]) -> Vec<(String, String, String)> {
    let mut files = Vec::new();
    for (index, (name, value)) in all.iter().enumerate() {
        for (place, (path, text)) in places(name, value).into_iter().enumerate() {
            let path = format!("planted/{index}/{place}/{path}");
            repository.write(&path, &text);
            files.push((path, text, value.clone()));
        }
    }
    git(repository, &["add", "--all", "--force"]);
    files
}

#[test]
fn every_form_is_found_in_every_place_on_its_line_and_not_printed() {
    let all = secrets();
    assert!(all.len() >= 40, "{}", all.len());
    let repository = tracked_repository("");
    let files = planted(&repository, &all);
    repository.write(".env", &format!("DB_PASSWORD='{KNOWN}'\n"));
    let found = breaches(&repository);
    let mut missed = Vec::new();
    for (path, text, value) in &files {
        let line = 1 + text[..text.find(value.as_str()).unwrap()].matches('\n').count();
        if !found.iter().any(|(of, at, _)| of == path && *at == line) {
            missed.push(format!("{path}:{line}: {text}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
    let (_, output) = check(&repository);
    for (_, value) in all {
        assert!(!output.contains(&value), "a secret was printed: {output}");
    }
}

#[test]
fn files_that_are_secrets_are_found() {
    let repository = tracked_repository("");
    let all = secret_files();
    for (path, content) in &all {
        std::fs::create_dir_all(repository.0.join("planted").join(path).parent().unwrap()).unwrap();
        std::fs::write(repository.0.join("planted").join(path), content).unwrap();
    }
    git(&repository, &["add", "--all", "--force"]);
    repository.write(".env", &format!("DB_PASSWORD='{KNOWN}'\n"));
    let mut found: Vec<String> = breaches(&repository).into_iter().map(|(path, ..)| path).collect();
    let mut expected: Vec<String> = all.iter().map(|(path, _)| format!("planted/{path}")).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn look_alikes_are_silent_in_every_place() {
    let all = harmless();
    assert!(all.len() >= 40, "{}", all.len());
    let repository = tracked_repository("");
    let files = planted(&repository, &all);
    let alarms: Vec<String> = breaches(&repository)
        .into_iter()
        .map(|(path, line, what)| {
            let text = files.iter().find(|(of, ..)| *of == path).map(|(_, text, _)| text.as_str());
            format!("{path}:{line}: {what}: {}", text.unwrap_or_default())
        })
        .collect();
    assert!(alarms.is_empty(), "{} false alarms:\n{}", alarms.len(), alarms.join("\n"));
}

/// A repository with a few secrets, one of them in a file that git does not track.
fn unsound() -> Folder {
    let repository = tracked_repository("");
    let password = format!("hunter{}", "2-real");
    let compose = format!(
        "services:\n  db:\n    image: postgres:17\n    environment:\n      POSTGRES_PASSWORD: {password}\n      \
         POSTGRES_USER: app\n"
    );
    repository.write("docker-compose.yml", &compose);
    repository.write("alpha/Dockerfile.dev", &format!("FROM scratch\nARG NPM_TOKEN={password}\n"));
    repository.write(".env.example", &format!("API_KEY=changeme\nDB_PASSWORD={password}\n"));
    repository.write("run.sh", &format!("curl https://app:{password}@h\nDB_PASSWORD='{password}' x\n"));
    git(&repository, &["add", "--all"]);
    repository.write("untracked.sh", &format!("DB_PASSWORD='{password}' x\n"));
    repository
}

#[test]
fn findings_name_file_line_and_help_in_every_format() {
    let repository = unsound();
    for format in ["table", "markdown", "json"] {
        let output = docker().run(&repository, &["check", "alpha", "--format", format]);
        assert!(!told(&output, &repository).contains("hunter"), "{}", told(&output, &repository));
        snapshot!(format!("check_tracked_{format}"), output, repository);
    }
}

#[test]
fn allowed_files_are_notes_and_stale_allowances_are_reported() {
    let repository = unsound();
    let manifest = repository.read("xtask/images.toml");
    let allow =
        |path: &str| format!("[[check.allow]]\nkind = \"secret\"\npath = \"{path}\"\nreason = \"fixture\"\n");
    let rules = ["docker-compose.yml", "alpha/", ".env.example", "run.sh", "gone/"].map(allow).concat();
    repository.write("xtask/images.toml", &format!("{manifest}\n{rules}"));
    let (code, text) = check(&repository);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "docker-compose.yml: the value of POSTGRES_PASSWORD is in a file that git tracks (allowed: fixture)",
        "the repository: the allowance for secret at gone/ covers nothing",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    // `secret = "warn"` also applies to files.
    repository.write("xtask/images.toml", &format!("{manifest}\n[check]\nsecret = \"warn\"\n"));
    let (code, text) = check(&repository);
    assert!(code == Some(0) && text.contains("POSTGRES_PASSWORD is in a file"), "{text}");
}

#[test]
fn outside_git_a_note_says_that_files_were_not_searched() {
    let repository = unsound();
    std::fs::remove_dir_all(repository.0.join(".git")).unwrap();
    let manifest = repository.read("xtask/images.toml");
    let allow = "[[check.allow]]\nkind = \"secret\"\npath = \"gone\"\nreason = \"r\"\n";
    repository.write("xtask/images.toml", &format!("{manifest}\n{allow}"));
    let (code, text) = check(&repository);
    assert_eq!(code, Some(0), "{text}");
    let note = "tracked files were not searched for secrets: this is not a git repository";
    assert!(text.contains(note) && !text.contains("covers nothing"), "{text}");
}

#[test]
fn links_deleted_and_large_files_are_no_errors() {
    let repository = tracked_repository("");
    let password = format!("DB_PASSWORD=hunter{}\n", "2-real");
    repository.write("untracked/secret.env", &password);
    repository.write("deleted.env", &password);
    repository.write("large.env", &password.repeat(60_000));
    std::os::unix::fs::symlink("untracked/secret.env", repository.0.join("link.env")).unwrap();
    repository.write("ünïcode \"1\".env", &password);
    git(&repository, &["add", "--all", "--", "*.env", ":!untracked"]);
    std::fs::remove_file(repository.0.join("deleted.env")).unwrap();
    let (code, text) = check(&repository);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("large.env was not searched for secrets: it is larger than 1MB"), "{text}");
    assert!(text.contains("at:   ünïcode \"1\".env:1"), "{text}");
    assert!(text.contains("1 breach, see above"), "{text}");
}

#[test]
fn a_placeholder_that_is_still_in_env_is_no_secret_of_this_environment() {
    let repository = tracked_repository("");
    repository.write(".env", "DB_PASSWORD=change-me-1\n");
    repository.write(".env.example", "DB_PASSWORD=change-me-1\n");
    git(&repository, &["add", ".env.example"]);
    let (code, text) = check(&repository);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn our_own_repository_has_no_secrets_and_needs_no_allowance() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    if !root.join(".git").exists() {
        eprintln!("skipped: this is not a git checkout");
        return;
    }
    let docker =
        FakeDocker::new().alive().on("image inspect*", 1, "[]", "Error: No such image: x\n").with_git();
    let manifest = std::fs::read_to_string(root.join("xtask/images.toml")).unwrap();
    let service = manifest.split("[service.").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    let mut command = program();
    command
        .args(["check", service, "--edition", "simple", "--format", "json", "--root"])
        .arg(root)
        .env_clear();
    command.env("PATH", docker.folder.0.join("bin")).env("FAKE_DOCKER", &docker.folder.0);
    // git's configuration lists trusted checkouts.
    command.envs(std::env::var_os("HOME").map(|home| ("HOME", home)));
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    let of_kind = |list: &str| -> Vec<Value> {
        report[list].as_array().unwrap().iter().filter(|one| one["kind"] == "secret").cloned().collect()
    };
    assert_eq!((of_kind("breaches"), of_kind("notes")), (Vec::new(), Vec::new()));
}
