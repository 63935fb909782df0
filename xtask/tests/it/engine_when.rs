//! `when --build`: older commits are built, and nothing of them is left.

use std::fs;
use std::process::Stdio;

use crate::changes::git;
use crate::support::Site;

/// A site with eight commits: the fifth adds a large file to `alpha`, the fourth does not build.
fn site(test: &str) -> Site {
    let site = Site::new(test);
    let lock = |own: u64| {
        let row = "accepted = \"2026-01-01\", reason = \"r\"";
        let text =
            format!("schema = 1\n[alpha]\nsimple.\"linux/amd64\" = {{ own = {own}, base = 0, {row} }}\n");
        site.folder.write("xtask/sizes.lock.toml", &text);
    };
    let commit = |message: &str| {
        git(&site.folder.0, &["add", "--all"]);
        git(&site.folder.0, &["commit", "--quiet", "--message", message]);
    };
    site.folder.write(".gitignore", "/target\n");
    site.folder.write("alpha/Dockerfile.optimized.dockerignore", "*\n!alpha\n");
    git(&site.folder.0, &["init", "--quiet", "--initial-branch=main"]);
    lock(5);
    commit("first size");
    for number in 1..=8 {
        let large = if number >= 5 { "COPY alpha/large /large\n" } else { "" };
        let broken = if number == 4 { "COPY alpha/none /none\n" } else { "" };
        let text = format!("FROM scratch\nCOPY alpha/hello /hello\n{large}{broken}");
        site.folder.write("alpha/Dockerfile.optimized", &text);
        site.folder.write("alpha/hello", &format!("hello {number}"));
        site.folder.write("alpha/large", &"x".repeat(3_000_000));
        commit(&format!("commit {number}"));
    }
    site.folder.write("README.md", "words");
    lock(3_000_007);
    commit("larger");
    site
}

/// What a run must not leave.
fn assert_clean(site: &Site) {
    assert!(site.tag_names().is_empty(), "{:?}", site.tag_names());
    assert!(!site.folder.0.join("target/xtask/when").exists());
    assert_eq!(git(&site.folder.0, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(git(&site.folder.0, &["status", "--porcelain"]), "");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_commit_and_its_dockerfile_line_are_found() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("when");
    let output = site.run(&["when", "alpha", "--build", "--format", "json"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = &json["cause"]["found"];
    // The commit before it does not build, so it may be that one.
    let subjects: Vec<String> = found["commits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|commit| git(&site.folder.0, &["log", "-1", "--format=%s", commit.as_str().unwrap()]))
        .collect();
    assert_eq!(subjects, ["commit 4", "commit 5"], "{found}");
    assert_eq!(found["skipped"].as_array().unwrap().len(), 1, "{found}");
    assert!(found["builds"].as_u64().unwrap() <= 2 + 4 + 1, "{found}");
    assert_eq!((&found["before"], &found["after"]), (&7.into(), &3_000_007.into()), "{found}");
    let line = &found["difference"]["lines"][0];
    assert_eq!(line["place"], "alpha/Dockerfile.optimized:3", "{found}");
    assert_clean(&site);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_killed_run_leaves_nothing_after_the_next() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("when-killed");
    let mut child = site
        .command(&["when", "alpha", "--build"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let trees = site.folder.0.join("target/xtask/when");
    // The first build begins once the definition is written.
    let definition = || {
        fs::read_dir(&trees).ok()?.next()?.ok()?.path().join("target/xtask/bake.json").is_file().then_some(())
    };
    while definition().is_none() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before a build");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = site.run(&["when", "alpha"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    assert!(!trees.exists());
    assert_eq!(git(&site.folder.0, &["worktree", "list"]).lines().count(), 1);
    // Temporary tags are removed by the next build.
    let output = site.run(&["when", "alpha", "--build"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    assert_clean(&site);
}
