//! The progress of a running build, on the terminal and in log files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use engine::events::Event;
use host::files;
use host::printable;
use host::secrets::Secrets;
use host::terminal::{Line, Lines, Style, Terminal};

/// Shows events and writes the full log of each target.
pub struct Progress<'t> {
    terminal: &'t Terminal,
    /// Masked in every line.
    secrets: Secrets,
    logs: PathBuf,
    files: HashMap<String, File>,
    lines: Lines,
    shown: HashMap<String, Line>,
    width: usize,
    begun: Instant,
}

impl<'t> Progress<'t> {
    /// For these targets. Replaces the logs of earlier runs.
    pub fn new(terminal: &'t Terminal, logs: &Path, targets: &[String], secrets: Secrets) -> Result<Self> {
        files::create_dir(logs)?;
        let lines = terminal.lines();
        let width = targets.iter().map(String::len).max().unwrap_or(0);
        Ok(Progress {
            terminal,
            secrets,
            logs: logs.to_owned(),
            files: HashMap::new(),
            lines,
            shown: HashMap::new(),
            width,
            begun: Instant::now(),
        })
    }

    /// Handles one event.
    pub fn handle(&mut self, event: &Event) {
        match event {
            Event::Started { target, step } => {
                self.log(target, &format!("> {step}"));
                self.line(target, step);
            }
            Event::Said { target, line } => self.log(target, &format!("  {line}")),
            Event::Done { target, step, cached, took } => self.done(target, step, *cached, *took),
            Event::Failed { targets, step, error, .. } => {
                for target in targets {
                    self.log(target, &format!("! {step}: {error}"));
                    self.finish(target, Style::Bad, "failed");
                }
            }
            Event::Exported { target, .. } => {
                self.log(target, "= done");
                self.finish(target, Style::Good, "done");
            }
        }
    }

    fn done(&mut self, target: &str, step: &str, cached: bool, took: Option<Duration>) {
        let how = match (cached, took) {
            (true, _) => "cached".to_owned(),
            (false, Some(took)) => format!("{:.1} s", took.as_secs_f64()),
            (false, None) => "done".to_owned(),
        };
        self.log(target, &format!("< {step} ({how})"));
        // BuildKit's internal steps are only in the log.
        if self.terminal.is_interactive() || cached || target.is_empty() || step.starts_with("[internal]") {
            return;
        }
        let step = brief(&self.secrets.mask(step));
        self.terminal.say(format!("{target:width$}  {step} ({how})", width = self.width));
    }

    fn line(&mut self, target: &str, text: &str) {
        if !self.terminal.is_interactive() || target.is_empty() {
            return;
        }
        let (lines, width) = (&self.lines, self.width);
        let line = self.shown.entry(target.to_owned()).or_insert_with(|| lines.add(target, width));
        line.say(brief(&self.secrets.mask(text)));
    }

    fn finish(&mut self, target: &str, style: Style, word: &str) {
        let word = self.terminal.paint(style, word);
        if let Some(line) = self.shown.get(target) {
            line.finish(word);
        } else if !self.terminal.is_interactive() && !target.is_empty() {
            let seconds = self.begun.elapsed().as_secs_f64();
            self.terminal.say(format!("{target:width$}  {word} ({seconds:.1} s)", width = self.width));
        }
    }

    fn log(&mut self, target: &str, line: &str) {
        if target.is_empty() {
            return;
        }
        if !self.files.contains_key(target) {
            // A build goes on without its log: a failure's last lines are reported anyway.
            if let Ok(file) = File::create(self.logs.join(format!("{target}.log"))) {
                self.files.insert(target.to_owned(), file);
            }
        }
        if let Some(file) = self.files.get_mut(target) {
            let seconds = self.begun.elapsed().as_secs_f64();
            writeln!(file, "{seconds:9.2} {}", self.secrets.mask(line)).ok();
        }
    }
}

/// A step cut to one short line; the log has its full text.
pub(crate) fn brief(step: &str) -> String {
    const MAX_CHARS: usize = 100;
    let line = printable::line(&step.split_whitespace().collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_steps_are_cut_between_characters() {
        assert_eq!(brief("[1/2] RUN a     b\u{1b}[2J"), "[1/2] RUN a b\\u{1b}[2J");
        assert_eq!(brief(&"ä".repeat(200)).chars().count(), 101);
    }
}
