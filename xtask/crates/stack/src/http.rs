//! A plain HTTP client for the services of a stack. It keeps cookies by host, as a browser would.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use ureq::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use ureq::{Agent, AsSendBody, http};

use model::probe::{Body, HttpRequest};
use model::response::HttpResponse;

const MAX_BODY_BYTES: u64 = 32 * 1024 * 1024;

/// An HTTP client with its cookies.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// A request that got no complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoAnswer {
    /// The reason.
    pub what: String,
    /// Whether the connection was refused or broke: worth a retry while a service starts.
    pub is_connection: bool,
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
    /// When no complete answer came in time.
    pub fn send(
        &mut self,
        host: &str,
        request: &HttpRequest,
        timeout: Duration,
    ) -> Result<HttpResponse, NoAnswer> {
        let mut builder = http::Request::builder()
            .method(request.method.name())
            .uri(format!("http://{host}{}", request.path));
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let jar = self.cookies.entry(host.to_owned()).or_default();
        if !jar.is_empty() {
            let all: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            builder = builder.header(COOKIE, all.join("; "));
        }
        let (content_type, body) = match &request.body {
            Body::Empty => (None, None),
            Body::Json(value) => (Some("application/json"), Some(value.to_string())),
            Body::Text { content_type, text } => (Some(content_type.as_str()), Some(text.clone())),
        };
        if let Some(content_type) = content_type {
            builder = builder.header(CONTENT_TYPE, content_type);
        }
        let agent = &self.agent;
        let response = match body {
            None => builder.body(()).map(|request| run(agent, request, timeout)),
            Some(body) => builder.body(body).map(|request| run(agent, request, timeout)),
        };
        let mut response = response
            .map_err(|error| NoAnswer { what: format!("invalid request: {error}"), is_connection: false })?
            .map_err(|error| no_answer(&error))?;
        let mut cookies = BTreeMap::new();
        for cookie in response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            keep(cookie, jar);
            keep(cookie, &mut cookies);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let content_type = content_type.to_owned();
        let status = response.status().as_u16();
        let body = response
            .body_mut()
            .with_config()
            .limit(MAX_BODY_BYTES)
            .read_to_vec()
            .map_err(|e| no_answer(&e))?;
        Ok(HttpResponse { status, content_type, body: String::from_utf8_lossy(&body).into_owned(), cookies })
    }
}

fn run(
    agent: &Agent,
    request: http::Request<impl AsSendBody>,
    timeout: Duration,
) -> Result<http::Response<ureq::Body>, ureq::Error> {
    agent.run(agent.configure_request(request).timeout_global(Some(timeout)).build())
}

/// Stores `NAME=VALUE; …`; an empty value deletes the cookie (services also send an expiry date, RFC 6265).
fn keep(cookie: &str, jar: &mut BTreeMap<String, String>) {
    let pair = cookie.split(';').next().unwrap_or_default();
    if let Some((name, value)) = pair.split_once('=') {
        let value = value.trim().trim_matches('"');
        if value.is_empty() {
            jar.remove(name.trim());
        } else {
            jar.insert(name.trim().to_owned(), value.to_owned());
        }
    }
}

fn no_answer(error: &ureq::Error) -> NoAnswer {
    let of = |what: &str, is_connection| NoAnswer { what: what.to_owned(), is_connection };
    match error {
        ureq::Error::Timeout(_) => of("no answer in time", false),
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => of("connection refused", true),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                of("the connection broke", true)
            }
            _ => of(&error.to_string(), true),
        },
        ureq::Error::ConnectionFailed => of("connection refused", true),
        other => of(&other.to_string(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::probe::Method;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    const LONG: Duration = Duration::from_secs(60);

    fn request(path: &str, body: Body) -> HttpRequest {
        HttpRequest {
            method: Method::Post,
            path: path.into(),
            headers: BTreeMap::from([("x-key".to_owned(), "k".to_owned())]),
            body,
        }
    }

    /// A server that gives one of these answers per connection, and returns the requests.
    fn server(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            let one = |answer: &str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                while !request.ends_with(b"}") {
                    let count = stream.read(&mut buffer).unwrap();
                    request.extend_from_slice(&buffer[..count]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(request).unwrap()
            };
            answers.into_iter().map(one).collect()
        });
        (host, serving)
    }

    #[test]
    fn answers_of_any_status_are_returned_and_cookies_are_kept_until_deleted() {
        let (host, serving) = server(vec![
            "HTTP/1.1 503 No\r\nset-cookie: s=abc; HttpOnly\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
            "HTTP/1.1 302 Found\r\nlocation: /x\r\nset-cookie: s=\"\"; Max-Age=0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ]);
        let mut client = Client::new();
        let mut ask =
            || client.send(&host, &request("/a?b", Body::Json(serde_json::json!({ "c": 1 }))), LONG).unwrap();
        let (first, second) = (ask(), ask());
        assert_eq!(ask().status, 200);
        assert_eq!(
            (first.status, first.content_type.as_str(), first.body.as_str()),
            (503, "text/html", "no")
        );
        assert_eq!(second.status, 302);
        assert_eq!((first.cookies["s"].as_str(), second.cookies.len()), ("abc", 0));
        let requests = serving.join().unwrap();
        assert!(
            requests[0].starts_with("POST /a?b HTTP/1.1\r\n") && requests[0].ends_with("\r\n\r\n{\"c\":1}")
        );
        assert!(requests[0].contains("content-type: application/json") && requests[0].contains("x-key: k"));
        let cookies: Vec<bool> = requests.iter().map(|request| request.contains("cookie: s=abc")).collect();
        assert_eq!(cookies, [false, true, false]);
    }

    #[test]
    fn a_refused_connection_differs_from_an_invalid_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // The port is not reused while the listener holds it on the other address.
        let host = format!("127.0.0.2:{}", listener.local_addr().unwrap().port());
        let mut client = Client::new();
        let refused = client.send(&host, &request("/", Body::Empty), LONG).unwrap_err();
        assert_eq!((refused.what.as_str(), refused.is_connection), ("connection refused", true));
        let (host, serving) = server(vec!["nonsense\r\n\r\n"]);
        let nonsense =
            client.send(&host, &request("/", Body::Json(serde_json::json!({}))), LONG).unwrap_err();
        assert!(!nonsense.is_connection, "{nonsense}");
        serving.join().unwrap();
    }
}
