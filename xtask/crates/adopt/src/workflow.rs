//! The GitHub workflow that checks the images of a pull request.

/// Its path, relative to the root.
pub const PATH: &str = ".github/workflows/images.yml";

/// The release of the tool that the workflow installs.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The file.
pub fn text() -> String {
    format!(
        "# Builds the images that a pull request changes, and checks them against images.toml and sizes.lock.toml.\n\
         name: images\n\
         on: pull_request\n\
         permissions:\n  contents: read\n\
         jobs:\n  check:\n    runs-on: ubuntu-latest\n    steps:\n\
         \x20     - uses: actions/checkout@v4\n        with:\n          fetch-depth: 0\n\
         \x20     - name: Install images\n        run: cargo install --locked --git \"$REPOSITORY\" --tag {VERSION} xtask\n\
         \x20       env:\n          REPOSITORY: ${{{{ vars.IMAGES_REPOSITORY }}}}\n\
         \x20     - run: images build-images\n\
         \x20     - run: images check --changed-since \"origin/$GITHUB_BASE_REF\"\n"
    )
}
