//! Whether the change log says what the version changes.

use anyhow::Result;

use crate::changelog::{changes, section_of};
use crate::checklist::asked::Asked;
use crate::checklist::report::{Answer, Fault};
use host::files;

pub(super) fn changelog(asked: &Asked<'_>) -> Result<Answer> {
    let repository = &asked.context.repository;
    let (name, section) = (repository.changelog_name(), section_of(asked.wanted.tag.as_str()));
    let remedy = format!("write what changed into {name} under `## [{section}]` (keepachangelog.com, 1.1.0)");
    let Some(text) = files::read_if_there(&repository.changelog())? else {
        return Ok(Answer::now(vec![Fault::new(format!("there is no {name}"), remedy)], Vec::new()));
    };
    Ok(match changes(&text, section) {
        Ok(found) => {
            let counts: Vec<String> = found.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            Answer::now(Vec::new(), vec![format!("{section}: {}", counts.join(", "))])
        }
        Err(wrong) => Answer::now(vec![Fault::new(format!("{name}: {wrong}"), remedy)], Vec::new()),
    })
}
