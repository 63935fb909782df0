//! HTTP by curl, which uses this machine's proxies and private CAs. Secrets reach it through its standard input only.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Error, Result, bail};
use host::failure::{Failure, FailureClass, class_of};
use host::process::{ProcessError, Runner};

/// Longest headers of a response, redirects included.
const MOST_HEADERS: u64 = 1 << 18;
const MAX_REDIRECTS: &str = "5";

/// The method of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Method {
    #[default]
    Get,
    Head,
    Post,
    Patch,
    Put,
    Delete,
}

/// A request.
#[derive(Default)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    /// Further headers; not secret.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The file to send as the body.
    pub(super) body: Option<PathBuf>,
    /// `Accept`, if it matters.
    pub(super) accept: Option<&'static str>,
    /// `Authorization`; secret.
    pub(super) authorization: Option<String>,
    /// Parameters of the URL.
    pub(super) query: Vec<(&'static str, String)>,
    /// The fields of a form, which makes it a POST; secret.
    pub(super) form: Vec<(&'static str, String)>,
    /// Whether plain HTTP is allowed, and proxies are not used.
    pub(super) is_local: bool,
}

/// A response. Its body is read from the connection.
pub(super) struct Response {
    pub(super) status: u16,
    /// Whether a redirect led to another host.
    pub(super) left_host: bool,
    headers: Vec<(String, String)>,
    body: Box<dyn Read>,
}

impl Response {
    /// The values of a header; `name` in lower case.
    pub(super) fn headers<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as a stream.
    pub(super) fn body(self) -> Box<dyn Read> {
        self.body
    }

    /// The whole body.
    ///
    /// # Errors
    /// When it is larger than `most` bytes, or the connection breaks.
    pub(super) fn bytes(self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.body.take(most + 1).read_to_end(&mut bytes).map_err(|error| explained(error.into()))?;
        if bytes.len() as u64 > most {
            bail!("the response is larger than {most} bytes");
        }
        Ok(bytes)
    }
}

/// Sends a request, follows redirects, and reads the headers of the answer.
///
/// # Errors
/// When curl is missing, or no server answers.
pub(super) fn send(request: &Request, runner: &Runner) -> Result<Response> {
    let protocols = if request.is_local { "=http,https" } else { "=https" };
    let mut curl = runner.cmd("curl").long().classify(class).args([
        // A `.curlrc` could change the output.
        "--disable",
        // Brackets in an address are not ranges.
        "--globoff",
        "--silent",
        "--show-error",
        "--include",
        "--suppress-connect-headers",
        "--location",
        "--max-redirs",
        MAX_REDIRECTS,
        "--proto",
        protocols,
        "--connect-timeout",
        "20",
        "--speed-limit",
        "1",
        "--speed-time",
        "120",
        "--config",
        "-",
    ]);
    if request.is_local {
        curl = curl.args(["--noproxy", "*"]);
    }
    curl = curl.args(method(request));
    for (name, value) in &request.headers {
        curl = curl.args(["--header".to_owned(), format!("{name}: {value}")]);
    }
    if !request.query.is_empty() {
        curl = curl.arg("--get");
        for (name, value) in &request.query {
            curl = curl.args(["--data-urlencode".to_owned(), format!("{name}={value}")]);
        }
    }
    let mut config = String::new();
    let mut option = |name: &str, value: &str| config.push_str(&format!("{name} = {}\n", quoted(value)));
    if let Some(accept) = request.accept {
        option("header", &format!("Accept: {accept}"));
    }
    if let Some(authorization) = &request.authorization {
        option("header", &format!("Authorization: {authorization}"));
    }
    for (name, value) in &request.form {
        option("data-urlencode", &format!("{name}={value}"));
    }
    let reader =
        curl.args(["--url", &request.url]).stdin(config).reader().map_err(|error| match error.class {
            FailureClass::Machine => Error::from(Failure::machine(
                "curl is not installed",
                "install it (Debian: `apt-get install curl`); it is needed to access registries",
            )),
            _ => error.into(),
        })?;
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let Head { status, headers, left_host } = head(&mut reader)?;
    Ok(Response { status, left_host, headers, body: Box::new(reader) })
}

/// The options for the method and the body.
fn method(request: &Request) -> Vec<String> {
    let name = match request.method {
        Method::Get => return Vec::new(),
        Method::Head => return vec!["--head".to_owned()],
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
    };
    let mut options = vec!["--request".to_owned(), name.to_owned()];
    match &request.body {
        // Before a body of more than 1 MiB, curl waits for `100 Continue`, so it sends no body if the server rejects or closes.
        Some(file) => options.extend(["--upload-file".to_owned(), file.display().to_string()]),
        // An empty body, with its `Content-Length`.
        None if request.method != Method::Delete => options.extend(["--data-raw".to_owned(), String::new()]),
        None => {}
    }
    options
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    /// Whether a redirect before it may have led to another host.
    left_host: bool,
}

/// The status and headers of the last response: those of redirects stand before it.
fn head(reader: &mut BufReader<impl Read>) -> Result<Head> {
    let mut limited = reader.take(MOST_HEADERS);
    let mut left_host = false;
    loop {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut status = None;
        loop {
            let mut line = Vec::new();
            limited.read_until(b'\n', &mut line).map_err(|error| explained(error.into()))?;
            if !line.ends_with(b"\n") {
                bail!("the server's response is not HTTP, or its headers are too long");
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            match status {
                None => status = Some(status_of(line)?),
                Some(_) if line.is_empty() => break,
                Some(_) => headers.extend(
                    line.split_once(':')
                        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned())),
                ),
            }
        }
        let status = status.unwrap_or_default();
        let location = headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value);
        let target = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308));
        left_host |= target.is_some_and(|target| !is_path(target));
        if status >= 200 && target.is_none() {
            return Ok(Head { status, headers, left_host });
        }
    }
}

/// Whether a `Location` stays on its host: `//x` names another host.
fn is_path(location: &str) -> bool {
    location.starts_with('/') && !location.starts_with("//")
}

fn status_of(line: &str) -> Result<u16> {
    let mut words = line.split(' ');
    let status = match (words.next(), words.next()) {
        (Some(protocol), Some(status)) if protocol.starts_with("HTTP/") => status.parse().ok(),
        _ => None,
    };
    match status {
        Some(status) => Ok(status),
        None => bail!("the server's response is not HTTP"),
    }
}

/// A value in a configuration file of curl.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

/// The class of curl's failure (curl(1), "Exit codes").
fn class(stderr: &str) -> FailureClass {
    match code(stderr) {
        Some(5 | 6 | 7 | 18 | 28 | 52 | 55 | 56 | 92 | 97) => FailureClass::Network,
        Some(35 | 51 | 58 | 60 | 77 | 83 | 90 | 91) => FailureClass::Certificate,
        _ => FailureClass::Failed,
    }
}

/// The exit code in `curl: (6) Could not resolve host: x`.
fn code(stderr: &str) -> Option<u32> {
    let (_, rest) = stderr.rsplit_once("curl: (")?;
    rest.split_once(')')?.0.parse().ok()
}

/// The error of a broken transfer, without curl's command line.
pub(super) fn explained(error: Error) -> Error {
    let class = class_of(&error);
    let tail = error.chain().find_map(|cause| {
        let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let process = io.and_then(|error| error.downcast_ref::<ProcessError>());
        process.or(cause.downcast_ref::<ProcessError>()).map(|error| error.tail.clone())
    });
    match tail.as_deref().and_then(|tail| tail.rsplit_once("curl: (")?.1.split_once(") ")) {
        Some((_, message)) => {
            let message = message.lines().next().unwrap_or_default().trim();
            let remedy = match class {
                FailureClass::Network => "check this machine's network and proxy".to_owned(),
                FailureClass::Certificate => class.remedy(),
                _ => String::new(),
            };
            Failure::new(class, message, remedy).into()
        }
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Head, String)> {
        let mut reader = BufReader::new(text.as_bytes());
        let head = head(&mut reader)?;
        let mut body = String::new();
        reader.read_to_string(&mut body)?;
        Ok((head, body))
    }

    #[test]
    fn the_last_response_counts() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\n\r\n\
                    HTTP/2 200 \r\nContent-Type: a/b\r\nDocker-Content-Digest: sha256:1\r\n\r\nHTTP/1.1 is the body\r\n\r\n";
        let (Head { status, headers, left_host }, body) = read(text).unwrap();
        assert!(!left_host);
        assert_eq!((status, body.as_str()), (200, "HTTP/1.1 is the body\r\n\r\n"));
        assert_eq!(headers[1], ("docker-content-digest".to_owned(), "sha256:1".to_owned()));
        assert_eq!(read("HTTP/1.1 300 Multiple Choices\r\n\r\n").unwrap().0.status, 300, "no redirect");
    }

    #[test]
    fn a_redirect_to_another_host_is_noticed() {
        for (location, leaves) in
            [("/x", false), ("//evil.example/x", true), ("https://evil.example/x", true)]
        {
            let text = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\n\r\n\
                                HTTP/1.1 302 Found\r\nLocation: /y\r\n\r\nHTTP/1.1 401 Unauthorized\r\n\r\n"
            );
            assert_eq!(read(&text).unwrap().0.left_host, leaves, "{location}");
        }
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for text in ["", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b", "HTTP/1.1 abc\r\n\r\n"] {
            assert!(read(text).is_err(), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
        assert!(read(&endless).is_err());
    }

    #[test]
    fn secrets_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"b\\\nurl = x"), "\"a\\\"b\\\\\\nurl = x\"");
    }

    #[test]
    fn curls_exit_codes_have_classes() {
        assert_eq!(class("curl: (6) Could not resolve host: x"), FailureClass::Network);
        assert_eq!(class("curl: (60) SSL certificate problem"), FailureClass::Certificate);
        assert_eq!(class("odd"), FailureClass::Failed);
    }
}
