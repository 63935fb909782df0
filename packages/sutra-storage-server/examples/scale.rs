//! Fills a store, then prints how fast and how exactly it searches, what it holds in memory, and how long a restart takes.
//!
//!     cargo build --profile image -p sutra-storage-server
//!     cargo run --release -p sutra-storage-server --example scale -- target/image/sutra-storage-server FOLDER 1000000 [EMBEDDINGS]
//!
//! A store that is in FOLDER already is searched as it is. With REEMBED=1, its vectors are removed at the end. The vectors are random, or those of a file of 32-bit floats
//! (little endian, 384 a vector) with noise added.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

#[path = "../tests/support/mod.rs"]
#[allow(dead_code)]
mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Server, ids};

const DIMENSION: usize = 384;
const BATCH: usize = 500;
const QUERIES: usize = 200;
const RECALL_QUERIES: usize = 50;
const LIMIT: usize = 10;

/// Share of the noise that is added to an embedding.
const NOISE: f32 = 0.3;

fn main() {
    let mut args = std::env::args().skip(1);
    let program = args.next().expect("the program");
    let folder = args.next().map(std::path::PathBuf::from).expect("a folder");
    let count: usize = args.next().map_or(100_000, |count| count.parse().expect("a number of concepts"));
    let source = Source::new(args.next());
    let is_filled = folder.join("concepts.redb").exists();
    std::fs::create_dir_all(&folder).expect("make the folder");
    let server = start(&program, &folder);
    if !is_filled {
        fill(&server, count, &source);
    }
    println!("stats: {}", server.get("/v1/stats").1);
    memory("before searches", &server);
    search(&server, count, &source);

    server.kill();
    let started = Instant::now();
    let server = start(&program, &folder);
    println!("restart after a kill: {:.1} s", started.elapsed().as_secs_f64());
    memory("after the restart", &server);

    if std::env::var_os("REEMBED").is_some() {
        let started = Instant::now();
        let (status, body) = server.post("/v1/reembed", &json!({"model": "another", "dimension": DIMENSION}));
        assert_eq!(status, 200, "{body}");
        println!("reembed: {:.2} s", started.elapsed().as_secs_f64());
        memory("after reembed", &server);
    }
}

fn fill(server: &Server, count: usize, source: &Source) {
    let started = Instant::now();
    for first in (0..count).step_by(BATCH) {
        let concepts: Vec<_> = (first..count.min(first + BATCH))
            .map(|n| json!({"id": id(n), "text": text(n), "vector": source.vector(n)}))
            .collect();
        let (status, body) = server.post("/v1/concepts", &json!({"model": "m", "concepts": concepts}));
        assert_eq!(status, 200, "{body}");
    }
    println!("stored {count} in {:.1} s", started.elapsed().as_secs_f64());
}

fn search(server: &Server, count: usize, source: &Source) {
    let query = |n: usize| source.vector(count + n);
    let by_vector = |n: usize| drop(server.search(&json!({"vector": query(n), "limit": LIMIT})));
    let by_text = |n: usize| drop(server.search(&json!({"text": text(n * 7919 % count), "limit": LIMIT})));
    for clients in [1, 4] {
        latencies("vector", clients, &by_vector);
        latencies("text", clients, &by_text);
    }
    memory("after searches", server);
    recall(count, source, server);
    memory("after recall", server);
}

fn start(program: &str, folder: &std::path::Path) -> Server {
    let mut command = std::process::Command::new(program);
    command.env("DATA_DIR", folder).envs([("HOST", "127.0.0.1"), ("PORT", "0")]);
    support::run(&mut command)
}

fn id(n: usize) -> String {
    // As long as a UUID.
    format!("{:08x}-0000-4000-8000-{n:012x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff)
}

fn text(n: usize) -> String {
    let words = [n % 97, n % 1009, n % 10_007, n / 3].map(|word| format!("word{word}"));
    words.join(" ")
}

/// Where vectors come from.
struct Source(Vec<f32>);

impl Source {
    fn new(file: Option<String>) -> Self {
        let bytes = file.map(|file| std::fs::read(file).expect("the embeddings")).unwrap_or_default();
        Self(bytes.as_chunks().0.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    /// The vector with this number, always the same.
    fn vector(&self, n: usize) -> Vec<f32> {
        let noise = normal(n);
        let count = self.0.len() / DIMENSION;
        if count == 0 {
            return noise;
        }
        let base = &self.0[n % count * DIMENSION..][..DIMENSION];
        let length = |vector: &[f32]| vector.iter().map(|number| number * number).sum::<f32>().sqrt();
        let share = NOISE * length(base) / length(&noise);
        base.iter().zip(&noise).map(|(base, noise)| base + share * noise).collect()
    }
}

/// Numbers with nearly a normal distribution.
fn normal(seed: usize) -> Vec<f32> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..DIMENSION).map(|_| (0..4).map(|_| uniform()).sum::<f32>()).collect()
}

fn latencies(name: &str, clients: usize, request: &(dyn Fn(usize) + Sync)) {
    let mut all: Vec<Duration> = std::thread::scope(|scope| {
        let client = |client: usize| {
            move || {
                let numbers = (client..QUERIES).step_by(clients);
                let timed = numbers.map(|n| {
                    let started = Instant::now();
                    request(n);
                    started.elapsed()
                });
                timed.collect::<Vec<_>>()
            }
        };
        let running: Vec<_> = (0..clients).map(|number| scope.spawn(client(number))).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("a client")).collect()
    });
    all.sort();
    let at = |share: usize| all[all.len() * share / 100].as_secs_f64() * 1000.0;
    println!("{name} search, {clients} clients: median {:.1} ms, p95 {:.1} ms", at(50), at(95));
}

/// Compares with exact search over all vectors.
fn recall(count: usize, source: &Source, server: &Server) {
    let queries: Vec<Vec<f32>> = (0..RECALL_QUERIES).map(|n| source.vector(count + n)).collect();
    let parts = std::thread::available_parallelism().map_or(1, usize::from);
    let scan = |part: usize| {
        let mut best: Vec<Vec<(f32, usize)>> = vec![Vec::new(); queries.len()];
        for n in (part..count).step_by(parts) {
            let vector = source.vector(n);
            let length = dot(&vector, &vector).sqrt();
            for (query, best) in queries.iter().zip(&mut best) {
                best.push((dot(query, &vector) / length, n));
                if best.len() == 4 * LIMIT {
                    keep_best(best);
                }
            }
        }
        best
    };
    let all: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..parts).map(|part| scope.spawn(move || scan(part))).collect();
        running.into_iter().map(|thread| thread.join().expect("a part")).collect()
    });
    let mut found = 0;
    for (number, query) in queries.iter().enumerate() {
        let mut best: Vec<_> = all.iter().flat_map(|part| part[number].iter().copied()).collect();
        keep_best(&mut best);
        let expected: Vec<String> = best.iter().map(|(_, n)| id(*n)).collect();
        let (_, body) = server.post("/v1/search", &json!({"vector": query, "limit": LIMIT}));
        found += ids(&body).iter().filter(|id| expected.contains(id)).count();
    }
    println!("recall@{LIMIT}: {:.4}", found as f64 / (RECALL_QUERIES * LIMIT) as f64);
}

fn keep_best(best: &mut Vec<(f32, usize)>) {
    best.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    best.truncate(LIMIT);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for lane in 0..16 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum()
}

/// Prints the memory that is not page cache.
fn memory(when: &str, server: &Server) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the status");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("RssAnon");
    println!("memory {when}: {line}");
}
