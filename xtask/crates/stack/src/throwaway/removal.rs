//! Removes throwaway stacks, including those that earlier runs left behind.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::throwaway::folder::StackFolder;
use engine::compose::Project;
use engine::context::Context;
use host::files;
use host::paths::Repository;
use model::manifest::Manifest;

const RETRY_INTERVAL: Duration = Duration::from_millis(200);
const MAX_TRIES: u32 = 30;

/// The prefix of all throwaway stacks' names.
pub(super) fn prefix(manifest: &Manifest) -> String {
    format!("{}-test-", manifest.project)
}

/// The labels of everything in a throwaway stack: its owner's machine (several machines may share an engine, for example CI
/// containers) and checkout.
pub(super) fn labels(manifest: &Manifest, repository: &Repository) -> [(String, String); 2] {
    let machine = files::read_if_there(Path::new("/proc/sys/kernel/hostname")).ok().flatten();
    let label = |name: &str| format!("{}.images.{name}", manifest.project);
    [
        (label("trial-of"), machine.unwrap_or_default().trim().to_owned()),
        (label("checkout"), repository.root().display().to_string()),
    ]
}

/// Removes everything in a project. An interrupted Compose may have requested resources that appear only after a removal, so
/// this repeats until nothing was found twice in a row.
pub(super) fn erase(project: &Project) -> Result<()> {
    let mut empty = 0;
    let mut failed = None;
    for _ in 0..MAX_TRIES {
        match project.erase() {
            Ok(false) => empty += 1,
            Ok(true) => empty = 0,
            Err(error) => (empty, failed) = (0, Some(error)),
        }
        if empty == 2 {
            return Ok(());
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
    let name = project.name()?;
    match failed {
        Some(error) => Err(error.context(format!("cannot remove all of {name}"))),
        None => bail!("new resources of {name} keep appearing while it is removed"),
    }
}

/// Removes what killed runs left behind: stacks of this checkout without an owner, and stacks of deleted checkouts on this
/// machine. Failures are only reported; the next run tries again.
pub fn sweep(manifest: &Manifest, context: &Context) {
    let warn = |name: &str, error: &anyhow::Error| {
        context.terminal.warn(format!("cannot remove {name}, left by an earlier run: {error:#}"));
    };
    match StackFolder::abandoned(&context.repository) {
        Ok(folders) => {
            for folder in folders {
                let project = Project::new(&context.docker, folder.path()).named(folder.name());
                if let Err(error) = erase(&project).and_then(|()| folder.remove()) {
                    warn(&folder.name(), &error);
                }
            }
        }
        Err(error) => context.terminal.warn(format!("cannot remove stacks left by earlier runs: {error:#}")),
    }
    let [(label, machine), (checkout, _)] = labels(manifest, &context.repository);
    let Ok(found) = context.docker.projects((&label, &machine), &checkout) else { return };
    for (name, checkout) in found {
        if name.starts_with(&prefix(manifest)) && !Path::new(&checkout).exists() {
            let project = Project::new(&context.docker, context.repository.root()).named(&name);
            if let Err(error) = erase(&project) {
                warn(&name, &error);
            }
        }
    }
}
