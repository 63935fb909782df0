//! Progress and messages on stderr: colour, progress lines, groups in a CI log.

use std::io::{IsTerminal, stderr, stdout};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

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

/// Prints messages to stderr.
#[derive(Debug, Clone)]
pub struct Terminal {
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
    /// Reads the standard streams and the environment once.
    pub fn detect(color: Color, verbosity: Verbosity) -> Terminal {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let on = |is_terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_terminal && !set("NO_COLOR") && std::env::var("TERM").as_deref() != Ok("dumb"),
        };
        let ci_groups = set("GITHUB_ACTIONS");
        Terminal {
            verbosity,
            color_err: on(stderr().is_terminal()),
            color_out: on(stdout().is_terminal()),
            interactive: stderr().is_terminal() && !ci_groups && verbosity != Verbosity::Quiet,
            ci_groups,
        }
    }

    /// The same, but silent except for errors.
    #[must_use]
    pub fn quiet(self) -> Terminal {
        Terminal { verbosity: Verbosity::Quiet, interactive: false, ..self }
    }

    /// Prints a line, unless quiet.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Prints a note, unless quiet. It may quote text from outside.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.say(format!("{} {}", self.paint(Style::Warn, "note:"), printable(text.as_ref())));
    }

    /// Prints an error. It may quote text from outside.
    pub fn error(&self, text: impl AsRef<str>) {
        eprintln!("{} {}", self.paint(Style::Bad, "error:"), printable(text.as_ref()));
    }

    /// Text for stderr in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        painted(self.color_err, style, text)
    }

    /// Text for stdout in a style.
    pub fn paint_out(&self, style: Style, text: &str) -> String {
        painted(self.color_out, style, text)
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
            eprintln!("{}", line(command));
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
    /// Replaces the message, which may quote text from outside.
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
