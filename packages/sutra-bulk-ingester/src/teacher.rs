//! Teaches a batch: retries while hybrid is unavailable and finds the lines that it rejects.

use hyper::body::Bytes;

use crate::backoff::Backoff;
use crate::batch::Line;
use crate::hybrid::{LearnResult, Learner};
use crate::job::{BadLines, Hold};

/// Attempts with the same texts before a failure of hybrid (status 500) is attributed to them.
const MAX_ATTEMPTS: u32 = 4;

/// How often the usual timeout hybrid gets for a single text, at most. The time doubles with each attempt that times out.
const MAX_PATIENCE: u32 = 8;

/// Teaches the batches of a job.
pub(crate) struct Teacher<L> {
    learner: L,
    backoff: Backoff,
    /// A text that hybrid has learned, as JSON. Before a line counts as bad, hybrid must learn this text again (which
    /// replaces its source, title and metadata, and brings it back if it was deleted since). If it does not, hybrid is at
    /// fault, not the line.
    control: Option<String>,
    /// Number of consecutive failed attempts.
    failures: u32,
    /// Maximum number of texts per call: halved when hybrid does not respond in time, then slowly raised again.
    most: usize,
}

/// The result of teaching a batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TeachResult {
    /// Number of learned texts.
    pub count: u64,
    /// Lines that hybrid rejected.
    pub bad: BadLines,
}

/// The final result for some texts.
enum Verdict {
    Learned,
    Rejected(String),
    /// Every attempt failed.
    Failed(String),
    /// There was no response in time to several texts.
    TimedOut,
    /// There was no response to a single text in any of the growing timeouts.
    Stuck(String),
}

impl<L: Learner> Teacher<L> {
    /// A teacher for a new job.
    pub(crate) fn new(learner: L, backoff: Backoff) -> Self {
        Self { learner, backoff, control: None, failures: 0, most: usize::MAX }
    }

    /// Teaches all valid lines and retries without limit; drop the future to stop. Calls `hold` with the reason for
    /// waiting, and with `None` when it continues.
    pub(crate) async fn teach(&mut self, lines: &[Line], hold: &impl Fn(Option<Hold>)) -> TeachResult {
        loop {
            match self.attempt(lines, hold).await {
                Ok(taught) => return taught,
                Err(reason) => self.pause(reason, None, hold).await,
            }
        }
    }

    /// An error is a reason why hybrid, not a line, is at fault.
    async fn attempt(&mut self, lines: &[Line], hold: &impl Fn(Option<Hold>)) -> Result<TeachResult, String> {
        let mut taught = TeachResult::default();
        if lines.is_empty() {
            return Ok(taught);
        }
        let mut is_first = true;
        let mut suspects = Vec::new();
        let mut parts = vec![lines];
        while let Some(part) = parts.pop() {
            if part.len() > self.most {
                let (left, right) = part.split_at(self.most);
                parts.extend([right, left]);
                continue;
            }
            let attempts = if is_first || part.len() == 1 { MAX_ATTEMPTS } else { 1 };
            let verdict = self.learn(part, attempts, hold).await;
            if matches!(verdict, Verdict::TimedOut) {
                parts.push(part);
                continue;
            }
            let is_unclear = !matches!(verdict, Verdict::Learned);
            if std::mem::take(&mut is_first) && is_unclear && part.len() > 1 {
                self.check_hybrid(hold).await?;
            }
            if matches!(verdict, Verdict::Stuck(_)) && self.control.is_none() && !self.learner.is_up().await {
                return Err("hybrid responds to nothing, not even to GET /health".to_owned());
            }
            // After each line, because hybrid may fail at any point of the search.
            if is_unclear && part.len() == 1 {
                self.check_hybrid(hold).await?;
            }
            match (verdict, part) {
                (Verdict::Learned, [.., last]) => {
                    taught.count += part.len() as u64;
                    self.control = Some(last.json.clone());
                }
                (Verdict::Rejected(reason), [line]) => taught.bad.add(line.number, reason),
                (Verdict::Stuck(reason), [line]) => taught.bad.add(line.number, reason),
                (Verdict::Failed(reason), [line]) => suspects.push((line.number, reason)),
                _ => {
                    let (left, right) = part.split_at(part.len() / 2);
                    parts.extend([right, left]);
                }
            }
        }
        self.add_failed_lines(suspects, taught)
    }

    /// Checks that hybrid learns a previously learned text again. An error means that hybrid is at fault.
    async fn check_hybrid(&mut self, hold: &impl Fn(Option<Hold>)) -> Result<(), String> {
        let Some(control) = self.control.clone() else {
            return Ok(());
        };
        match self.learn(&[Line { number: 0, json: control }], MAX_ATTEMPTS, hold).await {
            Verdict::Rejected(reason) | Verdict::Failed(reason) | Verdict::Stuck(reason) => {
                Err(format!("{reason}, also for a previously learned text"))
            }
            Verdict::Learned | Verdict::TimedOut => Ok(()),
        }
    }

    /// Adds the lines at which hybrid failed to the bad lines, if it has learned other texts of the job.
    fn add_failed_lines(
        &self,
        suspects: Vec<(u64, String)>,
        mut taught: TeachResult,
    ) -> Result<TeachResult, String> {
        for (line, reason) in suspects {
            if self.control.is_none() {
                return Err(format!(
                    "{reason} (first at line {line}), and it has learned no text of this job"
                ));
            }
            taught.bad.add(line, format!("{reason} ({MAX_ATTEMPTS} attempts)"));
        }
        Ok(taught)
    }

    /// Sends texts until there is a verdict: without limit while hybrid is unavailable, up to `attempts` times if it fails.
    /// Several texts without a response in time are not sent again, but fewer of them; a single one with more time.
    async fn learn(&mut self, lines: &[Line], attempts: u32, hold: &impl Fn(Option<Hold>)) -> Verdict {
        let body = body(lines);
        let (mut failed, mut patience) = (0, 1);
        loop {
            let result = self.learner.learn(body.clone(), patience).await;
            if matches!(result, LearnResult::Learned | LearnResult::Rejected(_)) {
                self.failures = 0;
                hold(None);
            }
            match result {
                LearnResult::Learned => {
                    self.most = self.most.saturating_add(self.most / 8 + 1);
                    return Verdict::Learned;
                }
                LearnResult::Rejected(reason) => return Verdict::Rejected(reason),
                LearnResult::Failed(reason) => {
                    failed += 1;
                    if failed >= attempts {
                        return Verdict::Failed(reason);
                    }
                    self.pause(reason, None, hold).await;
                }
                LearnResult::Unavailable(reason, retry_after) => self.pause(reason, retry_after, hold).await,
                LearnResult::TimedOut(reason) => {
                    self.pause(reason.clone(), None, hold).await;
                    if lines.len() > 1 {
                        self.most = lines.len() / 2;
                        return Verdict::TimedOut;
                    }
                    if patience >= MAX_PATIENCE {
                        return Verdict::Stuck(reason);
                    }
                    patience *= 2;
                }
            }
        }
    }

    async fn pause(
        &mut self,
        reason: String,
        retry_after: Option<std::time::Duration>,
        hold: &impl Fn(Option<Hold>),
    ) {
        self.failures = self.failures.saturating_add(1);
        hold(Some(Hold { reason, tries: self.failures }));
        tokio::time::sleep(self.backoff.delay(self.failures, retry_after)).await;
    }
}

/// The body of a call.
fn body(lines: &[Line]) -> Bytes {
    let texts: usize = lines.iter().map(|line| line.json.len() + 1).sum();
    let mut body = String::with_capacity(texts + 12);
    body.push_str("{\"texts\":[");
    for (index, line) in lines.iter().enumerate() {
        if index > 0 {
            body.push(',');
        }
        body.push_str(&line.json);
    }
    body.push_str("]}");
    body.into()
}

#[cfg(test)]
mod tests;
