//! What survives a SIGKILL in the middle of writes: everything acknowledged, nothing twice, no half batch.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

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

/// Batches by name. Every concept of a batch has the words `all` and the batch's name, and one that is its own.
#[derive(Default)]
struct Sent {
    started: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// When the server is killed.
#[derive(Clone, Copy)]
struct Kill {
    /// Behind so many acknowledgements.
    acknowledgements: usize,
    /// And so much later, in the middle of whatever the others have brought about by then. Nothing depends on it; without
    /// it every kill would hit the beginning of a group.
    pause: Duration,
}

fn concept(batch: &str, item: usize) -> Value {
    let id = format!("{batch}-{item}");
    json!({"id": id, "text": format!("all {batch} {batch}i{item}"), "vector": direction(&id)})
}

fn batch(name: &str) -> Value {
    json!({"concepts": (0..BATCH).map(|item| concept(name, item)).collect::<Vec<_>>()})
}

/// A direction that no other id has.
fn direction(id: &str) -> Vec<i16> {
    let number = |place: usize| {
        let mut hasher = DefaultHasher::new();
        (id, place).hash(&mut hasher);
        i16::from_le_bytes([hasher.finish().to_le_bytes()[0], hasher.finish().to_le_bytes()[1]])
    };
    (0..DIMENSION).map(number).collect()
}

/// Writes from several threads and searches from another, until the server is killed while others are on their way.
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
            let question = json!({"text": "all", "vector": direction("any"), "limit": 100}).to_string();
            while let Some((status, body)) = exchange(&address, "POST", "/v1/search", Some(&question)) {
                assert_eq!(status, 200, "{body}");
            }
        });
    });
}

/// How many concepts are there, of which each is found by its id, by its own word and by its vector.
fn check(server: &Server, sent: &Sent) -> usize {
    let mut kept = 0;
    for name in &sent.started {
        let by_id: Vec<u16> =
            (0..BATCH).map(|item| server.get(&format!("/v1/concepts/{name}-{item}")).0).collect();
        let found = server.find(name);
        let whole = by_id.iter().all(|&status| status == 200);
        assert!(whole || by_id.iter().all(|&status| status == 404), "half a batch: {name} {by_id:?}");
        assert!(whole || !sent.acknowledged.contains(name), "lost: {name}");
        assert_eq!(found.len(), if whole { BATCH } else { 0 }, "{name} found as {found:?}");
        assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "twice: {found:?}");
        for item in (0..BATCH).filter(|_| whole) {
            let id = format!("{name}-{item}");
            assert_eq!(server.find(&format!("{name}i{item}")), [id.as_str()], "by its own word");
            let nearest = server.search(&json!({"vector": direction(&id), "limit": 1}));
            assert_eq!(nearest, [id], "by its vector");
            kept += 1;
        }
    }
    let stats = server.get("/v1/stats").1;
    assert_eq!((&stats["concepts"], &stats["vectors"]), (&json!(kept), &json!(kept)));
    kept
}

/// Kills it once for each of `kills`, and looks after each for all that was ever acknowledged.
fn kill_again_and_again(kills: impl IntoIterator<Item = Kill>) {
    let folder = tempfile::tempdir().expect("a folder");
    let sent = Mutex::new(Sent::default());
    for (round, kill) in kills.into_iter().enumerate() {
        write_until_killed(folder.path(), round, kill, &sent);
        let server = start(folder.path(), &[]);
        let sent = sent.lock().expect("sent");
        let kept = check(&server, &sent);
        let (started, acknowledged) = (sent.started.len(), sent.acknowledged.len());
        assert!(
            kept >= BATCH * acknowledged && started > acknowledged && acknowledged >= kill.acknowledgements
        );
        println!(
            "kill {}: {acknowledged} of {started} batches acknowledged, {} there",
            round + 1,
            kept / BATCH
        );
        server.kill();
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    kill_again_and_again(
        [1, 2, 5, 9, 14].map(|acknowledgements| Kill { acknowledgements, pause: Duration::ZERO }),
    );
}

/// What takes longer than an ordinary test may.
mod full {
    use super::*;

    #[test]
    #[ignore = "takes minutes: `cargo xtask ci --full` runs it"]
    fn twenty_kills_under_load_lose_nothing_acknowledged() {
        kill_again_and_again((0..20).map(|round| Kill {
            acknowledgements: 5 + round,
            pause: Duration::from_micros(700) * u32::try_from(round * 7 % 20).expect("small"),
        }));
    }
}

#[test]
fn an_index_that_is_lost_or_damaged_is_made_anew() {
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
            std::fs::write(path, "nothing that an index would hold").expect("damage");
        }
    }
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("kept").len(), BATCH);
}

/// A crash between the two commits, made by hand: the records of now with the index of before.
#[test]
fn an_index_that_lags_catches_up_and_one_that_is_ahead_is_made_anew() {
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
    // The second time, more than one change was missed and the older is forgotten.
    for (round, way) in ["catches up", "is built from the records"].into_iter().enumerate() {
        swap(&old, &index);
        let server = start(folder.path(), &[]);
        assert!(server.said.iter().any(|message| message.ends_with(way)), "{:?}", server.said);
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
