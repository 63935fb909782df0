//! `estimate`: changed lock files in a git repository, with a docker that holds images.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use crate::changes::git;
use crate::check::holding;
use crate::support::saved::{LayerTar, Saved};
use crate::support::{FakeDocker, Folder, told};
use crate::vulnerabilities::{CURL, NPM_CLI, PIP};
use serde_json::{Value, json};

const MANIFEST: &str = "schema = 2\nproject = \"shop\"\n\
    [service.vote]\nimage = \"team/vote\"\ncontext = \"vote\"\n\
    [service.worker]\nimage = \"team/worker\"\ndockerfile = \"worker/Dockerfile\"\n";

/// A commit with lock files of two services, and of none.
fn repository() -> Folder {
    let folder = Folder::new();
    folder.write("xtask/images.toml", MANIFEST);
    folder.write(".gitignore", "/target\n");
    for name in ["vote", "worker"] {
        folder.write(&format!("{name}/Dockerfile"), "FROM debian:trixie-slim\nRUN apt-get install -y curl\n");
    }
    folder.write("worker/Dockerfile.dockerignore", "*\n!worker\n");
    folder.write("vote/package-lock.json", &npm(&[("left-pad", "1.3.0"), ("lodash", "4.17.20")]));
    folder.write("worker/requirements.txt", "torch==2.9\n");
    folder.write("worker/mix.lock", "%{}\n");
    folder.write("docs/requirements.txt", "sphinx==7.0\n");
    git(&folder.0, &["init", "--quiet", "--initial-branch=main"]);
    git(&folder.0, &["add", "--all"]);
    git(&folder.0, &["commit", "--quiet", "--message=x"]);
    folder
}

fn npm(packages: &[(&str, &str)]) -> String {
    let entry =
        |(name, version): &(&str, &str)| (format!("node_modules/{name}"), json!({ "version": version }));
    let packages: serde_json::Map<String, Value> = packages.iter().map(entry).collect();
    json!({ "lockfileVersion": 3, "packages": packages }).to_string()
}

/// An image with npm packages of a megabyte each.
fn image(name: &'static str, packages: &[(&str, &str)]) -> Saved {
    let layer = packages.iter().fold(LayerTar::new(), |tar, (name, version)| {
        let folder = format!("app/node_modules/{name}");
        tar.file(&format!("{folder}/package.json"), json!({"name": name, "version": version}).to_string())
            .file(&format!("{folder}/index.js"), vec![7; 1_000_000])
    });
    Saved::new(name, vec![("COPY app /app # buildkit", layer)])
}

fn run(docker: &FakeDocker, repository: &Folder, format: &str) -> Output {
    docker.run(repository, &["estimate", "--changed-since", "main", "--format", format])
}

#[test]
fn changed_packages_are_listed_with_the_sizes_that_images_have() {
    let repository = repository();
    let vote = image("team/vote:latest", &[("left-pad", "1.3.0"), ("lodash", "4.17.20")]);
    let worker = image("team/worker:latest", &[("lodash", "4.17.21")]);
    let docker = holding(&[vote, worker]).with_git();
    snapshot!("estimate_nothing", run(&docker, &repository, "markdown"), repository);
    repository.write("vote/package-lock.json", &npm(&[("lodash", "4.17.21"), ("new", "1.0.0")]));
    repository.write("worker/requirements.txt", "torch==2.10\nleft-pad==1.3.0\n");
    repository.write("worker/mix.lock", "%{a}\n");
    repository.write("vote/Dockerfile", "FROM debian:trixie-slim\nENV A=1\nRUN apt-get install -y curl\n");
    repository.write("worker/Dockerfile", "FROM debian:trixie-slim\nRUN apt-get install -y curl git\n");
    // No build reads it.
    repository.write("docs/requirements.txt", "sphinx==8.0\n");
    snapshot!("estimate_markdown", run(&docker, &repository, "markdown"), repository);
    snapshot!("estimate_table", run(&docker, &repository, "table"), repository);
    let output = run(&docker, &repository, "json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lock =
        report["files"].as_array().unwrap().iter().find(|file| file["file"] == "vote/package-lock.json");
    let gone =
        lock.unwrap()["packages"].as_array().unwrap().iter().find(|package| package["after"].is_null());
    let size = &gone.unwrap()["before"]["installed"];
    assert_eq!(size, &json!({"bytes": 1_000_037, "image": "team/vote:latest"}));
}

#[test]
fn without_an_engine_or_images_every_size_is_unknown() {
    let repository = repository();
    repository.write("vote/package-lock.json", &npm(&[("left-pad", "2.0.0")]));
    let stopped = FakeDocker::new().with_git().on("*", 1, "", "Cannot connect to the Docker daemon\n");
    snapshot!("estimate_without_an_engine", run(&stopped, &repository, "markdown"), repository);
    let empty = holding(&[]).with_git();
    let output = run(&empty, &repository, "markdown");
    let text = told(&output, &repository);
    assert!(output.status.success() && text.contains("The change in size is unknown."), "{text}");
}

#[test]
fn lock_files_that_cannot_be_read_are_named_and_the_others_are_read() {
    let repository = repository();
    let docker = holding(&[]).with_git();
    repository.write("vote/package-lock.json", "{\n<<<<<<< HEAD correct-horse-battery-staple\n");
    repository.write("worker/requirements.txt", "torch==2.10\n");
    std::os::unix::fs::symlink("/dev/zero", repository.0.join("worker/Cargo.lock")).unwrap();
    std::fs::write(repository.0.join("worker/yarn.lock"), [0xff; 10]).unwrap();
    std::fs::File::create(repository.0.join("worker/go.sum")).unwrap().set_len(60_000_000).unwrap();
    let output = run(&docker, &repository, "markdown");
    snapshot!("estimate_of_broken_files", output, repository);
    std::fs::remove_file(repository.0.join("vote/package-lock.json")).unwrap();
    let output = run(&docker, &repository, "markdown");
    let text = told(&output, &repository);
    assert!(text.contains("`vote/package-lock.json` (vote): 2 removed."), "{text}");
}

/// Adds a program to a machine.
fn program(docker: &FakeDocker, name: &str, script: &str) {
    docker.folder.write(&format!("bin/{name}"), script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(docker.folder.0.join("bin").join(name), mode).unwrap();
}

#[test]
fn registries_are_asked_about_unknown_sizes_only_on_request() {
    let repository = repository();
    let changed = [("lodash", "4.17.20"), ("@scope/new", "1.0.0+b"), ("../../x", "1.0.0"), ("old", "0.1.0")];
    repository.write("vote/package-lock.json", &npm(&changed));
    repository.write("worker/requirements.txt", "torch==2.10\nopen>=1\n");
    let docker = holding(&[image("team/vote:latest", &[("left-pad", "1.3.0")])]).with_git();
    for (name, script) in [("curl", CURL), ("python3", PIP), ("npm", NPM_CLI)] {
        program(&docker, name, script);
    }
    let answer = |url: &str, status: &str, body: &str| {
        let name = format!("curl/{}", url.replace(['/', ':'], "_"));
        for (extension, text) in [("url", url), ("status", status), ("body", body)] {
            docker.folder.write(&format!("{name}.{extension}"), text);
        }
    };
    let torch = json!({"urls": [{"filename": "torch-2.10-cp313-manylinux_2_28_x86_64.whl", "size": 800_000_000},
        {"filename": "torch-2.10-cp313-win_amd64.whl", "size": 100}]});
    answer("https://npm.example/@scope%2Fnew/1.0.0%2Bb", "200", r#"{"dist": {"unpackedSize": 3000000}}"#);
    answer("https://npm.example/old/0.1.0", "200", r#"{"dist": {}}"#);
    answer("https://python.example/pypi/torch/2.10/json", "200", &torch.to_string());
    answer("https://python.example/pypi/torch/2.9/json", "404", "");
    run(&docker, &repository, "markdown");
    assert!(!docker.folder.0.join("urls").exists(), "a registry was asked");
    let args = ["estimate", "--changed-since", "main", "--ask-registries"];
    snapshot!("estimate_with_registries", docker.run(&repository, &args), repository);
    let urls = docker.folder.read("urls");
    assert!(urls.lines().count() == 4 && !urls.contains("..") && !urls.contains("open"), "{urls}");
    // A registry that cannot be reached is asked once.
    std::fs::remove_dir_all(docker.folder.0.join("curl")).unwrap();
    std::fs::remove_file(docker.folder.0.join("urls")).unwrap();
    let text = told(&docker.run(&repository, &args), &repository);
    assert!(
        text.contains("npm's registry did not state the size of 2 packages: could not resolve host"),
        "{text}"
    );
    assert_eq!(docker.folder.read("urls").lines().count(), 2);
}

#[test]
fn an_unknown_commit_is_wrong_usage() {
    let repository = repository();
    let output = holding(&[]).with_git().run(&repository, &["estimate", "--changed-since", "nowhere"]);
    let text = told(&output, &repository);
    assert!(
        output.status.code() == Some(2) && text.contains("--changed-since `nowhere`: unknown commit"),
        "{text}"
    );
}

#[test]
fn a_large_lock_file_is_read_in_full() {
    let repository = repository();
    let names: Vec<String> = (0..50_000).map(|number| format!("package-{number}")).collect();
    let packages: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1.0.0")).collect();
    repository.write("vote/package-lock.json", &npm(&packages));
    let output = run(&holding(&[]).with_git(), &repository, "markdown");
    let text = told(&output, &repository);
    assert!(text.contains("50000 added, 2 removed.") && text.contains("and 49982 more packages"), "{text}");
    assert!(output.stdout.len() < 5_000, "{}", output.stdout.len());
}
