//! How an image is built.

use std::collections::BTreeMap;

/// What a build of an image takes. Paths are relative to the root, with `/` between their parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Build {
    /// The build context; `.` for the root.
    pub context: String,
    /// The Dockerfile.
    pub dockerfile: String,
    /// The stage to build; the last one if missing.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The platforms to build for, such as `linux/amd64`; that of the engine if empty.
    pub platforms: Vec<String>,
    /// Named contexts for FROM and COPY --from: a folder, `docker-image://REFERENCE`, a URL, or `target:NAME` for another build.
    pub contexts: BTreeMap<String, String>,
    /// The text to use instead of the Dockerfile.
    pub inline: Option<String>,
}
