//! Reads and writes images in registries (OCI distribution specification 1.1), blob by blob and without an engine. No image is stored
//! on this machine.

#[cfg(test)]
mod attestation_tests;
mod credentials;
#[cfg(test)]
mod fake;
mod manifests;
mod reference;
mod referrers;
mod refusal;
mod retry;
mod token;
mod transport;
mod upload;
mod upload_steps;

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use host::failure::{Failure, FailureClass};
use host::process::Runner;

pub use self::manifests::{PutManifest, media_type_of};
pub use self::reference::RemoteReference;
use self::reference::is_loopback;
pub use self::referrers::Referrer;
use self::transport::{Method, Request, Response, explained, send};
pub use self::upload::{BlobDelivery, BlobToUpload, Delivered};
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
    registry: RegistryScheme,
    /// The `Authorization` header, once it is known.
    authorization: RefCell<Option<String>>,
    /// The scopes that tokens must have.
    scopes: RefCell<Vec<String>>,
    /// The pause after the first failure.
    pause: Duration,
}

/// `http` or `https`, once it is known. Clients of one registry can share it, so that only the first one tries both.
#[derive(Debug, Clone, Default)]
pub struct RegistryScheme(Arc<Mutex<Option<&'static str>>>);

impl RegistryScheme {
    /// Sends with the known scheme, or determines it first, while other clients wait.
    fn send<T>(&self, is_loopback: bool, send: impl Fn(&'static str) -> Result<T>) -> Result<T> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = *known {
            drop(known);
            return send(scheme);
        }
        let answer = send("https").map(|answer| ("https", answer));
        let (scheme, answer) = match answer {
            // Docker allows plain HTTP only on this machine.
            Err(_) if is_loopback => ("http", send("http")?),
            answer => answer?,
        };
        *known = Some(scheme);
        Ok(answer)
    }

    fn is_http(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Some("http")
    }
}

/// A client's request, before scheme, host and account are added.
#[derive(Default)]
struct Ask<'a> {
    method: Method,
    /// A path below the repository, or an upload location returned by the registry.
    path: &'a str,
    accept: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
    /// The file to send.
    body: Option<&'a Path>,
}

impl RegistryClient {
    /// A client for the repository of a reference.
    pub fn new(reference: RemoteReference, runner: &Runner) -> RegistryClient {
        RegistryClient::on(reference, RegistryScheme::default(), runner)
    }

    /// Like [`RegistryClient::new`], on a registry that other clients use, too.
    pub fn on(reference: RemoteReference, registry: RegistryScheme, runner: &Runner) -> RegistryClient {
        let scopes = vec![format!("repository:{}:pull", reference.repository)];
        RegistryClient {
            reference,
            scopes: RefCell::new(scopes),
            pause: retry::PAUSE,
            runner: runner.clone(),
            registry,
            authorization: RefCell::default(),
        }
    }

    /// The manifest or index that the reference names.
    ///
    /// # Errors
    /// [`host::failure::Failure`] when the registry does not answer, does not have it or denies access.
    pub(crate) fn root(&self) -> Result<Vec<u8>> {
        self.manifest(&self.reference.version)
    }

    /// The digest of the manifest or index that the reference names; `None` if the registry does not have it.
    ///
    /// # Errors
    /// When the registry does not answer, denies access, or returns other content.
    pub fn digest(&self) -> Result<Option<String>> {
        Ok(self.find_manifest(&self.reference.version)?.map(|bytes| blob::sha256(&bytes)))
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
        self.manifest_in(self.get(&format!("manifests/{version}"), Some(MANIFESTS))?, version)
    }

    /// The manifest or index in a response, verified.
    fn manifest_in(&self, response: Response, version: &str) -> Result<Vec<u8>> {
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

    fn get(&self, path: &str, accept: Option<&'static str>) -> Result<Response> {
        self.ask(&Ask { path, accept, ..Ask::default() })
    }

    /// Sends a request. If the registry asks for an account or a token, it is sent again with one. Another host that the registry names
    /// gets neither: its challenge could name any token service.
    fn ask(&self, ask: &Ask<'_>) -> Result<Response> {
        let response = self.send(ask)?;
        if response.status != 401 {
            return Ok(response);
        }
        if response.left_host || !self.is_own(ask.path) {
            let what = format!("another host, named by {}, asks for an account (401)", self.reference.host);
            bail!(Failure::new(
                FailureClass::Failed,
                what,
                "use the address of the registry that has the images"
            ));
        }
        let challenges: Vec<String> = response.headers("www-authenticate").map(str::to_owned).collect();
        drop(response);
        let is_local = self.registry.is_http();
        let scopes = self.scopes.borrow().clone();
        let authorization = token::answer(&challenges, &scopes, &self.reference, is_local, &self.runner)?;
        *self.authorization.borrow_mut() = Some(authorization);
        self.send(ask)
    }

    /// Whether a path, or a URL that the registry returned, is on the registry itself.
    fn is_own(&self, path: &str) -> bool {
        let scheme = if self.registry.is_http() { "http" } else { "https" };
        !path.contains("://") || path.starts_with(&format!("{scheme}://{}/", self.reference.api_host()))
    }

    fn send(&self, ask: &Ask<'_>) -> Result<Response> {
        let send = |scheme: &'static str| {
            let own = format!("{scheme}://{}/", self.reference.api_host());
            let url = match ask.path {
                url if url.contains("://") => url.to_owned(),
                path if path.starts_with('/') => format!("{}{path}", own.trim_end_matches('/')),
                path => format!("{own}v2/{}/{path}", self.reference.repository),
            };
            let host = url.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next());
            let request = Request {
                method: ask.method,
                accept: ask.accept,
                headers: ask.headers.clone(),
                body: ask.body.map(Path::to_owned),
                // An upload location may be on another host, which must not receive the account.
                authorization: self.authorization.borrow().clone().filter(|_| url.starts_with(&own)),
                is_local: self.reference.is_loopback() && host.is_some_and(is_loopback),
                url,
                ..Request::default()
            };
            send(&request, &self.runner)
        };
        self.registry.send(self.reference.is_loopback(), send)
    }

    /// Adds a scope to the next token.
    fn allow(&self, scope: String) {
        let mut scopes = self.scopes.borrow_mut();
        if !scopes.contains(&scope) {
            scopes.push(scope);
            // Some registries answer 403 instead of asking for a token with more scopes.
            let is_token = |header: &String| header.starts_with("Bearer ");
            self.authorization.borrow_mut().take_if(|header| is_token(header));
        }
    }

    fn allow_push(&self) {
        self.allow(format!("repository:{}:pull,push", self.reference.repository));
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
