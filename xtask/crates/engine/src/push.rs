//! Pushing one tag.

use host::program::PROGRAM;
use std::fmt;

use crate::docker::Docker;
use crate::signs::Cause;
use host::process::tail;
use model::image_ref::ImageRef;

/// A tag that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the manifest in the registry, `sha256:…`; not the image's ID.
    pub digest: String,
    /// How many layers were sent; the registry had the others.
    pub sent: usize,
}

/// A push that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushError {
    /// Why.
    pub cause: Cause,
    /// The end of docker's output, without the progress of layers.
    pub output: String,
}

impl PushError {
    /// From docker's output.
    pub fn new(output: impl Into<String>) -> PushError {
        let output = output.into();
        PushError { cause: Cause::of_registry(&output), output }
    }

    /// Whether the same push may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self.cause, Cause::RateLimit | Cause::ServerError | Cause::Unreachable)
    }

    /// Whether the registry may have rejected the push because the tag already refers to another image.
    pub fn may_forbid_overwriting(&self) -> bool {
        matches!(self.cause, Cause::Immutable | Cause::Denied | Cause::Other)
    }

    /// Whether all other pushes to the registry would fail too. After other errors, it may still accept another image.
    pub fn affects_all(&self) -> bool {
        matches!(
            self.cause,
            Cause::Engine
                | Cause::SignIn
                | Cause::Certificate
                | Cause::UnknownHost
                | Cause::Unreachable
                | Cause::RateLimit
        )
    }

    /// Whether the registry rejected or rate-limited the account.
    pub fn is_about_the_account(&self) -> bool {
        matches!(self.cause, Cause::SignIn | Cause::Unauthorized | Cause::Denied | Cause::RateLimit)
    }

    /// What fixes it. `host` is the registry as `docker login` takes it.
    pub fn remedy(&self, host: &str) -> String {
        match self.cause {
            Cause::Disk => {
                format!("free disk space where the engine and {host} keep their data, then push again")
            }
            Cause::Engine => {
                format!("start the engine again (`{PROGRAM} doctor --with-engine`), then push again")
            }
            Cause::NoSuchImage => format!("build it (`{PROGRAM} build-images`), then push again"),
            Cause::RateLimit => format!("{host} limits requests: wait, or push with `--jobs 1`"),
            Cause::SignIn => format!("sign in with `docker login {host}`, then push again"),
            Cause::Unauthorized => format!(
                "{host} rejected the account: sign in again with `docker login {host}`, or request permission to push"
            ),
            Cause::Denied => {
                format!(
                    "the account signed in at {host} lacks the permission to push: request it, or `docker login {host}` with another account"
                )
            }
            Cause::Immutable => {
                format!("tags on {host} are immutable: push with a new --tag and --fixed-tags")
            }
            Cause::Kept => {
                "push with a new --tag, or without --no-overwrite to move the tag to this image".into()
            }
            Cause::TooLarge => format!(
                "raise the request size limit of {host} or the proxy in front of it (nginx: client_max_body_size), then push again"
            ),
            Cause::Certificate => format!(
                "give the engine {host}'s CA (/etc/docker/certs.d/{host}/ca.crt), or add it to the engine's insecure-registries if it speaks plain HTTP"
            ),
            Cause::UnknownHost => {
                format!("no host is called {host}: check the name of the registry and the engine's DNS")
            }
            Cause::ServerError => {
                format!("{host} failed on every attempt: check its log and free disk space, then push again")
            }
            Cause::Unreachable => format!(
                "make sure that {host} runs and the engine can reach it, then push again; layers that arrived are not sent twice"
            ),
            Cause::NotFound => {
                format!("{host} has no such repository: create it or fix --registry, then push again")
            }
            Cause::Memory | Cause::PortInUse | Cause::Other => {
                "fix what the registry reports, then push again".into()
            }
        }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.output)
    }
}

impl std::error::Error for PushError {}

/// Reads the output of `docker push`.
#[derive(Debug, Default)]
struct Listener {
    rest: Vec<u8>,
    layers: usize,
    done: usize,
    sent: usize,
    digest: Option<String>,
    messages: Vec<String>,
}

impl Listener {
    /// Takes output. True when the number of finished layers may have changed.
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
            None => self.messages.push(line.to_owned()),
        }
    }

    /// The result, once docker has ended.
    fn end(mut self, success: bool) -> Result<Pushed, PushError> {
        let rest = std::mem::take(&mut self.rest);
        self.line(String::from_utf8_lossy(&rest).trim());
        match self.digest {
            Some(digest) if success => Ok(Pushed { digest, sent: self.sent }),
            _ => {
                let text = self.messages.join("\n");
                let cause = Cause::of_registry(&text);
                let output =
                    if text.is_empty() { "docker printed no error".to_owned() } else { brief(&text) };
                Err(PushError { cause, output })
            }
        }
    }
}

/// The last lines of an error, or just the title if the response is an HTML page.
fn brief(text: &str) -> String {
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    match (text.split_once("unknown: <"), title) {
        (Some((before, _)), Some((title, _))) => format!("{before}unknown: {}", title.trim()),
        _ => tail(text, 6),
    }
}

impl Docker {
    /// Pushes a tag with docker's own credentials. `progress` gets the number of finished layers and of all. Docker itself
    /// tries a layer five times within a minute when a registry fails with 5xx or drops the connection; it does not show
    /// `Retry-After`.
    ///
    /// # Errors
    /// When docker cannot be run, or the registry rejects the push.
    pub fn push(&self, tag: &ImageRef, mut progress: impl FnMut(usize, usize)) -> Result<Pushed, PushError> {
        let mut listener = Listener::default();
        let status = self.cmd(["push"]).arg(tag.to_string()).stream(|chunk| {
            if listener.push(chunk) {
                progress(listener.done, listener.layers);
            }
        });
        match status {
            Ok(status) => listener.end(status.success()),
            Err(error) => Err(PushError { cause: Cause::Engine, output: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_counts_only_when_docker_succeeds() {
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
    fn an_error_page_is_shown_by_its_title() {
        let page = "The push refers to repository [r.example/x]\nunknown: <html>\n<head><title>413 Request Entity Too Large</title></head>\n\
                    <body>\n<center><h1>413 Request Entity Too Large</h1></center>\n<hr><center>nginx/1.26.3</center>\n</body>\n</html>\n";
        let mut listener = Listener::default();
        listener.push(page.as_bytes());
        let output = "unknown: 413 Request Entity Too Large".to_owned();
        assert_eq!(listener.end(false), Err(PushError { cause: Cause::TooLarge, output }));
    }

    #[test]
    fn only_transient_failures_are_tried_again() {
        let error = |cause| PushError { cause, output: String::new() };
        for cause in [Cause::RateLimit, Cause::ServerError, Cause::Unreachable] {
            assert!(error(cause).is_transient() && cause.class().is_environment(), "{cause:?}");
        }
        for cause in [
            Cause::SignIn,
            Cause::Denied,
            Cause::Other,
            Cause::NoSuchImage,
            Cause::UnknownHost,
            Cause::Certificate,
        ] {
            assert!(!error(cause).is_transient(), "{cause:?}");
        }
        assert!(error(Cause::SignIn).remedy("r.example:5000").contains("docker login r.example:5000"));
    }
}
