//! The command blocks of documents, and a shell that runs them in a temporary checkout.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::containers::{root, said};
use super::{Folder, told};

const BASH: &str = "```bash\n";

/// A document whose command blocks are tested.
pub struct Document {
    path: &'static str,
    /// Whether every section has exactly one block, of bash.
    is_commands_alone: bool,
}

/// The optimization guide's commands.
pub const GUIDE: Document = Document { path: "docs/guide-commands.md", is_commands_alone: true };
/// The README. Blocks in other languages are output, or parts of files.
pub const README: Document = Document { path: "README.md", is_commands_alone: false };
/// Work without a registry, behind a proxy, with a private CA.
pub const NETWORK: Document = Document { path: "docs/network.md", is_commands_alone: false };

/// The commands of a section.
pub struct Block {
    pub heading: String,
    pub text: String,
}

impl Document {
    /// All blocks, in order. Panics if a block is outside of a section: no test would run it.
    pub fn blocks(&self) -> Vec<Block> {
        let text = read(self.path);
        let mut sections = text.split("\n## ");
        let before = sections.next().unwrap();
        let fence = if self.is_commands_alone { "```" } else { BASH };
        assert!(!before.contains(fence), "{}: a block outside of a section", self.path);
        sections.filter_map(|section| self.block_of(section)).collect()
    }

    fn block_of(&self, section: &str) -> Option<Block> {
        let heading = section.lines().next().unwrap().to_owned();
        let place = format!("{}, {heading}", self.path);
        let fences: Vec<&str> = section.split("\n```").collect();
        assert_eq!(fences.len() % 2, 1, "{place}: unclosed block");
        let fenced: Vec<&str> = fences.into_iter().skip(1).step_by(2).collect();
        let mut bash: Vec<&str> = fenced.iter().filter_map(|block| block.strip_prefix("bash\n")).collect();
        assert!(bash.len() <= 1, "{place}: more than one block");
        assert!(
            !self.is_commands_alone || (fenced.len(), bash.len()) == (1, 1),
            "{place}: not exactly one block of bash"
        );
        bash.pop().map(|text| Block { heading, text: text.to_owned() })
    }

    /// The block under this heading.
    pub fn block(&self, heading: &str) -> String {
        let found = self.blocks().into_iter().find(|block| block.heading == heading);
        found.unwrap_or_else(|| panic!("{} has no block under `{heading}`", self.path)).text
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Text of the README and of every page under `docs/`, by path.
fn pages() -> Vec<(String, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = docs.map(|name| format!("docs/{}", name.to_string_lossy()));
    let pages = names.filter(|name| name.ends_with(".md")).chain([README.path.to_owned()]);
    pages.map(|path| (path.clone(), read(&path))).collect()
}

/// Pages with a block of bash that no [`Document`] covers.
pub fn untested_pages() -> Vec<String> {
    let tested = BTreeSet::from([GUIDE, README, NETWORK].map(|document| document.path));
    let with_blocks = pages().into_iter().filter(|(_, text)| text.contains(BASH));
    with_blocks.map(|(path, _)| path).filter(|path| !tested.contains(path.as_str())).collect()
}

/// Every `cargo xtask` command in the README and in `docs/`: its page, and its words after `xtask`.
pub fn commands() -> Vec<(String, Vec<String>)> {
    let mut commands = Vec::new();
    for (path, text) in pages() {
        for line in text.lines() {
            for command in line.split("cargo xtask ").skip(1) {
                // Inline code ends with a backtick; the rest of a line of bash belongs to the shell.
                let end = command.find(['`', '#', '|', ';', ')']).unwrap_or(command.len());
                commands.push((path.clone(), words(&command[..end])));
            }
        }
    }
    commands
}

/// The words of a command; double quotes enclose one word.
fn words(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    let words = parts.flat_map(|(index, part)| match index % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Creates a test for each block of a document, and a list of the headings.
#[macro_export]
macro_rules! cases {
    ($document:ident; $($test:ident: $heading:literal => $case:ident;)*) => {
        const CASES: &[&str] = &[$($heading),*];
        $(
            #[test]
            #[ignore = "needs built images: cargo xtask ci"]
            fn $test() {
                let _turn = $crate::support::turn::take(module_path!());
                $case(&$document.block($heading));
            }
        )*
    };
}

/// A shell in a temporary checkout that contains the repository's scripts.
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
        // `cargo xtask` runs the program under test instead of compiling xtask in each checkout.
        let xtask = env!("CARGO_BIN_EXE_xtask");
        shell.program("cargo", &format!("[ \"$1\" = xtask ] && shift && exec '{xtask}' \"$@\"\nexit 97\n"));
        shell.link_compose();
        shell
    }

    /// Adds a program at the front of the block's PATH.
    pub fn program(&self, name: &str, script: &str) {
        self.checkout.write(&format!("target/bin/{name}"), &format!("#!/bin/sh\n{script}"));
        fs::set_permissions(self.bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// If Compose is only installed as a plugin: the link that docs/guide-commands.md recommends.
    fn link_compose(&self) {
        if found("docker-compose").is_none() {
            let format = "{{range .ClientInfo.Plugins}}{{if eq .Name \"compose\"}}{{.Path}}{{end}}{{end}}";
            symlink(said(&["info", "--format", format]), self.bin.join("docker-compose")).unwrap();
        }
    }

    /// Runs a block and returns its output. Panics with the output if a command fails.
    pub fn run(&self, block: &str) -> String {
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", block]).current_dir(&self.checkout.0).stdin(Stdio::null());
        own_variables(&["SUTRA_", "COMPOSE_", "GIT_"]).iter().for_each(|name| {
            command.env_remove(name);
        });
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        let output = command.env("PATH", path).envs(self.variables.iter().cloned()).output().unwrap();
        let text = told(&output, self.checkout);
        assert_eq!(output.status.code(), Some(0), "{block}\n{text}");
        text
    }
}

/// Environment variables of this process with one of these prefixes. Tests must not depend on them.
pub fn own_variables(starts: &[&str]) -> Vec<String> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    names.filter(|name| starts.iter().any(|start| name.starts_with(start))).collect()
}

/// The path of a program on PATH.
pub fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap();
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|path| path.is_file())
}
