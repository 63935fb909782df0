//! Temporary tags of a run. They contain the run's [`ProcessName`], which shows whether the run has ended.

use anyhow::Result;

use engine::docker::Docker;
use engine::labels;
use host::process_name::{Life, ProcessName};

/// Prefix of all temporary tags.
const PREFIX: &str = "run-";

/// Prefix of this process's temporary tags.
pub(crate) fn of_this_process() -> String {
    format!("{PREFIX}{}", ProcessName::current())
}

/// Temporary tags on a project's images whose runs have ended.
pub(crate) fn left(project: &str, docker: &Docker) -> Result<Vec<String>> {
    let mut tags = docker.tags_with_label(&labels::variant(project))?;
    tags.retain(|tag| life(tag) == Some(Life::Gone));
    Ok(tags)
}

/// Whether the run that a temporary tag belongs to is still active; `None` for other tags.
pub(crate) fn life(reference: &str) -> Option<Life> {
    let (_, tag) = reference.rsplit_once(':')?;
    let name: ProcessName = tag.strip_prefix(PREFIX)?.parse().ok()?;
    Some(name.life())
}

/// Tags an untagged image and returns the tag. Removing that tag deletes the image unless it has been tagged again;
/// `docker image rm ID` would remove the new tag too.
pub(crate) fn name_to_remove(id: &str, repository: &str, docker: &Docker) -> Result<String> {
    let digest = id.trim_start_matches("sha256:");
    let start = digest.get(..12).unwrap_or(digest);
    let tag = format!("{repository}:{}-{start}", of_this_process());
    docker.tag(id, &tag)?;
    Ok(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tells_whether_its_run_is_over() {
        let own = of_this_process();
        assert_eq!(life(&format!("r.example:5000/x:{own}-simple-optimized")), Some(Life::Runs));
        assert_eq!(life("x:run-1-2-3-4-5-simple"), Some(Life::Unknown));
        for other in ["x:latest", "x:run-1", "x:run-of-the-mill", "x"] {
            assert_eq!(life(other), None, "{other}");
        }
        assert!(own.len() + "-enterprise-optimized".len() <= 128);
    }
}
