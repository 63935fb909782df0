//! The ports that a stack publishes. Swarm publishes a port on all addresses of all nodes; it cannot bind to one address.

use std::str::FromStr;

use serde_json::{Value, json};

use engine::compose::cluster::ClusterPort;

/// A port to publish even though Compose binds it to one address: `SERVICE:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The service in the Compose file.
    pub service: String,
    /// The port in the container.
    pub port: u16,
}

impl FromStr for PublishRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<PublishRequest, String> {
        let found = text.split_once(':').and_then(|(service, port)| Some((service, port.parse().ok()?)));
        match found {
            Some((service, port)) if !service.is_empty() => {
                Ok(PublishRequest { service: service.into(), port })
            }
            _ => Err("expected SERVICE:PORT with the container port, such as client:8080".to_owned()),
        }
    }
}

/// The port for display: `PUBLISHED→TARGET/PROTOCOL`.
pub(super) fn text(port: &ClusterPort) -> String {
    let published = port.published.as_deref().unwrap_or("any");
    format!("{published}→{}/{}", port.target, protocol(port))
}

fn protocol(port: &ClusterPort) -> &str {
    if port.protocol.is_empty() { "tcp" } else { &port.protocol }
}

/// The port in a stack file.
///
/// # Errors
/// When the published port is a range.
pub(super) fn file(port: &ClusterPort) -> Result<Value, String> {
    let published = match port.published.as_deref() {
        None | Some("" | "0") => Value::Null,
        Some(text) => match text.parse::<u16>() {
            Ok(number) => number.into(),
            Err(_) => return Err(format!("ports: Swarm does not support port ranges ({text})")),
        },
    };
    let mode = if port.mode.is_empty() { "ingress" } else { &port.mode };
    Ok(json!({ "target": port.target, "published": published, "protocol": protocol(port), "mode": mode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_name_a_service_and_a_port() {
        let request: PublishRequest = "client:8080".parse().unwrap();
        assert_eq!((request.service.as_str(), request.port), ("client", 8080));
        for text in ["client", "client:", ":80", "client:http", "client:70000"] {
            assert!(text.parse::<PublishRequest>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_of_published_ports_is_refused() {
        let port = |text: &str| -> ClusterPort {
            serde_json::from_value(json!({ "published": text, "target": 80 })).unwrap()
        };
        assert_eq!(
            file(&port("8080")).unwrap(),
            json!({ "target": 80, "published": 8080, "protocol": "tcp", "mode": "ingress" })
        );
        assert_eq!(file(&port("0")).unwrap()["published"], Value::Null);
        assert!(file(&port("8000-8010")).unwrap_err().contains("8000-8010"));
    }
}
