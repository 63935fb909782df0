//! Globally unique process names, and whether the process with a name is still running.

use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Identifies a process across reuse of its ID, reboots and machines.
///
/// Formatted as five hexadecimal numbers joined by dashes, which is valid in a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessName {
    host: HostName,
    /// Its process ID.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (proc(5), `stat`, field 22).
    started: u64,
    /// When the name was created, in milliseconds since 1970.
    pub at: u64,
}

/// Hashes, since the machine ID itself must not be published (machine-id(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct HostName {
    /// Hash of the machine ID and the host name.
    machine: u32,
    /// Hash of the boot ID and the PID namespace; 0 if unknown.
    boot: u32,
}

/// Whether a process is still running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is running.
    Runs,
    /// It has ended.
    Gone,
    /// It belongs to another machine or container, or is hidden.
    Unknown,
}

/// The current machine.
#[derive(Debug, Clone, Copy)]
struct Here {
    host: HostName,
    /// Boot time, in seconds since 1970.
    booted: u64,
    /// Whether other users' processes are visible (proc(5), `hidepid`).
    sees_all: bool,
}

impl ProcessName {
    /// A new name for this process.
    pub fn current() -> ProcessName {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = std::process::id();
        ProcessName {
            host: HostName::detect(),
            pid,
            started: stat(pid).map_or(0, |(_, started)| started),
            at: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Whether the process is still running, as far as this machine knows.
    pub fn life(&self) -> Life {
        let boot_time = read("/proc/stat");
        let booted = boot_time.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
        let here = Here {
            host: HostName::detect(),
            booted: booted.unwrap_or_default(),
            sees_all: stat(1).is_some(),
        };
        self.judge(here, stat(self.pid))
    }

    /// `seen`: state and start time of the process that now has its ID.
    fn judge(&self, here: Here, seen: Option<(char, u64)>) -> Life {
        if self.host.boot == 0 || here.host.boot == 0 {
            return Life::Unknown;
        }
        if self.host == here.host {
            return match seen {
                // A zombie has ended; its parent has not reaped it yet.
                Some((state, started)) if started == self.started && !matches!(state, 'Z' | 'X') => {
                    Life::Runs
                }
                None if !here.sees_all => Life::Unknown,
                _ => Life::Gone,
            };
        }
        // A name older than the boot means a reboot; otherwise it may come from a cloned VM, which has the same ID and host name.
        let before_boot = self.at / 1000 < here.booted;
        if self.host.machine == here.host.machine && before_boot { Life::Gone } else { Life::Unknown }
    }
}

impl HostName {
    fn detect() -> HostName {
        let boot = read("/proc/sys/kernel/random/boot_id");
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        let machine = read("/etc/machine-id") + &read("/proc/sys/kernel/hostname");
        HostName {
            machine: hash(&machine),
            boot: if boot.is_empty() { 0 } else { hash(&format!("{boot}{}", namespace.display())) },
        }
    }
}

/// The host's name, for messages.
pub fn host() -> String {
    read("/proc/sys/kernel/hostname").trim().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// State and start time of a process; `None` if it does not exist or is hidden.
fn stat(pid: u32) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses `stat` (proc(5)). The second field, the program's name, may contain spaces and parentheses.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let mut fields = text[text.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// 32-bit FNV-1a: stable across versions of this program.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HostName { machine, boot } = self.host;
        write!(f, "{machine:x}-{boot:x}-{:x}-{:x}-{:x}", self.pid, self.started, self.at)
    }
}

impl FromStr for ProcessName {
    type Err = ();

    /// Ignores anything after a further dash.
    fn from_str(text: &str) -> Result<ProcessName, ()> {
        let mut numbers = text.split('-').map(|field| u64::from_str_radix(field, 16).map_err(drop));
        let mut next = || numbers.next().ok_or(())?;
        let short = |number: u64| u32::try_from(number).map_err(drop);
        Ok(ProcessName {
            host: HostName { machine: short(next()?)?, boot: short(next()?)? },
            pid: short(next()?)?,
            started: next()?,
            at: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Runner;

    const HERE: Here = Here { host: HostName { machine: 1, boot: 2 }, booted: 1000, sees_all: true };

    fn name(machine: u32, boot: u32, at: u64) -> ProcessName {
        ProcessName { host: HostName { machine, boot }, pid: 7, started: 50, at }
    }

    #[test]
    fn a_name_survives_a_tag() {
        let current = ProcessName::current();
        assert_eq!(format!("{current}-simple-optimized").parse(), Ok(current));
        assert_eq!(current.life(), Life::Runs);
        for other in ["", "1-2-3-4", "1-2-3-4-x", "1ffffffff-2-3-4-5", "19b-3f2"] {
            assert_eq!(other.parse::<ProcessName>(), Err(()), "{other}");
        }
    }

    #[test]
    fn a_process_is_gone_when_it_ended_or_another_has_its_id() {
        let own = name(1, 2, 2_000_000);
        assert_eq!(own.judge(HERE, Some(('S', 50))), Life::Runs);
        assert_eq!(own.judge(HERE, Some(('Z', 50))), Life::Gone);
        assert_eq!(own.judge(HERE, Some(('S', 51))), Life::Gone);
        assert_eq!(own.judge(HERE, None), Life::Gone);
        assert_eq!(own.judge(Here { sees_all: false, ..HERE }, None), Life::Unknown);
    }

    #[test]
    fn a_restart_ends_every_process_but_another_machine_says_nothing() {
        let seen = Some(('S', 50));
        assert_eq!(name(1, 9, 999_999).judge(HERE, seen), Life::Gone);
        // A clone of this machine, or a container on it, started after the boot.
        assert_eq!(name(1, 9, 2_000_000).judge(HERE, seen), Life::Unknown);
        assert_eq!(name(8, 2, 999_999).judge(HERE, seen), Life::Unknown);
        assert_eq!(name(1, 0, 999_999).judge(HERE, seen), Life::Unknown);
        let blind = Here { host: HostName { machine: 1, boot: 0 }, ..HERE };
        assert_eq!(name(1, 2, 999_999).judge(blind, seen), Life::Unknown);
    }

    #[test]
    fn stat_is_read_past_the_programs_name() {
        let rest: Vec<String> = (4..=30).map(|field| field.to_string()).collect();
        assert_eq!(parse_stat(&format!("7 (a) b (c)) R {}", rest.join(" "))), Some(('R', 22)));
        assert_eq!(parse_stat("7 (a) R 1"), None);
    }

    #[test]
    fn an_ended_child_is_gone() {
        let text = Runner::default().cmd("sh").args(["-c", "cat /proc/$$/stat; echo $$"]).read().unwrap();
        let (stat, pid) = text.rsplit_once('\n').unwrap();
        let started = parse_stat(stat).unwrap().1;
        let child = ProcessName { pid: pid.parse().unwrap(), started, ..ProcessName::current() };
        assert_eq!(child.life(), Life::Gone);
    }
}
