//! Containers with settings, under the constraints of production, in a network of their own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use model::edition::Edition;
use model::manifest::Service;
use model::variant::Variant;

use super::table::ContainerRow;
use crate::support::containers::{docker, image, said};

/// How long a container may take to become what its row says.
const PATIENCE: Duration = Duration::from_secs(300);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A network; removed at the end.
pub struct Network(pub String);

impl Network {
    pub fn create() -> Network {
        let name = unique("xt-settings");
        said(&["network", "create", &name]);
        Network(name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.0]);
    }
}

/// A container; removed at the end, with its volumes and files.
pub struct Container {
    pub id: String,
    pub variant: Variant,
    port: String,
    files: PathBuf,
}

impl Container {
    /// Starts the image of a service with the settings of a row. Its name in the network, and for itself, is `alias`.
    pub fn start(
        service: &Service,
        variant: Variant,
        row: &ContainerRow,
        network: &Network,
        alias: &str,
    ) -> Container {
        let port = row.published.clone().or_else(|| Some(row.set.get("PORT")?.of(variant).to_owned()));
        let port = port.unwrap_or_else(|| service.port.unwrap().to_string());
        let mut args: Vec<String> = [
            "run",
            "--detach",
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            // A busy machine may need long.
            "--health-start-period=300s",
        ]
        .map(str::to_owned)
        .into();
        let ports = row.check.iter().filter_map(|check| check.port.as_ref()).chain([&port]);
        args.extend(ports.collect::<BTreeSet<_>>().iter().map(|port| format!("--publish=127.0.0.1::{port}")));
        args.push(format!("--network={}", network.0));
        args.push(format!("--network-alias={alias}"));
        args.push(format!("--hostname={alias}"));
        args.push(format!("--name={}", unique(&format!("xt-settings-{}", service.name))));
        args.extend(service.run.env.iter().map(|(key, value)| format!("--env={key}={value}")));
        args.extend(service.run.tmpfs.iter().map(|path| format!("--tmpfs={path}")));
        // Volumes without a name go with the container.
        args.extend(service.run.volumes.iter().map(|path| format!("--volume={path}")));
        args.extend(row.set.iter().map(|(name, value)| format!("--env={name}={}", value.of(variant))));
        args.extend(row.options.iter().cloned());
        let files = std::env::temp_dir().join(unique("xt-settings-files"));
        for (index, (path, text)) in row.files.iter().enumerate() {
            fs::create_dir_all(&files).unwrap();
            let file = files.join(index.to_string());
            fs::write(&file, text).unwrap();
            // Readable for the service's user.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            fs::set_permissions(&files, fs::Permissions::from_mode(0o755)).unwrap();
            args.push(format!("--volume={}:{path}:ro", file.display()));
        }
        args.push(image(service, Edition::named("simple"), variant));
        let id = said(&args.iter().map(String::as_str).collect::<Vec<_>>());
        Container { id, variant, port, files }
    }

    /// The published address of a port, or of the service's. Empty if it has ended.
    pub fn address(&self, port: Option<&String>) -> String {
        let output = docker(&["port", &self.id, &format!("{}/tcp", port.unwrap_or(&self.port))]);
        String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
    }

    /// Both streams of its log.
    pub fn log(&self) -> String {
        let output = docker(&["logs", &self.id]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// The threads of its first process.
    pub fn threads(&self) -> usize {
        let text = said(&["top", &self.id, "-o", "pid,nlwp"]);
        text.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    }

    /// Whether it no longer runs.
    pub fn has_ended(&self) -> bool {
        said(&["inspect", "--format", "{{.State.Running}}", &self.id]) == "false"
    }

    /// Waits until docker's own health check says yes. The error has its log.
    pub fn wait_until_healthy(&self) -> Result<(), String> {
        self.wait_for("running 0 healthy")
    }

    /// Waits until it has ended with this exit code. The error has its log.
    pub fn wait_until_refused(&self, code: i32) -> Result<(), String> {
        self.wait_for(&format!("exited {code} "))
    }

    fn wait_for(&self, expected: &str) -> Result<(), String> {
        const STATE: &str = "{{.State.Status}} {{.State.ExitCode}} {{.State.Health.Status}}";
        let started = Instant::now();
        loop {
            let state = said(&["inspect", "--format", STATE, &self.id]);
            if state.starts_with(expected) {
                return Ok(());
            }
            if state != "running 0 starting" || started.elapsed() > PATIENCE {
                let checks = said(&["inspect", "--format", "{{json .State.Health}}", &self.id]);
                return Err(format!("it is {state:?}, expected {expected:?}: {checks}\n{}", self.log()));
            }
            sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.id]);
        let _ = fs::remove_dir_all(&self.files);
    }
}

fn unique(prefix: &str) -> String {
    format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
