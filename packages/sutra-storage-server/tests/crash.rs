//! SIGKILL during writes: every acknowledged batch survives, nothing is duplicated, no batch is partial.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Server, exchange, start};

const WRITERS: usize = 3;
const BATCH: usize = 4;
const DIMENSION: usize = 16;

/// Batches by name. The text of every concept has the words `all`, the batch's name and a unique one.
#[derive(Default)]
struct Sent {
    started: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// When to kill the server.
#[derive(Clone, Copy)]
struct Kill {
    /// After this many acknowledgements.
    acknowledgements: usize,
    /// Delay after that. Without it every kill would hit the beginning of a group; no assertion depends on it.
    pause: Duration,
}

fn concept(batch: &str, item: usize) -> Value {
    let id = format!("{batch}-{item}");
    json!({"id": id, "text": format!("all {batch} {batch}i{item}"), "vector": vector(&id)})
}

fn batch(name: &str) -> Value {
    json!({"concepts": (0..BATCH).map(|item| concept(name, item)).collect::<Vec<_>>()})
}

/// A unique vector for each id.
fn vector(id: &str) -> Vec<i16> {
    let number = |index: usize| {
        let mut hasher = DefaultHasher::new();
        (id, index).hash(&mut hasher);
        i16::from_le_bytes([hasher.finish().to_le_bytes()[0], hasher.finish().to_le_bytes()[1]])
    };
    (0..DIMENSION).map(number).collect()
}

/// Writes from several threads and searches from another until the server is killed.
fn write_until_killed(folder: &Path, round: usize, kill: Kill, sent: &Mutex<Sent>) {
    let server = start(folder, &[]);
    let (address, acknowledged) = (server.address.clone(), AtomicUsize::new(0));
    let server = Mutex::new(Some(server));
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (address, acknowledged, server) = (&address, &acknowledged, &server);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("r{round}w{writer}n{number}");
                    sent.lock().expect("sent").started.insert(name.clone());
                    let body = batch(&name).to_string();
                    match exchange(address, "POST", "/v1/concepts", Some(&body)) {
                        Some((200, _)) => drop(sent.lock().expect("sent").acknowledged.insert(name)),
                        Some(other) => panic!("{other:?}"),
                        None => return,
                    }
                    if acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == kill.acknowledgements {
                        std::thread::sleep(kill.pause);
                        server.lock().expect("server").take().expect("once").kill();
                    }
                }
            });
        }
        scope.spawn(|| {
            let search = json!({"text": "all", "vector": vector("any"), "limit": 100}).to_string();
            while let Some((status, body)) = exchange(&address, "POST", "/v1/search", Some(&search)) {
                assert_eq!(status, 200, "{body}");
            }
        });
    });
}

/// Checks that every stored concept is found by id, by its unique word and by its vector. Returns their number.
fn check(server: &Server, sent: &Sent) -> usize {
    let mut stored = 0;
    for name in &sent.started {
        let by_id: Vec<u16> =
            (0..BATCH).map(|item| server.get(&format!("/v1/concepts/{name}-{item}")).0).collect();
        let found = server.find(name);
        let complete = by_id.iter().all(|&status| status == 200);
        assert!(complete || by_id.iter().all(|&status| status == 404), "partial batch: {name} {by_id:?}");
        assert!(complete || !sent.acknowledged.contains(name), "lost: {name}");
        assert_eq!(found.len(), if complete { BATCH } else { 0 }, "search for {name} found {found:?}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "duplicates: {found:?}");
        for item in (0..BATCH).filter(|_| complete) {
            let id = format!("{name}-{item}");
            assert_eq!(server.find(&format!("{name}i{item}")), [id.as_str()], "by its unique word");
            let nearest = server.search(&json!({"vector": vector(&id), "limit": 1}));
            assert_eq!(nearest, [id], "by its vector");
            stored += 1;
        }
    }
    let stats = server.get("/v1/stats").1;
    assert_eq!((&stats["concepts"], &stats["vectors"]), (&json!(stored), &json!(stored)));
    stored
}

/// Kills the server repeatedly. After each kill, checks everything acknowledged so far.
fn kill_repeatedly(kills: impl IntoIterator<Item = Kill>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = Mutex::new(Sent::default());
    for (round, kill) in kills.into_iter().enumerate() {
        write_until_killed(folder.path(), round, kill, &sent);
        let server = start(folder.path(), &[]);
        let sent = sent.lock().expect("sent");
        let stored = check(&server, &sent);
        let (started, acknowledged) = (sent.started.len(), sent.acknowledged.len());
        assert!(
            stored >= BATCH * acknowledged && started > acknowledged && acknowledged >= kill.acknowledgements
        );
        println!(
            "kill {}: {acknowledged} of {started} batches acknowledged, {} stored",
            round + 1,
            stored / BATCH
        );
        server.kill();
    }
}

#[test]
fn kills_lose_no_acknowledged_batch_and_leave_no_partial_batch() {
    kill_repeatedly(
        [1, 2, 5, 9, 14].map(|acknowledgements| Kill { acknowledgements, pause: Duration::ZERO }),
    );
}

/// Slow tests.
mod full {
    use super::*;

    #[test]
    #[ignore = "takes minutes; run by `cargo xtask ci --full`"]
    fn twenty_kills_lose_no_acknowledged_batch() {
        kill_repeatedly((0..20).map(|round| Kill {
            acknowledgements: 5 + round,
            pause: Duration::from_micros(700) * u32::try_from(round * 7 % 20).expect("small"),
        }));
    }
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), &[]);
    server.post("/v1/concepts", &batch("kept"));
    server.kill();
    let index = folder.path().join("index");

    std::fs::remove_dir_all(&index).expect("remove");
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("kept").len(), BATCH);
    server.kill();

    std::fs::write(index.join("meta.json"), "{").expect("damage");
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("kept").len(), BATCH);
    server.kill();

    for entry in std::fs::read_dir(&index).expect("list") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|extension| extension == "idx" || extension == "term") {
            std::fs::write(path, "not index data").expect("damage");
        }
    }
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("kept").len(), BATCH);
}

/// Simulates a crash between the two commits: current records with an older index.
#[test]
fn an_old_index_is_updated_and_a_newer_one_is_rebuilt() {
    let folder = tempfile::tempdir().expect("a folder");
    let (index, old) = (folder.path().join("index"), folder.path().join("old"));
    let (records, old_records) = (folder.path().join("concepts.redb"), folder.path().join("old.redb"));
    let server = start(folder.path(), &[]);
    server.post("/v1/concepts", &batch("first"));
    server.kill();
    copy(&index, &old);
    std::fs::copy(&records, &old_records).expect("copy");

    let server = start(folder.path(), &[]);
    let mut change = batch("first");
    change["concepts"][0]["text"] = json!("replaced");
    change["concepts"].as_array_mut().expect("a list").truncate(1);
    server.post("/v1/concepts", &change);
    server.kill();
    // In the second round the index lacks several changes, and the log no longer has the oldest.
    for (round, expected) in
        ["updating the index, which is behind the records", "building the index from the records"]
            .into_iter()
            .enumerate()
    {
        swap(&old, &index);
        let server = start(folder.path(), &[]);
        assert!(server.messages.iter().any(|message| message == expected), "{:?}", server.messages);
        assert_eq!(server.find("first").len(), BATCH - 1, "round {round}");
        assert_eq!(server.find("replaced"), ["first-0"]);
        server.post("/v1/concepts", &batch("second"));
        server.post("/v1/concepts", &batch("third"));
        server.kill();
    }

    std::fs::copy(&old_records, &records).expect("restore");
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("first").len(), BATCH);
    assert_eq!(server.find("replaced second third"), [""; 0]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make");
    for entry in std::fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}

fn swap(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).expect("remove");
    copy(from, to);
}
