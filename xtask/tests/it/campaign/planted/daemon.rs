//! Faults for the part `daemon`.

use super::{Fault, OF_EACH_PART};

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "a failed inspection is treated as an empty result",
        only: "build-images: DaemonBefore at `docker image inspect",
        file: "crates/engine/src/inspect.rs",
        from: "Some(line) => bail!(failed(&format!(\"`docker {kind} inspect` failed\"), line)),",
        to: "Some(_) => Ok(Vec::new()),",
    },
    Fault {
        what: "the lock is released before the replaced images are removed",
        only: "build-images: DaemonBefore at `docker ps --all",
        file: "crates/build/src/publish/mod.rs",
        from: "let retired = match moved {
                Moved::All => predecessors::retire(&moves, self.project, docker),
                Moved::None(_) => Ok(()),
            };
            // On a full disk, the engine may only untag an image. The lock stays, and the next run removes the image.
            if retired.as_ref().is_err_and(|error| class_of(error).is_environment()) {
                return retired;
            }
            self.release(lock)?;",
        to: "self.release(lock)?;
            let retired = match moved {
                Moved::All => predecessors::retire(&moves, self.project, docker),
                Moved::None(_) => Ok(()),
            };",
    },
    Fault {
        what: "a failed undo of tag moves is never an environment failure",
        only: "build-images: DaemonBefore at `docker tag",
        file: "crates/build/src/publish/moves.rs",
        from: "class if class.is_environment() => class,",
        to: "FailureClass::Disk => FailureClass::Disk,",
    },
    Fault {
        what: "failing to remove the lock is reported as removed by another run",
        only: "build-images: DaemonBefore at `docker rm",
        file: "crates/engine/src/lock.rs",
        from: "Some(line) => Err(failed(\"docker cannot remove the lock on tags\", line).into()),",
        to: "Some(_) => Ok(false),",
    },
    Fault {
        what: "a build completes a killed run's moves, but keeps its temporary tags",
        only: "build-images: DaemonBefore at `docker image inspect",
        file: "crates/build/src/builds.rs",
        from: "publisher.recover()?;",
        to: "publisher.settle()?;",
    },
    Fault {
        what: "errors are classified by stdout instead of stderr",
        only: "build-images: DaemonBefore at `docker image ls",
        file: "crates/host/src/process/run.rs",
        from: "let text = if output.stderr.trim().is_empty() { &output.stdout } else { &output.stderr };",
        to: "let text = &output.stdout;",
    },
    Fault {
        what: "only network and disk errors print their help",
        only: "build-images: DaemonBefore at `docker image ls",
        file: "crates/host/src/failure/mod.rs",
        from: "if class.is_environment() && !has_help {",
        to: "if matches!(class, FailureClass::Network | FailureClass::Disk) && !has_help {",
    },
    Fault {
        what: "the class of an error is lost while a deployment watches its containers",
        only: "deploy update: DaemonBefore at `docker compose --project-directory * --progress plain up",
        file: "crates/stack/src/deploy/watch.rs",
        from: "return Err(error.context(format!(",
        to: "return Err(anyhow::Error::msg(format!(",
    },
    Fault {
        what: "a running image is kept for a rollback although the Compose file does not replace it",
        only: "deploy update: DaemonBefore at `docker compose --project-directory * ps",
        file: "crates/stack/src/deploy/rollback.rs",
        from: "images.running.iter().find(|image| Some(*image) != images.configured.as_ref())?;",
        to: "images.running.first()?;",
    },
    Fault {
        what: "failing to set a local tag is never an environment failure",
        only: "push: DaemonBefore at `docker tag",
        file: "crates/build/src/push/attempt.rs",
        from: "                .tag(&image.id, &tag.reference.to_string())
                .map_err(|error| PushError::new(error.to_string()))?;",
        to: "                .tag(&image.id, &tag.reference.to_string())
                .map_err(|error| PushError { cause: Cause::Other, output: error.to_string() })?;",
    },
];
