//! The GitHub workflow that checks the images of a pull request.

/// Its path, relative to the root.
pub const PATH: &str = ".github/workflows/images.yml";

/// The action of the release that built this program, `OWNER/REPOSITORY@COMMIT`; `None` for a program built elsewhere. Only the release
/// workflow sets the variable: GitHub's own ones are set whenever somebody's CI compiles this program.
pub fn own_action() -> Option<String> {
    option_env!("IMAGES_RELEASE_ACTION").map(str::to_owned)
}

/// Whether a text is `OWNER/REPOSITORY@REF`.
pub fn is_action(text: &str) -> bool {
    let is_plain =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let parts = text.split_once('@').and_then(|(repository, reference)| {
        let (owner, name) = repository.split_once('/')?;
        Some([owner, name, reference])
    });
    parts.is_some_and(|parts| parts.into_iter().all(is_plain))
}

/// The file, with this action.
pub fn text(action: &str) -> String {
    // The action fetches the release of its tag; a commit has no release.
    let is_release = action.rsplit_once("@v").is_some_and(|(_, tag)| tag.split('.').count() == 3);
    let version = match is_release {
        true => String::new(),
        false => format!("        with:\n          version: {}\n", env!("CARGO_PKG_VERSION")),
    };
    format!(
        "# Builds and checks the images that a pull request changes, and posts their sizes.\n\
         name: images\n\
         on:\n  pull_request:\n\
         \x20   # A label can allow growth, so a changed label needs a new run.\n\
         \x20   types: [opened, synchronize, reopened, labeled, unlabeled]\n\
         permissions:\n  contents: read\n  pull-requests: write\n\
         concurrency:\n  group: images-${{{{ github.event.pull_request.number }}}}\n  cancel-in-progress: true\n\
         jobs:\n  images:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 60\n    steps:\n\
         \x20     - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1\n\
         \x20       with:\n          fetch-depth: 0\n          persist-credentials: false\n\
         \x20     - uses: {action}\n{version}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_label_starts_a_run() {
        let text = text("example/images@v1.2.0");
        assert!(text.contains(
            "on:\n  pull_request:\n    # A label can allow growth, so a changed label needs a new run.\n    \
             types: [opened, synchronize, reopened, labeled, unlabeled]\npermissions:"
        ));
        assert!(text.contains("  group: images-${{ github.event.pull_request.number }}\n"), "{text}");
    }

    #[test]
    fn an_action_has_an_owner_a_name_and_a_reference() {
        assert!(is_action("example/images@0123abc") && is_action("a-b/c.d@v1.2"));
        for wrong in ["", "images@v1", "example/images", "a/b/c@v1", "a/b@v1\n- run: x", "a/b@"] {
            assert!(!is_action(wrong), "{wrong}");
        }
    }
}
