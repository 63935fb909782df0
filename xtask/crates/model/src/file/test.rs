//! `[test]` and `[service.NAME.test]` as written in the file.

use serde::Deserialize;

/// What `test` requires of the containers in a throwaway stack. A missing key requires nothing. A service's `test` table overrides
/// individual keys.
///
/// ```toml
/// [test]
/// user = 65532
/// read-only = true
/// capabilities = []
/// own-command = true
/// ```
#[derive(Debug, Default, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Test {
    /// The user that the container starts as and that every process runs as: a user ID, or a name in the image's `/etc/passwd`.
    /// USER of the Dockerfile and `user` of the Compose file may use either. Default: any user.
    pub user: Option<TestUser>,
    /// The root file system must be read-only. Default: false.
    pub read_only: Option<bool>,
    /// The only capabilities that containers may have, such as `NET_BIND_SERVICE`; `[]` for none. The Compose file must drop `ALL`,
    /// set `no-new-privileges`, and not use `privileged`. Default: any capabilities.
    pub capabilities: Option<Vec<String>>,
    /// The container must run the image's own command and health check, and the image must have a HEALTHCHECK. Default: false.
    pub own_command: Option<bool>,
}

impl Test {
    /// This table, with the keys that `service` overrides.
    pub fn with(&self, service: &Test) -> Test {
        Test {
            user: service.user.clone().or_else(|| self.user.clone()),
            read_only: service.read_only.or(self.read_only),
            capabilities: service.capabilities.clone().or_else(|| self.capabilities.clone()),
            own_command: service.own_command.or(self.own_command),
        }
    }
}

/// A user ID or a user name.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged, expecting = "must be a user ID, 65532, or a user name, \"app\"")]
pub enum TestUser {
    /// A user ID.
    Id(u32),
    /// A user name.
    Name(String),
}
