//! Whether Compose files use optimized images only, as `compose-switch optimized --check` does.

use anyhow::Result;
use host::program::PROGRAM;

use crate::checklist::context::CheckContext;
use crate::checklist::report::{ItemAnswer, ItemFault};
use build::push::digests::Digests;
use engine::compose::ComposeInput;
use model::variant::Variant;
use stack::switch::files::UnreadFile;
use stack::switch::own_images::OwnImages;
use stack::switch::reference::SwitchRequest;
use stack::switch::{edits, files};

pub(super) fn compose(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let repository = &checks.context.repository;
    let editions = checks.manifest.editions.clone();
    let request =
        SwitchRequest { variant: Variant::Optimized, edition: None, tag: None, registry: None, editions };
    let input = ComposeInput::read(&[], checks.context)?;
    let pushed = Digests::read(repository)?;
    let own = OwnImages::known(checks.manifest, &input.root, &pushed, repository)?;
    let fill = |text: &str| input.variables.fill(text);
    let (found, unread) = files::collect(
        repository,
        &input.files,
        &|text| edits::plan(text, &own, &request, None, &fill),
        &fill,
    )?;
    let (mut faults, mut evidence, mut unchanged) = (Vec::new(), Vec::new(), 0);
    for file in &found {
        let place = |line: usize| format!("{}:{line}", file.name);
        unchanged += file.plan.unchanged.len();
        for edit in &file.plan.edits {
            let what = format!("{}: not an optimized image: {}", place(edit.line), edit.before);
            faults.push(ItemFault::new(what, format!("{PROGRAM} compose-switch optimized")));
        }
        for skipped in &file.plan.skipped {
            let what = format!("{}: {}: {}", place(skipped.line), skipped.text, skipped.reason);
            faults.push(ItemFault::new(what, "name an optimized image there"));
        }
        let all = file.plan.unchanged.len() + file.plan.edits.len() + file.plan.skipped.len();
        evidence.push(format!("{}: {} of {all} images are optimized", file.name, file.plan.unchanged.len()));
    }
    for UnreadFile { by, name, reason } in &unread {
        let what = format!("{by}: `{name}` was not read: {reason}");
        faults.push(ItemFault::new(what, "include a file of this repository, by its name"));
    }
    if unchanged == 0 && faults.is_empty() {
        let what = "no Compose file uses an image of this repository";
        faults.push(ItemFault::new(what, "add docker-compose.yml or set COMPOSE_FILE"));
    }
    Ok(ItemAnswer::now(faults, evidence))
}
