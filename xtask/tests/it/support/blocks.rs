//! The command blocks of documents, and a shell that runs them in a checkout of a test's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::containers::{root, said};
use super::{Folder, told};

/// A document whose blocks tests run.
pub struct Document {
    path: &'static str,
    /// Whether each section is there for a block, and nothing else may be fenced.
    is_commands_alone: bool,
}

/// The optimization guide's commands.
pub const GUIDE: Document = Document { path: "docs/guide-commands.md", is_commands_alone: true };
/// What a reader sees first. What is fenced there and no bash is output, or a part of a file.
pub const README: Document = Document { path: "README.md", is_commands_alone: false };

/// A section's heading and the commands in it.
pub struct Block {
    pub heading: String,
    pub text: String,
}

impl Document {
    /// Every block, in order. One that no heading leads to fails the test: nobody would run it.
    pub fn blocks(&self) -> Vec<Block> {
        let text = fs::read_to_string(root().join(self.path)).unwrap();
        let mut sections = text.split("\n## ");
        let before = sections.next().unwrap();
        assert!(!before.contains("```bash"), "{}: a block stands in no section", self.path);
        assert!(
            !self.is_commands_alone || !before.contains("```"),
            "{}: a block stands in no section",
            self.path
        );
        sections.filter_map(|section| self.block_of(section)).collect()
    }

    fn block_of(&self, section: &str) -> Option<Block> {
        let heading = section.lines().next().unwrap().to_owned();
        let place = format!("{}, {heading}", self.path);
        let fences: Vec<&str> = section.split("\n```").collect();
        assert_eq!(fences.len() % 2, 1, "{place}: a block does not end");
        let fenced: Vec<&str> = fences.into_iter().skip(1).step_by(2).collect();
        let mut bash: Vec<&str> = fenced.iter().filter_map(|block| block.strip_prefix("bash\n")).collect();
        assert!(bash.len() <= 1, "{place}: more than one block, and its case runs one");
        assert!(
            !self.is_commands_alone || (fenced.len(), bash.len()) == (1, 1),
            "{place}: one block of bash"
        );
        bash.pop().map(|text| Block { heading, text: text.to_owned() })
    }

    /// The block under a heading.
    pub fn block(&self, heading: &str) -> String {
        let found = self.blocks().into_iter().find(|block| block.heading == heading);
        found.unwrap_or_else(|| panic!("{} has no block under `{heading}`", self.path)).text
    }
}

/// A test for each block of a document, and the list of their headings.
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

/// Variables of this process's environment that begin so: what a test does must not depend on them.
pub fn own_variables(starts: &[&str]) -> Vec<String> {
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    names.filter(|name| starts.iter().any(|start| name.starts_with(start))).collect()
}

/// Where a program stands on this machine's PATH.
pub fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap();
    path.split(':').map(|dir| Path::new(dir).join(program)).find(|path| path.is_file())
}
