//! What `test` requires of a container: `[test]` and `[service.NAME.test]`.

/// The requirements. The default requires nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRules {
    /// The user that containers start as and that all their processes run as; `None` for any.
    pub user: Option<TestUser>,
    /// Whether the root file system must be read-only.
    pub read_only: bool,
    /// The only capabilities a container may have, in upper case without `CAP_`; `None` for any.
    pub capabilities: Option<Vec<String>>,
    /// Whether a container must run its image's own command and health check.
    pub own_command: bool,
}

/// A user, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestUser {
    /// Its ID.
    Id(u32),
    /// Its name in the image's `/etc/passwd`.
    Name(String),
}

impl TestRules {
    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        *self == TestRules::default()
    }
}

/// A capability's name in upper case without `CAP_`, as Compose files and engines use either form.
pub fn capability(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    upper.strip_prefix("CAP_").map_or(upper.clone(), str::to_owned)
}
