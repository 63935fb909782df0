//! What people see while they wait: colour, lines that redraw themselves, groups in a CI log. All of it on stderr.

use std::io::{IsTerminal, stderr, stdout};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Where a terminal shows it and NO_COLOR is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How much to narrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What a person wants to know.
    Normal,
    /// Every command with its duration.
    Verbose,
}

/// The narrating side of the program.
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
    /// Something went well.
    Good,
    /// Something failed.
    Bad,
    /// Something to know.
    Warn,
    /// Names and headings.
    Strong,
    /// What may be skipped.
    Dim,
}

impl Terminal {
    /// Looks at the streams and the environment once.
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

    /// The same narrator, silent but for errors.
    #[must_use]
    pub fn quiet(self) -> Terminal {
        Terminal { verbosity: Verbosity::Quiet, interactive: false, ..self }
    }

    /// Narrates one line, unless quiet.
    pub fn say(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Narrates something that a person should not miss.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.say(format!("{} {}", self.paint(Style::Warn, "note:"), text.as_ref()));
    }

    /// Says an error, always.
    pub fn error(&self, text: impl AsRef<str>) {
        eprintln!("{} {}", self.paint(Style::Bad, "error:"), text.as_ref());
    }

    /// Text for stderr in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        painted(self.color_err, style, text)
    }

    /// Text for stdout in a style.
    pub fn paint_out(&self, style: Style, text: &str) -> String {
        painted(self.color_out, style, text)
    }

    /// Whether lines may redraw themselves.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Starts a foldable part of a CI log, or a heading elsewhere.
    pub fn group(&self, title: &str) {
        if self.ci_groups {
            self.say(format!("::group::{title}"));
        } else {
            self.say(self.paint(Style::Strong, &format!("── {title}")));
        }
    }

    /// Ends it.
    pub fn end_group(&self) {
        if self.ci_groups {
            self.say("::endgroup::");
        }
    }

    /// Hands a workflow command to GitHub, which shows it beside the change; elsewhere nobody would read it.
    pub fn annotate(&self, command: &str) {
        if self.ci_groups {
            eprintln!("{command}");
        }
    }

    /// Lines that redraw themselves, one a name. Hidden where nobody could see them move.
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

/// A block of lines at the bottom of a terminal.
#[derive(Debug)]
pub struct Lines(MultiProgress);

/// One line of the block: a name, elapsed time and what is being done.
#[derive(Debug)]
pub struct Line(ProgressBar);

impl Lines {
    /// Adds a line; `width` is the room for names.
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
    /// Replaces what the line says.
    pub fn say(&self, text: impl Into<String>) {
        self.0.set_message(text.into());
    }

    /// Leaves the line as it is, with its last words.
    pub fn finish(&self, text: impl Into<String>) {
        if !self.0.is_finished() {
            self.0.finish_with_message(text.into());
        }
    }
}
