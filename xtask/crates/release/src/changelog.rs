//! A change log in the form of "Keep a Changelog" 1.1.0, as far as a release depends on it.

/// The kinds of changes that the form knows.
const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];

/// The name of the section for what no version has yet.
pub const UNRELEASED: &str = "Unreleased";

/// The section that a tag's changes stand in: `latest` is what no version has yet, `v1.2.0` is 1.2.0.
pub fn section_of(tag: &str) -> &str {
    match tag {
        "latest" => UNRELEASED,
        _ => {
            tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(tag)
        }
    }
}

/// What is wrong with a change log's section, or how many changes it lists by kind.
///
/// # Errors
/// In words: no such section, no change in it, a kind that the form does not know, no day of release.
pub fn changes(text: &str, section: &str) -> Result<Vec<(String, usize)>, String> {
    let mut lines = text.lines().skip_while(|line| heading(line) != Some(section));
    let Some(head) = lines.next() else {
        return Err(format!("it has no section `## [{section}]`"));
    };
    if section != UNRELEASED && !head.rsplit_once(" - ").is_some_and(|(_, day)| is_day(day.trim())) {
        return Err(format!("`{}` names no day: write `## [{section}] - YYYY-MM-DD`", head.trim()));
    }
    let mut found: Vec<(String, usize)> = Vec::new();
    for line in lines.take_while(|line| heading(line).is_none()) {
        if let Some(kind) = line.strip_prefix("### ") {
            let kind = kind.trim();
            if !KINDS.contains(&kind) {
                let known = KINDS.join(", ");
                return Err(format!("`{kind}` in `{section}` is no kind of change (known: {known})"));
            }
            found.push((kind.to_owned(), 0));
        } else if line.starts_with("- ") && line.len() > 2 {
            let Some((_, count)) = found.last_mut() else {
                return Err(format!(
                    "a change in `{section}` stands under no kind: write `### Added` above it"
                ));
            };
            *count += 1;
        }
    }
    found.retain(|(_, count)| *count > 0);
    if found.is_empty() { Err(format!("section `{section}` lists no change")) } else { Ok(found) }
}

/// The name in a heading of a version: `## [1.2.0] - 2026-01-31`.
fn heading(line: &str) -> Option<&str> {
    line.strip_prefix("## [")?.split(']').next()
}

fn is_day(text: &str) -> bool {
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
    fn a_tag_leads_to_its_section() {
        assert_eq!(
            ["latest", "1.2.0", "v1.2.0", "vanilla"].map(section_of),
            ["Unreleased", "1.2.0", "1.2.0", "vanilla"]
        );
    }

    #[test]
    fn changes_are_counted_by_kind_within_their_section() {
        let counted = |section| changes(LOG, section).unwrap();
        assert_eq!(counted("Unreleased"), [("Added".to_owned(), 2), ("Fixed".to_owned(), 1)]);
        assert_eq!(counted("1.2.0"), [("Changed".to_owned(), 1)]);
    }

    #[test]
    fn what_is_missing_is_said() {
        let wrong = |text: &str, section| changes(text, section).unwrap_err();
        assert!(wrong(LOG, "2.0.0").contains("no section `## [2.0.0]`"));
        assert!(wrong(LOG, "1.1.0").contains("YYYY-MM-DD"));
        assert!(wrong(LOG, "1.0.0").contains("lists no change"));
        assert!(wrong("## [Unreleased]\n### Added\n", "Unreleased").contains("lists no change"));
        assert!(wrong("## [Unreleased]\n- a\n", "Unreleased").contains("under no kind"));
        assert!(wrong("## [Unreleased]\n### New\n- a\n", "Unreleased").contains("`New`"));
    }
}
