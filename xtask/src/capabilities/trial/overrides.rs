//! What a throwaway stack has other than the Compose file says, as a Compose file of its own.

use std::fmt::Write as _;

use super::Images;
use crate::domain::manifest::Service;

/// For each service: the image to be tried, a port of loopback's (of its own even when it is stopped and started again), and no
/// restart that would hide an end.
pub(super) fn file(services: &[Service], images: &Images, ports: &[u16]) -> String {
    let mut out = String::from("# Made for one run.\nservices:\n");
    for (service, port) in services.iter().zip(ports) {
        // Quoted as JSON, which is YAML: no name can break out.
        let text = |text: String| serde_json::Value::from(text).to_string();
        write!(
            out,
            "  {}:\n    image: {}\n    pull_policy: never\n    restart: \"no\"\n    ports: !override\n      - {}\n",
            text(service.compose.clone()),
            text(images.of(service)),
            text(format!("127.0.0.1:{port}:{}", service.port)),
        )
        .ok();
    }
    out
}
