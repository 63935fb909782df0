//! Finds the cause in a line of docker, BuildKit or a registry, which is a chain of Go errors: `what: why: root cause`.
//!
//! Names of repositories, images, files and commands must not affect the result. Quoted parts, addresses and paths are
//! therefore blanked, and a phrase counts only where these programs write it: a registry's error code (OCI Distribution
//! Specification, "Error Codes") at the start of its message, a network or file system error at the end of the chain.

use super::Cause;

/// Replaces a blanked part.
const BLANK: &str = "_";

/// Words with a slash that are neither paths nor references.
const SLASHED: [&str; 3] = ["i/o", "net/http", "input/output"];

/// The links of a line, in lower case, with names replaced by [`BLANK`].
pub(super) fn links(line: &str) -> Vec<String> {
    let unquoted = without_quotes(line);
    let words: Vec<String> = unquoted.split_whitespace().map(without_path).collect();
    let text = words.join(" ").to_lowercase();
    let trimmed = text.split(": ").map(|link| link.trim_matches([' ', '.', ':']).to_owned());
    trimmed.filter(|link| !link.is_empty()).collect()
}

fn without_quotes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let opens = matches!(first, '"' | '\'' | '`') && !out.ends_with(char::is_alphanumeric);
        let after = &rest[first.len_utf8()..];
        // A quote that is never closed is an apostrophe.
        match opens.then(|| closing(after, first)).flatten() {
            Some(end) => {
                out.push_str(BLANK);
                rest = &after[end + 1..];
            }
            None => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

/// The index of the closing quote. Go's `%q` escapes quotes with a backslash.
fn closing(text: &str, quote: char) -> Option<usize> {
    let is_end = |(at, found): &(usize, char)| {
        let next = text[at + 1..].chars().next();
        *found == quote && !text[..*at].ends_with('\\') && !next.is_some_and(char::is_alphanumeric)
    };
    text.char_indices().filter(|(_, found)| *found == quote).find(is_end).map(|(at, _)| at)
}

fn without_path(word: &str) -> String {
    let core = word.trim_matches(['(', '[', ')', ']', ',', ';', ':', '.']);
    let is_named = core.contains('/') && !SLASHED.contains(&core.to_lowercase().as_str());
    match word.split_once(core) {
        Some((before, after)) if is_named => format!("{before}{BLANK}{after}"),
        _ => word.to_owned(),
    }
}

/// The cause in a line of docker, BuildKit or a registry.
pub(super) fn cause(line: &str) -> Cause {
    let links = links(line);
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    if links.iter().take(3).any(|link| is_of_engine(link)) {
        return Cause::Engine;
    }
    let message = &links[start_of_message(&links)..];
    let of_registry = of_registry(message);
    if of_registry != Cause::Other || message.first().is_some_and(|link| is_code(link)) {
        return of_registry;
    }
    of_chain(message)
}

/// BuildKit's error for a build that did not start within six seconds, because too many started at once.
const OVERLOAD: &str = "code = notfound desc = no such job";

/// Whether BuildKit had to start too many builds at once.
pub(super) fn is_overload(error: &str) -> bool {
    links(error).iter().any(|link| link.contains(OVERLOAD))
}

/// Whether a link is an error of docker's or BuildKit's client about an engine that does not answer.
fn is_of_engine(link: &str) -> bool {
    const STARTS: [&str; 4] = [
        "cannot connect to the docker daemon",
        "error during connect",
        "permission denied while trying to connect to the docker",
        "failed to connect to the docker api",
    ];
    // gRPC writes its code and description as one link.
    const ENDS: [&str; 2] = ["desc = error reading from server", "desc = transport is closing"];
    STARTS.iter().any(|start| link.starts_with(start))
        || link.contains(OVERLOAD)
        || ENDS.iter().any(|end| link.ends_with(end))
        || link == "transport is closing"
}

/// Phrases that BuildKit writes after a reference or the name of a target.
const SUBJECTS: [&str; 3] = ["failed to resolve source metadata", "failed to solve", "failed to copy"];

/// The index of the registry's message, after the prefixes of docker and BuildKit.
fn start_of_message(links: &[&str]) -> usize {
    let mut at = 0;
    while let Some(link) = links.get(at) {
        // `debian:x: failed to resolve source metadata for …`, `target x: failed to solve: …`.
        let is_subject =
            links.get(at + 1).is_some_and(|next| SUBJECTS.iter().any(|start| next.starts_with(start)));
        if !is_subject && !is_wrapper(link) {
            break;
        }
        at += 1;
    }
    at.min(links.len().saturating_sub(1))
}

fn is_wrapper(link: &str) -> bool {
    const WHOLE: [&str; 8] = [
        "docker",
        "error",
        "errors",
        "error response from daemon",
        "error from registry",
        "server message",
        "httpreadseeker",
        BLANK,
    ];
    const VERBS: [&str; 5] = ["get _", "head _", "put _", "post _", "patch _"];
    WHOLE.contains(&link)
        || VERBS.contains(&link)
        || link.starts_with("failed ")
        || link.starts_with("rpc error")
}

/// Whether a link is a registry's error code. Docker prints `UNAUTHORIZED` as `unauthorized`.
fn is_code(link: &str) -> bool {
    of_code(link).is_some()
}

fn of_code(link: &str) -> Option<Cause> {
    Some(match link {
        "unauthorized" | "authentication required" | "authorization failed" => Cause::Unauthorized,
        "no basic auth credentials" => Cause::SignIn,
        "denied" | "requested access to the resource is denied" | "insufficient_scope" => Cause::Denied,
        "name unknown" | "manifest unknown" | "repository name not known to registry" => Cause::NotFound,
        "toomanyrequests" | "too many requests" => Cause::RateLimit,
        "unavailable" | "service unavailable" => Cause::ServerError,
        "unknown"
        | "unsupported"
        | "tag invalid"
        | "manifest invalid"
        | "name invalid"
        | "digest invalid"
        | "size invalid"
        | "blob unknown"
        | "blob upload unknown"
        | "blob upload invalid" => Cause::Other,
        _ => return None,
    })
}

/// The cause in a registry's message, from its code or its HTTP status.
fn of_registry(message: &[&str]) -> Cause {
    let Some(first) = message.first() else { return Cause::Other };
    if ["push access denied", "pull access denied"].iter().any(|start| first.starts_with(start)) {
        let unsigned = message.contains(&"no basic auth credentials");
        return if unsigned { Cause::SignIn } else { Cause::Denied };
    }
    if let Some(cause) = of_code(first) {
        let rest = &message[1..];
        let is_immutable = rest.iter().any(|link| forbids_overwriting(link));
        // Docker prints a non-JSON body, such as a proxy's error page, as the message of an `unknown` error.
        let status = rest.first().and_then(|link| status_in_page(link)).map(of_status);
        return if is_immutable { Cause::Immutable } else { status.unwrap_or(cause) };
    }
    let Some((status, place)) = status(message) else { return Cause::Other };
    // Newer clients append the registry's own message to the status.
    let appended = &message[(place + 1).min(message.len())..];
    match appended.first() {
        Some(link) if is_code(link) => match of_registry(appended) {
            Cause::Other => of_status(status),
            cause => cause,
        },
        _ if matches!(status, 409 | 412) && first.starts_with("unexpected status from put request") => {
            Cause::Immutable
        }
        _ => of_status(status),
    }
}

/// Whether a link says that a tag cannot be overwritten (ECR, Harbor, Google's Artifact Registry, Docker Hub, Nexus).
fn forbids_overwriting(link: &str) -> bool {
    const ENDS: [&str; 5] = [
        "because the repository is immutable",
        "because the tag is immutable",
        "configured as immutable",
        "tag is immutable",
        "has enabled tag immutability",
    ];
    ENDS.iter().any(|end| link.ends_with(end))
        || link.contains("cannot be updated due to immutability settings")
        || link.starts_with("repository does not allow updating assets")
}

/// The HTTP status in a message, and the index of its link.
fn status(message: &[&str]) -> Option<(u16, usize)> {
    let first = message.first()?;
    let announced = ["unexpected status", "received unexpected http status"];
    if announced.iter().any(|start| first.starts_with(start)) {
        return Some((leading_status(message.get(1)?)?, 1));
    }
    let parsed = first.strip_prefix("error parsing http ").and_then(leading_status);
    parsed.or_else(|| leading_status(first)).map(|status| (status, 0))
}

/// The cause of a link that starts with an HTTP status.
pub(super) fn status_of_link(link: &str) -> Option<Cause> {
    leading_status(link).map(of_status)
}

fn leading_status(text: &str) -> Option<u16> {
    let digits = text.get(..3).filter(|_| text.len() == 3 || text[3..].starts_with(' '))?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

/// The status in the HTML error page of a web server or proxy.
fn status_in_page(page: &str) -> Option<u16> {
    page.starts_with('<').then(|| page.split('>').find_map(|text| leading_status(text.trim())))?
}

fn of_status(status: u16) -> Cause {
    match status {
        401 => Cause::Unauthorized,
        403 => Cause::Denied,
        404 => Cause::NotFound,
        413 => Cause::TooLarge,
        429 => Cause::RateLimit,
        507 => Cause::Disk,
        500.. => Cause::ServerError,
        _ => Cause::Other,
    }
}

/// The root cause at the end of a chain.
fn of_chain(links: &[&str]) -> Cause {
    // A name follows these.
    let missing = ["an image does not exist locally with the tag", "tag does not exist", "no such image"];
    match links.iter().find(|link| !is_wrapper(link)) {
        Some(link) if missing.contains(link) => return Cause::NoSuchImage,
        Some(link) if link.starts_with("no such ") => return Cause::Other,
        _ => {}
    }
    // Go's crypto/x509 starts every message with its name.
    let of_x509 = |pair: &[&str]| {
        pair[0] == "x509"
            && ["certificate ", "cannot validate "].iter().any(|start| pair[1].starts_with(start))
    };
    if links.windows(2).any(of_x509) {
        return Cause::Certificate;
    }
    if links.windows(2).any(|pair| pair == ["exit code", "137"]) {
        return Cause::Memory;
    }
    // containerd appends its gRPC code, such as `unknown`.
    let last = links.iter().rev().find(|link| **link != "unknown").copied().unwrap_or_default();
    root_cause(last)
}

/// The cause of a link that is an error of the system or of Go's network library.
pub(super) fn root_cause(link: &str) -> Cause {
    // Cuts `(os error 28)`, `(Client.Timeout exceeded while awaiting headers)`.
    let link = link.split_once(" (").map_or(link, |(message, _)| message);
    match link {
        "no space left on device" | "disk quota exceeded" => Cause::Disk,
        "no such host" | "name or service not known" => Cause::UnknownHost,
        "connection refused"
        | "connection reset by peer"
        | "connection timed out"
        | "broken pipe"
        | "i/o timeout"
        | "network is unreachable"
        | "no route to host"
        | "host is unreachable"
        | "eof"
        | "unexpected eof"
        | "tls handshake timeout"
        | "temporary failure in name resolution"
        | "server misbehaving"
        | "timeout awaiting response headers"
        | "context deadline exceeded"
        | "bad gateway"
        | "gateway timeout"
        | "proxy authentication required"
        | "server closed idle connection"
        | "use of closed network connection"
        | "request canceled while waiting for connection" => Cause::Unreachable,
        "server gave http response to https client"
        | "first record does not look like a tls handshake"
        | "bad certificate"
        | "unknown certificate authority"
        | "certificate required" => Cause::Certificate,
        "port is already allocated" | "address already in use" => Cause::PortInUse,
        "cannot allocate memory" | "out of memory" => Cause::Memory,
        "not found" | "manifest unknown" => Cause::NotFound,
        _ => Cause::Other,
    }
}
