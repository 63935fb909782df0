//! How much memory the vectors may take.

use std::fs;
use std::num::NonZeroUsize;

use sutra_service::{SettingsError, variable};

/// Left for everything else, in bytes: the program, requests, and the writers of the index and the records.
const RESERVE: usize = 96 << 20;

/// Where Linux tells a container its limit, with cgroup 2 and 1.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The limit for vectors in bytes, from `MAX_MEMORY_BYTES`: memory for the whole service. By default, the container's
/// limit, or else the machine's memory. The error names the invalid variable.
pub(crate) fn vector_limit() -> Result<usize, SettingsError> {
    let configured = variable::<NonZeroUsize>("MAX_MEMORY_BYTES", "a whole number greater than 0")?;
    let all = configured.map(usize::from).or_else(available);
    Ok(all.map_or(usize::MAX, share))
}

/// At least a quarter, so that a small container can store something.
fn share(all: usize) -> usize {
    all.saturating_sub(RESERVE).max(all / 4)
}

fn available() -> Option<usize> {
    let limits = CGROUP_LIMITS.iter().filter_map(|path| fs::read_to_string(path).ok());
    // "max" means that there is none; so does a number that is larger than the machine's memory.
    let limits = limits.filter_map(|limit| limit.trim().parse().ok());
    limits.chain(machine()).min()
}

fn machine() -> Option<usize> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_of_the_memory_is_for_vectors() {
        assert_eq!(share(1 << 30), 928 << 20);
        assert_eq!(share(128 << 20), 32 << 20);
        assert_eq!(share(100), 25);
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(machine().is_some_and(|bytes| bytes > 64 << 20));
        assert!(available() <= machine());
    }
}
