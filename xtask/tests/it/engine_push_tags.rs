//! `push --no-overwrite` never moves a tag in the registry, and pushes either all tags or none.

use crate::engine_push::{built, push, rows, states};
use crate::support::registry::Registry;
use serde_json::json;

#[test]
#[ignore = "needs an engine: cargo xtask ci"]
fn a_release_is_pushed_completely_or_not_at_all() {
    let _turn = crate::support::turn::take(module_path!());
    let registry = Registry::start("keep");
    let (site, there) = (built("keep"), registry.address());
    let options = ["--no-overwrite", "--jobs", "1"];
    let first = site.run(&push(&there, &[&["alpha"], &options[..]].concat()));
    assert_eq!(first.status.code(), Some(0), "{}", site.told(&first));
    assert_eq!(states(&first, &site), ["pushed"; 2]);
    let again = site.run(&push(&there, &[&["alpha"], &options[..]].concat()));
    assert_eq!(again.status.code(), Some(0), "{}", site.told(&again));
    assert_eq!(states(&again, &site), ["unchanged"; 2]);

    let manifest = format!("/v2/{}-alpha/manifests/2.0-optimized", site.prefix);
    let released = registry.says(&manifest);
    site.folder.write("alpha/hello", &format!("another alpha of {}", site.prefix));
    let rebuilt = site.run(&["build-images", "--tag", "2.0"]);
    assert_eq!(rebuilt.status.code(), Some(0), "{}", site.told(&rebuilt));
    for dry in [&["--dry-run"][..], &[]] {
        let output = site.run(&push(&there, &[&options[..], dry].concat()));
        let text = site.told(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        let other = if dry.is_empty() { "not-tried" } else { "planned" };
        let expected = [
            ("P-alpha:2.0-simple-optimized", "failed"),
            ("P-alpha:2.0-optimized", "failed"),
            ("P-beta:2.0-simple-optimized", other),
            ("P-beta:2.0-optimized", other),
        ];
        let found = rows(&output, &site).into_iter().map(|(reference, state, _)| (reference, state));
        let expected = expected.map(|(reference, state)| (reference.to_owned(), state.to_owned()));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{text}");
        assert!(
            text.contains("under this tag, and --no-overwrite keeps it\nhelp: push with a new --tag"),
            "{text}"
        );
    }
    assert_eq!(registry.says(&manifest), released, "the release was overwritten");
    assert_eq!(registry.says("/v2/_catalog"), json!({"repositories": [format!("{}-alpha", site.prefix)]}));

    let moved = site.run(&push(&there, &["--jobs", "1"]));
    assert_eq!(states(&moved, &site), ["replaced", "replaced", "pushed", "pushed"], "{}", site.told(&moved));
}
