//! Clients that do not speak HTTP, or not to the end.
#![allow(clippy::expect_used, reason = "tests may panic")]

mod support;

use std::io::Write as _;

use support::{Server, api, nowhere, read_head};

/// The largest head that the server reads, in bytes.
const MAX_HEAD: usize = 32 << 10;

/// Numbers that are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("small")
    }
}

#[test]
fn malformed_requests_are_refused() {
    let server = Server::start(nowhere());
    for (bytes, status) in [
        (&b"garbage\r\n\r\n"[..], "400"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", "400"),
        (b"GET http://b/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200"),
        (b"GET /health HTTP/1.0\r\n\r\n", "200"),
    ] {
        let answer = server.raw(bytes);
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(answer.split(' ').nth(1), Some(status), "{text}: {answer}");
    }
    let long = "a".repeat(9000);
    let target =
        server.raw(format!("GET /{long} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(target.starts_with("HTTP/1.1 414") && target.contains("uri_too_long"), "{target}");
    // Not more than the server reads: a connection that is closed with unread bytes is reset, and the answer may be lost.
    let header = server.raw(&unfinished_head(MAX_HEAD));
    assert!(header.starts_with("HTTP/1.1 431"), "{header}");
}

/// Mutations of valid requests, whole or cut off; what comes back is HTTP or nothing, and the server goes on.
#[test]
fn mutated_requests_do_no_harm() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }));
    let valid: [&[u8]; 4] = [
        b"GET /assets/a.js HTTP/1.1\r\nHost: a\r\nRange: bytes=0-3\r\nIf-None-Match: \"x\"\r\nAccept-Encoding: gzip\r\n\r\n",
        b"POST /api/query HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: x\r\n\r\nabcde",
        b"POST /api/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"GET /a/..%2f%2e./b?c=%00 HTTP/1.1\r\nHost: [::1]:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    let mut numbers = Numbers(0x5eed);
    for round in 0..400 {
        let mut bytes = valid[round % valid.len()].to_vec();
        for _ in 0..numbers.next(6) {
            let place = numbers.next(bytes.len());
            match numbers.next(3) {
                0 => bytes[place] = u8::try_from(numbers.next(256)).expect("a byte"),
                1 => bytes.insert(place, u8::try_from(numbers.next(256)).expect("a byte")),
                _ => drop(bytes.remove(place)),
            }
        }
        if numbers.next(3) == 0 {
            bytes.truncate(numbers.next(bytes.len()));
        }
        let answer = server.raw_to_end(&bytes);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1."),
            "{:?}: {answer}",
            String::from_utf8_lossy(&bytes)
        );
    }
    assert_eq!(server.get("/").status, 200);
    let (code, log) = server.stop("TERM");
    assert_eq!(code, Some(0));
    let panics =
        log.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains("panic")));
    assert_eq!(panics.count(), 0);
}

/// The beginning of a request, with this many bytes.
fn unfinished_head(bytes: usize) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nX: ".to_vec();
    head.resize(bytes, b'a');
    head
}

/// More connections than the server keeps, each with as much as it buffers.
#[test]
fn idle_and_unfinished_connections_do_not_keep_others_out() {
    let server = Server::start(nowhere());
    let before = server.memory();
    let mut open = Vec::new();
    for number in 0..700 {
        let mut stream = server.connect();
        if number % 8 > 0 {
            // Some of the others have been closed for it.
            let _ = stream.write_all(&unfinished_head(MAX_HEAD - 1));
        }
        open.push(stream);
    }
    assert_eq!(server.get("/").status, 200);
    let grown = server.memory() - before;
    assert!(grown < 48 << 20, "{grown} bytes");
}

/// With few open files, half of them are kept for the connections to the api service.
#[test]
fn idle_connections_do_not_keep_requests_from_the_api_service() {
    let server = Server::with_open_files(
        api(|mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }),
        128,
    );
    let open: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for _ in 0..20 {
        assert_eq!(server.get("/api/query").text(), "ok");
    }
    drop(open);
    let (_, log) = server.stop("TERM");
    let shortages =
        log.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains("open files")));
    assert_eq!(shortages.count(), 0);
}

/// After an error of the client, the server does not wait for the rest of a body.
#[test]
fn errors_of_the_client_end_the_connection() {
    let server = Server::start(nowhere());
    for (head, status) in [
        ("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n".to_owned(), 413),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), 414),
    ] {
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).expect("send");
        // It reads until the connection ends.
        let answer = support::Answer::read(&mut stream);
        assert_eq!((answer.status, answer.header("connection").as_str()), (status, "close"));
    }
}
