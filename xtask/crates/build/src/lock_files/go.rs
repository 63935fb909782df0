//! `go.mod` and `go.sum` (Go Modules Reference). Since Go 1.17, `go.mod` lists every module that is built, so it is preferred:
//! `go.sum` also keeps versions that were not selected.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::LockFile;
use contents::owner::OwnerKind;

/// Reads the modules that `go.mod` requires, replacements included.
pub fn module(text: &str) -> Result<LockFile> {
    let (mut required, mut replaced) = (Vec::new(), BTreeMap::new());
    let (mut block, mut has_module) = (None, false);
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let (directive, rest) = match (block, line.split_once(char::is_whitespace)) {
            (Some(_), _) if line == ")" => {
                block = None;
                continue;
            }
            (Some(directive), _) => (directive, line),
            (None, Some((directive, rest))) => (directive, rest.trim()),
            (None, None) => continue,
        };
        if block.is_none() && rest == "(" {
            block = Some(directive);
            continue;
        }
        let words: Vec<&str> = rest.split_whitespace().map(|word| word.trim_matches('"')).collect();
        match (directive, words.as_slice()) {
            ("module", _) => has_module = true,
            ("require", [name, version, ..]) => required.push((*name, *version)),
            ("replace", [old, rest @ ..]) => {
                let new = rest.iter().skip_while(|word| **word != "=>").skip(1).copied();
                replaced.insert(*old, new.collect::<Vec<&str>>());
            }
            _ => {}
        }
    }
    if !has_module {
        bail!("no module line");
    }
    let mut found = LockFile::default();
    for (name, version) in required {
        match replaced.get(name).map(Vec::as_slice) {
            Some([other, version]) => found.add(OwnerKind::Go, other, version, false),
            // A folder of the repository.
            Some(_) => {}
            None => found.add(OwnerKind::Go, name, version, false),
        }
    }
    Ok(found)
}

/// Reads the modules of `go.sum` whose content was verified, not only their `go.mod`.
pub fn sums(text: &str) -> Result<LockFile> {
    let mut found = LockFile::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [_, version, _] if version.ends_with("/go.mod") => {}
            [name, version, _] => found.add(OwnerKind::Go, name, version, false),
            _ => bail!("line {number} is not a module with its sum"),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn required_modules_are_read_with_their_replacements() {
        let text = "module example.com/app\n\ngo 1.22\n\nrequire example.com/a v1.0.0\nrequire (\n\texample.com/b v2.0.0 // indirect\n\
            \texample.com/c v1.0.0\n\texample.com/d v1.0.0\n)\nreplace (\n\texample.com/c v1.0.0 => example.com/fork v1.1.0\n)\n\
            replace example.com/d => ../d\nexclude example.com/a v0.9.0\n";
        assert_eq!(
            listed(&module(text).unwrap()),
            ["go example.com/a v1.0.0", "go example.com/b v2.0.0", "go example.com/fork v1.1.0"]
        );
        assert!(module("require example.com/a v1.0.0\n").is_err());
    }

    #[test]
    fn sums_of_content_count() {
        let text = "a v1.0.0 h1:x\na v1.0.0/go.mod h1:y\nb v2.0.0/go.mod h1:z\n";
        assert_eq!(listed(&sums(text).unwrap()), ["go a v1.0.0"]);
        assert!(sums("<<<<<<< HEAD").is_err());
    }
}
