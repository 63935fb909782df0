//! Lock files of uv, Poetry, PDM and Pipenv, and `pylock.toml` (PyPA specifications, "pylock.toml").

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Deserialize;
use toml::{Table, Value};

use super::{LockFile, Package};
use contents::owner::OwnerKind;
use model::bytes::Bytes;
use model::nesting;

/// A name as indexes compare it (PyPA specifications, "Names and normalization").
pub fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if out.ends_with('-') => {}
            '-' | '_' | '.' => out.push('-'),
            c => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

/// Reads the packages of a lock file in TOML; those of the repository are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let document = toml(text)?;
    let mut found = LockFile::default();
    for package in tables(&document, "package").chain(tables(&document, "packages")) {
        let field = |name: &str| package.get(name).and_then(Value::as_str);
        let source = package.get("source").and_then(Value::as_table);
        let is_own = ["virtual", "editable"].iter().any(|key| source.is_some_and(|it| it.contains_key(*key)));
        let (Some(name), Some(version)) = (field("name").map(normalized), field("version")) else { continue };
        if is_own {
            continue;
        }
        found.add(OwnerKind::Python, &name, version, is_dev(package));
        if let Some(sizes) = downloads(package) {
            found.downloads.insert((Package { kind: OwnerKind::Python, name }, version.to_owned()), sizes);
        }
    }
    Ok(found)
}

/// Poetry's and PDM's groups.
fn is_dev(package: &Table) -> bool {
    let groups = package.get("groups").and_then(Value::as_array);
    let is_main = |group: &Value| matches!(group.as_str(), Some("main" | "default"));
    groups.is_some_and(|groups| !groups.is_empty() && !groups.iter().any(is_main))
}

/// The sizes of a package's downloads, as a lock file states them.
fn downloads(package: &Table) -> Option<(Bytes, Bytes)> {
    let text = |file: &Table, key: &str| file.get(key).and_then(Value::as_str).map(str::to_owned);
    let file = |file: &Table| {
        let size = file.get("size").and_then(Value::as_integer).and_then(|size| u64::try_from(size).ok());
        Some((text(file, "name").or_else(|| text(file, "url"))?, size))
    };
    let sdist = package.get("sdist").and_then(Value::as_table);
    let files: Vec<_> = tables(package, "wheels").chain(sdist).filter_map(file).collect();
    download_sizes(&files)
}

/// The smallest and the largest download for Linux by name and size: of wheels, else of the source distribution. `None` unless every size
/// is known.
pub fn download_sizes(files: &[(String, Option<u64>)]) -> Option<(Bytes, Bytes)> {
    let (wheels, other): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| name.ends_with(".whl"));
    let is_for_linux = |(name, _): &&&(String, Option<u64>)| name.contains("-any.") || name.contains("linux");
    let wheels: Vec<_> = wheels.iter().filter(is_for_linux).copied().collect();
    let sizes = if wheels.is_empty() { other } else { wheels };
    let sizes: Vec<u64> = sizes.iter().map(|(_, size)| *size).collect::<Option<_>>()?;
    Some((Bytes(*sizes.iter().min()?), Bytes(*sizes.iter().max()?)))
}

/// Parses TOML. The parser's own message could quote the file, so it is replaced.
pub(super) fn toml(text: &str) -> Result<Table> {
    if nesting::too_deep(text).is_some() {
        bail!("nested too deeply");
    }
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|before| before.matches('\n').count() + 1);
        match line {
            Some(line) => anyhow::anyhow!("invalid TOML on line {line}"),
            None => anyhow::anyhow!("invalid TOML"),
        }
    })
}

/// The tables of an array.
pub(super) fn tables<'t>(table: &'t Table, key: &str) -> impl Iterator<Item = &'t Table> {
    table.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

#[derive(Deserialize)]
struct Pipfile {
    default: BTreeMap<String, Pinned>,
    #[serde(default)]
    develop: BTreeMap<String, Pinned>,
}

#[derive(Deserialize)]
struct Pinned {
    version: Option<String>,
}

/// Reads `Pipfile.lock`.
pub fn pipfile(text: &str) -> Result<LockFile> {
    let Pipfile { default, develop } = serde_json::from_str(text)?;
    let mut found = LockFile::default();
    let all = default.iter().map(|one| (one, false)).chain(develop.iter().map(|one| (one, true)));
    for ((name, pinned), is_dev) in all {
        if let Some(version) = &pinned.version {
            found.add(OwnerKind::Python, &normalized(name), version.trim_start_matches('='), is_dev);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn packages_of_the_repository_are_left_out_and_downloads_have_sizes() {
        let text = r#"
            version = 1
            [[package]]
            name = "app"
            version = "0.1.0"
            source = { virtual = "." }
            [[package]]
            name = "Ruamel.Yaml"
            version = "1.0"
            sdist = { url = "https://h/ruamel.tar.gz", size = 900 }
            wheels = [
                { url = "https://h/ruamel-1.0-cp313-cp313-manylinux_2_17_x86_64.whl", size = 500 },
                { url = "https://h/ruamel-1.0-cp313-cp313-musllinux_1_2_x86_64.whl", size = 700 },
                { url = "https://h/ruamel-1.0-cp313-cp313-win_amd64.whl", size = 100 },
            ]
            [[package]]
            name = "plain"
            version = "2.0"
            sdist = { url = "https://h/plain.tar.gz", size = 900 }
            [[package]]
            name = "silent"
            version = "3.0"
            wheels = [{ url = "https://h/silent-3.0-py3-none-any.whl" }]
        "#;
        let lock = read(text).unwrap();
        assert_eq!(listed(&lock), ["python plain 2.0", "python ruamel-yaml 1.0", "python silent 3.0"]);
        let sizes: Vec<_> = lock.downloads.values().copied().collect();
        assert_eq!(sizes, [(Bytes(900), Bytes(900)), (Bytes(500), Bytes(700))]);
    }

    #[test]
    fn groups_and_sections_mark_what_is_for_development() {
        let poetry = "[[package]]\nname = \"a\"\nversion = \"1\"\ngroups = [\"main\", \"dev\"]\n\
            [[package]]\nname = \"b\"\nversion = \"2\"\ngroups = [\"dev\"]\n";
        assert_eq!(listed(&read(poetry).unwrap()), ["python a 1", "python b 2 (dev)"]);
        let pipenv = r#"{"_meta": {}, "default": {"a": {"version": "==1"}, "own": {"path": "."}}, "develop": {"b": {"version": "==2"}}}"#;
        assert_eq!(listed(&pipfile(pipenv).unwrap()), ["python a 1", "python b 2 (dev)"]);
        let secret = read("a = 1\nb = password password").unwrap_err();
        assert_eq!(format!("{secret:#}"), "invalid TOML on line 2");
    }
}
