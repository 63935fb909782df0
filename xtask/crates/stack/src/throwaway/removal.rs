//! Removing throwaway stacks: one's own, and what former runs left behind.

use std::path::Path;

use anyhow::Result;

use crate::throwaway::folder::Folder;
use engine::compose::Project;
use engine::context::Context;
use engine::labels;
use host::files;
use host::paths::Repository;
use host::wait;
use model::manifest::Manifest;

/// What the names of throwaway stacks begin with.
pub(super) fn prefix(manifest: &Manifest) -> String {
    format!("{}-test-", manifest.project)
}

/// The labels that all of a throwaway stack carries, with their values: the machine that its owner runs on, since others
/// (containers of CI's, say) may use the same engine; and the checkout.
pub(super) fn marks(manifest: &Manifest, repository: &Repository) -> [(String, String); 2] {
    let machine = files::read_if_there(Path::new("/proc/sys/kernel/hostname")).ok().flatten();
    [
        (labels::throwaway_machine(&manifest.project), machine.unwrap_or_default().trim().to_owned()),
        (labels::throwaway_checkout(&manifest.project), repository.root().display().to_string()),
    ]
}

/// Removes all of a project.
///
/// # Errors
/// When docker fails or something cannot be removed.
pub(super) fn erase(project: &Project) -> Result<()> {
    wait::until_gone(&project.name()?, || project.erase())
}

/// Removes what runs left behind that were killed: stacks of this checkout that nobody owns any more, and those of checkouts
/// of this machine that are gone themselves. What cannot be removed is tried again by the next run.
pub fn sweep(manifest: &Manifest, context: &Context) {
    let tell = |name: &str, error: &anyhow::Error| {
        context.terminal.warn(format!("a former run's stack {name} stays: {error:#}"));
    };
    match Folder::abandoned(&context.repository) {
        Ok(folders) => {
            for folder in folders {
                let project = Project::new(&context.docker, folder.path()).named(folder.name());
                if let Err(error) = erase(&project).and_then(|()| folder.remove()) {
                    tell(&folder.name(), &error);
                }
            }
        }
        Err(error) => context.terminal.warn(format!("former runs' stacks stay: {error:#}")),
    }
    let [(label, machine), (checkout, _)] = marks(manifest, &context.repository);
    let Ok(found) = context.docker.projects((&label, &machine), &checkout) else { return };
    for (name, checkout) in found {
        if name.starts_with(&prefix(manifest)) && !Path::new(&checkout).exists() {
            let project = Project::new(&context.docker, context.repository.root()).named(&name);
            if let Err(error) = erase(&project) {
                tell(&name, &error);
            }
        }
    }
}
