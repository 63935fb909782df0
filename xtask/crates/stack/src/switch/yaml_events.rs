//! The events of a YAML document, from a parser that may panic on invalid input.

use std::cell::{Cell, RefCell};
use std::panic;
use std::rc::Rc;
use std::sync::{Once, mpsc};
use std::thread;

use anyhow::{Context as _, Error, Result, anyhow, bail};
use libyaml_safer::{self as yaml, Event, EventData, Parser};

/// Maximum depth of nested collections, as in Compose's parser (go-yaml, `max_flow_level` and `max_indents`).
const MAX_DEPTH: usize = 10_000;

/// The panic message of libyaml-safer 0.3 for a tag followed by a comma, as in `{!,`.
const TAG_BEFORE_COMMA: &str = "TODO: What is expected here?";

type TakePanic = Box<dyn FnOnce(&str)>;

thread_local! {
    /// Receives the message if this thread panics; nothing is printed then.
    static ON_PANIC: RefCell<Option<TakePanic>> = const { RefCell::new(None) };
}

/// All events of a document. It is parsed in a separate thread, because in the program `images` a panic ends the process as soon as the
/// panic hook returns.
///
/// # Errors
/// Invalid YAML, with its line.
pub(super) fn events(text: &str) -> Result<Vec<Event>> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| match ON_PANIC.take() {
            Some(report) => {
                report(info.payload_as_str().unwrap_or_default());
                while cfg!(panic = "abort") {
                    thread::park();
                }
            }
            None => print(info),
        }));
    });
    // The parser reads up to two characters ahead, even at the end.
    let input = [text.as_bytes(), b"\n\n"].concat();
    let (sender, result) = mpsc::channel();
    let parse = move || {
        let line = Rc::new(Cell::new(1));
        let (panicked, at) = (sender.clone(), Rc::clone(&line));
        ON_PANIC.set(Some(Box::new(move |panic| drop(panicked.send(Err(of_panic(at.get(), panic)))))));
        sender.send(parsed(&input, &line)).ok();
    };
    thread::Builder::new().name("yaml".to_owned()).spawn(parse).context("cannot start a thread")?;
    result.recv().context("the YAML parser ended without a result")?
}

/// Parses `input`. `line` is set to the parser's current line.
fn parsed(mut input: &[u8], line: &Cell<u64>) -> Result<Vec<Event>> {
    let mut parser = Parser::new();
    parser.set_input(&mut input);
    let (mut events, mut depth) = (Vec::new(), 0_usize);
    loop {
        let event = parser.parse().map_err(|error| invalid(&error))?;
        line.set(event.end_mark.line + 1);
        match event.data {
            EventData::StreamEnd => return Ok(events),
            EventData::MappingStart { .. } | EventData::SequenceStart { .. } => depth += 1,
            EventData::MappingEnd | EventData::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            bail!("line {}: nested too deeply", event.start_mark.line + 1);
        }
        events.push(event);
    }
}

fn of_panic(line: u64, panic: &str) -> Error {
    match panic {
        TAG_BEFORE_COMMA => anyhow!("line {line} or later: invalid YAML: a tag before a comma"),
        panic => anyhow!("line {line} or later: the YAML parser failed: {panic}"),
    }
}

fn invalid(error: &yaml::Error) -> anyhow::Error {
    let line = error.problem_mark().map_or(0, |mark| mark.line) + 1;
    let context = error.context().map(|context| format!(" {context}")).unwrap_or_default();
    anyhow!("line {line}: invalid YAML: {}{context}", error.problem())
}
