//! Finds secrets in files that git tracks. Everyone who can clone the repository has them, and builds copy them into images.
//!
//! Every tracked file up to [`MAX_BYTES`] is searched for private keys, tokens with a known format, credential files and values
//! from this environment. There is no list of folders or file types, because a Dockerfile may copy any file. Literal values of
//! variables with a secret's name are reported only in Compose files, Dockerfiles, shell scripts and environment files: in other
//! sources, `token` and `key` are usually ordinary variables. Files are read from the working tree, because that is what gets
//! committed next.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use anyhow::{Context as _, Result};

use crate::report::{Finding, FindingKind, Place};
use crate::secrets::label;
use contents::scan::assignments::{self, Syntax};
use contents::scan::{Scanner, Secret};
use engine::context::Context;
use host::files;
use model::manifest::Manifest;

/// The largest file to search. Secrets are committed in small files.
const MAX_BYTES: u64 = 1_000_000;

/// How to fix any finding.
const REMEDY: &str = "revoke it, since git's history keeps it, and read it from a Compose secret, a build secret or an untracked \
     `.env`; if it is harmless, allow the file in [[check.allow]]";

/// The findings in tracked files.
#[derive(Debug, Default)]
pub(crate) struct TrackedFiles {
    /// Secrets, before `[check]` and `[[check.allow]]` apply.
    pub breaches: Vec<Finding>,
    /// What could not be searched.
    pub notes: Vec<Finding>,
    /// Whether all tracked files could be searched.
    pub is_complete: bool,
}

/// Searches the tracked files. Outside a git repository, returns a note instead.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn search(manifest: &Manifest, scanner: &Scanner, context: &Context) -> Result<TrackedFiles> {
    let names = match context.git().tracked(".") {
        Ok(names) => names,
        Err(error) => return Ok(not_searched(&format!("{error:#}"))),
    };
    let dockerfiles = dockerfiles(manifest);
    let count = thread::available_parallelism().map_or(1, usize::from);
    let search = |names: &[String]| -> Result<Vec<Searched>> {
        names.iter().map(|name| search_file(name, &dockerfiles, scanner, context)).collect()
    };
    let parts: Vec<Result<Vec<Searched>>> = thread::scope(|scope| {
        let parts = names.chunks(names.len().div_ceil(count).max(1));
        let running: Vec<_> = parts.map(|part| scope.spawn(|| search(part))).collect();
        let ended = running.into_iter().map(|part| part.join());
        ended.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    let mut files = TrackedFiles { is_complete: true, ..TrackedFiles::default() };
    let mut large = Vec::new();
    for searched in parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        match searched {
            Searched::Found(findings) => files.breaches.extend(findings),
            Searched::TooLarge(name) => large.push(name),
        }
    }
    if let Some(first) = large.first() {
        let what = match large.len() {
            1 => format!("{first} was not searched for secrets: it is larger than 1MB"),
            count => format!("{count} files larger than 1MB were not searched for secrets, such as {first}"),
        };
        let remedy = "make sure that these files contain no secrets";
        files.notes.push(Finding::new(FindingKind::Secret, Vec::new(), what, remedy));
    }
    Ok(files)
}

fn not_searched(error: &str) -> TrackedFiles {
    let known = [
        ("not a git repository", "this is not a git repository"),
        ("no `git` on PATH", "git is not installed"),
    ];
    let known = known.iter().find(|(sign, _)| error.contains(sign)).map(|(_, reason)| *reason);
    let reason = known.unwrap_or_else(|| error.lines().last().unwrap_or_default().trim());
    let what = format!("tracked files were not searched for secrets: {reason}");
    let remedy = "run the check in a git checkout, with git on PATH";
    let note = Finding::new(FindingKind::Secret, Vec::new(), what, remedy);
    TrackedFiles { notes: vec![note], ..TrackedFiles::default() }
}

/// The result for one file.
enum Searched {
    Found(Vec<Finding>),
    TooLarge(String),
}

fn search_file(
    name: &str,
    dockerfiles: &BTreeSet<&str>,
    scanner: &Scanner,
    context: &Context,
) -> Result<Searched> {
    let nothing = || Searched::Found(Vec::new());
    let Some(path) = context.repository.file(name) else { return Ok(nothing()) };
    // Links, submodules and deleted files have no content here.
    let Some(metadata) = path.symlink_metadata().ok().filter(std::fs::Metadata::is_file) else {
        return Ok(nothing());
    };
    if metadata.len() > MAX_BYTES {
        return Ok(Searched::TooLarge(scanner.mask(name)));
    }
    let content = files::read_bytes_if_there(&path).context("cannot search for secrets")?.unwrap_or_default();
    Ok(Searched::Found(findings(name, &content, dockerfiles.contains(name), scanner)))
}

/// The Dockerfiles of the manifest, whatever their names.
fn dockerfiles(manifest: &Manifest) -> BTreeSet<&str> {
    let of_services = manifest.services.iter().flat_map(|service| service.dockerfiles());
    let of_bases = manifest.bases.iter().map(|base| base.dockerfile.as_str());
    let of_tests = manifest.stack_tests.iter().map(|test| test.dockerfile.as_str());
    of_services.chain(of_bases).chain(of_tests).collect()
}

/// The secrets in a file, one finding for each kind.
fn findings(name: &str, content: &[u8], is_dockerfile: bool, scanner: &Scanner) -> Vec<Finding> {
    let decoded = decoded(content);
    let text = decoded.as_deref().or_else(|| str::from_utf8(content).ok());
    let syntax = text.and_then(|text| if is_dockerfile { Some(Syntax::Mixed) } else { syntax(name, text) });
    let mut lines: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for secret in scanner.known_in(name) {
        lines.insert(format!("{} is in the name of a file", label(&secret)), vec![1]);
    }
    let is_by_variable = |secret: &Secret| syntax.is_some() && matches!(secret, Secret::Credential(_));
    let mut secret_lines = BTreeSet::new();
    let in_content = scanner.lines(name, content).into_iter();
    let in_decoded = decoded.as_ref().map(|text| scanner.lines(name, text.as_bytes())).unwrap_or_default();
    for (line, secret) in in_content.chain(in_decoded).filter(|(_, secret)| !is_by_variable(secret)) {
        secret_lines.insert(line);
        lines.entry(format!("{} is in a file", label(&secret))).or_default().push(line);
    }
    if let Some((text, syntax)) = text.zip(syntax) {
        // A token is already reported with its issuer.
        let written = assignments::find(text, syntax).into_iter();
        for (line, what) in written.filter(|(line, _)| !secret_lines.contains(line)) {
            lines.entry(format!("{what} is in a file")).or_default().push(line);
        }
    }
    let file = scanner.mask(name);
    let finding = |(what, lines): (String, Vec<usize>)| Finding {
        path: Some(file.clone()),
        place: lines.first().map(|line| Place { file: file.clone(), line: *line }),
        ..Finding::new(
            FindingKind::Secret,
            Vec::new(),
            format!("{what} that git tracks{}", also(&lines)),
            REMEDY,
        )
    };
    lines.into_iter().map(finding).collect()
}

/// The other lines with the same kind of secret. Consecutive lines count as one, since a key has several.
fn also(lines: &[usize]) -> String {
    let mut lines = lines.to_vec();
    lines.sort_unstable();
    lines.dedup_by(|next, line| *next <= *line + 1);
    match lines.get(1..).unwrap_or_default() {
        [] => String::new(),
        [line] => format!(", also on line {line}"),
        others => format!(", also on {} other lines from {} on", others.len(), others[0]),
    }
}

/// UTF-16 text with a byte order mark, which PowerShell writes.
fn decoded(content: &[u8]) -> Option<String> {
    let of: fn([u8; 2]) -> u16 = match content {
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let units: Vec<u16> = content[2..].chunks_exact(2).map(|unit| of([unit[0], unit[1]])).collect();
    String::from_utf16(&units).ok()
}

/// The syntax in which a file sets variables of containers; `None` if it does not.
fn syntax(path: &str, text: &str) -> Option<Syntax> {
    let name = path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_env = name.starts_with(".env")
        || name.starts_with("env.")
        || extension == Some("env")
        || name.contains(".env.");
    let is_dockerfile = ["dockerfile", "containerfile"].iter().any(|stem| {
        let rest = name.strip_prefix(stem);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) || extension == Some(stem)
    });
    // Included and extended files have the same top-level key.
    let is_compose = matches!(extension, Some("yml" | "yaml"))
        && (name.contains("compose") || text.lines().any(|line| line.trim_end() == "services:"));
    let is_script = matches!(extension, Some("sh" | "bash" | "ash" | "dash" | "ksh" | "zsh"))
        || text.lines().next().is_some_and(is_shell);
    if name.ends_with(".dockerignore") {
        None
    } else if is_dockerfile || is_compose || is_script {
        Some(Syntax::Mixed)
    } else {
        (is_env || has_only_variables(text)).then_some(Syntax::Variables)
    }
}

/// Whether the first line of a script names a shell.
fn is_shell(line: &str) -> bool {
    let words = line.strip_prefix("#!").unwrap_or_default().split([' ', '/']);
    words.into_iter().any(|word| matches!(word, "sh" | "bash" | "ash" | "dash" | "ksh" | "zsh"))
}

/// Whether a text is an environment file. `env_file` in a Compose file may have any name.
fn has_only_variables(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_variable = |line: &str| {
        let name = line.split_once('=').map(|(name, _)| name.strip_prefix("export ").unwrap_or(name));
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        name.is_some_and(|name| !name.is_empty() && name.chars().all(is_part))
    };
    lines.next().is_some_and(is_variable) && lines.all(is_variable)
}
