//! The action's script with the real program and a real engine: a pull request with a larger package.

/// Tests that `cargo xtask ci --full` alone runs: GitHub's runners have Python; a build machine may not.
mod full {
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::process::{Command, Output};
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use crate::changes::git;
    use crate::support::service::{answer, service};
    use crate::support::{Folder, Site};

    const LABEL: &str = "accept-image-growth";

    /// Lodash in a version, as npm installs and locks it.
    fn lodash(site: &Site, version: &str, bytes: usize) {
        let package = json!({"name": "lodash", "version": version});
        let locked = json!({"version": version});
        let lock = json!({"lockfileVersion": 3, "packages": {"node_modules/lodash": locked}});
        site.folder.write("vote/package-lock.json", &lock.to_string());
        site.folder.write("vote/node_modules/lodash/package.json", &package.to_string());
        site.folder.write("vote/node_modules/lodash/index.js", &"/".repeat(bytes));
        site.folder.write("vote/node_modules/lodash/LICENSE", "MIT");
    }

    fn commit(site: &Site) {
        git(&site.folder.0, &["add", "--all", "--force"]);
        git(&site.folder.0, &["commit", "--quiet", "--message=x"]);
    }

    /// The base commit with an accepted size, and a change.
    fn repository() -> Site {
        let site = Site { folder: Folder::new(), prefix: format!("xt-action-{}", std::process::id()) };
        let manifest = format!(
            "schema = 2\nproject = \"{0}\"\n[service.vote]\nimage = \"{0}-vote\"\ncontext = \"vote\"\n",
            site.prefix
        );
        site.folder.write("images.toml", &manifest);
        site.folder.write("vote/Dockerfile", "FROM scratch\nCOPY . /app\nUSER 65532\n");
        lodash(&site, "4.17.20", 1_000_000);
        git(&site.folder.0, &["init", "--quiet"]);
        for args in [&["build-images"][..], &["check", "--accept", "--reason", "first"]] {
            let mut images = Command::new(env!("CARGO_BIN_EXE_images"));
            let output = images.args(args).current_dir(&site.folder.0).output().unwrap();
            assert!(output.status.success(), "{}", site.told(&output));
        }
        std::fs::remove_dir_all(site.folder.0.join(".images")).unwrap();
        commit(&site);
        lodash(&site, "4.17.21", 6_000_000);
        commit(&site);
        site
    }

    /// Runs the action; returns its comments.
    fn action(site: &Site, labels: &Value) -> (Output, Vec<String>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        let port = service(move |request| {
            let body = request.split_once("\r\n\r\n").map(|(_, body)| body);
            if let Some(body) = body.and_then(|body| serde_json::from_str::<Value>(body).ok()) {
                heard.lock().unwrap().push(body["body"].as_str().unwrap_or_default().to_owned());
            }
            answer(200, "application/json", b"[]")
        });
        let run = Folder::new();
        std::fs::create_dir(run.0.join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_images"), run.0.join("bin/images")).unwrap();
        run.write("event.json", &json!({"pull_request": {"number": 7, "labels": labels}}).to_string());
        let path = format!("{}:{}", run.0.join("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/action/report.py"))
            .current_dir(&site.folder.0)
            .envs([("PATH", path.as_str()), ("BASE", "HEAD^1"), ("OWNERS", "true"), ("COMMENT", "true")])
            .envs([
                ("TOKEN", "x"),
                ("GITHUB_REPOSITORY", "o/r"),
                ("LABEL", LABEL),
                ("GITHUB_ACTIONS", "true"),
            ])
            .env("GITHUB_API_URL", format!("http://127.0.0.1:{port}"))
            .env("GITHUB_EVENT_PATH", run.0.join("event.json"))
            .env("GITHUB_STEP_SUMMARY", run.0.join("summary.md"))
            .output()
            .unwrap();
        let comments = seen.lock().unwrap().clone();
        (output, comments)
    }

    fn said(output: &Output) -> String {
        String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
    }

    #[test]
    #[ignore = "needs an engine and Python: `cargo xtask ci --full` runs it"]
    fn a_pull_request_is_estimated_checked_and_accepted_by_a_label() {
        let _turn = crate::support::turn::take(module_path!());
        let site = repository();
        let (output, comments) = action(&site, &json!([]));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let [first, second, last] = comments.as_slice() else { panic!("{comments:?}\n{}", said(&output)) };
        let row = |after: &str| format!("| unknown | lodash | 4.17.20 | 4.17.21 | {after} | unknown |");
        // Nothing in the engine has the old tag, except what this test built for the lock.
        assert!(first.contains(&row("1MB")) && first.contains("are being built"), "{first}");
        assert!(second.contains(&row("1MB")) && second.contains("tagged before-this-change"), "{second}");
        for part in [
            "1 breach.",
            "5MB above the baseline of 1MB",
            "lodash 4.17.20 → 4.17.21",
            "Estimate before the build",
        ] {
            assert!(last.contains(part), "{part} is not in {last}");
        }
        // Images that were not built yet are not errors.
        assert_eq!(said(&output).matches("::error").count(), 1, "{}", said(&output));
        let (output, comments) = action(&site, &json!([{"name": LABEL}]));
        let last = comments.last().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert!(
            last.contains("no breaches.") && last.contains(&format!("growth allowed: label {LABEL}")),
            "{last}"
        );
        assert!(last.contains("check vote --tag latest --accept"), "{last}");
        assert_eq!(said(&output).matches("::error").count(), 0, "{}", said(&output));
        // Neither images of the base commit nor changes of the repository are left.
        assert_eq!(site.tag_names(), ["P-vote:latest"]);
        assert_eq!(git(&site.folder.0, &["status", "--porcelain"]), "");
        assert_eq!(git(&site.folder.0, &["worktree", "list"]).lines().count(), 1);
    }
}
