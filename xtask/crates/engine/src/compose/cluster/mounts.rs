//! Ports and mounts of a service.

use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::compose::cluster::unread::Unread;
use crate::compose::cluster::values::text_or_number;

/// A published port or range of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClusterPort {
    /// A descriptive name.
    pub name: Option<String>,
    /// The host's address; `None` or empty for all addresses.
    pub host_ip: Option<String>,
    /// The port in the container.
    pub target: u16,
    /// The host's port, or a range `FIRST-LAST`; `None` if the engine chooses.
    #[serde(deserialize_with = "text_or_number")]
    pub published: Option<String>,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// `ingress` or `host`.
    pub mode: String,
    /// The application protocol, such as `http`.
    pub app_protocol: Option<String>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

impl ClusterPort {
    /// Whether Compose publishes it on all addresses.
    pub fn is_public(&self) -> bool {
        matches!(self.host_ip.as_deref(), None | Some("" | "0.0.0.0" | "::"))
    }

    /// Whether it is reachable only from the host itself.
    pub fn is_loopback(&self) -> bool {
        self.host_ip.as_deref().is_some_and(|address| address.starts_with("127.") || address == "::1")
    }
}

/// A mount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterMount {
    /// `volume`, `bind`, `tmpfs`…
    #[serde(rename = "type")]
    pub kind: String,
    /// A volume's key, or a path on the host; `None` for anonymous volumes.
    pub source: Option<PathBuf>,
    /// The path in the container.
    pub target: String,
    /// Whether the container cannot write to it.
    pub read_only: bool,
    /// Settings of a `volume` mount.
    pub volume: VolumeUse,
    /// Settings of a `tmpfs` mount.
    pub tmpfs: TmpfsMount,
    // `create_host_path`, `propagation` and `selinux` only affect the host.
    bind: IgnoredAny,
    consistency: IgnoredAny,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// How a volume is mounted.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct VolumeUse {
    /// Whether a new volume stays empty instead of receiving the image's files.
    pub nocopy: bool,
    /// The folder in the volume to mount.
    pub subpath: Option<String>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// A `tmpfs` mount.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct TmpfsMount {
    /// Bytes.
    #[serde(deserialize_with = "text_or_number")]
    pub size: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    #[serde(flatten)]
    pub(super) other: Unread,
}
