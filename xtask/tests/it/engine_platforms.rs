//! Images for two platforms on a real engine, one of them under emulation: built, started, pushed as one index, pinned.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::probe::{Body, HttpRequest, Method};
use serde_json::Value;
use stack::http::Client;

use crate::support::registry::{Answer, Proxy, Registry};
use crate::support::{Site, busybox, docker};

/// A build step writes the architecture to a file, which the server serves.
const WEB: &str = "FROM scratch\nARG TARGETARCH\nCOPY bin/$TARGETARCH/busybox /bin/busybox\n\
                   RUN [\"/bin/busybox\", \"sh\", \"-c\", \"/bin/busybox uname -m > /health\"]\n\
                   EXPOSE 8080\nUSER 65532:65532\nCMD [\"/bin/busybox\", \"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/\"]\n";

/// A repository with one service for two platforms.
fn site(test: &str) -> Site {
    let site = Site::new(test);
    let manifest = format!(
        "schema = 2\nproject = \"{0}\"\n\n[defaults]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n\n\
         [service.web]\ncompose = \"web\"\ndockerfile = \"web/Dockerfile\"\nimage = \"{0}-web\"\nport = 8080\nhealth = \"/health\"\n\n\
         [[service.web.probe]]\nname = \"processor\"\nrequest = {{ get = \"/health\" }}\nexpect = [{{ contains = \"aarch64\" }}]\n",
        site.prefix
    );
    site.folder.write("xtask/images.toml", &manifest);
    site.folder.write("web/Dockerfile", WEB);
    site.folder.write("web/Dockerfile.dockerignore", "*\n!bin\n");
    busybox::write(test, &site.folder);
    site
}

fn run(site: &Site, args: &[&str]) -> Output {
    let output = site.run(args);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    output
}

fn get(address: &str, path: &str) -> String {
    let headers = BTreeMap::new();
    let request = HttpRequest { method: Method::Get, path: path.to_owned(), headers, body: Body::Empty };
    let mut client = Client::new();
    // The server needs a moment to start, and longer under emulation.
    let answers = (0..600).find_map(|_| match client.send(address, &request, Duration::from_secs(10)) {
        Ok(answer) if answer.status == 200 => Some(answer),
        _ => {
            std::thread::sleep(Duration::from_millis(50));
            None
        }
    });
    answers.expect(address).shown().into_owned()
}

/// Starts an image and returns what it serves.
fn health(image: &str) -> String {
    let id = docker(&["run", "--detach", "--publish=127.0.0.1::8080", image]);
    let address = docker(&["port", &id, "8080/tcp"]).lines().next().unwrap().to_owned();
    let health = get(&address, "/health");
    docker(&["rm", "--force", &id]);
    health
}

fn architecture(image: &str) -> String {
    docker(&["image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", image])
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn each_platform_has_an_image_that_runs() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("plat");
    run(&site, &["build-images"]);
    let web = format!("{}-web:latest", site.prefix);
    for (suffix, platform, machine) in
        [("-amd64", "linux/amd64", "x86_64"), ("-arm64", "linux/arm64", "aarch64")]
    {
        let image = format!("{web}{suffix}");
        assert_eq!(architecture(&image), platform);
        assert!(health(&image).contains(machine), "{image}");
    }
    let own = docker(&["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]);
    assert_eq!(architecture(&web), own, "the plain tag");

    // `check` and `analyze` work by platform.
    let arm = ["--platform", "linux/arm64"];
    run(&site, &["check", "--accept", "--reason", "first"]);
    let check = run(&site, &[&["check"][..], &arm].concat());
    assert!(site.told(&check).contains("no baseline for linux/arm64"), "{}", site.told(&check));
    run(&site, &[&["check", "--accept", "--reason", "first for arm64"][..], &arm].concat());
    let lock = site.folder.read("xtask/sizes.lock.toml");
    assert!(lock.contains("\"linux/amd64\" = {") && lock.contains("\"linux/arm64\" = {"), "{lock}");
    for (args, image) in [(&[][..], web.clone()), (&arm, format!("{web}-arm64"))] {
        let json = |command: &[&str]| -> Value {
            serde_json::from_slice(&run(&site, &[command, &["--format", "json"], args].concat()).stdout)
                .unwrap()
        };
        let row = json(&["compare"])["services"][0].clone();
        assert_eq!(row["optimized"]["image"], image, "{row}");
        assert_eq!(row["accepted"], row["optimized"]["bytes"], "{row}");
        let analyzed = json(&["analyze", "web"]);
        let platform = if args.is_empty() { own.as_str() } else { arm[1] };
        assert_eq!((&analyzed["image"], &analyzed["platform"]), (&image.into(), &platform.into()));
    }

    // A throwaway stack runs the chosen platform: only its image passes the probe.
    site.folder.write("docker-compose.yml", &format!("services:\n  web:\n    image: {web}\n"));
    run(&site, &[&["test"][..], &arm].concat());
    let native = site.run(&["test"]);
    assert_eq!(native.status.code(), Some(i32::from(own != arm[1])), "{}", site.told(&native));

    // With nothing changed, nothing is built. Building only the other platform leaves the plain tag unchanged.
    let before = site.tags();
    let again = run(&site, &["build-images"]);
    assert!(site.told(&again).contains("Up to date: 2 images"), "{}", site.told(&again));
    site.folder.write("web/Dockerfile", &WEB.replace("> /health", "> /health && echo new > /new"));
    run(&site, &["build-images", "--platform", "linux/arm64"]);
    let after = site.tags();
    let changed: Vec<&str> = before
        .iter()
        .zip(&after)
        .filter(|(one, other)| one != other)
        .map(|((name, _), _)| name.rsplit(':').next().unwrap())
        .collect();
    assert_eq!(changed, ["latest-arm64"], "{before:?} {after:?}");
    run(&site, &["clean"]);
    assert!(site.tags().is_empty(), "{:?}", site.tags());
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_stage_on_the_builders_platform_starts_from_a_base_for_it() {
    let _turn = crate::support::turn::take(module_path!());
    let site = site("native");
    let own = format!("{}-own", site.prefix);
    site.folder.write(
        "xtask/images.toml",
        &format!("{}\n[base.own]\nimage = \"{own}\"\n", site.folder.read("xtask/images.toml")),
    );
    // No step runs a program, so nothing needs emulation.
    let base = "FROM scratch\nARG TARGETARCH\nCOPY bin/$TARGETARCH/busybox /bin/busybox\n";
    site.folder.write("bases/own/Dockerfile", base);
    site.folder.write("bases/own/Dockerfile.dockerignore", "*\n!bin\n");
    let web = format!(
        "FROM --platform=$BUILDPLATFORM {own} AS tools\nFROM {own}\nCOPY --from=tools /bin/busybox /native\n"
    );
    site.folder.write("web/Dockerfile", &web);
    run(&site, &["build-images", "--platform", "linux/arm64"]);
    let image = format!("{}-web:latest-arm64", site.prefix);
    let id = docker(&["create", &image, "none"]);
    for (inside, architecture) in [("native", "amd64"), ("bin/busybox", "arm64")] {
        let copy = site.folder.0.join("copy");
        docker(&["cp", &format!("{id}:/{inside}"), &copy.display().to_string()]);
        let expected = std::fs::read(site.folder.0.join(format!("bin/{architecture}/busybox"))).unwrap();
        assert!(std::fs::read(&copy).unwrap() == expected, "{inside} is not for {architecture}");
    }
    docker(&["rm", &id]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_index_is_pushed_last_and_never_incomplete() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("platpush"));
    let broken = Arc::new(AtomicBool::new(true));
    let rule = Arc::clone(&broken);
    // The registry refuses the arm64 image at first.
    let proxy = Proxy::start(&registry, move |head, _| {
        let line = head.lines().next().unwrap_or_default();
        let is_arm = line.starts_with("PUT ") && line.contains("/manifests/2.0-arm64");
        if is_arm && rule.load(Ordering::SeqCst) {
            return Answer::Error("403 Forbidden", "DENIED", "not this one");
        }
        Answer::Forward
    });
    let site = site("platpush");
    run(&site, &["build-images", "--tag", "2.0"]);
    let (team, name) = (format!("{}/team", proxy.address), format!("{}-web", site.prefix));
    let push = ["push", "--tag", "2.0", "--format", "json", "--registry", &team];
    let rows = |output: &Output| -> Vec<(String, String)> {
        let report: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", site.told(output)));
        let row = |row: &Value| {
            let reference = row["reference"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
            (reference, row["state"].as_str().unwrap().to_owned())
        };
        report["images"].as_array().unwrap().iter().map(row).collect()
    };
    let row = |tag: &str, state: &str| (tag.to_owned(), state.to_owned());

    let failed = site.run(&push);
    assert_eq!(failed.status.code(), Some(3), "{}", site.told(&failed));
    assert_eq!(
        rows(&failed),
        [row("2.0-amd64", "pushed"), row("2.0-arm64", "failed"), row("2.0", "not-tried")]
    );
    let tags = registry.says(&format!("/v2/team/{name}/tags/list"));
    assert_eq!(tags["tags"], serde_json::json!(["2.0-amd64"]), "no index of one platform");

    broken.store(false, Ordering::SeqCst);
    let pushed = run(&site, &push);
    assert_eq!(
        rows(&pushed),
        [row("2.0-amd64", "unchanged"), row("2.0-arm64", "pushed"), row("2.0", "pushed")]
    );
    let report: Value = serde_json::from_slice(&pushed.stdout).unwrap();
    let digest = report["images"][2]["digest"].as_str().unwrap().to_owned();
    let by_platform = &report["images"][2]["platforms"];
    for (at, platform) in [(0, "linux/amd64"), (1, "linux/arm64")] {
        assert_eq!(by_platform[platform], report["images"][at]["digest"], "{report}");
    }
    let inspected = docker(&["buildx", "imagetools", "inspect", &format!("{team}/{name}:2.0")]);
    assert!(inspected.contains(&digest), "{inspected}");
    for platform in ["linux/amd64", "linux/arm64"] {
        assert!(
            inspected.lines().any(|line| line.contains("Platform:") && line.contains(platform)),
            "{inspected}"
        );
    }
    let record: Value = serde_json::from_str(&site.folder.read("target/xtask/digests.json")).unwrap();
    let entry = &record["images"][format!("{team}/{name}:2.0")];
    assert_eq!((entry["digest"].as_str(), &entry["platforms"]), (Some(digest.as_str()), by_platform));

    // A second push sends nothing. Pushing a single platform does not change the index.
    let sent = proxy.count(&["PUT", "/manifests/"]);
    assert_eq!(
        rows(&run(&site, &push)).iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(),
        ["unchanged"; 3]
    );
    let one = run(&site, &[&push[..], &["--platform", "linux/arm64"]].concat());
    assert_eq!(rows(&one), [row("2.0-arm64", "unchanged")]);
    assert!(site.told(&one).contains("was not pushed: it also needs linux/amd64"), "{}", site.told(&one));
    assert_eq!(proxy.count(&["PUT", "/manifests/"]), sent);

    // A pinned Compose file has the digest of the index, which every platform can pull.
    site.folder.write("docker-compose.yml", &format!("services:\n  web:\n    image: {name}:1\n"));
    run(&site, &["compose-switch", "original", "--tag", "2.0", "--registry", &team, "--pin"]);
    let pinned = format!("{team}/{name}:2.0@{digest}");
    assert!(
        site.folder.read("docker-compose.yml").contains(&pinned),
        "{}",
        site.folder.read("docker-compose.yml")
    );
    let by_digest = format!("{team}/{name}@{digest}");
    docker(&["pull", "--quiet", "--platform=linux/arm64", &by_digest]);
    assert_eq!(architecture(&by_digest), "linux/arm64");
    docker(&["image", "rm", "--force", &by_digest]);
}
