//! pip's requirements and constraints (pip, "Requirements File Format").

use anyhow::{Result, bail};

use super::LockFile;
use super::python::normalized;
use contents::owner::OwnerKind;

/// Whether a file name is typical.
pub fn is_file(folder: &str, name: &str) -> bool {
    let is_in_folder = folder.rsplit('/').next() == Some("requirements");
    name.ends_with(".txt")
        && (is_in_folder || name.contains("requirements") || name.starts_with("constraints"))
}

/// Reads the requirements; options, paths and addresses are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let mut found = LockFile::default();
    let mut line = String::new();
    for (number, part) in (1..).zip(text.lines()) {
        // A comment starts the line, or follows white space.
        let part = match part.find(" #") {
            _ if part.trim_start().starts_with('#') => "",
            Some(at) => &part[..at],
            None => part,
        };
        if let Some(start) = part.trim_end().strip_suffix('\\') {
            line.push_str(start);
            continue;
        }
        line.push_str(part);
        let whole = std::mem::take(&mut line);
        let whole = whole.trim();
        if whole.is_empty() || whole.starts_with(['-', '.', '/']) {
            continue;
        }
        let end =
            whole.find(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c)).unwrap_or(whole.len());
        let (name, rest) = whole.split_at(end);
        let rest = rest.trim_start();
        if rest.starts_with("://") || rest.starts_with('+') || rest.starts_with('/') {
            continue;
        }
        if name.is_empty()
            || !(rest.is_empty() || rest.starts_with(['[', '=', '<', '>', '~', '!', '@', ';', '-', '(']))
        {
            bail!("line {number} is not a requirement");
        }
        add(&normalized(name), rest, &mut found);
    }
    Ok(found)
}

/// Adds a requirement from what follows the name: extras, a version, a condition, options.
fn add(name: &str, rest: &str, found: &mut LockFile) {
    let rest = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest,
        None => rest,
    };
    let rest = rest.split(';').next().unwrap_or_default();
    let rest = rest.split(" --").next().unwrap_or_default().trim();
    let exact = rest.trim_start_matches('=').trim();
    let is_exact = rest.starts_with("==") && !exact.contains([',', '*', ' ', '<', '>', '!']);
    match is_exact {
        true => found.add(OwnerKind::Python, name, exact, false),
        false => found.require(OwnerKind::Python, name, rest.trim_start_matches('@').trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn pinned_and_open_requirements_are_told_apart() {
        let text = "# comment\n-r base.txt\n--index-url https://u:p@h/simple\n-e ./own\n./wheel.whl\n\
            https://h/x.whl\ngit+https://u:p@h/y.git\n\
            Typing_Extensions==4.12.2 ; python_version < '3.13' # why\n\
            requests[socks]>=2,<3\nnumpy\npinned==1.0 \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\r\n\
            star==1.*\nurl @ https://u:p@h/z.whl\nexact===1.0+local\n";
        assert_eq!(
            listed(&read(text).unwrap()),
            [
                "python exact 1.0+local",
                "python numpy ?",
                "python pinned 1.0",
                "python requests >=2,<3?",
                "python star ==1.*?",
                "python typing-extensions 4.12.2",
                "python url URL?"
            ]
        );
        assert_eq!(read("a==1\n<<<<<<< HEAD\n").unwrap_err().to_string(), "line 2 is not a requirement");
        assert!(read("some words of a text file").is_err());
    }
}
