//! A job: what is kept of it on disk, and what clients see.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::input::Position;
use crate::limits::MAX_LISTED_BAD_LINES;
use crate::records::{Format, brief};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Waits for its turn.
    Queued,
    /// Is being taught, or tries to be.
    Running,
    /// Was read to its end.
    Done,
    /// Cannot be read, or nothing in it could be taught.
    Failed,
    /// Was given up by a client.
    Cancelled,
}

impl State {
    /// Nothing more will happen to it.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A line that was not taught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadLine {
    /// Counted from 1; for a row of CSV, the line that it begins in.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Lines that were not taught: all are counted, the first are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadLines {
    /// All of them.
    pub count: u64,
    /// The first of them.
    pub listed: Vec<BadLine>,
}

impl BadLines {
    /// Adds one; reasons are cut to a length that can be shown.
    pub(crate) fn add(&mut self, line: u64, reason: impl AsRef<str>) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED_BAD_LINES {
            self.listed.push(BadLine { line, reason: brief(reason.as_ref()) });
        }
    }

    /// Adds those of a batch that comes after, in the order of their lines.
    pub(crate) fn extend(&mut self, mut more: Self) {
        self.count += more.count;
        more.listed.sort_by_key(|bad| bad.line);
        let room = MAX_LISTED_BAD_LINES.saturating_sub(self.listed.len());
        self.listed.extend(more.listed.into_iter().take(room));
    }
}

/// How much of a job is behind it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Where the next batch begins.
    pub position: Position,
    /// Texts that hybrid has taken.
    pub taught: u64,
    /// Lines that were not taught.
    pub bad: BadLines,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Names the job; later jobs have greater names.
    pub id: String,
    /// How far it is.
    pub state: State,
    /// How its upload is to be read.
    pub format: Format,
    /// The upload's size.
    pub bytes: u64,
    /// How much of it is behind.
    pub progress: Progress,
    /// When it was accepted.
    pub created_at: String,
    /// When its first batch began.
    pub started_at: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What keeps a running job from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// In words.
    pub reason: String,
    /// Tries in a row that failed.
    pub tries: u32,
}

impl Job {
    /// A job that was just accepted.
    pub(crate) fn new(id: String, format: Format, bytes: u64) -> Self {
        Self {
            id,
            state: State::Queued,
            format,
            bytes,
            progress: Progress::default(),
            created_at: sutra_service::timestamp(),
            started_at: None,
            ended_at: None,
            reason: None,
        }
    }

    /// The job as it is listed. A running job that cannot go on is `waiting`, and says for what.
    pub(crate) fn summary(&self, hold: Option<&Hold>) -> Map<String, Value> {
        let hold = hold.filter(|_| self.state == State::Running);
        let (format, column) = match &self.format {
            Format::JsonL => ("jsonl", None),
            Format::Csv { column } => ("csv", Some(column)),
        };
        let state = if hold.is_some() { json!("waiting") } else { json!(self.state) };
        let fields = [
            ("id", json!(self.id)),
            ("state", state),
            ("reason", json!(hold.map(|hold| &hold.reason).or(self.reason.as_ref()))),
            ("tries", json!(hold.map_or(0, |hold| hold.tries))),
            ("format", json!(format)),
            ("column", json!(column)),
            ("bytes_total", json!(self.bytes)),
            ("bytes_done", json!(self.progress.position.bytes)),
            ("lines_read", json!(self.progress.position.lines)),
            ("taught", json!(self.progress.taught)),
            ("bad", json!(self.progress.bad.count)),
            ("created_at", json!(self.created_at)),
            ("started_at", json!(self.started_at)),
            ("ended_at", json!(self.ended_at)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The job with its bad lines.
    pub(crate) fn details(&self, hold: Option<&Hold>) -> Map<String, Value> {
        let mut fields = self.summary(hold);
        fields.insert("bad_lines".to_owned(), json!(self.progress.bad.listed));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_survives_its_own_form() {
        for format in [Format::JsonL, Format::Csv { column: "text".into() }] {
            let mut job = Job::new("1".into(), format, 7);
            job.progress.bad.add(3, "x".repeat(1000));
            let text = serde_json::to_string(&job).expect("JSON");
            assert_eq!(serde_json::from_str::<Job>(&text).expect("a job"), job);
        }
    }

    #[test]
    fn bad_lines_are_listed_up_to_a_bound_and_in_order() {
        let mut all = BadLines::default();
        all.add(1, "a");
        let mut more = BadLines::default();
        for line in [9, 7] {
            more.add(line, "b");
        }
        all.extend(more);
        assert_eq!(all.listed.iter().map(|bad| bad.line).collect::<Vec<_>>(), [1, 7, 9]);
        for line in 0..1000 {
            let mut one = BadLines::default();
            one.add(line, "c");
            all.extend(one);
        }
        assert_eq!((all.count, all.listed.len()), (1003, MAX_LISTED_BAD_LINES));
    }

    #[test]
    fn only_a_running_job_waits() {
        let mut job = Job::new("1".into(), Format::JsonL, 7);
        let hold = Hold { reason: "hybrid".into(), tries: 2 };
        assert_eq!(job.summary(Some(&hold))["state"], "queued");
        job.state = State::Running;
        let summary = job.summary(Some(&hold));
        assert_eq!(
            (&summary["state"], &summary["reason"], &summary["tries"]),
            (&json!("waiting"), &json!("hybrid"), &json!(2))
        );
        assert_eq!(job.summary(None)["state"], "running");
    }
}
