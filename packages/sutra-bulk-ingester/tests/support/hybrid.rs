//! A hybrid on a real port.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// What it does with a call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Learns the texts.
    Learn,
    /// Answers this status, these header lines and this body.
    Say(u16, &'static str, &'static str),
    /// Closes the connection without a word.
    HangUp,
    /// Never answers.
    Silence,
    /// Learns the texts and never says so.
    LearnInSilence,
}

type Behaviour = Box<dyn FnMut(&[String]) -> Reply + Send>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    /// How often each text was learned, by its beginning.
    learned: Mutex<BTreeMap<String, u32>>,
    /// Texts in each call, whatever came of it.
    calls: Mutex<Vec<usize>>,
    /// Calls that wait at the gate, and how many it still lets through; none when it is open.
    gate: Mutex<(usize, Option<usize>)>,
    gate_moved: Condvar,
    in_hand: AtomicUsize,
    stopping: AtomicBool,
}

/// A running hybrid; gone when dropped, with all that it holds.
pub struct Hybrid {
    /// Its port, for another one after it.
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How much of a text names it.
const NAME: usize = 24;

impl Hybrid {
    /// One that learns everything.
    pub fn start() -> Self {
        Self::with(|_| Reply::Learn)
    }

    /// One that does as `behaviour` says for the texts of a call.
    pub fn with(behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) -> Self {
        Self::on(0, behaviour)
    }

    /// One on a port that is known before.
    pub fn on(port: u16, behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Box::new(behaviour)),
            learned: Mutex::default(),
            calls: Mutex::default(),
            gate: Mutex::default(),
            gate_moved: Condvar::new(),
            in_hand: AtomicUsize::new(0),
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
                    // A caller that goes away in the middle is no fault of this one.
                    std::thread::spawn(move || {
                        shared.in_hand.fetch_add(1, Ordering::SeqCst);
                        let _ = stream.ok().and_then(|stream| shared.serve(stream));
                        shared.in_hand.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on it does something else.
    pub fn become_one(&self, behaviour: impl FnMut(&[String]) -> Reply + Send + 'static) {
        *self.shared.behaviour.lock().expect("behaviour") = Box::new(behaviour);
    }

    /// Calls wait from now on, before anything is done with them, until the gate opens.
    pub fn shut_gate(&self) {
        self.let_through(0);
    }

    /// This many calls pass the gate before it shuts.
    pub fn let_through(&self, calls: usize) {
        self.shared.gate.lock().expect("gate").1 = Some(calls);
        self.shared.gate_moved.notify_all();
    }

    /// Lets all calls pass.
    pub fn open_gate(&self) {
        self.shared.gate.lock().expect("gate").1 = None;
        self.shared.gate_moved.notify_all();
    }

    /// Waits until no call is in hand.
    pub fn settle(&self) {
        super::wait("hybrid settles", || self.shared.in_hand.load(Ordering::SeqCst) == 0);
    }

    /// Waits until a call waits at the shut gate, after those that it lets through: one that waits while the gate has
    /// still to let it through is about to pass.
    pub fn wait_for_call(&self) {
        super::wait("a call of hybrid", || {
            let gate = self.shared.gate.lock().expect("gate");
            gate.0 > 0 && gate.1 == Some(0)
        });
    }

    /// The texts learned so far, each with how often.
    pub fn learned(&self) -> BTreeMap<String, u32> {
        self.shared.learned.lock().expect("learned").clone()
    }

    /// Texts in each call so far.
    pub fn calls(&self) -> Vec<usize> {
        self.shared.calls.lock().expect("calls").clone()
    }
}

impl Drop for Hybrid {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.open_gate();
        // Wakes the listener; it ends and frees the port.
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
        reader.read_line(&mut first).ok()?;
        while !matches!(line.as_str(), "\r\n") {
            line.clear();
            reader.read_line(&mut line).ok().filter(|&count| count > 0)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut stream = reader.into_inner();
        if first.starts_with("GET /health ") {
            return say(&mut stream, 200, "", &json!({"status": "ok"}).to_string());
        }
        assert!(first.starts_with("POST /learn "), "{first}");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let texts: Vec<String> = serde_json::from_value(body["texts"].clone()).expect("texts");
        self.calls.lock().expect("calls").push(texts.len());
        self.pass_gate();
        if self.stopping.load(Ordering::SeqCst) {
            return None;
        }
        let reply = (self.behaviour.lock().expect("behaviour"))(&texts);
        match reply {
            Reply::Learn => {
                let ids = self.learn(&texts);
                say(&mut stream, 200, "", &json!({"learned": ids.len(), "ids": ids}).to_string())
            }
            Reply::Say(status, head, body) => say(&mut stream, status, head, body),
            Reply::HangUp => None,
            Reply::Silence | Reply::LearnInSilence => {
                if matches!(reply, Reply::LearnInSilence) {
                    self.learn(&texts);
                }
                // Until the caller has enough of it.
                let _ = stream.read(&mut [0]);
                None
            }
        }
    }

    fn pass_gate(&self) {
        let mut gate = self.gate.lock().expect("gate");
        gate.0 += 1;
        while gate.1 == Some(0) {
            gate = self.gate_moved.wait(gate).expect("gate");
        }
        gate.0 -= 1;
        gate.1 = gate.1.map(|left| left - 1);
    }

    fn learn(&self, texts: &[String]) -> Vec<String> {
        let ids: Vec<String> = texts.iter().map(|text| text.chars().take(NAME).collect()).collect();
        let mut learned = self.learned.lock().expect("learned");
        for id in &ids {
            *learned.entry(id.clone()).or_default() += 1;
        }
        ids
    }
}

fn say(stream: &mut TcpStream, status: u16, head: &str, body: &str) -> Option<()> {
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status} X\r\n{head}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).ok()
}
