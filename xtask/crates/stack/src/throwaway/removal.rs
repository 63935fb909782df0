//! Removes throwaway stacks, including those that earlier runs left behind.

use std::path::Path;

use anyhow::Result;

use crate::throwaway::folder::StackFolder;
use engine::compose::Project;
use engine::context::Context;
use engine::labels;
use host::paths::Repository;
use host::{files, wait};
use model::manifest::Manifest;

/// The prefix of all throwaway stacks' names.
pub(super) fn prefix(manifest: &Manifest) -> String {
    format!("{}-test-", manifest.project)
}

/// The labels of everything in a throwaway stack: its owner's machine (several machines may share an engine, for example CI
/// containers) and checkout.
pub(super) fn owner_labels(manifest: &Manifest, repository: &Repository) -> [(String, String); 2] {
    let machine = files::read_if_there(Path::new("/proc/sys/kernel/hostname")).ok().flatten();
    [
        (labels::throwaway_machine(&manifest.project), machine.unwrap_or_default().trim().to_owned()),
        (labels::throwaway_checkout(&manifest.project), repository.root().display().to_string()),
    ]
}

/// Removes everything in a project.
pub(super) fn erase(project: &Project) -> Result<()> {
    wait::until_gone(&project.name()?, || project.erase())
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
    let [(label, machine), (checkout, _)] = owner_labels(manifest, &context.repository);
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
