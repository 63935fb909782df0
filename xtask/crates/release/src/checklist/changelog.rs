//! Whether the changelog describes the version, in the format of "Keep a Changelog" 1.1.0.

use anyhow::Result;

use crate::checklist::context::CheckContext;
use crate::checklist::report::{ItemAnswer, ItemFault};
use host::files;

/// The change types of the format.
const TYPES: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

const UNRELEASED: &str = "Unreleased";

pub(super) fn changelog(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let repository = &checks.context.repository;
    let (name, section) = (repository.changelog_name(), section_of(checks.request.tag.as_str()));
    let remedy = format!("describe the changes in {name} under `## [{section}]` (keepachangelog.com 1.1.0)");
    let fault = |what: String| ItemAnswer::now(vec![ItemFault::new(what, remedy)], Vec::new());
    let Some(text) = files::read_if_there(&repository.changelog())? else {
        return Ok(fault(format!("{name} is missing")));
    };
    Ok(match changes(&text, section) {
        Ok(found) => {
            let counts: Vec<String> = found.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
            ItemAnswer::now(Vec::new(), vec![format!("{section}: {}", counts.join(", "))])
        }
        Err(error) => fault(format!("{name}: {error}")),
    })
}

/// The section for a tag: `Unreleased` for `latest`, `1.2.0` for `v1.2.0`.
fn section_of(tag: &str) -> &str {
    match tag {
        "latest" => UNRELEASED,
        _ => {
            tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(tag)
        }
    }
}

/// The number of changes in a section by type, or what is wrong with the section.
fn changes(text: &str, section: &str) -> Result<Vec<(String, usize)>, String> {
    let mut lines = text.lines().skip_while(|line| version(line) != Some(section));
    let Some(head) = lines.next() else {
        return Err(format!("no section `## [{section}]`"));
    };
    if section != UNRELEASED && !head.rsplit_once(" - ").is_some_and(|(_, date)| is_date(date.trim())) {
        return Err(format!("no date in `{}`: write `## [{section}] - YYYY-MM-DD`", head.trim()));
    }
    let mut found: Vec<(String, usize)> = Vec::new();
    for line in lines.take_while(|line| version(line).is_none()) {
        if let Some(kind) = line.strip_prefix("### ") {
            let kind = kind.trim();
            if !TYPES.contains(&kind) {
                return Err(format!(
                    "unknown change type in `{section}`: `{kind}` (known: {})",
                    TYPES.join(", ")
                ));
            }
            found.push((kind.to_owned(), 0));
        } else if line.starts_with("- ") && line.len() > 2 {
            let Some((_, count)) = found.last_mut() else {
                return Err(format!("change without a type in `{section}`: write `### Added` above it"));
            };
            *count += 1;
        }
    }
    found.retain(|(_, count)| *count > 0);
    if found.is_empty() { Err(format!("no changes listed in `{section}`")) } else { Ok(found) }
}

/// The version in a heading such as `## [1.2.0] - 2026-01-31`.
fn version(line: &str) -> Option<&str> {
    line.strip_prefix("## [")?.split(']').next()
}

fn is_date(text: &str) -> bool {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [year, month, day] => digits(year, 4) && digits(month, 2) && digits(day, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n- b\n\n### Fixed\n- c\n\n\
        ## [1.2.0] - 2026-01-31\n### Changed\n- d\n\n## [1.1.0]\n### Changed\n- e\n\n## [1.0.0] - 2025-01-01\n";

    #[test]
    fn tags_map_to_sections() {
        assert_eq!(
            ["latest", "1.2.0", "v1.2.0", "vanilla"].map(section_of),
            ["Unreleased", "1.2.0", "1.2.0", "vanilla"]
        );
    }

    #[test]
    fn changes_are_counted_by_type_within_their_section() {
        let counted = |section| changes(LOG, section).unwrap();
        assert_eq!(counted("Unreleased"), [("Added".to_owned(), 2), ("Fixed".to_owned(), 1)]);
        assert_eq!(counted("1.2.0"), [("Changed".to_owned(), 1)]);
    }

    #[test]
    fn malformed_sections_are_rejected() {
        let error = |text: &str, section| changes(text, section).unwrap_err();
        assert!(error(LOG, "2.0.0").contains("no section `## [2.0.0]`"));
        assert!(error(LOG, "1.1.0").contains("YYYY-MM-DD"));
        assert!(error(LOG, "1.0.0").contains("no changes listed"));
        assert!(error("## [Unreleased]\n### Added\n", "Unreleased").contains("no changes listed"));
        assert!(error("## [Unreleased]\n- a\n", "Unreleased").contains("without a type"));
        assert!(error("## [Unreleased]\n### New\n- a\n", "Unreleased").contains("`New`"));
    }
}
