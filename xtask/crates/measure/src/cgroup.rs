//! What the kernel keeps of a container's processes: their control group's memory and processor time, their resident pages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where control groups are mounted (cgroups(7)).
const MOUNT: &str = "/sys/fs/cgroup";

/// The control group of a process: one folder in version 2, one a controller in version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroup {
    /// Version 1, or hybrid.
    V1 {
        /// Of the memory controller.
        memory: PathBuf,
        /// Of the controller that accounts processor time.
        cpu: PathBuf,
    },
    /// Version 2.
    V2(PathBuf),
}

impl Cgroup {
    /// Of a process.
    ///
    /// # Errors
    /// When there is no such process on this machine, or its groups are not accounted.
    pub fn of(process: u32) -> Result<Cgroup> {
        let path = format!("/proc/{process}/cgroup");
        let text = fs::read_to_string(&path).with_context(|| {
            format!("cannot read {path}: memory and processor time are read where the engine runs, on this machine")
        })?;
        Cgroup::parse(&text, Path::new(MOUNT))
            .with_context(|| format!("{path} names no group that accounts memory and processor time"))
    }

    fn parse(text: &str, mount: &Path) -> Option<Cgroup> {
        let lines: Vec<(&str, &str)> =
            text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')).collect();
        let of = |controller: &str| {
            let has = |(names, _): &&(&str, &str)| names.split(',').any(|name| name == controller);
            let (names, path) = lines.iter().find(has)?;
            // Controllers that are mounted together have a link each beside the folder of both names.
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
    ///
    /// # Errors
    /// When the group is gone or not accounted.
    pub fn cpu(&self) -> Result<u64> {
        match self {
            Cgroup::V1 { cpu, .. } => Ok(number(&cpu.join("cpuacct.usage"))? / 1000),
            Cgroup::V2(group) => value(&group.join("cpu.stat"), "usage_usec"),
        }
    }

    /// Bytes that are charged to the group, less inactive file pages, which the kernel takes back first: what
    /// `docker stats` shows (docker/cli, `calculateMemUsageUnixNoCache`).
    ///
    /// # Errors
    /// When the group is gone or not accounted.
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
    read(path)?.trim().parse().with_context(|| format!("{} holds no number", path.display()))
}

fn value(path: &Path, key: &str) -> Result<u64> {
    match value_in(&read(path)?, key) {
        Some(value) => Ok(value),
        None => bail!("{} has no `{key}`", path.display()),
    }
}

fn value_in(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// Resident bytes of a container's processes: what each has alone, and once what they share. `first` is the container's first
/// process; a health check under way is none of its children, and not counted. `None` where the kernel does not let this
/// user look (it lets root).
pub fn resident(first: u32) -> Option<u64> {
    let mut processes = vec![first];
    let mut index = 0;
    while let Some(process) = processes.get(index).copied() {
        processes.extend(children(process));
        index += 1;
    }
    let (mut alone, mut shared) = (0, 0);
    for process in processes {
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

fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of = |task: PathBuf| fs::read_to_string(task.join("children")).unwrap_or_default();
    let texts = tasks.flatten().map(|task| of(task.path()));
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// Bytes that a process has alone, and the rest of what it has resident (proc(5), `smaps_rollup`).
fn pages(text: &str) -> Option<(u64, u64)> {
    let of = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    let private = of("Private_Clean")? + of("Private_Dirty")?;
    Some((private, of("Rss")?.saturating_sub(private)))
}

/// Load of the last minute, in hundredths (proc(5), `loadavg`); zero where the kernel does not say.
pub fn load() -> u64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load_of(&text).unwrap_or_default()
}

fn load_of(text: &str) -> Option<u64> {
    let (whole, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    Some(whole.parse::<u64>().ok()? * 100 + hundredths.parse::<u64>().ok()?)
}

/// The kernel's release; empty where it does not say.
pub fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_in_every_form_that_kernels_have() {
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
    fn figures_are_read_by_their_whole_name() {
        let text = "inactive_file_of 9\ninactive_file 4096\nusage_usec 12\n";
        assert_eq!(value_in(text, "inactive_file"), Some(4096));
        assert_eq!(value_in(text, "inactive"), None);
    }

    #[test]
    fn pages_that_are_shared_are_told_apart() {
        let text = "00400000-7ff ---p 00000000 00:00 0 [rollup]\nRss:     100 kB\nPss: 60 kB\nShared_Clean: 70 kB\n\
                    Private_Clean:   10 kB\nPrivate_Dirty:        20 kB\n";
        assert_eq!(pages(text), Some((30 * 1024, 70 * 1024)));
        assert_eq!(pages("Rss: 1 kB\n"), None);
        assert_eq!(load_of("0.42 0.5 0.6 1/2 3\n"), Some(42));
        assert_eq!(load_of("12.05 0.5 0.6 1/2 3\n"), Some(1205));
    }

    #[test]
    fn this_very_process_is_resident() {
        assert!(resident(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert_eq!(resident(u32::MAX), None);
    }
}
