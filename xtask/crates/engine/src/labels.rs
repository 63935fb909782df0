//! Every label of images and containers that xtask writes or reads.

/// The image's name (OCI image specification, "Pre-Defined Annotation Keys"; so are the next two).
pub const TITLE: &str = "org.opencontainers.image.title";

/// The image's version.
pub const VERSION: &str = "org.opencontainers.image.version";

/// The commit that the image was built from.
pub const REVISION: &str = "org.opencontainers.image.revision";

/// The Compose project that a container, network or volume belongs to; Compose's own.
pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// The Compose service that a container belongs to; set by Compose.
pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";

/// `True` for containers of `docker compose run`; set by Compose.
pub const COMPOSE_ONE_OFF: &str = "com.docker.compose.oneoff";

/// The measuring run that a container belongs to.
pub const MEASURE_RUN: &str = "xtask.measure";

/// The holder of a lock on tags.
pub const LOCK_HOLDER: &str = "xtask.lock.holder";

/// The number of tags that the holder of a lock moves.
pub const LOCK_MOVES: &str = "xtask.lock.moves";

/// Prefix of the labels that record the tags to move; a number follows.
pub const LOCK_MOVE: &str = "xtask.lock.move.";

/// Marks the trial images of `diet`; their tags contain the ID of the process that created them.
pub const TRIAL: &str = "xtask.trial";

/// Values of [`bases`]: pulled from a registry, or built here from Debian packages.
pub const UPSTREAM: &str = "upstream";
/// See [`UPSTREAM`].
pub const STAND_IN: &str = "stand-in";

/// The image's edition.
pub fn edition(project: &str) -> String {
    of_project(project, "edition")
}

/// The image's variant.
pub fn variant(project: &str) -> String {
    of_project(project, "variant")
}

/// Where the image's upstream bases came from: [`UPSTREAM`] or [`STAND_IN`].
pub fn bases(project: &str) -> String {
    of_project(project, "bases")
}

/// The hash of an original's sources.
pub fn sources(project: &str) -> String {
    of_project(project, "sources")
}

/// Set if the build pulled newer base images: the fingerprint then covers the engine's images, which may be older.
pub fn newer_bases(project: &str) -> String {
    of_project(project, "newer-bases")
}

/// The image's fingerprint: a hash of all that its build could read.
pub fn fingerprint(project: &str) -> String {
    of_project(project, "fingerprint")
}

/// The date of an image's packages, if its Dockerfile does not take this date as an argument.
pub fn packages_as_of(project: &str) -> String {
    of_project(project, "packages-as-of")
}

/// The machine whose checkout started a throwaway stack.
pub fn throwaway_machine(project: &str) -> String {
    of_project(project, "trial-of")
}

/// The checkout that started a throwaway stack.
pub fn throwaway_checkout(project: &str) -> String {
    of_project(project, "checkout")
}

/// Whether a label describes how the image was built. Such a label is wrong for an image with other contents.
pub fn is_of_build(label: &str, project: &str) -> bool {
    label == REVISION || label.starts_with(&of_project(project, ""))
}

fn of_project(project: &str, name: &str) -> String {
    format!("{project}.images.{name}")
}

/// The `--filter` of docker's lists for a label with this value.
pub fn filter(label: &str, value: &str) -> String {
    format!("label={label}={value}")
}
