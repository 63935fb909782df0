//! Only what changed since a commit: in repositories of git's, with a docker that builds nothing.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{FakeDocker, Folder, repository, told, xtask};

/// A repository of two services with one commit; the second stands on a base.
struct History {
    repository: Folder,
    docker: FakeDocker,
}

impl History {
    fn new() -> History {
        let repository = repository("fx");
        let manifest = repository.read("xtask/images.toml");
        let base = "[base.shared]\nimage = \"fx-shared\"\ndockerfile = \"shared/Dockerfile\"\n";
        repository.write(
            "xtask/images.toml",
            &manifest.replace("[service.alpha]", &format!("{base}[service.alpha]")),
        );
        repository.write("shared/Dockerfile", "FROM scratch\nCOPY shared/file /file\n");
        repository.write("shared/Dockerfile.dockerignore", "*\n!shared/file\n");
        repository.write("shared/file", "1");
        repository.write("beta/Dockerfile.optimized", "FROM fx-shared\nCOPY beta/hello /hello\n");
        // Somebody reads every argument, as a check wants it.
        repository
            .write("alpha/Dockerfile.optimized", "FROM scratch\nARG VERSION\nCOPY alpha/hello /$VERSION\n");
        repository.write(".gitignore", "/target\n");
        let docker = FakeDocker::new().alive().with_git();
        let history = History { repository, docker };
        history.git(&["init", "--quiet", "--initial-branch=main"]);
        history.commit();
        history
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.repository.0, args)
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
    }

    fn run(&self, args: &[&str]) -> Output {
        run(&self.docker, &self.repository, args)
    }

    /// The targets that would be built.
    fn planned(&self, since: &str) -> Vec<String> {
        let output = self.run(&["build-images", "--dry-run", "--changed-since", since]);
        assert!(output.status.success(), "{}", told(&output, &self.repository));
        if output.stdout.is_empty() {
            return Vec::new();
        }
        let definition: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let targets = definition["group"]["default"]["targets"].as_array().unwrap();
        targets.iter().map(|target| target.as_str().unwrap().to_owned()).collect()
    }
}

const ALPHA: &str = "alpha-simple-optimized";
const BETA: &str = "beta-simple-optimized";

/// Git with nothing of this machine's configuration, and always the same commits.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_SYSTEM", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// With a folder for temporary files of its own, which must be empty afterwards.
fn run(docker: &FakeDocker, repository: &Folder, args: &[&str]) -> Output {
    let temporary = Folder::new();
    let output = xtask(&docker.folder.0.join("bin"), repository, args)
        .env("FAKE_DOCKER", &docker.folder.0)
        .env("TMPDIR", &temporary.0)
        .output()
        .unwrap();
    assert_eq!(temporary.0.read_dir().unwrap().count(), 0, "something was left behind");
    output
}

#[test]
fn where_nothing_changed_nothing_is_built() {
    let history = History::new();
    // Neither of them is in any context.
    history.repository.write("README.md", "new");
    history.repository.write("alpha/notes", "new");
    let output = history.run(&["build-images", "--changed-since", "HEAD"]);
    snapshot!("changed_nothing", output, history.repository);
    assert_eq!(history.docker.calls(), Vec::<String>::new());
    assert_eq!(history.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn what_changed_is_built_and_told() {
    let history = History::new();
    history.repository.write("shared/file", "2");
    history.commit();
    history.repository.write("alpha/hello", "new");
    let output = history.run(&["build-images", "--dry-run", "--changed-since", "main~1"]);
    insta::assert_snapshot!("changed_both", String::from_utf8_lossy(&output.stderr));
    assert_eq!(history.planned("main~1"), [ALPHA, BETA]);
    assert_eq!(history.planned("main"), [ALPHA]);
}

#[test]
fn a_service_changes_with_its_sources_its_bases_and_its_declaration() {
    let both: [&str; 2] = [ALPHA, BETA];
    let manifest = |from: &str, to: &str| {
        let text = History::new().repository.read("xtask/images.toml");
        assert!(text.contains(from));
        text.replace(from, to)
    };
    let cases: [(&str, String, &[&str]); 7] = [
        ("alpha/hello", "new".into(), &[ALPHA]),
        // The original's Dockerfile, which this build does not read.
        ("beta/Dockerfile", "FROM debian:trixie-slim\n".into(), &[BETA]),
        ("beta/Dockerfile.optimized.dockerignore", "*\n!beta/hello\n!beta/more\n".into(), &[]),
        ("shared/Dockerfile", "FROM scratch\nCOPY shared/file /other\n".into(), &[BETA]),
        ("shared/file", "2".into(), &[BETA]),
        ("xtask/images.toml", manifest("port = 1002", "port = 1003"), &[BETA]),
        ("xtask/images.toml", manifest("version = \"0.1.0\"", "version = \"0.2.0\""), &both),
    ];
    for (path, text, expected) in cases {
        let history = History::new();
        history.repository.write(path, &text);
        assert_eq!(history.planned("HEAD"), expected, "{path}: {text}");
    }
}

#[test]
fn a_service_changes_with_every_file_that_its_builds_can_read() {
    const GAMMA: &str = "gamma-simple";
    const DELTA: &str = "delta-simple";
    // Without an allow-list, every file of the context counts.
    let no_lists = |history: &History| {
        for file in ["shared/Dockerfile", "alpha/Dockerfile.optimized", "alpha/Dockerfile"] {
            std::fs::remove_file(history.repository.0.join(format!("{file}.dockerignore"))).unwrap();
        }
        let manifest = history.repository.read("xtask/images.toml").replace(
            "[service.alpha]\n",
            "[service.gamma]\ncontext = \"gamma\"\ndockerfile = \"files/gamma\"\ncontexts = { one = \"lib/\", two = \"target:delta\" }\n\
             [service.delta]\ncontext = \"delta\"\ndockerfile = \"delta/Dockerfile\"\n\
             [service.alpha]\ncontext = \"alpha\"\n",
        );
        history.repository.write("xtask/images.toml", &manifest);
        for file in ["files/gamma", "delta/Dockerfile"] {
            history.repository.write(file, "FROM scratch\nCOPY file /\n");
        }
        for file in ["gamma/file", "delta/file", "lib/file", "elsewhere/file"] {
            history.repository.write(file, "1");
        }
        history.repository.write("delta/.dockerignore", "docs\n");
        history.commit();
    };
    let cases: [(&str, &[&str]); 10] = [
        // The base's context is the repository.
        ("elsewhere/file", &[BETA]),
        ("alpha/notes", &[ALPHA, BETA]),
        ("gamma/file", &[BETA, GAMMA]),
        ("files/gamma", &[BETA, GAMMA]),
        // Docker looks for it beside the Dockerfile, not in the context.
        ("files/gamma.dockerignore", &[BETA, GAMMA]),
        ("lib/file", &[BETA, GAMMA]),
        // Ignored by the context, and the ignore file itself.
        ("delta/docs/file", &[BETA]),
        ("delta/.dockerignore", &[BETA, DELTA, GAMMA]),
        ("delta/file", &[BETA, DELTA, GAMMA]),
        ("delta/Dockerfile", &[BETA, DELTA, GAMMA]),
    ];
    for (path, expected) in cases {
        let history = History::new();
        no_lists(&history);
        history.repository.write(path, "FROM scratch\n");
        let mut planned = history.planned("HEAD");
        planned.sort();
        assert_eq!(planned, expected, "{path}");
    }
}

#[test]
fn a_service_that_is_new_is_built() {
    let history = History::new();
    let manifest = history.repository.read("xtask/images.toml");
    let (known, _) = manifest.split_once("[service.beta]").unwrap();
    history.repository.write("xtask/images.toml", known);
    history.commit();
    history.repository.write("xtask/images.toml", &manifest);
    assert_eq!(history.planned("HEAD"), [BETA]);
    // Before there was a manifest at all, everything is new.
    history.git(&["rm", "--quiet", "--cached", "xtask/images.toml"]);
    history.git(&["commit", "--quiet", "--message=x"]);
    assert_eq!(history.planned("HEAD"), [ALPHA, BETA]);
}

#[test]
fn a_check_of_what_changed_looks_at_nothing_else() {
    let history = History::new();
    let output =
        history.run(&["check", "--edition", "all", "--format", "markdown", "--changed-since", "HEAD"]);
    let text = told(&output, &history.repository);
    assert!(output.status.success() && text.contains("0 images checked"), "{text}");
}

#[test]
fn a_commit_that_is_not_there_is_wrong_usage_with_a_remedy() {
    let history = History::new();
    let refused = |output: Output, words: &[&str]| {
        let text = told(&output, &history.repository);
        assert_eq!(output.status.code(), Some(2), "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "{word} is not in\n{text}"));
    };
    let output = history.run(&["build-images", "--changed-since", "origin/gone"]);
    snapshot!("changed_since_nothing", output, history.repository);
    for name in ["--changed-since=", "--changed-since=--all", "--changed-since=HEAD:alpha"] {
        refused(history.run(&["build-images", name]), &["unknown commit", "git fetch"]);
    }
    refused(history.run(&["build-images", "alpha", "--changed-since", "HEAD"]), &["cannot be used with"]);

    history.repository.write("alpha/hello", "new");
    history.commit();
    let clone = Folder::new();
    let source = format!("file://{}", history.repository.0.display());
    git(&clone.0, &["clone", "--quiet", "--depth=1", &source, "."]);
    let output = run(&history.docker, &clone, &["build-images", "--changed-since", "HEAD~1"]);
    refused(output, &["this clone is shallow", "git fetch --unshallow", "fetch-depth: 0"]);

    let bare = repository("fx");
    refused(run(&history.docker, &bare, &["check", "--changed-since", "HEAD"]), &["not a git repository"]);
}

#[test]
fn without_git_it_is_the_environments_fault() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let output = run(&docker, &repository, &["build-images", "--changed-since", "HEAD"]);
    let text = told(&output, &repository);
    assert!(output.status.code() == Some(3) && text.contains("no `git` on PATH"), "{text}");
}
