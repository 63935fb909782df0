//! `Cargo.lock`.

use anyhow::Result;

use super::LockFile;
use super::python::{tables, toml};
use contents::owner::OwnerKind;

/// Reads the crates; those of the workspace, which have no source, are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let document = toml(text)?;
    let mut found = LockFile::default();
    for package in tables(&document, "package") {
        let field = |name: &str| package.get(name).and_then(toml::Value::as_str);
        if let (Some(name), Some(version), Some(_)) = (field("name"), field("version"), field("source")) {
            found.add(OwnerKind::Rust, name, version, false);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn crates_of_the_workspace_are_left_out() {
        let text = "version = 4\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\
            [[package]]\nname = \"syn\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\
            [[package]]\nname = \"syn\"\nversion = \"2.0.0\"\nsource = \"registry+x\"\n";
        assert_eq!(listed(&read(text).unwrap()), ["rust syn 1.0.0", "rust syn 2.0.0"]);
        assert!(read("<<<<<<< HEAD\n").is_err());
    }
}
