//! Runs the real program on a free port, with a minimal HTTP client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    log: Mutex<Receiver<String>>,
    /// `HOST:PORT`.
    pub address: String,
    /// The log messages read so far.
    pub messages: Vec<String>,
}

/// The program with a clean environment.
pub fn program(folder: &Path, environment: &[(&str, &str)]) -> Command {
    #[expect(
        clippy::option_env_unwrap,
        reason = "examples, which use this module too, have no such variable"
    )]
    let program = option_env!("CARGO_BIN_EXE_sutra-storage-server").expect("the program");
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("DATA_DIR", folder)
        .envs([("HOST", "127.0.0.1"), ("PORT", "0")])
        .envs(environment.iter().copied());
    command
}

/// Starts the program and waits until it is ready.
pub fn start(folder: &Path, environment: &[(&str, &str)]) -> Server {
    run(&mut program(folder, environment))
}

/// Starts a command that runs the program.
pub fn run(command: &mut Command) -> Server {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start the server");
    let pipe = BufReader::new(child.stdout.take().expect("a pipe"));
    let (lines, log) = channel();
    // Read all the time, or a full pipe would block the program.
    std::thread::spawn(move || pipe.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line))));
    let mut server = Server { child, log: Mutex::new(log), address: String::new(), messages: Vec::new() };
    server.address = server.wait_for("listening")["address"].as_str().expect("an address").to_owned();
    server.wait_for("ready");
    server
}

impl Server {
    /// Reads the log up to this message. Every line must be JSON.
    pub fn wait_for(&mut self, message: &str) -> Value {
        loop {
            let line = self
                .log
                .get_mut()
                .expect("the log")
                .recv()
                .unwrap_or_else(|_| panic!("the log ended before {message:?}"));
            let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            self.messages.push(record["message"].as_str().expect("a message").to_owned());
            if record["message"] == message {
                return record;
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// Sends SIGTERM without waiting.
    pub fn terminate(&self) {
        let status =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status().expect("sh");
        assert!(status.success());
    }

    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("wait")
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, Some(&body.to_string()))
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        exchange(&self.address, method, path, body).expect("an answer")
    }

    /// The lines of an answer.
    pub fn lines(&self, path: &str) -> Vec<String> {
        let (status, body) = exchange_text(&self.address, "GET", path, None).expect("an answer");
        assert_eq!(status, 200, "{body}");
        body.lines().map(str::to_owned).collect()
    }

    /// The ids that a text search finds.
    pub fn find(&self, text: &str) -> Vec<String> {
        self.search(&json!({"text": text, "limit": 100}))
    }

    /// The ids that a search finds, best first.
    pub fn search(&self, request: &Value) -> Vec<String> {
        let (status, body) = self.post("/v1/search", request);
        assert_eq!(status, 200, "{body}");
        ids(&body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ids in a search response.
pub fn ids(body: &Value) -> Vec<String> {
    let results = body["results"].as_array().expect("results");
    results.iter().map(|result| result["id"].as_str().expect("an id").to_owned()).collect()
}

/// One request on a new connection; `None` if the server went away.
pub fn exchange(address: &str, method: &str, path: &str, body: Option<&str>) -> Option<(u16, Value)> {
    let (status, body) = exchange_text(address, method, path, body)?;
    Some((status, serde_json::from_str(&body).ok()?))
}

fn exchange_text(address: &str, method: &str, path: &str, body: Option<&str>) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let body = body.unwrap_or_default();
    // Version 1.0, so that the answer is not chunked. Sent in one piece, so that a trace shows the whole request in one read.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // The server may reset the connection when it rejects an unread body; what arrived before counts.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
