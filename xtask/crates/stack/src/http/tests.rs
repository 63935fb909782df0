//! Tests the client against servers with scripted answers.

use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::probe::Method;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

const LONG: Duration = Duration::from_secs(60);

fn request(path: &str, body: Body) -> HttpRequest {
    let headers = BTreeMap::from([("x-key".to_owned(), "k".to_owned())]);
    HttpRequest { method: Method::Post, path: path.into(), headers, body }
}

/// A server that sends one of these answers per connection, and returns the requests. A connection whose answer ends with `...`
/// stays open until the client closes it.
fn server(answers: Vec<Vec<u8>>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let one = |answer: Vec<u8>| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}") {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
            }
            // Fails if the client has read enough and closed the connection.
            stream.write_all(&answer).ok();
            if answer.ends_with(b"...") {
                until_closed(&mut stream);
            }
            String::from_utf8_lossy(&request).into_owned()
        };
        answers.into_iter().map(one).collect()
    });
    (host, serving)
}

fn until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 64];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

/// The client's result for an answer.
fn sent(answer: &[u8], timeout: Duration) -> Result<HttpResponse, NoAnswer> {
    let (host, serving) = server(vec![answer.to_vec()]);
    let result = Client::new().send(&host, &request("/", Body::Json(serde_json::json!({}))), timeout);
    serving.join().unwrap();
    result
}

fn answered(head: &str, body: &[u8]) -> HttpResponse {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n");
    sent(&[head.as_bytes(), body].concat(), LONG).unwrap()
}

fn refused(answer: &[u8], timeout: Duration) -> (NoAnswerKind, String) {
    let error = sent(answer, timeout).unwrap_err();
    (error.kind, error.what)
}

#[test]
fn answers_of_any_status_are_returned_and_cookies_are_kept_until_deleted() {
    let (host, serving) = server(
        [
            "HTTP/1.1 503 No\r\nset-cookie: s=abc; HttpOnly\r\ncontent-type: Text/HTML; charset=\"UTF-8\"\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno",
            "HTTP/1.1 302 Found\r\nlocation: /x\r\nset-cookie: s=\"\"; Max-Age=0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        ]
        .map(|answer| answer.as_bytes().to_vec())
        .to_vec(),
    );
    let mut client = Client::new();
    let mut ask =
        || client.send(&host, &request("/a?b", Body::Json(serde_json::json!({ "c": 1 }))), LONG).unwrap();
    let (first, second, third) = (ask(), ask(), ask());
    assert_eq!(
        (first.status, first.content_type.as_str(), first.charset.as_str()),
        (503, "text/html", "utf-8")
    );
    assert_eq!((first.body.as_slice(), first.location), (b"no".as_slice(), None));
    assert_eq!((second.status, second.location.as_deref(), third.status), (302, Some("/x"), 200));
    assert_eq!((first.cookies["s"].as_str(), second.cookies.len()), ("abc", 0));
    let requests = serving.join().unwrap();
    assert!(requests[0].starts_with("POST /a?b HTTP/1.1\r\n") && requests[0].ends_with("\r\n\r\n{\"c\":1}"));
    assert!(requests[0].contains("content-type: application/json") && requests[0].contains("x-key: k"));
    assert!(!requests[0].contains("accept-encoding"), "services must answer as they would without it");
    let cookies: Vec<bool> = requests.iter().map(|request| request.contains("cookie: s=abc")).collect();
    assert_eq!(cookies, [false, true, false]);
}

#[test]
fn bodies_are_decoded_whatever_their_form() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"tea").unwrap();
    let gzip = gzip.finish().unwrap();
    let body = |head: &str, body: &[u8]| answered(head, body).body;
    let encoded = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", gzip.len());
    assert_eq!(body(&encoded, &gzip), b"tea");
    assert_eq!(body("200 OK\r\ntransfer-encoding: chunked", b"2\r\nte\r\n1;x=y\r\na\r\n0\r\n\r\n"), b"tea");
    assert_eq!(body("200 OK", b"until the end"), b"until the end");
    assert_eq!(body("204 No Content", b""), b"");
    assert_eq!(body("304 Not Modified\r\ncontent-length: 3", b""), b"");
    let latin = b"HTTP/1.1 200 OK\r\ncontent-type: text/caf\xe9\r\nset-cookie: s=caf\xe9\r\ncontent-length: 0\r\n\r\n";
    let odd = sent(latin, LONG).unwrap();
    assert_eq!((odd.content_type.as_str(), odd.cookies["s"].as_str()), ("text/caf\u{fffd}", "caf\u{fffd}"));
}

#[test]
fn incomplete_answers_have_accurate_messages() {
    use NoAnswerKind::{Broken, Invalid, Late};
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    let broken = (Broken, "the connection broke, after 4 of 9 bytes of the body".to_owned());
    assert_eq!(refused(&[head, b"four".as_slice()].concat(), LONG), broken);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n";
    assert_eq!(
        refused(chunked, LONG),
        (Broken, "the connection broke, after 4 bytes of the body".to_owned())
    );
    assert_eq!(refused(b"HTTP/1.1 200 O", LONG), (Broken, "the connection broke".to_owned()));
    for answer in [[head, b"no...".as_slice()].concat(), b"HTTP/1.1 200 OK\r\nx: ...".to_vec()] {
        let (kind, what) = refused(&answer, Duration::from_millis(300));
        // Under load, the time limit may pass before the body arrives.
        assert!(kind == Late && what.starts_with("no complete answer within 300ms"), "{what}");
    }
    let endless = [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &vec![0; (MAX_BODY_BYTES + 1) as usize]].concat();
    assert_eq!(refused(&endless, LONG), (Invalid, "the body exceeds 32 MiB".to_owned()));
    let brotli = b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\n\r\nx";
    assert_eq!(refused(brotli, LONG).1, "unsupported content encoding `br` (supported: gzip, deflate)");
    let (kind, what) = refused(b"nonsense\r\n\r\n", LONG);
    assert!(kind == Invalid && what.starts_with("the answer is not valid HTTP: "), "{what}");
    let (kind, what) = refused(&[21, 3, 3, 0, 2, 2, 70], LONG);
    assert!(kind != Late, "{what}");
}

#[test]
fn a_refused_connection_is_told_from_an_invalid_request() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // The port is not reused while the listener holds it on the other address.
    let host = format!("127.0.0.2:{}", listener.local_addr().unwrap().port());
    let mut client = Client::new();
    let refused = client.send(&host, &request("/", Body::Empty), LONG).unwrap_err();
    assert_eq!((refused.what.as_str(), refused.is_connection()), ("connection refused", true));
    // The header's value is not printed.
    let mut invalid = request("/", Body::Empty);
    invalid.headers.insert("x-key".into(), "first\nsecond".into());
    let error = client.send(&host, &invalid, LONG).unwrap_err();
    assert_eq!(
        error.what,
        "not sent: the value of header `x-key` contains a line break or another control character"
    );
}
