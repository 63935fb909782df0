//! The stack of the repository's own Compose file, beside any other: own checkout, own project, own ports, own `.env`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use super::containers::{root, said};
use super::{Folder, told};

/// A checkout of its own with this repository's manifest and Compose file; its stack goes when the test ends.
pub struct Stack {
    pub folder: Folder,
    pub project: String,
}

impl Stack {
    /// Not raised yet.
    pub fn new(test: &str) -> Stack {
        let folder = Folder::new();
        folder.write("xtask/images.toml", &fs::read_to_string(root().join("xtask/images.toml")).unwrap());
        folder.write("docker-compose.yml", &fs::read_to_string(root().join("docker-compose.yml")).unwrap());
        // Copy the sources of the images, so that they have the same hashes. Contexts do not follow symlinked folders.
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--"])
            .args([
                "packages",
                "Cargo.toml",
                "Cargo.lock",
                "LICENSE",
                "xtask/Cargo.toml",
                "xtask/crates/*/Cargo.toml",
            ])
            .current_dir(root())
            .output()
            .unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        for name in listed.split_terminator('\0') {
            let (from, to) = (root().join(name), folder.0.join(name));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            match fs::read_link(&from) {
                Ok(target) => symlink(target, to).unwrap(),
                Err(_) => drop(fs::copy(from, to).unwrap()),
            }
        }
        Stack { folder, project: format!("xt-{test}-{}", std::process::id()) }
    }

    /// `deploy ARGS…` for it.
    pub fn deploy(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut all = vec!["deploy"];
        all.extend(args);
        self.command(&all).envs(variables.iter().copied()).output().unwrap()
    }

    /// xtask for it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = crate::support::program();
        command.args(args).arg("--root").arg(&self.folder.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_PULL_POLICY"] {
            command.env_remove(name);
        }
        command.env("COMPOSE_PROJECT_NAME", &self.project);
        // Any free port: what is published is not asked for here.
        let compose = self.folder.read("docker-compose.yml");
        for name in compose.split("${").filter_map(|rest| rest.split_once(":-")).map(|(name, _)| name) {
            if name.ends_with("_PORT") {
                command.env(name, "0");
            }
        }
        command
    }

    /// docker with what `command` is given.
    pub fn docker(&self, args: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        for (name, value) in self.command(&[]).get_envs() {
            match value {
                Some(value) => docker.env(name, value),
                None => docker.env_remove(name),
            };
        }
        docker.args(args).current_dir(&self.folder.0).output().unwrap()
    }

    /// The container of a service, running or not.
    pub fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        said(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &project, "--filter", &service])
    }

    /// What a `deploy` that must succeed said.
    pub fn done(&self, args: &[&str]) -> String {
        let output = self.deploy(args, &[]);
        let text = told(&output, &self.folder);
        assert!(output.status.success(), "{text}");
        text
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.deploy(&["down", "--volumes"], &[]);
    }
}
