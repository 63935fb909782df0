//! The only writer to the standard streams: data on stdout; messages and progress on stderr, with colour and groups in a CI log.
//!
//! Messages that cannot be written are dropped. Data that cannot be written makes the command fail at the end
//! ([`Terminal::lost_data`]), unless the reader closed the pipe, as `| head -1` does.

mod ask;
mod standard;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::standard::StandardStream;
use crate::failure::{Failure, FailureClass, is_disk_full};
use crate::files;
use crate::interrupt::Interrupt;
use crate::printable::{line, printable};

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much to print on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Progress and notes.
    Normal,
    /// Also every command and its duration.
    Verbose,
}

/// Prints data to stdout and messages to stderr. Clones share the streams.
#[derive(Debug, Clone)]
pub struct Terminal {
    out: Arc<StandardStream>,
    err: Arc<StandardStream>,
    verbosity: Verbosity,
    color_err: bool,
    color_out: bool,
    interactive: bool,
    ci_groups: bool,
}

/// Styles by meaning.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// A note.
    Warn,
    /// Names and headings.
    Strong,
    /// Details.
    Dim,
}

impl Terminal {
    /// Reads the standard streams and the environment once. After an interrupt, writes wait at most a second for a reader.
    pub fn detect(color: Color, verbosity: Verbosity, interrupt: &Interrupt) -> Terminal {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let on = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !set("NO_COLOR") && std::env::var("TERM").as_deref() != Ok("dumb"),
        };
        let ci_groups = set("GITHUB_ACTIONS");
        let (stdout, stderr) = (rustix::stdio::stdout(), rustix::stdio::stderr());
        Terminal {
            out: Arc::new(StandardStream::new(stdout, interrupt.clone())),
            err: Arc::new(StandardStream::new(stderr, interrupt.clone())),
            verbosity,
            color_err: on(stderr.is_terminal()),
            color_out: on(stdout.is_terminal()),
            interactive: stderr.is_terminal() && !ci_groups && verbosity != Verbosity::Quiet,
            ci_groups,
        }
    }

    /// The same, but silent except for errors.
    #[must_use]
    pub fn quiet(self) -> Terminal {
        Terminal { verbosity: Verbosity::Quiet, interactive: false, ..self }
    }

    /// Prints data to stdout, unescaped. After an error, all further data is dropped: see [`Terminal::lost_data`].
    pub fn print(&self, data: impl AsRef<[u8]>) {
        if let Err(error) = self.out.write(data.as_ref()) {
            self.out.end(error.kind());
        }
    }

    /// Writes a file given by the user: see [`files::write_atomically`]. `-` and paths of stdout or stderr, such as
    /// `/dev/stdout`, write to that stream instead of replacing it with a file.
    ///
    /// # Errors
    /// When it cannot be written. Data for stdout is reported as lost instead.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        if self.is_stdout(path) {
            self.print(bytes);
        } else if self.err.is_at(path) {
            self.err.write(bytes).with_context(|| format!("cannot write {}", path.display()))?;
        } else {
            files::write_atomically(path, bytes)?;
        }
        Ok(())
    }

    /// Whether a path given by the user means stdout.
    pub fn is_stdout(&self, path: &Path) -> bool {
        path.as_os_str() == "-" || self.out.is_at(path)
    }

    /// Whether stdout still accepts data.
    pub fn takes_data(&self) -> bool {
        self.out.ended().is_none()
    }

    /// Forwards a child's stderr.
    pub fn pass_on(&self, bytes: &[u8]) {
        self.err.write(bytes).ok();
    }

    /// The failure to report if data could not be printed. `None` for a closed pipe.
    pub fn lost_data(&self) -> Option<Failure> {
        let kind = self.out.ended()?;
        let class = match kind {
            ErrorKind::BrokenPipe => return None,
            ErrorKind::TimedOut => return Some(Failure::interrupted()),
            _ if is_disk_full(&kind.into()) => FailureClass::Disk,
            _ => FailureClass::Machine,
        };
        let what = format!("cannot write to standard output: {kind}");
        Some(Failure::new(class, what, "free space there or redirect it elsewhere, then run again"))
    }

    /// Prints a line, unless quiet.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            self.message(text.as_ref());
        }
    }

    /// Prints a line to stderr if possible.
    fn message(&self, line: impl Display) {
        // Nowhere else to report this; the exit code still signals failures.
        self.err.write(format!("{line}\n").as_bytes()).ok();
    }

    /// Prints a note, unless quiet. May contain untrusted text.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.say(format!("{} {}", self.paint(Style::Warn, "note:"), printable(text.as_ref())));
    }

    /// Prints an error. May contain untrusted text.
    pub fn error(&self, text: impl AsRef<str>) {
        self.message(format_args!("{} {}", self.paint(Style::Bad, "error:"), printable(text.as_ref())));
    }

    /// Text for stderr in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        painted(self.color_err, style, text)
    }

    /// Text for stdout in a style.
    pub fn paint_out(&self, style: Style, text: &str) -> String {
        painted(self.color_out, style, text)
    }

    /// Whether to use colour on stdout.
    pub fn is_stdout_colored(&self) -> bool {
        self.color_out
    }

    /// Whether to use colour on stderr.
    pub fn is_stderr_colored(&self) -> bool {
        self.color_err
    }

    /// Whether progress lines can be redrawn.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Starts a foldable group of a CI log; prints a heading elsewhere.
    pub fn group(&self, title: &str) {
        if self.ci_groups {
            self.say(format!("::group::{title}"));
        } else {
            self.say(self.paint(Style::Strong, &format!("── {title}")));
        }
    }

    /// Ends the group.
    pub fn end_group(&self) {
        if self.ci_groups {
            self.say("::endgroup::");
        }
    }

    /// Prints a GitHub workflow command, such as an annotation; nothing elsewhere.
    pub fn annotate(&self, command: &str) {
        if self.ci_groups {
            self.message(line(command));
        }
    }

    /// A block of progress lines; hidden where they cannot be redrawn.
    pub fn lines(&self) -> Lines {
        let target =
            if self.interactive { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Lines(MultiProgress::with_draw_target(target))
    }
}

fn painted(on: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Good => "32",
        Style::Bad => "1;31",
        Style::Warn => "33",
        Style::Strong => "1",
        Style::Dim => "2",
    };
    if on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Progress lines at the bottom of the terminal.
#[derive(Debug)]
pub struct Lines(MultiProgress);

/// A progress line: name, elapsed time and message.
#[derive(Debug)]
pub struct Line(ProgressBar);

impl Lines {
    /// Adds a line; `width` is the width of the names.
    pub fn add(&self, name: &str, width: usize) -> Line {
        let bar = self.0.add(ProgressBar::new_spinner());
        let template = format!("{{spinner}} {{prefix:{width}}} {{elapsed:>4}}  {{wide_msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Line(bar)
    }
}

impl Line {
    /// Replaces the message, which may contain untrusted text.
    pub fn say(&self, text: impl Into<String>) {
        self.0.set_message(line(&text.into()));
    }

    /// Stops the line with a last message.
    pub fn finish(&self, text: impl Into<String>) {
        if !self.0.is_finished() {
            self.0.finish_with_message(text.into());
        }
    }
}
