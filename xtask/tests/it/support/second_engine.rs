//! A second engine beside the machine's own.

use std::process::{Child, Command, Stdio};

use super::Folder;

/// A daemon on the containerd store, with its own data and no network.
pub struct SecondEngine {
    pub daemon: Child,
    pub folder: Folder,
}

impl SecondEngine {
    /// Where [`SecondEngine::on_tcp`] listens, in its network namespace.
    pub const TCP: &'static str = "tcp://127.0.0.1:2375";

    pub fn start() -> SecondEngine {
        SecondEngine::listening(&[])
    }

    /// The same, but it also listens on TCP.
    pub fn on_tcp() -> SecondEngine {
        SecondEngine::listening(&["--host", SecondEngine::TCP, "--tls=false"])
    }

    fn listening(more: &[&str]) -> SecondEngine {
        let folder = Folder::new();
        folder.write("daemon.json", r#"{"features": {"containerd-snapshotter": true}}"#);
        let path = |name: &str| folder.0.join(name).display().to_string();
        let log = std::fs::File::create(folder.0.join("log")).unwrap();
        // A network namespace of its own: a second daemon would take the first one's bridge away.
        let daemon = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up; exec dockerd \"$@\"", "sh"])
            .args(more)
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
            .unwrap();
        let mut engine = SecondEngine { daemon, folder };
        while !engine.docker(&["version"]).output().unwrap().status.success() {
            assert!(
                engine.daemon.try_wait().unwrap().is_none(),
                "no second engine:\n{}",
                engine.folder.read("log")
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        engine
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
        super::signal("TERM", self.daemon.id());
        self.daemon.wait().ok();
    }
}
