//! With nothing changed, `build-images` queries the engine once. Also tests the options that decide what is up to date.

use crate::support::{FakeDocker, Folder, on_stand_ins, told};
use serde_json::{Value, json};

/// The engine's list of both images.
const LISTED: &str = "sha256:a\tfx-alpha\tlatest-simple-optimized\t<none>\nsha256:a\tfx-alpha\tlatest-optimized\t<none>\n\
     sha256:b\tfx-beta\tlatest-simple-optimized\t<none>\nsha256:b\tfx-beta\tlatest-optimized\t<none>\n\
     sha256:c\tother\trun-1-2-3-4-5\t<none>\n";

const LIST: &str = "image ls --no-trunc --format {{.ID}}\t{{.Repository}}\t{{.Tag}}\t{{.Digest}}";

/// A repository and `docker image inspect` of its two images, as they would be built.
fn built() -> (Folder, Value) {
    let repository = on_stand_ins();
    // The bake definition of a failed build has the labels.
    let docker =
        FakeDocker::new().alive().nothing_built().on("buildx bake*", 1, "", "no\n").on("buildx *", 0, "", "");
    docker.run(&repository, &["build-images"]);
    let definition: Value = serde_json::from_str(&repository.read("target/xtask/bake.json")).unwrap();
    let image = |id: &str, name: &str, size: u64| {
        let labels = &definition["target"][format!("{name}-simple-optimized")]["labels"];
        assert!(labels["fixture.images.fingerprint"].is_string(), "{definition}");
        json!({"Id": id, "Size": size, "Os": "linux", "Architecture": "amd64",
            "RootFS": {"Layers": [format!("{id}-layer")]}, "Config": {"Labels": labels}})
    };
    let images = json!([image("sha256:a", "alpha", 8_100_000), image("sha256:b", "beta", 61_000_000)]);
    (repository, images)
}

fn engine(listed: &str, images: &Value) -> FakeDocker {
    let history = |size: u64| format!("{}\n", json!({"CreatedBy": "COPY x /", "Size": size.to_string()}));
    FakeDocker::new()
        .on("image ls --no-trunc*", 0, listed, "")
        .on("image inspect -- sha256:a sha256:b", 0, &images.to_string(), "")
        .alive()
        .on("history*sha256:a*", 0, &history(8_100_000), "")
        .on("history*sha256:b*", 0, &history(61_000_000), "")
}

#[test]
fn nothing_to_do_takes_one_question() {
    let (repository, images) = built();
    let docker = engine(LISTED, &images);
    snapshot!("up_to_date", docker.run(&repository, &["build-images"]), repository);
    let before = docker.calls().len();
    let again = docker.run(&repository, &["build-images"]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again, &repository));
    assert_eq!(docker.calls()[before..], [LIST.to_owned()], "labels are cached by ID");
}

#[test]
fn temporary_tags_of_a_killed_run_are_looked_at() {
    let (repository, images) = built();
    let left = format!("{LISTED}sha256:b\tfx-beta\trun-1-2-3-4-5-simple-optimized\t<none>\n");
    let docker = engine(&left, &images);
    docker.run(&repository, &["build-images"]);
    let calls = docker.calls();
    assert!(calls.iter().any(|call| call == "container inspect -- fixture-images-lock"), "{calls:?}");
}

#[test]
fn a_changed_file_or_another_image_is_built() {
    let (repository, images) = built();
    let is_baked = |listed: &str| {
        let docker = engine(listed, &images)
            .nothing_built()
            .on("buildx bake*", 1, "", "no\n")
            .on("buildx *", 0, "", "");
        docker.run(&repository, &["build-images"]);
        docker.calls().into_iter().find(|call| call.starts_with("buildx bake"))
    };
    assert_eq!(is_baked(LISTED), None);
    // The plain tag of beta is on alpha's image.
    let moved = LISTED.replace("sha256:b\tfx-beta\tlatest-optimized", "sha256:a\tfx-beta\tlatest-optimized");
    assert!(is_baked(&moved).is_some());
    repository.write("alpha/hello", "changed");
    assert!(is_baked(LISTED).is_some());
}

#[test]
fn wrong_options_are_refused_before_anything_is_done() {
    let repository = on_stand_ins();
    for (args, message) in [
        (&["--pull-built"][..], "error: --pull-built needs a registry; nothing was built\n"),
        (
            &["--max-age", "week"],
            "error: --max-age: invalid age `week`: use at least 1 minute, such as 7d or 12h\n",
        ),
        (&["--max-age", "1d", "--refresh"], "cannot be used with"),
        (&["--pull-built", "--no-cache", "--registry", "hub.example"], "cannot be used with"),
        (&["--pull-built", "--pull", "--registry", "hub.example"], "cannot be used with"),
        (&["--built-tags"], "--push"),
    ] {
        let docker = FakeDocker::new();
        let output = docker.run(&repository, &[&["build-images"], args].concat());
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(message), "{args:?}: {text}");
        assert!(docker.calls().is_empty(), "{args:?}");
    }
}

#[test]
fn the_oldest_wanted_packages_follow_from_their_maximum_age() {
    let repository = on_stand_ins();
    repository.write("alpha/Dockerfile.optimized", "FROM scratch\nARG PACKAGES_AS_OF\nCOPY alpha/hello /\n");
    let date = |args: &[&str]| {
        let output = FakeDocker::new().run(&repository, &[&["build-images", "--dry-run"], args].concat());
        let definition: Value = serde_json::from_slice(&output.stdout).unwrap();
        definition["target"]["alpha-simple-optimized"]["args"]["PACKAGES_AS_OF"].as_str().unwrap().to_owned()
    };
    assert_eq!(date(&[]), date(&["--max-age", "7d"]));
    assert_eq!(date(&["--max-age", "300000d"]), "1970-01-05");
}
