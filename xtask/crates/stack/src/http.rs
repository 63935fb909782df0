//! HTTP to the services of a stack: plain, to loopback, cookies kept by host as a browser would.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use ureq::http;
use ureq::http::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use ureq::{Agent, AsSendBody};

use model::probe::{Body, HttpRequest};
use model::response::HttpResponse;

/// Largest answer that is read.
const LARGEST: u64 = 32 * 1024 * 1024;

/// A client with its cookies.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// A request to which no answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// What happened, in a few words.
    pub what: String,
    /// Whether nobody took the connection, or it broke: worth another try while something starts.
    pub is_connection: bool,
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Unanswered {}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// Without cookies. Proxies of the environment are for the world outside, and not asked.
    pub fn new() -> Client {
        let config = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
        Client { agent: config.into(), cookies: BTreeMap::new() }
    }

    /// Sends a request to `http://HOST`, and waits so long for the whole answer.
    ///
    /// # Errors
    /// When no whole answer came back.
    pub fn send(
        &mut self,
        host: &str,
        request: &HttpRequest,
        patience: Duration,
    ) -> Result<HttpResponse, Unanswered> {
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
        let timed = Timed { agent: &self.agent, patience };
        let response = match &request.body {
            Body::Empty => builder.body(()).map(|request| timed.run(request)),
            Body::Json(value) => builder
                .header(CONTENT_TYPE, "application/json")
                .body(value.to_string())
                .map(|request| timed.run(request)),
            Body::Text { content_type, text } => builder
                .header(CONTENT_TYPE, content_type)
                .body(text.clone())
                .map(|request| timed.run(request)),
        };
        let mut response = response
            .map_err(|error| Unanswered {
                what: format!("this is no request: {error}"),
                is_connection: false,
            })?
            .map_err(|error| unanswered(&error))?;
        let mut cookies = BTreeMap::new();
        for cookie in response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()) {
            keep(cookie, jar);
            keep(cookie, &mut cookies);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let content_type = content_type.to_owned();
        let status = response.status().as_u16();
        let body =
            response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(|e| unanswered(&e))?;
        Ok(HttpResponse { status, content_type, body: String::from_utf8_lossy(&body).into_owned(), cookies })
    }
}

struct Timed<'a> {
    agent: &'a Agent,
    patience: Duration,
}

impl Timed<'_> {
    fn run(
        &self,
        request: http::Request<impl AsSendBody>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        let request = self.agent.configure_request(request).timeout_global(Some(self.patience)).build();
        self.agent.run(request)
    }
}

/// `NAME=VALUE; …`; an empty value takes the cookie back (RFC 6265 has services set it with a date in the past).
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

fn unanswered(error: &ureq::Error) -> Unanswered {
    let of = |what: &str, is_connection| Unanswered { what: what.to_owned(), is_connection };
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

    /// A server that gives these answers, one a connection, and returns what it was asked.
    fn server(answers: Vec<&'static str>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            let one = |answer: &str| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = Vec::new();
                let mut buffer = [0; 4096];
                while !asked.ends_with(b"}") {
                    let count = stream.read(&mut buffer).unwrap();
                    asked.extend_from_slice(&buffer[..count]);
                }
                stream.write_all(answer.as_bytes()).unwrap();
                String::from_utf8(asked).unwrap()
            };
            answers.into_iter().map(one).collect()
        });
        (host, serving)
    }

    #[test]
    fn answers_of_any_status_come_back_and_cookies_are_kept_until_they_are_taken() {
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
        let asked = serving.join().unwrap();
        assert!(asked[0].starts_with("POST /a?b HTTP/1.1\r\n") && asked[0].ends_with("\r\n\r\n{\"c\":1}"));
        assert!(asked[0].contains("content-type: application/json") && asked[0].contains("x-key: k"));
        let cookies: Vec<bool> = asked.iter().map(|asked| asked.contains("cookie: s=abc")).collect();
        assert_eq!(cookies, [false, true, false]);
    }

    #[test]
    fn nobody_there_is_told_apart_from_an_answer_that_is_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Nobody is given this port while the listener has it on the other address.
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
