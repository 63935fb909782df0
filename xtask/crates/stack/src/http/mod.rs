//! A plain HTTP client for the services of a stack. It decodes responses and keeps cookies by host, like a browser, but does not
//! follow redirects: a probe gets the status that the service sent.

mod cookies;
mod encoding;
pub(crate) mod tls;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT, HeaderName, HeaderValue, LOCATION,
    SET_COOKIE,
};
use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, AsSendBody};

use crate::http::cookies::{Cookie, CookieJar};
use model::probe::{Body, HttpRequest};
use model::response::HttpResponse;

/// Maximum size of a body, both compressed and decompressed.
const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;

/// An HTTP client with its cookies.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    cookies: BTreeMap<String, CookieJar>,
}

/// A request without a complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// The reason, without the request's header values and without any body.
    pub what: String,
    /// The kind of failure.
    pub kind: NoAnswerKind,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswerKind {
    /// Nothing listens at the address.
    Refused,
    /// The connection broke, or another I/O error occurred.
    Broken,
    /// The time limit passed.
    Late,
    /// The request cannot be sent, or the answer is invalid, too large or in an unsupported encoding.
    Invalid,
}

impl NoAnswer {
    /// Whether the connection was refused or broke: worth a retry while a service starts.
    pub fn is_connection(&self) -> bool {
        matches!(self.kind, NoAnswerKind::Refused | NoAnswerKind::Broken)
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for NoAnswer {}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// A client without cookies. It ignores the environment's proxies: services are local.
    pub fn new() -> Client {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
        Client { agent: config.into(), cookies: BTreeMap::new() }
    }

    /// Sends a request to `http://HOST`; `timeout` includes the whole answer.
    ///
    /// # Errors
    /// When the request is invalid, no complete answer arrives in time, or the answer cannot be decoded.
    pub fn send(
        &mut self,
        host: &str,
        request: &HttpRequest,
        timeout: Duration,
    ) -> Result<HttpResponse, NoAnswer> {
        let jar = self.cookies.entry(host.to_owned()).or_default();
        let body = match &request.body {
            Body::Empty => None,
            Body::Json(value) => Some(value.to_string()),
            Body::Text { text, .. } => Some(text.clone()),
            Body::Spaces { bytes, .. } => Some(" ".repeat(*bytes as usize)),
        };
        let head = head(host, request, jar)?;
        let agent = &self.agent;
        let response = match body {
            None => run(agent, head, timeout),
            Some(body) => run(agent, head.map(|()| body), timeout),
        };
        let mut response = response.map_err(|error| no_answer(&error, timeout))?;
        let body = whole_body(&mut response, timeout)?;
        let headers = response.headers();
        let mut cookies = BTreeMap::new();
        for cookie in headers.get_all(SET_COOKIE) {
            let Some(cookie) = Cookie::parse(cookie.as_bytes(), &request.path) else { continue };
            cookies.remove(&cookie.name);
            if !cookie.is_expired() {
                let value = String::from_utf8_lossy(&cookie.value);
                cookies.insert(cookie.name.clone(), value.trim_matches('"').to_owned());
            }
            jar.keep(cookie);
        }
        let (content_type, charset) = media_type(&header(headers, &CONTENT_TYPE));
        let location = headers.contains_key(LOCATION).then(|| header(headers, &LOCATION));
        Ok(HttpResponse {
            status: response.status().as_u16(),
            content_type,
            charset,
            body,
            cookies,
            location,
        })
    }
}

/// The request without its body.
fn head(host: &str, request: &HttpRequest, jar: &CookieJar) -> Result<Request<()>, NoAnswer> {
    let invalid = |what: String| NoAnswer { what, kind: NoAnswerKind::Invalid };
    let mut builder =
        Request::builder().method(request.method.name()).uri(format!("http://{host}{}", request.path));
    let mut add = |name: &str, value: &[u8]| {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid(format!("not sent: invalid header name `{name}`")))?;
        let value = HeaderValue::from_bytes(value).map_err(|_| {
            invalid(format!(
                "not sent: the value of header `{name}` contains a line break or another control character"
            ))
        })?;
        builder.headers_mut().map(|headers| headers.append(key, value));
        Ok(())
    };
    for (name, value) in &request.headers {
        add(name, value.as_bytes())?;
    }
    if let Some(cookies) = jar.header(&request.path) {
        add(COOKIE.as_str(), &cookies)?;
    }
    match &request.body {
        Body::Empty => {}
        Body::Json(_) => add(CONTENT_TYPE.as_str(), b"application/json")?,
        Body::Text { content_type, .. } => add(CONTENT_TYPE.as_str(), content_type.as_bytes())?,
        Body::Spaces { content_type, .. } => {
            add(CONTENT_TYPE.as_str(), content_type.as_bytes())?;
            // A server that refuses the body does so before it arrives. Otherwise, closing the connection could lose the answer.
            add(EXPECT.as_str(), b"100-continue")?;
        }
    }
    builder.body(()).map_err(|error| invalid(format!("not sent: {error}")))
}

fn run(
    agent: &Agent,
    request: Request<impl AsSendBody>,
    timeout: Duration,
) -> Result<Response<ureq::Body>, ureq::Error> {
    agent.run(agent.configure_request(request).timeout_global(Some(timeout)).build())
}

/// The whole body, decoded.
fn whole_body(response: &mut Response<ureq::Body>, timeout: Duration) -> Result<Vec<u8>, NoAnswer> {
    let mut bytes = Vec::new();
    let read = response.body_mut().with_config().limit(MAX_BODY_BYTES).reader().read_to_end(&mut bytes);
    let headers = response.headers();
    if let Err(error) = read {
        let NoAnswer { what, kind } = no_answer(&ureq::Error::from(error), timeout);
        let whole = header(headers, &CONTENT_LENGTH);
        let of = if whole.is_empty() { String::new() } else { format!(" of {whole}") };
        let what = match kind {
            NoAnswerKind::Broken | NoAnswerKind::Late => {
                format!("{what}, after {}{of} bytes of the body", bytes.len())
            }
            NoAnswerKind::Refused | NoAnswerKind::Invalid => what,
        };
        return Err(NoAnswer { what, kind });
    }
    let encodings: Vec<String> =
        headers.get_all(CONTENT_ENCODING).iter().map(|value| lossy(value.as_bytes())).collect();
    let decoded = encoding::decoded(bytes, &encodings.join(","), MAX_BODY_BYTES);
    decoded.map_err(|what| NoAnswer { what, kind: NoAnswerKind::Invalid })
}

/// A header's value; empty if it is missing.
fn header(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).map(|value| lossy(value.as_bytes())).unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The media type and the charset of a `Content-Type` (RFC 9110, section 8.3), both in lowercase.
fn media_type(value: &str) -> (String, String) {
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| Some(part.strip_prefix("charset=")?.trim_matches('"').to_owned()));
    (media_type, charset.unwrap_or_default())
}

fn no_answer(error: &ureq::Error, timeout: Duration) -> NoAnswer {
    use NoAnswerKind::{Broken, Invalid, Late, Refused};
    let of = |what: String, kind| NoAnswer { what, kind };
    match error {
        ureq::Error::Timeout(_) => of(format!("no complete answer within {timeout:?}"), Late),
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => of("connection refused".to_owned(), Refused),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                of("the connection broke".to_owned(), Broken)
            }
            _ => of(error.to_string(), Broken),
        },
        ureq::Error::ConnectionFailed => of("connection refused".to_owned(), Refused),
        ureq::Error::BodyExceedsLimit(_) => {
            of(format!("the body exceeds {} MiB", MAX_BODY_BYTES >> 20), Invalid)
        }
        ureq::Error::Protocol(error) => of(format!("the answer is not valid HTTP: {error}"), Invalid),
        other => of(other.to_string(), Invalid),
    }
}

#[cfg(test)]
mod tests;
