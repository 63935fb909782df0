//! Small images that run a perl program: this machine's perl and its libraries, imported without a build.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{Folder, docker, repository, told};

/// Exits one second after SIGTERM.
const SLOW: &str = "$SIG{TERM} = sub { select undef, undef, undef, 1; exit }; sleep 1 while 1";

/// A perl program: an HTTP server on port 1001, until SIGTERM. `answer` runs for each request, with its first line in `$request`, and
/// may set `$status`.
pub fn server(answer: &str) -> String {
    let begin = r#"socket S, 2, 1, 6; setsockopt S, 1, 2, 1; bind S, pack "S n a4 x8", 2, 1001, "\0\0\0\0"; listen S, 16;
$SIG{TERM} = sub { exit };
while (accept C, S) {
    $request = <C>;
    while (<C>) { last if /^\r?$/ }
    $status = 200;
"#;
    let end = r#"
    print C "HTTP/1.1 $status X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close C;
}"#;
    format!("{begin}{answer}{end}")
}

/// A checkout with its own Compose project and images; all are removed on drop.
pub struct Tiny {
    pub folder: Folder,
    /// Name of the Compose project and prefix of image names.
    pub name: String,
}

impl Tiny {
    /// Declares `alpha` and `beta`, without images.
    pub fn new(test: &str) -> Tiny {
        let name = format!("xt-{test}-{}", std::process::id());
        Tiny { folder: repository(&name), name }
    }

    /// Imports a new image that runs this perl program and becomes healthy at once. Returns its ID.
    pub fn image(&self, service: &str, program: &str) -> String {
        let check = "HEALTHCHECK --interval=300ms --start-period=5s --start-interval=100ms CMD [\"/usr/bin/perl\", \"-e\", \"exit\"]";
        let cmd = serde_json::json!(["/usr/bin/perl", "-e", program]).to_string();
        let made = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
        let label = format!("LABEL made={} {}", made.trim(), self.label());
        let (cmd, tag) = (format!("CMD {cmd}"), self.tag(service));
        let archive = self.archive().display().to_string();
        docker(&["import", "--change", check, "--change", &cmd, "--change", &label, &archive, &tag])
    }

    fn label(&self) -> String {
        format!("xtask.test={}", self.name)
    }

    /// The tag of a service's image.
    pub fn tag(&self, service: &str) -> String {
        format!("{}-{service}:latest-optimized", self.name)
    }

    /// Imports images of `alpha` and `beta` that exit slowly on SIGTERM.
    pub fn images(&self) -> [String; 2] {
        ["alpha", "beta"].map(|service| self.image(service, SLOW))
    }

    /// Writes a Compose file; `IMAGE-alpha` is replaced with the tag of alpha's image.
    pub fn compose(&self, services: &str) {
        let services = services.lines().map(|line| match line.split_once("IMAGE-") {
            Some((before, service)) => format!("{before}{}\n", self.tag(service)),
            None => format!("{line}\n"),
        });
        let text: String = services.collect();
        self.folder.write("docker-compose.yml", &format!("name: {}\nservices:\n{text}", self.name));
    }

    /// `deploy ARGS…`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("deploy").args(args).arg("--root").arg(&self.folder.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_PULL_POLICY", "COMPOSE_PROFILES"] {
            command.env_remove(name);
        }
        command
    }

    /// Exit code and everything printed.
    pub fn deploy(&self, args: &[&str]) -> (Option<i32>, String) {
        self.told(&self.command(args).output().unwrap())
    }

    pub fn told(&self, output: &Output) -> (Option<i32>, String) {
        (output.status.code(), told(output, &self.folder))
    }

    /// A `deploy` that must succeed.
    pub fn done(&self, args: &[&str]) -> String {
        let (code, text) = self.deploy(args);
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    }

    /// Sorted lines of `docker ps --format`, one per container.
    pub fn containers(&self, format: &str) -> Vec<String> {
        let filter = format!("label=com.docker.compose.project={}", self.name);
        let text = docker(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", format]);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Image ID of a service's container.
    pub fn running(&self, service: &str) -> String {
        docker(&["inspect", "--format", "{{.Image}}", &format!("{}-{service}-1", self.name)])
    }

    fn archive(&self) -> PathBuf {
        let archive = self.folder.0.join("target/perl.tar");
        if !archive.exists() {
            fs::create_dir_all(archive.parent().unwrap()).unwrap();
            perl(&archive);
        }
        archive
    }
}

/// Writes a root file system with this machine's perl and its libraries.
pub fn perl(archive: &Path) {
    programs(archive, &["/usr/bin/perl"]);
}

/// Writes a root file system with programs of this machine and their libraries.
pub fn programs(archive: &Path, programs: &[&str]) {
    let libraries = Command::new("ldd").args(programs).output().unwrap();
    let text = String::from_utf8(libraries.stdout).unwrap();
    // Of several programs, ldd also prints `PROGRAM:`.
    let files = text.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    let files = files.chain(programs.iter().copied()).map(|path| path.trim_start_matches('/'));
    // Each once: the archive must not have a file as a link to itself.
    let files: BTreeSet<&str> = files.collect();
    let status = Command::new("tar").arg("-chf").arg(archive).args(["-C", "/"]).args(files).status();
    assert!(status.unwrap().success() && archive.exists());
}

impl Drop for Tiny {
    fn drop(&mut self) {
        self.command(&["down", "--volumes"]).output().ok();
        // Select by label: replaced images have no tag.
        let filter = format!("label={}", self.label());
        let list = ["image", "ls", "--all", "--quiet", "--filter", &filter];
        let output = Command::new("docker").args(list).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let ids: Vec<&str> = text.lines().collect();
        if !ids.is_empty() {
            Command::new("docker").args(["image", "rm", "--force"]).args(ids).output().ok();
        }
    }
}
