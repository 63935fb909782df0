//! Measured quantities and their units.

use serde::{Deserialize, Serialize};

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Bytes the registry sends for a pull into an empty engine, including HTTP headers.
    PullBytes,
    /// Duration of that `docker pull` over loopback: download, verify, unpack.
    Pull,
    /// The same over a link with a stated rate.
    PullThrottled,
    /// From the start of the (first) container, as recorded by the engine, to the first 200 on /health (of the last service).
    Start,
    /// From calling `docker compose up` to the same moment.
    Up,
    /// CPU time used by the container's cgroup until then.
    CpuToHealthy,
    /// Resident memory of the service's processes a few seconds later; shared pages count once.
    MemoryIdle,
    /// Memory charged to the container's cgroup at the same moment, without inactive file pages, as in `docker stats`. File
    /// pages are charged to the first reader.
    ChargedIdle,
    /// `MemoryIdle` after the probes and scenarios.
    MemoryAfter,
    /// `ChargedIdle` after the probes and scenarios.
    ChargedAfter,
    /// Duration of the typical request: the median of one run.
    Request,
    /// CPU time of a typical request in the service's cgroup: the mean of one run.
    CpuRequest,
}

/// The unit of a quantity. Records hold integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Microseconds.
    Microseconds,
}

impl Quantity {
    /// All quantities in the order of tables.
    pub const ALL: [Quantity; 12] = [
        Quantity::PullBytes,
        Quantity::Pull,
        Quantity::PullThrottled,
        Quantity::Start,
        Quantity::Up,
        Quantity::CpuToHealthy,
        Quantity::MemoryIdle,
        Quantity::ChargedIdle,
        Quantity::MemoryAfter,
        Quantity::ChargedAfter,
        Quantity::Request,
        Quantity::CpuRequest,
    ];

    /// The label in tables.
    pub fn words(self) -> &'static str {
        match self {
            Quantity::PullBytes => "pulled",
            Quantity::Pull => "pull",
            Quantity::PullThrottled => "pull, throttled",
            Quantity::Start => "start",
            Quantity::Up => "compose up",
            Quantity::CpuToHealthy => "CPU to healthy",
            Quantity::MemoryIdle => "memory, idle",
            Quantity::ChargedIdle => "charged, idle",
            Quantity::MemoryAfter => "memory, used",
            Quantity::ChargedAfter => "charged, used",
            Quantity::Request => "request",
            Quantity::CpuRequest => "CPU of a request",
        }
    }

    /// The unit.
    pub fn unit(self) -> Unit {
        match self {
            Quantity::PullBytes
            | Quantity::MemoryIdle
            | Quantity::ChargedIdle
            | Quantity::MemoryAfter
            | Quantity::ChargedAfter => Unit::Bytes,
            _ => Unit::Microseconds,
        }
    }
}
