//! The commit that a name stands for.

use anyhow::Result;

use engine::context::Context;
use host::failure::{Failure, FailureClass};

/// The commit named by an option.
///
/// # Errors
/// When there is no such commit (usage), or git cannot be started.
pub fn resolve(option: &str, reference: &str, context: &Context) -> Result<String> {
    let git = context.git();
    if let Some(commit) = git.resolve(reference)? {
        return Ok(commit);
    }
    let (why, remedy) = match git.is_shallow() {
        Ok(true) => (
            "this clone is shallow and older commits were not fetched".to_owned(),
            "`git fetch --unshallow`; in a workflow, `fetch-depth: 0` for actions/checkout",
        ),
        Ok(false) => {
            ("unknown commit".to_owned(), "`git fetch`, or name another commit (`git log` lists them)")
        }
        Err(error) => (
            error.tail.lines().next().unwrap_or("this is not a git repository").to_owned(),
            "run this in a clone, or name services instead of a commit",
        ),
    };
    Err(Failure::new(FailureClass::Usage, format!("{option} `{reference}`: {why}"), remedy).into())
}
