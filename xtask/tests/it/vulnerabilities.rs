//! `vulnerabilities`, on an image made in memory, with a curl that replays what sources answered.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use crate::support::elf::auditable;
use crate::support::images::metadata;
use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, Folder, repository, told};
use serde_json::{Value, json};

/// Answers each URL that fits a pattern with a file, and every other as if its host were unknown. Prints what was posted.
pub const CURL: &str = r#"#!/bin/sh
index=0
while [ $# -gt 0 ]; do
    case $1 in
        --output) out=$2; shift ;;
        --data-binary) cat >> "$FAKE_DOCKER/posted" ;;
        --url)
            echo "$2" >> "$FAKE_DOCKER/urls"
            line="000 Could not resolve host: example"
            for url in "$FAKE_DOCKER"/curl/*.url; do
                if [ -e "$url" ] && [ "$(cat "$url")" = "$2" ]; then
                    line="$(cat "${url%.url}.status") "
                    cat "${url%.url}.body" > "$out"
                fi
            done
            echo "$index $line"
            index=$((index + 1))
            shift ;;
    esac
    shift
done
"#;

const TRACKER: &str = "https://security-tracker.debian.org/tracker/data/json";
const RUSTSEC: &str = "https://github.com/RustSec/advisory-db/archive/refs/heads/main.tar.gz";
/// The index and the registry that pip and npm are configured with.
pub const PIP: &str = "#!/bin/sh\necho '  -i, --index-url <url>  Base URL of the Python Package Index (default https://python.example/simple).'\n";
pub const NPM_CLI: &str = "#!/bin/sh\necho https://npm.example/\n";
const JINJA: &str = "https://python.example/pypi/jinja2/3.1.4/json";
const JINJA_NEWEST: &str = "https://python.example/pypi/jinja2/json";
const NPM: &str = "https://npm.example/-/npm/v1/security/advisories/bulk";

/// What Debian's tracker says if it knows nothing with a fix.
const TRACKER_UNFIXED: &str =
    r#"{"openssl": {"CVE-2025-0": {"releases": {"trixie": {"status": "open", "urgency": "unimportant"}}}}}"#;

/// An image with something from every registry.
fn image() -> Saved {
    let site = "usr/lib/python3/dist-packages/jinja2-3.1.4.dist-info";
    let status = "Package: libssl3t64\nSource: openssl\nVersion: 3.5.1-1\nArchitecture: amd64\n";
    let release = "ID=debian\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n";
    let tar = LayerTar::new()
        .file("usr/lib/os-release", release)
        .file("var/lib/dpkg/status.d/libssl3t64", status)
        .file("var/lib/dpkg/status.d/libssl3t64.md5sums", "")
        .file(&format!("{site}/METADATA"), metadata("Jinja2", "3.1.4"))
        .file(&format!("{site}/RECORD"), "")
        .file("app/node_modules/left/package.json", r#"{"name":"left","version":"1.2.3"}"#)
        .program("usr/local/bin/server", 0o755, &auditable(&[("tokio", "1.8.0"), ("serde", "1.0.1")]))
        .program("usr/local/bin/tool", 0o755, &[0x7f, b'E', b'L', b'F']);
    Saved::new("fx-alpha:latest-simple-optimized", vec![("COPY / / # buildkit", tar)])
}

struct Machine {
    docker: FakeDocker,
    repository: Folder,
}

impl Machine {
    fn new(image: &Saved) -> Machine {
        let docker = FakeDocker::new().alive().holds(image, Layout::Oci);
        for (program, script) in [("bin/curl", CURL), ("bin/python3", PIP), ("bin/npm", NPM_CLI)] {
            docker.folder.write(program, script);
            fs::set_permissions(docker.folder.0.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Machine { docker, repository: repository("fx") }
    }

    fn answers(self, url: &str, status: u16, body: impl AsRef<[u8]>) -> Machine {
        let name = format!("curl/{}", url.replace(['/', ':'], "_"));
        self.docker.folder.write(&format!("{name}.url"), url);
        self.docker.folder.write(&format!("{name}.status"), &status.to_string());
        fs::write(self.docker.folder.0.join(format!("{name}.body")), body).unwrap();
        self
    }

    /// Every source but the archive, which a build asks, answers.
    fn that_answers(self) -> Machine {
        let tracker = json!({"openssl": {
            "CVE-2025-9230": {"description": "Out-of-bounds read & write in RFC 3211 KEK Unwrap, which the text goes on to explain",
                "releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.1-1+deb13u1", "urgency": "not yet assigned"}}},
            "CVE-2025-0": {"releases": {"trixie": {"status": "open", "urgency": "unimportant"}}}}});
        let jinja = json!({"info": {"version": "3.1.4"}, "vulnerabilities": [{"id": "GHSA-cpwx-vrp4-4pq7",
            "aliases": ["CVE-2025-27516"], "fixed_in": ["3.1.6"], "summary": "Sandbox breakout", "withdrawn": null}]});
        let left = json!({"left": [{"id": 1, "url": "https://github.com/advisories/GHSA-left", "title": "Pads too far",
            "severity": "critical", "vulnerable_versions": "<1.3.0"}]});
        self.answers(TRACKER, 200, tracker.to_string())
            .answers(RUSTSEC, 200, advisory_db())
            .answers(JINJA, 200, jinja.to_string())
            .answers(NPM, 200, left.to_string())
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        self.docker.run(&self.repository, &[&["vulnerabilities", "alpha"], args].concat())
    }

    fn report(&self, args: &[&str]) -> (Option<i32>, Value) {
        let output = self.run(&[&["--format", "json"], args].concat());
        let text = told(&output, &self.repository);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{text}")))
    }
}

/// RustSec's repository as an archive of today.
fn advisory_db() -> Vec<u8> {
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2021-0072\"\npackage = \"tokio\"\naliases = [\"CVE-2021-38191\"]\n\
                cvss = \"CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H\"\n[versions]\npatched = [\">= 1.8.1\"]\n```\n\n# Task dropped\n";
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mtime(now);
    builder.append_data(&mut header, "db/crates/tokio/RUSTSEC-2021-0072.md", text.as_bytes()).unwrap();
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn every_source_is_asked_about_what_is_in_the_image() {
    for format in ["table", "markdown"] {
        let machine = Machine::new(&image()).that_answers();
        let output = machine.run(&["--format", format]);
        snapshot!(format!("vulnerabilities_{format}"), output, machine.repository);
        assert_eq!(machine.docker.folder.read("posted"), r#"{"left":["1.2.3"]}"#);
    }
}

#[test]
fn json_names_components_and_the_state_of_each_source() {
    let (code, report) = Machine::new(&image()).that_answers().report(&[]);
    assert_eq!(code, Some(1));
    let image = &report["images"][0];
    assert_eq!(image["components"][0]["binaries"], json!([["libssl3t64", "3.5.1-1"]]));
    let ids: Vec<&str> =
        image["vulnerabilities"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    let expected = ["GHSA-left", "RUSTSEC-2021-0072", "CVE-2025-9230", "GHSA-cpwx-vrp4-4pq7", "CVE-2025-0"];
    assert_eq!(ids, expected);
    let states: Vec<&str> =
        report["sources"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["answered", "unavailable", "answered", "answered", "answered"]);
}

#[test]
fn silence_of_a_source_is_never_the_absence_of_vulnerabilities() {
    let machine = Machine::new(&image());
    snapshot!("vulnerabilities_no_source", machine.run(&[]), machine.repository);
    let (code, report) = machine.report(&["--allow-gaps"]);
    assert_eq!(code, Some(0));
    assert!(
        report["sources"].as_array().unwrap().iter().all(|one| one["state"] == "unavailable"),
        "{report}"
    );
}

#[test]
fn only_the_chosen_severities_fail() {
    let machine = Machine::new(&image()).that_answers();
    for (choice, code) in [("critical", 1), ("high", 1), ("medium", 1), ("never", 3)] {
        assert_eq!(machine.report(&["--fail-on", choice]).0, Some(code), "{choice}");
    }
    // Without the one of npm and what is not rated, `critical` has nothing to fail for; the archive was not asked.
    let none = json!({"info": {"version": "3.1.4"}, "vulnerabilities": []}).to_string();
    let rated =
        Machine::new(&image()).that_answers().answers(TRACKER, 200, TRACKER_UNFIXED).answers(NPM, 200, "{}");
    let rated = rated.answers(JINJA, 200, none);
    assert_eq!(rated.report(&["--fail-on", "critical"]).0, Some(3));
    assert_eq!(rated.report(&["--fail-on", "critical", "--allow-gaps"]).0, Some(0));
    assert_eq!(rated.report(&["--fail-on", "medium", "--allow-gaps"]).0, Some(1));
}

#[test]
fn what_is_not_rated_fails_for_every_severity() {
    let machine = Machine::new(&image()).that_answers();
    let machine = machine.answers(TRACKER, 200, TRACKER_UNFIXED).answers(NPM, 200, "{}");
    for (choice, code) in [("low", 1), ("high", 1), ("critical", 1), ("never", 0)] {
        assert_eq!(machine.report(&["--fail-on", choice, "--allow-gaps"]).0, Some(code), "{choice}");
    }
}

#[test]
fn a_range_of_npm_that_ends_with_its_last_version_has_a_fix() {
    let left = json!({"left": [{"id": 1, "url": "https://github.com/advisories/GHSA-left", "title": "Pads too far",
        "severity": "critical", "vulnerable_versions": "<=1.2.3"}]});
    let (code, report) = Machine::new(&image()).answers(NPM, 200, left.to_string()).report(&["--allow-gaps"]);
    assert_eq!(code, Some(1));
    assert_eq!(report["images"][0]["vulnerabilities"][0]["fixed_in"], json!(["after 1.2.3"]));
}

#[test]
fn an_earlier_download_serves_while_its_source_does_not_answer() {
    let machine = Machine::new(&image()).that_answers();
    machine.report(&[]);
    let machine = machine.answers(TRACKER, 503, "").answers(RUSTSEC, 503, "");
    let kept = "target/xtask/advisories/https---security-tracker.debian.org-tracker-data-json";
    let kept = machine.repository.0.join(kept);
    let tracker = |machine: &Machine| machine.report(&[]).1["sources"][0].clone();
    assert_eq!(tracker(&machine)["state"], "answered", "a download of today is used");
    for (days, gap) in [(3, false), (9, true)] {
        let at = SystemTime::now() - Duration::from_hours(24 * days);
        fs::File::options().append(true).open(&kept).unwrap().set_modified(at).unwrap();
        let source = tracker(&machine);
        assert_eq!((&source["state"], &source["age_days"]), (&json!("copy"), &json!(days)));
        assert_eq!(source["why"], "HTTP status 503");
        let text = told(&machine.run(&["--fail-on", "never"]), &machine.repository);
        assert_eq!(text.contains("no current answer from debian-tracker"), gap, "{text}");
    }
}

#[test]
fn a_page_of_a_proxy_is_no_answer_and_is_not_kept() {
    let machine = Machine::new(&image()).answers(TRACKER, 200, "<html>Sign in</html>");
    for _ in 0..2 {
        let source = &machine.report(&[]).1["sources"][0];
        assert_eq!(source["state"], "unavailable");
        assert!(source["why"].as_str().unwrap().starts_with("not the data of Debian's security tracker"));
    }
    let asked = machine.docker.folder.read("urls");
    assert_eq!(asked.lines().filter(|url| *url == TRACKER).count(), 2, "it was kept");
    let machine = machine.that_answers();
    assert_eq!(machine.report(&[]).1["sources"][0]["state"], "answered");
}

#[test]
fn copies_on_this_machine_can_take_a_sources_place() {
    let machine = Machine::new(&image());
    let place = |name: &str| machine.repository.0.join(name).display().to_string();
    let tracker =
        json!({"openssl": {"CVE-2025-1": {"releases": {"trixie": {"status": "open", "urgency": "high"}}}}});
    machine.repository.write("tracker.json", &tracker.to_string());
    fs::write(place("db.tar.gz"), advisory_db()).unwrap();
    let run = |tracker: &str, rustsec: &str| {
        let sources = [format!("debian-tracker={}", place(tracker)), format!("rustsec={}", place(rustsec))];
        machine.report(&["--source", &sources[0], "--source", &sources[1]]).1
    };
    let report = run("tracker.json", "db.tar.gz");
    assert_eq!(report["images"][0]["vulnerabilities"].as_array().unwrap().len(), 2, "{report}");
    let report = run("missing.json", "tracker.json");
    assert_eq!(report["sources"][0]["why"], "no such file");
    assert_eq!(report["sources"][2]["state"], "unavailable", "{report}");
}

#[test]
fn an_index_that_serves_only_newest_versions_answers_about_these() {
    let newest = |version: &str| json!({"info": {"version": version}, "vulnerabilities": []}).to_string();
    let machine = Machine::new(&image()).answers(JINJA, 404, "").answers(JINJA_NEWEST, 200, newest("3.1.6"));
    let (_, report) = machine.report(&[]);
    assert_eq!(report["sources"][3]["why"], "the index answers about 3.1.6 only");
    let machine = machine.answers(JINJA_NEWEST, 200, newest("3.1.4"));
    assert_eq!(machine.report(&[]).1["sources"][3]["state"], "answered");
}

#[test]
fn an_image_that_names_nothing_fails() {
    let tar = LayerTar::new().program("hello", 0o755, &[7; 100]);
    let image = Saved::new("fx-alpha:latest-simple-optimized", vec![("COPY / / # buildkit", tar)]);
    let machine = Machine::new(&image);
    snapshot!("vulnerabilities_nothing_named", machine.run(&["--allow-gaps"]), machine.repository);
}

#[test]
fn wrong_sources_are_wrong_usage() {
    for (source, words) in [
        ("nvd=https://x", "unknown source `nvd`; known: debian-tracker, rustsec, pypi, npm"),
        ("debian-archive=https://x", "unknown source `debian-archive`"),
        ("pypi=/tmp/x", "--source pypi: `/tmp/x` is not a URL"),
        ("rustsec", "--source rustsec: `` is not a URL or a path"),
        ("pypi=https://me:password@index.example/pypi", "--source pypi: put the password into ~/.netrc"),
        ("rustsec=ftp://x", "--source rustsec: `ftp://x` is not a URL or a path"),
    ] {
        let machine = Machine::new(&image());
        let text = told(&machine.run(&["--source", source]), &machine.repository);
        assert!(text.contains("exit: 2") && text.contains(words), "{text}");
        assert_eq!(machine.docker.calls(), Vec::<String>::new());
    }
    let machine = Machine::new(&image());
    let twice = ["--source", "pypi=https://a", "--source", "pypi=https://b"];
    let text = told(&machine.run(&twice), &machine.repository);
    assert!(text.contains("--source pypi is given twice"), "{text}");
}

#[test]
fn a_missing_image_and_a_missing_curl_are_reported() {
    let mut machine = Machine::new(&image());
    machine.docker = machine.docker.on("image inspect*", 1, "[]\n", "Error: No such image: x\n");
    let text = told(&machine.run(&["--tag", "9.9"]), &machine.repository);
    assert!(
        text.contains("exit: 1") && text.contains("not in the engine: fx-alpha:9.9-simple-optimized"),
        "{text}"
    );
    for program in ["python3", "npm"] {
        fs::remove_file(machine.docker.folder.0.join("bin").join(program)).unwrap();
    }
    let (_, report) = machine.report(&[]);
    let why = |source: usize| report["sources"][source]["why"].as_str().unwrap();
    assert_eq!(why(3), "pip is not installed, so its registry is unknown; set it with --source pypi=URL");
    assert_eq!(why(4), "npm is not installed, so its registry is unknown; set it with --source npm=URL");
    fs::remove_file(machine.docker.folder.0.join("bin/curl")).unwrap();
    let (code, report) = machine.report(&[]);
    assert_eq!((code, report["sources"][0]["why"].as_str()), (Some(3), Some("curl is not installed")));
}
