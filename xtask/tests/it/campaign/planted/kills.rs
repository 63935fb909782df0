//! Faults for the part `kills`.

use super::{Fault, OF_EACH_PART};

const AT_TAGS: &str = "build-images: KillAfter at `docker tag|build-images: KillBefore at `docker tag|build-images: KillDuring at `docker tag";
const AFTER_BAKE: &str = "build-images: KillAfter at `docker buildx bake|build-images: KillBefore at `docker buildx bake|\
     build-images: KillAfter at `docker image inspect|build-images: KillBefore at `docker image inspect|\
     build-images: KillDuring at `docker image inspect";
const KILLED_TESTS: &str = "test: KillAfter|test: KillBefore|test: KillDuring";

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "a file is truncated before it is replaced",
        only: "compose-switch: KILL at fchmod",
        file: "crates/host/src/files.rs",
        from: "let mut new = temporary_file(dir, &name)?;",
        to: "fs::write(path, b\"\")?;\n    let mut new = temporary_file(dir, &name)?;",
    },
    Fault {
        what: "temporary files of killed runs are not removed",
        only: "compose-switch: KILL at fchmod|compose-switch: KILL at rename",
        file: "crates/host/src/files.rs",
        from: "remove_leftovers(dir, &name);\n",
        to: "\n",
    },
    Fault {
        what: "the journal of a killed run is ignored",
        only: AT_TAGS,
        file: "crates/build/src/publish/moves.rs",
        from: "let outcome = if moved.is_empty() {",
        to: "let outcome = if true {",
    },
    Fault {
        what: "the lock is taken with an empty journal",
        only: AT_TAGS,
        file: "crates/build/src/publish/mod.rs",
        from: "let lock = self.take(LockKind::Tags, &moves)?;",
        to: "let lock = self.take(LockKind::Tags, &[])?;",
    },
    Fault {
        what: "completing a killed run's moves does not retire the replaced images",
        only: AT_TAGS,
        file: "crates/build/src/publish/moves.rs",
        from: "predecessors::retire(moves, publisher.project, docker)?;\n                format!",
        to: "format!",
    },
    Fault {
        what: "temporary tags of killed runs are found but not removed",
        only: AFTER_BAKE,
        file: "crates/build/src/publish/mod.rs",
        from: "self.context.docker.remove_unused(&tags).map(drop)",
        to: "Ok(())",
    },
    Fault {
        what: "a build does not recover from killed runs",
        only: AFTER_BAKE,
        file: "crates/build/src/builds.rs",
        from: "publisher.recover()?;\n",
        to: "\n",
    },
    Fault {
        what: "a message that cannot be written causes a panic",
        only: "build-images: ClosedTerminal|deploy update: ClosedTerminal",
        file: "crates/host/src/terminal/mod.rs",
        from: "self.err.write(format!(\"{line}\\n\").as_bytes()).ok();",
        to: "self.err.write(format!(\"{line}\\n\").as_bytes()).unwrap();",
    },
    Fault {
        what: "throwaway stacks of killed runs are not removed",
        only: KILLED_TESTS,
        file: "crates/stack/src/throwaway/removal.rs",
        from: "for folder in folders {",
        to: "for folder in folders.into_iter().take(0) {",
    },
    Fault {
        what: "folders of throwaway stacks are not removed",
        only: KILLED_TESTS,
        file: "crates/stack/src/throwaway/removal.rs",
        from: "erase(&project).and_then(|()| folder.remove())",
        to: "erase(&project)",
    },
];
