//! `gradle.lockfile`: a line `GROUP:ARTIFACT:VERSION=CONFIGURATION,…` per artifact.

use anyhow::{Result, bail};

use super::LockFile;
use contents::owner::OwnerKind;

/// Reads the artifacts; those of test configurations alone are for development.
pub fn read(text: &str) -> Result<LockFile> {
    let mut found = LockFile::default();
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') || line.starts_with("empty=") {
            continue;
        }
        let parts = line.split_once('=').and_then(|(id, uses)| Some((id.rsplit_once(':')?, uses)));
        let Some(((name, version), uses)) = parts.filter(|((name, _), _)| name.contains(':')) else {
            bail!("line {number} is not an artifact");
        };
        let is_dev = uses.split(',').all(|name| name.starts_with("test"));
        found.add(OwnerKind::Maven, name, version, is_dev);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn artifacts_are_read_with_their_use() {
        let text = "# This is a Gradle generated file\ncom.google.guava:guava:33.0.0-jre=compileClasspath,runtimeClasspath\n\
            org.junit:junit:5.10.0=testCompileClasspath,testRuntimeClasspath\nempty=annotationProcessor\n";
        assert_eq!(
            listed(&read(text).unwrap()),
            ["maven com.google.guava:guava 33.0.0-jre", "maven org.junit:junit 5.10.0 (dev)"]
        );
        assert!(read("guava=x").is_err());
    }
}
