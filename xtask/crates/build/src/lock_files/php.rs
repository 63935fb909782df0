//! `composer.lock`.

use anyhow::Result;
use serde::Deserialize;

use super::LockFile;
use contents::owner::OwnerKind;

#[derive(Deserialize)]
struct Lock {
    packages: Vec<Entry>,
    #[serde(default, rename = "packages-dev")]
    dev: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    version: String,
}

/// Reads the packages.
pub fn read(text: &str) -> Result<LockFile> {
    let lock: Lock = serde_json::from_str(text)?;
    let mut found = LockFile::default();
    let all = lock.packages.iter().map(|one| (one, false)).chain(lock.dev.iter().map(|one| (one, true)));
    for (Entry { name, version }, is_dev) in all {
        found.add(OwnerKind::Composer, &name.to_lowercase(), version, is_dev);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn both_lists_are_read() {
        let text = r#"{"packages": [{"name": "Monolog/monolog", "version": "3.5.0"}], "packages-dev": [{"name": "a/b", "version": "v1"}]}"#;
        assert_eq!(listed(&read(text).unwrap()), ["composer a/b v1 (dev)", "composer monolog/monolog 3.5.0"]);
    }
}
