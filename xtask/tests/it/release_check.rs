//! `release-check` on images made by the tests: items, records and messages.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::saved::{LayerTar, Layout, Saved, archive};
use crate::support::{FakeDocker, Folder, repository};
use serde_json::{Value, json};

/// A checkout with everything committed and images labelled with its commit.
struct Checkout {
    folder: Folder,
}

impl Checkout {
    fn new() -> Checkout {
        let folder = repository("fx");
        folder.write(".gitignore", "/target\n");
        folder.write("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- all of it\n");
        let compose = "services:\n  alpha: {image: \"fx-alpha:${SUTRA_VERSION:-latest}-optimized\"}\n";
        folder.write("docker-compose.yml", compose);
        for name in ["alpha", "beta"] {
            let text = format!(
                "FROM scratch\nCOPY {name}/hello /hello\nARG EDITION\nARG VERSION\nENV E=$EDITION V=$VERSION\nUSER 65532\n"
            );
            folder.write(&format!("{name}/Dockerfile.optimized"), &text);
            let original = "FROM debian:trixie-slim\nARG EDITION\nRUN echo $EDITION > /fat\n";
            folder.write(&format!("{name}/Dockerfile"), original);
        }
        folder.write(
            "xtask/sizes.lock.toml",
            "schema = 1\n\
             [alpha]\nsimple.\"linux/amd64\" = { own = 10, base = 0, accepted = \"2026-01-01\", reason = \"first\" }\n\
             [beta]\nsimple.\"linux/amd64\" = { own = 10, base = 0, accepted = \"2026-01-01\", reason = \"first\" }\n",
        );
        let checkout = Checkout { folder };
        checkout.git(&["init", "--quiet"]);
        checkout.commit();
        checkout
    }

    fn git(&self, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]);
        let output = command.args(args).current_dir(&self.folder.0).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "all"]);
    }

    fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// An image with correct labels.
    fn image(&self, service: &str, layer: LayerTar) -> Saved {
        let labels = json!({
            "org.opencontainers.image.title": format!("fx-{service}"),
            "org.opencontainers.image.version": "0.1.0",
            "org.opencontainers.image.revision": self.head(),
            "fixture.images.edition": "simple", "fixture.images.variant": "optimized",
            "fixture.images.bases": "stand-in",
        });
        // Leaked: a test has few images.
        let name: &'static str = format!("fx-{service}:latest-simple-optimized").leak();
        let layer = layer.program("hello", 0o755, service.as_bytes());
        Saved::new(name, vec![("COPY alpha/hello /hello # buildkit", layer)])
            .config(json!({"Cmd": ["/hello"], "User": "65532:65532", "Labels": labels}))
    }

    fn images(&self) -> [Saved; 2] {
        ["alpha", "beta"].map(|service| self.image(service, LayerTar::new()))
    }

    /// Exit code and output, with what varies between runs replaced.
    fn told(&self, output: &std::process::Output) -> String {
        crate::support::told(output, &self.folder).replace(&self.head()[..8], "[COMMIT]")
    }

    /// The JSON report of a run.
    fn report(&self, docker: &FakeDocker, args: &[&str]) -> Value {
        let args = [&["release-check", "--edition", "simple", "--format", "json"], args].concat();
        let output = docker.run(&self.folder, &args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", self.told(&output)))
    }
}

/// A daemon that holds these images and saves all of them at once, on a machine with git.
fn holding(images: &[Saved]) -> FakeDocker {
    beside(images, &[])
}

/// The same, with further images that only `docker inspect` knows.
fn beside(images: &[Saved], others: &[Value]) -> FakeDocker {
    let (mut files, mut manifest) = (Vec::new(), Vec::new());
    for (name, content) in images.iter().flat_map(|image| image.files(Layout::Oci)) {
        match name.as_str() {
            "manifest.json" => manifest.extend(serde_json::from_slice::<Vec<Value>>(&content).unwrap()),
            _ if files.iter().any(|(other, _)| *other == name) => {}
            _ => files.push((name, content)),
        }
    }
    files.push(("manifest.json".to_owned(), json!(manifest).to_string().into_bytes()));
    let inspected: Vec<Value> = images.iter().map(Saved::inspect).chain(others.iter().cloned()).collect();
    let (inspected, missing) = (json!(inspected).to_string(), "Error: No such image: x\n");
    let docker = FakeDocker::new().alive().on("image inspect*", 1, &inspected, missing);
    let git = ["/usr/bin/git", "/bin/git"].into_iter().find(|path| std::path::Path::new(path).exists());
    symlink(git.expect("git is on this machine"), docker.folder.0.join("bin/git")).unwrap();
    let docker = images
        .iter()
        .fold(docker, |docker, image| docker.on(&format!("history*{}", image.id()), 0, &image.history(), ""));
    docker.on_bytes("save*", &archive(&files))
}

/// Name, outcome and basis of each item.
fn outcomes(report: &Value) -> Vec<(String, String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let items = report["items"].as_array().unwrap().iter();
    items.map(|item| (word(&item["name"]), word(&item["outcome"]), word(&item["basis"]))).collect()
}

fn is(name: &str, outcome: &str, basis: &str) -> (String, String, String) {
    (name.to_owned(), outcome.to_owned(), basis.to_owned())
}

#[test]
fn usage_errors_end_before_docker_is_called() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    let run = |args: &[&str]| docker.run(&repository, &[&["release-check"], args].concat());
    snapshot!("release_check_unknown_item", run(&["--only", "labels,tree,chagelog"]), repository);
    snapshot!("release_check_unknown_cadence", run(&["--cadence", "wekly"]), repository);
    for args in [
        &["--skip", "tree"][..],
        &["--reason", "why"],
        &["--skip", "tree", "--reason", " "],
        &["--skip", "tree", "--skip", "labels", "--skip", "digests", "--reason", "a", "--reason", "b"],
        &["--skip", "bases", "--reason", "another list"],
        &["--only", "tree", "--cadence", "weekly"],
        &["--edition", "simpel"],
    ] {
        assert_eq!(
            run(args).status.code(),
            Some(2),
            "{args:?}: {}",
            crate::support::told(&run(args), &repository)
        );
    }
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn every_item_runs_before_the_command_fails() {
    let checkout = Checkout::new();
    let [alpha, _] = checkout.images();
    let docker = holding(&[alpha]);
    checkout.folder.write("stranger", "");
    checkout.folder.write("docker-compose.yml", "services:\n  alpha: {image: \"fx-alpha:latest\"}\n");
    let skip = ["--skip", "digests", "--reason", "no registry here", "--skip", "user", "--reason", "later"];
    for format in ["table", "markdown"] {
        let args = [&["release-check", "--edition", "simple", "--format", format], skip.as_slice()].concat();
        let output = docker.run(&checkout.folder, &args);
        assert_eq!(output.status.code(), Some(1));
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false,
            filters => vec![(r"recorded at commit [0-9a-f]{8}", "recorded at commit [OTHER]")] }, {
            insta::assert_snapshot!(format!("release_check_red_{format}"), checkout.told(&output));
        });
    }
}

#[test]
fn fresh_records_are_used_and_stale_ones_reported() {
    const ITEMS: [&str; 2] = ["--only", "targets,secrets"];
    let checkout = Checkout::new();
    let docker = holding(&checkout.images());
    let from = |basis| vec![is("targets", "passed", basis), is("secrets", "passed", basis)];
    assert_eq!(outcomes(&checkout.report(&docker, &ITEMS)), from("now"));
    let looks =
        |docker: &FakeDocker| docker.calls().iter().filter(|call| call.starts_with("history")).count();
    let before = looks(&docker);
    assert_eq!(outcomes(&checkout.report(&docker, &ITEMS)), from("record"));
    assert_eq!(looks(&docker), before, "the images were read again");

    let record = "target/xtask/records/check-simple.json";
    let stderr = || {
        let args = [&["release-check", "--edition", "simple"], ITEMS.as_slice()].concat();
        let output = docker.run(&checkout.folder, &args);
        assert_eq!(output.status.code(), Some(0), "{}", checkout.told(&output));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("passed   this run"),
            "{}",
            checkout.told(&output)
        );
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let kept = checkout.folder.read(record);
    checkout.folder.write(record, &kept.replacen("\"schema\": 1", "\"schema\": 9", 1));
    assert!(stderr().contains("check record (simple) not used: it has schema 9, this version reads 1"));
    checkout.folder.write(record, &kept.replace("\"breaches\": []", "\"breaches\": 7"));
    assert!(stderr().contains("it is invalid: "));
    let then = checkout.head();
    checkout.git(&["commit", "--quiet", "--allow-empty", "--message", "next"]);
    let now = checkout.head();
    let why = format!("it is stale: recorded at commit {}, now at {}", &then[..8], &now[..8]);
    let text = stderr();
    assert!(text.contains(&why), "{text}");
    checkout.folder.write("alpha/hello", "changed");
    assert!(stderr().contains("files have changed since"));
}

#[test]
fn labels_and_digests_are_checked_against_commit_tag_and_pushes() {
    const ITEMS: [&str; 2] = ["--only", "labels,digests"];
    let checkout = Checkout::new();
    let images = checkout.images();
    let pushed = |id: &str| {
        let entry = |service: &str, id: &str| json!({"digest": "sha256:d", "image": id, "service": service, "edition": "simple", "variant": "optimized"});
        let images = json!({
            "r.example/t/fx-alpha:latest-simple-optimized": entry("alpha", id),
            "r.example/t/fx-beta:latest-simple-optimized": entry("beta", &images[1].id()),
        });
        checkout
            .folder
            .write("target/xtask/digests.json", &json!({"schema": 1, "images": images}).to_string());
    };
    pushed("sha256:another");
    // The registry's answer takes precedence over the record.
    let manifest = |image: &Saved| json!({"config": {"digest": image.id(), "size": 1}}).to_string();
    let docker = holding(&images).on("buildx imagetools*fx-alpha:*", 0, &manifest(&images[0]), "").on(
        "buildx imagetools*fx-beta:*",
        0,
        &manifest(&images[1]),
        "",
    );
    let report = checkout.report(&docker, &ITEMS);
    let passed = [is("labels", "passed", "now"), is("digests", "passed", "now")];
    assert_eq!(outcomes(&report), passed, "{report}");
    pushed(&images[0].id());
    let docker = holding(&images).on("buildx imagetools*", 0, &manifest(&images[1]), "");
    let faults = &checkout.report(&docker, &ITEMS)["items"][1]["faults"];
    let what = faults[0]["what"].as_str().unwrap();
    assert!(what.contains("differs from the local fx-alpha:latest-simple-optimized"), "{what}");

    for name in ["alpha", "beta"] {
        checkout.folder.write(&format!("{name}/hello"), "changed");
    }
    checkout.commit();
    let report = checkout.report(&docker, &ITEMS);
    let what = report["items"][0]["faults"][0]["what"].as_str().unwrap();
    assert!(what.starts_with("alpha, beta (simple): built from commit"), "{what}");
    let version = checkout.report(&docker, &["--only", "labels,changelog", "--tag", "1.2.0"]);
    let what = version["items"][1]["faults"][0]["what"].as_str().unwrap();
    assert!(what.contains("no section `## [1.2.0]`"), "{what}");
}

#[test]
fn tracked_secret_files_are_named() {
    let checkout = Checkout::new();
    checkout.folder.write("deploy/.env", "X=1\n");
    checkout.git(&["add", "--force", "deploy/.env"]);
    checkout.commit();
    let report = checkout.report(&holding(&[]), &["--only", "tree"]);
    let what = &report["items"][0]["faults"][0]["what"];
    assert_eq!(what, "secret files are tracked: deploy/.env");
}

#[test]
fn opportunities_are_faults_until_declared() {
    let checkout = Checkout::new();
    let manual = || LayerTar::new().file("usr/share/doc/x/manual.txt", vec![b'x'; 600_000]);
    let docker = holding(&["alpha", "beta"].map(|service| checkout.image(service, manual())));
    let manifest = checkout.folder.read("xtask/images.toml");
    let item = |known: &str| {
        checkout.folder.write("xtask/images.toml", &format!("{manifest}{known}"));
        checkout.report(&docker, &["--cadence", "weekly"])["items"][0].clone()
    };
    let red = item("");
    let what = red["faults"][0]["what"].as_str().unwrap();
    assert!(
        what.starts_with(
            "alpha, beta (simple): documentation, 600kB in 1 file, such as usr/share/doc/x/manual.txt"
        ),
        "{red}"
    );
    let known = |bytes: &str| {
        format!(
            "[[opportunities.known]]\nkind = \"docs\"\nservices = [\"alpha\", \"beta\"]\nbytes = \"{bytes}\"\nreason = \"read\"\n"
        )
    };
    assert_eq!(item(&known("600kB"))["outcome"], "passed");
    let step = "[baselines]\nstep-bytes = \"10kB\"\n";
    let grown = item(&(step.to_owned() + &known("500kB")));
    assert!(grown["faults"][0]["what"].as_str().unwrap().ends_with("; 500kB declared"), "{grown}");
    let gone = known("600kB").replace("docs", "tests");
    assert_eq!(
        item(&(known("600kB") + &gone))["evidence"][1],
        "no longer found: tests of alpha, beta (600kB); remove its entry from images.toml"
    );
    assert_eq!(item("[opportunities]\nleast = \"1MB\"\n")["outcome"], "passed");
}

#[test]
fn every_fault_of_a_declared_opportunity_is_reported() {
    let checkout = Checkout::new();
    let manifest = checkout.folder.read("xtask/images.toml");
    let wrong = "[opportunities]\nlest = \"1MB\"\n[[opportunities.known]]\nkind = \"doc\"\nservices = [\"alhpa\"]\neditions = [\"simpel\"]\n";
    checkout.folder.write("xtask/images.toml", &format!("{manifest}{wrong}"));
    let output = holding(&[]).run(&checkout.folder, &["release-check", "--only", "tree"]);
    snapshot!("release_check_known_faults", output, checkout.folder);
}

/// A checkout that builds on existing stand-ins and has the build that asks registries.
fn checkout_with_registry_build() -> Checkout {
    let checkout = Checkout::new();
    checkout.folder.write("target/xtask/bootstrap/trixie/rootfs.tar", "");
    checkout.folder.write(
        "target/xtask/bases.json",
        r#"{"source": "stand-in", "reason": "the test says so", "decided": 4000000000,
            "references": ["debian:trixie-slim"], "asked": "||"}"#,
    );
    let asks = "FROM debian:trixie-slim AS debian\nFROM debian:trixie-slim AS python\n";
    checkout.folder.write("packages/bases/newest/Dockerfile", asks);
    checkout
}

const NO_NETWORK: &str =
    "ERROR: target ask-debian: failed to solve: dial tcp: lookup r.example: no such host\n";

#[test]
fn without_a_network_newest_versions_are_unknown() {
    let checkout = checkout_with_registry_build();
    let docker = holding(&["alpha", "beta"].map(|service| {
        let layer = LayerTar::new().file("var/lib/dpkg/status.d/libz", "Package: libz\nVersion: 1-1\n");
        checkout.image(service, layer.file("usr/lib/libz.so", "x"))
    }));
    let docker = docker.on("buildx bake*", 1, "", NO_NETWORK).on(
        "buildx version*",
        0,
        "github.com/docker/buildx v0.13.1\n",
        "",
    );
    let output =
        docker.run(&checkout.folder, &["release-check", "--cadence", "monthly", "--edition", "simple"]);
    let text = checkout.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("UNKNOWN") && text.contains("no such host"), "{text}");
    assert!(
        docker.calls().iter().any(|call| call.contains("bake") && call.ends_with("ask-debian")),
        "{text}"
    );
}

#[test]
fn outdated_upstream_images_are_faults_with_both_digests() {
    let checkout = checkout_with_registry_build();
    let choice = checkout.folder.read("target/xtask/bases.json").replace("stand-in", "upstream");
    checkout.folder.write("target/xtask/bases.json", &choice);
    let debian = json!({"Id": "sha256:here", "RepoTags": ["debian:trixie-slim"], "RepoDigests": ["debian@sha256:old"]});
    let answered = |digest: &str| {
        let manifest = json!({"mediaType": "m", "digest": digest, "size": 1}).to_string();
        let docker = beside(&checkout.images(), std::slice::from_ref(&debian));
        let docker = docker.on("buildx imagetools inspect*debian:trixie-slim", 0, &manifest, "");
        checkout.report(&docker, &["--cadence", "monthly"])["items"][0].clone()
    };
    let red = answered("sha256:new");
    assert_eq!(red["faults"][0]["what"], "debian:trixie-slim: sha256:old → sha256:new", "{red}");
    let green = answered("sha256:old");
    assert_eq!(green["outcome"], "passed", "{green}");
    assert_eq!(green["evidence"][1], "debian:trixie-slim: up to date, sha256:old");
    let docker = beside(&checkout.images(), std::slice::from_ref(&debian));
    let docker = docker.on("buildx imagetools inspect*", 1, "", "ERROR: no such host\n");
    let unknown = &checkout.report(&docker, &["--cadence", "monthly"])["items"][0];
    assert!(unknown["why"].as_str().is_some_and(|why| why.contains("no such host")), "{unknown}");
}

#[test]
fn unused_requirements_are_reported_without_a_network() {
    let checkout = checkout_with_registry_build();
    let manifest = checkout.folder.read("xtask/images.toml");
    let editions = "[service.alpha.editions]\nsimple = { packages = [\"NumPy\", \"idle\"] }\ncommunity = {}\nenterprise = {}\n";
    checkout.folder.write("xtask/images.toml", &format!("{manifest}{editions}"));
    checkout.folder.write("alpha/fx_alpha/__init__.py", "from numpy import array\n");
    checkout.folder.write("alpha/tests/__init__.py", "import idle\n");
    checkout.commit();
    let distribution =
        |name: &str, module: &str| json!({"name": name, "version": "1", "modules": [module], "requires": []});
    let held = json!([distribution("numpy", "numpy"), distribution("idle", "idle")]).to_string();
    let docker = holding(&checkout.images())
        .on("run --rm*--entrypoint=python fx-alpha:latest-simple-optimized*", 0, &held, "")
        .on("buildx bake*", 1, "", NO_NETWORK)
        .on("buildx version*", 0, "github.com/docker/buildx v0.13.1\n", "");
    let item = &checkout.report(&docker, &["--cadence", "quarterly"])["items"][0];
    let faults = item["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 1, "{item}");
    assert_eq!(faults[0]["what"], "alpha (simple): unused package: idle");
    assert!(item["evidence"][0].as_str().unwrap().contains("newest versions unknown"), "{item}");
}
