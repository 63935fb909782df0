//! `Gemfile.lock`.

use anyhow::{Result, bail};

use super::LockFile;
use contents::owner::OwnerKind;

/// Reads the gems; those of the repository (`PATH`) are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let (mut found, mut section) = (LockFile::default(), "");
    for line in text.lines() {
        if line.starts_with(|c: char| c.is_ascii_uppercase()) {
            section = line;
        }
        // Requirements of gems are indented by six spaces.
        let spec = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' '));
        let spec = spec.and_then(|rest| rest.strip_suffix(')')?.split_once(" ("));
        if let Some((name, version)) = spec.filter(|_| matches!(section, "GEM" | "GIT")) {
            // A gem with machine code has a line for each platform, such as `1.16.0-x86_64-linux`.
            let version = version.split_once('-').map_or(version, |(version, _)| version);
            found.add(OwnerKind::Gem, name, version, false);
        }
    }
    if section.is_empty() {
        bail!("no sections");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn gems_are_read_without_their_requirements() {
        let text = "PATH\n  remote: .\n  specs:\n    own (0.1.0)\n\nGEM\n  remote: https://h/\n  specs:\n    \
            nokogiri (1.16.0-arm64-darwin)\n    nokogiri (1.16.0-x86_64-linux)\n      racc (~> 1.4)\n    racc (1.7.3)\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  own!\n";
        assert_eq!(listed(&read(text).unwrap()), ["gem nokogiri 1.16.0", "gem racc 1.7.3"]);
        assert!(read("<<<<<<<").is_err());
    }
}
