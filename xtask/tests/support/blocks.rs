//! The command blocks of docs/guide-commands.md, and a shell that runs them in a checkout of a test's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::containers::{root, said};
use super::{Folder, told};

/// A section's heading and the block in it.
pub struct Block {
    pub heading: String,
    pub text: String,
}

/// Every block, in order. What is fenced and no bash, or stands in no section of its own, fails the test: nobody would run it.
pub fn blocks() -> Vec<Block> {
    let text = fs::read_to_string(root().join("docs/guide-commands.md")).unwrap();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let heading = section.lines().next().unwrap().to_owned();
        let parts: Vec<&str> = section.split("```").collect();
        assert_eq!(parts.len(), 3, "{heading}: one block a section");
        let text =
            parts[1].strip_prefix("bash\n").unwrap_or_else(|| panic!("{heading}: its block is no bash"));
        Block { heading, text: text.to_owned() }
    });
    let blocks: Vec<Block> = sections.collect();
    assert_eq!(text.matches("```").count(), 2 * blocks.len(), "a block stands in no section");
    blocks
}

/// The block under a heading.
pub fn block(heading: &str) -> String {
    let found = blocks().into_iter().find(|block| block.heading == heading);
    found.unwrap_or_else(|| panic!("docs/guide-commands.md has no section `{heading}`")).text
}

/// Where blocks are run: a checkout with the repository's own scripts.
pub struct Shell<'a> {
    checkout: &'a Folder,
    bin: PathBuf,
    variables: Vec<(String, String)>,
}

impl<'a> Shell<'a> {
    pub fn new(checkout: &'a Folder, variables: Vec<(String, String)>) -> Shell<'a> {
        let shell = Shell { checkout, bin: checkout.0.join("target/bin"), variables };
        for script in ["scripts/optimize-images.sh", "scripts/smoke-test-embeddings.sh", "sutra-deploy.sh"] {
            checkout.write(script, "");
            fs::copy(root().join(script), checkout.0.join(script)).unwrap();
        }
        // The alias `cargo xtask`, without compiling xtask anew for each checkout: the program under test is there already.
        let xtask = env!("CARGO_BIN_EXE_xtask");
        shell.program("cargo", &format!("[ \"$1\" = xtask ] && shift && exec '{xtask}' \"$@\"\nexit 97\n"));
        shell.link_compose();
        shell
    }

    /// A program that the block finds before others of that name.
    pub fn program(&self, name: &str, script: &str) {
        self.checkout.write(&format!("target/bin/{name}"), &format!("#!/bin/sh\n{script}"));
        fs::set_permissions(self.bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Where Compose came as a plugin alone, the link that docs/guide-commands.md asks people for.
    fn link_compose(&self) {
        if found("docker-compose").is_none() {
            let format = "{{range .ClientInfo.Plugins}}{{if eq .Name \"compose\"}}{{.Path}}{{end}}{{end}}";
            symlink(said(&["info", "--format", format]), self.bin.join("docker-compose")).unwrap();
        }
    }

    /// Runs a block, and fails the test with all that was printed where a command fails.
    pub fn run(&self, block: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", block]).current_dir(&self.checkout.0).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("SUTRA_") || name.starts_with("COMPOSE_") {
                command.env_remove(name);
            }
        }
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        let output = command.env("PATH", path).envs(self.variables.iter().cloned()).output().unwrap();
        let text = told(&output, self.checkout);
        assert_eq!(output.status.code(), Some(0), "{block}\n{text}");
        text
    }
}

/// Where a program stands on this machine's PATH.
pub fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap();
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|path| path.is_file())
}
