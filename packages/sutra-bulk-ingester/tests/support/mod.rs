//! The real program on a port of its own, just enough HTTP to talk to it, and a hybrid that does as it is told.

pub mod hybrid;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A condition that does not come true in this time never will.
const PATIENCE: Duration = Duration::from_secs(120);

/// JSON lines.
pub const JSONL: &str = "application/x-ndjson";

/// CSV.
pub const CSV: &str = "text/csv";

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: Option<BufReader<ChildStdout>>,
    /// Where it listens.
    pub address: String,
    /// The messages of its log, as far as they were read.
    pub said: Arc<Mutex<Vec<String>>>,
}

/// A folder of its own.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The program with a clean environment and pauses so short that tests need not wait for them.
pub fn program(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sutra-bulk-ingester"));
    clean(&mut command, folder, environment);
    command
}

/// Gives a command the environment of the program.
pub fn clean(command: &mut Command, folder: &Path, environment: &[(&str, &str)]) {
    command
        .env_clear()
        .env("DATA_DIR", folder)
        .envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("HYBRID_URL", "http://127.0.0.1:9")])
        .envs([("RETRY_FIRST_MILLISECONDS", "5"), ("RETRY_LONGEST_MILLISECONDS", "50")])
        .envs(environment.iter().copied());
}

/// Starts the program and waits until it listens and has started.
pub fn start(folder: &Path, hybrid: &str, environment: &[(&str, &str)]) -> Server {
    let mut command = program(folder, environment);
    run(command.env("HYBRID_URL", hybrid))
}

/// Starts a command that becomes the program.
pub fn run(command: &mut Command) -> Server {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start the server");
    let log = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut server = Server { child, log: Some(log), address: String::new(), said: Arc::default() };
    server.address = server.read_to("listening")["address"].as_str().expect("an address").to_owned();
    server.read_to("ready");
    // From here on somebody must read, or a full pipe would block it.
    let (mut log, said) = (server.log.take().expect("the log"), server.said.clone());
    std::thread::spawn(move || while next(&mut log, &said).is_some() {});
    server
}

/// The next line of a log, which must be JSON; none at the end.
fn next(log: &mut BufReader<ChildStdout>, said: &Mutex<Vec<String>>) -> Option<Value> {
    let mut line = String::new();
    if log.read_line(&mut line).expect("the log") == 0 {
        return None;
    }
    let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    said.lock().expect("said").push(record["message"].as_str().expect("a message").to_owned());
    Some(record)
}

impl Server {
    fn read_to(&mut self, message: &str) -> Value {
        let log = self.log.as_mut().expect("the log");
        loop {
            let record = next(log, &self.said).unwrap_or_else(|| panic!("the log ended before {message:?}"));
            if record["message"] == message {
                return record;
            }
        }
    }

    /// SIGKILL: what was not written by now never will be by this process.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM; hands back how the program ended.
    pub fn terminate(mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
        self.child.wait().expect("wait")
    }

    /// A number of `/proc/PID/status` in bytes, such as `VmHWM`.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find(|line| line.starts_with(name)).expect(name);
        let kilobytes = line.split_whitespace().nth(1).expect("a number");
        kilobytes.parse::<u64>().expect("a number") * 1024
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "", b"")
    }

    pub fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        exchange(&self.address, method, path, kind, body).expect("an answer")
    }

    /// Uploads what must be accepted; hands back the job's id.
    pub fn upload(&self, kind: &str, body: &str) -> String {
        self.upload_to("/v1/jobs", kind, body)
    }

    pub fn upload_to(&self, path: &str, kind: &str, body: &str) -> String {
        let (status, job) = self.ask("POST", path, kind, body.as_bytes());
        assert_eq!((status, &job["state"]), (202, &"queued".into()), "{job}");
        job["id"].as_str().expect("an id").to_owned()
    }

    pub fn job(&self, id: &str) -> Value {
        let (status, job) = self.get(&format!("/v1/jobs/{id}"));
        assert_eq!(status, 200, "{job}");
        job
    }

    /// Waits until a job is in a state.
    pub fn wait_for(&self, id: &str, state: &str) -> Value {
        self.wait_until(id, |job| job["state"] == state)
    }

    /// Waits until something is true of a job.
    pub fn wait_until(&self, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let found = std::cell::RefCell::new(Value::Null);
        let name = format!("job {id}");
        wait(&name, || {
            let job = self.job(id);
            let so = is_so(&job);
            let has_ended = ["done", "failed", "cancelled"].iter().any(|state| job["state"] == *state);
            assert!(so || !has_ended, "it will never be so: {job}");
            found.replace(job);
            so
        });
        found.into_inner()
    }

    /// Uploads what must come to its end.
    pub fn teach(&self, kind: &str, body: &str) -> Value {
        let id = self.upload(kind, body);
        self.wait_for(&id, "done")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is true.
pub fn wait(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The head of an upload in chunks.
pub fn chunked(path: &str, kind: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

/// One request on a connection of its own; none if the server went away.
pub fn exchange(address: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<(u16, Value)> {
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    // The other side may refuse a body unread and say so.
    let _ = stream.write_all(body);
    answer(stream)
}

/// The answer on a connection, read to its end.
pub fn answer(mut stream: TcpStream) -> Option<(u16, Value)> {
    let mut answer = Vec::new();
    // The other side may reset the connection when it refuses a body unread; what arrived before counts.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// Lines of JSON with these texts.
pub fn jsonl(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| format!("{}\n", serde_json::json!({"text": text}))).collect()
}

/// The lines that a job reports, by number.
pub fn bad_lines(job: &Value) -> Vec<u64> {
    let lines = job["bad_lines"].as_array().expect("a list");
    lines.iter().map(|bad| bad["line"].as_u64().expect("a number")).collect()
}
