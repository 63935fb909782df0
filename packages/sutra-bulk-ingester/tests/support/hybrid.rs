//! A fake hybrid on a real port.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// How to handle a call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Learn the texts and respond.
    Learn,
    /// Respond with this status, these header lines and this body.
    Respond(u16, &'static str, &'static str),
    /// Close the connection without a response.
    HangUp,
    /// Never respond.
    NoResponse,
    /// Learn the texts but never respond.
    LearnWithoutResponse,
}

type Behaviour = Box<dyn FnMut(&[String]) -> Reply + Send>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    /// How often each text was learned, by its first characters.
    learned: Mutex<BTreeMap<String, u32>>,
    /// What was sent for each text, by the text.
    sent: Mutex<BTreeMap<String, String>>,
    /// Limits of a request.
    limits: Mutex<Limits>,
    /// Number of texts in each call, successful or not.
    calls: Mutex<Vec<usize>>,
    /// The `X-Request-Id` of each call.
    request_ids: Mutex<Vec<String>>,
    /// Number of paused calls, and how many more calls may pass; `None` if not paused.
    gate: Mutex<(usize, Option<usize>)>,
    gate_changed: Condvar,
    active_calls: AtomicUsize,
    stopping: AtomicBool,
}

/// The limits of a request. `/health` shows them, and larger requests are refused, as hybrid does.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub texts: usize,
    pub characters: usize,
    pub bytes: usize,
}

/// A running fake hybrid; stopped when dropped.
pub struct Hybrid {
    /// Its port, so that another one can reuse it.
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// Number of characters that identify a text.
const ID_LENGTH: usize = 24;

impl Hybrid {
    /// Learns everything.
    pub fn start() -> Self {
        Self::with(|_| Reply::Learn)
    }

    /// Handles the texts of each call with `behaviour`.
    pub fn with(behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) -> Self {
        Self::on(0, behaviour)
    }

    /// Like `with`, on a given port.
    pub fn on(port: u16, behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Box::new(behaviour)),
            learned: Mutex::default(),
            sent: Mutex::default(),
            limits: Mutex::new(Limits { texts: 32, characters: 10_000, bytes: 2_000_000 }),
            calls: Mutex::default(),
            request_ids: Mutex::default(),
            gate: Mutex::default(),
            gate_changed: Condvar::new(),
            active_calls: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = shared.clone();
                    // A caller that disconnects is not an error.
                    std::thread::spawn(move || {
                        shared.active_calls.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.ok().and_then(|stream| shared.serve(stream));
                        shared.active_calls.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Replaces the behaviour.
    pub fn set_behaviour(&self, behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) {
        *self.shared.behaviour.lock().expect("behaviour") = Box::new(behaviour);
    }

    /// Changes the limits; the default is 32 texts, 10,000 characters and 2 MB.
    pub fn set_limits(&self, limits: Limits) {
        *self.shared.limits.lock().expect("limits") = limits;
    }

    /// The JSON that was sent for a text.
    pub fn sent(&self, text: &str) -> String {
        self.shared.sent.lock().expect("sent").get(text).cloned().unwrap_or_default()
    }

    /// Pauses new calls before they are handled.
    pub fn pause(&self) {
        self.pause_after(0);
    }

    /// Pauses calls after this many more.
    pub fn pause_after(&self, calls: usize) {
        self.shared.gate.lock().expect("gate").1 = Some(calls);
        self.shared.gate_changed.notify_all();
    }

    /// Resumes paused calls.
    pub fn resume(&self) {
        self.shared.gate.lock().expect("gate").1 = None;
        self.shared.gate_changed.notify_all();
    }

    /// Waits until no call is active.
    pub fn wait_until_idle(&self) {
        super::wait("hybrid to be idle", || self.shared.active_calls.load(Ordering::SeqCst) == 0);
    }

    /// Waits until a call is paused. A waiting call that may still pass does not count.
    pub fn wait_for_call(&self) {
        super::wait("a paused call", || {
            let gate = self.shared.gate.lock().expect("gate");
            gate.0 > 0 && gate.1 == Some(0)
        });
    }

    /// The texts learned so far, and how often.
    pub fn learned(&self) -> BTreeMap<String, u32> {
        self.shared.learned.lock().expect("learned").clone()
    }

    /// Number of texts in each call so far.
    pub fn calls(&self) -> Vec<usize> {
        self.shared.calls.lock().expect("calls").clone()
    }

    /// The `X-Request-Id` of each call so far.
    pub fn request_ids(&self) -> Vec<String> {
        self.shared.request_ids.lock().expect("ids").clone()
    }
}

impl Drop for Hybrid {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.resume();
        // Wakes the listener thread, which ends and frees the port.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut first, mut length, mut line) = (String::new(), 0, String::new());
        let mut request_id = String::new();
        reader.read_line(&mut first).ok()?;
        while !matches!(line.as_str(), "\r\n") {
            line.clear();
            reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("x-request-id:") {
                value.trim().clone_into(&mut request_id);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut stream = reader.into_inner();
        if first.starts_with("GET /health ") {
            let Limits { texts, characters, bytes } = *self.limits.lock().expect("limits");
            let limits =
                json!({"max_texts": texts, "max_text_characters": characters, "max_body_bytes": bytes});
            return respond(&mut stream, 200, "", &json!({"status": "ok", "limits": limits}).to_string());
        }
        assert!(first.starts_with("POST /learn "), "{first}");
        let texts = self.texts(&body);
        self.calls.lock().expect("calls").push(texts.len());
        self.request_ids.lock().expect("ids").push(request_id);
        self.pass_gate();
        if self.stopping.load(Ordering::SeqCst) {
            return None;
        }
        if let Some((status, problem)) = self.beyond_limit(&texts, length) {
            let error = json!({"error": {"code": "beyond_limit", "message": problem}});
            return respond(&mut stream, status, "", &error.to_string());
        }
        let reply = (self.behaviour.lock().expect("behaviour"))(&texts);
        match reply {
            Reply::Learn => {
                let ids = self.learn(&texts);
                respond(&mut stream, 200, "", &json!({"learned": ids.len(), "ids": ids}).to_string())
            }
            Reply::Respond(status, head, body) => respond(&mut stream, status, head, body),
            Reply::HangUp => None,
            Reply::NoResponse | Reply::LearnWithoutResponse => {
                if matches!(reply, Reply::LearnWithoutResponse) {
                    self.learn(&texts);
                }
                // Until the caller closes the connection.
                let _ = stream.read(&mut [0]);
                None
            }
        }
    }

    /// The texts of a body, each a string or an object.
    fn texts(&self, body: &[u8]) -> Vec<String> {
        let body: BTreeMap<String, Vec<Box<RawValue>>> = serde_json::from_slice(body).expect("JSON");
        let mut sent = self.sent.lock().expect("sent");
        let mut text_of = |raw: &RawValue| {
            let text = match serde_json::from_str(raw.get()).expect("JSON") {
                Value::String(text) => text,
                other => other["text"].as_str().expect("a text").to_owned(),
            };
            sent.insert(text.clone(), raw.get().to_owned());
            text
        };
        body["texts"].iter().map(|raw| text_of(raw)).collect()
    }

    /// The status and the problem of a request that is too large.
    fn beyond_limit(&self, texts: &[String], bytes: usize) -> Option<(u16, String)> {
        let limits = *self.limits.lock().expect("limits");
        if bytes > limits.bytes {
            return Some((413, format!("{bytes} bytes")));
        }
        if texts.len() > limits.texts {
            return Some((422, format!("{} texts", texts.len())));
        }
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or_default();
        (longest > limits.characters).then(|| (422, format!("{longest} characters")))
    }

    fn pass_gate(&self) {
        let mut gate = self.gate.lock().expect("gate");
        gate.0 += 1;
        while gate.1 == Some(0) {
            gate = self.gate_changed.wait(gate).expect("gate");
        }
        gate.0 -= 1;
        gate.1 = gate.1.map(|left| left - 1);
    }

    fn learn(&self, texts: &[String]) -> Vec<String> {
        let ids: Vec<String> = texts.iter().map(|text| text.chars().take(ID_LENGTH).collect()).collect();
        let mut learned = self.learned.lock().expect("learned");
        for id in &ids {
            *learned.entry(id.clone()).or_default() += 1;
        }
        ids
    }
}

fn respond(stream: &mut TcpStream, status: u16, head: &str, body: &str) -> Option<()> {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status} X\r\n{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).ok()
}
