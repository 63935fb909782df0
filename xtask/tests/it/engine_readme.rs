//! Runs every command block of README.md and docs/network.md as written and verifies its effect. Each block has its own fixture, so that
//! images, stacks and tags of this machine do not change.

use std::fs;
use std::process::Command;

use crate::support::Site;
use crate::support::blocks::{NETWORK, README, Shell, commands, found, own_variables, untested_pages};
use crate::support::containers::{root, said, the_manifest};
use crate::support::fixture::{self, Replaced, build, rows, with_bytes};
use crate::support::registry::Registry;
use crate::support::trust::{Saved, Server, Tunnel};
use serde_json::Value;

cases! {
    README;
    a_smaller_image_is_accepted_and_its_growth_is_detected: "Make an image smaller" => smaller;
    growth_is_explained_and_accepted: "Find out why an image grew" => grew;
    a_service_is_added: "Add a service" => added;
    pushed_images_are_pinned_deployed_and_tested: "Push and deploy" => push_and_deploy;
}

mod network {
    use super::*;

    cases! {
        NETWORK;
        stand_ins_replace_upstream_images_and_are_marked: "No registry" => no_registry;
        proxy_and_private_ca_are_used_by_the_build_but_not_stored_in_the_image:
            "Behind a proxy, with a private CA" => behind_a_proxy;
    }

    #[test]
    fn every_block_is_tested() {
        let headings: Vec<String> = NETWORK.blocks().into_iter().map(|block| block.heading).collect();
        assert_eq!(headings, CASES);
    }
}

/// The section whose block is not run: `ci` runs these tests, so a test that runs `ci` would never end.
const EXCEPTED: &str = "Two commands for Sutra";

#[test]
fn every_block_is_tested() {
    let headings: Vec<String> = README.blocks().into_iter().map(|block| block.heading).collect();
    assert_eq!(headings, [&[EXCEPTED], CASES].concat());
}

#[test]
fn pages_without_tests_have_no_blocks() {
    assert_eq!(untested_pages(), Vec::<String>::new());
}

#[test]
fn every_command_in_the_documentation_is_valid() {
    let commands = commands();
    assert!(commands.len() > 50, "the documentation was not found");
    let mut invalid = Vec::new();
    for (page, words) in commands.into_iter().filter(|(_, words)| words[0] != "help") {
        // clap parses all words before it prints the help.
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(&words).arg("--help").output().unwrap();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
            invalid.push(format!("{page}: cargo xtask {}: {error}", words.join(" ")));
        }
    }
    assert!(invalid.is_empty(), "{}", invalid.join("\n"));
}

#[test]
fn the_readme_fits_on_200_lines() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 200);
}

const DOCKERFILE: &str = "embedding/Dockerfile.optimized";

/// Runs a block in a site. Image names of this repository are replaced by those of the site; everything else is as written.
fn run(site: &Site, block: &str, variables: &[(&str, &str)]) -> String {
    let own = |text: String, (image, name): (String, String)| {
        text.replace(&format!("{image}:"), &format!("{}-{name}:", site.prefix))
    };
    let images = the_manifest().services.into_iter().map(|service| (service.image, service.name));
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Shell::new(&site.folder, variables.collect()).run(&images.fold(block.to_owned(), own))
}

/// Runs xtask, which must succeed, and returns its output.
fn done(site: &Site, args: &[&str]) -> String {
    let output = site.run(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", site.told(&output));
    site.told(&output)
}

/// A service's baseline: bytes of its own layers, and the reason for accepting them.
fn locked(site: &Site, service: &str) -> (i64, String) {
    let lock: toml::Table = site.folder.read("xtask/sizes.lock.toml").parse().unwrap();
    let row = lock[service]["simple"].as_table().unwrap().values().next().unwrap();
    (row["own"].as_integer().unwrap(), row["reason"].as_str().unwrap().to_owned())
}

/// Runs a check, which must report no breaches, and no note except that the site is not a git repository.
fn assert_settled(site: &Site, service: &str) {
    let text = done(site, &["check", service]);
    let mut notes = text.lines().filter(|line| line.contains(" · "));
    assert!(notes.all(|note| note.ends_with("this is not a git repository")), "{text}");
    assert!(text.contains("1 image checked, tag latest: no breaches."), "{text}");
}

/// The text of `--reason` in a block.
fn reason(block: &str) -> &str {
    block.split("--reason \"").nth(1).unwrap().split('"').next().unwrap()
}

fn smaller(block: &str) {
    let site = fixture::site("readme-smaller", &["embedding"]);
    let thin = site.folder.read(DOCKERFILE);
    site.folder.write(DOCKERFILE, &with_bytes(&thin, "tests", 5_000_000));
    build(&site, &["--variant", "both"]);
    let _large = Replaced::soon(&site, "embedding");
    done(&site, &["test", "--parity", "--record"]);
    done(&site, &["check", "--accept", "--reason", "as it was"]);
    let (before, _) = locked(&site, "embedding");

    site.folder.write(DOCKERFILE, &thin);
    let text = run(&site, block, &[]);
    // The first command analyzes the image as it was before the change.
    let (analyzed, rest) = text.split_once("SERVICE ").expect(&text);
    let of_tests =
        |line: &str| line.contains("  5MB ") && line.ends_with("RUN head -c 5000000 /dev/zero > /tests");
    assert!(analyzed.lines().any(of_tests), "{text}");
    let image = format!("{}-embedding:latest-simple", site.prefix);
    let sentence = format!("{image}-optimized is 30MB smaller than {image}; largest change: ");
    let end = " −30MB (`embedding/Dockerfile:3`).";
    assert!(rest.lines().any(|line| line.starts_with(&sentence) && line.ends_with(end)), "{text}");
    assert!(rest.contains("optimized images compared with recorded answers of the originals\n"), "{text}");
    assert!(rest.contains("2 of 2 passed") && rest.contains("1 of 1 passed"), "{text}");
    assert_eq!(locked(&site, "embedding"), (before - 5_000_000, reason(block).to_owned()), "{text}");
    assert_settled(&site, "embedding");
    let _small = Replaced::soon(&site, "embedding");

    // If the bytes come back, the check fails.
    site.folder.write(DOCKERFILE, &with_bytes(&thin, "tests", 5_000_000));
    build(&site, &[]);
    assert_eq!(site.run(&["check", "embedding"]).status.code(), Some(1));
}

fn git(site: &Site, args: &[&str]) {
    let mut command = Command::new("git");
    // If a git hook runs the tests, GIT_ variables point to its repository.
    own_variables(&["GIT_"]).iter().for_each(|name| {
        command.env_remove(name);
    });
    let output = command
        .args(["-c", "user.name=test", "-c", "user.email=test@test.invalid"])
        .args(["-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"])
        .args(args)
        .current_dir(&site.folder.0)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn grew(block: &str) {
    let site = fixture::site("readme-grew", &["embedding", "other"]);
    build(&site, &[]);
    let _small = Replaced::soon(&site, "embedding");
    done(&site, &["check", "--accept", "--reason", "the first"]);
    let (before, _) = locked(&site, "embedding");
    site.folder.write(".gitignore", "/target\n");
    git(&site, &["init", "--quiet", "--initial-branch=main"]);
    git(&site, &["add", "."]);
    git(&site, &["commit", "--quiet", "--message=small"]);
    git(&site, &["switch", "--quiet", "--create", "change"]);
    site.folder.write(DOCKERFILE, &with_bytes(&site.folder.read(DOCKERFILE), "model", 5_000_000));
    git(&site, &["commit", "--quiet", "--all", "--message=large"]);

    // The failed check that leads a user to this section.
    build(&site, &["embedding"]);
    let _large = Replaced::soon(&site, "embedding");
    let output = site.run(&["check"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("embedding (simple): own layers:") && text.contains(" 5MB above the baseline"),
        "{text}"
    );
    let lock = site.folder.read("xtask/sizes.lock.toml");
    let line = 2 + lock.lines().position(|line| line == "[embedding]").unwrap();
    assert!(text.contains(&format!("at:   xtask/sizes.lock.toml:{line}\n")), "{text}");

    let text = run(&site, block, &[]);
    let image = |tag: &str| format!("{}-embedding:{tag}-simple-optimized", site.prefix);
    let sentence = format!("{} is 5MB larger than {}; largest change: ", image("latest"), image("before"));
    let end = " +5MB (`embedding/Dockerfile.optimized:3`).";
    assert!(text.lines().any(|line| line.starts_with(&sentence) && line.ends_with(end)), "{text}");
    // Only the violated baseline has changed in the lock.
    assert_eq!(locked(&site, "embedding"), (before + 5_000_000, reason(block).to_owned()), "{text}");
    let after = site.folder.read("xtask/sizes.lock.toml");
    let others = |text: &str| {
        [text.lines().take(line - 1).collect::<Vec<_>>(), text.lines().skip(line).collect()]
            .map(|lines| lines.join("\n"))
    };
    assert_eq!(others(&after), others(&lock), "{text}");
    assert_settled(&site, "embedding");
}

fn added(block: &str) {
    let site = fixture::site("readme-added", &["other"]);
    let unknown = site.run(&["build-images", "embedding"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", site.told(&unknown));

    fixture::add(&site, "embedding");
    let text = run(&site, block, &[]);
    // `build-images` and `compare` each print a comparison; both include an original that was built.
    let rows = rows(&text, "embedding");
    let compared = rows.iter().filter(|row| row.contains(" 30MB ") && row.ends_with("goal met")).count();
    assert_eq!(compared, 2, "{text}");
    assert!(text.contains("2 of 2 passed in project fixture-test-"), "{text}");
    assert_eq!(locked(&site, "embedding").1, reason(block), "{text}");
    assert_settled(&site, "embedding");
}

/// Provides the root file system for stand-ins. If it does not exist and mmdebstrap is missing, which may be so if upstream images
/// are available, it is taken from the upstream image.
fn provide_root(site: &Site) {
    let path = site.folder.0.join("target/xtask/bootstrap/trixie/rootfs.tar");
    if path.exists() || found("mmdebstrap").is_some() {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let container = said(&["create", "debian:trixie-slim", "true"]);
    said(&["export", "--output", path.to_str().unwrap(), &container]);
    said(&["rm", &container]);
}

fn no_registry(block: &str) {
    let site = fixture::site("readme-bases", &["api"]);
    provide_root(&site);
    let text = run(&site, block, &[]);
    // Later runs remember the choice of `doctor`.
    let choice: Value = serde_json::from_str(&site.folder.read("target/xtask/bases.json")).unwrap();
    let bases = match choice["source"].as_str().unwrap() {
        "stand-in" => "stand-ins from Debian packages",
        _ => "upstream images",
    };
    let told = |state: &str, name: &str, found: &str| {
        let fits = |line: &str| line.starts_with(state) && line.contains(name) && line.contains(found);
        assert!(text.lines().any(fits), "{name}: {text}");
    };
    told("info", "bases", &format!("{bases} ({})", choice["reason"].as_str().unwrap()));
    told("ok", "networked RUN", "a build step reaches the network");

    assert!(
        text.contains("bases are stand-ins made from Debian packages, not the upstream images"),
        "{text}"
    );
    assert!(rows(&text, "api")[0].contains("MB† "), "{text}");
    assert!(text.contains("\n† Built on stand-ins made from Debian packages"), "{text}");
    for end in ["latest-simple", "latest-simple-optimized"] {
        let image = format!("{}-api:{end}", site.prefix);
        let label = "{{index .Config.Labels \"fixture.images.bases\"}}";
        assert_eq!(said(&["image", "inspect", "--format", label, &image]), "stand-in", "{image}");
    }
}

fn behind_a_proxy(block: &str) {
    let (server, tunnel) = (Server::start(), Tunnel::start());
    let site = fixture::site("readme-proxy", &["embedding"]);
    // Like a package from an https mirror: apt's downloader uses the proxy of the environment.
    let target = "/etc/ssl/certs/ca-certificates.crt";
    let download = format!(
        "RUN --mount=type=secret,id=ca,target={target} /usr/lib/apt/apt-helper -o Acquire::Retries=0 \
         -o Acquire::https::CaInfo={target} download-file {} /hello\nCOPY",
        server.url
    );
    site.folder.write(DOCKERFILE, &site.folder.read(DOCKERFILE).replace("COPY", &download));
    let bundle = server.folder.0.join("ca.crt");
    let variables = [("HTTPS_PROXY", tunnel.url.as_str()), ("SSL_CERT_FILE", bundle.to_str().unwrap())];
    let text = run(&site, block, &variables);

    assert_eq!(tunnel.led(), 1, "the download did not use the proxy: {text}");
    let saved = Saved::of(&format!("{}-embedding:latest-simple-optimized", site.prefix));
    assert!(saved.holds(Server::BODY), "the image does not contain the download: {text}");
    let certificate = server.folder.read("ca.crt");
    assert!(!saved.holds(certificate.lines().nth(3).unwrap()), "a layer contains the private CA");
    assert!(!saved.holds(Tunnel::PASSWORD), "the image contains the proxy's password");
    assert!(!text.contains(Tunnel::PASSWORD), "the output contains the proxy's password: {text}");
    let search = ["--recursive", "--files-with-matches", Tunnel::PASSWORD, "."];
    let found = Command::new("grep").args(search).current_dir(&site.folder.0).output().unwrap();
    assert_eq!((found.status.code(), String::from_utf8_lossy(&found.stdout).as_ref()), (Some(1), ""));
}

/// A site's stack, which is removed on drop.
struct DeployedStack<'a> {
    site: &'a Site,
    project: String,
}

impl DeployedStack<'_> {
    /// The IDs of its containers, including stopped ones.
    fn containers(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.project);
        said(&["ps", "--all", "--quiet", "--filter", &label])
    }
}

impl Drop for DeployedStack<'_> {
    fn drop(&mut self) {
        let mut down = self.site.command(&["deploy", "down", "--volumes"]);
        down.env("COMPOSE_PROJECT_NAME", &self.project).output().ok();
    }
}

fn push_and_deploy(block: &str) {
    let (site, registry) = (fixture::site("readme-push", &["embedding", "other"]), Registry::start("readme"));
    build(&site, &[]);
    let stack = DeployedStack { site: &site, project: site.prefix.clone() };
    let there = format!("{}/team", registry.address());
    let text = run(&site, block, &[("SUTRA_REGISTRY", &there), ("COMPOSE_PROJECT_NAME", &stack.project)]);

    let digests: Value = serde_json::from_str(&site.folder.read("target/xtask/digests.json")).unwrap();
    let compose = site.folder.read("docker-compose.yml");
    let deployed = site.folder.read("target/xtask/deployed/images.json");
    for service in ["embedding", "other"] {
        let name = format!("{}-{service}", site.prefix);
        let reference = format!("{there}/{name}:latest-optimized");
        let digest = digests["images"][&reference]["digest"].as_str().expect(&text);
        // The registry has this image; the Compose file and the deployed stack are pinned to it.
        let manifest = registry.says(&format!("/v2/team/{name}/manifests/{digest}"));
        let id = said(&["image", "inspect", "--format", "{{.Id}}", &format!("{name}:latest-optimized")]);
        assert!([manifest["config"]["digest"].as_str(), Some(digest)].contains(&Some(&id)), "{manifest}");
        assert!(compose.contains(&format!("    image: {reference}@{digest}\n")), "{compose}\n{text}");
        assert!(deployed.contains(&format!("{reference}@{digest}")), "{deployed}\n{text}");
    }
    assert!(text.contains("all 2 services are healthy"), "{text}");
    assert!(text.contains(&format!("2 of 2 passed in project {}.", stack.project)), "{text}");
    assert!(text.contains("removed the stack, kept its data"), "{text}");
    assert_eq!(stack.containers(), "", "{text}");
}
