//! A second engine on this machine, for pulls into an engine that has none of the layers: with its own data, socket and bridge.
//!
//! It must have a bridge. Without one it would share `docker0` with the first engine; told `none`, it deletes `docker0` at its
//! start (moby, daemon/daemon_unix.go, `removeDefaultBridgeInterface`), and no container of the first reaches anything any more.
//!
//! It runs in process and mount namespaces of its own. So its end, however it comes, is the end of all that it started, and
//! no mount of it is left: a killed run leaves folders and the bridge, which [`remove_bridge`] removes by its name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::docker::Docker;
use crate::facts::Store;
use host::files;
use host::process::{Background, Cmd, find, tail};
use host::wait;

/// Where a daemon and its helpers stand, beyond a user's PATH.
const MORE_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";
/// Between two checks whether it answers, and how long they go on.
const PAUSE: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(60);

/// The bridge's address: of the network that is set aside for measuring (RFC 2544), and so nobody's on the internet. Runs of
/// several checkouts at once have different ones.
fn address(process: u32) -> String {
    format!("198.18.{}.{}/29", process / 32 % 256, process % 32 * 8 + 1)
}

/// Where things of such an engine are.
#[derive(Debug, Clone)]
pub struct Place {
    /// What it keeps; becomes large.
    pub data: PathBuf,
    /// Its sockets: a path that is short.
    pub sockets: PathBuf,
    /// The bridge's name: at most 15 characters, and never the first engine's.
    pub bridge: String,
}

/// Runs until it is dropped. The fields go in this order: the process before its bridge.
#[derive(Debug)]
pub struct SideEngine {
    docker: Docker,
    host: String,
    process: Background,
    #[allow(dead_code, reason = "it goes with this value")]
    bridge: Bridge,
}

/// Goes when it is dropped.
#[derive(Debug)]
struct Bridge {
    docker: Docker,
    name: String,
}

impl Bridge {
    /// The alias tells who finds it whose it is.
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
        // What stays goes with the session.
        remove_bridge(&self.docker, &self.name).ok();
    }
}

/// Removes a bridge that such an engine had; its absence is fine.
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

/// What such an engine needs of its machine, and what is missing of it; empty where one can be started.
pub fn missing() -> Vec<&'static str> {
    let is_there = |program: &str| {
        find(program).is_some() || MORE_PATH.split(':').any(|dir| Path::new(dir).join(program).is_file())
    };
    let mut missing: Vec<&str> = ["dockerd", "containerd", "ip", "unshare", "setpriv", "setsid"]
        .into_iter()
        .filter(|name| !is_there(name))
        .collect();
    // The owner of one's own processes is oneself.
    let is_root = std::os::unix::fs::MetadataExt::uid(&match std::fs::metadata("/proc/self") {
        Ok(about) => about,
        Err(_) => return missing,
    }) == 0;
    if !is_root {
        missing.push("root's rights");
    }
    missing
}

impl SideEngine {
    /// Starts one that stores images as the first does.
    ///
    /// # Errors
    /// When it does not answer; with its last words.
    pub fn start(docker: &Docker, place: &Place) -> Result<SideEngine> {
        files::create_dir(&place.data)?;
        files::create_dir(&place.sockets)?;
        let host = format!("unix://{}", place.sockets.join("docker.sock").display());
        let (configuration, log) = (place.data.join("daemon.json"), place.data.join("log"));
        let text = self::configuration(docker.store()?, &host, place);
        files::write_atomically(&configuration, text.as_bytes())?;
        let bridge = Bridge::add(docker, &place.bridge, &place.data.display().to_string())?;
        // A containerd that the machine runs would be used too, and keep images: it is out of sight here.
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
        let said = files::read(log).unwrap_or_default();
        bail!("a second engine for pulls does not answer; its last words:\n{}", tail(&said, 8))
    }

    /// Pulls an image, and says how long that took.
    ///
    /// # Errors
    /// What docker says, or when the person interrupts.
    pub fn pull(&self, reference: &str) -> Result<Duration> {
        let cmd = self.docker.cmd(["--host", &self.host, "pull", "--quiet", reference]);
        let started = Instant::now();
        let (mut said, mut took) = (Vec::new(), Duration::ZERO);
        // Its last word is its end; that it is noticed takes some milliseconds more.
        let status = cmd.stream(|chunk| {
            took = started.elapsed();
            said.extend_from_slice(chunk);
        })?;
        self.docker.runner.interrupt.check()?;
        if !status.success() {
            bail!("{} failed:\n{}", cmd.quoted(), tail(&String::from_utf8_lossy(&said), 4));
        }
        Ok(took)
    }

    /// Removes all images, so that the next pull finds none of their layers.
    ///
    /// # Errors
    /// When something stays.
    pub fn clear(&self) -> Result<()> {
        let all = || self.docker.cmd(["--host", &self.host, "image", "ls", "--all", "--quiet"]).read();
        // An image stands there once for each of its tags.
        let ids: BTreeSet<String> = all()?.lines().map(str::to_owned).collect();
        if !ids.is_empty() {
            let remove = self.docker.cmd(["--host", &self.host, "image", "rm", "--force"]);
            remove.args(ids).read().context("the second engine keeps an image")?;
        }
        match all()?.as_str() {
            "" => Ok(()),
            left => bail!("the second engine keeps {left}"),
        }
    }
}

fn configuration(store: Store, host: &str, place: &Place) -> String {
    json!({
        "hosts": [host],
        "data-root": place.data.join("data"),
        "exec-root": place.sockets.join("exec"),
        "pidfile": place.data.join("pid"),
        "bridge": place.bridge,
        // It runs no container, and leaves the machine's network as it is.
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
    fn addresses_of_neighbours_are_in_networks_of_their_own() {
        assert_eq!(address(0), "198.18.0.1/29");
        assert_eq!(address(31), "198.18.0.249/29");
        assert_eq!(address(32), "198.18.1.1/29");
        assert_eq!(address(u32::MAX), "198.18.255.249/29");
    }

    #[test]
    fn it_shares_nothing_with_the_engine_of_the_machine() {
        let place = Place { data: "/d".into(), sockets: "/s".into(), bridge: "b0".into() };
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
