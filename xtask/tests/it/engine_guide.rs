//! Every command block of docs/guide-commands.md runs as written and does what it is for: each in a fixture of its own, so that
//! this machine's images, stacks and tags are afterwards what they were.

use std::collections::BTreeMap;
use std::process::Command;

use crate::support::blocks::{GUIDE, Shell, found};
use crate::support::containers::{said, the_manifest};
use crate::support::fixture::{self, Replaced, build, rows};
use crate::support::registry::Registry;
use crate::support::stack::Stack;
use crate::support::{Folder, Site};
use serde_json::Value;

cases! {
    GUIDE;
    the_build_script_builds_every_image:
        "Implementation Files › Build Script" => build_script;
    the_checklist_builds_and_compares:
        "Production Deployment Checklist › 1. Build Optimized Images" => checklist_build;
    the_checklist_tags_and_pushes:
        "Production Deployment Checklist › 3. Registry Push" => registry_push;
    every_word_of_the_quick_reference_does_its_work:
        "Build Commands Quick Reference" => quick_reference;
    every_optimized_image_is_listed:
        "Verification Steps › 1. Size Verification" => size_verification;
    the_stack_is_installed_and_smoke_tested:
        "Verification Steps › 2. Functionality Test" => functionality_test;
    the_stack_is_monitored_and_started:
        "Verification Steps › 3. Performance Monitoring" => performance_monitoring;
    an_image_is_looked_into:
        "Troubleshooting › Debug Commands" => debug_commands;
}

#[test]
fn every_block_has_a_case_and_every_case_a_block() {
    let headings: Vec<String> = GUIDE.blocks().into_iter().map(|block| block.heading).collect();
    assert_eq!(headings, CASES);
}

/// A repository with images of its own, one of whose services bears the name that the guide's commands say.
fn site(test: &str) -> Site {
    fixture::site(&format!("guide-{test}"), &["embedding", "other"])
}

const OPTIMIZED: [&str; 4] = [
    "P-embedding:latest-optimized",
    "P-embedding:latest-simple-optimized",
    "P-other:latest-optimized",
    "P-other:latest-simple-optimized",
];

const ORIGINALS: [&str; 4] =
    ["P-embedding:latest", "P-embedding:latest-simple", "P-other:latest", "P-other:latest-simple"];

fn build_script(block: &str) {
    let site = site("script");
    let text = Shell::new(&site.folder, Vec::new()).run(block);
    assert_eq!(site.tag_names(), OPTIMIZED);
    assert!(rows(&text, "embedding").iter().any(|row| row.ends_with("goal met")), "{text}");
}

fn checklist_build(block: &str) {
    let site = site("checklist");
    build(&site, &["--variant", "original"]);
    let text = Shell::new(&site.folder, Vec::new()).run(block);
    assert_eq!(site.tag_names().len(), OPTIMIZED.len() + ORIGINALS.len(), "{text}");
    assert!(OPTIMIZED.iter().all(|tag| site.tag_names().contains(&(*tag).to_owned())), "{text}");
    // One comparison ends the build, the other was asked for.
    let tables = text.lines().filter(|line| line.starts_with("total of 2")).count();
    assert_eq!(tables, 2, "{text}");
    assert!(text.contains("Edition simple, tag latest."), "{text}");
}

/// A tag outside of any fixture, which is afterwards what it was before.
struct Borrowed {
    tag: &'static str,
    before: String,
}

impl Borrowed {
    fn new(tag: &'static str) -> Borrowed {
        Borrowed { tag, before: id(tag) }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let undo = [vec!["image", "rm", self.tag], vec!["tag", &self.before, self.tag]];
        Command::new("docker").args(&undo[usize::from(!self.before.is_empty())]).output().ok();
    }
}

/// The image that a tag stands on; empty for none.
fn id(tag: &str) -> String {
    said(&["image", "ls", "--no-trunc", "--quiet", "--filter", &format!("reference={tag}")])
}

fn registry_push(block: &str) {
    let (site, registry) = (site("push"), Registry::start("guide"));
    let borrowed = Borrowed::new("registry.company.com/sutra-embedding-service:2.0.0-optimized");
    let variables = vec![("SUTRA_REGISTRY".to_owned(), registry.address())];
    let text = Shell::new(&site.folder, variables).run(block);
    assert_eq!(id(borrowed.tag), id("sutra-embedding-service:latest-optimized"), "{text}");

    let names = ["embedding", "other"].map(|name| format!("{}-{name}", site.prefix));
    assert_eq!(registry.says("/v2/_catalog")["repositories"], Value::from(names.to_vec()), "{text}");
    for name in names {
        let mut tags: Vec<String> =
            serde_json::from_value(registry.says(&format!("/v2/{name}/tags/list"))["tags"].take()).unwrap();
        tags.sort();
        assert_eq!(tags, ["latest-optimized", "latest-simple-optimized"], "{text}");
    }
}

fn quick_reference(block: &str) {
    let site = site("reference");
    build(&site, &["--variant", "both"]);
    let before: BTreeMap<String, String> = site.tags().into_iter().collect();
    let built = |name: &str| before[&format!("{}-{name}:latest-simple-optimized", site.prefix)].clone();
    let _replaced = Replaced::soon(&site, "embedding");
    let text = Shell::new(&site.folder, Vec::new()).run(block);

    // The images that `test` has asked: one was built anew without the cache, the other did not change.
    let tested: Value =
        serde_json::from_str(&site.folder.read("target/xtask/records/test-simple.json")).unwrap();
    let report = &tested["record"]["report"];
    assert_ne!(report["images"]["embedding"], Value::from(built("embedding")), "{text}");
    assert_eq!(report["images"]["other"], Value::from(built("other")), "{text}");
    assert!(text.contains("passed in project fixture-test-"), "{text}");
    // build-all, build and compare: each ends with a comparison of what it was asked for.
    let totals = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!((totals("total of 2"), rows(&text, "embedding").len() >= 3), (2, true), "{text}");
    assert!(text.contains(&format!("{}-embedding:latest-", site.prefix)), "analyze names no image: {text}");
    // What `clean` removed is the optimized images, and only this checkout's.
    assert_eq!(site.tag_names(), ORIGINALS, "{text}");
    for service in the_manifest().services {
        assert_ne!(id(&format!("{}:latest-optimized", service.image)), "", "{} is gone", service.image);
    }
}

fn size_verification(block: &str) {
    let checkout = Folder::new();
    let text = Shell::new(&checkout, Vec::new()).run(block);
    for service in the_manifest().services {
        let listed =
            |line: &str| line.split_whitespace().take(2).eq([service.image.as_str(), "latest-optimized"]);
        assert!(text.lines().any(listed), "{} is not listed: {text}", service.image);
    }
}

/// What keeps a stack apart from others.
fn variables(stack: &Stack) -> Vec<(String, String)> {
    let command = stack.command(&[]);
    let set = command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)));
    set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The containers of a stack that run: ID by the service's name in the Compose file.
fn running(stack: &Stack) -> BTreeMap<String, String> {
    let project = format!("label=com.docker.compose.project={}", stack.project);
    let format = "{{.Label \"com.docker.compose.service\"}} {{.ID}}";
    let text = said(&["ps", "--no-trunc", "--filter", &project, "--format", format]);
    let pair = |line: &str| line.split_once(' ').map(|(name, id)| (name.to_owned(), id.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn functionality_test(block: &str) {
    let stack = Stack::new("guide-install");
    let text = Shell::new(&stack.folder, variables(&stack)).run(block);
    assert!(text.contains("all 8 services are healthy"), "{text}");
    let running = running(&stack);
    assert_eq!(running.len(), 8, "{text}");
    let image = said(&["inspect", "--format", "{{.Config.Image}}", &running["embedding-single"]]);
    assert_eq!(image, "sutra-embedding-service:latest-optimized");

    let smoke: Value = serde_json::from_str(&stack.folder.read("target/xtask/smoke.json")).unwrap();
    let outcomes = smoke["outcomes"].as_array().unwrap();
    assert!(outcomes.iter().all(|outcome| outcome["group"] == "embedding"), "{smoke}");
    let count = outcomes.len();
    assert!(
        count > 0 && text.contains(&format!("{count} of {count} passed in project {}.", stack.project)),
        "{text}"
    );
}

/// `docker stats` goes on for ever: a person ends it with Ctrl-C, and so does this, once every container of the stack has its
/// figures. Any other command is the real docker's.
const STATS: &str = r#"[ "$*" = stats ] || exec DOCKER "$@"
DOCKER stats > "$0.out" & stats=$!
names=$(DOCKER ps --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME" --format '{{.Names}}')
for try in $(seq 600); do
    missing=
    for name in $names; do grep -q "$name .*[KMG]iB / " "$0.out" || missing=$name; done
    [ -n "$missing" ] || break
    sleep 0.1
done
kill -INT $stats
wait $stats
cat "$0.out"
[ -z "$missing" ] || { echo "no figures of $missing" >&2; exit 1; }
"#;

fn performance_monitoring(block: &str) {
    let stack = Stack::new("guide-monitor");
    stack.done(&["install"]);
    let mut before = running(&stack);
    said(&["rm", "--force", &before.remove("sutra-client").unwrap()]);
    let shell = Shell::new(&stack.folder, variables(&stack));
    shell.program("docker", &STATS.replace("DOCKER", &found("docker").unwrap().display().to_string()));
    let text = shell.run(block);
    for service in before.keys() {
        let container = format!("{}-{service}-1", stack.project);
        let figures = |line: &str| line.contains(&container) && line.contains("iB / ");
        assert!(text.lines().any(figures), "no figures of {container}: {text}");
    }
    // What was gone is started, what ran goes on, and it is said how long that took.
    let mut after = running(&stack);
    assert!(after.remove("sutra-client").is_some(), "{text}");
    assert_eq!(after, before, "{text}");
    assert!(text.contains("\nreal\t"), "{text}");
}

fn debug_commands(block: &str) {
    let checkout = Folder::new();
    let text = Shell::new(&checkout, Vec::new()).run(block);
    let line = |start: &str| text.lines().any(|line| line.starts_with(start));
    assert!(line("IMAGE") && text.contains("MB"), "no layers: {text}");
    assert!(line("fastapi "), "no packages: {text}");
    assert!(line("Python 3.13."), "no version: {text}");
}
