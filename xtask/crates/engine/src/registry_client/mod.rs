//! Pulls images from registries (OCI distribution specification), layer by layer and without an engine. Nothing is stored.

mod credentials;
mod reference;
mod token;
mod transport;

use std::cell::{Cell, RefCell};
use std::io::Read;

use anyhow::{Context as _, Result, bail};
use host::failure::{Failure, FailureClass};
use host::process::Runner;

pub use self::reference::RemoteReference;
use self::transport::{Request, Response, explained, send};
use crate::blob;
use crate::oci::{self, Choice, Descriptor, Document, ImageConfig, MOST_JSON};
use crate::stored_image::ManifestImage;

/// Supported media types, in order of preference.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
                         application/vnd.docker.distribution.manifest.list.v2+json, \
                         application/vnd.oci.image.manifest.v1+json, \
                         application/vnd.docker.distribution.manifest.v2+json";

/// One repository of a registry.
pub struct RegistryClient {
    reference: RemoteReference,
    runner: Runner,
    /// `http` or `https`, once it is known.
    scheme: Cell<Option<&'static str>>,
    /// The `Authorization` header, once it is known.
    authorization: RefCell<Option<String>>,
}

impl RegistryClient {
    /// A client for the repository of a reference.
    pub fn new(reference: RemoteReference, runner: &Runner) -> RegistryClient {
        RegistryClient {
            reference,
            runner: runner.clone(),
            scheme: Cell::default(),
            authorization: RefCell::default(),
        }
    }

    /// The manifest or index that the reference names.
    ///
    /// # Errors
    /// [`Failure`] when the registry does not answer, does not have it or denies access.
    pub(crate) fn root(&self) -> Result<Vec<u8>> {
        self.manifest(&self.reference.version)
    }

    /// The digest of the manifest or index that the reference names; `None` if the registry does not have it.
    ///
    /// # Errors
    /// [`Failure`] when the registry does not answer or denies access.
    pub fn digest(&self) -> Result<Option<String>> {
        let version = &self.reference.version;
        let response = self.get(&format!("manifests/{version}"), Some(MANIFESTS))?;
        match response.status {
            200 => Ok(Some(blob::sha256(&response.bytes(MOST_JSON)?))),
            404 => Ok(None),
            _ => bail!(self.refusal(response, version)),
        }
    }

    /// The image of a manifest or index, without its layers.
    ///
    /// # Errors
    /// When no image fits, a digest is wrong, or the registry does not have all of it.
    pub(crate) fn image(&self, root: &[u8], choice: &Choice) -> Result<ManifestImage> {
        let place = self.reference.to_string();
        let document = Document::parse(root, &format!("manifest of {place}"))?;
        let manifest = match &document.manifests {
            Some(index) => {
                let mut nested = |one: &Descriptor| self.verified_manifest(one);
                let chosen = oci::choose(index, choice, &place, &mut nested)?;
                Document::parse(&self.verified_manifest(&chosen.manifest)?, &chosen.manifest.digest)?
            }
            None => document,
        };
        let (config, layers) = manifest.image()?;
        let what = format!("configuration {}", config.digest);
        let mut json = Vec::new();
        let mut body = self.blob(config)?.take(MOST_JSON + 1);
        body.read_to_end(&mut json).map_err(|error| explained(error.into())).context(what.clone())?;
        verify(&json, &config.digest, &what)?;
        Ok(ManifestImage {
            id: config.digest.clone(),
            config: ImageConfig::parse(&json, &what)?,
            layers: layers.to_vec(),
            names: vec![place],
        })
    }

    /// The content of a blob, as it is stored.
    ///
    /// # Errors
    /// When the registry does not have it or does not answer.
    pub(crate) fn blob(&self, blob: &Descriptor) -> Result<Box<dyn Read>> {
        oci::hex(&blob.digest)?;
        let response = self.get(&format!("blobs/{}", blob.digest), None)?;
        if response.status != 200 {
            bail!(self.refusal(response, &blob.digest));
        }
        Ok(Box::new(Explained(response.body())))
    }

    fn verified_manifest(&self, one: &Descriptor) -> Result<Vec<u8>> {
        oci::hex(&one.digest)?;
        self.manifest(&one.digest)
    }

    /// A manifest or index by tag or digest.
    fn manifest(&self, version: &str) -> Result<Vec<u8>> {
        let response = self.get(&format!("manifests/{version}"), Some(MANIFESTS))?;
        if response.status != 200 {
            bail!(self.refusal(response, version));
        }
        let stated = response.headers("docker-content-digest").next().map(str::to_owned);
        let bytes = response.bytes(MOST_JSON)?;
        let digest = if version.contains(':') { Some(version.to_owned()) } else { stated };
        // A registry may state another kind of digest; the tag itself promises none.
        if let Some(digest) = digest.filter(|digest| digest.starts_with("sha256:")) {
            verify(&bytes, &digest, &format!("manifest {version}"))?;
        }
        Ok(bytes)
    }

    /// Sends a request. If the registry asks for an account or a token, it is sent again with one.
    fn get(&self, path: &str, accept: Option<&'static str>) -> Result<Response> {
        let response = self.send(path, accept)?;
        if response.status != 401 {
            return Ok(response);
        }
        let challenges: Vec<String> = response.headers("www-authenticate").map(str::to_owned).collect();
        drop(response);
        let is_local = self.scheme.get() == Some("http");
        let authorization = token::answer(&challenges, &self.reference, is_local, &self.runner)?;
        *self.authorization.borrow_mut() = Some(authorization);
        self.send(path, accept)
    }

    fn send(&self, path: &str, accept: Option<&'static str>) -> Result<Response> {
        let send = |scheme: &'static str| {
            let RemoteReference { repository, .. } = &self.reference;
            let request = Request {
                url: format!("{scheme}://{}/v2/{repository}/{path}", self.reference.api_host()),
                accept,
                authorization: self.authorization.borrow().clone(),
                is_local: self.reference.is_loopback(),
                ..Request::default()
            };
            let response = send(&request, &self.runner)?;
            self.scheme.set(Some(scheme));
            Ok(response)
        };
        match self.scheme.get() {
            Some(scheme) => send(scheme),
            // Docker allows plain HTTP on this machine alone.
            None if self.reference.is_loopback() => send("https").or_else(|_: anyhow::Error| send("http")),
            None => send("https"),
        }
    }

    /// Why there is no manifest or blob.
    fn refusal(&self, response: Response, what: &str) -> Failure {
        let (host, status) = (&self.reference.host, response.status);
        let has_account = self.authorization.borrow().is_some();
        let login = format!("sign in with `docker login {host}` if the image is private");
        match status {
            404 if oci::hex(what).is_ok() => {
                Failure::new(FailureClass::Failed, format!("the registry does not have {what}"), "")
            }
            404 => Failure::new(FailureClass::Failed, "not found", ""),
            401 | 403 if has_account => Failure::new(
                FailureClass::Failed,
                format!("not found, or not visible to this account ({status})"),
                login,
            ),
            401 | 403 => Failure::new(FailureClass::Failed, format!("access denied ({status})"), login),
            429 => {
                let class = FailureClass::RateLimit;
                Failure::new(class, "the registry limits requests (429)", class.remedy())
            }
            500.. => {
                let remedy = "check the registry, or try again later";
                Failure::new(FailureClass::Network, format!("the registry failed ({status})"), remedy)
            }
            _ => {
                Failure::new(FailureClass::Failed, format!("unexpected HTTP status {status} for {what}"), "")
            }
        }
    }
}

fn verify(bytes: &[u8], digest: &str, what: &str) -> Result<()> {
    let found = blob::sha256(bytes);
    if found != digest {
        bail!("{what} has the wrong digest: {found}, expected {digest}");
    }
    Ok(())
}

/// A body whose errors do not show curl's command line.
struct Explained(Box<dyn Read>);

impl Read for Explained {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(|error| std::io::Error::other(Plain(explained(error.into()))))
    }
}

/// An error whose class survives in `std::io::Error`.
#[derive(Debug)]
struct Plain(anyhow::Error);

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Plain {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.0.as_ref())
    }
}
