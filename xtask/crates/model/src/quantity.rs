//! What is measured, and its unit.

use serde::{Deserialize, Serialize};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Bytes that the registry sent for a pull into an engine that has no layer of it, HTTP headers included.
    PullBytes,
    /// Time of that pull from loopback, from `docker pull` to its last word: download, check, unpack.
    Pull,
    /// The same through a line of a stated rate.
    PullThrottled,
    /// From the start of the (first) container, as the engine notes it, to the first 200 on /health (of the last service).
    Start,
    /// From the call of `docker compose up` to the same moment.
    Up,
    /// Processor time that the container's control group had used by then.
    CpuToHealthy,
    /// Resident memory of the service's processes some seconds after that; pages that they share are counted once.
    MemoryIdle,
    /// What the kernel charges to the container's control group at the same moment, less inactive file pages: what
    /// `docker stats` shows. File pages are charged to whoever read them first.
    ChargedIdle,
    /// As `MemoryIdle`, after the probes and scenarios.
    MemoryAfter,
    /// As `ChargedIdle`, after the probes and scenarios.
    ChargedAfter,
    /// From the typical request to its whole answer: the median of one run's requests.
    Request,
    /// Processor time of one typical request, in the service's own control group: the mean of one run's requests.
    CpuRequest,
}

/// What a quantity is counted in. Records hold integers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Microseconds.
    Microseconds,
}

impl Quantity {
    /// All of them, as tables list them.
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

    /// For people, in a table.
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

    /// Its unit.
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
