//! Pushing to a real registry, Debian's `docker-registry`, on loopback: one that is well, one that is killed, one that is
//! overloaded, one that asks for a password.

use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::support::registry::{Answer, NAME, PASSWORD, Proxy, Registry};
use crate::support::{Folder, Site, docker};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

/// A site whose two images are built under `2.0`.
pub fn built(test: &str) -> Site {
    let site = Site::new(test);
    // Contents of its own: what another test has pushed must not help.
    site.folder.write("alpha/hello", &format!("alpha of {}", site.prefix));
    // The larger one goes last.
    site.folder.write("beta/hello", &format!("beta, which is larger, of {}", site.prefix));
    let output = site.run(&["build-images", "--tag", "2.0"]);
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    site
}

pub fn push<'a>(registry: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["push", "--tag", "2.0", "--format", "json", "--registry", registry], more].concat()
}

/// The rows of the report: reference without registry, state, tries.
pub fn rows(output: &Output, site: &Site) -> Vec<(String, String, u64)> {
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", site.told(output)));
    assert_eq!(report["schema"], 1);
    let row = |row: &Value| {
        let reference = row["reference"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let state = row["state"].as_str().unwrap().to_owned();
        (reference.replace(&site.prefix, "P"), state, row["tries"].as_u64().unwrap())
    };
    report["images"].as_array().unwrap().iter().map(row).collect()
}

pub fn states(output: &Output, site: &Site) -> Vec<String> {
    rows(output, site).into_iter().map(|(_, state, _)| state).collect()
}

/// What the record says of a reference.
pub fn recorded(site: &Site, reference: &str) -> String {
    let record: Value = serde_json::from_str(&site.folder.read("target/xtask/digests.json")).unwrap();
    assert_eq!(record["schema"], 1);
    record["images"][reference]["digest"].as_str().unwrap_or("none").to_owned()
}

/// The registry itself gives an image for a digest.
pub fn assert_pullable(pinned: &str) {
    docker(&["pull", "--quiet", pinned]);
    docker(&["image", "rm", pinned]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn what_is_built_is_pushed_recorded_and_not_sent_twice() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("push"));
    let proxy = Proxy::start(&registry, |_, _| Answer::Forward);
    let team = format!("{}/team", proxy.address);
    let site = Site::new("push");
    let output = site.run(&["build-images", "--tag", "2.0", "--push", "--registry", &team]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let there = format!("{team}/{}-alpha:2.0-simple-optimized", site.prefix);
    let line = text.lines().find(|line| line.starts_with(&there)).expect(&text);
    assert!(line.contains(" sha256:") && line.contains(" pushed "), "{line}");
    let digest = recorded(&site, &there);
    assert!(line.contains(&digest), "{line}");

    let sent = proxy.count(&["POST", "/blobs/uploads/"]);
    let again = site.run(&push(&team, &[]));
    assert_eq!(again.status.code(), Some(0), "{}", site.told(&again));
    assert_eq!(states(&again, &site), ["unchanged"; 4]);
    assert_eq!(proxy.count(&["POST", "/blobs/uploads/"]), sent, "a layer was sent again");

    // The record pins what is not here any more, and the registry knows the image under that digest.
    let tags = ["alpha", "beta"].map(|name| format!("{team}/{}-{name}", site.prefix));
    for tag in &tags {
        docker(&["image", "rm", &format!("{tag}:2.0-simple-optimized"), &format!("{tag}:2.0-optimized")]);
    }
    let compose = format!("services:\n  a:\n    image: {}-alpha:1\n", site.prefix);
    site.folder.write("docker-compose.yml", &compose);
    let switch = ["compose-switch", "optimized", "--tag", "2.0", "--registry", &team, "--pin"];
    let pinned = site.run(&switch);
    assert_eq!(pinned.status.code(), Some(0), "{}", site.told(&pinned));
    let reference = format!("{}:2.0-optimized@{digest}", tags[0]);
    assert!(site.folder.read("docker-compose.yml").contains(&reference), "{}", site.told(&pinned));
    assert_pullable(&format!("{}@{digest}", tags[0]));
}

/// The size in bytes of the file in a layer that two images share.
const SHARED: usize = 1_000_000;

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn layers_that_images_share_are_sent_once() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("share"));
    let proxy = Proxy::start(&registry, |_, _| Answer::Forward);
    let site = Site::new("share");
    let shared: String = std::iter::repeat_with(fastrand::alphanumeric).take(SHARED).collect();
    for name in ["alpha", "beta"] {
        let own = format!("FROM scratch\nCOPY shared/text /shared\nCOPY {name}/hello /hello-{name}\n");
        site.folder.write(&format!("{name}/Dockerfile.optimized"), &own);
        site.folder.write(
            &format!("{name}/Dockerfile.optimized.dockerignore"),
            "*\n!shared/text\n!alpha/hello\n!beta/hello\n",
        );
        site.folder.write(&format!("{name}/hello"), &format!("{name} of {}", site.prefix));
    }
    site.folder.write("shared/text", &shared);
    assert_eq!(site.run(&["build-images", "--tag", "2.0"]).status.code(), Some(0));
    let output = site.run(&push(&proxy.address.to_string(), &["--jobs", "2"]));
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    // Two layers and a configuration of the first image; the second image's own layer and configuration; one is mounted.
    assert_eq!(proxy.count(&["PATCH", "/blobs/uploads/"]), 5);
    assert_eq!(proxy.count(&["POST", "/blobs/uploads/", "mount="]), 1);
    // Random letters compress to three quarters of their size.
    let sent = proxy.received() as usize;
    assert!((SHARED / 2..SHARED * 5 / 4).contains(&sent), "{sent} bytes for a shared layer of {SHARED}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_that_is_killed_in_the_middle_gets_all_of_it_in_the_end() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("crash"));
    let deaths = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&deaths);
    // It dies when the first layer's bytes come, and is back once a request has met nobody.
    let proxy = Proxy::start(&registry, move |line, registry| {
        let first =
            |from: u32| count.compare_exchange(from, from + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if line.starts_with("PATCH") && first(0) {
            registry.kill();
            return Answer::Cut;
        }
        if first(1) {
            registry.restart();
            count.store(3, Ordering::SeqCst);
            return Answer::Cut;
        }
        if count.load(Ordering::SeqCst) == 2 { Answer::Cut } else { Answer::Forward }
    });
    let (site, there) = (built("crash"), proxy.address.to_string());
    let output = site.run(&push(&there, &["--jobs", "1"]));
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(deaths.load(Ordering::SeqCst), 3, "it never died: {text}");
    assert_eq!(states(&output, &site), ["pushed"; 4]);
    for name in ["alpha", "beta"] {
        let reference = format!("{there}/{}-{name}", site.prefix);
        assert_pullable(&format!("{reference}@{}", recorded(&site, &format!("{reference}:2.0-optimized"))));
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_that_is_busy_or_failing_for_a_while_is_tried_again() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("busy"));
    let (posts, puts) = (AtomicU32::new(0), AtomicU32::new(0));
    let proxy = Proxy::start(&registry, move |line, _| {
        let first = |count: &AtomicU32| count.fetch_add(1, Ordering::SeqCst) == 0;
        if line.starts_with("POST") && first(&posts) {
            return Answer::Status("429 Too Many Requests");
        }
        if line.starts_with("PUT") && line.contains("/manifests/") && first(&puts) {
            return Answer::Status("503 Service Unavailable");
        }
        Answer::Forward
    });
    let site = built("busy");
    let output = site.run(&push(&proxy.address.to_string(), &["alpha"]));
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let expected = [("P-alpha:2.0-simple-optimized", 3), ("P-alpha:2.0-optimized", 1)]
        .map(|(reference, tries)| (reference.to_owned(), "pushed".to_owned(), tries));
    assert_eq!(rows(&output, &site), expected, "{text}");
    assert!(text.contains("toomanyrequests") && text.contains("503") && text.contains(" in 2 s"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_that_asks_for_a_password_gets_it_from_dockers_configuration_alone() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::that_asks("ask"));
    let proxy = Proxy::start(&registry, |_, _| Answer::Forward);
    let (site, there) = (built("ask"), proxy.address.to_string());
    let config = Folder::new();
    let run = |args: &[&str]| site.command(args).env("DOCKER_CONFIG", &config.0).output().unwrap();
    let auth = |password: &str| {
        let auth = BASE64_STANDARD.encode(format!("{NAME}:{password}"));
        config.write("config.json", &serde_json::json!({"auths": {&there: {"auth": &auth}}}).to_string());
        auth
    };

    config.write("config.json", "{}");
    let stranger = run(&push(&there, &["--verbose", "--jobs", "1"]));
    let text = site.told(&stranger);
    assert_eq!(stranger.status.code(), Some(3), "{text}");
    assert!(text.contains(&format!("help: sign in with `docker login {there}`")), "{text}");
    assert!(text.contains("no basic auth credentials") && !text.contains("retry "), "{text}");
    assert_eq!(states(&stranger, &site), ["failed", "not-tried", "not-tried", "not-tried"]);
    let left = docker(&["image", "ls", "--quiet", "--filter", &format!("reference={there}/*")]);
    assert_eq!(left, "", "a tag stands under the registry's name, and the registry has nothing");

    auth("open-sesame-4712");
    let wrong = run(&push(&there, &["--verbose"]));
    assert_eq!(wrong.status.code(), Some(3), "{}", site.told(&wrong));
    assert!(site.told(&wrong).contains("docker login"), "{}", site.told(&wrong));

    let secret = auth(PASSWORD);
    let output = run(&push(&there, &["--verbose"]));
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(states(&output, &site), ["pushed"; 4]);
    assert!(text.contains("+ docker tag"), "not every command was shown: {text}");
    let record = site.folder.read("target/xtask/digests.json");
    for text in [&text, &site.told(&wrong), &record] {
        assert!(!text.contains(PASSWORD) && !text.contains(&secret), "the password was told: {text}");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_push_that_is_killed_goes_on_where_it_was() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("go-on"));
    let victim = Arc::new(OnceLock::<u32>::new());
    let doomed = Arc::clone(&victim);
    let killed = AtomicU32::new(0);
    // It dies when the manifest of the second image comes.
    let proxy = Proxy::start(&registry, move |line, _| {
        let comes = line.starts_with("PUT") && line.contains("-beta/manifests/");
        if comes && killed.fetch_add(1, Ordering::SeqCst) == 0 {
            crate::support::signal("KILL", *doomed.wait());
            return Answer::Cut;
        }
        Answer::Forward
    });
    let (site, there) = (built("go-on"), proxy.address.to_string());
    let args = push(&there, &["--jobs", "1"]);
    let mut command = site.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    victim.set(child.id()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), None, "it was not killed: {}", site.told(&output));
    let alpha = format!("{there}/{}-alpha:2.0-optimized", site.prefix);
    assert!(recorded(&site, &alpha).starts_with("sha256:"), "what ended well was not taken down");
    let sent = proxy.count(&["POST", "-alpha/blobs/uploads/"]);

    let next = site.run(&args);
    assert_eq!(next.status.code(), Some(0), "{}", site.told(&next));
    assert_eq!(states(&next, &site), ["unchanged", "unchanged", "pushed", "pushed"]);
    assert_eq!(proxy.count(&["POST", "-alpha/blobs/uploads/"]), sent, "a layer was sent again");
    let beta = format!("{there}/{}-beta", site.prefix);
    assert_pullable(&format!("{beta}@{}", recorded(&site, &format!("{beta}:2.0-optimized"))));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_that_does_not_answer_is_the_environments_fault() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("deaf");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = site.run(&["build-images", "alpha", "--push", "--registry", &closed.to_string()]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("connection refused") && text.contains("help:"), "{text}");
    assert_eq!(site.tag_names().len(), 2, "what was built stays built");
    let left = docker(&["image", "ls", "--quiet", "--filter", &format!("reference={closed}/*")]);
    assert_eq!(left, "", "a tag stands under the registry's name, and the registry has nothing");
}
