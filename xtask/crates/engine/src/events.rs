//! The progress stream of `buildx --progress=rawjson`: JSON values, pretty-printed by some versions and one a line by
//! others, followed by plain text when a build fails.

use std::collections::{BTreeSet, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

/// One value of the stream (BuildKit, `client.SolveStatus`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    vertexes: Vec<Vertex>,
    logs: Vec<Log>,
}

#[derive(Debug, Deserialize)]
struct Vertex {
    digest: String,
    #[serde(default)]
    name: String,
    started: Option<String>,
    completed: Option<String>,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    error: String,
}

#[derive(Debug, Deserialize)]
struct Log {
    vertex: String,
    /// Base64 of the bytes.
    #[serde(default)]
    data: String,
}

/// What happened, in the words of the plan: targets and steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step began.
    Started {
        /// The target that its name shows.
        target: String,
        /// What it does, such as `[build 2/5] RUN cargo build`.
        step: String,
    },
    /// A step ended well.
    Done {
        /// The target that its name shows.
        target: String,
        /// What it did.
        step: String,
        /// Whether the cache had it.
        cached: bool,
    },
    /// A step said something.
    Said {
        /// The target that its name shows.
        target: String,
        /// One line.
        line: String,
    },
    /// A step failed.
    Failed {
        /// Every target that the step belongs to.
        targets: BTreeSet<String>,
        /// What it did.
        step: String,
        /// BuildKit's words.
        error: String,
        /// The last lines that the step said.
        tail: Vec<String>,
    },
    /// The target's image is in the store.
    Exported {
        /// The target.
        target: String,
    },
}

/// How many lines of a step are kept for the report of its failure.
const TAIL: usize = 20;

#[derive(Debug, Default)]
struct Step {
    targets: BTreeSet<String>,
    /// The target that it is told under: a shared step changes its name's prefix as it goes.
    owner: Option<String>,
    name: String,
    started: bool,
    ended: bool,
    partial: Vec<u8>,
    tail: Vec<String>,
}

/// Turns the stream into events; keeps the plain text that follows it.
#[derive(Debug, Default)]
pub struct Stream {
    frames: Frames,
    steps: HashMap<String, Step>,
}

impl Stream {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for json in self.frames.push(bytes) {
            match serde_json::from_slice::<Message>(&json) {
                Ok(message) => self.take(message, &mut events),
                // Not a progress message: it is something that a person should read.
                Err(_) => self.frames.text.push_str(&String::from_utf8_lossy(&json)),
            }
        }
        events
    }

    /// What came as plain text: bake's own account of a failure.
    pub fn text(&self) -> String {
        format!("{}{}", self.frames.text, String::from_utf8_lossy(&self.frames.line))
    }

    fn take(&mut self, message: Message, events: &mut Vec<Event>) {
        for vertex in message.vertexes {
            self.vertex(vertex, events);
        }
        for log in message.logs {
            let Some(step) = self.steps.get_mut(&log.vertex) else {
                continue;
            };
            let target = step.owner.clone().unwrap_or_default();
            // A line of log that cannot be decoded is not worth an error.
            step.partial.extend(BASE64.decode(&log.data).unwrap_or_default());
            while let Some(end) = step.partial.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = step.partial.drain(..=end).collect();
                said(step, &target, &line, events);
            }
        }
    }

    fn vertex(&mut self, vertex: Vertex, events: &mut Vec<Event>) {
        let (target, name) = split_name(&vertex.name);
        let step = self.steps.entry(vertex.digest).or_default();
        step.targets.extend(target.clone());
        step.name = name;
        if step.owner.is_none() {
            step.owner = target;
        }
        let target = step.owner.clone().unwrap_or_default();
        if vertex.started.is_some() && !step.started {
            step.started = true;
            events.push(Event::Started { target: target.clone(), step: step.name.clone() });
        }
        if vertex.completed.is_none() || step.ended {
            return;
        }
        step.ended = true;
        let rest = std::mem::take(&mut step.partial);
        said(step, &target, &rest, events);
        if !vertex.error.is_empty() {
            let (targets, tail) = (step.targets.clone(), step.tail.clone());
            events.push(Event::Failed { targets, step: step.name.clone(), error: vertex.error, tail });
        } else if step.name == "exporting to image" {
            events.push(Event::Exported { target });
        } else {
            events.push(Event::Done { target, step: step.name.clone(), cached: vertex.cached });
        }
    }
}

fn said(step: &mut Step, target: &str, line: &[u8], events: &mut Vec<Event>) {
    let text = String::from_utf8_lossy(line);
    // Progress bars overwrite their line: only what was left standing is worth a line of log.
    let text =
        text.trim_end_matches(['\n', '\r']).rsplit('\r').next().unwrap_or_default().trim_end().to_owned();
    if text.is_empty() {
        return;
    }
    if step.tail.len() == TAIL {
        step.tail.remove(0);
    }
    step.tail.push(text.clone());
    events.push(Event::Said { target: target.to_owned(), line: text });
}

/// `[api build 2/5] RUN x` is the step `[build 2/5] RUN x` of target `api`; `[api] exporting to image` is the target's end.
fn split_name(name: &str) -> (Option<String>, String) {
    let Some((inside, rest)) = name.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return (None, name.to_owned());
    };
    let rest = rest.trim_start();
    match inside.split_once(' ') {
        // The stage may be unnamed: `[api 1/2] FROM …`.
        Some((target, stage)) => (Some(target.to_owned()), format!("[{stage}] {rest}")),
        None if inside == "internal" => (None, name.to_owned()),
        None => (Some(inside.to_owned()), rest.to_owned()),
    }
}

/// Cuts a byte stream into whole JSON objects and the text around them.
#[derive(Debug, Default)]
struct Frames {
    json: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    line: Vec<u8>,
    text: String,
}

impl Frames {
    fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut whole = Vec::new();
        for &byte in bytes {
            if self.depth == 0 && !(byte == b'{' && self.line.iter().all(u8::is_ascii_whitespace)) {
                self.line.push(byte);
                if byte == b'\n' {
                    let line = std::mem::take(&mut self.line);
                    self.text.push_str(&String::from_utf8_lossy(&line));
                }
                continue;
            }
            self.line.clear();
            self.json.push(byte);
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth -= 1,
                _ => {}
            }
            if self.depth == 0 {
                whole.push(std::mem::take(&mut self.json));
            }
        }
        whole
    }
}

/// The instruction that failed, from bake's own account of it: `Dockerfile:14`, then an excerpt in which `>>>` marks it.
/// The file is only a base name; the instruction's first line tells whose it is.
pub fn failed_instruction(text: &str) -> Option<(u32, String)> {
    let mut lines = text.lines().skip_while(|line| {
        let place = line.trim_end().rsplit_once(':');
        !place.is_some_and(|(file, number)| !file.contains(' ') && number.parse::<u32>().is_ok())
    });
    let number = lines.next()?.trim_end().rsplit_once(':')?.1.parse().ok()?;
    let instruction =
        lines.find_map(|line| line.split_once("| >>> ").map(|(_, rest)| rest.trim().to_owned()))?;
    Some((number, instruction))
}

/// The line of bake's own account that says what went wrong.
pub fn error_line(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("ERROR:"))?;
    Some(line.trim_start_matches("ERROR:").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRETTY: &str = r#"{
  "vertexes": [
    {
      "digest": "sha256:1",
      "name": "[api build 1/2] RUN echo \"}{\"",
      "started": "2026-01-01T00:00:00Z"
    }
  ]
}
{"logs":[{"vertex":"sha256:1","stream":1,"data":"b25lCnR3"},{"vertex":"sha256:1","stream":1,"data":"bwo="}]}
{"vertexes":[{"digest":"sha256:1","name":"[api build 1/2] RUN echo \"}{\"","started":"x","completed":"y","error":"exit code: 1"}]}
Dockerfile.optimized:14
--------------------
  13 |     FROM a
  14 | >>> RUN echo x && \
  15 | >>>     false
--------------------
ERROR: failed to solve: exit code: 1
"#;

    fn said(line: &str) -> Event {
        Event::Said { target: "api".into(), line: line.into() }
    }

    #[test]
    fn any_cut_of_the_bytes_gives_the_same_events() {
        let mut whole = Stream::default();
        let expected = whole.push(PRETTY.as_bytes());
        let step = "[build 1/2] RUN echo \"}{\"".to_owned();
        assert_eq!(
            expected,
            [
                Event::Started { target: "api".into(), step: step.clone() },
                said("one"),
                said("two"),
                Event::Failed {
                    targets: ["api".to_owned()].into(),
                    step,
                    error: "exit code: 1".into(),
                    tail: vec!["one".into(), "two".into()]
                },
            ]
        );
        for size in [1, 2, 3, 7, 64] {
            let mut stream = Stream::default();
            let events: Vec<Event> =
                PRETTY.as_bytes().chunks(size).flat_map(|chunk| stream.push(chunk)).collect();
            assert_eq!(events, expected, "in pieces of {size}");
            assert_eq!(stream.text(), whole.text());
        }
    }

    #[test]
    fn the_plain_text_names_line_and_instruction() {
        let mut stream = Stream::default();
        stream.push(PRETTY.as_bytes());
        assert_eq!(failed_instruction(&stream.text()), Some((14, "RUN echo x && \\".into())));
        assert_eq!(error_line(&stream.text()).as_deref(), Some("failed to solve: exit code: 1"));
    }

    #[test]
    fn a_step_that_two_targets_share_fails_for_both() {
        let mut stream = Stream::default();
        stream.push(br#"{"vertexes":[{"digest":"d","name":"[a x 1/1] RUN y"}]}"#);
        let events = stream
            .push(br#"{"vertexes":[{"digest":"d","name":"[b x 1/1] RUN y","completed":"t","error":"e"}]}"#);
        assert!(matches!(&events[..], [Event::Failed { targets, .. }] if targets.len() == 2));
    }
}
