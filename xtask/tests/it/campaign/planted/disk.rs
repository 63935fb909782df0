//! Faults for the part `disk`.

use super::{Fault, OF_EACH_PART};

pub const FAULTS: [Fault; OF_EACH_PART] = [
    Fault {
        what: "only a quota counts as a full disk",
        only: "compose-switch: 0 pages left on the checkout",
        file: "crates/host/src/failure/mod.rs",
        from: "matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded",
        to: "matches!(error.kind(), ErrorKind::QuotaExceeded",
    },
    Fault {
        what: "a partial write is ignored",
        only: "compose-switch: 4 pages left on the checkout",
        file: "crates/host/src/files.rs",
        from: "new.as_file_mut().write_all(bytes)?;",
        to: "new.as_file_mut().write(bytes)?;",
    },
    Fault {
        what: "files are switched before the switch is recorded",
        only: "compose-switch: 4 pages left on the checkout",
        file: "crates/stack/src/switch/last_switch.rs",
        from: "    files::write_private(&repository.compose_journal(), serde_json::to_string(&last)?.as_bytes())?;
    for (file, switched) in planned.iter().zip(&last.files) {
        files::replace(&file.path, switched.after.as_bytes()).with_context(|| {
            format!(\"some files may already be switched: `{PROGRAM} compose-switch --undo` restores them\")
        })?;
    }
    Ok(())",
        to: "    for (file, switched) in planned.iter().zip(&last.files) {
        files::replace(&file.path, switched.after.as_bytes())?;
    }
    files::write_private(&repository.compose_journal(), serde_json::to_string(&last)?.as_bytes())",
    },
    Fault {
        what: "a stack that is being created is not removed when its files cannot be written",
        only: "test: 0 pages left on the checkout",
        file: "crates/stack/src/throwaway/stack.rs",
        from: "is_removed: false,
            terminal: context.terminal.clone(),
        };
        stack.copy_mounts(manifest, images, context)?;
        stack.isolate(manifest, images, context)?;",
        to: "is_removed: true,
            terminal: context.terminal.clone(),
        };
        stack.copy_mounts(manifest, images, context)?;
        stack.isolate(manifest, images, context)?;
        stack.is_removed = false;",
    },
    Fault {
        what: "failing to write the record of deployed images is ignored",
        only: "deploy update: 0 pages left on the checkout",
        file: "src/deploy/mod.rs",
        from: "deployed::write(&self.manifest, &project, self.context)?;",
        to: "deployed::write(&self.manifest, &project, self.context).ok();",
    },
    Fault {
        what: "failing to record digests is not reported",
        only: "push: 1 pages left on the checkout",
        file: "crates/build/src/push/report.rs",
        from: "return self.unrecorded.clone().map_or(Ok(()), |failure| Err(failure.into()));",
        to: "return Ok(());",
    },
    Fault {
        what: "docker's message about a full disk is not recognized",
        only: "build-images: DiskFull at `docker create",
        file: "crates/engine/src/signs/chain.rs",
        from: "\"no space left on device\" | \"disk quota exceeded\" => Cause::Disk,",
        to: "\"No space left on device\" | \"Disk quota exceeded\" => Cause::Disk,",
    },
    Fault {
        what: "the lock is released although the replaced images could not be removed",
        only: "build-images: DiskFull at `docker image rm",
        file: "crates/build/src/publish/mod.rs",
        from: "if retired.as_ref().is_err_and(|error| class_of(error).is_environment()) {",
        to: "if retired.as_ref().is_err_and(|error| class_of(error) == host::failure::FailureClass::Engine) {",
    },
    Fault {
        what: "a Compose failure is never an environment failure",
        only: "deploy update: DiskFull at `docker compose --project-directory * --progress plain up",
        file: "crates/stack/src/deploy/up.rs",
        from: "class if class.is_environment() => {",
        to: "class if class == FailureClass::Engine => {",
    },
    Fault {
        what: "a full engine disk during a push is not an environment failure",
        only: "push: DiskFull at `docker tag",
        file: "crates/build/src/push/execute.rs",
        from: "environment: error.cause.class().is_environment(),",
        to: "environment: error.affects_all(),",
    },
];
