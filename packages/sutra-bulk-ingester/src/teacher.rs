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
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// Responds with a function of the call number and the texts.
    struct FakeHybrid<F> {
        respond: F,
        is_up: bool,
        calls: RefCell<usize>,
        /// The patience of each call.
        patience: RefCell<Vec<u32>>,
        learned: RefCell<BTreeSet<String>>,
    }

    impl<F: Fn(usize, &[String]) -> LearnResult> Learner for &FakeHybrid<F> {
        async fn learn(&self, body: Bytes, patience: u32) -> LearnResult {
            self.patience.borrow_mut().push(patience);
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let texts: Vec<String> = serde_json::from_value(body["texts"].clone()).expect("texts");
            let number = self.calls.replace_with(|calls| *calls + 1);
            assert!(number < 1000, "too many calls");
            let result = (self.respond)(number, &texts);
            if result == LearnResult::Learned {
                self.learned.borrow_mut().extend(texts);
            }
            result
        }

        async fn is_up(&self) -> bool {
            self.is_up
        }
    }

    fn fake<F: Fn(usize, &[String]) -> LearnResult>(respond: F) -> FakeHybrid<F> {
        FakeHybrid {
            respond,
            is_up: true,
            calls: RefCell::default(),
            patience: RefCell::default(),
            learned: RefCell::default(),
        }
    }

    fn lines(range: std::ops::Range<u64>) -> Vec<Line> {
        range.map(|number| Line { number, json: format!("\"{number}\"") }).collect()
    }

    fn backoff() -> Backoff {
        Backoff { first: Duration::from_nanos(1), longest: Duration::from_nanos(1) }
    }

    fn bad(taught: &TeachResult) -> Vec<u64> {
        let mut lines: Vec<u64> = taught.bad.listed.iter().map(|bad| bad.line).collect();
        lines.sort_unstable();
        lines
    }

    fn rejected() -> LearnResult {
        LearnResult::Rejected("no".into())
    }

    fn slow() -> LearnResult {
        LearnResult::TimedOut("slow".into())
    }

    fn failed() -> LearnResult {
        LearnResult::Failed("oops".into())
    }

    #[tokio::test]
    async fn only_rejected_lines_are_reported() {
        for poison in [&["7"][..], &["0", "31"], &["3", "4", "5"], &["16"]] {
            for error in [rejected(), failed()] {
                let is_poisoned = |texts: &[String]| texts.iter().any(|text| poison.contains(&text.as_str()));
                let hybrid =
                    fake(|_, texts| if is_poisoned(texts) { error.clone() } else { LearnResult::Learned });
                let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
                let expected: Vec<u64> = poison.iter().map(|text| text.parse().expect("a number")).collect();
                assert_eq!((bad(&taught), taught.count), (expected, 32 - poison.len() as u64));
                assert_eq!(hybrid.learned.borrow().len(), 32 - poison.len());
            }
        }
    }

    #[tokio::test]
    async fn an_outage_is_reported_and_loses_nothing() {
        let hybrid = fake(|call, _| match call {
            0..5 => LearnResult::Unavailable("down".into(), None),
            5..8 => failed(),
            _ => LearnResult::Learned,
        });
        let holds = RefCell::new(Vec::new());
        let taught = Teacher::new(&hybrid, backoff())
            .teach(&lines(0..3), &|hold| holds.borrow_mut().push(hold.map(|hold| hold.tries)))
            .await;
        assert_eq!(taught, TeachResult { count: 3, bad: BadLines::default() });
        let expected: Vec<_> = (1..=8).map(Some).chain([None]).collect();
        assert_eq!(holds.into_inner(), expected);
    }

    #[tokio::test]
    async fn no_line_is_bad_if_hybrid_fails_for_all() {
        for error in [rejected(), failed()] {
            // Works, then fails for all texts for a while, then works again.
            let hybrid =
                fake(|call, _| if (1..90).contains(&call) { error.clone() } else { LearnResult::Learned });
            let mut teacher = Teacher::new(&hybrid, backoff());
            teacher.teach(&lines(0..1), &|_| {}).await;
            let taught = teacher.teach(&lines(1..9), &|_| {}).await;
            assert_eq!((taught.count, taught.bad.count), (8, 0), "{error:?}");
        }
        let hybrid = fake(|call, _| if call < 90 { failed() } else { LearnResult::Learned });
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..8), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (8, 0));
    }

    #[tokio::test]
    async fn no_line_is_bad_if_hybrid_fails_during_the_search() {
        for error in [rejected(), failed()] {
            for working_call in 1..60 {
                // Learns one text, then fails except for one call, then works again.
                let hybrid = fake(|call, _| {
                    let fails = (1..90).contains(&call) && call != working_call;
                    if fails { error.clone() } else { LearnResult::Learned }
                });
                let mut teacher = Teacher::new(&hybrid, backoff());
                teacher.teach(&lines(0..1), &|_| {}).await;
                let taught = teacher.teach(&lines(1..9), &|_| {}).await;
                assert_eq!(
                    (taught.count, taught.bad.count),
                    (8, 0),
                    "{error:?}, working call {working_call}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_single_line_is_bad_once_hybrid_has_learned_another() {
        let hybrid =
            fake(|_, texts| if texts.contains(&"5".to_owned()) { failed() } else { LearnResult::Learned });
        let mut teacher = Teacher::new(&hybrid, backoff());
        teacher.teach(&lines(0..1), &|_| {}).await;
        assert_eq!(bad(&teacher.teach(&lines(5..6), &|_| {}).await), [5]);
    }

    #[tokio::test]
    async fn batches_too_large_for_hybrid_are_split() {
        let hybrid = fake(|_, texts| if texts.len() > 3 { rejected() } else { LearnResult::Learned });
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..32), &|_| {}).await;
        assert_eq!((taught.count, taught.bad.count), (32, 0));
        let nothing = Teacher::new(&hybrid, backoff()).teach(&[], &|_| {}).await;
        assert_eq!(nothing, TeachResult::default());
    }

    #[tokio::test]
    async fn fewer_texts_are_sent_while_hybrid_is_too_slow() {
        let sizes = RefCell::new(Vec::new());
        // Responds in time to at most five texts.
        let hybrid = fake(|_, texts| {
            sizes.borrow_mut().push(texts.len());
            if texts.len() > 5 { LearnResult::TimedOut("slow".into()) } else { LearnResult::Learned }
        });
        let mut teacher = Teacher::new(&hybrid, backoff());
        let taught = teacher.teach(&lines(0..32), &|_| {}).await;
        assert_eq!(taught, TeachResult { count: 32, bad: BadLines::default() });
        assert_eq!(hybrid.learned.borrow().len(), 32);
        assert_eq!(sizes.borrow()[..4], [32, 16, 8, 4]);
        assert!(sizes.borrow().len() < 16, "{:?}", sizes.borrow());
        // One text is sent with more and more time.
        let hybrid = fake(|call, _| if call < 4 { slow() } else { LearnResult::Learned });
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(0..2), &|_| {}).await;
        assert_eq!((taught.count, &hybrid.patience.borrow()[..]), (2, &[1, 1, 2, 4, 8, 1][..]));
    }

    #[tokio::test]
    async fn a_line_that_takes_too_long_is_bad_and_the_job_goes_on() {
        let hybrid =
            fake(|_, texts| if texts.contains(&"2".to_owned()) { slow() } else { LearnResult::Learned });
        let mut teacher = Teacher::new(&hybrid, backoff());
        let taught = teacher.teach(&lines(0..4), &|_| {}).await;
        assert_eq!((bad(&taught), taught.count), (vec![2], 3));
        assert_eq!(taught.bad.listed[0].reason, "slow");
        let calls = hybrid.patience.borrow().clone();
        assert_eq!(calls.iter().filter(|&&patience| patience > 1).collect::<Vec<_>>(), [&2, &4, &8]);
        // Also if hybrid has learned nothing yet, but is up.
        let taught = Teacher::new(&hybrid, backoff()).teach(&lines(2..3), &|_| {}).await;
        assert_eq!((bad(&taught), taught.count), (vec![2], 0));
    }

    #[tokio::test]
    async fn no_line_is_bad_if_hybrid_hangs() {
        // Answers nothing for a while, with and without a text that it learned before.
        for learned in [1, 0] {
            let hybrid =
                fake(|call, _| if (learned..90).contains(&call) { slow() } else { LearnResult::Learned });
            let hybrid = FakeHybrid { is_up: false, ..hybrid };
            let mut teacher = Teacher::new(&hybrid, backoff());
            let taught = teacher.teach(&lines(0..9), &|_| {}).await;
            assert_eq!((taught.count, taught.bad.count), (9, 0), "after {learned}");
        }
    }
}
