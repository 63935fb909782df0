//! How much memory vectors and bodies may take.

use std::fs;
use std::num::NonZeroUsize;

use sutra_service::{SettingsError, variable};

/// Left for everything but vectors and bodies, in bytes: the program, and the writers of the index and the records.
const RESERVE: usize = 96 << 20;

/// The most that is worth giving to bodies, in bytes.
const BODIES: usize = 64 << 20;

/// Where Linux tells a container its limit, with cgroup 2 and 1.
const CGROUP_LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// How the memory is shared out, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// For vectors.
    pub vectors: usize,
    /// For bodies of requests, and what is made of them.
    pub bodies: usize,
}

impl Memory {
    /// Shares out `MAX_MEMORY_BYTES`. By default, that is the container's limit, or else the machine's memory. The error
    /// names the invalid variable.
    pub(crate) fn from_environment() -> Result<Self, SettingsError> {
        let configured = variable::<NonZeroUsize>("MAX_MEMORY_BYTES", "a whole number greater than 0")?;
        Ok(Self::share(configured.map(usize::from).or_else(available).unwrap_or(usize::MAX)))
    }

    /// Vectors get at least a quarter, so that a small container can store something.
    fn share(all: usize) -> Self {
        let bodies = (all / 8).min(BODIES);
        Self { vectors: all.saturating_sub(RESERVE + bodies).max(all / 4), bodies }
    }
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
        assert_eq!(Memory::share(1 << 30), Memory { vectors: 864 << 20, bodies: 64 << 20 });
        assert_eq!(Memory::share(128 << 20), Memory { vectors: 32 << 20, bodies: 16 << 20 });
        assert_eq!(Memory::share(100), Memory { vectors: 25, bodies: 12 });
    }

    #[test]
    fn the_machine_has_memory() {
        assert!(machine().is_some_and(|bytes| bytes > 64 << 20));
        assert!(available() <= machine());
    }
}
