//! Requests that are forwarded to the api service, and what happens when it, or the client, misbehaves.
#![allow(clippy::expect_used, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use support::{Answer, PATIENCE, Server, api, nowhere, read_head};

const MEGABYTE: usize = 1 << 20;

/// Answers with the head of the request as its body.
fn echo(mut stream: TcpStream) {
    let head = read_head(&mut stream);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\nServer: uvicorn\r\nCache-Control: private\r\n\
         X-Frame-Options: ALLOW\r\nX-Api: 1\r\n\r\n{head}",
        head.len()
    );
    let _ = stream.write_all(answer.as_bytes());
}

#[test]
fn requests_are_forwarded_as_they_came() {
    let server = Server::start(api(echo));
    for (line, expected) in [
        ("GET /api/a%20b/../c.d?x=%41&y", "GET /api/a%20b/../c.d?x=%41&y HTTP/1.1"),
        ("GET //api//x", "GET //api//x HTTP/1.1"),
        ("DELETE /%61pi/x", "DELETE /%61pi/x HTTP/1.1"),
        ("FOO /api/jobs", "FOO /api/jobs HTTP/1.1"),
        ("GET /api/health?x=1", "GET /health HTTP/1.1"),
    ] {
        let answer = server.send(line, &["X-Forwarded-For: 1.2.3.4", "X-Request-Id: one", "X_Id: 1"], "");
        let head = answer.text().to_ascii_lowercase();
        assert_eq!(answer.status, 200, "{line}");
        assert!(answer.text().starts_with(expected), "{line}: {head}");
        for header in [
            "x-forwarded-for: 127.0.0.1\r\n",
            "x-forwarded-proto: http\r\n",
            "x-sutra-via: client\r\n",
            "x-request-id: one\r\n",
        ] {
            assert!(head.contains(header), "{head}");
        }
        assert!(
            !head.contains("1.2.3.4") && !head.contains("x_id") && !head.contains("page.example"),
            "{head}"
        );
        let found = ["x-api", "cache-control", "x-frame-options", "server"].map(|name| answer.header(name));
        assert_eq!(found, ["1", "no-store", "DENY", ""], "{line}");
    }
    let (_, log) = server.stop("TERM");
    let line = log.iter().find(|line| line["message"] == "FOO /api/jobs").expect("a line");
    assert_eq!(line["upstream_status"], "200");
}

#[test]
fn errors_of_the_api_service_are_passed_on() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 405 Nope\r\nAllow: POST\r\nContent-Length: 2\r\n\r\n{}");
    }));
    let answer = server.get("/api/query");
    assert_eq!((answer.status, answer.header("allow").as_str(), answer.text().as_str()), (405, "POST", "{}"));
}

#[test]
fn a_missing_or_broken_api_service_is_502() {
    type Play = fn(TcpStream);
    let broken: [(&str, Play); 3] = [
        ("hangs up", |mut stream| {
            read_head(&mut stream);
        }),
        ("garbage", |mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(b"garbage\r\n\r\n");
        }),
        ("endless head", |mut stream| {
            read_head(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            while stream.write_all(&[b'a'; 4096]).is_ok() {}
        }),
    ];
    let down = [("down", nowhere())];
    for (name, address) in broken.map(|(name, play)| (name, api(play))).into_iter().chain(down) {
        let server = Server::start(address);
        for path in ["/api/query", "/api/health"] {
            let answer = server.get(path);
            assert_eq!((answer.status, answer.code().as_str()), (502, "api_unreachable"), "{name}");
        }
        // The page does not need it.
        assert_eq!(server.get("/").status, 200);
        let (_, log) = server.stop("TERM");
        assert!(
            log.iter().any(|line| line["upstream_status"] == "502" && line["level"] == "error"),
            "{log:?}"
        );
    }
    let server = Server::with(&[("API_URL", "https://api")]);
    assert_eq!(server.get("/api/x").code(), "internal");
    assert_eq!(server.get("/").status, 200);
}

#[test]
fn a_silent_api_service_is_504() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.read(&mut [0]);
    }));
    // Only the health has a deadline that is short enough for a test.
    let answer = server.get("/api/health");
    assert_eq!((answer.status, answer.code().as_str()), (504, "api_timeout"));
}

#[test]
fn bodies_are_streamed_in_both_directions() {
    let (seen, first_part) = mpsc::channel();
    let server = Server::start(api(move |mut stream| {
        let head = read_head(&mut stream);
        let mut part = [0; 5];
        stream.read_exact(&mut part).expect("the first part");
        seen.send((head, part)).expect("sent");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc").expect("send");
        let mut rest = [0; 3];
        stream.read_exact(&mut rest).expect("the rest");
        stream.write_all(&rest).expect("send");
    }));
    let mut stream = server.connect();
    stream
        .write_all(b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nConnection: close\r\n\r\nfirst")
        .expect("send");
    // The api service has the first part before the client sends the last one.
    let (head, part) = first_part.recv_timeout(PATIENCE).expect("a part");
    assert_eq!(&part, b"first");
    assert!(head.to_ascii_lowercase().contains("content-length: 8\r\n"), "{head}");
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let mut body = [0; 3];
    stream.read_exact(&mut body).expect("the first part of the answer");
    assert_eq!(&body, b"abc");
    stream.write_all(b"xyz").expect("send");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "xyz");
}

/// Reads this many bytes after the head, and answers.
fn count(size: usize) -> impl Fn(TcpStream) + Send + Sync {
    move |mut stream| {
        read_head(&mut stream);
        let mut left = size;
        let mut buffer = vec![0; MEGABYTE];
        while left > 0 {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => left = left.saturating_sub(count),
            }
        }
        let _ = stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    }
}

#[test]
fn files_of_any_size_are_uploaded_in_little_memory() {
    let size = 256 * MEGABYTE;
    let server = Server::start(api(count(size)));
    let before = server.memory();
    let mut stream = server.connect();
    write!(
        stream,
        "POST /api/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    )
    .expect("send");
    let part = vec![b'x'; MEGABYTE];
    for _ in 0..256 {
        stream.write_all(&part).expect("send");
    }
    assert_eq!(Answer::read(&mut stream).status, 202);
    let grown = server.memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
}

#[test]
fn a_client_that_reads_slowly_holds_little_memory() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n");
        let part = vec![b'x'; MEGABYTE];
        for _ in 0..256 {
            if stream.write_all(&part).is_err() {
                return;
            }
        }
    }));
    let before = server.memory();
    let mut slow = server.connect();
    slow.write_all(b"GET /api/export HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("send");
    let mut byte = [0; 1];
    slow.read_exact(&mut byte).expect("the answer has begun");
    // Others are served meanwhile.
    for _ in 0..20 {
        assert_eq!(server.get("/").status, 200);
    }
    let grown = server.memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes");
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).expect("the rest");
    assert!(rest.len() > 268_435_456, "{}", rest.len());
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let server = Server::start(api(count(usize::MAX)));
    let announced = server.send("POST /api/query", &["Content-Length: 17000000"], "");
    assert_eq!((announced.status, announced.code().as_str()), (413, "payload_too_large"));
    // Without a length, the limit counts what comes.
    let mut stream = server.connect();
    stream
        .write_all(
            b"POST /api/query HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        .expect("send");
    let mut part = format!("{MEGABYTE:x}\r\n").into_bytes();
    part.extend(vec![b'x'; MEGABYTE]);
    part.extend(b"\r\n");
    for _ in 0..17 {
        stream.write_all(&part).expect("send");
    }
    stream.write_all(b"0\r\n\r\n").expect("send");
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.code().as_str()), (413, "payload_too_large"));
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        let _ = stream.shutdown(Shutdown::Write);
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }));
    let size = 32 * MEGABYTE;
    let mut stream = server.connect();
    write!(
        stream,
        "POST /api/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    )
    .expect("send");
    let part = vec![b'x'; MEGABYTE];
    for _ in 0..32 {
        stream.write_all(&part).expect("send");
    }
    assert_eq!(Answer::read(&mut stream).status, 401);
}

#[test]
fn an_api_service_that_dies_during_an_upload_is_502() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.read(&mut [0; 1000]);
    }));
    let size = 32 * MEGABYTE;
    let mut stream = server.connect();
    write!(
        stream,
        "POST /api/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    )
    .expect("send");
    let part = vec![b'x'; MEGABYTE];
    for _ in 0..32 {
        stream.write_all(&part).expect("send");
    }
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.code().as_str()), (502, "api_unreachable"));
}

#[test]
fn an_answer_that_ends_early_does_not_look_complete() {
    let server = Server::start(api(|mut stream| {
        read_head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    }));
    let answer = server.get("/api/export");
    assert_eq!(answer.status, 200);
    assert!(!answer.text().ends_with("0\r\n\r\n"), "{answer:?}");
}

#[test]
fn a_client_that_leaves_ends_the_request_to_the_api_service() {
    let (arrived, arrival) = mpsc::channel();
    let (ended, end) = mpsc::channel();
    let server = Server::start(api(move |mut stream| {
        read_head(&mut stream);
        let _ = arrived.send(());
        let _ = ended.send(stream.read(&mut [0]).is_ok_and(|count| count > 0));
    }));
    let mut stream = server.connect();
    stream.write_all(b"GET /api/query HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    arrival.recv_timeout(PATIENCE).expect("arrived");
    drop(stream);
    // It blocks until the connection ends.
    assert!(!end.recv_timeout(PATIENCE).expect("an end"));
}

#[test]
fn a_request_in_progress_is_answered_before_the_server_stops() {
    let (arrived, arrival) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(api(move |mut stream| {
        read_head(&mut stream);
        arrived.send(()).expect("sent");
        wait.lock().expect("one at a time").recv_timeout(PATIENCE).expect("go");
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    }));
    let mut stream = server.connect();
    stream.write_all(b"GET /api/query HTTP/1.1\r\nHost: a\r\n\r\n").expect("send");
    arrival.recv_timeout(PATIENCE).expect("arrived");
    server.signal("TERM");
    // Once it stops, it accepts no connection.
    let began = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(began.elapsed() < PATIENCE, "it still listens");
        std::thread::yield_now();
    }
    go.send(()).expect("sent");
    assert_eq!(Answer::read(&mut stream).text(), "done");
    assert_eq!(server.stop("TERM").0, Some(0));
}
