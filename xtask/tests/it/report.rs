//! `report`, from records that other commands leave in a fresh checkout, with a docker that replays transcripts.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, Folder, repository, told, xtask};
use host::render::Render;
use serde_json::{Value, json};

/// A git checkout with two services, and an engine with the optimized image of one.
struct Checkout {
    folder: Folder,
    docker: FakeDocker,
}

impl Checkout {
    fn new() -> Checkout {
        let folder = repository("fx");
        let toml = folder.read("xtask/images.toml");
        let benefit = "[benefit.size]\nname = \"Images, unpacked\"\nguide = 58\n[benefit.start]\nname = \"Start\"\nguide = [20, 30]\ngoal = 60\n";
        folder.write("xtask/images.toml", &format!("{toml}{benefit}"));
        folder.write(".gitignore", "/target\n");
        let tar = LayerTar::new().program("hello", 0o755, &vec![7; 1_200_000]);
        let image = Saved::new("fx-alpha:latest-simple-optimized", vec![("COPY alpha/hello /hello", tar)])
            .config(json!({"Cmd": ["/hello"], "User": "65532:65532"}));
        let all = json!([image.inspect()]).to_string();
        let docker = FakeDocker::new()
            .alive()
            .on("image inspect*", 1, &all, "Error: No such image: x\n")
            .on(&format!("history*{}", image.id()), 0, &image.history(), "")
            .on_bytes(&format!("save {}", image.id()), &image.save(Layout::Oci));
        let git = ["/usr/bin", "/usr/local/bin", "/bin"].map(|bin| Path::new(bin).join("git"));
        let git = git.iter().find(|git| git.exists()).expect("git is needed");
        symlink(git, docker.folder.0.join("bin/git")).unwrap();
        let checkout = Checkout { folder, docker };
        checkout.git(&["init", "--quiet", "--initial-branch=main"]);
        checkout.commit("begin");
        checkout
    }

    fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]);
        git.args(args).current_dir(&self.folder.0).env_clear();
        git.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.folder.0);
        for name in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
            git.env(name, "2026-01-02T03:04:05Z");
        }
        let output = git.output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn commit(&self, subject: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", subject]);
    }

    fn run(&self, args: &[&str]) -> Output {
        xtask(&self.docker.folder.0.join("bin"), &self.folder, args)
            .env("FAKE_DOCKER", &self.docker.folder.0)
            .output()
            .unwrap()
    }

    fn markdown(&self) -> String {
        let output = self.run(&["report", "--format", "markdown"]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output, &self.folder));
        String::from_utf8(output.stdout).unwrap()
    }

    fn page(&self) -> String {
        let output = self.run(&["report"]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output, &self.folder));
        let path = String::from_utf8(output.stdout).unwrap();
        assert_eq!(Path::new(path.trim()), self.folder.0.join("target/xtask/report.html"));
        self.folder.read("target/xtask/report.html")
    }
}

/// Replaces commit IDs, which differ between checkouts.
fn steady(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n', '`', ',', ':']);
    let is_hash = |word: &str| word.len() == 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    words
        .map(|word| {
            let bare = word.trim_end_matches([' ', '\n', '`', ',', ':']);
            if is_hash(bare) { word.replacen(bare, "[COMMIT]", 1) } else { word.to_owned() }
        })
        .collect()
}

#[test]
fn without_records_it_names_the_commands_that_make_them() {
    let checkout = Checkout::new();
    let calls = checkout.docker.calls().len();
    insta::assert_snapshot!("report_of_nothing", steady(&checkout.markdown()));
    let page = checkout.page();
    assert!(page.contains("No records yet") && page.contains("not measured"), "{page}");
    assert_eq!(checkout.docker.calls().len(), calls, "docker was called");
}

#[test]
fn records_are_shown_without_ratios_to_figures_of_the_guide() {
    let checkout = Checkout::new();
    checkout.run(&["compare"]);
    let checked = checkout.run(&["check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", told(&checked, &checkout.folder));
    insta::assert_snapshot!("report_of_a_check", steady(&checkout.markdown()));
    let page = checkout.page();
    assert!(!page.contains("class=\"stale\" role=\"note\"><b>Sizes"), "fresh sizes are marked stale");
    for words in ["1.2MB", "Not analyzed", "(100MB)", "not measured", "Smoke tests", "beta"] {
        assert!(page.contains(words), "no `{words}` in the page");
    }
    for ratio in [" % saved", " % less", " % smaller", " less</span>"] {
        assert!(!page.contains(ratio), "`{ratio}`: a ratio to a figure of the guide");
    }
    let json: Value = serde_json::from_slice(&checkout.run(&["report", "--format", "json"]).stdout).unwrap();
    assert_eq!((&json["schema"], &json["editions"][0]["sizes"]["state"]), (&json!(1), &json!("fresh")));
}

#[test]
fn stale_and_unusable_records_are_shown_with_the_reason() {
    let checkout = Checkout::new();
    checkout.run(&["compare"]);
    checkout.folder.write("alpha/hello", "changed");
    assert!(
        checkout.markdown().contains("> Sizes are stale: files have changed since (commit "),
        "a changed file"
    );
    checkout.commit("next");
    let text = checkout.markdown();
    assert!(text.contains("> Sizes are stale: recorded at commit "), "{text}");
    assert!(text.contains("`cargo xtask compare --edition simple --tag latest`"), "{text}");
    assert!(checkout.page().contains("Sizes are stale"));
    let other = checkout.run(&["report", "--format", "markdown", "--tag", "1.0"]);
    let other = String::from_utf8(other.stdout).unwrap();
    assert!(other.contains("No records yet"), "a record of another tag was used: {other}");

    let path = "target/xtask/records/comparison-simple.json";
    let record = checkout.folder.read(path);
    checkout.folder.write(path, &record.replacen("\"schema\": 1", "\"schema\": 9", 1));
    checkout.run(&["check"]);
    let text = checkout.markdown();
    assert!(
        text.contains("Sizes are missing: unusable record: it has schema 9, this version reads 1"),
        "{text}"
    );
    checkout.folder.write(path, "{\"schema\": 1, \"of");
    assert!(checkout.markdown().contains("unusable record: it is damaged: "));
}

#[test]
fn the_page_of_a_full_report_stays_small() {
    let report = crate::support::report::report();
    insta::assert_snapshot!("report_of_everything", report.markdown());
    let page = release::report::render::html(&report);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
    let words = ["97.5 %", "no difference", "not measured", "Left out", "hidden by later layers"];
    let traced = ["--opened:50.0%", "how much of it was opened", "<b>Not traced</b>: storage, client"];
    for words in words.into_iter().chain(traced) {
        assert!(page.contains(words), "no `{words}` in the page");
    }
    assert!(
        page.contains("/status was &quot;ok&quot;, is &quot;&lt;none&gt;&quot;"),
        "the reason of a failed probe is escaped"
    );
}

#[test]
fn the_history_of_the_lock_comes_from_git_and_is_escaped() {
    let checkout = Checkout::new();
    let row = |own: u64| {
        format!(
            "schema = 1\n[alpha]\nsimple.\"linux/amd64\" = {{ own = {own}, base = 0, accepted = \"2026-01-01\", reason = \"r\" }}\n"
        )
    };
    checkout.folder.write("xtask/sizes.lock.toml", &row(1_000_000));
    checkout.commit("first baselines");
    checkout.folder.write("xtask/sizes.lock.toml", &row(3_500_000));
    checkout.commit("<script>alert(1)</script> & co");
    let page = checkout.page();
    assert!(
        page.contains("alpha simple: 3.5MB, +2.5MB") && page.contains("alpha simple: 1MB, new"),
        "{page}"
    );
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; co"), "{page}");
    assert!(!page.contains("<script>alert(1)"), "a commit's subject is not escaped");
    // One file without external requests.
    for reference in ["src=\"", "@import", "url("] {
        assert!(!page.contains(reference), "{reference} in the page");
    }
    assert!(page.contains("default-src 'none'"));
}
