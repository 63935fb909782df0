//! A second engine on this machine, without any layers, for measuring pulls: with its own data, socket and bridge.
//!
//! It needs its own bridge. Without one it would share `docker0` with the first engine; with `none` it deletes `docker0`
//! (moby, daemon/daemon_unix.go, `removeDefaultBridgeInterface`) and cuts off the first engine's containers.
//!
//! It runs in its own process and mount namespaces, so all its processes and mounts end with it, even when it is killed. A killed
//! run leaves only folders and the bridge, see [`remove_bridge`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::docker::Docker;
use crate::facts::Store;
use host::process::{Background, Cmd, find, tail};
use host::{files, wait};

/// Folders of the daemon and its helpers that may be missing on PATH.
const MORE_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";
/// Between two checks whether it answers, and how long they go on.
const PAUSE: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(60);

/// The bridge's address, in the network reserved for benchmarks (RFC 2544). Concurrent runs have different ones.
fn address(process: u32) -> String {
    format!("198.18.{}.{}/29", process / 32 % 256, process % 32 * 8 + 1)
}

/// The paths of a second engine.
#[derive(Debug, Clone)]
pub struct SideEnginePaths {
    /// Its data; becomes large.
    pub data: PathBuf,
    /// Its sockets; must be short.
    pub sockets: PathBuf,
    /// The bridge's name: at most 15 characters, not `docker0`.
    pub bridge: String,
}

/// Runs until it is dropped. Fields are dropped in this order: the process before its bridge.
#[derive(Debug)]
pub struct SideEngine {
    docker: Docker,
    host: String,
    process: Background,
    #[allow(dead_code, reason = "removed when dropped")]
    bridge: Bridge,
}

/// Removed when it is dropped.
#[derive(Debug)]
struct Bridge {
    docker: Docker,
    name: String,
}

impl Bridge {
    /// The alias names its owner.
    fn add(docker: &Docker, name: &str, alias: &str) -> Result<Bridge> {
        let ip = |args: &[&str]| ip(docker).args(args.iter().copied()).read();
        let bridge = Bridge { docker: docker.clone(), name: name.to_owned() };
        ip(&["link", "add", "name", name, "type", "bridge"])?;
        ip(&["link", "set", "dev", name, "alias", alias])?;
        ip(&["address", "add", &address(std::process::id()), "dev", name])?;
        ip(&["link", "set", "dev", name, "up"])?;
        Ok(bridge)
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The session removes leftovers.
        remove_bridge(&self.docker, &self.name).ok();
    }
}

/// Removes the bridge of a second engine, if it exists.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_bridge(docker: &Docker, name: &str) -> Result<()> {
    if Path::new("/sys/class/net").join(name).exists() {
        ip(docker).args(["link", "delete", "dev", name, "type", "bridge"]).read()?;
    }
    Ok(())
}

fn ip(docker: &Docker) -> Cmd {
    docker.runner.cmd("ip").env("PATH", path())
}

fn path() -> String {
    format!("{}:{MORE_PATH}", std::env::var("PATH").unwrap_or_default())
}

/// What is missing on this machine for a second engine.
pub fn missing() -> Vec<&'static str> {
    let is_there = |program: &str| {
        find(program).is_some() || MORE_PATH.split(':').any(|dir| Path::new(dir).join(program).is_file())
    };
    let mut missing: Vec<&str> = ["dockerd", "containerd", "ip", "unshare", "setpriv", "setsid"]
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    // /proc/self belongs to the user of this process.
    let is_root = std::os::unix::fs::MetadataExt::uid(&match std::fs::metadata("/proc/self") {
        Ok(about) => about,
        Err(_) => return missing,
    }) == 0;
    if !is_root {
        missing.push("root privileges");
    }
    missing
}

impl SideEngine {
    /// Starts one with the same image store as the first.
    ///
    /// # Errors
    /// When it does not answer; with the end of its log.
    pub fn start(docker: &Docker, place: &SideEnginePaths) -> Result<SideEngine> {
        files::create_dir(&place.data)?;
        files::create_dir(&place.sockets)?;
        let host = format!("unix://{}", place.sockets.join("docker.sock").display());
        let (configuration, log) = (place.data.join("daemon.json"), place.data.join("log"));
        let text = self::configuration(docker.store()?, &host, place);
        files::write_atomically(&configuration, text.as_bytes())?;
        let bridge = Bridge::add(docker, &place.bridge, &place.data.display().to_string())?;
        // Hides the machine's containerd, which would be used and keep images.
        let script = "mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec dockerd --config-file=\"$0\"";
        let namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script];
        let cmd = docker.runner.cmd("unshare").args(namespaces).arg(configuration.display().to_string());
        let process = cmd.env("PATH", path()).background(&log)?;
        let engine = SideEngine { docker: docker.clone(), host, process, bridge };
        engine.wait(&log)?;
        Ok(engine)
    }

    fn wait(&self, log: &Path) -> Result<()> {
        let answered = wait::poll(PAUSE, DEADLINE, &self.docker.runner.interrupt, || {
            let answers = self.docker.cmd(["--host", &self.host, "version"]).capture()?.success();
            Ok((answers || self.process.is_over()).then_some(answers))
        })?;
        if answered == Some(true) {
            return Ok(());
        }
        let output = files::read(log).unwrap_or_default();
        bail!("the second engine does not answer; its log ends in:\n{}", tail(&output, 8))
    }

    /// Pulls an image and returns the duration.
    ///
    /// # Errors
    /// When docker fails or the user interrupts.
    pub fn pull(&self, reference: &str) -> Result<Duration> {
        let cmd = self.docker.cmd(["--host", &self.host, "pull", "--quiet", reference]);
        let started = Instant::now();
        let (mut output, mut took) = (Vec::new(), Duration::ZERO);
        // The time of the last output: the end itself is noticed some milliseconds later.
        let status = cmd.stream(|chunk| {
            took = started.elapsed();
            output.extend_from_slice(chunk);
        })?;
        self.docker.runner.interrupt.check()?;
        if !status.success() {
            bail!("{} failed:\n{}", cmd.quoted(), tail(&String::from_utf8_lossy(&output), 4));
        }
        Ok(took)
    }

    /// Removes all images, so that the next pull finds none of their layers.
    ///
    /// # Errors
    /// When an image cannot be removed.
    pub fn clear(&self) -> Result<()> {
        let all = || self.docker.cmd(["--host", &self.host, "image", "ls", "--all", "--quiet"]).read();
        // An image is listed once per tag.
        let ids: BTreeSet<String> = all()?.lines().map(str::to_owned).collect();
        if !ids.is_empty() {
            let remove = self.docker.cmd(["--host", &self.host, "image", "rm", "--force"]);
            remove.args(ids).read().context("the second engine cannot remove an image")?;
        }
        match all()?.as_str() {
            "" => Ok(()),
            left => bail!("images left in the second engine: {left}"),
        }
    }
}

fn configuration(store: Store, host: &str, place: &SideEnginePaths) -> String {
    json!({
        "hosts": [host],
        "data-root": place.data.join("data"),
        "exec-root": place.sockets.join("exec"),
        "pidfile": place.data.join("pid"),
        "bridge": place.bridge,
        // It runs no containers, so the machine's network is left alone.
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "ip-masq": false,
        "features": { "containerd-snapshotter": store == Store::Containerd },
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_runs_have_separate_networks() {
        assert_eq!(address(0), "198.18.0.1/29");
        assert_eq!(address(31), "198.18.0.249/29");
        assert_eq!(address(32), "198.18.1.1/29");
        assert_eq!(address(u32::MAX), "198.18.255.249/29");
    }

    #[test]
    fn it_shares_nothing_with_the_first_engine() {
        let place = SideEnginePaths { data: "/d".into(), sockets: "/s".into(), bridge: "b0".into() };
        let text = configuration(Store::Classic, "unix:///s/docker.sock", &place);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (key, expected) in [
            ("hosts", json!(["unix:///s/docker.sock"])),
            ("data-root", json!("/d/data")),
            ("exec-root", json!("/s/exec")),
            ("pidfile", json!("/d/pid")),
            ("bridge", json!("b0")),
            ("features", json!({ "containerd-snapshotter": false })),
        ] {
            assert_eq!(value[key], expected, "{key}");
        }
    }
}
