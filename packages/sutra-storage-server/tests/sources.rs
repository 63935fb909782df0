//! Concepts by source: listing and deletion.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use redb::{Database, ReadableDatabase as _, TableDefinition};
use serde_json::{Value, json};
use support::{Server, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(server: &Server, concepts: &[(&str, Value)]) {
    let concepts: Vec<_> = concepts
        .iter()
        .map(|(id, metadata)| json!({"id": id, "text": format!("text {id}"), "vector": [1, 2], "metadata": metadata}))
        .collect();
    let (status, body) = server.post("/v1/concepts", &json!({"concepts": concepts}));
    assert_eq!(status, 200, "{body}");
}

fn of(source: &str) -> Value {
    json!({"source": source})
}

/// Follows `next` to the end, with pages of `limit`.
fn all(server: &Server, path: &str, list: &str, limit: usize) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (status, body) = server.get(&format!("{path}{separator}limit={limit}{cursor}"));
        assert_eq!(status, 200, "{body}");
        let page = body[list].as_array().expect("a list");
        assert!(page.len() <= limit);
        found.extend(page.iter().cloned());
        match body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn ids(server: &Server, source: &str) -> Vec<String> {
    let found = all(server, &format!("/v1/concepts?source={source}"), "concepts", 2);
    found.iter().map(|concept| concept["id"].as_str().expect("an id").to_owned()).collect()
}

fn sources(server: &Server) -> Vec<Value> {
    all(server, "/v1/sources", "sources", 1)
}

#[test]
fn concepts_are_listed_and_counted_by_source() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    put(
        &server,
        &[("1", of("b.md")), ("2", of("a.md")), ("3", of("b.md")), ("4", json!({})), ("5", of("b.md"))],
    );
    put(&server, &[("6", json!({"source": 7})), ("7", of("")), ("8", of("a b/ü"))]);
    assert_eq!(ids(&server, "b.md"), ["1", "3", "5"]);
    assert_eq!(ids(&server, "b"), [""; 0]);
    assert_eq!(ids(&server, ""), ["7"]);
    assert_eq!(ids(&server, "a%20b%2F%C3%BC"), ["8"]);
    let counted = |source: &str, concepts: u8| json!({"source": source, "concepts": concepts});
    assert_eq!(
        sources(&server),
        [counted("", 1), counted("a b/ü", 1), counted("a.md", 1), counted("b.md", 3)]
    );
    // Replaced with another source, with none, and deleted.
    put(&server, &[("1", of("a.md")), ("3", json!({}))]);
    assert_eq!(server.send("DELETE", "/v1/concepts/8", None).0, 200);
    assert_eq!(ids(&server, "a.md"), ["1", "2"]);
    assert_eq!(sources(&server), [counted("", 1), counted("a.md", 2), counted("b.md", 1)]);
}

#[test]
fn concepts_are_listed_by_the_beginning_of_their_ids() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let none = || json!({});
    put(
        &server,
        &[
            ("a", none()),
            ("a-1", none()),
            ("a-10", none()),
            ("a-2", none()),
            ("b", none()),
            ("delete", none()),
        ],
    );
    let with = |prefix: &str| {
        let found = all(&server, &format!("/v1/concepts?prefix={prefix}"), "concepts", 2);
        found.iter().map(|concept| concept["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with("a-"), ["a-1", "a-10", "a-2"]);
    assert_eq!(with("a-1"), ["a-1", "a-10"]);
    assert_eq!(with("c"), [""; 0]);
    assert_eq!(with("").len(), 6);
    // No id is a route.
    assert_eq!(server.get("/v1/concepts/delete").0, 200);
    let (status, body) = server.get("/v1/concepts?prefix=a&source=b");
    assert_eq!(status, 400, "{body}");
    assert_eq!(server.get("/v1/sources?prefix=a").0, 400);
}

#[test]
fn sources_that_are_too_long_for_a_cursor_do_not_count() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    put(&server, &[("1", of(&"x".repeat(2000))), ("2", of(&"x".repeat(2001)))]);
    assert_eq!(sources(&server), [json!({"source": "x".repeat(2000), "concepts": 1})]);
}

#[test]
fn a_source_is_deleted_as_a_whole() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    for batch in 0..3 {
        let ids: Vec<String> = (0..700).map(|n| format!("{batch}-{n}")).collect();
        let concepts: Vec<_> = ids.iter().map(|id| (id.as_str(), of("large"))).collect();
        put(&server, &concepts);
    }
    put(&server, &[("other", of("larger"))]);
    let deleted = server.send("DELETE", "/v1/concepts?source=large", None);
    assert_eq!(deleted, (200, json!({"deleted": 2100})));
    assert_eq!(server.get("/v1/stats").1["concepts"], 1);
    assert_eq!(server.get("/v1/stats").1["vectors"], 1);
    assert_eq!(sources(&server), [json!({"source": "larger", "concepts": 1})]);
    assert_eq!(server.find("text"), ["other"]);
    assert_eq!(server.send("DELETE", "/v1/concepts?source=large", None), (200, json!({"deleted": 0})));
    for query in ["", "?source", "?source=a&source=b", "?origin=a"] {
        assert_eq!(
            server.send("DELETE", &format!("/v1/concepts{query}"), None).0,
            if query == "?source" { 200 } else { 400 }
        );
    }
    assert_eq!(server.get("/v1/stats").1["concepts"], 1);
}

#[test]
fn concepts_are_deleted_by_their_ids() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    put(&server, &[("1", of("a")), ("2", of("a")), ("3", of("a"))]);
    let delete = |ids: Value| server.post("/v1/delete", &json!({"ids": ids}));
    assert_eq!(delete(json!(["3", "1", "unknown", "3"])), (200, json!({"deleted": 2})));
    assert_eq!(ids(&server, "a"), ["2"]);
    assert_eq!(server.search(&json!({"vector": [1, 2]})), ["2"]);
    for (given, expected) in [
        (json!([]), "ids is empty"),
        (json!(["2", ""]), "ids[1] is empty"),
        (json!(vec!["x"; 1001]), "ids has 1001 items; the maximum is 1000"),
        (json!("2"), "invalid type"),
    ] {
        let (status, body) = delete(given);
        assert_eq!(status, 400, "{body}");
        assert!(body["error"]["message"].as_str().expect("a message").contains(expected), "{body}");
    }
    assert_eq!(ids(&server, "a"), ["2"]);
}

#[test]
fn a_store_of_an_older_version_gets_what_it_lacks() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    put(&server, &[("1", of("a")), ("2", of("b")), ("3", json!(null))]);
    server.kill();
    {
        // What an older version leaves: the tables that it does not know are behind.
        let database = Database::open(folder.path().join("concepts.redb")).expect("open");
        let transaction = database.begin_write().expect("begin");
        {
            let numbers = TableDefinition::<&str, u64>::new("numbers");
            let sequence = database.begin_read().expect("begin").open_table(numbers).expect("a table");
            let sequence = sequence.get("sequence").expect("read").expect("a number").value();
            transaction
                .open_table(numbers)
                .expect("a table")
                .insert("sequence", sequence + 1)
                .expect("insert");
            let changes = TableDefinition::<u64, &[u8]>::new("changes");
            transaction
                .open_table(changes)
                .expect("a table")
                .insert(sequence + 1, &b"[\"2\"]"[..])
                .expect("insert");
            let concepts = TableDefinition::<&str, &[u8]>::new("concepts");
            transaction.open_table(concepts).expect("a table").remove("2").expect("remove");
            let vectors = TableDefinition::<&str, &[u8]>::new("vectors");
            transaction.open_table(vectors).expect("a table").remove("2").expect("remove");
        }
        transaction.commit().expect("commit");
    }
    let server = start(folder.path(), &[]);
    assert_eq!(sources(&server), [json!({"source": "a", "concepts": 1})]);
    assert_eq!(server.search(&json!({"vector": [1, 2]})), ["1", "3"]);
    assert_eq!(server.find("text"), ["1", "3"]);
    put(&server, &[("4", of("a"))]);
    assert_eq!(ids(&server, "a"), ["1", "4"]);
}
