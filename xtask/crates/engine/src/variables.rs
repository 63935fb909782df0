//! Values of variables in Compose files: from the environment, then from `.env`, as in Compose.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::dotenv;
use crate::interpolation::interpolate;
use host::failure::{Failure, FailureClass};
use host::files;
use model::image_ref::Tag;
use model::manifest::DEFAULT_ENV_PREFIX;
use model::reader;

/// The variable that lists the files Compose reads instead of `.env`.
pub const ENV_FILES: &str = "COMPOSE_ENV_FILES";

/// Variables and their values.
#[derive(Debug, Clone)]
pub struct Variables {
    /// From `.env`.
    file: BTreeMap<String, String>,
    /// From the environment, including empty ones.
    environment: BTreeMap<String, String>,
    /// The prefix of this program's environment variables.
    prefix: String,
}

impl Variables {
    /// Reads the environment and `.env`, or the files of COMPOSE_ENV_FILES. Compose evaluates them, unless they are plain or
    /// Compose is missing.
    ///
    /// # Errors
    /// When xtask or Compose cannot read one of the files.
    pub fn read(context: &Context) -> Result<Variables> {
        Variables::of_project(context.repository.root(), context)
    }

    /// The same for another project directory, whose `.env` Compose reads.
    ///
    /// # Errors
    /// As [`Variables::read`].
    pub fn of_project(folder: &Path, context: &Context) -> Result<Variables> {
        Variables::of(&[folder.join(".env")], &[], folder, context)
    }

    /// From these files instead of `.env`: later ones take precedence, and may refer to variables of earlier ones.
    ///
    /// # Errors
    /// As [`Variables::read`].
    pub fn of_files(files: &[PathBuf], folder: &Path, context: &Context) -> Result<Variables> {
        Variables::of(files, files, folder, context)
    }

    /// `options`: the files to pass to Compose with `--env-file`.
    fn of(files: &[PathBuf], options: &[PathBuf], folder: &Path, context: &Context) -> Result<Variables> {
        // Compose files are UTF-8.
        let environment = dotenv::environment();
        let named = environment.get(ENV_FILES).filter(|names| !names.is_empty());
        let paths = match named {
            Some(names) => names.split(',').map(|name| context.repository.root().join(name)).collect(),
            None => files.to_vec(),
        };
        let (mut file, mut names, mut is_plain) = (BTreeMap::new(), BTreeSet::new(), true);
        for path in paths {
            let text = files::read_if_there(&path)?.unwrap_or_default();
            is_plain &= dotenv::is_plain(&text);
            names.extend(dotenv::names(&text).into_iter().map(str::to_owned));
            file.extend(dotenv::variables(&text, &environment));
        }
        if !is_plain {
            names.retain(|name| dotenv::is_identifier(name) && !environment.contains_key(name));
            let names: Vec<String> = names.into_iter().collect();
            file.extend(resolved(&names, options, folder, context)?);
        }
        // An invalid manifest fails every command that needs one.
        let manifest = reader::load(&context.repository);
        let prefix = manifest.map_or_else(|_| DEFAULT_ENV_PREFIX.to_owned(), |manifest| manifest.env_prefix);
        Ok(Variables { file, environment, prefix })
    }

    /// The name of one of this program's variables, such as `IMAGES_VERSION`: the manifest has the prefix.
    pub fn own_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// All variables as Compose sees them: the environment takes precedence, even with an empty value.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let of_file = self.file.iter().filter(|(name, _)| !self.environment.contains_key(*name));
        of_file.chain(&self.environment).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value in the environment, else in `.env`. Empty values count as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        let values = [&self.environment, &self.file].map(|all| all.get(name).map(String::as_str));
        values.into_iter().flatten().find(|value| !value.is_empty())
    }

    /// The value that Compose uses: the environment takes precedence, even if it is empty there.
    pub fn compose_value(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.file.get(name)).map(String::as_str)
    }

    /// Whether the variable is empty in the environment, which hides its value in `.env` from Compose.
    pub fn is_emptied(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(String::is_empty)
    }

    /// Where the value of [`Variables::get`] comes from, for messages.
    pub fn source(&self, name: &str) -> &'static str {
        let is_in_environment = self.environment.get(name).is_some_and(|value| !value.is_empty());
        if is_in_environment { "the environment" } else { ".env" }
    }

    /// A text with its variables replaced. `IMAGES_VERSION=latest-optimized` means the tag `latest`.
    ///
    /// # Errors
    /// When a required variable is not set, or the text is invalid.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let version = self.own_name("VERSION");
        interpolate(text, &|name| {
            let value = self.compose_value(name)?;
            let tag = if name == version { value.parse::<Tag>().ok() } else { None };
            Some(tag.map_or_else(|| value.to_owned(), |tag| tag.to_string()))
        })
    }

    /// A reference with its variables replaced, as by [`Variables::fill`].
    ///
    /// # Errors
    /// When a required variable is not set, or the result is invalid.
    pub fn resolve(&self, reference: &str) -> Result<String, String> {
        let resolved = self.fill(reference)?;
        let last = resolved.rsplit('/').next().unwrap_or_default();
        let tag = last.split('@').next().and_then(|name| name.split_once(':')).map(|(_, tag)| tag);
        match tag {
            Some(tag) if tag.parse::<Tag>().is_err() => {
                Err(format!("it becomes `{resolved}`, an invalid reference"))
            }
            _ => Ok(resolved),
        }
    }
}

/// Lets Compose evaluate these variables in a generated Compose file. Empty if Compose is missing.
fn resolved(
    names: &[String],
    env_files: &[PathBuf],
    folder: &Path,
    context: &Context,
) -> Result<BTreeMap<String, String>> {
    let fields =
        names.iter().enumerate().map(|(i, name)| (format!("V{i}"), Value::from(format!("${{{name}}}"))));
    let fields: Map<String, Value> = fields.collect();
    let file =
        json!({ "name": "variables", "services": { "all": { "image": "none", "environment": fields } } });
    let project = folder.display().to_string();
    let mut cmd = context.docker.cmd(["compose", "--project-directory", &project, "--file", "-"]);
    for file in env_files {
        cmd = cmd.arg("--env-file").arg(file.display().to_string());
    }
    let cmd = cmd.args(["config", "--format", "json"]).dir(context.repository.root()).stdin(file.to_string());
    let output = match cmd.capture() {
        Ok(output) if output.success() => output,
        Ok(output) if context.docker.has_compose() => return Err(unreadable(&output.stderr).into()),
        _ => return Ok(BTreeMap::new()),
    };
    let all: Value =
        serde_json::from_str(&output.stdout).context("unexpected output of `docker compose config`")?;
    let value = |(i, name): (usize, &String)| {
        let value = all["services"]["all"]["environment"][format!("V{i}")].as_str()?;
        // The output is a Compose file too, so dollar signs are doubled.
        Some((name.clone(), value.replace("$$", "$")))
    };
    Ok(names.iter().enumerate().filter_map(value).collect())
}

/// Compose's error about an env file, without the text that it quotes, which may contain a secret.
fn unreadable(stderr: &str) -> Failure {
    let line =
        stderr.split("line ").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
    let line = line.filter(|line: &String| !line.is_empty()).map_or(String::new(), |line| format!(":{line}"));
    let reason = [
        ("unterminated quoted value", "a quote is not closed"),
        ("in variable name", "invalid character in a variable name"),
        ("cannot contain a space", "space in a variable name"),
        ("is missing a value", "a required variable is not set"),
        ("Invalid template", "invalid `$` expansion; write `$$` for a dollar sign"),
        ("invalid interpolation format", "invalid `$` expansion; write `$$` for a dollar sign"),
    ];
    let reason = reason.iter().find(|(sign, _)| stderr.contains(sign)).map_or("", |(_, reason)| reason);
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let what = format!(".env{line}: Compose cannot read it{reason}");
    let help = "fix that line; single quotes around a value prevent expansion (the line is not shown because it may contain a secret)";
    Failure::new(FailureClass::Usage, what, help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_env_file_is_reported_without_its_text() {
        // As Compose 2.26 prints them.
        for (stderr, what) in [
            (
                "failed to read /r/.env: line 4: unterminated quoted value \"s3cret",
                ".env:4: Compose cannot read it: a quote is not closed",
            ),
            (
                "failed to read /r/.env: line 2: unexpected character \"/\" in variable name \"s3cret/x\"",
                ".env:2: Compose cannot read it: invalid character in a variable name",
            ),
            (
                "failed to read /r/.env: required variable Q is missing a value: s3cret",
                ".env: Compose cannot read it: a required variable is not set",
            ),
            ("s3cret", ".env: Compose cannot read it"),
        ] {
            let failure = unreadable(stderr);
            assert_eq!(failure.what, what);
            assert!(!failure.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn an_empty_variable_of_the_environment_counts_as_not_set() {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let variables = Variables {
            file: map(&[("A", "file"), ("B", "file"), ("C", "file"), ("D", "")]),
            environment: map(&[("A", ""), ("B", "shell"), ("ACME_VERSION", "1.0-optimized")]),
            prefix: "ACME_".to_owned(),
        };
        let got = ["A", "B", "C", "D", "E"].map(|name| variables.get(name));
        assert_eq!(got, [Some("file"), Some("shell"), Some("file"), None, None]);
        assert_eq!(["A", "B", "C"].map(|name| variables.is_emptied(name)), [true, false, false]);
        assert_eq!(["A", "B", "C"].map(|name| variables.source(name)), [".env", "the environment", ".env"]);
        // As Compose does.
        assert_eq!(variables.resolve("x:${A:-none}$B").as_deref(), Ok("x:noneshell"));
        assert_eq!(variables.all().count(), 5);
        // The Compose file appends the suffix.
        assert_eq!(variables.resolve("x:${ACME_VERSION}-optimized").as_deref(), Ok("x:1.0-optimized"));
    }
}
