//! `yarn.lock` of Yarn 1 and later. Both forms name a package in an unindented line, and its version in the lines below.

use anyhow::{Result, bail};

use super::LockFile;
use contents::owner::OwnerKind;

/// Reads the packages; workspaces are left out.
pub fn read(text: &str) -> Result<LockFile> {
    if !text.contains("# yarn lockfile v1") && !text.contains("__metadata:") {
        bail!("not a lock file of Yarn");
    }
    let (mut found, mut name) = (LockFile::default(), None);
    for line in text.lines() {
        if !line.starts_with([' ', '#']) && line.ends_with(':') {
            name = package(line.trim_end_matches(':'));
        } else if let Some(rest) = line.strip_prefix("  version")
            && let Some(name) = name.take()
        {
            found.add(OwnerKind::Npm, name, rest.trim_matches([' ', ':', '"']), false);
        }
    }
    Ok(found)
}

/// The name in `"@scope/name@^1.0.0", "@scope/name@^1.1.0"`.
fn package(descriptors: &str) -> Option<&str> {
    let first = descriptors.trim_start_matches('"');
    let at = first.char_indices().skip(1).find(|(_, c)| *c == '@').map(|(at, _)| at)?;
    let range = first.get(at + 1..)?;
    (!range.starts_with("workspace:")).then(|| first.get(..at))?
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let one = "# yarn lockfile v1\n\n\"@s/a@^1.0.0\", \"@s/a@^1.1.0\":\n  version \"1.2.0\"\n  resolved \"x\"\n  \
                   dependencies:\n    version \"^9\"\n\nb@^2.0.0:\n  version \"2.0.1\"\n";
        assert_eq!(listed(&read(one).unwrap()), ["npm @s/a 1.2.0", "npm b 2.0.1"]);
        let berry = "__metadata:\n  version: 8\n\n\"@s/a@npm:^1.0.0, @s/a@npm:^1.1.0\":\n  version: 1.2.0\n  \
                     resolution: \"x\"\n\n\"app@workspace:.\":\n  version: 0.0.0-use.local\n";
        assert_eq!(listed(&read(berry).unwrap()), ["npm @s/a 1.2.0"]);
        assert!(read("a: 1").is_err());
    }
}
