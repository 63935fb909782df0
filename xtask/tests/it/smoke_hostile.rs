//! `smoke-test` of services that repeat secrets, send control characters, or answer in unusual ways.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use crate::smoke_test::{beta, docker};
use crate::support::service::{answer, service};
use crate::support::{Folder, repository, told};

/// A stack of `alpha` with these probes; its plain secret has two lines.
fn stack(probes: &str) -> Folder {
    let folder = repository("smoke");
    let manifest = folder.read("xtask/images.toml");
    let secret = "\n[service.alpha.secret]\nvariable = \"ALPHA_KEYS\"\nplain = \"ALPHA_KEY\"\ncommand = [\"make-key\"]\n";
    folder.write("xtask/images.toml", &format!("{manifest}{secret}{probes}"));
    folder.write("docker-compose.yml", "services: {}\n");
    folder.write(".env", "ALPHA_KEYS='hash-of-it'\nALPHA_KEY=\"first/half \\\"1\\\"\\nsecond&half\"\n");
    folder
}

fn smoke(folder: &Folder, port: u16, more: &[&str]) -> Output {
    let junit = folder.0.join("junit.xml").display().to_string();
    let args = [&["--verbose", "smoke", "alpha", "--junit", &junit], more].concat();
    docker(port, &beta(1)).run(folder, &args)
}

/// Everything that a run printed and wrote.
fn everything(folder: &Folder, output: &Output) -> String {
    told(output, folder) + &folder.read("junit.xml") + &folder.read("target/xtask/smoke.json")
}

#[test]
fn a_secret_of_two_lines_is_printed_in_no_form() {
    let folder = stack(
        r#"
[[service.alpha.probe]]
name = "send"
request = { post = "/learn", json = { key = "${ALPHA_KEY}" }, headers = { accept-encoding = "identity" } }
expect = [{ at = "/you/key", is = "${ALPHA_KEY}, or so" }, { contains = "second" }]

[[service.alpha.probe]]
name = "header"
request = { get = "/x", headers = { x-key = "${ALPHA_KEY}" } }
"#,
    );
    // Echoes the secret as received (JSON), as log lines, in JSON within JSON, in a URL and in HTML.
    let port = service(|request| {
        let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
        let quoted = serde_json::Value::from(body);
        answer(
            500,
            "application/json",
            format!(
                "{{\"you\":{body},\"log\":[\"a: first/half \\\"1\\\"\",\"b: second&half\"],\"text\":{quoted},
                 \"url\":\"first%2Fhalf%20%221%22%0Asecond%26half\",\"html\":\"<b>second&amp;half</b>\"}}"
            )
            .as_bytes(),
        )
    });
    let output = smoke(&folder, port, &[]);
    let all = everything(&folder, &output);
    assert_eq!(output.status.code(), Some(1), "{all}");
    assert!(all.contains("status 500, expected 200") && all.contains("***"), "{all}");
    assert!(all.contains("not sent: the value of header `x-key` contains a line break"), "{all}");
    for half in ["first/half", "first%2F", "second&half", "second%26half", "second&amp;half", "hash-of-it"] {
        assert!(!all.contains(half), "{half}: {all}");
    }
}

#[test]
fn a_token_that_a_probe_captured_is_printed_by_no_failure() {
    let folder = stack(
        r#"
[[service.alpha.probe]]
name = "sign in"
request = { post = "/sign-in", text = "me", type = "text/plain" }
capture = { at = "/token", as = "token" }

[[service.alpha.probe]]
name = "use it"
request = { get = "/me?token=${token}", headers = { authorization = "Bearer ${token}" } }
expect = [{ contains = "welcome" }]

[[service.alpha.probe]]
name = "sign in again"
request = { post = "/sign-in", text = "me", type = "text/plain" }
expect = [{ at = "/name", is = "me" }]
capture = { at = "/token", as = "again" }
"#,
    );
    let port = service(|request| match request.starts_with("POST ") {
        true => {
            let body = b"{\"token\":\"t0p-s3cret\",\"name\":\"you\"}";
            let signed_in = String::from_utf8(answer(200, "application/json", body)).unwrap();
            signed_in.replace("\r\n\r\n", "\r\nset-cookie: session=c00kie-value\r\n\r\n").into_bytes()
        }
        false => answer(403, "text/html", format!("<p>not for {request}</p>").as_bytes()),
    });
    let all = everything(&folder, &smoke(&folder, port, &[]));
    assert!(
        all.contains("status 403") && all.contains("/me?token=***") && all.contains("session=***"),
        "{all}"
    );
    assert!(all.contains("/name is \"you\", expected \"me\"") && all.contains("{\"token\":\"***\""), "{all}");
    assert!(!all.contains("s3cret") && !all.contains("c00kie"), "{all}");
}

#[test]
fn control_characters_and_markup_are_shown_and_never_obeyed() {
    let folder = stack(
        r#"
[[service.alpha.probe]]
name = "page"
request = { get = "/" }
expect = [{ contains = "no" }]
"#,
    );
    let port = service(|_| {
        answer(200, "text/plain", "\u{1b}[2J\u{9b}31m\u{202e}```\n<img src=x>\r\u{7}".as_bytes())
    });
    for format in ["table", "markdown", "json"] {
        let output = smoke(&folder, port, &["--format", format]);
        let all = everything(&folder, &output);
        assert_eq!(output.status.code(), Some(1), "{all}");
        let raw = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!told(&output, &folder).contains(raw), "{format}: {all}");
        assert!(!folder.read("junit.xml").contains(raw), "{all}");
        let stdout = String::from_utf8_lossy(&output.stdout);
        match format {
            "json" => {
                assert!(
                    stdout.contains("\\u001b[2J\\u009b31m\\u202e") && !stdout.contains("\\u{1b}"),
                    "{stdout}"
                );
            }
            _ => assert!(stdout.contains("\\u{1b}[2J\\u{9b}31m\\u{202e}```\n"), "{stdout}"),
        }
        // The block's fence is longer than the answer's.
        assert!(format != "markdown" || stdout.contains("\n````text\n"), "{stdout}");
    }
}

#[test]
fn unusual_answers_are_decoded_or_reported_accurately() {
    let probe = |name: &str, rest: &str| {
        format!("\n[[service.alpha.probe]]\nname = \"{name}\"\nrequest = {{ get = \"/{name}\" }}\n{rest}\n")
    };
    let json = "expect = [{ at = \"/a\", is = 1 }]";
    let folder = stack(
        &[
            probe("mark", json),
            probe("gzip", json),
            probe("latin", "expect = [{ contains = \"café\" }]"),
            probe("empty", "status = 204"),
            probe("moved", "status = 302"),
            probe("deep", json),
            probe("brotli", json),
            probe("elsewhere", json),
            probe("short", json),
        ]
        .concat(),
    );
    let port = service(|request| {
        let with = |header: &str, answer: &[u8]| {
            let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
            [&answer[..end], b"\r\n", header.as_bytes(), &answer[end..]].concat()
        };
        let json = |body: &[u8]| answer(200, "application/json", body);
        match request.split(' ').nth(1).unwrap_or_default() {
            "/mark" => json("\u{feff}{\"a\":1}".as_bytes()),
            "/gzip" => {
                let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
                gzip.write_all(b"{\"a\":1}").unwrap();
                with("content-encoding: gzip", &json(&gzip.finish().unwrap()))
            }
            "/latin" => answer(200, "text/plain; charset=ISO-8859-1", b"caf\xe9"),
            "/empty" => b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec(),
            "/moved" | "/elsewhere" => with("location: /sign-in", &answer(302, "text/html", b"")),
            "/deep" => json(("{\"a\":".repeat(200) + "1" + &"}".repeat(200)).as_bytes()),
            "/brotli" => with("content-encoding: br", &json(b"x")),
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour".to_vec(),
        }
    });
    let output = smoke(&folder, port, &[]);
    let text = told(&output, &folder);
    for line in [
        "5 of 9 passed",
        "alpha · deep: expected JSON, got JSON that is nested deeper than 128 levels\n",
        "alpha · brotli: unsupported content encoding `br` (supported: gzip, deflate)\n",
        "alpha · elsewhere: status 302, expected 200, and it redirects to /sign-in; ",
        "alpha · short: the connection broke, after 4 of 9 bytes of the body\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_port_that_speaks_tls_is_recognized() {
    let folder = stack("\n[[service.alpha.probe]]\nname = \"x\"\nrequest = { get = \"/\" }\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Like OpenSSL: an alert for other TLS versions, no answer to plain HTTP.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut buffer) = (stream.unwrap(), [0; 4096]);
            if stream.read(&mut buffer).is_ok() && buffer[0] == 22 {
                stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).unwrap();
            }
        }
    });
    let text = told(&smoke(&folder, port, &[]), &folder);
    assert!(text.contains("this port speaks TLS, but probes send plain HTTP"), "{text}");
}
