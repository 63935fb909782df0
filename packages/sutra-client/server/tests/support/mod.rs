//! The server on a real port, with a page and an api service that a test plays itself.
#![allow(dead_code, clippy::expect_used, reason = "tests may panic, and each uses a part of this")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// More than any time that the server waits in these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PROGRAM: &str = env!("CARGO_BIN_EXE_sutra-client");

pub const PAGE: &str = "<!doctype html><title>Sutra</title>";
pub const SCRIPT: &str = "console.log('a script that is long enough to be compressed');";

/// A running server; killed when dropped.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    reader: Option<JoinHandle<()>>,
    _folder: TempDir,
}

/// A folder with a page.
pub fn site() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let assets = folder.path().join("html/assets");
    fs::create_dir_all(&assets).expect("folders");
    for (path, text) in [
        (
            "health.json",
            "{\"status\":\"ok\",\"service\":\"client\",\"version\":\"1\",\"edition\":\"simple\"}\n",
        ),
        ("html/index.html", PAGE),
        ("html/favicon.svg", "<svg/>"),
        ("html/assets/a.js", SCRIPT),
        ("html/assets/a.js.gz", "not really gzip"),
    ] {
        fs::write(folder.path().join(path), text).expect("write");
    }
    folder
}

pub fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().envs(environment.iter().copied());
    command
}

impl Server {
    /// Starts a server for the api service at this address.
    pub fn start(api: SocketAddr) -> Self {
        Self::with(&[("API_URL", &format!("http://{api}"))])
    }

    pub fn with(environment: &[(&str, &str)]) -> Self {
        Self::run(Command::new(PROGRAM), environment)
    }

    /// The same in a process that may open this many files.
    pub fn with_open_files(api: SocketAddr, files: usize) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" \"$@\""), PROGRAM]);
        Self::run(command, &[("API_URL", &format!("http://{api}"))])
    }

    fn run(mut command: Command, environment: &[(&str, &str)]) -> Self {
        let folder = site();
        let mut child = command
            .arg(folder.path())
            .env_clear()
            .envs(environment.iter().copied())
            .envs([("HOST", "127.0.0.1"), ("PORT", "0"), ("LOG_LEVEL", "info")])
            .stdout(Stdio::piped())
            .spawn()
            .expect("start");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut output = BufReader::new(child.stdout.take().expect("stdout"));
        let address = loop {
            let line = next_line(&mut output).expect("the server listens");
            lines.lock().expect("lines").push(line.clone());
            if line["message"] == "listening" {
                break line["address"].as_str().expect("text").parse().expect("an address");
            }
        };
        let reader = std::thread::spawn({
            let lines = lines.clone();
            move || {
                while let Some(line) = next_line(&mut output) {
                    lines.lock().expect("lines").push(line);
                }
            }
        });
        Self { address, child, lines, reader: Some(reader), _folder: folder }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    /// Sends these bytes and reads until the server closes the connection.
    pub fn raw(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, false)
    }

    /// The same, but sends nothing after these bytes: the server may take that for a client that is gone.
    pub fn raw_to_end(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, true)
    }

    fn exchange(&self, bytes: &[u8], is_end: bool) -> String {
        let mut stream = self.connect();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes);
        if is_end {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends a request with these headers, and closes the connection after its answer.
    pub fn send(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut stream = self.connect();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: page.example\r\nConnection: close\r\n{length}{headers}\r\n{body}"
        )
        .expect("send");
        Answer::read(&mut stream)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(&format!("GET {path}"), &[], "")
    }

    /// Sends a signal, and returns the exit code and all lines of the log.
    pub fn stop(mut self, signal: &str) -> (Option<i32>, Vec<Value>) {
        self.signal(signal);
        let status = self.child.wait().expect("wait");
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log");
        }
        (status.code(), self.lines.lock().expect("lines").clone())
    }

    pub fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().expect("kill").success());
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(output: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut line = String::new();
    (output.read_line(&mut line).ok()? > 0)
        .then(|| serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads until the connection ends.
    pub fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(&bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
        let headers = lines.map(|line| line.split_once(": ").expect("a header"));
        Self {
            status: status.parse().expect("a number"),
            headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
            body: bytes.split_off(end + 4),
        }
    }

    /// All values of a header, joined.
    pub fn header(&self, name: &str) -> String {
        let values: Vec<&str> =
            self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect();
        values.join("|")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The code of an error in the common format.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// An api service: each connection is handled by `play`.
pub fn api(play: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let play = Arc::new(play);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let play = play.clone();
            std::thread::spawn(move || play(stream));
        }
    });
    address
}

/// The head of a request.
pub fn read_head(stream: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// An address where nothing listens. A free port could be given to another test.
pub fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}
