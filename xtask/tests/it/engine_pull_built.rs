//! `build-images --pull-built` uses an image from a registry only if a build would produce the same one.

use std::collections::BTreeSet;
use std::fs;

use crate::engine_fingerprints::{Project, SERVICES, content, mutate, plain_build, set};
use crate::support::containers::{docker, said};
use crate::support::registry::Registry;
use fastrand::Rng;

impl Project {
    /// Builds with these options, pushes, and returns the output.
    fn publish(&self, registry: &str, more: &[&str]) -> String {
        self.build(&[&["--push", "--built-tags", "--registry", registry], more].concat()).0
    }

    fn pull(&self, registry: &str, more: &[&str]) -> (String, BTreeSet<&'static str>) {
        self.build(&[&["--pull-built", "--registry", registry], more].concat())
    }

    /// Removes the built images and the state folder, to act as a machine that never built.
    fn forget(&self, registry: &str) {
        for service in SERVICES {
            let repository = format!("{registry}/{}-{service}", self.name);
            docker(&["image", "rm", "--force", &self.image(service), &format!("{repository}:latest")]);
            assert_eq!(said(&["image", "ls", "--quiet", &repository]), "", "{service}");
        }
        fs::remove_dir_all(self.folder.0.join(".images")).unwrap();
    }

    /// The tag that the report of a push shows for a service.
    fn built_tag(&self, service: &str, report: &str) -> String {
        let start = format!("/{}-{service}:built-", self.name);
        let line = report.lines().find(|line| line.contains(&start) && line.contains("sha256:"));
        line.unwrap_or_else(|| panic!("{report}")).split_whitespace().next().unwrap().to_owned()
    }
}

fn count_of(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
#[ignore = "needs an engine"]
fn another_machine_takes_what_was_pushed_and_builds_the_rest() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("pulled");
    let at = registry.address();
    let project = Project::new("pulled");
    let report = project.publish(&at, &[]);
    let ids = project.ids();
    assert_eq!(
        count_of(&report, ":built-"),
        2 * SERVICES.len(),
        "once while it runs, once in the table: {report}"
    );
    let tags = said(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
    let own = tags.lines().find(|tag| tag.contains(&project.name) && tag.contains(":built-"));
    assert_eq!(own, None, "the engine keeps no built tag");
    let again = project.publish(&at, &[]);
    let unchanged =
        again.lines().filter(|line| line.contains(":built-") && line.contains(" unchanged ")).count();
    assert_eq!(unchanged, SERVICES.len(), "{again}");

    project.forget(&at);
    let (text, built) = project.pull(&at, &[]);
    assert_eq!((built, project.ids()), (set([]), ids.clone()), "{text}");
    assert!(
        text.contains("4 images pulled, 0 to build.\n") && text.contains("Nothing was built.\n"),
        "{text}"
    );
    let image: serde_json::Value = serde_json::from_str(&said(&["inspect", &project.image("api")])).unwrap();
    assert_eq!(image[0]["RepoTags"].as_array().unwrap().len(), 1, "{image}");
    // Like a built image. The digest is in the record, for `compose-switch --pin`.
    assert_eq!(image[0]["RepoDigests"].as_array().unwrap().len(), 0, "{image}");
    let record = project.folder.read(".images/digests.json");
    let tag = project.built_tag("api", &report);
    let digest =
        report.lines().find(|line| line.starts_with(&tag)).unwrap().split_whitespace().nth(1).unwrap();
    assert!(
        record.contains(&format!("{at}/{}-api:latest", project.name)) && record.contains(digest),
        "{record}"
    );
    assert!(project.pull(&at, &[]).0.contains("Up to date: 4 images. Nothing was built.\n"));

    project.forget(&at);
    project.write("api/deep/file", "other");
    let (text, built) = project.pull(&at, &[]);
    assert_eq!(built, set(["api", "stacked"]), "{text}");
    assert!(text.contains("2 images pulled, 2 to build.\n"), "{text}");
    let now = project.ids();
    assert!(["based", "shared"].iter().all(|name| now[name] == ids[name]));
    assert_eq!(content(&project.image("api")), plain_build(&project, "api"));
}

#[test]
#[ignore = "needs an engine"]
fn a_tag_of_another_image_or_a_silent_registry_only_costs_a_build() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("lying");
    let at = registry.address();
    let project = Project::new("lying");
    let report = project.publish(&at, &[]);
    // The tag now names an image with another fingerprint.
    let lie = project.built_tag("api", &report);
    said(&["tag", &project.image("shared"), &lie]);
    said(&["push", "--quiet", &lie]);
    docker(&["image", "rm", &lie]);
    project.forget(&at);
    let (text, built) = project.pull(&at, &[]);
    assert_eq!(built, set(["api"]), "{text}");
    let warning = format!(
        "note: rejected {lie}: the image does not match its tag\nhelp: remove this tag from the registry\n"
    );
    assert!(text.contains(&warning), "{text}");
    assert_eq!(content(&project.image("api")), plain_build(&project, "api"));

    project.forget(&at);
    registry.kill();
    let (text, built) = project.pull(&at, &[]);
    assert_eq!(built, set(SERVICES), "{text}");
    assert_eq!(
        count_of(&text, &format!("note: cannot look for built images in {at}, so they are built here: ")),
        1,
        "{text}"
    );
}

#[test]
#[ignore = "needs an engine"]
fn images_with_old_packages_are_not_taken() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("dated");
    let at = registry.address();
    let project = Project::new("dated");
    project.write("api/Dockerfile", "FROM scratch\nLABEL how=apt-get\nCOPY . /\n");
    // This image's date is not in a label, only in the record of the machine that built it.
    project.write("shared/Dockerfile", "FROM scratch\nARG PACKAGES_AS_OF\nCOPY . /\n");
    let old = ["--packages-as-of", "2026-01-07"];
    project.publish(&at, &old);
    project.forget(&at);
    assert_eq!(project.pull(&at, &["--max-age", "7d"]).1, set(["api", "shared", "stacked"]));
    project.forget(&at);
    // A tag contains only the Monday of the week, and the requested day is later.
    assert_eq!(project.pull(&at, &old).1, set(["api", "shared", "stacked"]));
    project.forget(&at);
    let week = ["--packages-as-of", "2026-01-05"];
    let (text, built) = project.pull(&at, &week);
    assert_eq!(built, set([]), "{text}");
    assert_eq!(project.pull(&at, &week).1, set([]), "the date was recorded");
    assert_eq!(project.pull(&at, &["--max-age", "7d"]).1, set(["api", "shared", "stacked"]));
}

#[test]
#[ignore = "needs an engine"]
fn what_is_pulled_is_what_a_build_would_make() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("same");
    let at = registry.address();
    let project = Project::new("same");
    let seed = fastrand::u64(..);
    let mut random = Rng::with_seed(seed);
    let mut pulled = 0;
    project.publish(&at, &[]);
    for round in 0..12 {
        // Switch between a few states, so that the registry has some of them.
        (0..random.usize(1..3)).for_each(|_| mutate(&project, &mut random));
        let lost = SERVICES[random.usize(..SERVICES.len())];
        docker(&["image", "rm", "--force", &project.image(lost)]);
        let (text, _) = project.pull(&at, &["--push", "--built-tags"]);
        pulled += text
            .lines()
            .find_map(|line| {
                line.split(" image")
                    .next()?
                    .rsplit(' ')
                    .next()?
                    .parse::<usize>()
                    .ok()
                    .filter(|_| line.contains(" pulled, "))
            })
            .unwrap_or(0);
        for service in SERVICES {
            let (found, expected) = (content(&project.image(service)), plain_build(&project, service));
            assert!(
                found == expected,
                "seed {seed}, round {round}, {service}: {found:?} {expected:?} {text}"
            );
        }
    }
    assert!(pulled > 5, "a test that pulls nothing shows nothing: seed {seed}, {pulled} pulled");
}
