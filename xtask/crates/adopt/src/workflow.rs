//! The GitHub workflow that checks the images of a pull request.

/// Its path, relative to the root.
pub const PATH: &str = ".github/workflows/images.yml";
