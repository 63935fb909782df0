//! Secrets of the stack: made once by the services' own commands, kept in the git-ignored `.env` of its owner.

use anyhow::{Context as _, Result, bail};

use engine::docker::Docker;
use engine::dotenv;
use engine::variables::Variables;
use host::files;
use host::paths::Repository;
use model::manifest::{Manifest, Secret};

/// A secret that was made.
pub struct Made {
    /// The variable in `.env` that holds the plain secret.
    pub plain: String,
    /// The variable that services read.
    pub variable: String,
    /// The plain secret itself.
    pub secret: String,
    /// What services are given.
    pub entry: String,
}

/// Makes every secret that is set neither in `.env` nor in the environment. `image_of` names a service's image.
///
/// Each plain secret stands in `.env` too, beside what services read: it is what `smoke-test` and the person sign in with,
/// and the file is its owner's alone (mode 0600).
///
/// # Errors
/// When a service's command fails or prints another form, or `.env` cannot be written. What was there stays.
pub fn ensure(
    manifest: &Manifest,
    variables: &Variables,
    image_of: &dyn Fn(&str) -> Option<String>,
    docker: &Docker,
    repository: &Repository,
) -> Result<Vec<Made>> {
    let path = repository.dot_env();
    let mut text = files::read_if_there(&path)?.unwrap_or_default();
    let missing = |secret: &Secret| variables.get(&secret.variable).is_none();
    let made = make_all(manifest, missing, image_of, docker)?;
    for made in &made {
        text = dotenv::set(&text, &made.variable, &made.entry);
        text = dotenv::set(&text, &made.plain, &made.secret);
    }
    if !made.is_empty() {
        files::write_private(&path, text.as_bytes())?;
    }
    Ok(made)
}

/// Makes the secrets that are `wanted`, and keeps them nowhere.
///
/// # Errors
/// When a service has no image, or its command fails or prints another form.
pub fn make_all(
    manifest: &Manifest,
    wanted: impl Fn(&Secret) -> bool,
    image_of: &dyn Fn(&str) -> Option<String>,
    docker: &Docker,
) -> Result<Vec<Made>> {
    let mut all = Vec::new();
    for service in &manifest.services {
        for secret in service.secrets.iter().filter(|secret| wanted(secret)) {
            let image = image_of(&service.compose)
                .with_context(|| format!("the Compose file has no service {}", service.compose))?;
            let (plain, entry) = make(secret, &image, docker)?;
            let (plain_name, variable) = (secret.plain.clone(), secret.variable.clone());
            all.push(Made { plain: plain_name, variable, secret: plain, entry });
        }
    }
    Ok(all)
}

/// Keeps a choice in `.env`, where Compose itself and later commands find it.
///
/// # Errors
/// When `.env` cannot be read or written.
pub fn remember(name: &str, value: &str, repository: &Repository) -> Result<()> {
    let path = repository.dot_env();
    let text = files::read_if_there(&path)?.unwrap_or_default();
    files::write_private(&path, dotenv::set(&text, name, value).as_bytes())
}

/// Runs a service's own command for it: the first line ends in the plain secret, the second in what the service reads.
fn make(secret: &Secret, image: &str, docker: &Docker) -> Result<(String, String)> {
    let text = docker
        .cmd(["run", "--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL", image])
        .args(secret.command.iter().cloned())
        .read()
        .with_context(|| format!("cannot make a secret for {}", secret.variable))?;
    let mut ends =
        text.lines().filter_map(|line| line.rsplit_once(": ")).map(|(_, end)| end.trim().to_owned());
    match (ends.next(), ends.next()) {
        (Some(plain), Some(entry)) if !plain.is_empty() && !entry.is_empty() => Ok((plain, entry)),
        _ => bail!(
            "`{}` in {image} did not print a secret and its entry: build this image anew",
            secret.command.join(" ")
        ),
    }
}
