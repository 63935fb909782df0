//! The kernel's figures of a container: memory and processor time of its control group, resident pages of its processes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where control groups are mounted (cgroups(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// The control group of a process: one folder in version 2, one a controller in version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    V1 { memory: PathBuf, cpu: PathBuf },
    V2(PathBuf),
}

impl Cgroup {
    /// The control group of a process.
    pub fn of(process: u32) -> Result<Cgroup> {
        let path = format!("/proc/{process}/cgroup");
        let text = fs::read_to_string(&path).with_context(|| {
            format!("cannot read {path}: memory and processor time can only be measured when the engine runs on this machine")
        })?;
        Cgroup::parse(&text, Path::new(MOUNT))
            .with_context(|| format!("no group in {path} accounts memory and processor time"))
    }

    fn parse(text: &str, mount: &Path) -> Option<Cgroup> {
        let lines: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        let of = |controller: &str| {
            let has = |(names, _): &&(&str, &str)| names.split(',').any(|name| name == controller);
            let (names, path) = lines.iter().find(has)?;
            // Controllers mounted together have one folder with both names, and usually a link for each.
            let folder = if mount.join(controller).exists() { controller } else { names };
            Some(mount.join(folder).join(path.trim_start_matches('/')))
        };
        match (of("memory"), of("cpuacct")) {
            (Some(memory), Some(cpu)) => Some(Cgroup::V1 { memory, cpu }),
            _ => {
                let (_, path) = lines.iter().find(|(names, _)| names.is_empty())?;
                Some(Cgroup::V2(mount.join(path.trim_start_matches('/'))))
            }
        }
    }

    /// Microseconds of processor time that the group has used.
    pub fn cpu(&self) -> Result<u64> {
        match self {
            Cgroup::V1 { cpu, .. } => Ok(number(&cpu.join("cpuacct.usage"))? / 1000),
            Cgroup::V2(group) => value(&group.join("cpu.stat"), "usage_usec"),
        }
    }

    /// Bytes that are charged to the group, less inactive file pages, which the kernel takes back first: what
    /// `docker stats` shows (docker/cli, `calculateMemUsageUnixNoCache`).
    pub fn charged(&self) -> Result<u64> {
        let (usage, inactive) = match self {
            Cgroup::V1 { memory, .. } => (
                number(&memory.join("memory.usage_in_bytes"))?,
                value(&memory.join("memory.stat"), "total_inactive_file")?,
            ),
            Cgroup::V2(group) => {
                (number(&group.join("memory.current"))?, value(&group.join("memory.stat"), "inactive_file")?)
            }
        };
        Ok(usage.saturating_sub(inactive))
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn number(path: &Path) -> Result<u64> {
    read(path)?.trim().parse().with_context(|| format!("not a number: {}", path.display()))
}

fn value(path: &Path, key: &str) -> Result<u64> {
    value_in(&read(path)?, key).with_context(|| format!("{} has no `{key}`", path.display()))
}

fn value_in(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Resident bytes of a container's processes; shared pages count once. `first` is the container's main process; a running health
/// check is not its child and does not count. `None` where the kernel denies this user access (root has it).
pub fn resident(first: u32) -> Option<u64> {
    let (mut alone, mut shared) = (0, 0);
    for process in with_descendants(first) {
        match fs::read_to_string(format!("/proc/{process}/smaps_rollup")) {
            Ok(text) => {
                let (private, rest) = pages(&text)?;
                alone += private;
                shared = shared.max(rest);
            }
            // A child may have ended meanwhile.
            Err(_) if process != first => {}
            Err(_) => return None,
        }
    }
    Some(alone + shared)
}

/// The most bytes that a container's processes ever had resident (proc(5), `VmHWM`), summed; `None` where there are none.
pub fn peak(first: u32) -> Option<u64> {
    let peak = |process| {
        kilobytes(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), "VmHWM")
    };
    let sum: u64 = with_descendants(first).into_iter().filter_map(peak).sum();
    (sum > 0).then_some(sum)
}

fn with_descendants(first: u32) -> Vec<u32> {
    let mut processes = vec![first];
    let mut index = 0;
    while let Some(process) = processes.get(index).copied() {
        processes.extend(children(process));
        index += 1;
    }
    processes
}

fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of = |task: PathBuf| fs::read_to_string(task.join("children")).unwrap_or_default();
    let texts = tasks.flatten().map(|task| of(task.path()));
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// A process's private resident bytes, and its other resident bytes (proc(5), `smaps_rollup`).
fn pages(text: &str) -> Option<(u64, u64)> {
    let private = kilobytes(text, "Private_Clean")? + kilobytes(text, "Private_Dirty")?;
    Some((private, kilobytes(text, "Rss")?.saturating_sub(private)))
}

/// The bytes of a `KEY: N kB` line.
fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// System load of the last minute, in hundredths (proc(5), `loadavg`); 0 if unknown.
pub fn load() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load_of(&text).unwrap_or_default()
}

fn load_of(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?)
}

/// The kernel's release; empty if unknown.
pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_in_cgroup_v1_hybrid_and_v2() {
        let mount = Path::new("/none");
        let hybrid = "9:name=systemd:/docker/c\n4:memory:/docker/c\n2:cpuacct:/docker/c\n0::/docker/c\n";
        let of = |memory: &str, cpu: &str| Cgroup::V1 { memory: memory.into(), cpu: cpu.into() };
        assert_eq!(
            Cgroup::parse(hybrid, mount).unwrap(),
            of("/none/memory/docker/c", "/none/cpuacct/docker/c")
        );
        let together = "4:memory:/docker/c\n2:cpu,cpuacct:/docker/c\n";
        assert_eq!(
            Cgroup::parse(together, mount).unwrap(),
            of("/none/memory/docker/c", "/none/cpu,cpuacct/docker/c")
        );
        let unified = "0::/system.slice/docker-c.scope\n";
        assert_eq!(
            Cgroup::parse(unified, mount).unwrap(),
            Cgroup::V2("/none/system.slice/docker-c.scope".into())
        );
        assert_eq!(Cgroup::parse("", mount), None);
    }

    #[test]
    fn keys_are_matched_whole() {
        let text = "inactive_file_of 9\ninactive_file 4096\nusage_usec 12\n";
        assert_eq!(value_in(text, "inactive_file"), Some(4096));
        assert_eq!(value_in(text, "inactive"), None);
    }

    #[test]
    fn private_and_shared_pages_are_told_apart() {
        let text = "00400000-7ff ---p 00000000 00:00 0 [rollup]\nRss:     100 kB\nPss: 60 kB\nShared_Clean: 70 kB\n\
                    Private_Clean:   10 kB\nPrivate_Dirty:        20 kB\n";
        assert_eq!(pages(text), Some((30 * 1024, 70 * 1024)));
        assert_eq!(pages("Rss: 1 kB\n"), None);
        assert_eq!(load_of("0.42 0.5 0.6 1/2 3\n"), Some(42));
        assert_eq!(load_of("12.05 0.5 0.6 1/2 3\n"), Some(1205));
    }

    #[test]
    fn this_process_has_resident_memory() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert!(peak(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert_eq!((resident(u32::MAX), peak(u32::MAX)), (None, None));
    }
}
