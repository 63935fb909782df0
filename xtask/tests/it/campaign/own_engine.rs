//! A separate daemon that a campaign may kill or run out of disk space. It has its own data and network namespace; the campaign
//! runs in that namespace too.

use std::fs::{self, File};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::setting;
use crate::support::{Folder, docker, registry, signal, wait};

/// Address of the registry inside the namespace.
const REGISTRY: &str = "127.0.0.1:5999";

/// Reruns the part in a new network namespace with a separate engine; returns `None` inside. `registry_image` saves the registry
/// image to a path, for [`OwnEngine::registry`].
pub fn outside(part: &str, megabytes: u32, registry_image: impl FnOnce(&Path)) -> Option<()> {
    if setting("ENGINE").is_some() {
        return None;
    }
    let folder = Folder::new();
    let network = format!("xt-{part}-{}", std::process::id());
    registry_image(&folder.0.join("registry.tar"));
    let data = folder.0.join("data");
    fs::create_dir_all(&data).unwrap();
    sh(&format!("ip netns add {network} && ip -n {network} link set lo up"));
    sh(&format!("mount -t tmpfs -o size={megabytes}m none {}", data.display()));
    let status = Command::new("nsenter")
        .arg(format!("--net=/run/netns/{network}"))
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", &format!("campaign::{part}::campaign"), "--nocapture"])
        .env("XTASK_CAMPAIGN_ENGINE", &folder.0)
        .env("DOCKER_HOST", format!("unix://{}", folder.0.join("socket").display()))
        .status()
        .unwrap();
    let here = folder.0.display().to_string();
    kill_leftovers(&here);
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let ours =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| path.starts_with(&here));
    ours.collect::<Vec<_>>().iter().rev().for_each(|path| sh(&format!("umount --lazy {path}")));
    sh(&format!("ip netns del {network}"));
    assert!(status.success(), "{part} failed inside its own network");
    Some(())
}

/// Kills processes of a killed daemon's containers. Their command lines contain the engine's folder.
fn kill_leftovers(folder: &str) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(folder) {
            // It may have just ended.
            Command::new("kill").arg("-KILL").arg(entry.file_name()).output().ok();
        }
    }
}

fn sh(script: &str) {
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success(), "{script}");
}

/// The separate daemon, started from inside the namespace.
pub struct OwnEngine {
    folder: PathBuf,
    daemon: Option<Child>,
    /// Whether [`OwnEngine::supervised`] has restarted the daemon.
    has_restarted: bool,
}

impl OwnEngine {
    pub fn start() -> OwnEngine {
        let folder = PathBuf::from(setting("ENGINE").unwrap());
        let mut engine = OwnEngine { folder, daemon: None, has_restarted: false };
        engine.restart();
        engine
    }

    /// Waits for the killed daemon to end and starts it again.
    fn restart(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            wait::end(&mut daemon);
        }
        let path = |name: &str| self.folder.join(name).display().to_string();
        fs::write(path("daemon.json"), "{}").unwrap();
        // A killed daemon leaves its PID file behind.
        fs::remove_file(self.pid_file()).ok();
        let log = File::options().create(true).append(true).open(path("log")).unwrap();
        let daemon = Command::new("dockerd")
            .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
            .args(["--config-file", &path("daemon.json"), "--data-root", &path("data")])
            .args(["--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--host", &format!("unix://{}", path("socket"))])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        wait::until("the separate engine answers", || {
            let asked =
                Command::new("docker").args(["version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            asked.unwrap().success()
        });
    }

    /// Runs `work` and restarts the daemon once if it is killed, as a supervisor does. `is_killed`: whether the
    /// daemon has been or is about to be killed.
    pub fn supervised<T: Send>(
        &mut self,
        is_killed: impl Fn() -> bool,
        work: impl FnOnce() -> T + Send,
    ) -> T {
        thread::scope(|scope| {
            let work = scope.spawn(work);
            while !work.is_finished() {
                if is_killed() {
                    self.restart();
                    self.has_restarted = true;
                    break;
                }
                thread::sleep(Duration::from_millis(20));
            }
            work.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Restarts the daemon if it was killed and still is not running, or if it crashed, as it may on a full disk. Then waits until
    /// its containers have restarted too.
    pub fn calm(&mut self, is_killed: bool) {
        let has_ended = self.daemon.as_mut().is_some_and(|daemon| daemon.try_wait().unwrap().is_some());
        if has_ended || is_killed && !self.has_restarted {
            self.restart();
        }
        self.has_restarted = false;
        wait::until("the registry answers", || registry::answers(REGISTRY));
        let any = |filter: &str| !docker(&["ps", "--quiet", "--filter", filter]).is_empty();
        wait::until("the containers have restarted", || !any("health=starting") && !any("status=restarting"));
    }

    pub fn pid_file(&self) -> PathBuf {
        self.folder.join("pid")
    }

    /// Data directory: a fixed-size tmpfs.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the registry that [`outside`] saved and returns its address. It restarts with the daemon.
    pub fn registry(&self) -> String {
        let loaded =
            docker(&["load", "--quiet", "--input", self.folder.join("registry.tar").to_str().unwrap()]);
        let image = loaded.rsplit(' ').next().unwrap();
        let publish = format!("--publish={REGISTRY}:5000");
        docker(&["run", "--detach", "--restart=always", &publish, image]);
        wait::until("the registry answers", || registry::answers(REGISTRY));
        REGISTRY.to_owned()
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        Command::new("sh").args(["-c", "docker rm --force $(docker ps --all --quiet)"]).output().ok();
        let Some(daemon) = &mut self.daemon else { return };
        if daemon.try_wait().unwrap().is_none() {
            signal("TERM", daemon.id());
        }
        daemon.wait().ok();
    }
}
