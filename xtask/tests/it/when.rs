//! `when`: the history of accepted sizes in real git repositories. Nothing is built.

use std::process::Output;

use crate::changes::git;
use crate::support::{FakeDocker, Folder, repository, told};

const LOCK: &str = "xtask/sizes.lock.toml";

/// A lock with a row for each service.
fn lock(rows: &[(&str, u64, u64)]) -> String {
    let row = |(service, own, base): &(&str, u64, u64)| {
        format!(
            "\n[{service}]\nsimple.\"linux/amd64\" = {{ own = {own}, base = {base}, accepted = \"2026-01-01\", reason = \"r\" }}\n"
        )
    };
    format!("schema = 1\n{}", rows.iter().map(row).collect::<String>())
}

/// A repository with a history of its own.
struct Site(Folder);

impl Site {
    /// Two services, one on a base, without a lock.
    fn new() -> Site {
        let site = Site(repository("fx"));
        let manifest = site.0.read("xtask/images.toml");
        let base = "[base.shared]\nimage = \"fx-shared\"\ndockerfile = \"shared/Dockerfile\"\n";
        site.0.write(
            "xtask/images.toml",
            &manifest.replace("[service.alpha]", &format!("{base}[service.alpha]")),
        );
        site.0.write("shared/Dockerfile", "FROM scratch\nCOPY shared/file /file\n");
        site.0.write("shared/Dockerfile.dockerignore", "*\n!shared/file\n");
        site.0.write("shared/file", "1");
        site.0.write("alpha/Dockerfile.optimized", "FROM fx-shared\nCOPY alpha/hello /hello\n");
        site.0.write("alpha/Dockerfile.optimized.dockerignore", "*\n!alpha\n");
        site.0.write("alpha/requirements.txt", "torch==2.9\n");
        site.0.write(".gitignore", "/target\n");
        git(&site.0.0, &["init", "--quiet", "--initial-branch=main"]);
        site
    }

    fn commit(&self, message: &str) {
        git(&self.0.0, &["add", "--all"]);
        git(&self.0.0, &["commit", "--quiet", "--message", message]);
    }

    /// Accepts sizes in a commit of their own.
    fn accept(&self, message: &str, rows: &[(&str, u64, u64)]) {
        self.0.write(LOCK, &lock(rows));
        self.commit(message);
    }

    /// A first size, two changes of inputs, one on a branch, and a larger size.
    fn with_history() -> Site {
        let site = Site::new();
        site.accept("first sizes", &[("alpha", 5_000_000, 2_000_000), ("beta", 1_000_000, 0)]);
        git(&site.0.0, &["switch", "--quiet", "--create", "side"]);
        site.0.write("alpha/Dockerfile.optimized", "FROM fx-shared\n# why\nCOPY alpha/hello /hi\n");
        site.0.write("alpha/requirements.txt", "torch==2.10\nnumpy==2.3\n");
        site.commit("alpha: torch 2.10");
        git(&site.0.0, &["switch", "--quiet", "main"]);
        site.0.write("README.md", "words");
        site.commit("words that no build reads");
        git(&site.0.0, &["merge", "--quiet", "--no-ff", "--message=merge side", "side"]);
        site.0.write("shared/file", "22");
        site.commit("shared: a longer file");
        site.accept("larger alpha", &[("alpha", 9_500_000, 2_000_000), ("beta", 1_000_000, 0)]);
        site
    }

    fn run(&self, args: &[&str]) -> Output {
        run_in(&self.0, args)
    }

    fn told(&self, args: &[&str]) -> String {
        told(&self.run(args), &self.0)
    }
}

/// `when ARGS…` in a folder, with a docker that does not answer.
fn run_in(folder: &Folder, args: &[&str]) -> Output {
    let docker = FakeDocker::new().with_git().on("*", 1, "", "Cannot connect to the Docker daemon\n");
    docker.run(folder, &[&["when"], args].concat())
}

#[test]
fn a_size_is_explained_by_commits_and_dockerfile_lines() {
    let site = Site::with_history();
    snapshot!("when_table", site.run(&["alpha"]), site.0);
    snapshot!("when_markdown", site.run(&["alpha", "--format", "markdown", "--commit", "side"]), site.0);
    let json: serde_json::Value =
        serde_json::from_slice(&site.run(&["alpha", "--format", "json"]).stdout).unwrap();
    let cause = &json["cause"]["inputs"];
    assert_eq!(cause["commits"].as_array().unwrap().len(), 2, "{cause}");
    assert_eq!(cause["dockerfiles"][0]["lines"][0]["text"], "COPY alpha/hello /hello");
    assert!(site.told(&["beta"]).contains("new"), "one size");
}

#[test]
fn a_dirty_tree_and_a_detached_head_are_described_as_they_are() {
    let site = Site::with_history();
    git(&site.0.0, &["switch", "--quiet", "--detach", "HEAD^"]);
    let detached = site.told(&["alpha"]);
    assert!(!detached.contains("larger alpha") && detached.contains("first sizes"), "{detached}");
    git(&site.0.0, &["switch", "--quiet", "main"]);
    site.0.write(LOCK, &lock(&[("alpha", 8_000_000, 2_000_000)]));
    site.0.write("alpha/requirements.txt", "torch==2.10\nnumpy==2.4\n");
    snapshot!("when_dirty", site.run(&["alpha"]), site.0);
}

#[test]
fn a_renamed_service_and_a_moved_lock_are_followed() {
    let site = Site::with_history();
    let manifest = site.0.read("xtask/images.toml").replace("service.alpha", "service.omega");
    site.0.write("xtask/images.toml", &manifest);
    site.accept("alpha is omega", &[("omega", 9_500_000, 2_000_000), ("beta", 1_000_000, 0)]);
    site.accept("smaller omega", &[("omega", 4_000_000, 2_000_000), ("beta", 1_000_000, 0)]);
    let text = site.told(&["omega"]);
    for part in ["was alpha", "smaller omega", "larger alpha", "first sizes"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    // The plain layout has the lock in the root.
    git(&site.0.0, &["mv", LOCK, "sizes.lock.toml"]);
    git(&site.0.0, &["mv", "xtask/images.toml", "images.toml"]);
    site.commit("plain layout");
    let moved = site.told(&["omega"]);
    assert!(moved.contains("first sizes") && moved.contains("smaller omega"), "{moved}");
}

#[test]
fn locks_that_cannot_be_read_are_named_and_left_out() {
    let site = Site::new();
    site.accept("first sizes", &[("alpha", 5_000_000, 0)]);
    site.0.write(LOCK, "schema = 0\n[alpha]\nbytes = 7\n");
    site.commit("another format");
    site.accept("today's format", &[("alpha", 6_000_000, 0)]);
    snapshot!("when_unreadable", site.run(&["alpha"]), site.0);
}

#[test]
fn a_shallow_clone_says_what_it_lacks() {
    let site = Site::with_history();
    let clone = Folder::new();
    let from = format!("file://{}", site.0.0.display());
    git(&clone.0, &["clone", "--quiet", "--depth=1", &from, "."]);
    let output = run_in(&clone, &["alpha"]);
    let text = told(&output, &clone);
    assert!(
        output.status.success() && text.contains("This clone is shallow: older changes are missing."),
        "{text}"
    );
    assert!(text.contains("older than this clone") && !text.contains("larger alpha"), "{text}");
    let output = run_in(&clone, &["alpha", "--commit", "HEAD~3"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output, &clone));
    assert!(told(&output, &clone).contains("fetch --unshallow"), "{}", told(&output, &clone));
}

#[test]
fn what_has_no_history_is_an_error_with_a_remedy() {
    let site = Site::new();
    site.commit("no lock");
    snapshot!("when_without_a_lock", site.run(&["alpha"]), site.0);
    site.0.write(LOCK, &lock(&[("alpha", 5_000_000, 0)]));
    snapshot!("when_not_committed", site.run(&["alpha"]), site.0);
    site.commit("a lock");
    snapshot!("when_without_a_row", site.run(&["beta"]), site.0);
    snapshot!("when_of_an_unknown_service", site.run(&["alpa"]), site.0);
    snapshot!("when_of_an_unrelated_commit", site.run(&["alpha", "--commit", "HEAD"]), site.0);
    snapshot!("when_building_one_size", site.run(&["alpha", "--build"]), site.0);
    std::fs::remove_dir_all(site.0.0.join(".git")).unwrap();
    snapshot!("when_outside_git", site.run(&["alpha"]), site.0);
}

#[test]
fn a_work_tree_of_a_killed_run_is_removed() {
    let site = Site::with_history();
    git(&site.0.0, &["worktree", "add", "--quiet", "--detach", "target/xtask/when/abc", "HEAD"]);
    assert!(site.told(&["alpha"]).contains("larger alpha"));
    assert!(!site.0.0.join("target/xtask/when").exists());
    assert_eq!(git(&site.0.0, &["worktree", "list"]).lines().count(), 1);
}
