//! One request, as bytes: it may stall, and give any Host.

use std::io::{Error, ErrorKind, Read as _, Result, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// How long an answer may take: longer than any deadline that the tables set, so that a default shows.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A request with its body.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `GET /health`.
    pub line: String,
    /// A Host among them replaces the usual one.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Never send the last byte that `Content-Length` promises.
    pub stalls: bool,
}

impl Request {
    /// Sends it. The answer is `{"status", "headers", "body"}`: names of headers in lower case, the body as JSON if it is that.
    pub fn send(&self, address: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        // Version 1.0, so that no body is chunked.
        let mut head = format!("{} HTTP/1.0\r\n", self.line);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = self.body.len() + usize::from(self.stalls);
        stream.write_all(format!("{head}Content-Length: {length}\r\n\r\n{}", self.body).as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))
    }
}

fn parse(answer: &str) -> Option<Value> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let (first, lines) = head.split_once("\r\n").unwrap_or((head, ""));
    let status: u16 = first.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Map::new();
    for (name, value) in lines.lines().filter_map(|line| line.split_once(':')) {
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().into());
    }
    let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
    Some(json!({ "status": status, "headers": headers, "body": body }))
}

#[test]
fn an_answer_is_read_as_json() {
    let answer = "HTTP/1.1 200 OK\r\nRetry-After: 5\r\n\r\n{\"a\":1}";
    assert_eq!(
        parse(answer),
        Some(json!({ "status": 200, "headers": { "retry-after": "5" }, "body": { "a": 1 } }))
    );
    assert_eq!(parse("HTTP/1.0 404 Not Found\r\n\r\nno").unwrap()["body"], "no");
    assert_eq!(parse(""), None);
}
