//! Any image, as a manifest of one service: what runs it, and the requests that probe it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use engine::compose::Project;
use engine::context::Context;
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use model::edition::Edition;
use model::expectation::Expectation;
use model::manifest::{DEFAULT_ENV_PREFIX, Manifest, Service, StackSource};
use model::parity::ParityRules;
use model::probe::{Body, HttpRequest, Method, Probe};

/// The project's name in the names and labels of the stacks.
const PROJECT: &str = "images";

/// The only probe of a command that runs to its end.
const COMMAND: &str = "command";

/// What runs the image.
#[derive(Debug, Clone)]
pub enum Runner {
    /// One container of an image, with this command; empty for the image's own.
    Image {
        /// Its reference.
        reference: String,
        /// Replaces `CMD`.
        command: Vec<String>,
    },
    /// A service of a Compose file.
    Compose {
        /// The file, as an absolute path.
        file: PathBuf,
        /// The service.
        service: String,
    },
}

/// Any image with its requests.
#[derive(Debug, Clone)]
pub struct AnyImage {
    /// What runs it.
    pub runner: Runner,
    /// The port that it listens on; `None` for the only one that the image exposes.
    pub port: Option<u16>,
    /// The requests; `None` for a command that runs to its end.
    pub requests: Option<Vec<Probe>>,
}

impl Runner {
    /// The service's name in the manifest and in the Compose file.
    pub fn service(&self) -> &str {
        match self {
            Runner::Image { .. } => "image",
            Runner::Compose { service, .. } => service,
        }
    }
}

impl AnyImage {
    /// The manifest.
    ///
    /// # Errors
    /// When the image or the Compose service is missing, or the port is unknown.
    pub fn manifest(self, context: &Context) -> Result<Manifest> {
        let name = self.runner.service().to_owned();
        let (reference, stack) = match self.runner {
            Runner::Image { reference, command } => {
                let text = compose(&name, &reference, &command);
                (reference, StackSource::Text(text))
            }
            Runner::Compose { file, service } => {
                let reference = image_of(&file, &service, context)?;
                (reference, StackSource::File(file))
            }
        };
        let Some(image) = context.docker.look(&reference)? else {
            let remedy = format!("docker pull {reference}, or build it");
            return Err(
                Failure::new(FailureClass::Failed, format!("image not found: {reference}"), remedy).into()
            );
        };
        let runs_once = self.requests.is_none();
        let port = match self.port {
            None if !runs_once => Some(only_port(&reference, &image)?),
            port => port,
        };
        let probes = self.requests.unwrap_or_else(|| vec![command_probe(&name)]);
        let service = Service {
            compose: Some(name.clone()),
            name,
            pulled: Some(reference),
            port,
            probes,
            runs_once,
            ..Service::default()
        };
        Ok(Manifest {
            project: PROJECT.to_owned(),
            env_prefix: DEFAULT_ENV_PREFIX.to_owned(),
            editions: vec![Edition::NONE],
            services: vec![service],
            stack,
            ..Manifest::default()
        })
    }
}

/// The Compose file of one container. JSON is YAML.
fn compose(name: &str, reference: &str, command: &[String]) -> String {
    let escaped = |text: &str| text.replace('$', "$$");
    let mut service = json!({ "image": escaped(reference) });
    if !command.is_empty() {
        service["command"] = command.iter().map(|word| escaped(word)).collect();
    }
    json!({ "services": { name: service } }).to_string()
}

fn image_of(file: &Path, service: &str, context: &Context) -> Result<String> {
    let project = Project::new(&context.docker, context.repository.root()).files(vec![file.to_owned()]);
    // A service that is named starts whatever its profiles.
    let project = project.profiles(&["*".to_owned()]);
    let services = project.config()?.services;
    let Some(found) = services.get(service) else {
        let names: Vec<&str> = services.keys().map(String::as_str).collect();
        let what = format!("{} has no service `{service}`", file.display());
        return Err(
            Failure::new(FailureClass::Usage, what, format!("use one of: {}", names.join(", "))).into()
        );
    };
    if found.image.is_empty() {
        let what = format!("service `{service}` in {} has no `image`", file.display());
        return Err(Failure::new(FailureClass::Usage, what, "add `image: NAME:TAG` to it").into());
    }
    Ok(found.image.clone())
}

/// The only TCP port that an image exposes.
fn only_port(reference: &str, image: &Image) -> Result<u16, Failure> {
    let exposed = image.config.iter().flat_map(|config| config.exposed_ports.iter().flatten());
    let ports: Vec<u16> =
        exposed.filter_map(|(port, _)| port.trim_end_matches("/tcp").parse().ok()).collect();
    match ports.as_slice() {
        [port] => Ok(*port),
        _ => {
            let what = format!("cannot choose a port: {reference} exposes {} TCP ports", ports.len());
            Err(Failure::new(
                FailureClass::Usage,
                what,
                "add `--port N` with the port that serves the requests",
            ))
        }
    }
}

/// Its request is not sent: the command's output is the answer.
fn command_probe(service: &str) -> Probe {
    let (path, headers) = (String::new(), std::collections::BTreeMap::new());
    Probe {
        name: COMMAND.to_owned(),
        service: service.to_owned(),
        only: Vec::new(),
        request: HttpRequest { method: Method::Get, path, headers, body: Body::Empty },
        expect: Expectation { status: 200, checks: Vec::new() },
        capture: None,
        eventually: false,
        typical: false,
        parity: ParityRules::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_reaches_compose_as_written() {
        let text = compose("image", "jq:1", &["jq".into(), "$x".into()]);
        assert_eq!(text, r#"{"services":{"image":{"command":["jq","$$x"],"image":"jq:1"}}}"#);
        assert_eq!(compose("image", "jq:1", &[]), r#"{"services":{"image":{"image":"jq:1"}}}"#);
    }

    #[test]
    fn only_one_exposed_port_is_chosen() {
        let image = |ports: serde_json::Value| -> Image {
            serde_json::from_value(json!({ "Config": { "ExposedPorts": ports } })).unwrap()
        };
        assert_eq!(only_port("a", &image(json!({ "80/tcp": {}, "53/udp": {} }))).unwrap(), 80);
        for ports in [json!({}), json!(null), json!({ "80/tcp": {}, "81/tcp": {} })] {
            assert!(only_port("a", &image(ports)).unwrap_err().to_string().contains("--port N"));
        }
    }
}
