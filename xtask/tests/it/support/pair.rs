//! Two checkouts of one project on one engine, and a docker wrapper that injects faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::second_engine::SecondEngine;
use super::{Folder, repository, told};

/// Two checkouts of one project.
pub struct Pair {
    pub prefix: String,
    pub first: Folder,
    pub second: Folder,
    /// Command prefix that enters the second engine's network namespace; empty for the machine's engine.
    enter: Vec<String>,
    host: Option<String>,
}

impl Pair {
    pub fn new(test: &str) -> Pair {
        let prefix = format!("xt-{test}-{}", std::process::id());
        let checkout = || {
            let folder = repository(&prefix);
            let manifest = folder.read("xtask/images.toml");
            // A separate project name gives separate locks, labels and temporary tags.
            let manifest = manifest.replace("project = \"fixture\"", &format!("project = \"{prefix}\""));
            folder.write("xtask/images.toml", &manifest);
            folder
        };
        let (first, second) = (checkout(), checkout());
        Pair { first, second, prefix, enter: Vec::new(), host: None }
    }

    /// On a second engine, over TCP.
    pub fn on(engine: &SecondEngine, test: &str) -> Pair {
        let enter = ["nsenter", "--net", "--target"].map(str::to_owned).into_iter();
        let mut pair = Pair::new(test);
        pair.enter = enter.chain([engine.daemon.id().to_string()]).collect();
        pair.host = Some(SecondEngine::TCP.to_owned());
        pair
    }

    /// Sets the content of both images of a checkout.
    pub fn content(&self, checkout: &Folder, name: &str) {
        for image in ["alpha", "beta"] {
            let dockerfile = format!("FROM scratch\nLABEL content=\"{name}\"\nCOPY {image}/hello /hello\n");
            checkout.write(&format!("{image}/Dockerfile.optimized"), &dockerfile);
            checkout.write(&format!("{image}/hello"), &format!("{} {image} {name}", self.prefix));
        }
    }

    pub fn command(&self, checkout: &Folder, args: &[&str]) -> Command {
        self.command_under(&[], checkout, args)
    }

    /// xtask in a checkout, started by the program `under`.
    pub fn command_under(&self, under: &[&str], checkout: &Folder, args: &[&str]) -> Command {
        let under = under.iter().map(|word| (*word).to_owned());
        let xtask = env!("CARGO_BIN_EXE_xtask").to_owned();
        let mut words = self.enter.iter().cloned().chain(under).chain([xtask]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args).arg("--root").arg(&checkout.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_REGISTRY"] {
            command.env_remove(name);
        }
        command.envs(self.host.as_ref().map(|host| ("DOCKER_HOST", host)));
        command
    }

    /// Builds images and returns the output.
    #[track_caller]
    pub fn build(&self, checkout: &Folder, args: &[&str]) -> String {
        let output = self.command(checkout, &[&["build-images"], args].concat()).output().unwrap();
        let text = told(&output, checkout);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    }

    /// Runs a build that its docker kills.
    #[track_caller]
    pub fn killed(&self, checkout: &Folder, wrapper: &Wrapper) {
        let mut command = self.command(checkout, &["build-images"]);
        // Discard the output: children may outlive the killed run and keep a pipe open.
        let status = command.env("PATH", wrapper.path()).stdout(std::process::Stdio::null());
        let status = status.stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), None, "it was not killed");
    }

    pub fn docker(&self, args: &[&str]) -> String {
        let mut words = self.enter.iter().map(String::as_str).chain(["docker"]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args).envs(self.host.as_ref().map(|host| ("DOCKER_HOST", host)));
        let output = command.output().unwrap();
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// IDs of the project's images.
    pub fn images(&self) -> BTreeSet<String> {
        let label = format!("label={}.images.variant", self.prefix);
        let text = self.docker(&["image", "ls", "--quiet", "--no-trunc", "--filter", &label]);
        text.lines().map(str::to_owned).collect()
    }

    fn tags(&self) -> Vec<String> {
        let label = format!("label={}.images.variant", self.prefix);
        let format = "{{.Repository}}:{{.Tag}} {{.ID}}";
        let text = self.docker(&["image", "ls", "--format", format, "--filter", &label]);
        text.lines().map(str::to_owned).collect()
    }

    /// Content of each `latest` tag.
    pub fn published(&self) -> BTreeMap<String, String> {
        let tags = self.tags();
        let tags = tags.iter().filter(|tag| tag.contains(":latest"));
        let tags = tags.filter_map(|line| line.split_once(' ')).map(|(tag, _)| tag);
        let format = ["image", "inspect", "--format", "{{.Config.Labels.content}}"];
        tags.map(|tag| (tag.to_owned(), self.docker(&[&format, &[tag][..]].concat()))).collect()
    }

    /// Contents of all `latest` tags: more than one if they are mixed.
    pub fn contents(&self) -> BTreeSet<String> {
        let published = self.published();
        assert_eq!(published.len(), 4, "{published:?}");
        published.into_values().collect()
    }

    pub fn locks(&self) -> Vec<String> {
        let name = format!("name={}-images-", self.prefix);
        let text = self.docker(&["ps", "--all", "--format", "{{.Names}}", "--filter", &name]);
        text.lines().map(str::to_owned).collect()
    }

    /// Things that must not exist while no run is active: temporary tags, untagged images, locks.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = self.tags();
        left.retain(|line| line.contains(":run-") || line.contains("<none>"));
        left.extend(self.locks());
        left
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // A second engine is removed with its data.
        if self.host.is_some() {
            return;
        }
        for (kind, ids) in [("container", self.locks()), ("image", self.images().into_iter().collect())] {
            if !ids.is_empty() {
                Command::new("docker").args([kind, "rm", "--force"]).args(ids).output().ok();
            }
        }
    }
}

/// A docker wrapper on PATH that counts matching calls and runs a script before one of them.
pub struct Wrapper {
    pub folder: Folder,
}

impl Wrapper {
    /// Runs `script` before the `at`th call (from 1; 0: never) that matches the shell pattern. `$real` is the real docker.
    pub fn new(pattern: &str, at: usize, script: &str) -> Wrapper {
        let real = Command::new("sh").args(["-c", "command -v docker"]).output().unwrap();
        let (folder, real) = (Folder::new(), String::from_utf8(real.stdout).unwrap());
        let text = format!(
            "#!/bin/sh\nreal={}\ncase \"$*\" in {pattern}) ;; *) exec $real \"$@\" ;; esac\n\
             echo \"$*\" >> {calls}\nif [ $(wc -l < {calls}) -eq {at} ]; then\n{script}\nfi\nexec $real \"$@\"\n",
            real.trim(),
            calls = folder.0.join("calls").display()
        );
        folder.write("docker", &text);
        fs::set_permissions(folder.0.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        Wrapper { folder }
    }

    pub fn path(&self) -> String {
        format!("{}:{}", self.folder.0.display(), std::env::var("PATH").unwrap())
    }

    pub fn calls(&self) -> usize {
        self.folder.read("calls").lines().count()
    }
}
