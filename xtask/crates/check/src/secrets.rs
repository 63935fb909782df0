//! Which values no image may hold: what the environment and `.env` call a secret, what the manifest does, passwords in
//! addresses, and the certificates of this machine's own CA, which builds get as a secret.

use std::collections::BTreeMap;

use anyhow::Result;

use contents::analysis::Inside;
use contents::scan::{Scanner, Secret};
use engine::context::Context;
use engine::trust::Trust;
use engine::variables::Variables;
use model::manifest::Manifest;

/// Words that make a variable's name one of a secret.
const WORDS: [&str; 14] = [
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "KEY",
    "KEYS",
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "PAT",
];

/// Last words of names of what is no secret itself.
const NO_SECRET: [&str; 8] = ["FILE", "PATH", "DIR", "ID", "NAME", "URL", "TYPE", "SOCK"];

/// What to look for.
///
/// # Errors
/// When there is a `.env` that cannot be read.
pub fn scanner(manifest: &Manifest, context: &Context) -> Result<Scanner> {
    let variables = Variables::read(&context.repository)?;
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let declared: Vec<&str> =
        secrets.flat_map(|secret| [secret.variable.as_str(), secret.plain.as_str()]).collect();
    let known = known(variables.all(), &declared).into_iter();
    let mut known: Vec<(String, Vec<u8>)> = known.map(|(name, value)| (name, value.into_bytes())).collect();
    for (index, forms) in Trust::detect().own_certificates().into_iter().enumerate() {
        let name = format!("certificate {} of this machine's own CA", index + 1);
        known.extend(forms.map(|part| (name.clone(), part)));
    }
    Ok(Scanner::new(&known))
}

/// Secrets by what a finding is to call them; never by their values.
fn known<'v>(
    variables: impl Iterator<Item = (&'v str, &'v str)>,
    declared: &[&str],
) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for (name, value) in variables {
        if (declared.contains(&name) || is_secret(name)) && is_telling(value) {
            known.insert(format!("the value of {name}"), value.to_owned());
        } else if let Some(password) = password(value).filter(|password| is_telling(password)) {
            known.insert(format!("the password in {name}"), password.to_owned());
        }
    }
    known
}

fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<&str> = upper.split('_').collect();
    let is_other = words.last().is_some_and(|last| NO_SECRET.contains(last))
        // What verifies a signature is public; Python's own images set this one.
        || words.contains(&"PUBLIC")
        || upper == "GPG_KEY";
    !is_other && words.iter().any(|word| WORDS.contains(word))
}

/// Whether finding a value means anything: a short or plain word stands in many a file.
fn is_telling(value: &str) -> bool {
    let kinds: [fn(&char) -> bool; 4] =
        [char::is_ascii_lowercase, char::is_ascii_uppercase, char::is_ascii_digit, |c| {
            !c.is_ascii_alphanumeric()
        }];
    let mixed = kinds.iter().filter(|kind| value.chars().any(|c| kind(&c))).count() > 1;
    let is_path = value.starts_with('/') && std::path::Path::new(value).exists();
    (value.len() >= 16 || value.len() >= 8 && mixed) && !is_path
}

/// The password in `scheme://user:password@host`.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// A secret in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leak {
    /// What is so.
    pub what: String,
    /// The layer that holds it; none where it stands in the configuration.
    pub layer: Option<usize>,
}

/// What to do about any of them.
pub const REMEDY: &str = "make it invalid, then build without it: hand secrets to RUN as `--mount=type=secret`; deleting the file in a later layer leaves it in the image";

/// Every secret in an image: in its layers, those included that a later layer hides, in its history and configuration.
pub fn leaks(inside: &Inside<'_>, scanner: &Scanner) -> Vec<Leak> {
    let mut leaks: Vec<Leak> = inside
        .secrets
        .iter()
        .map(|(layer, found)| {
            let is_there = inside.tree.shows(&found.path, *layer);
            let hidden = if is_there { "" } else { ", which a later layer hides but does not take out" };
            Leak {
                what: format!("{} is in /{}{hidden}", words(&found.secret), found.path),
                layer: Some(*layer),
            }
        })
        .collect();
    let mut look = |place: &str, text: &str| {
        let found = scanner.text(text).into_iter();
        leaks.extend(
            found.map(|secret| Leak { what: format!("{} is in {place}", words(&secret)), layer: None }),
        );
    };
    for line in inside.history.iter().rev() {
        let keyword = line.created_by.split_whitespace().next().unwrap_or_default();
        look(&format!("the image's history, at {keyword}"), &line.created_by);
    }
    if let Some(config) = &inside.image.config {
        for line in config.env.iter().flatten() {
            look(&format!("the image's variable {}", line.split('=').next().unwrap_or_default()), line);
        }
        for (name, value) in config.labels.iter().flatten() {
            look(&format!("the image's label {name}"), value);
        }
        let commands = [&config.entrypoint, &config.cmd];
        commands.iter().copied().flatten().flatten().for_each(|word| look("the image's command", word));
        let test = config.healthcheck.iter().filter_map(|check| check.test.as_ref());
        test.flatten().for_each(|word| look("the image's health check", word));
    }
    leaks
}

fn words(secret: &Secret) -> String {
    match secret {
        Secret::PrivateKey => "a private key".to_owned(),
        Secret::Token(name) => format!("what looks like a {name}"),
        Secret::Known(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret_and_plain_words_are_passed_over() {
        let variables = [
            ("SUTRA_API_KEY", "sutra_k1_Ab3dE"),
            ("GITHUB_TOKEN", "abcdefgh1"),
            ("DB_PASSWORD", "postgres"),
            ("TOKEN_FILE", "/run/secrets/t0ken"),
            ("GPG_KEY", "7169605F62C751356D054A26A821E680E5FA6305"),
            ("EDITOR", "vim-with-a-long-name"),
            ("MONKEY_BUSINESS", "abcdefgh12345678"),
            ("SUTRA_OTHER", "declared-1"),
            ("HTTPS_PROXY", "http://user:p4ssw0rd!@proxy.example:3128/"),
        ];
        let known = known(variables.into_iter(), &["SUTRA_OTHER"]);
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "the password in HTTPS_PROXY",
                "the value of GITHUB_TOKEN",
                "the value of SUTRA_API_KEY",
                "the value of SUTRA_OTHER"
            ]
        );
        assert_eq!(known["the password in HTTPS_PROXY"], "p4ssw0rd!");
    }
}
