//! Switches that were made, as edits, for taking the last one back. A kill at any moment leaves either a switch that can be
//! taken back, or none.

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::switch::edits::Edit;
use crate::switch::files::Planned;
use host::files;
use host::paths::Repository;

/// Switches that are remembered, newest last.
const REMEMBERED: usize = 20;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Journal {
    switches: Vec<Vec<Switched>>,
}

/// One file of a switch.
#[derive(Debug, Serialize, Deserialize)]
struct Switched {
    path: String,
    edits: Vec<Made>,
}

/// One edit: where it stands in the file as it was before.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    start: usize,
    line: usize,
    before: String,
    after: String,
}

/// Makes the edits of every file. They are remembered first, so that whatever happens can be taken back.
///
/// # Errors
/// A file that was changed since it was read, or cannot be written.
pub fn make(repository: &Repository, changed: &[&Planned]) -> Result<()> {
    let mut journal = Journal::load(repository)?;
    for planned in changed {
        if files::read(&planned.path)? != planned.text {
            bail!(
                "{} was changed by someone else meanwhile: run this again; no file was changed",
                planned.name
            );
        }
    }
    let made = |edit: &Edit| Made {
        start: edit.bytes.start,
        line: edit.line,
        before: edit.before.clone(),
        after: edit.after.clone(),
    };
    let switched = |planned: &&Planned| Switched {
        path: planned.name.clone(),
        edits: planned.plan.edits.iter().map(made).collect(),
    };
    journal.switches.push(changed.iter().map(switched).collect());
    let surplus = journal.switches.len().saturating_sub(REMEMBERED);
    journal.switches.drain(..surplus);
    journal.save(repository)?;
    for planned in changed {
        files::replace(&planned.path, planned.switched().as_bytes())
            .context("some files may be switched already: `compose-switch --undo` takes them back")?;
    }
    Ok(())
}

/// Takes the last switch back, and says which files it restored. `None` when there is none to take back.
///
/// # Errors
/// When a switched reference does not stand where it was put: nothing is then restored.
pub fn undo(repository: &Repository) -> Result<Option<Vec<String>>> {
    let mut journal = Journal::load(repository)?;
    let Some(last) = journal.switches.last() else { return Ok(None) };
    let root = files::real_path(repository.root())?;
    let mut restore = Vec::new();
    for switched in last {
        let path = files::real_path(&repository.root().join(&switched.path)).with_context(|| {
            format!(
                "restore it with git, or forget all switches by removing {}",
                repository.compose_journal().display()
            )
        })?;
        if !path.starts_with(&root) {
            bail!("{} leads out of the repository now; nothing was restored", switched.path);
        }
        let now = files::read(&path)?;
        if let Some(text) = switched.taken_back(&now).with_context(|| {
            format!(
                "cannot take the last switch back: {} was changed since. Undo that change, or restore the file with git and remove {}; nothing was restored",
                switched.path,
                repository.compose_journal().display()
            )
        })? {
            restore.push((path, text));
        }
    }
    let names = last.iter().map(|switched| switched.path.clone()).collect();
    for (path, text) in restore {
        files::replace(&path, text.as_bytes()).context("run --undo again")?;
    }
    journal.switches.pop();
    journal.save(repository)?;
    Ok(Some(names))
}

impl Switched {
    /// The text without the edits; `None` where they were never made.
    fn taken_back(&self, now: &str) -> Result<Option<String>> {
        let stands = |at: usize, text: &str| now.get(at..).is_some_and(|rest| rest.starts_with(text));
        let mut out = String::with_capacity(now.len());
        let (mut from, mut shift, mut unmade) = (0, 0_isize, 0);
        for edit in &self.edits {
            // Where both fit, the longer one stands there.
            let at = edit.start.checked_add_signed(shift).unwrap_or(usize::MAX);
            let (has_after, has_before) = (stands(at, &edit.after), stands(edit.start, &edit.before));
            let is_made =
                has_after && !(has_before && at == edit.start && edit.before.len() > edit.after.len());
            if is_made {
                out.push_str(now.get(from..at).unwrap_or_default());
                out.push_str(&edit.before);
                from = at + edit.after.len();
                shift += isize::try_from(edit.after.len())? - isize::try_from(edit.before.len())?;
            } else if has_before {
                unmade += 1;
            } else {
                bail!("line {} no longer says `{}`", edit.line, edit.after);
            }
        }
        if unmade == self.edits.len() {
            return Ok(None);
        }
        if unmade > 0 {
            bail!("only some of its references are switched");
        }
        out.push_str(&now[from..]);
        Ok(Some(out))
    }
}

impl Journal {
    fn load(repository: &Repository) -> Result<Journal> {
        let path = repository.compose_journal();
        match files::read_if_there(&path)? {
            Some(text) => serde_json::from_str(&text).with_context(|| {
                format!("{} is damaged: remove it; what it held cannot be taken back", path.display())
            }),
            None => Ok(Journal::default()),
        }
    }

    fn save(&self, repository: &Repository) -> Result<()> {
        // Compose files may hold what is nobody else's business.
        files::write_private(&repository.compose_journal(), serde_json::to_string(self)?.as_bytes())
    }
}
