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
    /// Half of a load's requests were answered within this time.
    #[serde(rename = "request-p50")]
    RequestP50,
    /// 95 percent of a load's requests were answered within this time.
    #[serde(rename = "request-p95")]
    RequestP95,
    /// What a load wrote in a second.
    Rate,
    /// The most resident memory that the service's processes ever had (`VmHWM` of proc(5)).
    MemoryPeak,
    /// `xtask build-images` when nothing has changed.
    BuildUnchanged,
    /// The same, divided by the time of the `docker buildx bake` that it wraps.
    BuildUnchangedRatio,
    /// `xtask build-images --no-cache`.
    BuildCold,
    /// The same, divided by the time of the `docker buildx bake` that it wraps.
    BuildColdRatio,
    /// `xtask compare`.
    Compare,
    /// `cargo build` of xtask from nothing.
    Compile,
}

/// What a quantity is counted in. Records hold integers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Microseconds.
    Microseconds,
    /// Items in a second.
    PerSecond,
    /// Thousandths of a ratio.
    Thousandths,
}

impl Quantity {
    /// All of them, as tables list them.
    pub const ALL: [Quantity; 21] = [
        Quantity::PullBytes,
        Quantity::Pull,
        Quantity::Start,
        Quantity::Up,
        Quantity::CpuToHealthy,
        Quantity::MemoryIdle,
        Quantity::ChargedIdle,
        Quantity::MemoryAfter,
        Quantity::ChargedAfter,
        Quantity::Request,
        Quantity::CpuRequest,
        Quantity::RequestP50,
        Quantity::RequestP95,
        Quantity::Rate,
        Quantity::MemoryPeak,
        Quantity::BuildUnchanged,
        Quantity::BuildUnchangedRatio,
        Quantity::BuildCold,
        Quantity::BuildColdRatio,
        Quantity::Compare,
        Quantity::Compile,
    ];

    /// The name in the manifest and in records.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The label in tables.
    pub fn words(self) -> &'static str {
        self.row().1
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, Unit) {
        use Unit::{Bytes, Microseconds, PerSecond, Thousandths};
        match self {
            Quantity::PullBytes => ("pull-bytes", "pulled", Bytes),
            Quantity::Pull => ("pull", "pull", Microseconds),
            Quantity::Start => ("start", "start", Microseconds),
            Quantity::Up => ("up", "compose up", Microseconds),
            Quantity::CpuToHealthy => ("cpu-to-healthy", "CPU to healthy", Microseconds),
            Quantity::MemoryIdle => ("memory-idle", "memory, idle", Bytes),
            Quantity::ChargedIdle => ("charged-idle", "charged, idle", Bytes),
            Quantity::MemoryAfter => ("memory-after", "memory, used", Bytes),
            Quantity::ChargedAfter => ("charged-after", "charged, used", Bytes),
            Quantity::Request => ("request", "request", Microseconds),
            Quantity::CpuRequest => ("cpu-request", "CPU of a request", Microseconds),
            Quantity::RequestP50 => ("request-p50", "request, p50", Microseconds),
            Quantity::RequestP95 => ("request-p95", "request, p95", Microseconds),
            Quantity::Rate => ("rate", "rate", PerSecond),
            Quantity::MemoryPeak => ("memory-peak", "memory, peak", Bytes),
            Quantity::BuildUnchanged => ("build-unchanged", "unchanged build", Microseconds),
            Quantity::BuildUnchangedRatio => {
                ("build-unchanged-ratio", "unchanged build / bake alone", Thousandths)
            }
            Quantity::BuildCold => ("build-cold", "cold build", Microseconds),
            Quantity::BuildColdRatio => ("build-cold-ratio", "cold build / bake alone", Thousandths),
            Quantity::Compare => ("compare", "compare", Microseconds),
            Quantity::Compile => ("compile", "compile from nothing", Microseconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_records() {
        for quantity in Quantity::ALL {
            assert_eq!(serde_json::to_value(quantity).unwrap(), quantity.name());
        }
    }
}
