//! The history of a size as text, Markdown and JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{ExpectedSize, ExplainedChange, FoundStep, SizeHistory, SizeStep};
use build::changes::between::{ChangedLine, DockerfileChange};
use build::estimate::{EstimateView, LockFileChange};
use contents::difference::signed;
use contents::difference_view::DifferenceView;
use host::git::short;
use host::plural::count;
use host::printable::line;
use host::program::PROGRAM;
use host::render::Render;
use host::table::Align::{Left, Right};
use host::table::Table;

/// A history and the maximum length of its tables. JSON is complete.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SizeHistoryView<'h> {
    /// The history.
    pub history: &'h SizeHistory,
    /// Maximum rows of a table.
    #[serde(skip)]
    pub top: usize,
}

/// How tables and headings look.
#[derive(Clone, Copy)]
struct Form {
    is_markdown: bool,
    top: usize,
}

impl Render for SizeHistoryView<'_> {
    fn text(&self) -> String {
        self.all(Form { is_markdown: false, top: self.top })
    }

    fn markdown(&self) -> String {
        self.all(Form { is_markdown: true, top: self.top })
    }
}

impl Form {
    fn heading(self, out: &mut String, text: &str) {
        let mark = if self.is_markdown { "#### " } else { "" };
        let space = if self.is_markdown { "\n\n" } else { "\n" };
        write!(out, "\n{mark}{}{space}", line(text)).ok();
    }

    fn table(self, out: &mut String, table: &Table, rows: usize) {
        out.push_str(&if self.is_markdown { table.markdown() } else { table.text() });
        let more = rows.saturating_sub(self.top);
        if more > 0 {
            let space = if self.is_markdown { "\n" } else { "" };
            writeln!(out, "{space}and {more} more; --top shows more").ok();
        }
    }

    fn report(self, report: &impl Render) -> String {
        if self.is_markdown { report.markdown() } else { report.text() }
    }
}

impl SizeHistoryView<'_> {
    fn all(&self, form: Form) -> String {
        let history = self.history;
        let edition = if history.edition.is_empty() { "" } else { ", edition " };
        let title = format!("{}{edition}{}, {}", history.service, history.edition, history.platform);
        let mut out = match form.is_markdown {
            true => format!("### Accepted sizes of {}\n\n", line(&title)),
            false => format!("Accepted sizes of {}:\n", line(&title)),
        };
        form.table(&mut out, &steps(&history.steps, form.top), history.steps.len());
        notes(history).iter().for_each(|note| {
            let space = if form.is_markdown { "\n" } else { "" };
            writeln!(out, "{space}{}", line(note)).unwrap_or_default();
        });
        if let Some(cause) = &history.cause {
            self.cause(cause, form, &mut out);
        }
        if let Some(forecast) = &history.forecast {
            expected(forecast, form, &mut out);
        }
        out
    }

    fn cause(&self, cause: &ExplainedChange, form: Form, out: &mut String) {
        let history = self.history;
        let Some(step) = history.steps.iter().find(|step| step.commit == cause.commit) else { return };
        let inputs = &cause.inputs;
        let layers = step
            .change()
            .map(|[own, base]| format!("own layers {}, base layers {}", signed(own), signed(base)));
        let heading = format!(
            "{} in {}: {}",
            step.bytes().map(signed).unwrap_or_default(),
            short(&step.commit),
            layers.unwrap_or_default()
        );
        form.heading(out, &heading);
        let range = format!("{}..{}", short(&cause.since), short(&cause.commit));
        let what = match (inputs.commits.len(), inputs.files.len()) {
            (_, 0) => format!(
                "No file that the build reads differs in {range}: an upstream image or a package without a pinned version may have changed."
            ),
            (commits, files) => {
                format!(
                    "In {range}, {} changed {} that the build reads.",
                    count(commits, "commit"),
                    count(files, "file")
                )
            }
        };
        writeln!(out, "{what}").ok();
        if let Some(found) = &cause.found {
            self.found(found, form, out);
        } else if inputs.commits.len() > 1 {
            let edition = if history.edition.is_empty() {
                String::new()
            } else {
                format!(" --edition {}", history.edition)
            };
            let line = format!(
                "{PROGRAM} when {}{edition} --commit {} --build",
                history.service,
                short(&cause.commit)
            );
            writeln!(out, "To find the one that moved the size, build some of them: {line}").ok();
        }
        if !inputs.commits.is_empty() {
            let mut table =
                Table::new(&[("commit", Left), ("date", Left), ("files", Left), ("subject", Left)]);
            for commit in inputs.commits.iter().take(form.top) {
                table.row(vec![
                    short(&commit.commit).to_owned(),
                    commit.day.clone(),
                    named(&commit.files),
                    commit.subject.clone(),
                ]);
            }
            form.heading(out, "Commits that changed inputs");
            form.table(out, &table, inputs.commits.len());
        }
        let [own, base] = step.change().unwrap_or_default();
        // A base's lines cannot move the service's own layers, nor its own lines the base layers.
        let moved = |file: &&DockerfileChange| if file.base { base != 0 } else { own != 0 };
        dockerfiles(inputs.dockerfiles.iter().filter(moved), form, out);
        lock_files(&inputs.lock_files, form, out);
        if !inputs.declarations.is_empty() {
            writeln!(out, "\nAlso changed: {}.", line(&inputs.declarations.join(", "))).ok();
        }
    }

    fn found(&self, found: &FoundStep, form: Form, out: &mut String) {
        let builds = count(found.builds, "build");
        if found.whole == 0 {
            let text = "both ends have the same size when built today: a package without a pinned version, or an upstream image, moved it";
            writeln!(out, "{builds}: {text}.").ok();
        } else {
            let commits: Vec<&str> = found.commits.iter().map(|commit| short(commit)).collect();
            let (verb, change) = (
                if commits.len() == 1 { "moved it" } else { "one of these moved it" },
                found.after.0.cast_signed() - found.before.0.cast_signed(),
            );
            writeln!(
                out,
                "{builds}: {} {verb}: {} → {} ({}).",
                commits.join(", "),
                found.before,
                found.after,
                signed(change)
            )
            .ok();
            if change != found.whole {
                writeln!(
                    out,
                    "The whole range moved it by {}; other commits moved the rest.",
                    signed(found.whole)
                )
                .ok();
            }
        }
        for skipped in &found.skipped {
            writeln!(out, "Skipped {}: {}", short(&skipped.commit), line(&skipped.why)).ok();
        }
        if let Some(difference) = &found.difference {
            write!(out, "\n{}", form.report(&DifferenceView { difference, top: form.top })).ok();
        }
    }
}

fn steps(steps: &[SizeStep], top: usize) -> Table {
    let mut table = Table::new(&[
        ("commit", Left),
        ("date", Left),
        ("before", Right),
        ("after", Right),
        ("change", Right),
        ("own", Right),
        ("base", Right),
        ("subject", Left),
    ]);
    for step in steps.iter().take(top) {
        let size = |weights: Option<model::baseline::Weights>| {
            weights.map_or_else(|| "–".to_owned(), |weights| weights.sum().to_string())
        };
        let change = match (&step.renamed_from, step.before, step.after) {
            (Some(old), ..) => format!("was {old}"),
            (None, None, _) => "new".to_owned(),
            (None, _, None) => "removed".to_owned(),
            _ => step.bytes().map(signed).unwrap_or_default(),
        };
        let [own, base] = match step.change() {
            Some(changes) => changes.map(signed),
            None => ["–".to_owned(), "–".to_owned()],
        };
        table.row(vec![
            short(&step.commit).to_owned(),
            step.day.clone(),
            size(step.before),
            size(step.after),
            change,
            own,
            base,
            step.subject.clone(),
        ]);
    }
    table
}

fn notes(history: &SizeHistory) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(weights) = history.uncommitted {
        notes.push(format!("The lock in the working tree has {}, which is not committed.", weights.sum()));
    }
    if history.shallow {
        notes.push(
            "This clone is shallow: older changes are missing. `git fetch --unshallow` gets them.".to_owned(),
        );
    }
    for one in &history.unreadable {
        let why = one.why.split_whitespace().collect::<Vec<_>>().join(" ");
        notes.push(format!("The lock of {} cannot be read and is left out: {why}", short(&one.commit)));
    }
    notes
}

fn dockerfiles<'d>(files: impl Iterator<Item = &'d DockerfileChange>, form: Form, out: &mut String) {
    let lines: Vec<(&str, &ChangedLine)> =
        files.flat_map(|file| file.lines.iter().map(|line| (file.file.as_str(), line))).collect();
    if lines.is_empty() {
        return;
    }
    let mut table = Table::new(&[("line", Left), ("", Left), ("text", Left)]);
    for (file, line) in lines.iter().take(form.top) {
        let sign = if line.added { "+" } else { "−" };
        table.row(vec![format!("{file}:{}", line.line), sign.to_owned(), line.text.clone()]);
    }
    form.heading(out, "Changed Dockerfile lines");
    form.table(out, &table, lines.len());
}

fn lock_files(files: &[LockFileChange], form: Form, out: &mut String) {
    let version = |version: &Option<build::estimate::PackageVersion>| {
        version.as_ref().map_or_else(|| "–".to_owned(), |version| version.version.clone())
    };
    let mut table = Table::new(&[("file", Left), ("package", Left), ("before", Left), ("after", Left)]);
    let mut rows = 0;
    for file in files {
        if let Some(why) = &file.not_read {
            writeln!(out, "\n{}: not read: {}", line(&file.file), line(why)).ok();
        }
        for package in &file.packages {
            rows += 1;
            if rows <= form.top {
                let (before, after) = (version(&package.before), version(&package.after));
                table.row(vec![file.file.clone(), package.name.clone(), before, after]);
            }
        }
    }
    if rows > 0 {
        form.heading(out, "Changed packages of lock files");
        form.table(out, &table, rows);
    }
}

/// Expected bytes of the next image.
fn expected(forecast: &ExpectedSize, form: Form, out: &mut String) {
    form.heading(out, "Lock files changed since the last accepted size");
    let accepted = forecast.accepted.sum();
    let sum = accepted.0.cast_signed().saturating_add(forecast.known);
    let sum = model::bytes::Bytes(u64::try_from(sum).unwrap_or_default());
    let unknown = match forecast.unknown {
        0 => String::new(),
        packages => format!("; the sizes of {} are unknown", count(packages, "package")),
    };
    writeln!(out, "Expected: {accepted} {} = {sum}{unknown}.\n", signed_or_plus(forecast.known)).ok();
    out.push_str(&form.report(&EstimateView { estimate: &forecast.lock_files, top: form.top }));
}

fn signed_or_plus(bytes: i64) -> String {
    if bytes == 0 { "+0B".to_owned() } else { signed(bytes) }
}

/// The first file and the number of other files.
fn named(files: &[String]) -> String {
    match files {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}
