//! `why`: the differences between images, with a fake docker.

use contents::difference::Difference;
use serde_json::json;

use crate::support::images::python;
use crate::support::saved::{LayerTar, Layout, Saved};
use crate::support::{FakeDocker, repository};

#[test]
fn why_explains_growth_to_the_byte_in_both_directions() {
    let (small, large) = (python(5000), python(9000));
    let docker = FakeDocker::new().holds(&small, Layout::Oci).holds(&large, Layout::Oci);
    // Both are saved at once, and share layers in the archive.
    let mut both = small.files(Layout::Oci);
    both.pop();
    let mut manifest: Vec<serde_json::Value> = Vec::new();
    for image in [&small, &large] {
        let files = image.files(Layout::Oci);
        let one: Vec<serde_json::Value> = serde_json::from_slice(&files.last().unwrap().1).unwrap();
        manifest.extend(one);
        both.extend(
            files[..files.len() - 1]
                .iter()
                .filter(|(name, _)| !both.iter().any(|(other, _)| other == name))
                .cloned()
                .collect::<Vec<_>>(),
        );
    }
    both.push(("manifest.json".into(), serde_json::to_vec(&manifest).unwrap()));
    let docker = docker.on_bytes("save sha256:* sha256:*", &crate::support::saved::archive(&both));
    let repository = repository("fx");
    let why = |first: &str, second: &str| -> Difference {
        let output = docker.run(&repository, &["why", first, second, "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (there, back) = (why(small.name, large.name), why(large.name, small.name));
    for (difference, bytes) in [(&there, 4000), (&back, -4000)] {
        assert_eq!(difference.bytes, bytes);
        assert_eq!(difference.owners.iter().map(|owner| owner.bytes).sum::<i64>(), bytes);
        assert_eq!(difference.lines.iter().map(|line| line.bytes).sum::<i64>(), bytes);
    }
    assert_eq!(docker.calls().iter().filter(|call| call.starts_with("save")).count(), 1);
    snapshot!("why_table", docker.run(&repository, &["why", small.name, large.name]), repository);
    snapshot!(
        "why_markdown",
        docker.run(&repository, &["why", large.name, small.name, "--format", "markdown"]),
        repository
    );
}

/// An engine with two images that are too large to be saved together.
fn two_large(one: &Saved, other: &Saved) -> FakeDocker {
    let large = |image: &Saved| {
        let mut inspected = image.inspect();
        inspected["Size"] = json!(6_000_000_000_u64);
        json!([inspected]).to_string()
    };
    FakeDocker::new()
        .on(&format!("image inspect -- {}", one.name), 0, &large(one), "")
        .on(&format!("image inspect -- {}", other.name), 0, &large(other), "")
        .holds(one, Layout::Oci)
        .holds(other, Layout::Oci)
}

#[test]
fn why_names_changed_files_of_equal_size_and_the_line_that_wrote_files_again() {
    let made = |name, text: &str| {
        let layer = LayerTar::new().file("app/same", "same").file("app/x", text);
        Saved::new(name, vec![("COPY app /app # buildkit", layer)])
    };
    let repository = repository("fx");
    let why = |one: &Saved, other: &Saved| -> Difference {
        let output =
            two_large(one, other).run(&repository, &["why", one.name, other.name, "--format", "json"]);
        assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (one, other) = (made("one:1", "first"), made("other:1", "other"));
    let difference = why(&one, &other);
    let sentence = "other:1 and one:1 have the same size; no owner changed in size, but 1 file differs: content of \
                    /app/x (`COPY app /app`).";
    assert_eq!(difference.sentence, sentence);
    assert_eq!(difference.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["app/x"]);
    snapshot!(
        "why_same_size",
        two_large(&one, &other).run(&repository, &["why", "one:1", "other:1"]),
        repository
    );

    let big = "x".repeat(5000);
    let layer = || LayerTar::new().file("app/big", &big);
    let copied = Saved::new("copied:1", vec![("COPY app /app # buildkit", layer())]);
    let lines = vec![
        ("COPY app /app # buildkit", layer()),
        ("RUN chown -R 1 /app # buildkit", layer().file("app/new", "1")),
    ];
    let owned = Saved::new("owned:1", lines);
    let difference = why(&copied, &owned);
    let waste = difference.owners.iter().find(|owner| owner.kind.is_none()).unwrap();
    assert_eq!((waste.bytes, waste.place.as_deref()), (5000, Some("RUN chown -R 1 /app")));
    let analyzed = two_large(&copied, &owned).run(&repository, &["analyze", "owned:1"]);
    let text = crate::support::told(&analyzed, &repository);
    assert!(text.contains("rewritten by later layers") && text.contains("COPY --chown"), "{text}");
}

#[test]
fn large_images_are_saved_one_after_another() {
    let (one, other) = (python(5000), python(9000));
    let docker = two_large(&one, &other);
    let repository = repository("fx");
    let output = docker.run(&repository, &["why", one.name, other.name, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", crate::support::told(&output, &repository));
    let difference: Difference = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(difference.bytes, 4000);
    let saves: Vec<String> = docker.calls().into_iter().filter(|call| call.starts_with("save")).collect();
    assert_eq!(saves, [format!("save {}", one.id()), format!("save {}", other.id())]);
}
