//! A job: its stored form and its JSON for clients.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::batch::Batch;
use crate::excerpt::excerpt;
use crate::input::Position;
use crate::limits::MAX_LISTED_BAD_LINES;
use crate::records::Format;
use crate::teacher::TeachResult;

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// Not started.
    Queued,
    /// In progress, or waiting to continue.
    Running,
    /// Read to the end.
    Done,
    /// The upload cannot be read, or no line could be taught.
    Failed,
    /// Cancelled by a client.
    Cancelled,
}

/// The states as clients see them, see [`Job::state_name`].
pub(crate) const STATE_NAMES: [&str; 6] = ["queued", "running", "waiting", "done", "failed", "cancelled"];

impl JobState {
    /// Whether the state is final.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A line that was not taught.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadLine {
    /// Line number, counted from 1; for a CSV row, its first line.
    pub line: u64,
    /// Why it was not taught.
    pub reason: String,
}

/// Lines that were not taught.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BadLines {
    /// Total number.
    pub count: u64,
    /// The first ones, up to `MAX_LISTED_BAD_LINES`.
    pub listed: Vec<BadLine>,
}

impl BadLines {
    /// Adds a line; long reasons are cut.
    pub(crate) fn add(&mut self, line: u64, reason: impl AsRef<str>) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED_BAD_LINES {
            self.listed.push(BadLine { line, reason: excerpt(reason.as_ref()) });
        }
    }

    /// Adds the bad lines of the next batch, sorted by line.
    pub(crate) fn extend(&mut self, mut more: Self) {
        self.count += more.count;
        more.listed.sort_by_key(|bad| bad.line);
        let room = MAX_LISTED_BAD_LINES.saturating_sub(self.listed.len());
        self.listed.extend(more.listed.into_iter().take(room));
    }
}

/// The progress of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Start of the next batch.
    pub position: Position,
    /// Number of taught texts.
    pub taught: u64,
    /// Lines that were not taught.
    pub bad: BadLines,
}

/// A job as stored on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Unique id; ids sort by age.
    pub id: String,
    /// Current state.
    pub state: JobState,
    /// Format of the upload.
    pub format: Format,
    /// The source of texts without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Size of the upload.
    pub bytes: u64,
    /// Progress so far.
    pub progress: Progress,
    /// Time of acceptance.
    pub created_at: String,
    /// Start of the first batch.
    pub started_at: Option<String>,
    /// Time of the end.
    pub ended_at: Option<String>,
    /// Why the job failed.
    pub reason: Option<String>,
}

/// A job as JSON for clients.
pub(crate) type JobView = Map<String, Value>;

/// The result of cancelling a job.
#[derive(Debug)]
pub(crate) enum CancelResult {
    /// Cancelled, now or earlier.
    Cancelled(JobView),
    /// The job had already ended in this state.
    Ended(JobState),
    /// Unknown id.
    Unknown,
}

/// Why a running job is waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Human-readable reason.
    pub reason: String,
    /// Number of consecutive failed attempts.
    pub tries: u32,
}

impl Progress {
    /// Adds a batch.
    pub(crate) fn advance(&mut self, batch: &Batch, taught: &TeachResult) {
        self.position = batch.end;
        self.taught += taught.count;
        let mut bad = batch.bad.clone();
        bad.count += taught.bad.count;
        bad.listed.extend(taught.bad.listed.iter().cloned());
        self.bad.extend(bad);
    }
}

impl Job {
    /// A newly accepted job.
    pub(crate) fn new(id: String, format: Format, source: Option<String>, bytes: u64) -> Self {
        Self {
            id,
            state: JobState::Queued,
            format,
            source,
            bytes,
            progress: Progress::default(),
            created_at: sutra_service::timestamp(),
            started_at: None,
            ended_at: None,
            reason: None,
        }
    }

    /// The state as clients see it: a running job with a hold is `waiting`.
    pub(crate) fn state_name(&self, hold: Option<&Hold>) -> &'static str {
        match self.state {
            JobState::Queued => "queued",
            JobState::Running if hold.is_some() => "waiting",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// The job as JSON, without its bad lines. A running job with a hold is `waiting`, with the reason.
    pub(crate) fn summary(&self, hold: Option<&Hold>) -> JobView {
        let hold = hold.filter(|_| self.state == JobState::Running);
        let (format, column) = match &self.format {
            Format::JsonL => ("jsonl", None),
            Format::Csv { column } => ("csv", Some(column)),
        };
        let fields = [
            ("id", json!(self.id)),
            ("state", json!(self.state_name(hold))),
            ("reason", json!(hold.map(|hold| &hold.reason).or(self.reason.as_ref()))),
            ("tries", json!(hold.map_or(0, |hold| hold.tries))),
            ("format", json!(format)),
            ("column", json!(column)),
            ("source", json!(self.source)),
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

    /// The job as JSON, with its bad lines.
    pub(crate) fn details(&self, hold: Option<&Hold>) -> JobView {
        let mut fields = self.summary(hold);
        fields.insert("bad_lines".to_owned(), json!(self.progress.bad.listed));
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_round_trips_through_json() {
        for format in [Format::JsonL, Format::Csv { column: "text".into() }] {
            let mut job = Job::new("1".into(), format, Some("h b.md".into()), 7);
            job.progress.bad.add(3, "x".repeat(1000));
            let text = serde_json::to_string(&job).expect("JSON");
            assert_eq!(serde_json::from_str::<Job>(&text).expect("a job"), job);
            // Records of earlier versions have no source.
            let earlier = text.replace("\"source\":\"h b.md\",", "");
            assert_eq!(serde_json::from_str::<Job>(&earlier).expect("a job"), Job { source: None, ..job });
        }
    }

    #[test]
    fn bad_lines_are_sorted_and_limited() {
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
    fn only_a_running_job_can_be_waiting() {
        let mut job = Job::new("1".into(), Format::JsonL, None, 7);
        let hold = Hold { reason: "hybrid".into(), tries: 2 };
        assert_eq!(job.summary(Some(&hold))["state"], "queued");
        job.state = JobState::Running;
        let summary = job.summary(Some(&hold));
        assert_eq!(
            (&summary["state"], &summary["reason"], &summary["tries"]),
            (&json!("waiting"), &json!("hybrid"), &json!(2))
        );
        assert_eq!(job.summary(None)["state"], "running");
    }
}
