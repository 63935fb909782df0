//! Why a registry refused a request.

use anyhow::Result;
use host::failure::{Failure, FailureClass};
use host::printable::printable;
use serde::Deserialize;

use super::RegistryClient;
use super::transport::Response;
use crate::oci;

/// Error bodies are a few hundred bytes long.
const MOST_BYTES: u64 = 1 << 16;

/// The body of an error (OCI distribution specification, "Error Codes").
#[derive(Default, Deserialize)]
#[serde(default)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OneError {
    code: Option<String>,
    message: Option<String>,
}

impl RegistryClient {
    /// Why a manifest or blob cannot be read.
    pub(super) fn refusal(&self, response: Response, what: &str) -> Failure {
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
    /// Why the registry did not accept an upload, a manifest or a removal.
    pub(super) fn rejection(&self, response: Response, what: &str) -> Failure {
        let (host, repository, status) = (&self.reference.host, &self.reference.repository, response.status);
        if matches!(status, 429 | 500..) {
            return self.refusal(response, what);
        }
        let remedy = match status {
            401 | 403 => {
                format!("sign in with `docker login {host}` to an account that may push to {repository}")
            }
            405 | 501 => format!("allow this on {host}, or use another registry"),
            413 => {
                format!(
                    "raise the request size limit of {host} or the proxy in front of it (nginx: client_max_body_size)"
                )
            }
            _ => String::new(),
        };
        let reason = reason(response).map(|reason| format!(": {reason}")).unwrap_or_default();
        Failure::new(FailureClass::Failed, format!("the registry rejected {what} ({status}){reason}"), remedy)
    }
}

/// The code and message in the body of an error.
fn reason(response: Response) -> Option<String> {
    let body: Result<Vec<u8>> = response.bytes(MOST_BYTES);
    let errors: Errors = serde_json::from_slice(&body.ok()?).ok()?;
    let OneError { code, message } = errors.errors.into_iter().next()?;
    let text = [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    (!text.is_empty()).then(|| printable(&text))
}
