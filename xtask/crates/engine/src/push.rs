//! Pushing one tag, and what docker's words say about a push that failed.

use std::fmt;

use crate::docker::Docker;
use host::process::tail;
use model::image_ref::ImageRef;

/// A tag that its registry has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's digest, `sha256:…`, as the registry knows it. It is not the image's ID.
    pub digest: String,
    /// Layers that were sent; those that the registry had, in this repository or in another, are not.
    pub sent: usize,
}

/// A push that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushError {
    /// Why, as far as docker's words tell.
    pub cause: Cause,
    /// Docker's last words, without the layers' progress.
    pub said: String,
}

/// Why a push failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The engine itself does not answer.
    Engine,
    /// There is no such image here.
    Absent,
    /// The registry asks to be called less often (429).
    Busy,
    /// The registry wants to know who pushes (401).
    SignIn,
    /// The registry knows who pushes, and does not let them (403).
    Denied,
    /// The registry's certificate is not trusted, or it speaks no TLS.
    Certificate,
    /// No host has this name.
    UnknownHost,
    /// The registry, or what stands before it, failed (5xx).
    Broken,
    /// The registry did not answer, or stopped in the middle.
    Unreachable,
    /// The registry refuses what is pushed (400, 404, 413 …), or something that nobody has met yet.
    Rejected,
}

/// Texts by cause. The order counts: a refused sign-in also speaks of a failed request.
const SIGNS: [(Cause, &[&str]); 9] = [
    (Cause::Engine, &["docker daemon"]),
    (Cause::Absent, &["does not exist locally", "tag does not exist", "no such image"]),
    (Cause::Busy, &["toomanyrequests", "429 too many requests", "parsing http 429"]),
    (
        Cause::SignIn,
        &["no basic auth credentials", "unauthorized", "authentication required", "incorrect username"],
    ),
    (Cause::Denied, &["denied", "403 forbidden", "insufficient_scope", "parsing http 403"]),
    (Cause::Certificate, &["x509:", "certificate", "server gave http response to https client"]),
    (Cause::UnknownHost, &["no such host"]),
    (
        Cause::Broken,
        &[
            "unexpected http status: 5",
            "parsing http 5",
            "500 internal server error",
            "502 bad gateway",
            "503 service unavailable",
            "504 gateway time",
            "unavailable:",
        ],
    ),
    (
        Cause::Unreachable,
        &[
            "connection refused",
            "connection reset",
            "connection timed out",
            "broken pipe",
            "i/o timeout",
            "handshake timeout",
            "deadline exceeded",
            "timeout exceeded",
            "awaiting headers",
            "network is unreachable",
            "no route to host",
            "server misbehaving",
            "temporary failure in name resolution",
            "server closed idle connection",
            "unexpected eof",
            ": eof",
        ],
    ),
];

impl Cause {
    /// From docker's words: its exit code is 1 for all of them.
    fn of(said: &str) -> Cause {
        let text = said.to_lowercase();
        let found = SIGNS.iter().find(|(_, signs)| signs.iter().any(|sign| text.contains(sign)));
        found.map_or(Cause::Rejected, |(cause, _)| *cause)
    }

    /// Whether the same push may pass a moment later.
    pub fn is_transient(self) -> bool {
        matches!(self, Cause::Busy | Cause::Broken | Cause::Unreachable)
    }

    /// Whether every other push to the registry would fail as well.
    pub fn is_of_registry(self) -> bool {
        !matches!(self, Cause::Absent | Cause::Denied | Cause::Rejected)
    }

    /// Whether nothing in the repository can mend it, so that the exit code is 3 rather than 1.
    pub fn is_environment(self) -> bool {
        !matches!(self, Cause::Absent | Cause::Rejected)
    }

    /// What to do about it. `host` is the registry as `docker login` wants it.
    pub fn remedy(self, host: &str) -> String {
        match self {
            Cause::Engine => {
                "start the engine again (`cargo xtask doctor --with-engine`), then push again".into()
            }
            Cause::Absent => "build it (`cargo xtask build-images`), then push again".into(),
            Cause::Busy => format!("{host} asks to be called less often: wait, or push with `--jobs 1`"),
            Cause::SignIn => format!("sign in with `docker login {host}`, then push again"),
            Cause::Denied => {
                format!(
                    "the account signed in at {host} may not push there: ask for that right, or `docker login {host}` as another"
                )
            }
            Cause::Certificate => format!(
                "give the engine {host}'s CA (/etc/docker/certs.d/{host}/ca.crt), or name it in the engine's insecure-registries when it speaks plain HTTP"
            ),
            Cause::UnknownHost => {
                format!("no host is called {host}: look at the name of the registry, or at the engine's DNS")
            }
            Cause::Broken => {
                format!("look at the registry's own log: {host} failed at every try; then push again")
            }
            Cause::Unreachable => {
                format!(
                    "make sure that {host} runs and that the engine reaches it; then push again: what is there is not sent twice"
                )
            }
            Cause::Rejected => "see what the registry said, mend that, then push again".into(),
        }
    }
}

impl PushError {
    /// From docker's words.
    pub fn new(said: impl Into<String>) -> PushError {
        let said = said.into();
        PushError { cause: Cause::of(&said), said }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for PushError {}

/// What docker says while it pushes, line by line.
#[derive(Debug, Default)]
struct Listener {
    rest: Vec<u8>,
    layers: usize,
    done: usize,
    sent: usize,
    digest: Option<String>,
    words: Vec<String>,
}

impl Listener {
    /// Takes output. True when the count of finished layers may have changed.
    fn push(&mut self, chunk: &[u8]) -> bool {
        self.rest.extend_from_slice(chunk);
        let mut heard = false;
        while let Some(end) = self.rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim());
            heard = true;
        }
        heard
    }

    fn line(&mut self, line: &str) {
        if let Some((_, rest)) = line.split_once("digest: ") {
            self.digest = rest.split_whitespace().next().map(str::to_owned);
            return;
        }
        // A layer's line begins with the first twelve digits of its ID.
        let step = line
            .split_once(": ")
            .filter(|(id, _)| id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match step {
            Some((_, "Preparing")) => self.layers += 1,
            Some((_, "Pushed")) => {
                self.done += 1;
                self.sent += 1;
            }
            Some((_, what)) if what == "Layer already exists" || what.starts_with("Mounted from") => {
                self.done += 1
            }
            Some(_) => {}
            None if line.is_empty() || line.starts_with("The push refers to") => {}
            None => self.words.push(line.to_owned()),
        }
    }

    /// What the registry has now, or why not.
    fn end(mut self, success: bool) -> Result<Pushed, PushError> {
        let rest = std::mem::take(&mut self.rest);
        self.line(String::from_utf8_lossy(&rest).trim());
        match self.digest {
            Some(digest) if success => Ok(Pushed { digest, sent: self.sent }),
            _ => {
                let said = tail(&self.words.join("\n"), 6);
                let said = if said.is_empty() { "docker said nothing more".to_owned() } else { said };
                Err(PushError::new(said))
            }
        }
    }
}

impl Docker {
    /// Pushes a tag, as whom docker's own configuration says. `progress` hears of layers that are there, and of all. Docker
    /// tries a layer five times within a minute where a registry fails with 5xx or breaks off; it shows no `Retry-After`.
    ///
    /// # Errors
    /// When docker cannot be run, or the registry does not take it.
    pub fn push(&self, tag: &ImageRef, mut progress: impl FnMut(usize, usize)) -> Result<Pushed, PushError> {
        let mut listener = Listener::default();
        let status = self.cmd(["push"]).arg(tag.to_string()).stream(|chunk| {
            if listener.push(chunk) {
                progress(listener.done, listener.layers);
            }
        });
        match status {
            Ok(status) => listener.end(status.success()),
            Err(error) => Err(PushError { cause: Cause::Engine, said: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_messages_find_their_cause() {
        for (said, cause) in [
            (
                "Get \"http://127.0.0.1:7901/v2/\": dial tcp 127.0.0.1:7901: connect: connection refused",
                Cause::Unreachable,
            ),
            ("Get \"http://127.0.0.1:7000/v2/\": EOF", Cause::Unreachable),
            ("Get \"https://r.example/v2/\": net/http: TLS handshake timeout", Cause::Unreachable),
            ("write tcp 10.0.0.2:1->10.0.0.3:443: write: broken pipe", Cause::Unreachable),
            ("read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer", Cause::Unreachable),
            ("toomanyrequests: ", Cause::Busy),
            ("received unexpected HTTP status: 503 Service Unavailable", Cause::Broken),
            (
                "error parsing HTTP 502 response body: invalid character '<' looking for beginning of value: \"<html>\"",
                Cause::Broken,
            ),
            ("no basic auth credentials", Cause::SignIn),
            ("unauthorized: authentication required", Cause::SignIn),
            ("denied: requested access to the resource is denied", Cause::Denied),
            ("An image does not exist locally with the tag: r.example/x", Cause::Absent),
            (
                "Get \"https://nosuch.example/v2/\": dial tcp: lookup nosuch.example on 10.0.0.1:53: no such host",
                Cause::UnknownHost,
            ),
            (
                "Get \"https://r.example/v2/\": http: server gave HTTP response to HTTPS client",
                Cause::Certificate,
            ),
            (
                "Get \"https://r.example/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                Cause::Certificate,
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                Cause::Engine,
            ),
            ("permission denied while trying to connect to the Docker daemon socket", Cause::Engine),
            ("manifest invalid: manifest invalid", Cause::Rejected),
            ("error parsing HTTP 400 response body: unexpected end of JSON input: \"\"", Cause::Rejected),
        ] {
            assert_eq!(Cause::of(said), cause, "{said}");
        }
    }

    #[test]
    fn a_digest_counts_only_when_docker_ends_well() {
        let output = "The push refers to repository [r.example/x]\nf94d01e14331: Preparing\n4aeb9570da8a: Preparing\n0aeb9570da8a: Preparing\n\
                      4aeb9570da8a: Layer already exists\n0aeb9570da8a: Mounted from t/y\nf94d01e14331: Pushed\n1: digest: sha256:9e80 size: 738";
        let heard = || {
            let mut listener = Listener::default();
            // Chunks end anywhere.
            output.as_bytes().chunks(7).for_each(|chunk| {
                listener.push(chunk);
            });
            assert_eq!((listener.done, listener.layers), (3, 3));
            listener
        };
        assert_eq!(heard().end(true), Ok(Pushed { digest: "sha256:9e80".into(), sent: 1 }));
        assert!(heard().end(false).is_err());
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let transient = [Cause::Busy, Cause::Broken, Cause::Unreachable];
        assert!(transient.iter().all(|cause| cause.is_transient() && cause.is_environment()));
        for cause in [
            Cause::SignIn,
            Cause::Denied,
            Cause::Rejected,
            Cause::Absent,
            Cause::UnknownHost,
            Cause::Certificate,
        ] {
            assert!(!cause.is_transient(), "{cause:?}");
        }
        assert!(Cause::SignIn.remedy("r.example:5000").contains("docker login r.example:5000"));
    }
}
