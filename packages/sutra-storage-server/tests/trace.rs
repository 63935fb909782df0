//! Durable before acknowledged, seen from outside: what the program asks of the kernel, and in which order.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

mod support;

/// What is looked for in a trace, in the order of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// A request was read from its connection.
    Asked,
    /// Something was written into the store's file; true where that holds the words that were looked for.
    Written(bool),
    /// Somebody began to wait until the store's file is on the disk.
    Syncing(u32),
    /// That wait was over, without an error.
    Synced(u32),
    /// The first bytes of a 200 went to the connection.
    Answered,
}

/// The events of a trace by `strace -f -y`. A call that others interrupt stands on two lines, its beginning and its end.
fn events(trace: &str, words: &str) -> Vec<Event> {
    const STORE: &str = "/concepts.redb>";
    const ASKED: [&str; 2] = ["\"POST /v1/", "\"DELETE /v1/"];
    let mut syncing = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let (Ok(thread), call) = (thread.parse::<u32>(), call.trim_start()) else { continue };
        let name =
            call.split(['(', ' ']).find(|part| !part.is_empty() && *part != "<...").unwrap_or_default();
        match name {
            "read" | "recvfrom" if ASKED.iter().any(|begin| call.contains(begin)) => found.push(Event::Asked),
            "write" | "writev" | "sendto" if call.contains("HTTP/1.1 200 OK") => found.push(Event::Answered),
            "pwrite64" if call.contains(STORE) || call.starts_with("<...") => {
                found.push(Event::Written(call.contains(words)));
            }
            "fsync" | "fdatasync" => {
                if call.contains(STORE) {
                    syncing.insert(thread);
                    found.push(Event::Syncing(thread));
                }
                if !call.contains("<unfinished") && syncing.remove(&thread) && call.ends_with(" = 0") {
                    found.push(Event::Synced(thread));
                }
            }
            _ => {}
        }
    }
    found
}

/// Of each request, what is wrong with its answer: it must come after a sync of the store that began behind the last
/// write into it.
fn judge(events: &[Event]) -> Vec<Result<(), &'static str>> {
    let mut answers = Vec::new();
    for (begin, _) in events.iter().enumerate().filter(|(_, event)| **event == Event::Asked) {
        let rest = &events[begin..];
        let Some(end) = rest.iter().position(|event| *event == Event::Answered) else { continue };
        let before = &rest[..end];
        let last = before.iter().rposition(|event| matches!(event, Event::Written(_)));
        let verdict = last.ok_or("nothing was written").and_then(|last| {
            let after = &before[last..];
            let synced = after.iter().enumerate().any(|(place, event)| match event {
                Event::Syncing(thread) => after[place..].contains(&Event::Synced(*thread)),
                _ => false,
            });
            if synced { Ok(()) } else { Err("the answer did not wait for the disk") }
        });
        answers.push(verdict);
    }
    answers
}

#[test]
fn an_answer_that_does_not_wait_for_the_disk_is_told_from_one_that_does() {
    let asked = r#"7 recvfrom(9<socket:[1]>, "POST /v1/concepts HTTP/1.1\r\n", 8192, 0, NULL, NULL) = 30"#;
    let write = r#"8 pwrite64(5</d/concepts.redb>, "\0marked\0", 4096, 8192) = 4096"#;
    let answer = r#"7 writev(9<socket:[1]>, [{iov_base="HTTP/1.1 200 OK\r\n", iov_len=17}], 1) = 17"#;
    let begin = "8 fdatasync(5</d/concepts.redb> <unfinished ...>";
    let end = "8 <... fdatasync resumed>)         = 0";
    let failed = "8 <... fdatasync resumed>)         = -1 EIO (Input/output error)";
    let whole = "8 fdatasync(5</d/concepts.redb>) = 0";
    let elsewhere = "8 fdatasync(6</d/index/a.store>) = 0";
    let late = "the answer did not wait for the disk";
    for (lines, verdict) in [
        (vec![asked, write, begin, end, answer], Ok(())),
        (vec![asked, write, whole, answer], Ok(())),
        (vec![asked, write, begin, answer, end], Err(late)),
        (vec![asked, write, begin, failed, answer], Err(late)),
        (vec![asked, write, elsewhere, answer], Err(late)),
        (vec![asked, whole, write, answer], Err(late)),
        (vec![asked, begin, write, end, answer], Err(late)),
        (vec![asked, whole, answer], Err("nothing was written")),
    ] {
        assert_eq!(judge(&events(&lines.join("\n"), "marked")), [verdict], "{lines:?}");
    }
    assert!(events(write, "marked").contains(&Event::Written(true)));
}

/// What needs more than Rust.
mod full {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::support::{Server, program, run};
    use super::*;

    /// A trace that is not complete in this time never will be.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// The program under strace, which stands beside it (`-D`): what is started here is the program itself.
    fn traced(folder: &std::path::Path, trace: &std::path::Path) -> Server {
        let own = program(folder, &[]);
        let mut command = Command::new("strace");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH"))
            .args(["-D", "-f", "-y", "-s", "16384", "-e"])
            .arg("trace=read,recvfrom,write,writev,sendto,pwrite64,fsync,fdatasync")
            .arg("-o")
            .args([trace.as_os_str(), own.get_program()])
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(&mut command)
    }

    #[test]
    #[ignore = "needs strace: `cargo xtask ci --full` runs it"]
    fn every_change_is_on_the_disk_before_it_is_acknowledged() {
        let found = Command::new("strace").arg("-V").output();
        assert!(
            found.is_ok(),
            "strace is missing: apt-get install strace, or cargo xtask ci --full --with-engine"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let trace = folder.path().join("trace");
        let words = "durable before acknowledged";
        let server = traced(&folder.path().join("data"), &trace);
        for text in [words, "another text", words] {
            let body = json!({"concepts": [{"id": "a", "text": text, "vector": [1, 2]}]});
            assert_eq!(server.post("/v1/concepts", &body).0, 200);
        }
        assert_eq!(server.ask("DELETE", "/v1/concepts/a", None).0, 200);
        server.terminate();
        assert!(server.wait().success());

        let begun = Instant::now();
        let text = loop {
            let text = std::fs::read_to_string(&trace).expect("the trace");
            if text.contains("+++ exited with 0 +++\n") && begun.elapsed() < PATIENCE {
                break text;
            }
            assert!(begun.elapsed() < PATIENCE, "the trace has no end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let events = events(&text, words);
        assert_eq!(judge(&events), [Ok(()); 4], "{events:?}");
        // The first and the third change were seen to go into the file; so what was synced is what was sent.
        let requests: Vec<&[Event]> = events.split(|event| *event == Event::Asked).skip(1).collect();
        let holds = requests.iter().map(|events| events.contains(&Event::Written(true)));
        assert_eq!(holds.take(3).collect::<Vec<_>>(), [true, false, true]);
    }
}
