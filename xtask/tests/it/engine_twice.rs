//! `build-images --twice`: images that are reproducible, and images that are not, with the file and the Dockerfile line.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;

use crate::engine::wait_for;
use crate::support::{Site, docker};

/// The IDs of all images under the site's image names.
fn images(site: &Site) -> BTreeSet<String> {
    let filter = format!("reference={}-*", site.prefix);
    let text = docker(&["image", "ls", "--quiet", "--no-trunc", "--filter", &filter]);
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn the_first_differing_file_and_its_line_are_named() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("twice");
    // Without fixed times, an image differs: BuildKit's cache ignores the modification times of files in the context.
    let stage = "FROM debian:trixie-slim AS build\nARG SOURCE_DATE_EPOCH\nCOPY NAME/hello /fixed/hello\n\
                 RUN find /fixed -exec touch -hd \"@$SOURCE_DATE_EPOCH\" {} +\n";
    let fixed = |name: &str| stage.replace("NAME", name);
    let last = "FROM scratch\nCOPY --from=build /fixed /\n";
    site.folder.write("alpha/Dockerfile.optimized", &format!("{}{last}", fixed("alpha")));
    let random =
        "RUN mkdir -p /out/a && echo same > /out/a/same && \\\n (echo same; date +%N) > /out/a/stamp\n";
    let beta = format!("{}{random}{last}COPY --from=build /out /\n", fixed("beta"));
    site.folder.write("beta/Dockerfile.optimized", &beta);
    let output = site.run(&["build-images", "alpha", "--twice"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let tag = |name: &str| format!("{}-{name}:latest-simple-optimized", site.prefix);
    assert!(text.contains(&format!("{}: reproducible\n", tag("alpha"))), "{text}");
    let output = site.run(&["build-images", "--twice"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    // An image that was up to date is built again, too.
    assert!(text.contains(&format!("{}: reproducible\n", tag("alpha"))), "{text}");
    let expected = format!(
        "{}: not reproducible\n  layer:  2 of 2, beta/Dockerfile.optimized:9: COPY /out /\n  \
         file:   /a/stamp: content from byte ",
        tag("beta")
    );
    assert!(text.contains(&expected), "{text}");
    assert!(text.contains("not reproducible: 1 of 2 images: "), "{text}");
    // The tags still refer to the first build, and nothing is left of the second.
    assert_eq!(site.tag_names().len(), 4, "{:?}", site.tag_names());
    assert_eq!(images(&site).len(), 2);
    let before = images(&site);
    let output = site.run(&["build-images"]);
    assert!(site.told(&output).contains("Up to date: 2 images"), "{}", site.told(&output));
    assert_eq!(images(&site), before);
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_image_that_differs_is_not_pushed() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("twice-push");
    site.folder.write(
        "alpha/Dockerfile.optimized",
        "FROM debian:trixie-slim\nRUN cat /proc/sys/kernel/random/uuid > /made\n",
    );
    // Nothing listens on this port: a push would fail with a different message.
    let output = site.run(&["build-images", "alpha", "--twice", "--push", "--registry", "127.0.0.1:1"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("alpha/Dockerfile.optimized:2: RUN cat /proc/sys/kernel/random/uuid > /made"),
        "{text}"
    );
    assert!(text.contains("file:   /made: content from byte ") && !text.contains("127.0.0.1"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn failed_builds_are_listed_beside_images_that_differ() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("twice-both");
    site.folder.write("alpha/Dockerfile.optimized", "FROM debian:trixie-slim\nRUN exit 7\n");
    site.folder.write(
        "beta/Dockerfile.optimized",
        "FROM debian:trixie-slim\nRUN cat /proc/sys/kernel/random/uuid > /made\n",
    );
    let output = site.run(&["build-images", "--twice", "--keep-going"]);
    let text = site.told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error: not reproducible: 1 of 1 image: "), "{text}");
    assert!(text.contains("alpha-simple-optimized failed at alpha/Dockerfile.optimized:2\n"), "{text}");
}

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn an_interrupt_of_the_second_build_leaves_only_the_first() {
    let _turn = crate::support::turn::take(module_path!());
    let site = Site::new("twice-int");
    // Slow enough to be interrupted during the second build.
    site.folder
        .write("alpha/Dockerfile.optimized", "FROM debian:trixie-slim\nRUN echo waiting && sleep 20\n");
    site.run(&["build-images"]);
    let before = (site.tags(), images(&site));
    let messages = site.folder.0.join("target/xtask/messages");
    let log = site.folder.0.join("target/xtask/logs/alpha-simple-optimized.log");
    fs::remove_file(&log).unwrap();
    let mut child = site
        .command(&["build-images", "--twice"])
        .stderr(File::create(&messages).unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&messages, "Building 2 images again without the cache.", &mut child);
    wait_for(&log, "waiting", &mut child);
    crate::support::signal("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((site.tags(), images(&site)), before);
}
