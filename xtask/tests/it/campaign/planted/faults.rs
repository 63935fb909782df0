//! The faults, by part. A part without faults has not been shown to find any.

/// One replacement in our own code.
pub struct Fault {
    pub part: &'static str,
    /// The mistake, as a review would call it.
    pub what: &'static str,
    /// The cases that meet it, as `XTASK_CAMPAIGN_ONLY` takes them.
    pub only: &'static str,
    /// Relative to `xtask/`.
    pub file: &'static str,
    pub from: &'static str,
    pub to: &'static str,
}

const AT_TAGS: &str = "build-images: KillAfter at `docker tag|build-images: KillBefore at `docker tag|build-images: KillDuring at `docker tag";
const AFTER_BAKE: &str = "build-images: KillAfter at `docker buildx bake|build-images: KillBefore at `docker buildx bake|\
     build-images: KillAfter at `docker image inspect|build-images: KillBefore at `docker image inspect|\
     build-images: KillDuring at `docker image inspect";
const KILLED_TESTS: &str = "test: KillAfter|test: KillBefore|test: KillDuring";

pub const FAULTS: &[Fault] = &[
    Fault {
        part: "kills",
        what: "a file is emptied before it is replaced",
        only: "compose-switch: KILL at fchmod",
        file: "crates/host/src/files.rs",
        from: "let mut new = temporary_file(dir, &name)?;",
        to: "fs::write(path, b\"\")?;\n    let mut new = temporary_file(dir, &name)?;",
    },
    Fault {
        part: "kills",
        what: "files of killed runs stay",
        only: "compose-switch: KILL at fchmod|compose-switch: KILL at rename",
        file: "crates/host/src/files.rs",
        from: "remove_leftovers(dir, &name);\n",
        to: "\n",
    },
    Fault {
        part: "kills",
        what: "the journal of a killed run is dropped",
        only: AT_TAGS,
        file: "crates/build/src/publish/moves.rs",
        from: "let outcome = if moved.is_empty() {",
        to: "let outcome = if true {",
    },
    Fault {
        part: "kills",
        what: "the journal is empty",
        only: AT_TAGS,
        file: "crates/build/src/publish/mod.rs",
        from: "let lock = self.take(LockKind::Tags, &moves)?;",
        to: "let lock = self.take(LockKind::Tags, &[])?;",
    },
    Fault {
        part: "kills",
        what: "whoever completes moves forgets the images that they replaced",
        only: AT_TAGS,
        file: "crates/build/src/publish/moves.rs",
        from: "predecessors::retire(moves, publisher.project, docker)?;\n                format!",
        to: "format!",
    },
    Fault {
        part: "kills",
        what: "temporary tags of killed runs are found and not removed",
        only: AFTER_BAKE,
        file: "crates/build/src/publish/mod.rs",
        from: "self.context.docker.remove_unused(&tags).map(drop)",
        to: "Ok(())",
    },
    Fault {
        part: "kills",
        what: "a build does not look for what killed runs left",
        only: AFTER_BAKE,
        file: "crates/build/src/builds.rs",
        from: "publisher.recover()?;\n",
        to: "\n",
    },
    Fault {
        part: "kills",
        what: "a message that cannot be written is fatal",
        only: "build-images: ClosedTerminal|deploy update: ClosedTerminal",
        file: "crates/host/src/terminal/mod.rs",
        from: "self.err.write(format!(\"{line}\\n\").as_bytes()).ok();",
        to: "self.err.write(format!(\"{line}\\n\").as_bytes()).unwrap();",
    },
    Fault {
        part: "kills",
        what: "throwaway stacks of killed runs stay",
        only: KILLED_TESTS,
        file: "crates/stack/src/throwaway/removal.rs",
        from: "for folder in folders {",
        to: "for folder in folders.into_iter().take(0) {",
    },
    Fault {
        part: "kills",
        what: "folders of throwaway stacks stay",
        only: KILLED_TESTS,
        file: "crates/stack/src/throwaway/removal.rs",
        from: "erase(&project).and_then(|()| folder.remove())",
        to: "erase(&project)",
    },
];
