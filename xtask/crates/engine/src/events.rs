//! The progress stream of `buildx --progress=rawjson`: JSON values, pretty-printed by some versions and one per line by
//! others, followed by plain text when a build fails.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::json_frames::Frames;

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

/// What happened to a step of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step began.
    Started {
        /// The target in its name.
        target: String,
        /// The step, such as `[build 2/5] RUN cargo build`.
        step: String,
    },
    /// A step succeeded.
    Done {
        /// The target in its name.
        target: String,
        /// The step.
        step: String,
        /// Whether it was cached.
        cached: bool,
        /// The duration by BuildKit's clock, if reported.
        took: Option<Duration>,
    },
    /// A step printed a line.
    Said {
        /// The target in its name.
        target: String,
        /// The line.
        line: String,
    },
    /// A step failed.
    Failed {
        /// Every target that shares the step.
        targets: BTreeSet<String>,
        /// The step.
        step: String,
        /// BuildKit's message.
        error: String,
        /// The last lines of its log.
        tail: Vec<String>,
    },
    /// The target's image is in the store.
    Exported {
        /// The target.
        target: String,
        /// The duration of the export, if reported.
        took: Option<Duration>,
    },
}

/// Log lines of a step that are kept for its failure.
const TAIL: usize = 20;

#[derive(Debug, Default)]
struct Step {
    targets: BTreeSet<String>,
    /// The target that it is reported under: the name of a shared step changes its prefix.
    owner: Option<String>,
    name: String,
    started: bool,
    ended: bool,
    partial: Vec<u8>,
    tail: Vec<String>,
}

/// Parses the stream into events; keeps the plain text after it.
#[derive(Debug)]
pub struct Stream<'t> {
    targets: &'t BTreeSet<String>,
    frames: Frames,
    steps: HashMap<String, Step>,
}

impl<'t> Stream<'t> {
    /// The stream of a bake. `targets` includes the dependencies of the requested targets.
    pub fn of(targets: &'t BTreeSet<String>) -> Self {
        Stream { targets, frames: Frames::default(), steps: HashMap::new() }
    }

    /// The events of the next bytes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for message in self.frames.push(bytes) {
            self.take(message, &mut events);
        }
        events
    }

    /// The plain text: bake's report of a failure.
    pub fn text(&self) -> String {
        self.frames.text()
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
            // An undecodable log line is not worth an error.
            step.partial.extend(BASE64.decode(&log.data).unwrap_or_default());
            let Some(end) = step.partial.iter().rposition(|b| *b == b'\n') else { continue };
            let rest = step.partial.split_off(end + 1);
            let lines = std::mem::replace(&mut step.partial, rest);
            for line in lines.split_inclusive(|b| *b == b'\n') {
                said(step, &target, line, events);
            }
        }
    }

    fn vertex(&mut self, vertex: Vertex, events: &mut Vec<Event>) {
        let (target, name) = split_name(&vertex.name, self.targets);
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
        let took = duration(vertex.started.as_deref(), vertex.completed.as_deref());
        let rest = std::mem::take(&mut step.partial);
        said(step, &target, &rest, events);
        if !vertex.error.is_empty() {
            let (targets, tail) = (step.targets.clone(), step.tail.clone());
            events.push(Event::Failed { targets, step: step.name.clone(), error: vertex.error, tail });
        } else if step.name == "exporting to image" {
            events.push(Event::Exported { target, took });
        } else {
            events.push(Event::Done { target, step: step.name.clone(), cached: vertex.cached, took });
        }
    }
}

/// The time between two timestamps (RFC 3339).
fn duration(started: Option<&str>, completed: Option<&str>) -> Option<Duration> {
    let time = |text: Option<&str>| humantime::parse_rfc3339(text?).ok();
    time(completed)?.duration_since(time(started)?).ok()
}

fn said(step: &mut Step, target: &str, line: &[u8], events: &mut Vec<Event>) {
    let text = String::from_utf8_lossy(line);
    // Progress bars overwrite their line: only the final state counts.
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
/// With a single target, Buildx omits its name: `[build 2/5] RUN x`.
fn split_name(name: &str, targets: &BTreeSet<String>) -> (Option<String>, String) {
    let named = || {
        let (inside, rest) = name.strip_prefix('[')?.split_once(']')?;
        let rest = rest.trim_start();
        // The stage may be unnamed: `[api 1/2] FROM …`.
        let (target, step) = match inside.split_once(' ') {
            Some((target, stage)) => (target, format!("[{stage}] {rest}")),
            None => (inside, rest.to_owned()),
        };
        targets.get(target).map(|target| (target.clone(), step))
    };
    let only = || targets.first().filter(|_| targets.len() == 1).cloned();
    named().map_or_else(|| (only(), name.to_owned()), |(target, step)| (Some(target), step))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bake_report::{error_line, failed_instruction};

    const PRETTY: &str = r#"{
  "vertexes": [
    {
      "digest": "sha256:1",
      "name": "[api build 1/2] RUN echo \"}{\"",
      "started": "2026-01-01T00:00:00Z"
    }
  ]
}
{"logs":"not a message"}
between
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

    fn targets(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn said(line: &str) -> Event {
        Event::Said { target: "api".into(), line: line.into() }
    }

    #[test]
    fn chunk_boundaries_do_not_change_events() {
        let targets = targets(&["api", "web"]);
        let mut whole = Stream::of(&targets);
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
            let mut stream = Stream::of(&targets);
            let events: Vec<Event> =
                PRETTY.as_bytes().chunks(size).flat_map(|chunk| stream.push(chunk)).collect();
            assert_eq!(events, expected, "in pieces of {size}");
            assert_eq!(stream.text(), whole.text());
        }
    }

    #[test]
    fn a_log_of_many_empty_lines_is_no_event() {
        let targets = targets(&["api"]);
        let mut stream = Stream::of(&targets);
        let data = BASE64.encode("\n".repeat(1_000_000) + "one\nrest");
        stream.push(br#"{"vertexes":[{"digest":"d","name":"[api 1/1] RUN x"}]}"#);
        let events = stream.push(format!(r#"{{"logs":[{{"vertex":"d","data":"{data}"}}]}}"#).as_bytes());
        assert_eq!(events, [said("one")]);
    }

    #[test]
    fn other_json_keeps_its_place_in_the_text() {
        let targets = targets(&["api"]);
        let mut stream = Stream::of(&targets);
        stream.push(b"a\n{\"vertexes\":1}\nb\n{\"vertexes\":[]}\nc");
        assert_eq!(stream.text(), "a\n{\"vertexes\":1}\nb\n\nc");
    }

    #[test]
    fn the_failed_instruction_is_found_in_the_plain_text() {
        let targets = targets(&["api"]);
        let mut stream = Stream::of(&targets);
        stream.push(PRETTY.as_bytes());
        assert_eq!(failed_instruction(&stream.text()), Some((14, "RUN echo x && \\".into())));
        assert_eq!(error_line(&stream.text()).as_deref(), Some("failed to solve: exit code: 1"));
    }

    #[test]
    fn a_shared_step_fails_for_all_its_targets() {
        let targets = targets(&["a", "b"]);
        let mut stream = Stream::of(&targets);
        stream.push(br#"{"vertexes":[{"digest":"d","name":"[a x 1/1] RUN y"}]}"#);
        let events = stream
            .push(br#"{"vertexes":[{"digest":"d","name":"[b x 1/1] RUN y","completed":"t","error":"e"}]}"#);
        assert!(matches!(&events[..], [Event::Failed { targets, .. }] if targets.len() == 2));
    }

    #[test]
    fn steps_take_the_time_that_buildkit_measured() {
        let targets = targets(&["a"]);
        let ended = |text: &str| Stream::of(&targets).push(text.as_bytes()).pop().unwrap();
        let done = ended(
            r#"{"vertexes":[{"digest":"d","name":"[a 1/1] RUN x","started":"2026-01-01T00:00:59.75Z","completed":"2026-01-01T00:01:01.000000001Z"}]}"#,
        );
        let took = Some(Duration::new(1, 250_000_001));
        assert_eq!(done, Event::Done { target: "a".into(), step: "[1/1] RUN x".into(), cached: false, took });
        let exported = ended(
            r#"{"vertexes":[{"digest":"e","name":"[a] exporting to image","started":"?","completed":"2026-01-01T00:01:01Z"}]}"#,
        );
        assert_eq!(exported, Event::Exported { target: "a".into(), took: None });
    }

    #[test]
    fn the_only_target_owns_every_step() {
        let step = |name: &str, names: &[&str]| {
            let (target, step) = split_name(name, &targets(names));
            (target.unwrap_or_default(), step)
        };
        let pair = |target: &str, step: &str| (target.to_owned(), step.to_owned());
        for name in [
            "[2/2] RUN x",
            "[build 2/5] RUN x",
            "[internal] load .dockerignore",
            "exporting to image",
            "[a b",
        ] {
            assert_eq!(step(name, &["api"]), pair("api", name));
            // With several targets, a prefix that names none of them belongs to no target.
            assert_eq!(step(name, &["api", "web"]), pair("", name));
        }
        for names in [&["api"][..], &["api", "web"]] {
            assert_eq!(step("[api build 2/5] RUN x", names), pair("api", "[build 2/5] RUN x"));
            assert_eq!(step("[api] exporting to image", names), pair("api", "exporting to image"));
            assert_eq!(step("[api internal] load x", names), pair("api", "[internal] load x"));
        }
    }
}
