//! Finds out from the log of a failed build step why its last program failed.
//!
//! Programs may print anything, so a word in the log proves nothing. Only lines in the format of a tool's error messages count.
//! The last one decides, except for summaries of earlier errors.

use super::Cause;
use super::chain::{links, root_cause, status_of_link};

/// The cause in the last lines of a step's log; [`Cause::Other`] for an error in the project.
pub(super) fn cause(log: &str) -> Cause {
    let lines: Vec<String> = log.lines().map(plain).filter(|line| !line.is_empty()).collect();
    let previous = |at: usize| at.checked_sub(1).map_or("", |before| lines[before].trim());
    let last = lines.iter().enumerate().rev().find_map(|(at, line)| of_line(line, previous(at)));
    last.unwrap_or(Cause::Other)
}

/// Strips terminal control sequences (ECMA-48, "CSI") and trailing whitespace.
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(part.len(), |end| end + 1);
        out.push_str(&part[end..]);
    }
    out.trim_end().to_owned()
}

/// The cause in a line; `None` if it is not an error line, or only summarizes others.
fn of_line(line: &str, previous: &str) -> Option<Cause> {
    let text = line.trim_start();
    if sums_up(text) {
        return None;
    }
    let known =
        of_npm(text).or_else(|| of_curl(text)).or_else(|| of_python(line)).or_else(|| of_killed(text));
    if known.is_some() {
        return known;
    }
    let is_continued = previous.starts_with("Caused by") || previous.starts_with("Err:");
    if is_continued || is_error_line(text) { Some(reason(text)) } else { of_program(text) }
}

/// Whether a line only summarizes earlier errors.
fn sums_up(text: &str) -> bool {
    const STARTS: [&str; 9] = [
        "E: Download Failed",
        "E: Unable to fetch some archives",
        "E: Some index files failed to download",
        "E: Unable to locate package",
        "E: Package ",
        "E: mmdebstrap failed to run",
        "ERROR: No matching distribution found",
        "ERROR: Could not find a version that satisfies",
        "error: build failed",
    ];
    text == "Caused by:" || STARTS.iter().any(|start| text.starts_with(start))
}

/// Whether a tool marks the line as an error, or a test runner reports a failed test with it.
fn is_error_line(text: &str) -> bool {
    const STARTS: [&str; 18] = [
        "E: ",
        "W: Failed to fetch ",
        "Temporary failure resolving '",
        "error: ",
        "error[",
        "Error: ",
        "ERROR: ",
        "ERROR ",
        "fatal: ",
        "Caused by: ",
        "wget: ",
        "go: ",
        "make: ***",
        "FAIL",
        "--- FAIL",
        "test result: FAILED",
        "AssertionError",
        "E   ",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
        || (text.starts_with("thread '") && text.contains(" panicked at "))
}

/// The cause in an error line: from a link with a known start, else from apt's HTTP status, else from the last link.
fn reason(text: &str) -> Cause {
    const REASONS: [(Cause, &[&str]); 6] = [
        (Cause::Disk, &["you don't have enough free space", "write error - write (28"]),
        (
            Cause::Certificate,
            &[
                "x509",
                "ssl certificate problem",
                "[60] ",
                "invalid peer certificate",
                "server certificate verification failed",
                "certificate verification failed",
                "self-signed certificate",
                "no system certificates available",
                "cannot verify ",
            ],
        ),
        (
            Cause::UnknownHost,
            &[
                "could not resolve host",
                "couldn't resolve host",
                "unable to resolve host",
                "dns error",
                "[6] ",
            ],
        ),
        (Cause::RateLimit, &["429 too many requests"]),
        (Cause::ServerError, &["502 bad gateway", "503 service unavailable", "504 gateway time"]),
        (
            Cause::Unreachable,
            &[
                "could not connect to ",
                "couldn't connect to ",
                "unable to connect to ",
                "can't connect to ",
                "failed to connect to ",
                "temporary failure resolving",
                "connection failed",
                "tcp connect error",
                "operation timed out",
                "[7] ",
                "[28] ",
                "[35] ",
            ],
        ),
    ];
    // apt writes two spaces before the reason.
    let of_apt = text.starts_with("E: ") || text.starts_with("W: ");
    let links = if of_apt { links(&text.replace("  ", ": ")) } else { links(text) };
    let begins = |sign: &&str| links.iter().any(|link| link.starts_with(sign));
    let known = REASONS.iter().find(|(_, signs)| signs.iter().any(&begins));
    // OpenSSL's errors start with a number (ERR_error_string(3)): `error:0A000086:SSL routines::certificate verify failed`.
    if links.iter().any(|link| link.starts_with("error:") && link.contains("certificate verify failed")) {
        return Cause::Certificate;
    }
    let status = || links.iter().find_map(|link| status_of_link(link)).filter(|_| of_apt);
    let root = || links.last().map_or(Cause::Other, |last| root_cause(last));
    known.map(|(cause, _)| *cause).or_else(status).unwrap_or_else(root)
}

/// The cause in a program's report of a system error (strerror(3)): `cp: error writing 'x': No space left on device`.
fn of_program(text: &str) -> Option<Cause> {
    let links = links(text);
    let (last, before) = links.split_last()?;
    let is_program =
        before.first().is_some_and(|program| !program.contains(' ') || program.starts_with("write "));
    let is_of_system = matches!(
        last.split(" (").next()?,
        "no space left on device"
            | "disk quota exceeded"
            | "cannot allocate memory"
            | "connection refused"
            | "connection timed out"
            | "network is unreachable"
            | "no route to host"
            | "no such host"
            | "temporary failure in name resolution"
            | "name or service not known"
    );
    (is_program && is_of_system).then(|| root_cause(last))
}

/// The cause in npm's error code; npm's other lines only explain it.
fn of_npm(text: &str) -> Option<Cause> {
    let code = ["npm error code ", "npm ERR! code "].iter().find_map(|start| text.strip_prefix(start))?;
    Some(match code.trim() {
        "ENOSPC" => Cause::Disk,
        "ENOTFOUND" => Cause::UnknownHost,
        "EAI_AGAIN" | "ECONNREFUSED" | "ECONNRESET" | "ETIMEDOUT" | "ENETUNREACH" | "ERR_SOCKET_TIMEOUT" => {
            Cause::Unreachable
        }
        "E429" => Cause::RateLimit,
        "E500" | "E502" | "E503" | "E504" => Cause::ServerError,
        "SELF_SIGNED_CERT_IN_CHAIN"
        | "DEPTH_ZERO_SELF_SIGNED_CERT"
        | "UNABLE_TO_VERIFY_LEAF_SIGNATURE"
        | "UNABLE_TO_GET_ISSUER_CERT"
        | "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"
        | "CERT_HAS_EXPIRED" => Cause::Certificate,
        _ => Cause::Other,
    })
}

/// The cause in curl's exit code (curl(1), "EXIT CODES").
fn of_curl(text: &str) -> Option<Cause> {
    let (code, message) = text.strip_prefix("curl: (")?.split_once(')')?;
    Some(match code {
        "5" | "7" | "28" | "35" | "52" | "55" | "56" => Cause::Unreachable,
        "6" => Cause::UnknownHost,
        "51" | "58" | "60" | "77" | "83" => Cause::Certificate,
        "22" => message.rsplit(' ').next().and_then(status_of_link).unwrap_or(Cause::Other),
        _ => Cause::Other,
    })
}

/// The cause in an exception that terminated a Python program or that pip reports.
fn of_python(line: &str) -> Option<Cause> {
    const PIP: [&str; 3] =
        ["WARNING: Retrying (Retry(", "Could not fetch URL ", "ERROR: Could not install packages due to an "];
    let name = line.split([':', '(']).next().unwrap_or_default();
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_');
    let is_exception = is_name && ["Error", "Exception", "Timeout"].iter().any(|end| name.ends_with(end));
    if !is_exception && !PIP.iter().any(|start| line.trim_start().starts_with(start)) {
        return None;
    }
    let number = line.split("[Errno ").nth(1).and_then(|rest| rest.split(']').next()?.parse::<i32>().ok());
    Some(match number {
        // errno(3); negative numbers are getaddrinfo(3)'s.
        Some(28 | 122) => Cause::Disk,
        Some(12) => Cause::Memory,
        Some(101 | 104 | 110 | 111 | 113 | -3) => Cause::Unreachable,
        Some(-2 | -5) => Cause::UnknownHost,
        _ if line.contains("[SSL: CERTIFICATE_VERIFY_FAILED]") => Cause::Certificate,
        _ if ["(ConnectTimeoutError(", "'ConnectTimeoutError(", "'ReadTimeoutError(", "'ProxyError("]
            .iter()
            .any(|name| line.contains(name)) =>
        {
            Cause::Unreachable
        }
        _ if name == "MemoryError" => Cause::Memory,
        _ => Cause::Other,
    })
}

/// Reports of shells, make, cargo and gcc that a program was killed, usually because memory ran out.
fn of_killed(text: &str) -> Option<Cause> {
    let killed = text == "Killed"
        || text.ends_with("(signal: 9, SIGKILL: kill)")
        || text.contains(": fatal error: Killed signal terminated program ");
    killed.then_some(Cause::Memory)
}
