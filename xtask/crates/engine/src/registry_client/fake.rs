//! An in-process registry for tests. It keeps the part of an upload that arrived before the connection broke.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use host::process::Runner;

use super::RegistryClient;
use crate::blob;

/// Its contents and behavior.
#[derive(Default)]
pub(super) struct State {
    /// By repository and digest.
    pub(super) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and tag or digest, with the media type.
    pub(super) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By location.
    pub(super) uploads: BTreeMap<String, Vec<u8>>,
    /// The request lines.
    pub(super) seen: Vec<String>,
    /// The total size of upload bodies in bytes.
    pub(super) received: usize,
    /// Numbers of received bytes at which the connection breaks.
    pub(super) breaks: Vec<usize>,
    /// Whether the next completed upload is stored without a response.
    pub(super) loses_response: bool,
    /// Whether it forgets an upload whose connection breaks.
    pub(super) forgets: bool,
    /// Whether it has the referrers API.
    pub(super) has_referrers: bool,
    /// Whether each page of referrers links to itself as the next page.
    pub(super) repeats_referrers: bool,
    /// Whether it drops what a PATCH sends, but accepts it.
    pub(super) drops: bool,
    /// Where it redirects reads to, such as `http://127.0.0.1:5000`.
    pub(super) redirects_to: Option<String>,
    /// Whether it asks for a token, which must have all scopes of the request.
    pub(super) asks: bool,
    /// The queries of token requests.
    pub(super) tokens: Vec<String>,
}

pub(super) struct Fake {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct Answer {
    status: &'static str,
    headers: Vec<String>,
    body: Vec<u8>,
}

fn answer(status: &'static str, headers: &[String]) -> Option<Answer> {
    Some(Answer { status, headers: headers.to_vec(), body: Vec::new() })
}

impl Fake {
    pub(super) fn start(state: State) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let state = Arc::downgrade(&fake.state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if state.strong_count() == 0 {
                    return;
                }
                serve(&stream, &state);
            }
        });
        fake
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn client(&self, repository: &str) -> RegistryClient {
        let reference = format!("{}/{repository}:1", self.address).parse().unwrap();
        let mut client = RegistryClient::new(reference, &Runner::default());
        client.pause = Duration::from_millis(1);
        client
    }

    /// The number of request lines with this prefix.
    pub(super) fn count(&self, start: &str) -> usize {
        self.state().seen.iter().filter(|line| line.starts_with(start)).count()
    }
}

fn serve(stream: &TcpStream, state: &Weak<Mutex<State>>) {
    let mut reader = BufReader::new(stream);
    // curl tries TLS first.
    if !reader.fill_buf().is_ok_and(|bytes| bytes.first().is_some_and(u8::is_ascii_uppercase)) {
        return;
    }
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| head.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let length = header("Content-Length").map_or(0, |length| length.parse().unwrap());
    let Some(state) = state.upgrade() else { return };
    let mut state = state.lock().unwrap();
    let host = header("Host").unwrap();
    state.seen.push(head[0].clone());
    let is_upload = head[0].contains("/blobs/uploads/");
    let room = state.breaks.first().map_or(usize::MAX, |at| at - state.received);
    let is_cut = is_upload && length > 0 && length >= room;
    if header("Expect").is_some() {
        // Otherwise curl waits for a second.
        reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok();
    }
    let mut body = vec![0; if is_cut { room } else { length }];
    reader.read_exact(&mut body).unwrap();
    if is_upload {
        state.received += body.len();
    }
    if is_cut {
        state.breaks.remove(0);
    }
    let (method, target) = head[0].trim_end_matches(" HTTP/1.1").split_once(' ').unwrap();
    let request = Request {
        method,
        target,
        media_type: header("Content-Type").unwrap_or_default(),
        range: header("Content-Range"),
        token: header("Authorization").and_then(|header| header.strip_prefix("Bearer ")),
        host,
        body,
        is_cut,
    };
    let Some(Answer { status, headers, body }) = state.answer(request) else { return };
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n")
        .ok();
    if method != "HEAD" {
        stream.write_all(&body).ok();
    }
}

struct Request<'a> {
    method: &'a str,
    target: &'a str,
    media_type: &'a str,
    range: Option<&'a str>,
    token: Option<&'a str>,
    host: &'a str,
    body: Vec<u8>,
    is_cut: bool,
}

impl State {
    fn answer(&mut self, request: Request<'_>) -> Option<Answer> {
        let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
        if path == "/token" {
            self.tokens.push(query.to_owned());
            let body = format!(r#"{{"token":"{}"}}"#, query.replace('&', "-")).into_bytes();
            return Some(Answer { status: "200 OK", headers: Vec::new(), body });
        }
        let writes = !matches!(request.method, "GET" | "HEAD");
        if self.asks && !request.token.is_some_and(|token| !writes || token.contains("push")) {
            let ask = format!(r#"Bearer realm="http://{}/token",service="fake""#, request.host);
            return answer("401 Unauthorized", &[format!("WWW-Authenticate: {ask}")]);
        }
        if let (Some(other), false) = (&self.redirects_to, writes) {
            return answer("307 Temporary Redirect", &[format!("Location: {other}{path}")]);
        }
        let (repository, rest) = path.strip_prefix("/v2/")?.split_once('/')?;
        let key = |version: &str| (repository.to_owned(), version.to_owned());
        let part = |name: &str| query.split('&').find_map(|part| part.strip_prefix(&format!("{name}=")));
        match (request.method, rest.split_once('/')?) {
            ("POST", ("blobs", "uploads/")) => {
                let location = format!("/v2/{repository}/blobs/uploads/{}", self.seen.len());
                self.uploads.insert(location.clone(), Vec::new());
                answer("202 Accepted", &[format!("Location: {location}")])
            }
            (_, ("blobs", place)) if place.starts_with("uploads/") => {
                self.upload(path, part("digest"), request)
            }
            ("GET" | "HEAD", ("blobs", digest)) => match self.blobs.get(&key(digest)) {
                Some(body) => Some(Answer { status: "200 OK", headers: Vec::new(), body: body.clone() }),
                None => answer("404 Not Found", &[]),
            },
            ("PUT", ("manifests", version)) => {
                let digest = blob::sha256(&request.body);
                let subject =
                    serde_json::from_slice::<serde_json::Value>(&request.body).ok()?["subject"]["digest"]
                        .as_str()
                        .map(str::to_owned);
                let mut headers = vec![format!("Docker-Content-Digest: {digest}")];
                headers
                    .extend(subject.filter(|_| self.has_referrers).map(|one| format!("OCI-Subject: {one}")));
                let stored = (request.media_type.to_owned(), request.body);
                self.manifests.insert(key(&digest), stored.clone());
                self.manifests.insert(key(version), stored);
                answer("201 Created", &headers)
            }
            ("GET", ("manifests", version)) => match self.manifests.get(&key(version)) {
                Some((kind, body)) => Some(Answer {
                    status: "200 OK",
                    headers: vec![format!("Content-Type: {kind}")],
                    body: body.clone(),
                }),
                None => answer("404 Not Found", &[]),
            },
            ("GET", ("referrers", subject)) if self.has_referrers => {
                let own = self.manifests.iter().filter(|((own, version), (_, bytes))| {
                    let wanted = format!(r#""digest":"{subject}""#);
                    own == repository
                        && version.contains(':')
                        && String::from_utf8_lossy(bytes).contains(&wanted)
                });
                let referrers = own.map(|((_, digest), (kind, bytes))| {
                    let manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
                    let artifact = manifest["artifactType"].as_str().unwrap_or("test");
                    let mut one =
                        serde_json::json!({"mediaType": kind, "digest": digest, "size": bytes.len()});
                    one["artifactType"] = artifact.into();
                    if let Some(annotations) = manifest.get("annotations") {
                        one["annotations"] = annotations.clone();
                    }
                    one
                });
                let index =
                    serde_json::json!({"schemaVersion": 2, "manifests": referrers.collect::<Vec<_>>()});
                let link = self.repeats_referrers.then(|| format!("Link: <{path}>; rel=\"next\""));
                let headers = link.into_iter().collect();
                Some(Answer { status: "200 OK", headers, body: index.to_string().into_bytes() })
            }
            ("DELETE", ("manifests", version)) => match self.manifests.remove(&key(version)) {
                Some(_) => answer("202 Accepted", &[]),
                None => answer("404 Not Found", &[]),
            },
            _ => answer("404 Not Found", &[]),
        }
    }

    fn upload(&mut self, path: &str, digest: Option<&str>, request: Request<'_>) -> Option<Answer> {
        let Some(mut stored) = self.uploads.remove(path) else { return answer("404 Not Found", &[]) };
        let start = request.range.map_or(0, |range| range.split('-').next().unwrap().parse().unwrap());
        if !request.body.is_empty() && start != stored.len() {
            self.uploads.insert(path.to_owned(), stored);
            return answer("416 Requested Range Not Satisfiable", &[]);
        }
        if !(self.drops && request.method == "PATCH") {
            stored.extend(&request.body);
        }
        let range = format!("Range: 0-{}", stored.len().saturating_sub(1));
        if request.is_cut {
            if !self.forgets {
                self.uploads.insert(path.to_owned(), stored);
            }
            return None;
        }
        let Some(digest) = digest else {
            self.uploads.insert(path.to_owned(), stored);
            let status = if request.method == "GET" { "204 No Content" } else { "202 Accepted" };
            return answer(status, &[format!("Location: {path}"), range]);
        };
        if blob::sha256(&stored) != digest {
            let body = br#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#
                .to_vec();
            return Some(Answer { status: "400 Bad Request", headers: Vec::new(), body });
        }
        let repository = path.strip_prefix("/v2/")?.split_once('/')?.0;
        self.blobs.insert((repository.to_owned(), digest.to_owned()), stored);
        match std::mem::take(&mut self.loses_response) {
            true => None,
            false => answer("201 Created", &[]),
        }
    }
}
