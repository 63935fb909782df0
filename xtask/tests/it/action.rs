//! The action for other repositories: its scripts, with a server in place of GitHub and a script in place of `images`.

/// Tests that `cargo xtask ci --full` alone runs: GitHub's runners have Python and curl; a build machine may not.
mod full {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Output};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use crate::support::Folder;
    use crate::support::service::{answer, service};

    /// Answers each command as the real program does, and notes it.
    const IMAGES: &str = r####"#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
    estimate*before-this-change*) [ -z "$ESTIMATE" ] || echo "### $ESTIMATE with sizes" ;;
    estimate*) [ -z "$ESTIMATE" ] || echo "### $ESTIMATE"; exit "${ESTIMATED:-0}" ;;
    "build-images --keep-going --changed-since"*) exit "$BUILT" ;;
    "check --changed-since HEAD^1 --allow-growth "*markdown) echo "### allowed growth" ;;
    "check --changed-since"*markdown) echo "### 2 images checked @someone"; exit "$CHECKED" ;;
    "check --changed-since"*json)
        echo '{"images": [{"service": "vote", "edition": "", "image": "v-vote:latest", "measured": {}},
            {"service": "new", "edition": "", "image": "v-new:latest", "measured": {}},
            {"service": "gone", "edition": "", "image": "v-gone:latest", "measured": null}]}' ;;
    "check --tag "*)
        [ -f "${*##*--root }/compose.yaml" ] || exit 2
        echo '{"images": [{"service": "vote", "edition": "", "image": "v-vote:before", "measured": null}]}'; exit 1 ;;
    "check vote --tag "*)
        echo '{"images": [{"service": "vote", "edition": "", "image": "v-vote:before", "measured": {}}]}'; exit 1 ;;
    why*) echo "### v-vote:before 10.0 MB → v-vote:latest 12.0 MB: +2.0 MB" ;;
esac
"####;

    /// A repository with a manifest in its first commit, and what the action finds around it.
    struct Job {
        folder: Folder,
        seen: Arc<Mutex<Vec<String>>>,
        port: u16,
    }

    fn action() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/action")
    }

    fn executable(folder: &Folder, name: &str, text: &str) {
        folder.write(name, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.0.join(name), mode).unwrap();
    }

    impl Job {
        /// `comments`: those of the pull request so far. `status`: of what is posted.
        fn new(comments: &Value, status: u16) -> Job {
            let folder = Folder::new();
            executable(&folder, "bin/images", IMAGES);
            // Its services are those of the Compose file.
            folder.write("repository/images.toml", "schema = 2\n");
            folder.write("repository/compose.yaml", "services: {vote: {build: vote}}\n");
            folder.write("event.json", &json!({"pull_request": {"number": 7}}).to_string());
            let git = |args: &[&str]| {
                let mut command = Command::new("git");
                let done = command.args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
                assert!(
                    done.current_dir(folder.0.join("repository")).status().unwrap().success(),
                    "{args:?}"
                );
            };
            git(&["init", "--quiet"]);
            git(&["add", "."]);
            git(&["commit", "--quiet", "--message", "base"]);
            git(&["commit", "--quiet", "--allow-empty", "--message", "change"]);
            let seen = Arc::new(Mutex::new(Vec::new()));
            let (heard, comments) = (Arc::clone(&seen), comments.to_string());
            let port = service(move |request| {
                heard.lock().unwrap().push(request.to_owned());
                match request.starts_with("GET ") {
                    true => answer(200, "application/json", comments.as_bytes()),
                    false => answer(status, "application/json", b"{}"),
                }
            });
            Job { folder, seen, port }
        }

        fn report(&self, variables: &[(&str, &str)]) -> Output {
            let path = format!("{}:{}", self.folder.0.join("bin").display(), std::env::var("PATH").unwrap());
            Command::new("python3")
                .arg(action().join("report.py"))
                .current_dir(self.folder.0.join("repository"))
                .env_clear()
                .envs([("PATH", path.as_str()), ("BASE", "HEAD^1"), ("OWNERS", "true"), ("COMMENT", "true")])
                .envs([
                    ("TOKEN", "secret-token"),
                    ("GITHUB_REPOSITORY", "o/r"),
                    ("BUILT", "0"),
                    ("CHECKED", "0"),
                ])
                .env("GITHUB_API_URL", format!("http://127.0.0.1:{}", self.port))
                .env("GITHUB_EVENT_PATH", self.folder.0.join("event.json"))
                .env("GITHUB_STEP_SUMMARY", self.folder.0.join("summary.md"))
                .env("CALLS", self.folder.0.join("calls"))
                .envs(variables.iter().copied())
                .output()
                .unwrap()
        }

        /// The comments that were posted.
        fn comments(&self) -> Vec<String> {
            let seen = self.seen.lock().unwrap();
            let bodies = seen.iter().filter_map(|request| request.split_once("\r\n\r\n"));
            let bodies = bodies.filter_map(|(_, body)| serde_json::from_str::<Value>(body).ok());
            bodies.map(|body| body["body"].as_str().unwrap().to_owned()).collect()
        }

        /// The first line of each request, and the body of the last.
        fn requests(&self) -> (Vec<String>, String) {
            let seen = self.seen.lock().unwrap();
            let first = |request: &String| request.split(" HTTP/").next().unwrap_or_default().to_owned();
            let body = seen.last().and_then(|request| request.split_once("\r\n\r\n")).map(|(_, body)| body);
            (seen.iter().map(first).collect(), body.unwrap_or_default().to_owned())
        }
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn a_pull_request_gets_one_comment_with_growth_by_owner() {
        let job = Job::new(&json!([]), 201);
        let output = job.report(&[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (requests, body) = job.requests();
        assert_eq!(
            requests,
            ["GET /repos/o/r/issues/7/comments?per_page=100&page=1", "POST /repos/o/r/issues/7/comments"]
        );
        let body: Value = serde_json::from_str(&body).unwrap();
        let body = body["body"].as_str().unwrap();
        for part in
            ["<!-- sizes", "2 images checked", "→ v-vote:latest 12.0 MB: +2.0 MB", "v-new:latest: nothing"]
        {
            assert!(body.contains(part), "{part} is not in {body}");
        }
        assert!(!body.contains("@someone") && !body.contains("v-gone"), "{body}");
        assert_eq!(format!("<!-- sizes of changed images -->\n{}", job.folder.read("summary.md")), body);
        // The real program takes every command.
        for call in job.folder.read("calls").lines() {
            let mut real = Command::new(env!("CARGO_BIN_EXE_images"));
            let help = real.args(call.split(' ')).arg("--help").output().unwrap();
            assert!(help.status.success(), "{call}: {}", String::from_utf8_lossy(&help.stderr));
        }
        let mut git = Command::new("git");
        let list = git.args(["worktree", "list"]).current_dir(job.folder.0.join("repository")).output();
        let list = list.unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&list).lines().count(), 1, "the base commit was left behind");
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn the_next_run_updates_the_comment_of_the_action_alone() {
        let comment =
            |id: u32, login: &str, body: &str| json!({"id": id, "user": {"login": login}, "body": body});
        let marker = "<!-- sizes of changed images -->";
        let job = Job::new(
            &json!([
                comment(11, "a-person", marker),
                comment(12, "github-actions[bot]", "of another workflow"),
                comment(13, "github-actions[bot]", &format!("{marker}\nold")),
            ]),
            200,
        );
        assert!(job.report(&[("OWNERS", "false")]).status.success());
        assert_eq!(job.requests().0.last().unwrap(), "PATCH /repos/o/r/issues/comments/13");
        assert!(!job.folder.read("calls").contains("why"), "owners were not asked for");
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn failures_fail_the_job_after_the_report() {
        for (variable, status, code) in [("BUILT", "1", 1), ("CHECKED", "1", 1), ("CHECKED", "3", 3)] {
            let job = Job::new(&json!([]), 201);
            let output = job.report(&[(variable, status)]);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{variable}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            // Without an engine there is no report.
            assert_eq!(job.requests().0.len(), if code == 1 { 2 } else { 0 }, "{variable}={status}");
        }
        // A fork's token may not comment: the summary remains.
        let job = Job::new(&json!([]), 403);
        let output = job.report(&[]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("::warning::No comment: HTTP status 403"), "{said}");
        assert!(job.folder.read("summary.md").contains("2 images checked"));
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn changed_lock_files_are_in_the_comment_before_the_build() {
        let job = Job::new(&json!([]), 201);
        let estimate = [("ESTIMATE", "a @scope/package")];
        assert!(job.report(&estimate).status.success());
        let comments = job.comments();
        let [first, second, last] = comments.as_slice() else { panic!("{comments:?}") };
        let building = "The images are being built.";
        assert!(first.contains("### a @\u{2060}scope/package\n") && first.contains(building), "{first}");
        assert!(second.contains("package with sizes") && second.contains(building), "{second}");
        assert!(last.contains("2 images checked") && !last.contains(building), "{last}");
        assert!(last.ends_with("### a @\u{2060}scope/package with sizes\n\n</details>\n"), "{last}");
        // Sizes come from the base commit's images, which exist before the change is built.
        let calls = job.folder.read("calls");
        let at = |start: &str| calls.lines().position(|call| call.starts_with(start)).unwrap();
        let sizes = "estimate --changed-since HEAD^1 --tag before-this-change";
        assert!(at("build-images --keep-going vote --tag") < at(sizes), "{calls}");
        assert!(at(sizes) < at("build-images --keep-going --changed-since"), "{calls}");
        // Without the base commit's images, one estimate.
        let job = Job::new(&json!([]), 201);
        let variables = [estimate[0], ("OWNERS", "false"), ("EDITION", "all"), ("REGISTRIES", "true")];
        assert!(job.report(&variables).status.success());
        assert_eq!(job.comments().len(), 2);
        let first = "estimate --changed-since HEAD^1 --ask-registries --format markdown\n";
        assert!(job.folder.read("calls").starts_with(first));
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn an_estimate_is_never_left_as_if_a_build_were_running() {
        let job = Job::new(&json!([]), 201);
        let output = job.report(&[("ESTIMATE", "locks"), ("CHECKED", "3")]);
        assert_eq!(output.status.code(), Some(3));
        let comments = job.comments();
        assert!(comments.last().unwrap().contains("The images were not checked."), "{comments:?}");
        // A program of an earlier release has no `estimate`.
        let job = Job::new(&json!([]), 201);
        assert!(job.report(&[("ESTIMATED", "2")]).status.success());
        assert_eq!(job.comments().len(), 1);
        // A fork's token may not comment: one attempt, one warning.
        let job = Job::new(&json!([]), 403);
        let output = job.report(&[("ESTIMATE", "locks")]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.matches("::warning::").count() == 1, "{said}");
        assert!(job.folder.read("summary.md").contains("2 images checked"));
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn only_the_configured_label_of_the_pull_request_allows_growth() {
        const LABEL: &str = "accept-image-growth";
        let pull = |labels: Value| json!({"number": 7, "labels": labels});
        let named = |name: &str| json!({"name": name});
        let labeled = |name: &str, login: &str| {
            json!({"action": "labeled", "label": named(name), "sender": {"login": login},
                "pull_request": pull(json!([named(LABEL), named("other")]))})
        };
        let job = Job::new(&json!([]), 201);
        for (event, label, allowed) in [
            (json!({"pull_request": pull(json!([named("other"), named(LABEL)]))}), LABEL, Some("")),
            (labeled(LABEL, "some-one"), LABEL, Some(", added by some-one")),
            (labeled(LABEL, "an-app[bot]"), LABEL, Some(", added by an-app[bot]")),
            (labeled("other", "some-one"), LABEL, Some("")),
            (labeled(LABEL, "x`\n::error::y"), LABEL, Some("")),
            (labeled(LABEL, "some-one"), "", None),
            (labeled(LABEL, "some-one"), "allow", None),
            (
                json!({"pull_request": pull(json!([named("accept-image-growth\n::stop-commands::x")]))}),
                LABEL,
                None,
            ),
            (
                json!({"pull_request": pull(json!([named("\"; touch pwned; \""), named("$(touch pwned)")]))}),
                LABEL,
                None,
            ),
            (json!({"pull_request": pull(json!([]))}), LABEL, None),
            (json!({"pull_request": {"number": 7}}), LABEL, None),
            // A push event has no pull request, so it has no labels.
            (json!({"ref": "refs/heads/main", "labels": [named(LABEL)]}), LABEL, None),
        ] {
            job.folder.write("event.json", &event.to_string());
            job.folder.write("calls", "");
            let output = job.report(&[("LABEL", label), ("CHECKED", "1"), ("OWNERS", "false")]);
            assert_eq!(output.status.success(), allowed.is_some(), "{event}");
            let calls = job.folder.read("calls");
            let call = calls.lines().find(|call| call.starts_with("check ")).unwrap();
            let expected = match allowed {
                Some(user) => format!(
                    "check --changed-since HEAD^1 --allow-growth label {label}{user} --format markdown"
                ),
                None => "check --changed-since HEAD^1 --format markdown".to_owned(),
            };
            assert_eq!(call, expected, "{event}");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(!said.contains("stop-commands") && !said.contains("pwned"), "{said}");
        }
        assert!(!job.folder.0.join("repository/pwned").exists());
    }

    #[test]
    #[ignore = "needs Python: `cargo xtask ci --full` runs it"]
    fn without_a_pull_request_or_an_api_the_report_is_a_summary() {
        let unreachable = [("GITHUB_API_URL", "http://127.0.0.1:9")];
        for (event, variables, said) in [
            (Some(json!({"ref": "refs/heads/main"}).to_string()), &[][..], "this is not a pull request"),
            (Some("[1".to_owned()), &[], "this is not a pull request"),
            (Some("[1]".to_owned()), &[], "this is not a pull request"),
            (None, &[], "this is not a pull request"),
            (Some(json!({"pull_request": {"number": 7}}).to_string()), &unreachable, "::warning::No comment"),
        ] {
            let job = Job::new(&json!([]), 201);
            match &event {
                Some(text) => job.folder.write("event.json", text),
                None => fs::remove_file(job.folder.0.join("event.json")).unwrap(),
            }
            let output = job.report(variables);
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success() && stdout.contains(said), "{event:?}: {stdout}");
            assert_eq!(job.requests().0, Vec::<String>::new(), "{event:?}");
            assert!(job.folder.read("summary.md").contains("2 images checked"), "{event:?}");
        }
    }

    /// Runs the download against a server of this release's files.
    fn fetch(program: &'static str, sums: String, version: &str, sha256: &str) -> (Folder, Output) {
        let port = service(move |request| match request.split(' ').nth(1).unwrap_or_default() {
            "/o/r/releases/download/v1.2.0/SHA256SUMS" => answer(200, "text/plain", sums.as_bytes()),
            path if path.starts_with("/o/r/releases/download/v1.2.0/images-linux-") => {
                answer(200, "application/octet-stream", program.as_bytes())
            }
            _ => answer(404, "text/plain", b""),
        });
        let folder = Folder::new();
        let output = Command::new("bash")
            .arg(action().join("fetch.sh"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .envs([("VERSION", version), ("SHA256", sha256), ("REPOSITORY", "o/r")])
            .env("GITHUB_SERVER_URL", format!("http://127.0.0.1:{port}"))
            .env("RUNNER_TEMP", &folder.0)
            .env("GITHUB_PATH", folder.0.join("path"))
            .output()
            .unwrap();
        (folder, output)
    }

    #[test]
    #[ignore = "needs curl: `cargo xtask ci --full` runs it"]
    fn only_the_program_of_the_release_is_run() {
        const PROGRAM: &str = "#!/bin/sh\ntouch \"$RUNNER_TEMP/was-run\"\n";
        let sum = |text: &str| {
            let folder = Folder::new();
            folder.write("x", text);
            let output = Command::new("sha256sum").arg(folder.0.join("x")).output().unwrap();
            String::from_utf8_lossy(&output.stdout)[..64].to_owned()
        };
        let sums = |sum: &str| format!("{sum}  images-linux-amd64\n{sum}  images-linux-arm64\n");
        let (right, wrong) = (sum(PROGRAM), sum("another"));
        for (sums, version, pinned, is_run) in [
            (sums(&right), "v1.2.0", "", true),
            (sums(&right), "1.2.0", right.as_str(), true),
            (String::new(), "v1.2.0", right.as_str(), true),
            (sums(&wrong), "v1.2.0", "", false),
            (sums(&right), "v1.2.0", wrong.as_str(), false),
            (String::new(), "v1.2.0", "", false),
            (sums(&right), "v1.3.0", "", false),
            (sums(&right), "main", "", false),
            (sums(&right), "v1.2.0/../..", "", false),
        ] {
            let (folder, output) = fetch(PROGRAM, sums.clone(), version, pinned);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(folder.0.join("was-run").exists(), is_run, "{version} {pinned}: {said}");
            assert_eq!(output.status.success(), is_run, "{version} {pinned}: {said}");
            assert_eq!(folder.read("path").is_empty(), !is_run, "{version} {pinned}");
            assert!(
                is_run || said.contains("::error::") || said.contains("FAILED") || !pinned.is_empty(),
                "{said}"
            );
        }
    }
}
