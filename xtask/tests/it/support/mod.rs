//! What the tests of the command line share: a small repository, a docker that replays transcripts, and running xtask.

#[macro_use]
pub mod blocks;
pub mod busybox;
pub mod containers;
pub mod elf;
pub mod fixture;
pub mod images;
pub mod load;
pub mod oci;
pub mod outside;
pub mod pair;
pub mod planted;
pub mod registry;
pub mod report;
pub mod saved;
pub mod second_engine;
pub mod service;
pub mod stack;
pub mod swarm;
pub mod tiny;
pub mod trust;
pub mod turn;
pub mod wait;
pub mod workflows;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use model::edition::Edition;

/// The editions of Sutra's manifest and of every manifest of schema 1.
pub fn editions() -> [Edition; 3] {
    ["simple", "community", "enterprise"].map(Edition::named)
}

/// A folder that goes when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("xtask-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A repository of two services on one upstream image. `prefix` keeps images of one test apart from another's.
pub fn repository(prefix: &str) -> Folder {
    let folder = Folder::new();
    let service = |name: &str, port: u16| {
        format!(
            "[service.{name}]\nimage = \"{prefix}-{name}\"\ncompose = \"{name}\"\nport = {port}\n\
             dockerfile = \"{name}/Dockerfile\"\noptimized = \"{name}/Dockerfile.optimized\"\n\
             [service.{name}.sizes]\nsimple = {{ original = \"100MB\", target = \"50MB\", goal = \"10MB\" }}\n"
        )
    };
    folder.write(
        "xtask/images.toml",
        &format!(
            "schema = 2\nproject = \"fixture\"\nversion = \"0.1.0\"\nsource-date-epoch = 1767225600\n\
             editions = [\"simple\", \"community\", \"enterprise\"]\nenv-prefix = \"SUTRA_\"\ncompose = []\n\
             [upstream.debian]\nreference = \"debian:trixie-slim\"\nstand-in = {{ bootstrap = \"trixie\" }}\n\
             {}{}",
            service("alpha", 1001),
            service("beta", 1002)
        ),
    );
    for name in ["alpha", "beta"] {
        folder.write(&format!("{name}/hello"), name);
        let optimized = format!("FROM scratch\nCOPY {name}/hello /hello\n");
        folder.write(&format!("{name}/Dockerfile.optimized"), &optimized);
        folder.write(&format!("{name}/Dockerfile"), "FROM debian:trixie-slim\nRUN echo fat > /fat\n");
        // The state of the tool itself must not change what a build sees.
        for file in ["Dockerfile", "Dockerfile.optimized"] {
            folder.write(&format!("{name}/{file}.dockerignore"), &format!("*\n!{name}/hello\n"));
        }
    }
    folder
}

/// A repository that has already chosen stand-ins and bootstrapped them.
pub fn on_stand_ins() -> Folder {
    let repository = repository("fx");
    repository.write("target/xtask/bootstrap/trixie/rootfs.tar", "");
    repository.write(
        "target/xtask/bases.json",
        r#"{"source": "stand-in", "reason": "the test says so", "decided": 4000000000,
            "references": ["debian:trixie-slim"], "asked": "||"}"#,
    );
    repository
}

/// A docker that answers from transcripts: the first whose pattern fits the command line.
pub struct FakeDocker {
    pub folder: Folder,
    count: u32,
}

impl FakeDocker {
    /// With no transcript at all: every call fails aloud.
    pub fn new() -> FakeDocker {
        let fake = FakeDocker { folder: Folder::new(), count: 0 };
        fake.folder.write(
            "bin/docker",
            "#!/bin/sh\n\
             echo \"$*\" >> \"$FAKE_DOCKER/calls\"\n\
             for args in \"$FAKE_DOCKER\"/*.args; do\n\
             \tpattern=$(cat \"$args\")\n\
             \tcase \"$*\" in $pattern)\n\
             \t\tanswer=${args%.args}\n\
             \t\tcat \"$answer.err\" >&2; cat \"$answer.out\"\n\
             \t\texit \"$(cat \"$answer.exit\")\" ;;\n\
             \tesac\n\
             done\n\
             echo \"no transcript for: $*\" >&2\n\
             exit 97\n",
        );
        fs::set_permissions(fake.folder.0.join("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
        tools(&fake.folder.0.join("bin"));
        fake
    }

    /// Answers command lines that fit a shell pattern.
    pub fn on(mut self, pattern: &str, exit: i32, stdout: &str, stderr: &str) -> FakeDocker {
        self.count += 1;
        let name = format!("{:02}", self.count);
        self.folder.write(&format!("{name}.args"), pattern);
        self.folder.write(&format!("{name}.out"), stdout);
        self.folder.write(&format!("{name}.err"), stderr);
        self.folder.write(&format!("{name}.exit"), &exit.to_string());
        self
    }

    /// The same with bytes that are no text.
    pub fn on_bytes(self, pattern: &str, stdout: &[u8]) -> FakeDocker {
        let fake = self.on(pattern, 0, "", "");
        fs::write(fake.folder.0.join(format!("{:02}.out", fake.count)), stdout).unwrap();
        fake
    }

    /// A daemon that holds an image made in memory.
    pub fn holds(self, image: &saved::Saved, layout: saved::Layout) -> FakeDocker {
        let inspected = serde_json::json!([image.inspect()]).to_string();
        self.on(&format!("image inspect -- {}", image.name), 0, &inspected, "")
            .on(&format!("history*{}", image.id()), 0, &image.history(), "")
            .on_bytes(&format!("save {}", image.id()), &image.save(layout))
    }

    /// On a machine with git.
    pub fn with_git(self) -> FakeDocker {
        let path = std::env::var_os("PATH").unwrap();
        let mut files = std::env::split_paths(&path).map(|dir| dir.join("git"));
        let real = files.find(|path| path.is_file()).expect("no git on PATH");
        symlink(real, self.folder.0.join("bin/git")).unwrap();
        self
    }

    /// A daemon that answers, without any other run.
    pub fn alive(self) -> FakeDocker {
        self.unlocked()
            .on("version --format*", 0, "26.1.5\n", "")
            .on("info --format {{.SystemTime}}", 0, "2026-01-01T00:01:00Z\n", "")
            .on("info --format {{json .DriverStatus}}", 0, "[[\"Backing Filesystem\",\"extfs\"]]\n", "")
    }

    /// A daemon without the optimized images that a build asks for first.
    pub fn nothing_built(self) -> FakeDocker {
        self.on("image inspect -- *-optimized *:latest-optimized*", 1, "[]\n", "Error: No such image: x\n")
    }

    /// A daemon with a free tag lock.
    pub fn unlocked(self) -> FakeDocker {
        self.on(
            "container inspect -- *-images-lock",
            1,
            "[]\n",
            "Error response from daemon: No such container: x\n",
        )
        .on("create *-images-lock *", 0, "lock-id\n", "")
        .on("rm lock-id", 0, "lock-id\n", "")
        .on("image ls *label=*.images.variant", 0, "", "")
    }

    /// The command lines so far.
    pub fn calls(&self) -> Vec<String> {
        self.folder.read("calls").lines().map(str::to_owned).collect()
    }

    /// Runs xtask with this docker.
    pub fn command(&self, repository: &Folder, args: &[&str]) -> Command {
        let mut command = xtask(&self.folder.0.join("bin"), repository, args);
        command.env("FAKE_DOCKER", &self.folder.0);
        command
    }

    /// Runs xtask with this docker.
    pub fn run(&self, repository: &Folder, args: &[&str]) -> Output {
        self.command(repository, args).output().unwrap()
    }
}

/// The few programs that a run without a real engine may use.
fn tools(bin: &Path) {
    fs::create_dir_all(bin).unwrap();
    for tool in ["sh", "cat", "id", "df", "setpriv"] {
        let real = ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(tool));
        let real = real.iter().find(|path| path.exists()).unwrap();
        symlink(real, bin.join(tool)).ok();
    }
}

/// A machine with neither docker nor anything to install it with.
pub fn bare_machine() -> Folder {
    let folder = Folder::new();
    tools(&folder.0);
    folder
}

/// xtask with the default SIGHUP handling, even if the tests run under `nohup`, whose ignored signal children inherit. A campaign
/// may run a build with a planted fault instead.
pub fn program() -> Command {
    let planted = std::env::var_os("XTASK_CAMPAIGN_PROGRAM");
    let mut command = Command::new("/usr/bin/env");
    command.arg("--default-signal=HUP").arg(planted.unwrap_or_else(|| env!("CARGO_BIN_EXE_xtask").into()));
    command
}

/// xtask as a process, with nothing of this machine's environment but what is given.
pub fn xtask(path: &Path, repository: &Folder, args: &[&str]) -> Command {
    let mut command = program();
    command.args(args).arg("--root").arg(&repository.0).env_clear().env("PATH", path);
    command
}

/// Exit status, stdout and stderr as one text, with what differs between runs replaced by names.
pub fn told(output: &Output, repository: &Folder) -> String {
    let text =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&repository.0.display().to_string(), "[ROOT]");
    format!(
        "exit: {}\n----- stdout -----\n{}----- stderr -----\n{}",
        output.status.code().map_or("signal".to_owned(), |code| code.to_string()),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// Snapshots a run under a name, with run names and durations filtered.
#[macro_export]
macro_rules! snapshot {
    ($name:expr, $output:expr, $repository:expr) => {
        insta::with_settings!({
            filters => vec![
                (r"run(-[0-9a-f]+){5}", "[RUN]"),
                (r"\d+\.\d s", "[TIME]"),
            ],
            omit_expression => true,
            prepend_module_to_snapshot => false,
        }, {
            insta::assert_snapshot!($name, $crate::support::told(&$output, &$repository));
        })
    };
}

/// The real docker, told to print English.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().unwrap();
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What the project's own run found and made of upstream images, for a checkout that builds on them.
pub fn share_bases(folder: &Folder) {
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/xtask");
    folder.write("target/xtask/keep", "");
    for name in ["bases.json", "bootstrap/trixie/rootfs.tar"] {
        let there = folder.0.join("target/xtask").join(name);
        fs::create_dir_all(there.parent().unwrap()).unwrap();
        if state.join(name).is_file() {
            fs::hard_link(state.join(name), &there)
                .or_else(|_| fs::copy(state.join(name), &there).map(drop))
                .unwrap();
        }
    }
}

/// A repository of its own image names, which builds on what the project's own run found and made.
pub struct Site {
    pub folder: Folder,
    pub prefix: String,
}

impl Site {
    pub fn new(test: &str) -> Site {
        let prefix = format!("xt-{test}-{}", std::process::id());
        let folder = repository(&prefix);
        share_bases(&folder);
        Site { folder, prefix }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.args(args).arg("--root").arg(&self.folder.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_REGISTRY"] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn told(&self, output: &Output) -> String {
        told(output, &self.folder)
    }

    /// Tags of this site with the images that they stand on, sorted.
    pub fn tags(&self) -> Vec<(String, String)> {
        let filter = format!("reference={}-*", self.prefix);
        let text = docker(&[
            "image",
            "ls",
            "--no-trunc",
            "--format",
            "{{.Repository}}:{{.Tag}} {{.ID}}",
            "--filter",
            &filter,
        ]);
        let mut tags: Vec<(String, String)> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(tag, id)| (tag.to_owned(), id.to_owned()))
            .collect();
        tags.sort();
        tags
    }

    pub fn tag_names(&self) -> Vec<String> {
        self.tags().into_iter().map(|(tag, _)| tag.replace(&self.prefix, "P")).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A killed push leaves tags with a registry's name. After a tag moves, the old image keeps its digest reference.
        let filters = ["", "*/", "*/*/"].map(|path| format!("--filter=reference={path}{}-*", self.prefix));
        let output = Command::new("docker")
            .args(["image", "ls", "--digests", "--format"])
            .arg("{{.Repository}}{{if ne .Tag \"<none>\"}}:{{.Tag}}{{else}}@{{.Digest}}{{end}}")
            .args(filters)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let tags: Vec<&str> = text.lines().filter(|tag| !tag.contains("<none>")).collect();
        if !tags.is_empty() {
            Command::new("docker").args(["image", "rm", "--force"]).args(&tags).output().ok();
        }
    }
}

/// Sends a signal with the shell's own `kill`: the program of that name is not on every machine.
pub fn signal(name: &str, process: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap();
    assert!(status.success(), "no signal to {process}");
}
