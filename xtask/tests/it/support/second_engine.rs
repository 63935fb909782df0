//! A second engine beside the machine's own.

use std::process::{Child, Command, Stdio};

use super::Folder;

/// A daemon on the containerd store, with its own data and no network.
pub struct SecondEngine {
    pub daemon: Child,
    pub folder: Folder,
}

impl SecondEngine {
    /// TCP address in its network namespace.
    pub const TCP: &'static str = "tcp://127.0.0.1:2375";

    pub fn start() -> SecondEngine {
        SecondEngine::on(Folder::new(), true)
    }

    /// Starts an engine with `megabytes` of space for its data, on either image store.
    pub fn small(megabytes: u32, containerd: bool) -> SecondEngine {
        let folder = Folder::new();
        let data = folder.0.join("data");
        std::fs::create_dir(&data).unwrap();
        let size = format!("size={megabytes}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&data).status().unwrap();
        assert!(mount.success(), "cannot mount a tmpfs of {megabytes} MB");
        SecondEngine::on(folder, containerd)
    }

    fn on(folder: Folder, containerd: bool) -> SecondEngine {
        folder
            .write("daemon.json", &format!(r#"{{"features": {{"containerd-snapshotter": {containerd}}}}}"#));
        let daemon = daemon(&folder);
        let mut engine = SecondEngine { daemon, folder };
        engine.wait();
        engine
    }

    fn wait(&mut self) {
        while !self.docker(&["version"]).output().unwrap().status.success() {
            assert!(
                self.daemon.try_wait().unwrap().is_none(),
                "no second engine:\n{}",
                self.folder.read("log")
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// Kills the daemon.
    pub fn kill(&mut self) {
        super::signal("KILL", self.daemon.id());
        self.daemon.wait().unwrap();
    }

    /// Restarts the daemon on the same data.
    pub fn restart(&mut self) {
        std::fs::remove_file(self.folder.0.join("pid")).ok();
        self.daemon = daemon(&self.folder);
        self.wait();
    }

    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.0.join("socket").display())
    }

    pub fn docker(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", self.host());
        command
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        if self.daemon.try_wait().unwrap().is_none() {
            super::signal("TERM", self.daemon.id());
            self.daemon.wait().ok();
        }
        // Fails if the data is in an ordinary folder.
        Command::new("umount").arg(self.folder.0.join("data")).stderr(Stdio::null()).status().ok();
    }
}

fn daemon(folder: &Folder) -> Child {
    let path = |name: &str| folder.0.join(name).display().to_string();
    let log = std::fs::File::create(folder.0.join("log")).unwrap();
    // In a new network namespace, because a second daemon would take over the first one's bridge.
    Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "sh"])
        .args(["--host", SecondEngine::TCP, "--tls=false"])
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap()))
        .args([
            "--config-file",
            &path("daemon.json"),
            "--data-root",
            &path("data"),
            "--exec-root",
            &path("exec"),
        ])
        .args(["--pidfile", &path("pid"), "--host", &format!("unix://{}", path("socket"))])
        .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}
