//! Pushing to a real registry through a proxy that rejects requests or closes connections.

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::engine_push::{assert_pullable, built, push, recorded, rows, states};
use crate::support::registry::{Answer, Proxy, Registry};
use crate::support::{Site, docker, signal};
use serde_json::{Value, json};

/// Whether a request writes a tag of `image`.
fn is_tag(head: &str, image: &str) -> bool {
    head.starts_with("PUT")
        && head.lines().next().is_some_and(|line| line.contains(&format!("{image}/manifests/")))
}

/// A site's local tags for a registry, without the registry. Filtered by site: an earlier registry may have used the same port.
fn local(site: &Site, address: &str) -> Vec<String> {
    let filter = format!("reference={address}/{}-*", site.prefix);
    let names = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", &filter]);
    names.lines().map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
}

/// The digest of a tag in the registry.
fn digest(reference: &str) -> String {
    let text = docker(&["buildx", "imagetools", "inspect", "--format", "{{json .Manifest}}", reference]);
    let manifest: Value = serde_json::from_str(&text).unwrap();
    manifest["digest"].as_str().unwrap().to_owned()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_immutable_registry_gets_only_new_tags() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("fixed"));
    let known = Mutex::new(std::collections::BTreeSet::new());
    // Like ECR: an existing tag cannot be written, even with the same manifest.
    let proxy = Proxy::start(&registry, move |head, _| {
        let line = head.lines().next().unwrap_or_default().to_owned();
        if is_tag(head, "") && !known.lock().unwrap().insert(line) {
            let message = "The image tag '2.0' already exists in the 't/x' repository and cannot be overwritten because the repository is immutable.";
            return Answer::Error("400 Bad Request", "TAG_INVALID", message);
        }
        Answer::Forward
    });
    let (site, there) = (built("fixed"), proxy.address.to_string());
    let first = site.run(&push(&there, &[]));
    assert_eq!(states(&first, &site), ["pushed"; 4], "{}", site.told(&first));
    let writes = || proxy.count(&["PUT", "/manifests/"]) + proxy.count(&["POST"]);
    let before = writes();
    let again = site.run(&push(&there, &[]));
    assert_eq!((again.status.code(), states(&again, &site)), (Some(0), vec!["unchanged".to_owned(); 4]));
    // As on a machine that built the same images but never pushed.
    std::fs::remove_file(site.folder.0.join("target/xtask/digests.json")).unwrap();
    let tags: Vec<String> = local(&site, &there).iter().map(|tag| format!("{there}/{tag}")).collect();
    docker(&[&["image", "rm"][..], &tags.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    let fresh = site.run(&push(&there, &[]));
    assert_eq!((fresh.status.code(), states(&fresh, &site)), (Some(0), vec!["unchanged".to_owned(); 4]));
    assert_eq!(writes(), before, "an unchanged push wrote to the registry");

    site.folder.write("alpha/hello", "changed");
    assert_eq!(site.run(&["build-images", "--tag", "2.0"]).status.code(), Some(0));
    assert_eq!(site.run(&["build-images", "beta", "--tag", "2.1"]).status.code(), Some(0));
    let changed = site.run(&push(&there, &[]));
    let text = site.told(&changed);
    assert_eq!(changed.status.code(), Some(1), "{text}");
    assert_eq!(states(&changed, &site), ["failed", "failed", "unchanged", "unchanged"], "{text}");
    assert!(text.contains("are immutable: push with a new --tag and --fixed-tags"), "{text}");
    let next = site.run(&["push", "beta", "--tag", "2.1", "--registry", &there, "--fixed-tags"]);
    assert_eq!(next.status.code(), Some(0), "{}", site.told(&next));
    assert!(local(&site, &there).contains(&format!("{}-beta:2.1-simple-optimized", site.prefix)));
    assert!(!local(&site, &there).contains(&format!("{}-beta:2.1-optimized", site.prefix)));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_tag_moved_elsewhere_or_turned_into_an_index_is_replaced_and_reported() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("moved"));
    let (site, there) = (built("moved"), registry.address());
    assert_eq!(site.run(&push(&there, &[])).status.code(), Some(0));
    let tag = |name: &str, tag: &str| format!("{there}/{}-{name}:{tag}", site.prefix);
    let (fixed, plain) = (tag("alpha", "2.0-simple-optimized"), tag("alpha", "2.0-optimized"));
    let ours = digest(&fixed);
    docker(&["tag", &tag("beta", "2.0-optimized"), &fixed]);
    docker(&["push", "--quiet", &fixed]);
    docker(&["buildx", "imagetools", "create", "--tag", &plain, &plain, &tag("beta", "2.0-optimized")]);
    let (moved, index) = (digest(&fixed), digest(&plain));
    let only = ["release-check", "--only", "digests", "--edition", "simple", "--tag", "2.0"];
    let check = site.told(&site.run(&only));
    assert!(
        check.starts_with("exit: 1\n")
            && check.contains(&format!("{fixed} ({moved}) differs from the local")),
        "{check}"
    );

    let output = site.run(&push(&there, &["alpha"]));
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(states(&output, &site), ["replaced"; 2], "{text}");
    assert!(text.contains(&format!("{fixed}  {ours}; replaced {moved}\n")), "{text}");
    assert!(text.contains(&format!("{plain}  {ours}; replaced {index}\n")), "{text}");
    assert_eq!((digest(&fixed), digest(&plain)), (ours.clone(), ours));
    let check = site.run(&only);
    assert_eq!(check.status.code(), Some(0), "{}", site.told(&check));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn rejections_have_their_cause_and_hide_no_other_image() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("reject"));
    let rule = Arc::new(Mutex::new(("nothing", 0)));
    let current = Arc::clone(&rule);
    let proxy = Proxy::start(&registry, move |head, _| {
        let mut rule = current.lock().unwrap();
        let (is_beta, is_manifest) = (head.contains("-beta/"), is_tag(head, "-beta"));
        let is_upload = is_beta && head.starts_with("POST");
        let is_rejected = match rule.0 {
            "413" => is_beta && head.starts_with("PATCH"),
            "403" | "404" => is_upload,
            "401" => is_manifest && rule.1 == 0,
            "503" => is_manifest,
            _ => false,
        };
        if !is_rejected {
            return Answer::Forward;
        }
        rule.1 += 1;
        match rule.0 {
            "413" => Answer::Page("413 Request Entity Too Large"),
            "403" => Answer::Error("403 Forbidden", "DENIED", "no-space-left: x509 certificate unauthorized"),
            "404" => Answer::Error(
                "404 Not Found",
                "NAME_UNKNOWN",
                "The repository with name 'team/certificate-api' does not exist",
            ),
            "401" => Answer::Error("401 Unauthorized", "UNAUTHORIZED", "token expired"),
            _ => Answer::Status("503 Service Unavailable"),
        }
    });
    for (fault, code, help) in [
        ("404", 1, "has no such repository"),
        ("413", 3, "client_max_body_size"),
        ("403", 3, "lacks the permission to push"),
        ("503", 3, "check its log"),
        ("401", 0, ""),
    ] {
        *rule.lock().unwrap() = (fault, 0);
        let site = built(&format!("reject-{fault}"));
        let there = format!("{}/of-{fault}", proxy.address);
        let output = site.run(&push(&there, &[]));
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(code), "{fault}: {text}");
        let (alpha, beta): (Vec<_>, Vec<_>) =
            rows(&output, &site).into_iter().partition(|row| row.0.contains("alpha"));
        assert!(alpha.iter().all(|row| row.1 == "pushed"), "{fault}: {text}");
        if code == 0 {
            assert_eq!(beta[0].2, 2, "the token was not refreshed: {text}");
            continue;
        }
        assert_eq!([&beta[0].1, &beta[1].1], ["failed", "not-tried"], "{fault}: {text}");
        assert!(text.contains(help) && !text.contains("CA ("), "{fault}: {text}");
        let names = local(&site, &there);
        assert!(names.len() == 2 && names.iter().all(|name| name.contains("alpha")), "{fault}: {names:?}");
        let reference = format!("{there}/{}-beta:2.0-simple-optimized", site.prefix);
        assert_eq!(recorded(&site, &reference), "none", "{fault}");
    }
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_token_that_expires_in_the_middle_is_refreshed() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("token"));
    let (number, address) = (AtomicU32::new(1), Arc::new(OnceLock::<String>::new()));
    let own = Arc::clone(&address);
    // The first token expires when the first tag of beta is written.
    let proxy = Proxy::start(&registry, move |head, _| {
        let token = |number: u32| format!("Bearer token-{number}");
        if head.starts_with("GET /token") {
            let token = format!("token-{}", number.load(Ordering::SeqCst));
            return Answer::Json(
                "200 OK".into(),
                json!({"token": token, "access_token": token, "expires_in": 300}),
            );
        }
        if is_tag(head, "-beta") {
            number.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst).ok();
        }
        if head.contains(&token(number.load(Ordering::SeqCst))) {
            return Answer::Forward;
        }
        let realm = format!("Bearer realm=\"http://{}/token\",service=\"test\"", own.wait());
        let errors = json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]});
        Answer::Json(format!("401 Unauthorized\r\nWWW-Authenticate: {realm}"), errors)
    });
    address.set(proxy.address.to_string()).unwrap();
    let site = built("token");
    let output = site.run(&push(&proxy.address.to_string(), &["--jobs", "1"]));
    assert_eq!(output.status.code(), Some(0), "{}", site.told(&output));
    assert_eq!(states(&output, &site), ["pushed"; 4]);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_registry_with_a_full_disk_keeps_what_fits() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::with_room("full", 1 << 20);
    let (site, there) = (built("full"), registry.address());
    // Data that compresses badly.
    let noise: String =
        (0..400_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    site.folder.write("beta/hello", &noise);
    assert_eq!(site.run(&["build-images", "beta", "--tag", "2.0"]).status.code(), Some(0));
    let output = site.run(&push(&there, &["--jobs", "1"]));
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert_eq!(states(&output, &site), ["pushed", "pushed", "failed", "not-tried"], "{text}");
    assert!(text.contains("check its log and free disk space"), "{text}");
    assert!(local(&site, &there).iter().all(|name| name.contains("alpha")), "{:?}", local(&site, &there));
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn whatever_signal_ends_a_push_the_next_one_finishes_it() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Arc::new(Registry::start("signal"));
    let plan = Arc::new(Mutex::new(None::<(&'static str, Arc<OnceLock<u32>>)>));
    let current = Arc::clone(&plan);
    let proxy = Proxy::start(&registry, move |head, _| {
        if is_tag(head, "-beta")
            && let Some((name, victim)) = current.lock().unwrap().take()
        {
            signal(name, *victim.wait());
            return Answer::Cut;
        }
        Answer::Forward
    });
    let site = built("signal");
    for name in ["INT", "TERM", "HUP", "KILL"] {
        let there = format!("{}/after-{}", proxy.address, name.to_lowercase());
        let victim = Arc::new(OnceLock::new());
        *plan.lock().unwrap() = Some((name, Arc::clone(&victim)));
        let args = push(&there, &["--jobs", "1"]);
        let child = site.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        victim.set(child.id()).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = site.told(&output);
        assert_eq!(output.status.code(), (name != "KILL").then_some(130), "{name}: {text}");
        let left = |what: &str| local(&site, &there).iter().filter(|tag| tag.contains(what)).count();
        if name == "KILL" {
            // Pushing another image removes the leftover tag.
            assert_eq!(left("-beta"), 1, "{:?}", local(&site, &there));
            assert_eq!(site.run(&push(&there, &["alpha"])).status.code(), Some(0));
        } else {
            assert!(text.contains(" has 2 of 4 tags\nhelp: run the same command again"), "{name}: {text}");
        }
        assert_eq!((left("-alpha"), left("-beta")), (2, 0), "{name}: {:?}", local(&site, &there));

        let next = site.run(&args);
        assert_eq!(next.status.code(), Some(0), "{name}: {}", site.told(&next));
        assert_eq!(left("-beta"), 2);
        let beta = format!("{there}/{}-beta", site.prefix);
        assert_pullable(&format!("{beta}@{}", recorded(&site, &format!("{beta}:2.0-optimized"))));
    }
}
