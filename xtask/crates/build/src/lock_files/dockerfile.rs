//! System packages that the last stage of a Dockerfile installs with apt or apk.

use anyhow::{Context as _, Result};

use super::LockFile;
use contents::owner::OwnerKind;
use model::dockerfile;

/// Options with a value: apt's release and settings, apk's virtual package and repository.
const WITH_VALUE: [&str; 9] =
    ["-t", "--target-release", "-o", "--option", "-c", "--virtual", "-X", "--repository", "--config-file"];

/// Whether a file name is typical for a Dockerfile.
pub fn is_file(name: &str) -> bool {
    let is = |base: &str| {
        name.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            || name.strip_suffix(base).is_some_and(|rest| rest.ends_with('.'))
    };
    !name.ends_with(".dockerignore") && (is("Dockerfile") || is("Containerfile"))
}

/// Reads the packages; names with variables and scripts in here-documents are left out.
pub fn read(text: &str) -> Result<LockFile> {
    let (_, instructions) = dockerfile::last_stage(text, &[]).context("no stage")?;
    let mut found = LockFile::default();
    for instruction in instructions.iter().filter(|instruction| instruction.keyword == "RUN") {
        // `;` may follow a word without a space.
        let commands = instruction.arguments.replace(';', " ; ");
        let words: Vec<&str> = commands.split_whitespace().collect();
        words
            .split(|word| matches!(*word, ";" | "&&" | "||" | "|"))
            .for_each(|words| command(words, &mut found));
    }
    Ok(found)
}

fn command(words: &[&str], found: &mut LockFile) {
    let is_manager = |word: &&str| matches!(*word, "apt-get" | "apt" | "apk");
    let Some(at) = words.iter().position(is_manager) else { return };
    let (kind, verb) =
        if words[at] == "apk" { (OwnerKind::Apk, "add") } else { (OwnerKind::Dpkg, "install") };
    let mut words = words[at + 1..].iter().copied();
    let mut is_install = false;
    while let Some(word) = words.next() {
        let word = word.trim_matches(['"', '\'', '(', ')', '{', '}']);
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if word == verb && !is_install {
            is_install = true;
        } else if is_install
            && !word.is_empty()
            && !word.starts_with('-')
            && !word.contains(['$', '>', '/', '`'])
        {
            package(kind, word, found);
        }
    }
}

/// `NAME`, `NAME=VERSION`, or apk's `NAME~VERSION`.
fn package(kind: OwnerKind, word: &str, found: &mut LockFile) {
    match word.split_once('=') {
        Some((name, version)) if !name.ends_with('~') && !version.contains('*') => {
            found.add(kind, name, version, false);
        }
        _ => {
            let end = word.find(['=', '~', '<']).unwrap_or(word.len());
            let (name, requirement) = word.split_at(end);
            found.require(kind, name, requirement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::listed;
    use super::*;

    #[test]
    fn packages_of_the_last_stage_are_read() {
        let text = "FROM debian AS build\nRUN apt-get install -y gcc\nFROM debian\n\
            RUN apt-get update && apt-get install -y --no-install-recommends -t stable \\\n      curl=8.0-1 \\\n      # why\n      \
            \"tini\" $EXTRA; rm -rf /var/lib/apt/lists/*\nRUN echo apt-get install\n";
        assert_eq!(listed(&read(text).unwrap()), ["dpkg curl 8.0-1", "dpkg tini ?"]);
        let alpine = "FROM alpine\nRUN --mount=type=cache,target=/x apk add --no-cache --virtual .deps 'nodejs~=20' git\n";
        assert_eq!(listed(&read(alpine).unwrap()), ["apk git ?", "apk nodejs ~=20?"]);
        assert!(read("").is_err());
    }
}
