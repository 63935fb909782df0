//! The answer of `docker compose ps`.

use serde::Deserialize;

/// A container of a project.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ComposeContainer {
    /// The service's name in the Compose file.
    pub service: String,
    /// Its ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `running`, `exited`, `created`…
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; empty without a health check.
    pub health: String,
    /// The image's reference.
    pub image: String,
    /// Meaningful once it has ended.
    pub exit_code: i32,
    /// Ports that stand open on the host.
    pub publishers: Option<Vec<Publisher>>,
}

/// A port of a container that stands open on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Publisher {
    /// The address that it is bound to; empty or a wildcard for all.
    #[serde(rename = "URL")]
    pub url: String,
    /// The port within the container.
    pub target_port: u16,
    /// The port on the host; 0 where it is exposed only.
    pub published_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl ComposeContainer {
    /// Whether it runs and its health check is still pending.
    pub fn is_starting(&self) -> bool {
        self.state == "running" && self.health == "starting"
    }

    /// Host and port at which a TCP port of the container is reached from this machine.
    pub fn published(&self, port: u16) -> Option<String> {
        let mut publishers = self.publishers.iter().flatten().filter(|found| found.protocol == "tcp");
        let found = publishers.find(|found| found.target_port == port && found.published_port != 0)?;
        let host = match found.url.as_str() {
            "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        Some(format!("{host}:{}", found.published_port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_reached_from_this_machine() {
        let text = r#"{"Service":"a","ID":"1","State":"running","Publishers":[
            {"URL":"","TargetPort":90,"PublishedPort":0,"Protocol":"tcp"},
            {"URL":"","TargetPort":80,"PublishedPort":2999,"Protocol":"udp"},
            {"URL":"0.0.0.0","TargetPort":80,"PublishedPort":3000,"Protocol":"tcp"},
            {"URL":"::1","TargetPort":81,"PublishedPort":3001,"Protocol":"tcp"}]}"#;
        let container: ComposeContainer = serde_json::from_str(text).unwrap();
        assert_eq!(container.published(80).as_deref(), Some("127.0.0.1:3000"));
        assert_eq!(container.published(81).as_deref(), Some("[::1]:3001"));
        assert_eq!(container.published(90), None);
    }
}
