//! The stack's secrets: generated once by the services' own commands and kept in the git-ignored `.env` (mode 0600).

use std::fmt;

use anyhow::{Context as _, Result, bail};

use engine::docker::Docker;
use engine::dotenv;
use engine::variables::{ENV_FILES, Variables};
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;
use model::manifest::{Manifest, Secret, Service};

/// A generated secret.
pub struct GeneratedSecret {
    /// The variable in `.env` for the plain secret.
    pub plain: String,
    /// The variable that services read.
    pub variable: String,
    /// The plain secret.
    pub secret: String,
    /// The value for the services, such as a hash.
    pub entry: String,
}

/// A service's own command did not generate its secret. Its cause is the error's source.
#[derive(Debug)]
pub struct NotGenerated {
    /// The variable that would hold it.
    pub variable: String,
    /// The image that has the command.
    pub image: String,
}

impl fmt::Display for NotGenerated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot generate {}", self.variable)
    }
}

/// Generates every secret that is set neither in `.env` nor in the environment. `image_of` returns the image of a service that is
/// to be started; secrets of other services are skipped.
///
/// Plain secrets are also saved in `.env`: `smoke-test` and users sign in with them. Existing values are not changed.
///
/// # Errors
/// When only the plain secret is set, a service's command fails or prints something unexpected, or `.env` cannot be written.
/// `.env` is then unchanged.
pub fn ensure(
    manifest: &Manifest,
    variables: &Variables,
    image_of: &dyn Fn(&str) -> Option<String>,
    docker: &Docker,
    repository: &Repository,
) -> Result<Vec<GeneratedSecret>> {
    let missing = |secret: &Secret| variables.get(&secret.variable).is_none();
    let image_of_service = |service: &Service| service.compose.as_deref().and_then(image_of);
    let started = manifest.services.iter().filter(|service| image_of_service(service).is_some());
    let mut secrets = started.flat_map(|service| &service.secrets);
    let given = |secret: &&Secret| missing(secret) && variables.get(&secret.plain).is_some();
    if let Some(Secret { variable, plain, .. }) = secrets.find(given) {
        let what = format!("{plain} is set in {}, but {variable} is not", variables.source(plain));
        let help = format!("set both, or remove {plain} to have both generated and saved in .env");
        return Err(Failure::new(FailureClass::Failed, what, help).into());
    }
    let generated = generate(manifest, missing, image_of, docker)?;
    let values = generated.iter().flat_map(|secret| {
        [(secret.variable.as_str(), secret.entry.as_str()), (secret.plain.as_str(), secret.secret.as_str())]
    });
    store(&values.collect::<Vec<_>>(), repository)?;
    Ok(generated)
}

/// Generates the selected secrets of services that have an image, without storing them.
///
/// # Errors
/// When a service's command fails or prints something unexpected.
pub fn generate(
    manifest: &Manifest,
    is_selected: impl Fn(&Secret) -> bool,
    image_of: &dyn Fn(&str) -> Option<String>,
    docker: &Docker,
) -> Result<Vec<GeneratedSecret>> {
    let mut all = Vec::new();
    for service in &manifest.services {
        for secret in service.secrets.iter().filter(|secret| is_selected(secret)) {
            if let Some(image) = service.compose.as_deref().and_then(image_of) {
                let generated = run_command(secret, &image, docker);
                all.push(
                    generated.with_context(|| NotGenerated { variable: secret.variable.clone(), image })?,
                );
            }
        }
    }
    Ok(all)
}

/// Sets variables in `.env`, where Compose and later commands find them.
///
/// # Errors
/// When `.env` cannot be read or written, or `COMPOSE_ENV_FILES` replaces it.
pub fn store(values: &[(&str, &str)], repository: &Repository) -> Result<()> {
    if values.is_empty() {
        return Ok(());
    }
    if std::env::var_os(ENV_FILES).is_some_and(|names| !names.is_empty()) {
        let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
        let what = format!("cannot store {} in .env: {ENV_FILES} replaces it", names.join(", "));
        let help = format!("set them in one of the files in {ENV_FILES}, or unset {ENV_FILES}");
        return Err(Failure::new(FailureClass::Usage, what, help).into());
    }
    let path = repository.dot_env();
    let text = files::read_if_there(&path)?.unwrap_or_default();
    let text = values.iter().fold(text, |text, (name, value)| dotenv::set(&text, name, value));
    files::write_private(&path, text.as_bytes())
}

/// Runs the service's own command. Its first line of output ends with the plain secret, the second with the value for services.
/// Both are masked in output from now on.
fn run_command(secret: &Secret, image: &str, docker: &Docker) -> Result<GeneratedSecret> {
    let output = docker
        .cmd(["run", "--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL", image])
        .args(secret.command.iter().cloned())
        .read()?;
    let mut values = output.lines().filter_map(|line| Some(line.rsplit_once(": ")?.1.trim().to_owned()));
    match (values.next(), values.next()) {
        (Some(plain), Some(entry)) if !plain.is_empty() && !entry.is_empty() => {
            [&plain, &entry].into_iter().for_each(|value| docker.runner.secrets.add(value));
            let Secret { plain: name, variable, .. } = secret.clone();
            Ok(GeneratedSecret { plain: name, variable, secret: plain, entry })
        }
        _ => bail!(
            "`{}` in {image} did not print a secret and its entry\nhelp: rebuild this image",
            secret.command.join(" ")
        ),
    }
}
