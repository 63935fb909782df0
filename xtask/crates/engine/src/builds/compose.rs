//! Builds of Compose files, from `docker compose config`. Its output holds secrets: it is neither logged nor kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

use super::settings::{self, ComposeSecret};
use super::{BuildProblem, NamedBuild, NamedBuilds, RawBuild, Rooted, rooted, united};
use crate::compose::{MAIN_FILES, OVERRIDES, PLACEHOLDER, Project, required_variable};
use crate::docker::Docker;
use crate::dotenv;
use host::failure::{Failure, FailureClass};
use host::files;
use model::build_settings::{BuildSecret, SecretSource};

/// The environment variable that names the Compose files.
const FILES: &str = "COMPOSE_FILE";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    name: String,
    services: BTreeMap<String, Service>,
    secrets: BTreeMap<String, ComposeSecret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Service {
    image: Option<String>,
    build: Option<Value>,
    ports: Vec<Port>,
    expose: Vec<Value>,
    healthcheck: Option<HealthCheck>,
    profiles: Vec<String>,
    command: Option<Value>,
    entrypoint: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    target: u16,
    protocol: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HealthCheck {
    test: Option<Vec<String>>,
    disable: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ComposeBuild {
    context: String,
    dockerfile: String,
    dockerfile_inline: Option<String>,
    args: BTreeMap<String, Option<String>>,
    additional_contexts: BTreeMap<String, String>,
    target: Option<String>,
    platforms: Vec<String>,
}

/// Whether Compose finds files of its own at the root: those of `COMPOSE_FILE`, also in `.env`, or a main file.
///
/// # Errors
/// When `.env` cannot be read.
pub fn has_default_files(root: &Path) -> Result<bool> {
    Ok(!default_files(root)?.is_empty())
}

fn default_files(root: &Path) -> Result<Vec<PathBuf>> {
    let environment = dotenv::environment();
    let text = files::read_if_there(&root.join(".env"))?.unwrap_or_default();
    let of_file = dotenv::variables(&text, &environment);
    let value =
        |name: &str| environment.get(name).or_else(|| of_file.get(name)).filter(|value| !value.is_empty());
    if let Some(named) = value(FILES) {
        let separator = value("COMPOSE_PATH_SEPARATOR").map_or(":", String::as_str);
        return Ok(named
            .split(separator)
            .filter(|name| !name.is_empty())
            .map(|name| root.join(name))
            .collect());
    }
    let first = |names: &[&str]| names.iter().map(|name| root.join(name)).find(|path| path.is_file());
    let main = first(&MAIN_FILES);
    let overriding = main.as_ref().and_then(|_| first(&OVERRIDES));
    Ok(main.into_iter().chain(overriding).collect())
}

/// The builds of Compose files: of these, relative to the root, or of those that Compose itself uses. Services of every profile count.
/// Needs no engine.
///
/// # Errors
/// What Compose finds wrong with the files, and when it is not installed.
pub fn compose(root: &Path, files: Option<&[String]>, docker: &Docker) -> Result<NamedBuilds> {
    let own = match files {
        None => default_files(root)?,
        Some(files) => files.iter().map(|file| root.join(file)).collect(),
    };
    if own.is_empty() {
        return Ok(NamedBuilds::default());
    }
    // Without `--file`, Compose also applies its own rules, such as the folder of relative paths.
    let is_declared = files.is_some();
    let files = if is_declared { own.clone() } else { Vec::new() };
    let project = Project::new(docker, root).files(files).profiles(&["*".to_owned()]).in_its_own_directory();
    let Composed { text, unset, inconsistent } = config(project, &own)?;
    // An error of serde quotes the value, which may be a secret.
    let config: Config = serde_json::from_str(&text).map_err(|error| {
        Failure::new(
            FailureClass::Failed,
            format!(
                "unexpected output of `docker compose config`: line {}, column {}",
                error.line(),
                error.column()
            ),
            "update Docker Compose",
        )
    })?;
    let first = own.first().filter(|_| is_declared);
    let env_file = first.and_then(|file| file.parent()).unwrap_or(root).join(".env");
    let root = Rooted::new(root);
    let mut found = NamedBuilds { project: config.name, ..NamedBuilds::default() };
    if let Some(Failure { what, remedy, .. }) = inconsistent {
        let what = format!("their builds are read, although {what}");
        found.problems.push(BuildProblem { name: "Compose files".to_owned(), what, remedy });
    }
    for (name, service) in config.services {
        let Some(build) = &service.build else { continue };
        let is_incomplete = build.to_string().contains(PLACEHOLDER)
            || service.image.as_ref().is_some_and(|image| image.contains(PLACEHOLDER));
        let missing = unset.iter().filter(|_| is_incomplete).cloned().collect::<Vec<_>>();
        if !missing.is_empty() {
            let what =
                format!("its build or image needs a variable that is not set: {}", missing.join(" or "));
            found.problems.push(BuildProblem { name, what, remedy: "set it in .env".to_owned() });
            continue;
        }
        match named(&name, &service, build, &config.secrets, &root) {
            Ok(mut build) => {
                let settings = &mut build.build.settings;
                let is_variable = |secret: &BuildSecret| matches!(secret.source, SecretSource::Variable(_));
                settings.env_file = settings.secrets.iter().any(is_variable).then(|| env_file.clone());
                found.builds.push(build);
            }
            Err((what, remedy)) => found.problems.push(BuildProblem { name, what, remedy }),
        }
    }
    found.builds = united(std::mem::take(&mut found.builds));
    Ok(found)
}

fn named(
    name: &str,
    service: &Service,
    build: &Value,
    secrets: &BTreeMap<String, ComposeSecret>,
    root: &Rooted,
) -> Result<NamedBuild, (String, String)> {
    let build = undoubled(build.clone());
    let settings = settings::of_compose(&build, secrets, root)?;
    let build: ComposeBuild = serde_json::from_value(build)
        .map_err(|_| ("its build has an unsupported format".to_owned(), "update this tool".to_owned()))?;
    let raw = RawBuild {
        context: build.context,
        dockerfile: build.dockerfile,
        target: build.target,
        args: build.args,
        platforms: build.platforms,
        contexts: build.additional_contexts,
        inline: build.dockerfile_inline,
        settings,
    };
    let exposed = service.expose.iter().filter_map(|port| {
        let text = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
        text.trim_end_matches("/tcp").parse().ok()
    });
    let published = service.ports.iter().filter(|port| port.protocol != "udp").map(|port| port.target);
    let mut ports: Vec<u16> = published.chain(exposed).collect();
    ports.dedup();
    let check = service.healthcheck.as_ref();
    Ok(NamedBuild {
        name: name.to_owned(),
        sharing: vec![name.to_owned()],
        build: rooted(raw, root)?,
        image: service.image.clone().filter(|image| !image.is_empty()).map(plain),
        ports,
        health: check
            .is_some_and(|check| !check.disable && check.test.as_ref().is_some_and(|test| !test.is_empty())),
        profiles: service.profiles.clone(),
        has_own_command: service.command.is_some() || service.entrypoint.is_some(),
        ..NamedBuild::default()
    })
}

/// The output is a Compose file too, so dollar signs are doubled.
fn plain(text: String) -> String {
    text.replace("$$", "$")
}

/// Replaces `$$` with `$` in every string of a value.
fn undoubled(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(all) => all.into_iter().map(undoubled).collect(),
        Value::Object(all) => all.into_iter().map(|(key, value)| (key, undoubled(value))).collect(),
        other => other,
    }
}

/// Compose's output.
#[derive(Debug, Default)]
struct Composed {
    text: String,
    /// The required variables that are not set: those have a placeholder in the output.
    unset: Vec<String>,
    /// Why Compose accepts the files only without its consistency check, for example because an uncommitted file defines a secret.
    inconsistent: Option<Failure>,
}

/// Asks Compose; `files` are the project's.
fn config(mut project: Project, files: &[PathBuf]) -> Result<Composed> {
    let (mut found, mut without_env_files) = (Composed::default(), None);
    loop {
        let mut cmd = project.cmd(["config", "--format", "json"]);
        if found.inconsistent.is_some() {
            cmd = cmd.arg("--no-consistency");
        }
        if let Some(text) = &without_env_files {
            cmd = cmd.stdin(String::clone(text));
        }
        let output = cmd.capture().context("cannot read the Compose files")?;
        if output.success() {
            return Ok(Composed { text: output.stdout, ..found });
        }
        let variable = required_variable(&output.stderr).map(str::to_owned);
        if let Some(name) = variable.filter(|name| !found.unset.contains(name)) {
            project = project.placeholder(&name);
            found.unset.push(name);
        } else if lacks_env_file(&output.stderr) && without_env_files.is_none() {
            // No build reads the env files of services, and few repositories commit them.
            without_env_files = Some(reset_env_files(&project)?);
            project = project.files(files.iter().cloned().chain([PathBuf::from("-")]).collect());
        } else if let Some(first) = found.inconsistent {
            return Err(first.into());
        } else if !project.docker().has_compose() {
            let help = "install Docker Compose: `docker compose version` must work";
            return Err(Failure::machine("Docker Compose is not installed", help).into());
        } else if output.stderr.contains("invalid compose project") {
            found.inconsistent = Some(refused(&output.stderr));
        } else {
            return Err(refused(&output.stderr).into());
        }
    }
}

fn lacks_env_file(stderr: &str) -> bool {
    stderr.contains("env file") && stderr.contains("not found")
}

/// A Compose file that removes the env files of every service.
fn reset_env_files(project: &Project) -> Result<String> {
    let names = project.cmd(["config", "--no-consistency", "--services"]).read()?;
    let services =
        names.lines().map(|name| format!("  {}: {{ env_file: !reset [] }}\n", serde_json::json!(name)));
    Ok(format!("services:\n{}", services.collect::<String>()))
}

/// Compose's message with our remedy.
fn refused(stderr: &str) -> Failure {
    let is_note = |line: &&str| !line.starts_with("time=") && !line.trim().is_empty();
    let lines: Vec<&str> = stderr.lines().filter(is_note).collect();
    let what = format!("Docker Compose refuses the Compose files: {}", lines.join("\n    "));
    let help = if lacks_env_file(stderr) {
        "create the env file, for example from a template beside it, or mark it `required: false`"
    } else if stderr.contains("types.SSHKey") {
        // Its own JSON output of `ssh: [ID=PATH]` is invalid.
        "Compose cannot print SSH keys of builds that have a path: declare `ssh: [default]`, and add the key with `ssh-add`"
    } else {
        "fix the file until `docker compose config --quiet` succeeds; update Docker Compose if it is newer syntax"
    };
    Failure::new(FailureClass::Manifest, what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_s_message_comes_with_our_remedy() {
        let failure = refused("time=\"x\" level=warning msg=\"y\"\nservices.a.build must be a mapping\n");
        assert_eq!(
            failure.what,
            "Docker Compose refuses the Compose files: services.a.build must be a mapping"
        );
        assert!(failure.remedy.contains("docker compose config --quiet"));
        let of_key =
            refused("json: error calling MarshalJSON for type types.SSHKey: invalid character ':'\n");
        assert!(of_key.remedy.contains("ssh: [default]"));
    }

    #[test]
    fn dollar_signs_are_not_doubled() {
        let value = serde_json::json!({"inline": "FROM $$x $$$$", "args": {"A": null}, "list": ["$$", 1]});
        let expected = serde_json::json!({"inline": "FROM $x $$", "args": {"A": null}, "list": ["$", 1]});
        assert_eq!(undoubled(value), expected);
    }
}
