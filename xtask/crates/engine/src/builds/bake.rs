//! Builds of bake files, from `docker buildx bake --print`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::{BuildOrigin, BuildProblem, NamedBuild, NamedBuilds, RawBuild, Rooted, rooted, settings, united};
use crate::docker::Docker;
use host::failure::{Failure, FailureClass};
use host::files;
use host::process::{Cmd, Output};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Printed {
    target: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Target {
    context: String,
    dockerfile: String,
    dockerfile_inline: Option<String>,
    args: BTreeMap<String, Option<String>>,
    contexts: BTreeMap<String, String>,
    target: Option<String>,
    platforms: Vec<String>,
    tags: Vec<String>,
}

/// The builds of bake files, relative to the root: those of the group or target `default`, and those that they use; without
/// `default`, every group and target. Needs no engine.
///
/// # Errors
/// What Buildx finds wrong with the files, and when it is not installed.
pub fn bake(root: &Path, files: &[String], docker: &Docker) -> Result<NamedBuilds> {
    if files.is_empty() {
        return Ok(NamedBuilds::default());
    }
    let mut output = print(root, files, &[], docker)?;
    if !output.success() && output.stderr.contains("failed to find target default") {
        output = print(root, files, &names(root, files)?, docker)?;
    }
    if !output.success() {
        return Err(refused(&output.stderr, files, docker).into());
    }
    let mut found = printed(&output.stdout, root)?;
    found.builds = united(std::mem::take(&mut found.builds));
    Ok(found)
}

/// Runs [`bake_command`]. Buildx wants the socket of an SSH agent even to print a target that uses one, but does not connect to it.
fn print(root: &Path, files: &[String], targets: &[String], docker: &Docker) -> Result<Output> {
    let output = bake_command(root, files, targets, docker).capture()?;
    if output.success() || !output.stderr.contains("make sure SSH_AUTH_SOCK is set") {
        return Ok(output);
    }
    let path = std::env::temp_dir().join(format!("{}-agent", std::process::id()));
    let Ok(_socket) = UnixListener::bind(&path) else { return Ok(output) };
    let cmd = bake_command(root, files, targets, docker).env("SSH_AUTH_SOCK", path.display().to_string());
    let again = cmd.capture();
    std::fs::remove_file(&path).ok();
    Ok(again?)
}

/// The builds in the output of `docker buildx bake --print`, equal ones several times.
pub(super) fn printed(json: &str, root: &Path) -> Result<NamedBuilds> {
    let printed: Printed =
        serde_json::from_str(json).context("unexpected output of `docker buildx bake --print`")?;
    let root = Rooted::new(root);
    let mut found = NamedBuilds::default();
    for (name, target) in printed.target {
        match named(&name, &target, &root) {
            Ok(build) => found.builds.push(build),
            Err((what, remedy)) => found.problems.push(BuildProblem { name, what, remedy }),
        }
    }
    Ok(found)
}

/// `docker buildx bake --print` for these targets of files that are relative to the root; for the default ones if none is named.
pub fn bake_command(root: &Path, files: &[String], targets: &[String], docker: &Docker) -> Cmd {
    let mut cmd = docker.cmd(["buildx", "bake", "--print"]).dir(root).env("BUILDX_BAKE_ENTITLEMENTS_FS", "0");
    for file in files {
        cmd = cmd.arg("--file").arg(file);
    }
    cmd.args(targets)
}

fn named(name: &str, target: &Value, root: &Rooted) -> Result<NamedBuild, (String, String)> {
    let settings = settings::of_bake(target, root, &|name| std::env::var_os(name).is_some())?;
    let target: Target = serde_json::from_value(target.clone())
        .map_err(|_| ("its format is not supported".to_owned(), "update this tool".to_owned()))?;
    let raw = RawBuild {
        context: target.context,
        dockerfile: target.dockerfile,
        target: target.target,
        args: target.args,
        platforms: target.platforms,
        contexts: target.contexts,
        inline: target.dockerfile_inline,
        settings,
    };
    Ok(NamedBuild {
        name: name.to_owned(),
        sharing: vec![name.to_owned()],
        build: rooted(raw, root)?,
        image: target.tags.into_iter().next(),
        origin: BuildOrigin::Bake,
        ..NamedBuild::default()
    })
}

/// The groups and targets that files define, for files without `default`. Bake has no way to list them before Buildx 0.20; it still
/// resolves them all. Names that start with `_` are templates by convention.
fn names(root: &Path, files: &[String]) -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for file in files {
        let text = files::read(&root.join(file))?;
        match serde_json::from_str::<Value>(&text) {
            Ok(json) => {
                let keys = json["target"].as_object().into_iter().flat_map(|all| all.keys().cloned());
                names.extend(keys);
            }
            Err(_) => names.extend(text.lines().filter_map(target_name)),
        }
    }
    names.retain(|name| !name.starts_with('_'));
    Ok(names.into_iter().collect())
}

/// The name in `target "NAME" {`.
fn target_name(line: &str) -> Option<String> {
    let rest = line.trim_start().strip_prefix("target")?.trim_start().strip_prefix('"')?;
    let (name, rest) = rest.split_once('"')?;
    rest.trim_start().starts_with('{').then(|| name.to_owned())
}

/// Buildx's message with our remedy.
fn refused(stderr: &str, files: &[String], docker: &Docker) -> Failure {
    let version = docker.cmd(["buildx", "version"]).capture().ok().filter(|output| output.success());
    let Some(version) = version else {
        return Failure::machine("Buildx is not installed", "install it: `docker buildx version` must work");
    };
    let version = version.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let lines: Vec<&str> =
        stderr.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    let what = format!("Buildx refuses {}: {}", files.join(", "), lines.join("\n    "));
    let command: Vec<String> = files.iter().map(|file| format!("-f {file}")).collect();
    let help = format!(
        "fix it until `docker buildx bake --print {}` succeeds; if the syntax is newer than this Buildx ({version}), update Buildx",
        command.join(" ")
    );
    Failure::new(FailureClass::Manifest, what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_names_are_listed_from_the_text() {
        let text = "group \"g\" {\n}\ntarget \"a\" {\n  target = \"x\"\n}\n  target \"b-1\"{}\n# target \"c\" {\ntarget \"_d\" {\n";
        let found: Vec<String> = text.lines().filter_map(target_name).collect();
        assert_eq!(found, ["a", "b-1", "_d"]);
    }
}
