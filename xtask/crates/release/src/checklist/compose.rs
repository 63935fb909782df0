//! Whether Compose files run optimized images only: what `compose-switch optimized --check` asks.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Fault};
use engine::variables::Variables;
use model::variant::Variant;
use stack::switch::reference::SwitchRequest;
use stack::switch::{edits, files};

pub(super) fn compose(asked: &Asked<'_>) -> Result<Answer> {
    let repository = &asked.context.repository;
    let ours: BTreeSet<&str> = asked.manifest.services.iter().map(|service| service.image.as_str()).collect();
    let request = SwitchRequest { variant: Variant::Optimized, edition: None, tag: None, registry: None };
    let first = files::default_files(repository, &Variables::read(repository)?);
    let (found, unread) =
        files::collect(repository, first, &|text| edits::plan(text, &ours, &request, None))?;
    let (mut faults, mut evidence, mut settled) = (Vec::new(), Vec::new(), 0);
    for file in &found {
        let place = |line: usize| format!("{}:{line}", file.name);
        settled += file.plan.unchanged;
        for edit in &file.plan.edits {
            let what = format!("{}: {} is no optimized image", place(edit.line), edit.before);
            faults.push(Fault::new(what, "cargo xtask compose-switch optimized"));
        }
        for left in &file.plan.skipped {
            faults.push(Fault::new(format!("{}: {}", place(left.line), left.text), left.reason.clone()));
        }
        evidence.push(format!("{}: {} references to optimized images", file.name, file.plan.unchanged));
    }
    for file in unread {
        evidence.push(format!("{}: {} is not looked into: {}", file.by, file.name, file.reason));
    }
    if settled == 0 && faults.is_empty() {
        let what = "no Compose file here runs an image of this repository";
        faults.push(Fault::new(what, "write docker-compose.yml, or name it in COMPOSE_FILE"));
    }
    Ok(Answer::now(faults, evidence))
}
