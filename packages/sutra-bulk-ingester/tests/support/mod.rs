//! Runs the real program on a free port, with a minimal HTTP client and a fake hybrid.

pub mod hybrid;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Maximum time to wait for a condition. A busy machine may need minutes for what takes seconds.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Media type of JSON lines.
pub const JSONL: &str = "application/x-ndjson";

/// Media type of CSV.
pub const CSV: &str = "text/csv";

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: Option<BufReader<ChildStdout>>,
    /// `HOST:PORT`.
    pub address: String,
    /// The log messages read so far.
    pub messages: Arc<Mutex<Vec<String>>>,
}

/// A new temporary folder.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The program with a clean environment and short retry delays.
pub fn program(folder: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sutra-bulk-ingester"));
    clean(&mut command, folder, environment);
    command
}

/// Sets the environment of a command that runs the program.
pub fn clean(command: &mut Command, folder: &Path, environment: &[(&str, &str)]) {
    command
        .env_clear()
        .env("DATA_DIR", folder)
        .envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("HYBRID_URL", "http://127.0.0.1:9")])
        .envs([("RETRY_FIRST_MILLISECONDS", "5"), ("RETRY_LONGEST_MILLISECONDS", "50")])
        .envs(environment.iter().copied());
}

/// Starts the program and waits until it is ready.
pub fn start(folder: &Path, hybrid: &str, environment: &[(&str, &str)]) -> Server {
    let mut command = program(folder, environment);
    run(command.env("HYBRID_URL", hybrid))
}

/// Starts a command that runs the program.
pub fn run(command: &mut Command) -> Server {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start the server");
    let log = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut server = Server { child, log: Some(log), address: String::new(), messages: Arc::default() };
    server.address = server.read_to("listening")["address"].as_str().expect("an address").to_owned();
    server.read_to("ready");
    // Keep reading, or a full pipe would block the program.
    let (mut log, messages) = (server.log.take().expect("the log"), server.messages.clone());
    std::thread::spawn(move || while next(&mut log, &messages).is_some() {});
    server
}

/// The next log record, which must be JSON; `None` at the end.
fn next(log: &mut BufReader<ChildStdout>, messages: &Mutex<Vec<String>>) -> Option<Value> {
    let mut line = String::new();
    if log.read_line(&mut line).expect("the log") == 0 {
        return None;
    }
    let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    messages.lock().expect("messages").push(record["message"].as_str().expect("a message").to_owned());
    Some(record)
}

impl Server {
    fn read_to(&mut self, message: &str) -> Value {
        let log = self.log.as_mut().expect("the log");
        loop {
            let record =
                next(log, &self.messages).unwrap_or_else(|| panic!("the log ended before {message:?}"));
            if record["message"] == message {
                return record;
            }
        }
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends SIGTERM and waits for the program to end.
    pub fn terminate(mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh").success());
        self.child.wait().expect("wait")
    }

    /// A memory value of `/proc/PID/status` in bytes, such as `VmHWM`.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find(|line| line.starts_with(name)).expect(name);
        let kilobytes = line.split_whitespace().nth(1).expect("a number");
        kilobytes.parse::<u64>().expect("a number") * 1024
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, "", b"")
    }

    pub fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Value) {
        exchange(&self.address, method, path, kind, body).expect("a response")
    }

    /// Uploads a file, which must be accepted. Returns the id of the job.
    pub fn upload(&self, kind: &str, body: &str) -> String {
        self.upload_to("/v1/jobs", kind, body)
    }

    pub fn upload_to(&self, path: &str, kind: &str, body: &str) -> String {
        let (status, job) = self.send("POST", path, kind, body.as_bytes());
        assert_eq!((status, &job["state"]), (202, &"queued".into()), "{job}");
        job["id"].as_str().expect("an id").to_owned()
    }

    pub fn job(&self, id: &str) -> Value {
        let (status, job) = self.get(&format!("/v1/jobs/{id}"));
        assert_eq!(status, 200, "{job}");
        job
    }

    /// Waits until a job has this state.
    pub fn wait_for(&self, id: &str, state: &str) -> Value {
        self.wait_until(id, |job| job["state"] == state)
    }

    /// Waits until a condition holds for a job.
    pub fn wait_until(&self, id: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let found = std::cell::RefCell::new(Value::Null);
        let name = format!("job {id}");
        wait(&name, || {
            let job = self.job(id);
            let holds = condition(&job);
            let has_ended = ["done", "failed", "cancelled"].iter().any(|state| job["state"] == *state);
            assert!(holds || !has_ended, "the job has ended: {job}");
            found.replace(job);
            holds
        });
        found.into_inner()
    }

    /// Uploads a file and waits until the job is done.
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

/// Waits until a condition holds.
pub fn wait(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "timed out waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The head of a chunked upload.
pub fn chunked(path: &str, kind: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

/// One request on a new connection; `None` if the server went away.
pub fn exchange(address: &str, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<(u16, Value)> {
    let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    // The server may reject the body without reading it.
    let _ = stream.write_all(body);
    read_response(stream)
}

/// Reads the response on a connection.
pub fn read_response(mut stream: TcpStream) -> Option<(u16, Value)> {
    let mut response = Vec::new();
    // The server may reset the connection when it rejects an unread body; what arrived before counts.
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}

/// JSON lines with these texts.
pub fn jsonl(texts: impl IntoIterator<Item = String>) -> String {
    texts.into_iter().map(|text| format!("{}\n", serde_json::json!({"text": text}))).collect()
}

/// The numbers of the bad lines of a job.
pub fn bad_lines(job: &Value) -> Vec<u64> {
    let lines = job["bad_lines"].as_array().expect("a list");
    lines.iter().map(|bad| bad["line"].as_u64().expect("a number")).collect()
}
