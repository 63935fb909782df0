//! The HTTP API.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};
use support::hybrid::{Hybrid, Limits, Reply};
use support::{CSV, JSONL, bad_lines, chunked, folder, jsonl, read_response, start, wait};

#[test]
fn json_lines_are_taught_and_bad_lines_are_reported() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let body = "\u{feff}{\"text\":\"one\",\"id\":7}\r\n\n\"two\"\nthree\n{\"text\":\"\"}\n{\"text\":\"six\\nünïcode \\u2603\"}";
    let job = server.teach(JSONL, body);
    assert_eq!(hybrid.learned().into_keys().collect::<Vec<_>>(), ["one", "six\nünïcode ☃", "two"]);
    assert_eq!((&job["taught"], &job["bad"], &job["lines_read"]), (&json!(3), &json!(2), &json!(6)));
    assert_eq!((&job["bytes_done"], &job["bytes_total"]), (&json!(body.len()), &json!(body.len())));
    assert_eq!(
        (&job["format"], &job["column"], &job["reason"]),
        (&json!("jsonl"), &Value::Null, &Value::Null)
    );
    assert_eq!(bad_lines(&job), [4, 5]);
    assert!(
        job["bad_lines"][0]["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("expected a JSON object"))
    );
    for time in ["created_at", "started_at", "ended_at"] {
        assert!(job[time].as_str().is_some_and(|text| text.ends_with('Z')), "{time}: {job}");
    }
    // The upload of an ended job is removed.
    let path = folder.path().join("jobs").join(job["id"].as_str().expect("an id"));
    assert!(path.join("job.json").exists() && !path.join("input").exists());
}

#[test]
fn csv_rows_are_taught_from_the_selected_column() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let body = "\u{feff}id,text,the note\r\n1,\"one, \"\"quoted\"\"\",a\r\n2,\"two\r\nlines\",b\r\n3,three\r\n4,\"fo\"ur,c\r\n5,five,d\r\n";
    let job = server.teach(CSV, body);
    assert_eq!(hybrid.learned().into_keys().collect::<Vec<_>>(), ["five", "one, \"quoted\"", "two\r\nlines"]);
    assert_eq!(
        (bad_lines(&job), &job["lines_read"], &job["column"]),
        (vec![5, 6], &json!(7), &json!("text"))
    );

    let id = server.upload_to("/v1/jobs?column=the%20note", CSV, body);
    assert_eq!(server.wait_for(&id, "done")["column"], "the note");
    assert!(["a", "b", "d"].iter().all(|note| hybrid.learned().contains_key(*note)));

    // An unclosed quote hides the rest of the file, so the job fails.
    let id = server.upload(CSV, "text\nsix\n\"seven\neight\n");
    let job = server.wait_for(&id, "failed");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![3], &json!(1)));
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("line 3: a quote")), "{job}");
}

#[test]
fn what_is_known_about_texts_is_taught_as_it_was_written() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let body = concat!(
        "{\"text\":\"one\",\"source\":\"own.md\",\"title\":\"Ü\",",
        "\"metadata\":{\"n\": 12345678901234567890.10, \"z\":[{}],\"a\":\"\\ud83d\\ude00\"}}\n",
        "{\"text\":\"two\",\"source\":null}\n\"three\"\n",
        "{\"text\":\"four\",\"metadata\":{\"a\":1,\"a\":2}}\n",
        "{\"text\":\"five\",\"source\":5}\n{\"text\":\"six\",\"title\":\"\"}\n",
    );
    let id = server.upload_to("/v1/jobs?source=a%20b%2F%C3%BC%26%231.md", JSONL, body);
    let job = server.wait_for(&id, "done");
    assert_eq!(
        hybrid.sent("one"),
        "{\"text\":\"one\",\"source\":\"own.md\",\"title\":\"Ü\",\"metadata\":{\"n\":12345678901234567890.10,\"z\":[{}],\"a\":\"😀\"}}"
    );
    for text in ["two", "three"] {
        assert_eq!(hybrid.sent(text), format!("{{\"text\":\"{text}\",\"source\":\"a b/ü&#1.md\"}}"));
    }
    let reasons: Vec<_> =
        job["bad_lines"].as_array().expect("a list").iter().map(|bad| &bad["reason"]).collect();
    assert_eq!(
        reasons,
        ["metadata: duplicate name: \"a\"", "source: expected a string, not 5", "title: empty; leave it out"]
    );
    assert_eq!((&job["source"], &job["taught"]), (&json!("a b/ü&#1.md"), &json!(3)));

    let rows = "title,text,source\n,seven,\n\"T, \"\"t\"\"\",eight,own.csv\n";
    let id = server.upload_to("/v1/jobs?format=csv&source=s", "application/octet-stream", rows);
    assert_eq!(server.wait_for(&id, "done")["taught"], 2);
    assert_eq!(hybrid.sent("seven"), "{\"text\":\"seven\",\"source\":\"s\"}");
    assert_eq!(
        hybrid.sent("eight"),
        "{\"text\":\"eight\",\"source\":\"own.csv\",\"title\":\"T, \\\"t\\\"\"}"
    );
}

#[test]
fn batches_stay_within_the_limits_of_hybrid() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let texts = |count: usize| (0..count).map(|number| format!("text {number}"));
    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(server.teach(JSONL, &jsonl(texts(70)))["taught"], 70);
    assert_eq!(hybrid.calls(), [32, 32, 6]);
    // Its limits are read again; this service's own limit is 1,000.
    hybrid.set_limits(Limits { texts: 2000, characters: 8, bytes: 2_000_000 });
    let job = server.teach(JSONL, &jsonl(texts(1200)));
    assert_eq!((bad_lines(&job)[0], &job["taught"], &job["bad"]), (1001, &json!(1000), &json!(200)));
    assert_eq!(hybrid.calls()[3..], [1000]);
    hybrid.set_limits(Limits { texts: 2000, characters: 8, bytes: 1000 });
    server.teach(JSONL, &jsonl(texts(200)));
    let calls = hybrid.calls()[4..].to_vec();
    assert!(calls.iter().sum::<usize>() == 200 && calls.len() < 4, "{calls:?}");
    drop(server);

    let environment =
        [("SUTRA_EDITION", "enterprise"), ("MAX_BATCH_BYTES", "100"), ("MAX_TEXT_CHARACTERS", "10")];
    hybrid.set_limits(Limits { texts: 2000, characters: 500, bytes: 2_000_000 });
    let server = start(folder.path(), &hybrid.url(), &environment);
    let before = hybrid.calls().len();
    let job = server.teach(JSONL, &jsonl((0..20).map(|number| "ä".repeat(5 + number % 7))));
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![7, 14], &json!(18)));
    assert!(hybrid.calls()[before..].iter().all(|&texts| (1..=8).contains(&texts)), "{:?}", hybrid.calls());
}

#[test]
fn all_jobs_can_be_listed() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let environment = [("MAX_QUEUED_JOBS", "300"), ("MAX_ENDED_JOBS", "150")];
    let server = start(folder.path(), &hybrid.url(), &environment);
    let mut ids: Vec<String> =
        (0..250).map(|number| server.upload(JSONL, &format!("\"{number}\"\nbad\n"))).collect();
    server.wait_for(&ids[249], "done");
    ids.drain(..100);
    let page = |query: &str| {
        let (status, body) = server.get(&format!("/v1/jobs?{query}"));
        assert_eq!(status, 200, "{body}");
        let jobs = body["jobs"].as_array().expect("jobs").clone();
        assert!(jobs.iter().all(|job| (&job["bad"], &job["taught"]) == (&json!(1), &json!(1))));
        let ids = jobs.iter().map(|job| job["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>();
        (ids, body["next"].as_str().map(str::to_owned))
    };
    let (mut listed, mut next) = page("limit=100");
    while let Some(cursor) = next {
        let (more, further) = page(&format!("limit=40&cursor={cursor}"));
        listed.extend(more);
        next = further;
    }
    ids.reverse();
    assert_eq!(listed, ids);
    // The job of a cursor may be gone.
    assert_eq!(page("limit=2&cursor=0000000102-00000000").0.len(), 1);
    assert_eq!(page("cursor=0000000001-00000000"), (vec![], None));
}

#[test]
fn all_errors_have_the_same_format_and_create_no_job() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[("MAX_UPLOAD_BYTES", "100")]);
    let long = "x".repeat(101);
    let long_source = format!("/v1/jobs?source={}", "s".repeat(501));
    for (method, path, kind, body, status, code, expected) in [
        ("POST", "/v1/jobs", JSONL, "", 422, "invalid_request", "empty"),
        ("POST", "/v1/jobs", CSV, "", 422, "invalid_request", "empty"),
        ("POST", "/v1/jobs", CSV, "id,body\n1,a\n", 422, "invalid_request", "id, body"),
        ("POST", "/v1/jobs?column=a", CSV, "a,a\n", 422, "invalid_request", "duplicate column"),
        ("POST", "/v1/jobs?column=", CSV, "a\n", 422, "invalid_request", "column is empty"),
        ("POST", "/v1/jobs?column=a", JSONL, "\"a\"\n", 422, "invalid_request", "column is for CSV"),
        ("POST", "/v1/jobs?colum=a", CSV, "a\n", 422, "invalid_request", "unknown field `colum`"),
        ("POST", "/v1/jobs", CSV, "\"text\n", 422, "invalid_request", "quote"),
        ("POST", "/v1/jobs", "", "\"a\"\n", 415, "unsupported_media_type", "missing header"),
        ("POST", "/v1/jobs", "application/json", "{}", 415, "unsupported_media_type", "x-ndjson"),
        ("POST", "/v1/jobs", JSONL, &long, 413, "payload_too_large", "100 bytes"),
        ("GET", "/v1/jobs?limit=0", "", "", 422, "invalid_request", "between 1 and 100"),
        ("GET", "/v1/jobs?limit=101", "", "", 422, "invalid_request", "between 1 and 100"),
        ("GET", "/v1/jobs?limit=all", "", "", 422, "invalid_request", "limit"),
        ("GET", "/v1/jobs?cursor=next", "", "", 400, "invalid_cursor", "next"),
        ("GET", "/v1/jobs?cursor=", "", "", 400, "invalid_cursor", "omit it"),
        ("POST", "/v1/jobs?source=", JSONL, "\"a\"\n", 422, "invalid_request", "source: empty"),
        ("POST", &long_source, JSONL, "\"a\"\n", 422, "invalid_request", "source: 501 characters"),
        ("POST", "/v1/jobs?source=%ff", JSONL, "\"a\"\n", 422, "invalid_request", "query"),
        (
            "POST",
            "/v1/jobs?source=a&source=b",
            JSONL,
            "\"a\"\n",
            422,
            "invalid_request",
            "duplicate field `source`",
        ),
        ("POST", "/v1/jobs?format=xml", JSONL, "\"a\"\n", 422, "invalid_request", "unknown variant `xml`"),
        ("GET", "/v1/jobs?page=1", "", "", 422, "invalid_request", "unknown field `page`"),
        ("GET", "/v1/jobs/none", "", "", 404, "not_found", "none"),
        ("DELETE", "/v1/jobs/none", "", "", 404, "not_found", "none"),
        ("GET", "/v1/jobs/%ff", "", "", 400, "invalid_request", "UTF-8"),
        ("PUT", "/v1/jobs", JSONL, "\"a\"\n", 405, "method_not_allowed", "PUT"),
        ("POST", "/v1/jobs/none", JSONL, "\"a\"\n", 405, "method_not_allowed", "POST"),
        ("GET", "/v2/jobs", "", "", 404, "not_found", "/v2/jobs"),
    ] {
        let (actual, body) = server.send(method, path, kind, body.as_bytes());
        let error = &body["error"];
        assert_eq!((actual, &error["code"]), (status, &json!(code)), "{method} {path}: {body}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{method} {path}: {message}");
    }
    // A chunked body has no Content-Length.
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    write!(stream, "{}65\r\n{long}\r\n0\r\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    let (status, body) = read_response(stream).expect("a response");
    assert_eq!((status, &body["error"]["code"]), (413, &json!("payload_too_large")));

    assert_eq!(server.get("/v1/jobs"), (200, json!({"jobs": []})));
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).expect("list").count(), 0);
    // Exactly 100 bytes are accepted.
    server.teach(JSONL, &format!("\"{}\"", "x".repeat(98)));
}

#[test]
fn ids_cannot_be_used_for_path_traversal() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(&folder.path().join("data"), &hybrid.url(), &[]);
    let id = server.teach(JSONL, "\"a\"\n")["id"].as_str().expect("an id").to_owned();
    let outside = folder.path().join("outside");
    std::fs::create_dir(&outside).expect("make");
    let record = folder.path().join("data/jobs").join(&id).join("job.json");
    std::fs::copy(record, outside.join("job.json")).expect("copy");
    for name in [
        "..%2f..%2foutside",
        "%2e%2e",
        "..",
        ".",
        "%00",
        "..%5c..%5coutside",
        &format!("{id}%2f"),
        &format!("%2e%2f{id}"),
        &format!("{id}%00"),
        "%2fetc%2fpasswd",
        &"a".repeat(5000),
    ] {
        for method in ["GET", "DELETE"] {
            let (status, body) = server.send(method, &format!("/v1/jobs/{name}"), "", b"");
            assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")), "{method} {name}");
        }
    }
    assert!(outside.join("job.json").exists());
    assert_eq!(server.job(&id)["state"], "done");
}

#[test]
fn concurrent_clients() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let texts: Vec<String> = (0..50).map(|number| format!("{client}-{number}")).collect();
                let job = match client % 2 {
                    0 => server.teach(JSONL, &jsonl(texts)),
                    _ => server.teach(CSV, &format!("text\n{}", texts.join("\n"))),
                };
                assert_eq!((&job["taught"], &job["bad"]), (&json!(50), &json!(0)));
            });
        }
    });
    let learned = hybrid.learned();
    assert_eq!((learned.len(), learned.values().max()), (400, Some(&1)));
    let (_, body) = server.get("/v1/jobs?limit=3");
    let listed = body["jobs"].as_array().expect("jobs");
    let ids: Vec<&str> = listed.iter().map(|job| job["id"].as_str().expect("an id")).collect();
    assert!(ids.len() == 3 && ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    assert!(listed.iter().all(|job| job.get("bad_lines").is_none() && job["state"] == "done"));
}

#[test]
fn a_full_queue_rejects_jobs_until_one_ends() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[("MAX_QUEUED_JOBS", "2")]);
    hybrid.pause();
    let first = server.upload(JSONL, "\"a\"\n");
    hybrid.wait_for_call();
    let second = server.upload(JSONL, "\"b\"\n");
    assert_eq!(
        (server.job(&first)["state"].clone(), server.job(&second)["state"].clone()),
        (json!("running"), json!("queued"))
    );
    let (status, body) = server.send("POST", "/v1/jobs", JSONL, b"\"c\"\n");
    assert_eq!((status, &body["error"]["code"]), (429, &json!("queue_full")));
    hybrid.resume();
    server.wait_for(&second, "done");
    server.teach(JSONL, "\"c\"\n");
}

#[test]
fn jobs_can_be_cancelled_in_any_active_state() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.pause();
    let running = server.upload(JSONL, "\"running\"\n");
    hybrid.wait_for_call();
    let (queued, last) = (server.upload(JSONL, "\"queued\"\n"), server.upload(JSONL, "\"last\"\n"));
    for id in [&queued, &running, &running] {
        let (status, job) = server.send("DELETE", &format!("/v1/jobs/{id}"), "", b"");
        assert_eq!((status, &job["state"]), (200, &json!("cancelled")), "{job}");
        assert!(!folder.path().join("jobs").join(id).join("input").exists());
    }
    hybrid.set_behaviour(|_| Reply::Respond(503, "", ""));
    hybrid.resume();
    let waiting = server.wait_for(&last, "waiting");
    assert!(
        waiting["reason"].as_str().is_some_and(|reason| reason.contains("hybrid returned 503")),
        "{waiting}"
    );
    assert_eq!(server.send("DELETE", &format!("/v1/jobs/{last}"), "", b"").0, 200);
    // A retry may be under way.
    let is_stopped = |message: &&String| message.as_str() == "job cancelled";
    wait("the end of the job", || {
        server.messages.lock().expect("messages").iter().filter(is_stopped).count() == 2
    });
    hybrid.wait_until_idle();

    hybrid.set_behaviour(|_| Reply::Learn);
    let done = server.teach(JSONL, "\"done\"\n");
    let (status, body) =
        server.send("DELETE", &format!("/v1/jobs/{}", done["id"].as_str().expect("an id")), "", b"");
    assert_eq!((status, &body["error"]["code"]), (409, &json!("job_ended")));
    for id in [&queued, &last] {
        assert_eq!(server.job(id)["state"], "cancelled");
    }
    // The batch of the running job may have arrived; those of the others were never sent.
    assert!(!hybrid.learned().contains_key("queued") && !hybrid.learned().contains_key("last"));
}

#[test]
fn health_reports_limits_and_the_state_of_hybrid() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    for (edition, upload, line, queued, texts, bytes, characters) in [
        ("simple", 268_435_456_u64, 1_048_576, 16, 1000, 900_000, 100_000),
        ("community", 1_073_741_824, 2_097_152, 64, 1000, 2_000_000, 200_000),
        ("enterprise", 4_294_967_296, 4_194_304, 256, 1000, 4_000_000, 500_000),
    ] {
        let server = start(folder.path(), &hybrid.url(), &[("SUTRA_EDITION", edition)]);
        let (status, first) = server.get("/health");
        let limits = json!({
            "max_upload_bytes": upload, "max_line_bytes": line, "max_queued_jobs": queued, "max_ended_jobs": 200,
            "max_batch_texts": texts, "max_batch_bytes": bytes, "max_text_characters": characters, "max_listed_bad_lines": 100,
            "min_upload_bytes_per_second": 16384,
        });
        let expected = json!({
            "status": "ok", "service": "bulk-ingester", "version": "0.0.0", "edition": edition,
            "dependencies": {"hybrid": "unknown"}, "limits": limits,
        });
        assert_eq!((status, first), (200, expected));
        // Each request of /health triggers a check.
        wait("hybrid to be ok", || server.get("/health").1["dependencies"]["hybrid"] == "ok");
        server.kill();
    }
    drop(hybrid);
    let server = start(folder.path(), "http://127.0.0.1:9", &[]);
    wait("hybrid to be unreachable", || {
        let (status, body) = server.get("/health");
        assert_eq!((status, &body["status"]), (200, &json!("ok")));
        body["dependencies"]["hybrid"] == "unreachable"
    });
}
