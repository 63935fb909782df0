//! Two engines that form a swarm, each in a separate network namespace, and a registry that both can reach.
//!
//! Without ip_vs in the kernel, virtual IPs and the routing mesh do not work, but overlay networks with `endpoint_mode: dnsrr` do.
//! All processes end with the thread that started them, even if the test is killed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::registry::Registry;
use super::{Folder, docker, wait};

/// The engines' addresses, in the network reserved for benchmarks (RFC 2544).
const ADDRESSES: [&str; 2] = ["198.19.77.1", "198.19.77.2"];
/// Their host names.
pub const NODES: [&str; 2] = ["node-one", "node-two"];

/// The registry of the pushed images.
pub const REGISTRY: &str = "198.19.77.1:5000";

/// Two engines; after [`Swarm::join`], the first manages the swarm.
pub struct Swarm {
    pub folder: Folder,
    engines: Vec<Child>,
    registry: Option<Child>,
    /// The parent of all containers' control groups.
    group: String,
}

impl Swarm {
    /// Starts the engines, without a swarm.
    pub fn start() -> Swarm {
        let (folder, group) = (Folder::new(), format!("/xt-swarm-{}", std::process::id()));
        let mut swarm = Swarm { folder, engines: Vec::new(), registry: None, group };
        // Added before dockerd starts, so that a failure removes the first engine.
        for index in 0..2 {
            let engine = swarm.engine(index);
            swarm.engines.push(engine);
        }
        swarm.connect();
        for index in 0..2 {
            writeln!(swarm.engines[index].stdin.take().unwrap(), "go").unwrap();
        }
        for index in 0..2 {
            wait::until("an engine answers", || {
                swarm.try_docker(index, &["version"]).status().unwrap().success()
            });
        }
        swarm
    }

    /// An engine that waits for a line on its standard input, so that its network can be set up first.
    fn engine(&self, index: usize) -> Child {
        let path = |name: &str| self.folder.0.join(format!("{index}/{name}")).display().to_string();
        let configuration = serde_json::json!({
            "hosts": [self.host(index)], "data-root": path("data"), "exec-root": path("exec"), "pidfile": path("pid"),
            "cgroup-parent": self.group, "insecure-registries": [REGISTRY],
        });
        self.folder.write(&format!("{index}/daemon.json"), &configuration.to_string());
        let log = File::create(path("log")).unwrap();
        // Hides the host's containerd and plugins.
        let script = "read go; hostname \"$0\"; ip link set lo up; ip link set eth0 up; ip address add \"$1\" dev eth0; \
                      for folder in /run/containerd /run/docker; do mkdir -p $folder; mount -t tmpfs tmpfs $folder; done; \
                      exec dockerd --config-file \"$2\"";
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--net",
            "--uts",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ]);
        command.args(["--mount-proc", "sh", "-c", script, NODES[index], &format!("{}/24", ADDRESSES[index])]);
        command.arg(path("daemon.json")).env("PATH", path_with_sbin());
        command.stdin(Stdio::piped()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    /// Connects the namespaces with a veth pair, which is deleted with them.
    fn connect(&self) {
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let pids: Vec<String> = self.engines.iter().map(|engine| engine.id().to_string()).collect();
        for pid in &pids {
            let namespace = format!("/proc/{pid}/ns/net");
            wait::until("an engine has its own network", || {
                fs::read_link(&namespace).is_ok_and(|found| found != own)
            });
        }
        let status = Command::new("ip")
            .args([
                "link", "add", "eth0", "netns", &pids[0], "type", "veth", "peer", "name", "eth0", "netns",
                &pids[1],
            ])
            .env("PATH", path_with_sbin())
            .status();
        assert!(status.unwrap().success(), "cannot connect the engines");
    }

    /// Makes the first engine a manager, and the second a worker. A lost node is detected within seconds.
    pub fn join(&self) {
        self.docker(0, &["swarm", "init", "--advertise-addr", ADDRESSES[0], "--dispatcher-heartbeat", "1s"]);
        let token = self.docker(0, &["swarm", "join-token", "--quiet", "worker"]);
        let manager = format!("{}:2377", ADDRESSES[0]);
        self.docker(1, &["swarm", "join", "--advertise-addr", ADDRESSES[1], "--token", &token, &manager]);
    }

    /// Starts Debian's registry beside the first engine.
    pub fn registry(&mut self) {
        let program = self.folder.0.join("docker-registry");
        let made = Registry::start("swarm");
        docker(&["cp", &format!("{}:/usr/bin/docker-registry", made.id), &program.display().to_string()]);
        let data = self.folder.0.join("registry");
        self.folder.write(
            "registry.yml",
            &format!(
                "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \":5000\"}}\n",
                data.display()
            ),
        );
        let log = File::create(self.folder.0.join("registry.log")).unwrap();
        let configuration = self.folder.0.join("registry.yml");
        let mut command = self.beside(&program);
        command.arg("serve").arg(configuration).stdout(log.try_clone().unwrap()).stderr(log);
        self.registry = Some(command.spawn().unwrap());
        wait::until("the registry listens", || self.folder.read("registry.log").contains("listening on"));
    }

    /// A command that runs in the first engine's network and uses that engine.
    pub fn beside(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "nsenter",
            &format!("--net=/proc/{}/ns/net", self.engines[0].id()),
        ]);
        command.arg(program.as_ref()).env("DOCKER_HOST", self.host(0));
        command
    }

    fn host(&self, index: usize) -> String {
        format!("unix://{}", self.folder.0.join(format!("{index}.sock")).display())
    }

    fn try_docker(&self, index: usize, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", self.host(index));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs docker with one of the engines; it must succeed.
    pub fn docker(&self, index: usize, args: &[&str]) -> String {
        let output = Command::new("docker").args(args).env("DOCKER_HOST", self.host(index)).output().unwrap();
        let log = || self.folder.read(&format!("{index}/log"));
        assert!(
            output.status.success(),
            "docker {args:?}: {}\n{}",
            String::from_utf8_lossy(&output.stderr),
            log()
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Kills an engine and its containers, like a power cut.
    pub fn kill(&mut self, index: usize) {
        super::signal("KILL", self.engines[index].id());
        self.engines[index].wait().unwrap();
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        for child in self.engines.iter_mut().chain(&mut self.registry) {
            // It may have exited already.
            child.kill().ok();
            child.wait().ok();
        }
        // The kernel kills the processes and unmounts their file systems shortly after the namespace ends.
        let groups = control_groups(&self.group);
        for _ in 0..50 {
            groups.iter().for_each(|group| remove_groups(group));
            let is_clean =
                fs::remove_dir_all(&self.folder.0).is_ok() && !groups.iter().any(|group| group.exists());
            if is_clean {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// A control group in each hierarchy.
fn control_groups(name: &str) -> Vec<PathBuf> {
    let (root, name) = (Path::new("/sys/fs/cgroup"), name.trim_start_matches('/'));
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    hierarchies.chain([root.to_owned()]).map(|hierarchy| hierarchy.join(name)).collect()
}

/// Removes empty control groups, innermost first.
fn remove_groups(group: &Path) {
    for inner in fs::read_dir(group).into_iter().flatten().flatten() {
        if inner.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&inner.path());
        }
    }
    fs::remove_dir(group).ok();
}

fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}
