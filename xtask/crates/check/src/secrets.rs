//! Values no image may contain: secrets of the environment, of `.env` and of the manifest, passwords in URLs, and the
//! certificates of this machine's private CA, which builds get as a secret.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anyhow::Result;

use contents::analysis::Inside;
use contents::facts::{Metadata, MetadataFile};
use contents::scan::assignments::{self, Syntax};
use contents::scan::literal::is_credential;
use contents::scan::{FoundSecret, Scanner, Secret, names};
use engine::context::Context;
use engine::trust::Trust;
use engine::variables::Variables;
use host::secrets::encodings;
use model::manifest::Manifest;

/// Minimum length of a form, in bytes.
const MIN_FORM: usize = 8;

/// The values of this environment.
#[derive(Debug)]
pub struct KnownValues(BTreeMap<String, String>);

impl KnownValues {
    /// Reads the environment and `.env`.
    ///
    /// # Errors
    /// When `.env` cannot be read.
    pub fn read(manifest: &Manifest, context: &Context) -> Result<KnownValues> {
        let variables = Variables::read(context)?;
        let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
        let declared: Vec<&str> =
            secrets.flat_map(|secret| [secret.variable.as_str(), secret.plain.as_str()]).collect();
        Ok(KnownValues(secret_values(variables.all(), &declared)))
    }

    /// A scanner for images.
    ///
    /// # Errors
    /// When there are too many values.
    pub fn scanner(&self) -> Result<Scanner> {
        let mut values: Vec<(String, Vec<u8>)> = self.forms(|_| true).collect();
        for (index, forms) in Trust::detect().own_certificates().into_iter().enumerate() {
            let name = format!("certificate {} of this machine's private CA", index + 1);
            values.extend(forms.map(|part| (name.clone(), part)));
        }
        Scanner::new(&values)
    }

    /// A scanner for files in the repository. It allows certificates, and placeholders that are still in `.env`.
    ///
    /// # Errors
    /// When there are too many values.
    pub fn file_scanner(&self) -> Result<Scanner> {
        Scanner::new(&self.forms(is_credential).collect::<Vec<_>>())
    }

    fn forms(&self, is_wanted: fn(&str) -> bool) -> impl Iterator<Item = (String, Vec<u8>)> {
        let values = self.0.iter().filter(move |(_, value)| is_wanted(value));
        values.flat_map(|(name, value)| encoded(value).map(move |form| (name.clone(), form)))
    }
}

/// The forms of a value to search for: unchanged, encoded, and in UTF-16.
fn encoded(value: &str) -> impl Iterator<Item = Vec<u8>> + use<> {
    let wide = |of: fn(u16) -> [u8; 2]| value.encode_utf16().flat_map(of).collect::<Vec<u8>>();
    let wide = [wide(u16::to_le_bytes), wide(u16::to_be_bytes)];
    let forms = encodings(value).into_iter().map(String::into_bytes).chain(wide);
    // Shorter forms, such as the middle of a short value in base64, occur by chance.
    let forms: BTreeSet<Vec<u8>> = forms.filter(|form| form.len() >= MIN_FORM).collect();
    forms.into_iter()
}

/// Secret values by the label that findings print instead of them.
fn secret_values<'v>(
    variables: impl Iterator<Item = (&'v str, &'v str)>,
    declared: &[&str],
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for (name, value) in variables {
        if (declared.contains(&name) || names::is_secret(name)) && is_searched(value) {
            values.insert(format!("the value of {name}"), value.to_owned());
        } else if let Some(password) = password(value).filter(|password| is_searched(password)) {
            values.insert(format!("the password in {name}"), password.to_owned());
        }
    }
    values
}

/// Whether to search for this value.
fn is_searched(value: &str) -> bool {
    let is_path = value.starts_with('/') && std::path::Path::new(value).exists();
    names::is_distinctive(value) && !is_path
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
    /// What was found where.
    pub what: String,
    /// The file, or `history`, `env:NAME`, `label:NAME`, `command` or `healthcheck`.
    pub path: String,
    /// The layer that contains it; `None` for history and configuration.
    pub layer: Option<usize>,
}

/// How to fix any leak.
pub const REMEDY: &str = "revoke the secret, then pass it to RUN with `--mount=type=secret`; deleting a file in a later layer does not remove it from the image";

/// All secrets in an image's layers (including files that a later layer hides), history and configuration.
pub fn leaks(inside: &Inside<'_>, scanner: &Scanner) -> Vec<Leak> {
    let public = PublicFiles::of(inside.tree.all_metadata());
    let found = inside.secrets.iter().filter(|(_, found)| !public.have(found));
    let mut leaks: Vec<Leak> = found
        .map(|(layer, found)| {
            let is_visible = inside.tree.shows(&found.path, *layer);
            let hidden = if is_visible { "" } else { ", which a later layer hides but does not remove" };
            let path = format!("/{}", scanner.mask(&found.path));
            Leak { what: format!("{} is in {path}{hidden}", label(&found.secret)), path, layer: Some(*layer) }
        })
        .collect();
    let mut scan = |place: &str, path: &str, text: &str, syntax: Syntax| {
        let leak =
            |what: String| Leak { what: format!("{what} is in {place}"), path: path.to_owned(), layer: None };
        let secrets: Vec<String> = scanner.text(text).iter().map(label).collect();
        // A token is already reported with its issuer.
        let written = assignments::find(text, syntax).into_iter().filter(|_| secrets.is_empty());
        let written: BTreeSet<String> = written.map(|(_, what)| what).collect();
        leaks.extend(secrets.iter().cloned().chain(written).map(leak));
    };
    for line in inside.history.iter().rev() {
        let keyword = line.created_by.split_whitespace().next().unwrap_or_default();
        scan(&format!("the image history, at {keyword}"), "history", &line.created_by, Syntax::Mixed);
    }
    if let Some(config) = &inside.image.config {
        for line in config.env.iter().flatten() {
            let name = line.split('=').next().unwrap_or_default();
            scan(&format!("the image variable {name}"), &format!("env:{name}"), line, Syntax::Variables);
        }
        for (name, value) in config.labels.iter().flatten() {
            let line = format!("{name}={value}");
            scan(&format!("the image label {name}"), &format!("label:{name}"), &line, Syntax::Variables);
        }
        let commands = [&config.entrypoint, &config.cmd];
        let words = commands.iter().copied().flatten().flatten();
        words.for_each(|word| scan("the image command", "command", word, Syntax::Mixed));
        let test = config.healthcheck.iter().filter_map(|check| check.test.as_ref());
        test.flatten().for_each(|word| scan("the image health check", "healthcheck", word, Syntax::Mixed));
    }
    leaks
}

/// The checksums of files in public packages.
struct PublicFiles {
    md5: HashSet<[u8; 16]>,
    sha256: HashSet<[u8; 32]>,
}

impl PublicFiles {
    /// Reads them from packages' records. A Python distribution that was installed from a local folder is not public.
    fn of<'f>(metadata: impl Iterator<Item = &'f MetadataFile>) -> PublicFiles {
        let metadata: Vec<&MetadataFile> = metadata.collect();
        let folder = |file: &MetadataFile| file.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let is_local = |file: &&&MetadataFile| file.metadata == Metadata::DistIsLocal;
        let local: HashSet<_> = metadata.iter().filter(is_local).map(|file| folder(file)).collect();
        let mut public = PublicFiles { md5: HashSet::new(), sha256: HashSet::new() };
        for file in metadata {
            match &file.metadata {
                Metadata::DpkgFiles { md5, .. } => public.md5.extend(md5),
                Metadata::DistFiles { sha256, .. } if !local.contains(&folder(file)) => {
                    public.sha256.extend(sha256);
                }
                _ => {}
            }
        }
        public
    }

    /// Whether the file is part of a public package. Secrets of this environment are never public.
    fn have(&self, found: &FoundSecret) -> bool {
        let is_known = matches!(found.secret, Secret::Known(_));
        let sums = found.sums.as_ref().filter(|_| !is_known);
        sums.is_some_and(|sums| self.md5.contains(&sums.md5) || self.sha256.contains(&sums.sha256))
    }
}

/// What a secret is, without its value.
pub fn label(secret: &Secret) -> String {
    match secret {
        Secret::PrivateKey => "a private key".to_owned(),
        Secret::Token(name) => format!("a possible {name}"),
        Secret::Credential(name) => format!("a possible {name}"),
        Secret::Known(name) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_names_mark_secrets_and_plain_words_are_ignored() {
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
        let values = secret_values(variables.into_iter(), &["SUTRA_OTHER"]);
        let names: Vec<&str> = values.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "the password in HTTPS_PROXY",
                "the value of GITHUB_TOKEN",
                "the value of SUTRA_API_KEY",
                "the value of SUTRA_OTHER"
            ]
        );
        assert_eq!(values["the password in HTTPS_PROXY"], "p4ssw0rd!");
    }
}
