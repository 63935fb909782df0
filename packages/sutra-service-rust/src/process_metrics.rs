//! Metrics of this process, under the names that Prometheus' own libraries use.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// Ticks per second of the times in `/proc`, the same on every Linux.
const TICKS: f64 = 100.0;

/// The numbers of the process at a path like `/proc/self`. What cannot be read is left out.
#[derive(Debug)]
pub(crate) struct Process {
    path: PathBuf,
    /// Seconds since 1970.
    started: f64,
}

impl Process {
    /// This process, which has just started.
    pub(crate) fn this() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { path: "/proc/self".into(), started: now.as_secs_f64() }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_bytes(&self.path) {
            let about = "Resident memory size in bytes.";
            let to =
                encoder.encode_descriptor("process_resident_memory_bytes", about, None, MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(to)?;
        }
        if let Some(seconds) = cpu_seconds(&self.path) {
            let about = "Processor time, user and system.";
            let to = encoder.encode_descriptor("process_cpu_seconds", about, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(to)?;
        }
        // One of them is the folder that is being read.
        if let Some(count) = std::fs::read_dir(self.path.join("fd")).ok().map(|files| files.count()) {
            let about = "Open files and connections.";
            let to = encoder.encode_descriptor("process_open_fds", about, None, MetricType::Gauge)?;
            ConstGauge::new(count.saturating_sub(1)).encode(to)?;
        }
        let about = "When the process started, in Unix time.";
        let to = encoder.encode_descriptor("process_start_time_seconds", about, None, MetricType::Gauge)?;
        ConstGauge::new(self.started).encode(to)
    }
}

fn resident_bytes(process: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// See `proc_pid_stat(5)`: `utime` and `stime`, counted from the end of the program's name, which may contain spaces.
fn cpu_seconds(process: &Path) -> Option<f64> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some((f64::from(ticks()?) + f64::from(ticks()?)) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_brackets() {
        let folder = std::env::temp_dir().join(format!("sutra-process-metrics-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let stat = "1 (a) b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        std::fs::write(folder.join("stat"), stat).expect("write");
        std::fs::write(folder.join("status"), "Name:\ta\nVmRSS:\t    2048 kB\n").expect("write");
        assert_eq!((cpu_seconds(&folder), resident_bytes(&folder)), (Some(2.0), Some(2 << 20)));
        std::fs::write(folder.join("stat"), "1 (a) S").expect("write");
        std::fs::remove_file(folder.join("status")).expect("remove");
        assert_eq!((cpu_seconds(&folder), resident_bytes(&folder)), (None, None));
        std::fs::remove_dir_all(&folder).expect("remove");
    }
}
