//! Faults for the part `pairs`.

use super::{Fault, OF_EACH_PART};

/// After the first of four tags is moved.
const WHILE_TAGS_MOVE: &str = "build-images beside build-images, the first pauses at call 09";
/// After the build, before the lock is taken.
const BEFORE_THE_LOCK: &str = "build-images beside build-images, the first pauses at call 05";

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "images are published one by one, each with its own lock",
        only: "build-images beside build-images, the first pauses at call 17",
        file: "crates/build/src/builds.rs",
        from: "let mut published = publish(&outcome);",
        to: "let mut published = built(&outcome).iter().try_for_each(|image| publisher.publish(&[*image]));",
    },
    Fault {
        what: "temporary tags are the same in all runs",
        only: BEFORE_THE_LOCK,
        file: "crates/build/src/environment.rs",
        from: "run: run_tags::of_this_process(),",
        to: "run: \"run-build\".to_owned(),",
    },
    Fault {
        what: "recovery removes the temporary tags of live runs",
        only: BEFORE_THE_LOCK,
        file: "crates/build/src/publish/run_tags.rs",
        from: "tags.retain(|tag| life(tag) == Some(Life::Gone));",
        to: "tags.retain(|tag| life(tag).is_some());",
    },
    Fault {
        what: "`clean` takes the lock for recoveries instead of the one on tags",
        only: "clean, the second pauses at call 17",
        file: "crates/build/src/publish/mod.rs",
        from: "let lock = self.take(LockKind::Tags, &[])?;",
        to: "let lock = self.take(LockKind::Recovery, &[])?;",
    },
    Fault {
        what: "other runs can remove images during a push",
        only: "REGISTRY, the second pauses at call 05",
        file: "crates/build/src/push/execute.rs",
        from: "if local_tags::hold(&plan, &context.docker)? {",
        to: "if true {",
    },
    Fault {
        what: "a replaced image loses its name although a container uses it",
        only: "deploy install, the first pauses at call 05",
        file: "crates/build/src/publish/predecessors.rs",
        from: "in unnamed.filter(|(id, _)| !used.contains_key(id)) {",
        to: "in unnamed {",
    },
    Fault {
        what: "each checkout has its own lock on the tags",
        only: WHILE_TAGS_MOVE,
        file: "crates/build/src/publish/lock.rs",
        from: "let (name, holder) = (kind.container(self.project), Holder::current(&self.context.repository));",
        to: "let holder = Holder::current(&self.context.repository);\n        \
             let folder = self.context.repository.root().file_name().unwrap_or_default();\n        \
             let name = format!(\"{}-{}\", kind.container(self.project), folder.display());",
    },
    Fault {
        what: "a live run's lock is treated as stale",
        only: "build-images beside build-images, the first pauses at call 13",
        file: "crates/build/src/publish/lock.rs",
        from: "Life::Runs => found.holder.is_this_process(),",
        to: "Life::Runs => true,",
    },
    Fault {
        what: "the moves are not planned again once the lock is held",
        only: WHILE_TAGS_MOVE,
        file: "crates/build/src/publish/mod.rs",
        from: "Ok(now) if now == moves => {}",
        to: "Ok(_) => {}",
    },
    Fault {
        what: "a test removes the stacks of all other checkouts",
        // At these calls its stack is up.
        only: "test beside test, the first pauses at call 21|test beside test, the first pauses at call 25|\
               test beside test, the first pauses at call 29",
        file: "crates/stack/src/throwaway/removal.rs",
        from: "if name.starts_with(&prefix(manifest)) && !Path::new(&checkout).exists() {",
        to: "if name.starts_with(&prefix(manifest)) && Path::new(&checkout) != context.repository.root() {",
    },
];
