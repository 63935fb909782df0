//! Durable before acknowledged: checks the order of the system calls.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

/// A relevant system call in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A request was read from its connection.
    Request,
    /// Data was written to the store's file; true if it contains the marker.
    Written(bool),
    /// A thread began to sync the store's file.
    SyncStart(u32),
    /// The thread's sync succeeded.
    SyncEnd(u32),
    /// The first bytes of a 200 were sent.
    Response,
}

/// The events of a trace by `strace -f -y`, where an interrupted call has two lines: start and end.
fn events(trace: &str, marker: &str) -> Vec<Event> {
    const STORE: &str = "/concepts.redb>";
    const REQUESTS: [&str; 2] = ["\"POST /v1/", "\"DELETE /v1/"];
    let mut syncing = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let (Ok(thread), call) = (thread.parse::<u32>(), call.trim_start()) else { continue };
        let name =
            call.split(['(', ' ']).find(|part| !part.is_empty() && *part != "<...").unwrap_or_default();
        match name {
            "read" | "recvfrom" if REQUESTS.iter().any(|start| call.contains(start)) => {
                found.push(Event::Request)
            }
            "write" | "writev" | "sendto" if call.contains("HTTP/1.1 200 OK") => found.push(Event::Response),
            "pwrite64" if call.contains(STORE) || call.starts_with("<...") => {
                found.push(Event::Written(call.contains(marker)));
            }
            "fsync" | "fdatasync" => {
                if call.contains(STORE) {
                    syncing.insert(thread);
                    found.push(Event::SyncStart(thread));
                }
                if !call.contains("<unfinished") && syncing.remove(&thread) && call.ends_with(" = 0") {
                    found.push(Event::SyncEnd(thread));
                }
            }
            _ => {}
        }
    }
    found
}

/// Checks each request: its response must come after a sync of the store that began after the last write to it.
fn check_order(events: &[Event]) -> Vec<Result<(), &'static str>> {
    let mut results = Vec::new();
    for (start, _) in events.iter().enumerate().filter(|(_, event)| **event == Event::Request) {
        let rest = &events[start..];
        let Some(end) = rest.iter().position(|event| *event == Event::Response) else { continue };
        let before = &rest[..end];
        let last = before.iter().rposition(|event| matches!(event, Event::Written(_)));
        let result = last.ok_or("nothing was written").and_then(|last| {
            let after = &before[last..];
            let synced = after.iter().enumerate().any(|(index, event)| match event {
                Event::SyncStart(thread) => after[index..].contains(&Event::SyncEnd(*thread)),
                _ => false,
            });
            if synced { Ok(()) } else { Err("the response did not wait for the disk") }
        });
        results.push(result);
    }
    results
}

#[test]
fn responses_sent_before_the_sync_are_detected() {
    let request = r#"7 recvfrom(9<socket:[1]>, "POST /v1/concepts HTTP/1.1\r\n", 8192, 0, NULL, NULL) = 30"#;
    let write = r#"8 pwrite64(5</d/concepts.redb>, "\0marked\0", 4096, 8192) = 4096"#;
    let response = r#"7 writev(9<socket:[1]>, [{iov_base="HTTP/1.1 200 OK\r\n", iov_len=17}], 1) = 17"#;
    let start = "8 fdatasync(5</d/concepts.redb> <unfinished ...>";
    let end = "8 <... fdatasync resumed>)         = 0";
    let failed = "8 <... fdatasync resumed>)         = -1 EIO (Input/output error)";
    let whole = "8 fdatasync(5</d/concepts.redb>) = 0";
    let elsewhere = "8 fdatasync(6</d/index/a.store>) = 0";
    let early = "the response did not wait for the disk";
    for (lines, expected) in [
        (vec![request, write, start, end, response], Ok(())),
        (vec![request, write, whole, response], Ok(())),
        (vec![request, write, start, response, end], Err(early)),
        (vec![request, write, start, failed, response], Err(early)),
        (vec![request, write, elsewhere, response], Err(early)),
        (vec![request, whole, write, response], Err(early)),
        (vec![request, start, write, end, response], Err(early)),
        (vec![request, whole, response], Err("nothing was written")),
    ] {
        assert_eq!(check_order(&events(&lines.join("\n"), "marked")), [expected], "{lines:?}");
    }
    assert!(events(write, "marked").contains(&Event::Written(true)));
}

/// Tests that need strace.
mod full {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::support::{Server, program, run};
    use super::*;

    /// Maximum time until the trace is complete.
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Runs the program under strace as a detached tracer (`-D`), so that the child process is the program itself.
    fn traced(folder: &std::path::Path, trace: &std::path::Path) -> Server {
        let target = program(folder, &[]);
        let mut command = Command::new("strace");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH"))
            .args(["-D", "-f", "-y", "-s", "16384", "-e"])
            .arg("trace=read,recvfrom,write,writev,sendto,pwrite64,fsync,fdatasync")
            .arg("-o")
            .args([trace.as_os_str(), target.get_program()])
            .envs(target.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(&mut command)
    }

    #[test]
    #[ignore = "needs strace; run by `cargo xtask ci --full`"]
    fn every_change_is_on_the_disk_before_it_is_acknowledged() {
        let found = Command::new("strace").arg("-V").output();
        assert!(
            found.is_ok(),
            "strace is missing; run apt-get install strace, or cargo xtask ci --full --with-engine"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let trace = folder.path().join("trace");
        let marker = "durable before acknowledged";
        let server = traced(&folder.path().join("data"), &trace);
        for text in [marker, "another text", marker] {
            let body = json!({"concepts": [{"id": "a", "text": text, "vector": [1, 2]}]});
            assert_eq!(server.post("/v1/concepts", &body).0, 200);
        }
        assert_eq!(server.send("DELETE", "/v1/concepts/a", None).0, 200);
        server.terminate();
        assert!(server.wait().success());

        let started = Instant::now();
        let text = loop {
            let text = std::fs::read_to_string(&trace).expect("the trace");
            if text.contains("+++ exited with 0 +++\n") && started.elapsed() < TIMEOUT {
                break text;
            }
            assert!(started.elapsed() < TIMEOUT, "the trace is incomplete");
            std::thread::sleep(Duration::from_millis(5));
        };
        let events = events(&text, marker);
        assert_eq!(check_order(&events), [Ok(()); 4], "{events:?}");
        // The first and third change contain the marker, so the synced data is the data that was sent.
        let requests: Vec<&[Event]> = events.split(|event| *event == Event::Request).skip(1).collect();
        let holds = requests.iter().map(|events| events.contains(&Event::Written(true)));
        assert_eq!(holds.take(3).collect::<Vec<_>>(), [true, false, true]);
    }
}
