//! The HTTP API.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use serde_json::{Value, json};
use support::{ids, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn three() -> Value {
    json!({"concepts": [
        {"id": "cat", "text": "A cat sleeps on the mat", "vector": [1, 0, 0], "metadata": {"n": 1, "a": ["x"]}},
        {"id": "dog", "text": "A dog sleeps in the garden", "vector": [0.9, 0.1, 0]},
        {"id": "tea", "text": "Café crème and green tea", "vector": [0, 0, 2]},
    ]})
}

#[test]
fn concepts_are_created_replaced_and_deleted() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let (status, body) = server.post("/v1/concepts", &three());
    assert_eq!((status, body), (200, json!({"ids": ["cat", "dog", "tea"], "created": 3, "updated": 0})));

    let (status, body) = server.get("/v1/concepts/cat");
    assert_eq!(status, 200);
    let expected = &three()["concepts"][0];
    assert_eq!((&body["text"], &body["metadata"]), (&expected["text"], &expected["metadata"]));
    assert_eq!(body["vector"], json!([1.0, 0.0, 0.0]));

    let change = json!({"concepts": [{"id": "cat", "text": "A lion roars"}, {"id": "new", "text": "News"}]});
    let (status, body) = server.post("/v1/concepts", &change);
    assert_eq!((status, &body["created"], &body["updated"]), (200, &json!(1), &json!(1)));
    assert_eq!(server.get("/v1/concepts/cat").1, json!({"id": "cat", "text": "A lion roars"}));
    assert_eq!(server.find("mat"), [""; 0]);
    assert_eq!(server.find("LION"), ["cat"]);
    let stats = server.get("/v1/stats").1;
    assert_eq!(
        (&stats["concepts"], &stats["vectors"], &stats["dimension"]),
        (&json!(4), &json!(2), &json!(3))
    );
    assert!(stats["bytes_on_disk"].as_u64().is_some_and(|bytes| bytes > 0));

    assert_eq!(server.send("DELETE", "/v1/concepts/dog", None), (200, json!({"id": "dog", "deleted": true})));
    assert_eq!(server.send("DELETE", "/v1/concepts/dog", None).0, 404);
    assert_eq!(server.get("/v1/concepts/dog").0, 404);
    assert_eq!(server.find("dog garden"), [""; 0]);
    let (_, body) = server.post("/v1/search", &json!({"vector": [1, 0, 0]}));
    assert_eq!(ids(&body), ["tea"]);
}

#[test]
fn search_by_text_vector_or_both() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    assert_eq!(server.post("/v1/search", &json!({"text": "cat", "vector": [1]})).1, json!({"results": []}));
    server.post("/v1/concepts", &three());

    assert_eq!(server.find("cafe"), ["tea"], "case and accents are ignored");
    let (_, body) = server.post("/v1/search", &json!({"text": "cat sleeps", "limit": 2}));
    assert_eq!(ids(&body), ["cat", "dog"]);
    let hit = &body["results"][0];
    assert!(hit["score"].as_f64() > body["results"][1]["score"].as_f64());
    assert_eq!((&hit["text_score"], &hit["vector_score"]), (&hit["score"], &Value::Null));
    assert_eq!(hit["metadata"], json!({"n": 1, "a": ["x"]}));

    let (_, body) = server.post("/v1/search", &json!({"vector": [0, 0, 0.5], "limit": 1}));
    assert_eq!(ids(&body), ["tea"]);
    assert_eq!(body["results"][0]["score"], json!(1.0));

    // The vector ranks cat, dog, tea; the text ranks dog, cat. Only dog and cat are in both.
    let (_, body) = server.post("/v1/search", &json!({"text": "dog sleeps", "vector": [1, 0, 0]}));
    let found = ids(&body);
    assert_eq!(found.len(), 3);
    assert_eq!(found[2], "tea");
    let hit = &body["results"][0];
    assert!(hit["text_score"].is_number() && hit["vector_score"].is_number());
    assert!(body["results"][2]["text_score"].is_null());

    assert_eq!(server.find("NOT (\"cat\" text:*"), ["cat"], "query syntax is ignored");
    assert_eq!(server.find("!!! ???"), [""; 0]);
}

#[test]
fn a_wrong_dimension_rejects_the_whole_batch() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let rejected = |concepts: Value, expected: &[&str]| {
        let (status, body) = server.post("/v1/concepts", &json!({"concepts": concepts}));
        let message = body["error"]["message"].as_str().expect("a message");
        assert_eq!(status, 400);
        assert!(expected.iter().all(|text| message.contains(text)), "{message}");
    };
    rejected(
        json!([{"id": "a", "text": "a", "vector": [1, 2]}, {"id": "b", "text": "b", "vector": [1]}]),
        &["concepts[1].vector has 1 numbers", "the first vector of this batch is 2"],
    );
    assert_eq!(server.get("/v1/concepts/a").0, 404);
    assert_eq!(server.get("/v1/stats").1["dimension"], Value::Null);

    server.post("/v1/concepts", &three());
    rejected(
        json!([{"id": "a", "text": "a"}, {"id": "b", "text": "b", "vector": [1, 2]}]),
        &["concepts[1].vector has 2 numbers", "the dimension of this store is 3"],
    );
    assert_eq!(server.get("/v1/concepts/a").0, 404);
    let (status, body) = server.post("/v1/search", &json!({"vector": [1, 2]}));
    assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_request")));

    for id in ["cat", "dog", "tea"] {
        server.send("DELETE", &format!("/v1/concepts/{id}"), None);
    }
    rejected(json!([{"text": "a", "vector": [1]}]), &["the dimension of this store is 3"]);
}

#[test]
fn all_errors_have_the_same_format() {
    let folder = folder();
    let limits = [("MAX_BODY_BYTES", "2000"), ("MAX_BATCH", "2"), ("MAX_TEXT_BYTES", "100")];
    let server = start(folder.path(), &limits);
    let long = json!({"concepts": [{"text": "x".repeat(101)}]}).to_string();
    let large = json!({"concepts": [{"text": "x".repeat(3000)}]}).to_string();
    let post = "/v1/concepts";
    for (method, path, body, status, code, expected) in [
        ("GET", "/", "", 404, "not_found", "/"),
        ("PUT", post, "", 405, "method_not_allowed", post),
        ("GET", "/v1/concepts/none", "", 404, "not_found", "none"),
        ("GET", "/v1/concepts/%FF", "", 400, "invalid_request", "UTF-8"),
        ("DELETE", "/v1/concepts/%00", "", 400, "invalid_request", "control character"),
        ("POST", post, "{\"concepts\":", 400, "invalid_json", "EOF"),
        ("POST", post, "[]", 400, "invalid_request", "expected struct"),
        (
            "POST",
            post,
            r#"{"concepts":[{"text":"a"},{"text":7}]}"#,
            400,
            "invalid_request",
            "concepts[1].text",
        ),
        ("POST", post, r#"{"concepts":[{"text":"a","x":1}]}"#, 400, "invalid_request", "concepts[0].x"),
        (
            "POST",
            post,
            r#"{"concepts":[{"text":"a","vector":[1,"2"]}]}"#,
            400,
            "invalid_request",
            "vector[1]",
        ),
        ("POST", post, &long, 400, "invalid_request", "MAX_TEXT_BYTES"),
        ("POST", post, &large, 413, "payload_too_large", "smaller"),
        ("POST", "/v1/search", "{}", 400, "invalid_request", "text and vector are both missing"),
    ] {
        let (actual, body) = server.send(method, path, Some(body));
        let error = &body["error"];
        assert_eq!((actual, &error["code"]), (status, &json!(code)), "{method} {path}: {body}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{method} {path}: {message}");
    }
    assert_eq!(server.get("/v1/stats").1["concepts"], 0);
}

#[test]
fn missing_ids_are_generated_and_printable_ids_are_allowed() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let odd = "a/b?c d#ü";
    let batch = json!({"concepts": [{"text": "one"}, {"text": "two"}, {"id": odd, "text": "three"}]});
    let (_, body) = server.post("/v1/concepts", &batch);
    let ids: Vec<&str> = body["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
    assert_ne!(ids[0], ids[1]);
    assert_eq!(server.get(&format!("/v1/concepts/{}", ids[1])).1["text"], "two");
    assert_eq!(server.get("/v1/concepts/a%2Fb%3Fc%20d%23%C3%BC").1["text"], "three");
    assert_eq!(server.find("three"), [odd]);
}

#[test]
fn health_reports_service_version_and_edition() {
    let folder = folder();
    let server = start(folder.path(), &[("SUTRA_EDITION", "community"), ("SUTRA_SERVICE_VERSION", "1.2.3")]);
    let (status, mut body) = server.get("/health");
    let limits = body.as_object_mut().and_then(|body| body.remove("limits"));
    assert!(limits.is_some_and(|limits| limits.is_object()));
    let expected = json!({"status": "ok", "service": "storage", "version": "1.2.3", "edition": "community"});
    assert_eq!((status, body), (200, expected));
}

#[test]
fn limits_depend_on_the_edition_and_can_be_overridden() {
    let folder = folder();
    for (environment, batch, body_bytes, text_bytes) in [
        (&[("SUTRA_EDITION", "simple")][..], 1000, 8_388_608, 40_000),
        (&[("SUTRA_EDITION", "community")], 2000, 16_777_216, 80_000),
        (&[("SUTRA_EDITION", "enterprise")], 5000, 33_554_432, 200_000),
        (&[("SUTRA_EDITION", "enterprise"), ("MAX_BATCH", "2"), ("MAX_BODY_BYTES", "700")], 2, 700, 200_000),
    ] {
        let server = start(folder.path(), environment);
        let limits = json!({
            "max_batch": batch, "max_body_bytes": body_bytes, "max_dimension": 4096, "max_metadata_bytes": 16_384,
            "max_results": 100, "max_text_bytes": text_bytes,
        });
        assert_eq!(server.get("/health").1["limits"], limits, "{environment:?}");
        // The reported limits are enforced.
        let items: Vec<Value> = (0..=batch).map(|_| json!({"text": "a"})).collect();
        let (status, body) = server.post("/v1/concepts", &json!({"concepts": items}));
        assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_request")), "{environment:?}");
        let long = json!({"text": "a".repeat(body_bytes)});
        assert_eq!(server.post("/v1/search", &long).0, 413, "{environment:?}");
        server.kill();
    }
}

#[test]
fn concurrent_writers_and_readers() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for number in 0..10 {
                    let concept = json!({"id": format!("{writer}-{number}"), "text": format!("word{writer} common"), "vector": [writer + 1, number]});
                    let (status, body) = server.post("/v1/concepts", &json!({"concepts": [concept]}));
                    assert_eq!((status, &body["created"]), (200, &json!(1)));
                    // Acknowledged concepts are searchable at once.
                    assert_eq!(server.find(&format!("word{writer}")).len(), number + 1);
                    assert_eq!(server.post("/v1/search", &json!({"vector": [1, 1], "limit": 3})).0, 200);
                }
            });
        }
    });
    assert_eq!(server.find("common").len(), 40);
    assert_eq!(server.get("/v1/stats").1["vectors"], 40);
}
